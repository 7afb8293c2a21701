//! The audit trail: what was done, by whom, from where, with which outcome. Events are added in the
//! transaction of the change they tell of, then chained, so that none can be altered or taken out unseen.
//!
//! The personal part of an event is apart: the chain covers only its salted digest, so that it can be
//! erased with its account while the chain still verifies.

mod chain;
pub mod flow;
pub(crate) mod store;
mod unordered;

pub use unordered::Walk;

use crate::base::id::{self, AccountId, SessionId};
use crate::base::random;
use crate::base::time::Timestamp;
use crate::metrics::{Id, Metrics};
use crate::traces;
use claviger_crypto::mac::MacKey;
use claviger_crypto::seal::MasterKey;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;
use uuid::Uuid;

macro_rules! events {
    ($($(#[doc = $meaning:literal])* $variant:ident = $name:literal,)*) => {
        /// What happened.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Kind { $($(#[doc = $meaning])* $variant),* }

        impl Kind {
            /// All there are.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The word that is stored, logged and shown.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// The kind of that name.
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|kind| kind.name() == name)
            }
        }
    };
}

events! {
    /// An account was made.
    SignUp = "sign-up",
    /// Accounts were brought in from elsewhere; the detail says how many.
    AccountImport = "account-import",
    /// All accounts were written out; the detail says whether with the hashes of their passwords.
    AccountExport = "account-export",
    /// A password was checked at a login.
    Login = "login",
    /// The present password was checked before a change.
    PasswordCheck = "password-check",
    /// A refresh token was exchanged for its successor.
    Refresh = "refresh",
    /// A spent refresh token came again after its window: the session was ended.
    RefreshReuse = "refresh-reuse",
    /// Sessions were ended by their owner.
    Logout = "logout",
    /// A session was ended by someone else: an operator, a service by `/revoke`.
    Revoke = "revoke",
    /// The account's data was changed.
    ProfileChange = "profile-change",
    /// The password was changed.
    PasswordChange = "password-change",
    /// The stored hash was renewed at a login.
    PasswordRehash = "password-rehash",
    /// The account was deleted.
    AccountDelete = "account-delete",
    /// The account was disabled.
    AccountDisable = "account-disable",
    /// The account was enabled again.
    AccountEnable = "account-enable",
    /// Wrong passwords became so many that more are refused for a while.
    GuessesThrottled = "guesses-throttled",
    /// An API key was made.
    ApiKeyCreate = "api-key-create",
    /// An API key was taken back.
    ApiKeyRevoke = "api-key-revoke",
    /// A signing key was made and published.
    KeyPublish = "key-publish",
    /// A signing key was brought in from elsewhere.
    KeyImport = "key-import",
    /// An operator asked that the next signing key sign.
    KeyRotate = "key-rotate",
    /// A signing key began to sign.
    KeyActivate = "key-activate",
    /// A signing key was taken out at once.
    KeyRevoke = "key-revoke",
    /// A retired signing key was removed, its last token having ended.
    KeyRemove = "key-remove",
    /// An operator began to make a backup.
    BackupCreate = "backup-create",
    /// A backup was restored: what happened after it was made is not in the trail.
    BackupRestore = "backup-restore",
}

/// How it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was done.
    Success,
    /// It was refused.
    Refused,
}

impl Outcome {
    /// The word that is stored, logged and shown.
    pub fn name(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Refused => "refused",
        }
    }
}

/// Who did it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// Nobody that is known (yet).
    Anonymous,
    /// The owner of an account.
    Account(AccountId),
    /// A service with an API key.
    ApiKey(Uuid),
    /// An operator on the command line, by the name or number of the system's user.
    Operator(String),
    /// The server itself.
    System,
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anonymous => f.write_str("anonymous"),
            Self::Account(id) => write!(f, "account:{id}"),
            Self::ApiKey(id) => write!(f, "api-key:{id}"),
            Self::Operator(name) => write!(f, "operator:{name}"),
            Self::System => f.write_str("system"),
        }
    }
}

/// Who asks, from where, and in which request.
#[derive(Clone, Debug)]
pub struct Origin {
    /// Who.
    pub actor: Actor,
    /// The client's address; none on the command line and in jobs.
    pub address: Option<IpAddr>,
    /// The request, or the run of a command or job.
    pub request_id: Uuid,
}

/// An event on its way into the trail.
#[derive(Clone, Debug)]
pub struct Event {
    pub(crate) id: Uuid,
    pub(crate) at: Timestamp,
    pub(crate) kind: Kind,
    pub(crate) outcome: Outcome,
    pub(crate) origin: Origin,
    pub(crate) account: Option<AccountId>,
    pub(crate) session: Option<SessionId>,
    pub(crate) detail: Option<String>,
    pub(crate) salt: [u8; 16],
}

/// The part of an event that says something of a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Personal {
    /// Who did it, as [`Actor`] displays it.
    pub actor: String,
    /// The account that is concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The session that is concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// From where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
}

