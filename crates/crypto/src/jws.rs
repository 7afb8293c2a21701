//! JWS compact serialisation (RFC 7515 §3.1) under our own keys, and nothing looser.
//!
//! A token names a key by `kid`; the key, never the token, says which algorithm verifies it
//! (RFC 8725 §3.1). Header members other than `alg`, `kid` and `typ` are refused, so `crit`, `jku`,
//! `x5u`, `jwk` and `x5c` have no effect but refusal.

pub use crate::key::{KeyError, KeyKind, RsaBits, SigningKey, VerifyingKey};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Longer tokens are refused before anything in them is decoded. Bytes.
pub const MAX_TOKEN_LENGTH: usize = 8 * 1024;

/// Why a token is refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Over [`MAX_TOKEN_LENGTH`].
    #[error("it is longer than 8 kB")]
    TooLong,
    /// Not three base64url parts, or the header is not the JSON object we write.
    #[error("it is not a well-formed token: {0}")]
    Malformed(&'static str),
    /// `kid` names no key of ours.
    #[error("no key of this server has its key id")]
    UnknownKey,
    /// `alg` is not the algorithm of the key that `kid` names.
    #[error("its algorithm is not the one of its key")]
    WrongAlgorithm,
    /// `typ` is another kind of token's.
    #[error("it is another kind of token")]
    WrongType,
    /// The signature does not verify.
    #[error("its signature does not verify")]
    BadSignature,
}

impl SigningKey {
    /// Signs `claims` as a token whose header says `typ`.
    ///
    /// # Errors
    /// If the claims cannot be written as JSON.
    pub fn sign<T: Serialize>(&self, typ: &str, claims: &T) -> Result<String, KeyError> {
        let header =
            format!(r#"{{"alg":"{}","kid":"{}","typ":"{typ}"}}"#, self.public.alg.name(), self.public.kid);
        let payload = serde_json::to_vec(claims).map_err(|_| KeyError("the claims are not JSON"))?;
        let mut token = format!("{}.{}", crate::base64url(header.as_bytes()), crate::base64url(&payload));
        let signature = self.signature(token.as_bytes())?;
        token.push('.');
        token.push_str(&crate::base64url(&signature));
        Ok(token)
    }
}

/// The header we write and the only one we read (RFC 7515 §4).
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// The algorithm the token claims; compared with its key's, never chosen by.
    pub alg: String,
    /// The key's id.
    pub kid: String,
    /// The kind of token (RFC 8725 §3.11).
    pub typ: String,
}

/// A token taken apart, nothing of it trusted yet.
#[derive(Debug)]
pub struct Unverified<'a, H = Header> {
    /// The decoded header.
    pub header: H,
    /// The decoded payload.
    pub payload: Vec<u8>,
    signing_input: &'a str,
    signature: Vec<u8>,
}

impl<'a, H: DeserializeOwned> Unverified<'a, H> {
    /// The same of a token that may have another header, and be longer or shorter than others: `limit` in bytes.
    pub(crate) fn parse_within(limit: usize, token: &'a str) -> Result<Self, Error> {
        if token.len() > limit {
            return Err(Error::TooLong);
        }
        let three = Error::Malformed("it has not three parts");
        let Some((signing_input, signature)) = token.rsplit_once('.') else { return Err(three) };
        let Some((header, payload)) = signing_input.split_once('.') else { return Err(three) };
        let header = crate::from_base64url(header).ok_or(Error::Malformed("its header is not base64url"))?;
        let header = crate::json::from_object(&header)
            .ok_or(Error::Malformed("its header is not the one this server writes"))?;
        let payload =
            crate::from_base64url(payload).ok_or(Error::Malformed("its payload is not base64url"))?;
        let signature =
            crate::from_base64url(signature).ok_or(Error::Malformed("its signature is not base64url"))?;
        Ok(Self { header, payload, signing_input, signature })
    }

    /// Whether `key` made its signature.
    pub(crate) fn is_by(&self, key: &VerifyingKey) -> bool {
        key.verifies(self.signing_input.as_bytes(), &self.signature)
    }
}

impl<'a> Unverified<'a> {
    /// Takes a compact token apart, strictly.
    ///
    /// # Errors
    /// [`Error::TooLong`], over [`MAX_TOKEN_LENGTH`], or [`Error::Malformed`].
    pub fn parse(token: &'a str) -> Result<Self, Error> {
        Self::parse_within(MAX_TOKEN_LENGTH, token)
    }

    /// Gives the payload if the key that `find` returns for `kid` made the signature for a token of
    /// kind `typ`.
    ///
    /// # Errors
    /// Any [`Error`] but the two of parsing.
    pub fn verify<K: AsRef<VerifyingKey>>(
        self,
        typ: &str,
        find: impl FnOnce(&str) -> Option<K>,
    ) -> Result<Vec<u8>, Error> {
        let key = find(&self.header.kid).ok_or(Error::UnknownKey)?;
        let key = key.as_ref();
        if self.header.alg != key.algorithm.name() {
            return Err(Error::WrongAlgorithm);
        }
        if self.header.typ != typ {
            return Err(Error::WrongType);
        }
        if !self.is_by(key) {
            return Err(Error::BadSignature);
        }
        Ok(self.payload)
    }
}

#[cfg(test)]
#[path = "jws_tests.rs"]
mod tests;
