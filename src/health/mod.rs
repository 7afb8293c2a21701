//! Whether this server should be given requests. Load balancers ask `/health/ready`; a job looks at the
//! database for them, so that asking costs nothing and a flood of questions reaches nobody.

pub mod api;

use crate::db;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A look at the database that is older than this says nothing any more.
const STALE: Duration = Duration::from_secs(2);

/// A load balancer is there if it has asked within this time.
const ASKED_WITHIN: Duration = Duration::from_secs(60);

/// Why a server should be given no requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is about to stop.
    Leaving,
    /// The database does not answer.
    Database,
    /// The database has not, or no longer, the schema that this program needs.
    Migrations,
    /// There is no signing key yet.
    Keys,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Leaving => "the server is stopping",
            Self::Database => "the database does not answer",
            Self::Migrations => "the database does not have the schema of this program",
            Self::Keys => "there is no signing key yet",
        })
    }
}

/// What is known of the server's health.
#[derive(Debug)]
pub struct Health {
    leaving: Arc<AtomicBool>,
    /// What the latest look at the database found, and when.
    looked: Mutex<(Instant, Result<(), Fault>)>,
    asked_at: Mutex<Option<Instant>>,
}

impl Health {
    /// Of a server that has just opened its database.
    pub fn new(now: Instant) -> Self {
        Self { leaving: Arc::default(), looked: Mutex::new((now, Ok(()))), asked_at: Mutex::default() }
    }

    /// Notes what a look at the database has found; says whether that is news.
    pub fn note(&self, looked: &Result<(), db::Error>, now: Instant) -> bool {
        let found = match looked {
            Ok(()) => Ok(()),
            Err(db::Error::Refused(_)) => Err(Fault::Migrations),
            Err(_) => Err(Fault::Database),
        };
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *looked, (now, found)).1 != found
    }

    /// Whether the database answered lately. Where it did not, there is no use in waiting for it.
    pub fn database_answers(&self, now: Instant) -> bool {
        !matches!(self.looked(now), Err(Fault::Database))
    }

    /// Whether the server should be given requests.
    ///
    /// # Errors
    /// All that speaks against it.
    pub fn ready(&self, has_keys: bool, now: Instant) -> Result<(), Vec<Fault>> {
        *self.asked_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
        let leaving = self.leaving.load(Ordering::Relaxed).then_some(Fault::Leaving);
        let keys = (!has_keys).then_some(Fault::Keys);
        let faults: Vec<Fault> = [leaving, self.looked(now).err(), keys].into_iter().flatten().collect();
        if faults.is_empty() { Ok(()) } else { Err(faults) }
    }

    /// From now on the server is not ready.
    pub fn leave(&self) {
        self.leaving.store(true, Ordering::Relaxed);
    }

    /// Whether a load balancer is there, who would notice.
    pub fn is_watched(&self, now: Instant) -> bool {
        let asked_at = *self.asked_at.lock().unwrap_or_else(PoisonError::into_inner);
        asked_at.is_some_and(|asked_at| now.saturating_duration_since(asked_at) <= ASKED_WITHIN)
    }

    /// Whether the server is about to stop, for who closes its connections.
    pub fn leaving(&self) -> Arc<AtomicBool> {
        self.leaving.clone()
    }

    fn looked(&self, now: Instant) -> Result<(), Fault> {
        let (at, found) = *self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        if now.saturating_duration_since(at) > STALE { Err(Fault::Database) } else { found }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_named() {
        let start = Instant::now();
        let health = Health::new(start);
        assert_eq!(health.ready(true, start), Ok(()));
        assert_eq!(health.ready(false, start), Err(vec![Fault::Keys]));
        assert!(health.note(&Err(db::Error::Refused("older".into())), start));
        assert_eq!(health.ready(true, start), Err(vec![Fault::Migrations]));
        assert!(health.database_answers(start));
        assert!(health.note(&Err(db::Error::Unavailable("away".into())), start));
        assert!(!health.note(&Err(db::Error::Unavailable("still away".into())), start), "no news");
        assert!(!health.database_answers(start));
        health.leave();
        assert_eq!(health.ready(false, start), Err(vec![Fault::Leaving, Fault::Database, Fault::Keys]));
    }

    #[test]
    fn silence_of_the_job_is_a_fault_too() {
        let start = Instant::now();
        let health = Health::new(start);
        assert_eq!(health.ready(true, start + STALE), Ok(()));
        let later = start + STALE + Duration::from_millis(1);
        assert_eq!(health.ready(true, later), Err(vec![Fault::Database]));
        assert!(!health.note(&Ok(()), later));
        assert_eq!(health.ready(true, later), Ok(()));
    }

    #[test]
    fn who_never_asks_is_not_waited_for() {
        let start = Instant::now();
        assert!(!Health::new(start).is_watched(start));
        let health = Health::new(start);
        let _ = health.ready(true, start);
        assert!(health.is_watched(start + ASKED_WITHIN));
        assert!(!health.is_watched(start + ASKED_WITHIN + Duration::from_millis(1)), "it has gone");
    }
}
