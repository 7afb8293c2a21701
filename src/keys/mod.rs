//! Signing keys: their states, the set that is in use, and the keyring that all readers share.
//!
//! Private halves exist in the database only sealed. Readers of the key set never touch the database.

pub mod api;
pub mod earlier;
pub mod flow;
pub mod master;
pub mod schedule;
mod seen;
mod set;
pub(crate) mod store;

pub use seen::Known;
pub use set::{JWK_SET_PATH, JWK_SET_TYPE, KeySet, verifying_keys};

use claviger_crypto::jwk::PublicJwk;
use claviger_crypto::jws::KeyKind;
use schedule::Life;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Where a key stands in its life. A key that is gone has no row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Published, does not sign yet.
    Next,
    /// Signs.
    Active,
    /// Signs no more; published until the last token it signed has ended.
    Retired,
    /// The same, and published no more. The last RSA key stays so, for `GET /jwks`.
    Kept,
}

impl State {
    /// The word that is stored and shown.
    pub fn name(self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::Active => "active",
            Self::Retired => "retired",
            Self::Kept => "kept",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::Next, Self::Active, Self::Retired, Self::Kept].into_iter().find(|state| state.name() == name)
    }
}

/// A stored key.
#[derive(Debug)]
pub struct StoredKey {
    /// The public half.
    pub public: PublicJwk,
    /// Where it stands in its life.
    pub life: Life,
    pub(crate) sealed_pkcs8: Vec<u8>,
}

impl StoredKey {
    /// Whether it is in the JWK set, and so verifies.
    pub fn is_published(&self) -> bool {
        self.life.state != State::Kept
    }
}

/// What came of a revocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Revoked {
    /// The key is gone; the one with this id signs from now on, if another did before.
    Done(Option<String>),
    /// Nothing was done: it is the active key, there is no next one, and no spare one was given.
    NeedsKey,
}

/// What [`flow::tick`] did and wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticked {
    /// Whether it changed a key's state.
    pub changed: bool,
    /// A key of this kind is to be made and given to [`flow::publish`].
    pub needs_key: Option<KeyKind>,
}

/// What can go wrong with keys.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database failed.
    #[error(transparent)]
    Db(#[from] crate::db::Error),
    /// The master key is missing, unreadable or wrong; the text says what to do.
    #[error("{0}")]
    Master(String),
    /// The first key is not made yet, or cannot be stored.
    #[error("there is no signing key yet")]
    NotReady,
    /// Keys are stored, but none of them signs.
    #[error("none of the stored signing keys is active")]
    NoneActive,
    /// No key has this id.
    #[error("there is no signing key {0}. List them with: claviger key list")]
    Unknown(String),
    /// The imported key is there already.
    #[error("the signing key {0} is there already")]
    Exists(String),
    /// There are as many keys of earlier servers as there may be.
    #[error(
        "there are {} keys of earlier servers already. Take one out with: claviger key revoke",
        earlier::MOST
    )]
    TooMany,
    /// The imported key is of another kind than new ones. The next rotation would do away with it.
    #[error("it is {}, but the settings ask for {}. Set signing_alg and rsa_bits to its kind, for the server too", kind_name(.0), kind_name(.1))]
    OtherKind(KeyKind, KeyKind),
    /// A key cannot be made or used.
    #[error(transparent)]
    Key(#[from] claviger_crypto::jws::KeyError),
}

/// A kind of key in words.
fn kind_name(kind: &KeyKind) -> String {
    match kind {
        KeyKind::Rsa(bits) => format!("an RSA key of {} bits (RS256)", bits.count()),
        KeyKind::P256 => "a P-256 key (ES256)".into(),
        KeyKind::Ed25519 => "an Ed25519 key (EdDSA)".into(),
    }
}

/// How long a request waits for the first key.
const PATIENCE: Duration = Duration::from_secs(5);

/// The current key set, for all readers; empty for the moment in which the first key is made.
#[derive(Clone, Debug)]
pub struct Keyring {
    current: watch::Receiver<Option<Arc<KeySet>>>,
}

/// The end of a [`Keyring`] that replaces the set.
#[derive(Clone, Debug)]
pub struct KeyringWriter(watch::Sender<Option<Arc<KeySet>>>);

impl Keyring {
    /// An empty keyring and its writer.
    pub fn new() -> (KeyringWriter, Self) {
        let (sender, current) = watch::channel(None);
        (KeyringWriter(sender), Self { current })
    }

    /// Whether there is a key to sign with.
    pub fn has_keys(&self) -> bool {
        self.current.borrow().is_some()
    }

    /// The current set, if the first key is made.
    pub fn present(&self) -> Option<Arc<KeySet>> {
        self.current.borrow().clone()
    }

    /// The current set; waits a while for the first key.
    ///
    /// # Errors
    /// [`Error::NotReady`] if there is none after that.
    pub async fn current(&self) -> Result<Arc<KeySet>, Error> {
        if let Some(set) = self.present() {
            return Ok(set);
        }
        let mut changes = self.current.clone();
        let first = tokio::time::timeout(PATIENCE, changes.wait_for(Option::is_some)).await;
        first.ok().and_then(Result::ok).and_then(|set| set.clone()).ok_or(Error::NotReady)
    }
}

impl KeyringWriter {
    /// The current set, if there is one.
    pub fn current(&self) -> Option<Arc<KeySet>> {
        self.0.borrow().clone()
    }

    /// Puts a new set into use.
    pub fn replace(&self, set: KeySet) {
        self.0.send_replace(Some(Arc::new(set)));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]
mod tests;
