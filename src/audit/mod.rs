//! The audit trail: what was done, by whom, from where, with which outcome. Events are added in the
//! transaction of the change they tell of, then chained, so that none can be altered or taken out unseen.
//!
//! The personal part of an event is apart: the chain covers only its salted digest, so that it can be
//! erased with its account while the chain still verifies.

pub mod flow;
pub(crate) mod store;

use crate::base::id::{self, AccountId, SessionId};
use crate::base::random;
use crate::base::time::Timestamp;
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
            /// The word that is stored, logged and shown.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }
        }
    };
}

events! {
    /// An account was made.
    SignUp = "sign-up",
    /// A password was checked at a login.
    Login = "login",
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
    /// A signing key began to sign.
    KeyActivate = "key-activate",
    /// A signing key was taken out at once.
    KeyRevoke = "key-revoke",
    /// A retired signing key was removed, its last token having ended.
    KeyRemove = "key-remove",
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

    /// Writes the event's line to the log; after the commit, so that the log tells only what is so.
    pub fn log(&self) {
        let Origin { actor, address, request_id } = &self.origin;
        let (event, outcome) = (self.kind.name(), self.outcome.name());
        let account = self.account.map(tracing::field::display);
        let session = self.session.map(tracing::field::display);
        let address = address.map(tracing::field::display);
        let detail = self.detail.as_deref();
        tracing::info!(event, outcome, %actor, account, session, address, %request_id, detail);
    }
}
