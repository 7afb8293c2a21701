//! Keys of the server that was here before: its tokens stay good until a date, and each may look at its account.
//!
//! They sign nothing here and verify none of our own tokens. The account ends their tokens as it ends its sessions.

pub mod flow;
mod store;

use crate::base::time::Timestamp;
use crate::keys::Error;
use claviger_crypto::earlier::EarlierToken;
use claviger_crypto::jwk::PublicJwk;
use claviger_crypto::jws::{self, VerifyingKey};
use claviger_crypto::jwt;
use std::sync::Arc;

/// The most at a time: a token that names none of them is held against each.
pub const MOST: usize = 4;

/// What an earlier key's state is called.
pub const STATE: &str = "earlier";

/// A key of an earlier server.
#[derive(Clone, Debug)]
pub struct EarlierKey {
    /// The key, by the id that its tokens name.
    pub public: PublicJwk,
    /// When it was imported.
    pub created_at: Timestamp,
    /// From then on nothing that it signed is good.
    pub verify_until: Timestamp,
}

/// Those in use, parsed.
#[derive(Clone, Debug, Default)]
pub(super) struct EarlierKeys(Vec<(EarlierKey, Arc<VerifyingKey>)>);

impl EarlierKeys {
    pub(super) fn new(stored: Vec<EarlierKey>) -> Result<Self, Error> {
        let parsed = stored.into_iter().map(|key| {
            let parsed = VerifyingKey::from_jwk(&key.public)?;
            Ok::<_, Error>((key, Arc::new(parsed)))
        });
        Ok(Self(parsed.collect::<Result<_, _>>()?))
    }

    pub(super) fn public(&self) -> impl Iterator<Item = &PublicJwk> {
        self.0.iter().map(|(key, _)| &key.public)
    }

    /// What a token says that one of them signed, if it is good now; `None` if it cannot be one of theirs.
    pub(super) fn verify(&self, token: &str, now: Timestamp) -> Option<Result<EarlierToken, jwt::Error>> {
        let live = self.0.iter().filter(|(key, _)| now < key.verify_until);
        match EarlierToken::verify(token, live.map(|(key, parsed)| (&*key.public.kid, &**parsed))) {
            Err(jwt::Error::Jws(why)) if why != jws::Error::BadSignature => None,
            Ok(token) => Some(token.lifetime.check(now.as_seconds()).map(|()| token)),
            refused => Some(refused),
        }
    }
}
