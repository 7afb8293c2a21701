//! Sessions: opened by a login, kept alive by refresh tokens (RFC 6749 §6), ended by logout, revocation,
//! reuse of a spent refresh token, or time. Every access token belongs to one (`sid`).
//!
//! A session never comes back: what is ended or expired stays so, whatever token is shown.

pub mod api;
pub mod flow;
pub mod refresh;
pub mod scope;
pub(crate) mod store;
mod tokens;

pub use tokens::Tokens;

use crate::base::id::{AccountId, SessionId};
use crate::base::time::Timestamp;
use crate::keys;
use refresh::{Known, SpentTimes};
use scope::Scope;
use std::time::Duration;

/// The most sessions of an account; the oldest ends for the newest.
const MOST: i64 = 1000;

/// `client_id` of tokens that an account gets for itself, without an OAuth client between.
pub const DIRECT_CLIENT: &str = "claviger";

/// How long a session lives.
#[derive(Clone, Copy, Debug)]
pub struct Lifetime {
    /// Without being used.
    pub idle: Duration,
    /// At all.
    pub absolute: Duration,
}

impl Lifetime {
    /// When a session ends that is used `now` and must end at `absolute` in any case.
    pub fn expiry(self, now: Timestamp, absolute: Timestamp) -> Timestamp {
        now.plus(self.idle).min(absolute)
    }
}

/// A session as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Its id, `sid` in its tokens.
    pub id: SessionId,
    /// Whose it is.
    pub account: AccountId,
    /// The client it was opened for.
    pub client_id: String,
    /// What was granted.
    pub scope: Scope,
    /// When it was opened.
    pub created_at: Timestamp,
    /// When it was last used: at the login or a refresh.
    pub last_used_at: Timestamp,
    /// When it ends at the latest.
    pub absolute_expires_at: Timestamp,
    /// When it ends if it is not used; a moment past if it has ended.
    pub expires_at: Timestamp,
    /// When the last of its access tokens ends.
    pub access_expires_at: Timestamp,
    /// When it was ended, if it was.
    pub ended_at: Option<Timestamp>,
    /// How many refresh tokens came before the present one.
    pub generation: u32,
    /// The digest of the present refresh token.
    pub refresh_digest: [u8; 32],
    /// When the tokens before it were spent.
    pub spent: SpentTimes,
    /// Its place in the status lists.
    pub status_index: u64,
    /// Where it was last used from.
    pub address: Option<String>,
    /// What it was last used with.
    pub user_agent: Option<String>,
}

impl Session {
    /// Whether it can be used.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.ended_at.is_none() && now < self.expires_at
    }

    /// What is known of its refresh tokens.
    fn known(&self) -> Known<'_> {
        Known { generation: self.generation, digest: &self.refresh_digest, spent: &self.spent }
    }
}

/// The ordinary use of a session: by its present refresh token, long after the last one was spent. What all has to
/// be so that it is no more than that, and what the session becomes.
#[derive(Debug)]
pub(crate) struct Advance {
    pub(crate) session: SessionId,
    /// Of the token that is shown.
    pub(crate) generation: u32,
    pub(crate) digest: [u8; 32],
    /// The session goes on after this moment.
    pub(crate) live_at: Timestamp,
    /// It may go on until this one, and longer.
    pub(crate) bound_from: Timestamp,
    pub(crate) opened_by: Timestamp,
    /// The times of the tokens before are stored as less than this.
    pub(crate) spent_below: [u8; 8],
    pub(crate) now: Timestamp,
    /// When it ends if nothing bounds it earlier, and its new access token.
    pub(crate) expires_at: Timestamp,
    pub(crate) access_expires_at: Timestamp,
    pub(crate) successor: [u8; 32],
    pub(crate) address: Option<String>,
    pub(crate) user_agent: Option<String>,
}

/// Which sessions of an account to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// All.
    All,
    /// All but this one.
    AllBut(SessionId),
    /// This one.
    One(SessionId),
}

/// What can go wrong with sessions.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The refresh token is good for nothing (any more). Why is for the log.
    #[error("the refresh token is refused: {0}")]
    Refused(&'static str),
    /// The scope asked for was not granted.
    #[error("the scope was not granted")]
    Scope,
    /// The session is refreshed again and again; the token is not spent.
    #[error("the session is refreshed too often")]
    TooOften,
    /// There is no such live session of this account.
    #[error("there is no such session")]
    Unknown,
    /// The signature.
    #[error(transparent)]
    Keys(#[from] keys::Error),
    /// The database failed.
    #[error(transparent)]
    Db(#[from] crate::db::Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earlier_limit_decides() {
        let day = |days: i64| Timestamp::from_seconds(days * 86_400);
        let lifetime =
            Lifetime { idle: Duration::from_secs(30 * 86_400), absolute: Duration::from_secs(90 * 86_400) };
        assert_eq!(lifetime.expiry(day(10), day(90)), day(40));
        assert_eq!(lifetime.expiry(day(70), day(90)), day(90));
    }
}
