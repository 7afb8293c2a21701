//! Access tokens: JWTs (RFC 7519) with the profile of RFC 9068.
//!
//! Signing and verifying know nothing of the wall clock: the caller passes the time.

use crate::json;
use crate::jws::{self, KeyError, SigningKey, Unverified, VerifyingKey};
use crate::status::StatusClaim;
use serde::{Deserialize, Serialize};

/// `typ` of an access token (RFC 9068 §2.1).
pub const ACCESS_TOKEN: &str = "at+jwt";

/// How far `iat` and `nbf` may lie ahead of our clock, in seconds; `exp` gets no such grace.
const CLOCK_SKEW: i64 = 60;

/// The claims of an access token (RFC 9068 §2.2). Times are whole seconds since 1970 UTC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessToken {
    /// Who issued it, compared as an exact string.
    pub iss: String,
    /// The account's id.
    pub sub: String,
    /// Whom it is for.
    pub aud: String,
    /// From this second on it is refused.
    pub exp: i64,
    /// When it was issued.
    pub iat: i64,
    /// Before this second it is refused. Not written by us.
    #[serde(default, deserialize_with = "json::present", skip_serializing_if = "Option::is_none")]
    pub nbf: Option<i64>,
    /// This token's own id.
    pub jti: String,
    /// The client it was issued to.
    pub client_id: String,
    /// The session it was issued in.
    pub sid: String,
    /// What it allows, separated by spaces (RFC 9068 §2.2.3).
    pub scope: String,
    /// Where it says whether the token has been revoked.
    #[serde(deserialize_with = "json::object")]
    pub status: StatusClaim,
    /// The same as `sub`, for callers of the starting API.
    pub public_id: String,
}

/// When a token is good, in seconds since 1970 UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime {
    /// The later of `iat` and `nbf`.
    pub begins: i64,
    /// `exp`.
    pub ends: i64,
}

impl Lifetime {
    /// Whether a token with this lifetime is good `now`.
    ///
    /// # Errors
    /// [`Error::Expired`] or [`Error::NotYetValid`].
    pub fn check(self, now: i64) -> Result<(), Error> {
        if self.ends <= now {
            return Err(Error::Expired);
        }
        if self.begins > now.saturating_add(CLOCK_SKEW) { Err(Error::NotYetValid) } else { Ok(()) }
    }
}

/// What a token's claims are held against.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// The exact issuer.
    pub issuer: &'a str,
    /// The exact audience.
    pub audience: &'a str,
    /// The time of the check, seconds since 1970 UTC.
    pub now: i64,
}

/// Why an access token is refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Its form, key, kind or signature.
    #[error(transparent)]
    Jws(#[from] jws::Error),
    /// A claim is missing or of the wrong JSON type.
    #[error("its claims are not those of an access token")]
    Claims,
    /// Another server issued it.
    #[error("another issuer made it")]
    WrongIssuer,
    /// It is meant for another service.
    #[error("it is meant for another audience")]
    WrongAudience,
    /// `exp` has come.
    #[error("it has expired")]
    Expired,
    /// `nbf` or `iat` lies in the future.
    #[error("it is not valid yet")]
    NotYetValid,
}

impl AccessToken {
    /// Signs these claims.
    ///
    /// # Errors
    /// If the key cannot sign.
    pub fn sign(&self, key: &SigningKey) -> Result<String, KeyError> {
        key.sign(ACCESS_TOKEN, self)
    }

    /// Verifies a token with the key that `find` returns for its `kid`, then its claims.
    ///
    /// # Errors
    /// The first rule that the token breaks.
    pub fn verify<K: AsRef<VerifyingKey>>(
        token: &str,
        expected: Expected<'_>,
        find: impl FnOnce(&str) -> Option<K>,
    ) -> Result<Self, Error> {
        let payload = Unverified::parse(token)?.verify(ACCESS_TOKEN, find)?;
        let claims: Self = json::from_object(&payload).ok_or(Error::Claims)?;
        claims.check(expected)?;
        Ok(claims)
    }

    fn check(&self, expected: Expected<'_>) -> Result<(), Error> {
        if self.iss != expected.issuer {
            return Err(Error::WrongIssuer);
        }
        if self.aud != expected.audience {
            return Err(Error::WrongAudience);
        }
        self.lifetime().check(expected.now)
    }

    /// When the token is good.
    pub fn lifetime(&self) -> Lifetime {
        Lifetime { begins: self.nbf.map_or(self.iat, |nbf| nbf.max(self.iat)), ends: self.exp }
    }
}
