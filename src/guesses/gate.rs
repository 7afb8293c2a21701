//! How many guesses at one account are checked at once on this server, so that many sent together cannot
//! all pass before the first is counted.

use super::{Error, Subject};
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};

/// Accounts share a lane by their digest; a guess at another of the same lane only waits a little.
const LANES: usize = 256;

/// The most at once in a lane. Each may be one guess too many for a subject, once.
const AT_ONCE: usize = 4;

/// The longest wait for a turn.
const PATIENCE: Duration = Duration::from_secs(5);

/// The lanes.
#[derive(Debug)]
pub struct Gate(Vec<Semaphore>);

impl Default for Gate {
    fn default() -> Self {
        Self((0..LANES).map(|_| Semaphore::new(AT_ONCE)).collect())
    }
}

impl Gate {
    /// Waits for a turn in the lane of `subject`; it is held until the permit is dropped.
    ///
    /// # Errors
    /// [`Error::Busy`] if the turn does not come.
    pub async fn enter(&self, subject: &Subject) -> Result<SemaphorePermit<'_>, Error> {
        let [first, ..] = subject.digest;
        let lane = self.0.get(usize::from(first) % LANES).ok_or(Error::Busy)?;
        match tokio::time::timeout(PATIENCE, lane.acquire()).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => Err(Error::Busy),
        }
    }
}