impl Event {
    /// A successful event of now. Its account is the actor's, where the actor is one.
    pub fn new(kind: Kind, origin: Origin, at: Timestamp) -> Self {
        let account = match origin.actor {
            Actor::Account(account) => Some(account),
            _ => None,
        };
        let id = id::uuid_v7(at, random::bytes());
        let outcome = Outcome::Success;
        Self { id, at, kind, outcome, origin, account, session: None, detail: None, salt: random::bytes() }
    }

    /// The same, refused.
    #[must_use]
    pub fn refused(self) -> Self {
        Self { outcome: Outcome::Refused, ..self }
    }

    /// The account that is concerned.
    #[must_use]
    pub fn account(self, account: AccountId) -> Self {
        Self { account: Some(account), ..self }
    }

    /// The account that is concerned and whose owner did it.
    #[must_use]
    pub fn by_owner(self, account: AccountId) -> Self {
        let origin = Origin { actor: Actor::Account(account), ..self.origin };
        Self { account: Some(account), origin, ..self }
    }

    /// The session that is concerned.
    #[must_use]
    pub fn session(self, session: SessionId) -> Self {
        Self { session: Some(session), ..self }
    }

    /// What else there is to say. It is kept when the account is erased, so nothing personal; no secret.
    #[must_use]
    pub fn detail(self, detail: impl Into<String>) -> Self {
        Self { detail: Some(detail.into()), ..self }
    }

    /// The same without anything that leads to a person: what stays of the deletion of an account. An
    /// operator who did it is still named.
    #[must_use]
    pub fn unlinked(mut self) -> Self {
        if matches!(self.origin.actor, Actor::Account(_)) {
            self.origin = Origin { actor: Actor::Anonymous, address: None, ..self.origin };
        }
        Self { account: None, session: None, ..self }
    }

    /// The personal part.
    pub(crate) fn personal(&self) -> Personal {
        Personal {
            actor: self.origin.actor.to_string(),
            account: self.account.map(|id| id.to_string()),
            session: self.session.map(|id| id.to_string()),
            address: self.origin.address.map(|address| address.to_string()),
        }
    }

    /// Counts the event and writes its line to the log; after the commit, so that the log tells only what is so.
    pub fn log(&self, metrics: &Metrics) {
        metrics.count(Id::AuditEvents, &[self.kind as usize, self.outcome as usize]);
        let Origin { actor, address, request_id } = &self.origin;
        let (event, outcome) = (self.kind.name(), self.outcome.name());
        let account = self.account.map(tracing::field::display);
        let session = self.session.map(tracing::field::display);
        let address = address.map(tracing::field::display);
        let detail = self.detail.as_deref();
        let trace_id = traces::trace_id().map(tracing::field::display);
        tracing::info!(event, outcome, %actor, account, session, address, %request_id, trace_id, detail);
    }
}

/// An event as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its own id; those of later events are greater, but for events of the same millisecond.
    pub id: Uuid,
    /// When it happened.
    pub at: Timestamp,
    /// The name of its [`Kind`]; one that is unknown here if another version of the program wrote it.
    pub event: String,
    /// The name of its [`Outcome`].
    pub outcome: String,
    /// The request, or the run of a command or job.
    pub request_id: Uuid,
    /// What else there is to say.
    pub detail: Option<String>,
    /// The personal part; none once it is erased.
    pub personal: Option<Personal>,
    /// Its place in the chain; none until it is sealed.
    pub place: Option<i64>,
}

/// Which events to list; the default is all of them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Filter {
    /// Those that concern this account.
    pub account: Option<AccountId>,
    /// Those of this kind.
    pub event: Option<Kind>,
    /// Those of this moment and later.
    pub since: Option<Timestamp>,
}

/// Which part of a list, newest first.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    /// What follows the entry of this id; from the newest on if none.
    pub before: Option<Uuid>,
    /// At most so many.
    pub limit: usize,
}

/// What became of walking the chain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Events that are sealed and fit, up to the break if there is one.
    pub events: u64,
    /// Events that are not sealed yet.
    pub unsealed: u64,
    /// The first thing that does not fit.
    pub broken: Option<Broken>,
}

/// What does not fit in the chain, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the audit chain is broken at place {place}: {why}")]
pub struct Broken {
    /// The place in the chain, counted from 1.
    pub place: i64,
    /// What is wrong there, for people.
    pub why: String,
}

/// What can go wrong with the trail.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database failed.
    #[error(transparent)]
    Db(#[from] crate::db::Error),
    /// The chain was tampered with. It is neither made longer nor cut, so that this stays to be seen.
    #[error(transparent)]
    Broken(#[from] Broken),
}

/// The key that seals the trail. It is not in the database: who can write only there cannot seal.
pub fn key(master: &MasterKey) -> MacKey {
    MacKey::new(*master.derive("audit"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
mod attack_tests;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
mod tests;
