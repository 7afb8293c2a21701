//! How many passwords of one account are checked at once on this server, so that many guesses sent
//! together cannot all pass before the first is counted.

use super::{Error, PATIENCE};
use tokio::sync::{Semaphore, SemaphorePermit};

/// Accounts share a lane by their digest; a check for another of the same lane only waits a little.
const LANES: usize = 256;

/// The most at once in a lane: each may be one guess more than is allowed.
const AT_ONCE: usize = 4;

/// The lanes.
#[derive(Debug)]
pub(super) struct Turns(Vec<Semaphore>);

impl Default for Turns {
    fn default() -> Self {
        Self((0..LANES).map(|_| Semaphore::new(AT_ONCE)).collect())
    }
}

impl Turns {
    /// Waits for a turn in the lane of `digest`; it is held until the permit is dropped.
    pub(super) async fn wait(&self, digest: &[u8; 32]) -> Result<SemaphorePermit<'_>, Error> {
        let [first, ..] = *digest;
        let lane = self.0.get(usize::from(first) % LANES).ok_or(Error::Failed)?;
        let turn = tokio::time::timeout(PATIENCE, lane.acquire()).await;
        turn.map_err(|_| Error::Busy)?.map_err(|_| Error::Failed)
    }
}
