//! Which sessions have ended while access tokens of theirs still live: the set that our own endpoints ask
//! at each request, and the signed lists for services that verify offline (draft-ietf-oauth-status-list).
//!
//! Readers never touch the database. The set is filled at the start, by this server's own changes, and by
//! a look at the database several times a second for those of other servers and commands.

pub mod api;
pub mod flow;
pub mod list;
pub(crate) mod store;

use crate::base::id::SessionId;
use crate::base::time::Timestamp;
use crate::db::{self, Row};
use crate::http::prepared::Prepared;
use claviger_crypto::status::StatusClaim;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

/// How often changes of others are looked for.
pub const LOOK_EVERY: Duration = Duration::from_millis(150);

/// When every server has seen a change, but for one that is badly overloaded.
pub const SEEN_AFTER: Duration = Duration::from_millis(300);

/// How far a clock may be set back without an ended session's tokens being taken again.
pub const MARGIN: Duration = Duration::from_secs(600);

/// A session that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Which.
    pub session: SessionId,
    /// Its place in the lists.
    pub index: u64,
    /// When the last of its access tokens ends: then nobody needs to know any more.
    pub until: Timestamp,
}

impl Ended {
    /// Reads the columns `id`, `status_index` and `access_expires_at` of a session.
    pub(crate) fn read(row: &Row<'_>) -> Result<Self, db::Error> {
        let index: i64 = row.get(1)?;
        let index = u64::try_from(index).map_err(|_| db::Error::Corrupt("sessions.status_index".into()))?;
        Ok(Self { session: SessionId(row.get(0)?), index, until: row.get(2)? })
    }
}

/// A signed list as it is sent, and what it was made from.
#[derive(Clone, Debug)]
struct Built {
    answer: Arc<Prepared>,
    made_at: Timestamp,
    version: u64,
    kid: String,
}

/// What is known of sessions that have ended.
#[derive(Debug)]
pub struct Statuses {
    ended: RwLock<HashMap<SessionId, (u64, Timestamp)>>,
    /// Counts the changes of `ended`.
    version: AtomicU64,
    /// The next index that no server has taken, as last seen.
    allocated: AtomicU64,
    /// Indices that this server has taken and not given out yet. Held while more are taken.
    free: tokio::sync::Mutex<Range<u64>>,
    /// The number of the last end that was seen in the database.
    seen: AtomicI64,
    built: Mutex<HashMap<u64, Built>>,
    /// Refreshes of which it is not known whether they were kept: the sessions, and when; and when to look.
    unsettled: Mutex<HashMap<(SessionId, Timestamp), Timestamp>>,
}

impl Default for Statuses {
    fn default() -> Self {
        Self {
            ended: RwLock::default(),
            version: AtomicU64::default(),
            allocated: AtomicU64::default(),
            free: tokio::sync::Mutex::new(0..0),
            seen: AtomicI64::default(),
            built: Mutex::default(),
            unsettled: Mutex::default(),
        }
    }
}

impl Statuses {
    /// Whether a session has ended. The one question of every request with an access token.
    pub fn has_ended(&self, session: SessionId) -> bool {
        self.ended.read().unwrap_or_else(PoisonError::into_inner).contains_key(&session)
    }

    /// Adds sessions that have ended.
    pub fn add(&self, sessions: impl IntoIterator<Item = Ended>) {
        let mut ended = self.ended.write().unwrap_or_else(PoisonError::into_inner);
        for Ended { session, index, until } in sessions {
            if ended.insert(session, (index, until)).is_none() {
                self.version.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Forgets the sessions whose tokens have all ended, and that for a while: a clock may be set back.
    pub fn forget(&self, now: Timestamp) {
        let now = now.minus(MARGIN);
        let mut ended = self.ended.write().unwrap_or_else(PoisonError::into_inner);
        let before = ended.len();
        ended.retain(|_, (_, until)| *until > now);
        if ended.len() < before {
            ended.shrink_to_fit();
            self.version.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Notes a refresh of that time, of which it is not known whether it was kept.
    pub fn unsettle(&self, session: SessionId, at: Timestamp) {
        self.look_again(session, at, Timestamp::MIN);
    }

    /// It was not, and may still be: it is looked at after `due`.
    pub fn look_again(&self, session: SessionId, at: Timestamp, due: Timestamp) {
        self.unsettled.lock().unwrap_or_else(PoisonError::into_inner).insert((session, at), due);
    }

    /// The refreshes of which it is not known whether they were kept: of one session, or all that are due.
    pub fn unsettled(&self, of: Option<SessionId>, now: Timestamp) -> Vec<(SessionId, Timestamp)> {
        let unsettled = self.unsettled.lock().unwrap_or_else(PoisonError::into_inner);
        let is_meant = |session: SessionId, due: Timestamp| of.map_or(due < now, |of| of == session);
        unsettled
            .iter()
            .filter(|((session, _), due)| is_meant(*session, **due))
            .map(|(key, _)| *key)
            .collect()
    }

    /// It is known now.
    pub fn settle(&self, session: SessionId, at: Timestamp) {
        self.unsettled.lock().unwrap_or_else(PoisonError::into_inner).remove(&(session, at));
    }

    /// How many sessions are known to have ended.
    pub fn len(&self) -> usize {
        self.ended.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn in_list(&self, list: u64) -> Vec<u64> {
        let ended = self.ended.read().unwrap_or_else(PoisonError::into_inner);
        let range = list::range(list);
        ended.values().map(|(index, _)| *index).filter(|index| range.contains(index)).collect()
    }
}

/// The `status` claim of the tokens of the session at `index`.
pub fn claim(issuer: &str, index: u64) -> StatusClaim {
    let (list, place) = list::place(index);
    StatusClaim::new(place, list::uri(issuer, list))
}

/// What can go wrong with statuses.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No session has a place in this list yet.
    #[error("there is no such list")]
    NoSuchList,
    /// The signature.
    #[error(transparent)]
    Keys(#[from] crate::keys::Error),
    /// The database failed.
    #[error(transparent)]
    Db(#[from] crate::db::Error),
}
