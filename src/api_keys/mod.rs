//! API keys: what an operator gives to a service so that it may ask about tokens. Each has its own scopes,
//! is shown once, and is stored only as a digest.

pub mod api;
pub mod flow;
pub(crate) mod store;

use crate::base::time::Timestamp;
use uuid::Uuid;

/// What a key allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyScope {
    /// `POST /introspect`.
    Introspect,
    /// `POST /revoke`.
    Revoke,
}

impl KeyScope {
    /// All there are.
    pub const ALL: [Self; 2] = [Self::Introspect, Self::Revoke];

    /// The word that is typed, stored and shown.
    pub fn name(self) -> &'static str {
        match self {
            Self::Introspect => "introspect",
            Self::Revoke => "revoke",
        }
    }

    /// The scope of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.name() == name)
    }
}

/// A key as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredKey {
    /// Its id.
    pub id: Uuid,
    /// What it is for, in the operator's words.
    pub name: String,
    /// What it allows.
    pub scopes: Vec<KeyScope>,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it is refused.
    pub expires_at: Option<Timestamp>,
    /// When it was last used, to the hour.
    pub last_used_at: Option<Timestamp>,
}

/// What can go wrong with API keys.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is none, was taken back, or has expired.
    #[error("there is no such API key")]
    Unknown,
    /// It does not allow this.
    #[error("the API key has not the scope {}", .0.name())]
    Scope(KeyScope),
    /// The database failed.
    #[error(transparent)]
    Db(#[from] crate::db::Error),
}
