//! Signing keys: their states, the set that is in use, and the published JWK set (RFC 7517 §5).
//!
//! Private halves exist in the database only sealed. Readers of the key set never touch the database.

pub mod api;
pub mod flow;
pub mod master;
pub(crate) mod store;

use crate::base::time::Timestamp;
use crate::http::prepared::Prepared;
use claviger_crypto::jwk::PublicJwk;
use claviger_crypto::jws::{SigningKey, VerifyingKey};
use serde::Serialize;
use std::collections::HashMap;
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
}

impl State {
    /// The word that is stored and shown.
    pub fn name(self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::Active => "active",
            Self::Retired => "retired",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::Next, Self::Active, Self::Retired].into_iter().find(|state| state.name() == name)
    }
}

/// A stored key.
#[derive(Debug)]
pub struct StoredKey {
    /// The public half.
    pub public: PublicJwk,
    /// Its state.
    pub state: State,
    /// When it was made.
    pub created_at: Timestamp,
    pub(crate) sealed_pkcs8: Vec<u8>,
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
    /// A key cannot be made or used.
    #[error(transparent)]
    Key(#[from] claviger_crypto::jws::KeyError),
}

/// How long a request waits for the first key.
const PATIENCE: Duration = Duration::from_secs(5);

/// RFC 7517 §8.5.2.
pub const JWK_SET_TYPE: &str = "application/jwk-set+json";

/// How long verifiers may keep the JWK set, seconds.
const MAX_AGE: u32 = 300;

/// The keys in use, parsed once, and the JWK set as it is sent.
#[derive(Debug)]
pub struct KeySet {
    active: SigningKey,
    verifying: HashMap<String, Arc<VerifyingKey>>,
    jwk_set: Prepared,
}

/// RFC 7517 §5.
#[derive(Serialize)]
struct JwkSet<'a> {
    keys: &'a [PublicJwk],
}

impl KeySet {
    /// A set whose `active` key signs and whose `published` keys verify.
    ///
    /// # Errors
    /// If a published key is none.
    pub fn new(active: SigningKey, published: &[PublicJwk]) -> Result<Self, Error> {
        let body = serde_json::to_vec(&JwkSet { keys: published })
            .map_err(|error| crate::db::Error::Corrupt(error.to_string()))?;
        let jwk_set = Prepared::new(body, JWK_SET_TYPE, MAX_AGE);
        Ok(Self { active, verifying: verifying_keys(published)?, jwk_set })
    }

    /// The key that signs.
    pub fn active(&self) -> &SigningKey {
        &self.active
    }

    /// The key that a token names. Unknown ids cost a look-up in memory and nothing else.
    pub fn find(&self, kid: &str) -> Option<Arc<VerifyingKey>> {
        self.verifying.get(kid).cloned()
    }

    /// The published JWK set, as it is sent.
    pub fn jwk_set(&self) -> &Prepared {
        &self.jwk_set
    }
}

/// The keys that verify, by their ids.
///
/// # Errors
/// If one of them is no key.
pub fn verifying_keys(published: &[PublicJwk]) -> Result<HashMap<String, Arc<VerifyingKey>>, Error> {
    published.iter().map(|jwk| Ok((jwk.kid.clone(), Arc::new(VerifyingKey::from_jwk(jwk)?)))).collect()
}

/// The current key set, for all readers; empty for the moment in which the first key is made.
#[derive(Clone, Debug)]
pub struct Keyring {
    current: watch::Receiver<Option<Arc<KeySet>>>,
}

/// The end of a [`Keyring`] that replaces the set.
#[derive(Debug)]
pub struct KeyringWriter(watch::Sender<Option<Arc<KeySet>>>);

impl Keyring {
    /// An empty keyring and its writer.
    pub fn new() -> (KeyringWriter, Self) {
        let (sender, current) = watch::channel(None);
        (KeyringWriter(sender), Self { current })
    }

    /// The current set; waits a while for the first key.
    ///
    /// # Errors
    /// [`Error::NotReady`] if there is none after that.
    pub async fn current(&self) -> Result<Arc<KeySet>, Error> {
        if let Some(set) = self.current.borrow().as_ref() {
            return Ok(set.clone());
        }
        let mut changes = self.current.clone();
        let first = tokio::time::timeout(PATIENCE, changes.wait_for(Option::is_some)).await;
        first.ok().and_then(Result::ok).and_then(|set| set.clone()).ok_or(Error::NotReady)
    }
}

impl KeyringWriter {
    /// Puts a new set into use.
    pub fn replace(&self, set: KeySet) {
        self.0.send_replace(Some(Arc::new(set)));
    }
}
