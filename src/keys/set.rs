//! The keys in use, parsed once, and the JWK set as it is sent (RFC 7517 §5).

use super::earlier::{self, EarlierKey, EarlierKeys};
use super::schedule::{self, Life};
use super::seen::Seen;
use super::{Error, State, StoredKey};
use crate::base::time::Timestamp;
use crate::http::prepared::Prepared;
use claviger_crypto::earlier::EarlierToken;
use claviger_crypto::jwk::PublicJwk;
use claviger_crypto::jws::{SigningKey, VerifyingKey};
use claviger_crypto::jwt;
use serde::Serialize;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// Where the JWK set is.
pub const JWK_SET_PATH: &str = "/.well-known/jwks.json";

/// RFC 7517 §8.5.2.
pub const JWK_SET_TYPE: &str = "application/jwk-set+json";

/// The keys in use at a time.
#[derive(Debug)]
pub struct KeySet {
    active: Arc<SigningKey>,
    verifying: HashMap<String, Arc<VerifyingKey>>,
    rsa: Option<PublicJwk>,
    jwk_set: Prepared,
    earlier: EarlierKeys,
    made_of: Vec<(String, String)>,
    seen: Seen,
}

/// RFC 7517 §5.
#[derive(Serialize)]
struct JwkSet<'a> {
    keys: Vec<&'a PublicJwk>,
}

impl KeySet {
    /// The set of the stored keys, of which `active` signs and the published ones verify. What `old` has
    /// parsed is taken from there.
    ///
    /// # Errors
    /// If a published key is none.
    pub(crate) fn new(
        active: Arc<SigningKey>,
        mut stored: Vec<StoredKey>,
        earlier: Vec<EarlierKey>,
        cache: Duration,
        old: Option<&Self>,
    ) -> Result<Self, Error> {
        let made_of = made_of(&stored, &earlier);
        let earlier = EarlierKeys::new(earlier)?;
        let lives: Vec<Life> = stored.iter().map(|key| key.life.clone()).collect();
        let rsa =
            schedule::latest_rsa(&lives).and_then(|rsa| stored.iter().find(|key| key.life.kid == rsa.kid));
        let rsa = rsa.map(|key| key.public.clone());
        stored.retain(StoredKey::is_published);
        stored.sort_by_key(|key| {
            (rank(key.life.state), Reverse(key.life.retired_at), Reverse(key.life.created_at))
        });
        let mut verifying = HashMap::with_capacity(stored.len());
        for key in &stored {
            let kid = &key.public.kid;
            let parsed = match old.and_then(|old| old.find(kid)) {
                Some(parsed) => parsed,
                None => Arc::new(VerifyingKey::from_jwk(&key.public)?),
            };
            verifying.insert(kid.clone(), parsed);
        }
        let keys = stored.iter().map(|key| &key.public).chain(earlier.public()).collect();
        let body = serde_json::to_vec(&JwkSet { keys })
            .map_err(|error| crate::db::Error::Corrupt(error.to_string()))?;
        let max_age = u32::try_from(cache.as_secs()).unwrap_or(0);
        let jwk_set = Prepared::new(body, JWK_SET_TYPE, max_age);
        Ok(Self { active, verifying, rsa, jwk_set, earlier, made_of, seen: Seen::default() })
    }

    /// The key that signs.
    pub fn active(&self) -> &SigningKey {
        &self.active
    }

    /// The same, to be kept for the next set.
    pub(crate) fn shared_active(&self) -> &Arc<SigningKey> {
        &self.active
    }

    /// The key that a token names. Unknown ids cost a look-up in memory and nothing else.
    pub fn find(&self, kid: &str) -> Option<Arc<VerifyingKey>> {
        self.verifying.get(kid).cloned()
    }

    /// What a token of an earlier server says, if it is good now; `None` if it cannot be one.
    pub fn earlier(&self, token: &str, now: Timestamp) -> Option<Result<EarlierToken, jwt::Error>> {
        self.earlier.verify(token, now)
    }

    /// The tokens that these keys verified last.
    pub fn seen(&self) -> &Seen {
        &self.seen
    }

    /// The published JWK set, as it is sent: the active key, the next one, then the retired ones, newest first, and
    /// those of earlier servers.
    pub fn jwk_set(&self) -> &Prepared {
        &self.jwk_set
    }

    /// The RSA key that signs or did so last, for those who know no other kind.
    pub fn rsa(&self) -> Option<&PublicJwk> {
        self.rsa.as_ref()
    }

    /// The ids and states of the stored keys that it was made of, in the order of the ids.
    pub(crate) fn made_of(&self) -> &[(String, String)] {
        &self.made_of
    }
}

fn made_of(stored: &[StoredKey], earlier: &[EarlierKey]) -> Vec<(String, String)> {
    let own = stored.iter().map(|key| (key.life.kid.clone(), key.life.state.name().to_owned()));
    let mut all: Vec<_> =
        own.chain(earlier.iter().map(|key| (key.public.kid.clone(), earlier::STATE.to_owned()))).collect();
    all.sort_unstable();
    all
}

/// The place of a state in the JWK set.
fn rank(state: State) -> u8 {
    match state {
        State::Active => 0,
        State::Next => 1,
        State::Retired | State::Kept => 2,
    }
}

/// The keys that verify, by their ids.
///
/// # Errors
/// If one of them is no key.
pub fn verifying_keys(published: &[PublicJwk]) -> Result<HashMap<String, Arc<VerifyingKey>>, Error> {
    published.iter().map(|jwk| Ok((jwk.kid.clone(), Arc::new(VerifyingKey::from_jwk(jwk)?)))).collect()
}
