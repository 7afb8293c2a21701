//! The verifier: a token in, its claims out.

use crate::builder::Builder;
use crate::claims::Claims;
use crate::error::{Error, is_unknown_key};
use crate::lists::{Common, Lists};
use claviger_crypto::jwt::{AccessToken, Expected};
use std::fmt;
use std::sync::Arc;

/// Verifies access tokens. Clones share their keys and lists; with the last one their tasks end.
#[derive(Clone)]
pub struct Verifier(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) common: Arc<Common>,
    pub(crate) audience: String,
    /// Seconds.
    pub(crate) leeway: i64,
    pub(crate) lists: Option<Lists>,
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Verifier({} for {})", self.0.common.issuer, self.0.audience)
    }
}

impl Verifier {
    /// A verifier of the tokens of `issuer`: its exact `iss`, such as `https://auth.example.com`.
    pub fn builder(issuer: impl Into<String>) -> Builder {
        Builder::new(issuer.into())
    }

    /// Verifies a token, and that its session goes on.
    ///
    /// Takes some 30 µs and waits for nothing, but for the first keys, for those of an unknown key id, and for a list
    /// that no token has named yet: no longer than one fetch may take ([`Builder::time_limit`]) for each of them. May be
    /// dropped at any time.
    ///
    /// # Errors
    /// What is wrong with the token, or why nobody can tell ([`Error::is_of_the_token`]).
    pub async fn verify(&self, token: &str) -> Result<Claims, Error> {
        let Inner { common, audience, leeway, lists } = &*self.0;
        // A clock that is behind is lenient about `exp`. About `iat` and `nbf` the rule itself grants 60 seconds.
        let now = (common.now)().saturating_sub(*leeway);
        let expected = Expected { issuer: &common.issuer, audience, now };
        let verified = common
            .keys
            .verify(|set| AccessToken::verify(token, expected, |kid| set.key(kid)), is_unknown_key)
            .await
            .map_err(Error::NoKeys)?;
        let claims = Claims::new(verified?);
        if let Some(lists) = lists {
            lists.check(&claims.token().status.status_list).await?;
        }
        Ok(claims)
    }

    /// Waits until there are keys. Call it when the service starts, to learn of a wrong address before the first
    /// request, and for its health check. A try that has failed is not repeated within [`Builder::pause`].
    ///
    /// # Errors
    /// [`Error::NoKeys`].
    pub async fn ready(&self) -> Result<(), Error> {
        self.0.common.keys.ready().await.map_err(Error::NoKeys)
    }

    /// Fetches the keys, and the lists in use, now: after a key was revoked, or in tests. It is never needed for what
    /// happens by itself within a minute.
    ///
    /// # Errors
    /// [`Error::NoKeys`] or [`Error::NoStatus`]. What was there is still there then.
    pub async fn refresh(&self) -> Result<(), Error> {
        self.0.common.keys.now().await.map_err(Error::NoKeys)?;
        match &self.0.lists {
            Some(lists) => lists.now().await.map_err(Error::NoStatus),
            None => Ok(()),
        }
    }
}
