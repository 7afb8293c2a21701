//! The server's public keys: the JWK set (RFC 7517 §5), and the copy of it that is kept fresh.

use crate::fetch::{FetchError, Response};
use crate::fresh::{Copy, File, Manner};
use claviger_crypto::jwk::PublicJwk;
use claviger_crypto::jws::VerifyingKey;
use serde_json::Value;
use std::collections::HashMap;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::time::Instant;
use url::Url;

/// How long a set is good that does not say.
const FRESH_BY_DEFAULT: Duration = Duration::from_secs(300);

/// However long it may be kept, a set is looked at again after half of this: a key may be revoked.
const FRESH_AT_MOST: Duration = Duration::from_secs(3600);

/// More keys than this no server has.
const MAX_KEYS: usize = 100;

/// The members of a key that count; others are ignored, as RFC 7517 §4 asks.
const MEMBERS: [&str; 9] = ["alg", "crv", "e", "kid", "kty", "n", "use", "x", "y"];

/// A JWK set.
#[derive(Debug, Default)]
pub(crate) struct KeySet(HashMap<String, VerifyingKey>);

impl KeySet {
    /// Reads a set. Keys that are none of ours, by type, use or algorithm, are passed over (RFC 7517 §5).
    pub(crate) fn read(body: &[u8]) -> Result<Self, FetchError> {
        let set: Value = serde_json::from_slice(body).map_err(|_| FetchError::new("it is no JSON"))?;
        let keys = set.get("keys").and_then(Value::as_array);
        let keys = keys.ok_or_else(|| FetchError::new("it is no JWK set"))?;
        let mut known = HashMap::new();
        for jwk in keys.iter().take(MAX_KEYS).filter_map(public_key) {
            if let Ok(key) = VerifyingKey::from_jwk(&jwk) {
                known.entry(jwk.kid).or_insert(key);
            }
        }
        if known.is_empty() { Err(FetchError::new("no key in it can be used")) } else { Ok(Self(known)) }
    }

    /// The key of this id.
    pub(crate) fn key(&self, kid: &str) -> Option<&VerifyingKey> {
        self.0.get(kid)
    }
}

fn public_key(jwk: &Value) -> Option<PublicJwk> {
    let members = jwk.as_object()?.iter().filter(|(name, _)| MEMBERS.contains(&name.as_str()));
    let members = members.map(|(name, value)| (name.clone(), value.clone())).collect();
    serde_json::from_value(Value::Object(members)).ok()
}

struct SetFile(Url);

impl File for SetFile {
    type Value = KeySet;
    const ACCEPT: &'static str = "application/jwk-set+json, application/json";
    const LIMIT: usize = 64 * 1024;

    fn url(&self) -> &Url {
        &self.0
    }

    async fn read(&self, response: &Response) -> Result<KeySet, FetchError> {
        KeySet::read(&response.body)
    }

    fn fresh_for(&self, _: &KeySet, response: &Response) -> Duration {
        response.fresh_for().unwrap_or(FRESH_BY_DEFAULT).min(FRESH_AT_MOST)
    }
}

/// The keys, kept fresh.
pub(crate) struct Keys {
    copy: Copy<KeySet>,
    keep_for: Duration,
}

impl Keys {
    /// Of the set at `url`, used for `keep_for` while the server is away.
    pub(crate) fn start(url: Url, keep_for: Duration, manner: Manner, runtime: &Handle) -> Self {
        Self { copy: Copy::start(SetFile(url), manner, runtime), keep_for }
    }

    /// Verifies by the set that is there; if `is_for_want_of_a_key`, once more by a newer one.
    ///
    /// # Errors
    /// If there is no set.
    pub(crate) async fn verify<T, E>(
        &self,
        verify: impl Fn(&KeySet) -> Result<T, E>,
        is_for_want_of_a_key: impl Fn(&E) -> bool,
    ) -> Result<Result<T, E>, FetchError> {
        if let Some(known) = self.present(&self.copy.state()) {
            match verify(&known) {
                Err(error) if is_for_want_of_a_key(&error) => {}
                verified => return Ok(verified),
            }
        }
        let state = self.copy.newer().await;
        self.present(&state).map(|set| verify(&set)).ok_or_else(|| state.failure())
    }

    /// Waits for the first set, or for a newer one while there is none.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) async fn ready(&self) -> Result<(), FetchError> {
        self.verify(|_| Ok::<(), FetchError>(()), |_| false).await.map(|_| ())
    }

    /// Fetches the set anew.
    ///
    /// # Errors
    /// If that fails.
    pub(crate) async fn now(&self) -> Result<(), FetchError> {
        self.copy.now().await.failure.map_or(Ok(()), Err)
    }

    fn present(&self, state: &crate::fresh::State<KeySet>) -> Option<std::sync::Arc<KeySet>> {
        let as_of = state.as_of?;
        let is_usable = Instant::now().saturating_duration_since(as_of) <= self.keep_for;
        state.value.clone().filter(|_| is_usable)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use claviger_crypto::jws::{KeyKind, SigningKey};
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn keys_of_other_kinds_and_new_members_are_no_trouble() {
        let [one, other] = [KeyKind::P256, KeyKind::Ed25519].map(|kind| SigningKey::generate(kind).unwrap());
        let mut with_more = serde_json::to_value(one.public()).unwrap();
        with_more["x5t#S256"] = json!("abc");
        with_more["exp"] = json!(1);
        let mut without_a_point = serde_json::to_value(one.public()).unwrap();
        without_a_point["x"] = json!("AAAA");
        without_a_point["kid"] = json!("no point");
        let set = json!({"more": 1, "keys": [
            with_more, null, 7, [], {}, {"kty": "oct", "k": "AAAA", "kid": "secret", "alg": "HS256", "use": "sig"},
            {"kty": "EC", "crv": "P-384", "kid": "large"}, without_a_point, other.public(),
        ]});
        let set = KeySet::read(set.to_string().as_bytes()).unwrap();
        assert_eq!(set.0.len(), 2);
        for key in [one, other] {
            assert!(set.key(&key.public().kid).is_some());
        }
        assert!(set.key("secret").is_none());
    }

    #[test]
    fn what_is_no_set_is_refused() {
        for body in ["", "null", "[]", "{}", r#"{"keys":{}}"#, r#"{"keys":[]}"#, r#"{"keys":[{}]}"#, "<html>"]
        {
            assert!(KeySet::read(body.as_bytes()).is_err(), "{body}");
        }
    }

    proptest! {
        #[test]
        fn garbage_is_refused_quietly(body: Vec<u8>, text in r#"[{}\[\]":,a-z0-9]{0,80}"#) {
            prop_assert!(KeySet::read(&body).is_err());
            let nearly = format!(r#"{{"keys":[{text}]}}"#);
            prop_assert!(KeySet::read(nearly.as_bytes()).is_err());
        }
    }
}
