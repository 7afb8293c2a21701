//! How much is done at once for one account or session on this server: many guesses sent together cannot all pass
//! before the first is counted, and many refreshes not take all that others need.

use super::{Error, PATIENCE};
use tokio::sync::{Semaphore, SemaphorePermit};

/// Accounts share a lane, and sessions; who meets another in his lane only waits a little.
const LANES: usize = 256;

/// The most at once in a lane: each may be one guess more than is allowed.
const AT_ONCE: usize = 4;

/// The lanes.
#[derive(Debug)]
pub struct Turns(Vec<Semaphore>);

impl Default for Turns {
    fn default() -> Self {
        Self((0..LANES).map(|_| Semaphore::new(AT_ONCE)).collect())
    }
}

impl Turns {
    /// Waits for a turn in a lane; it is held until the permit is dropped.
    ///
    /// # Errors
    /// If too many wait.
    pub async fn wait(&self, lane: usize) -> Result<SemaphorePermit<'_>, Error> {
        let lane = self.0.get(lane % LANES).ok_or(Error::Failed)?;
        let turn = tokio::time::timeout(PATIENCE, lane.acquire()).await;
        turn.map_err(|_| Error::Busy)?.map_err(|_| Error::Failed)
    }
}
