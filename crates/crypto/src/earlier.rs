//! Tokens of the server that was here before, under a key of its own: JWTs that name an account and end.
//!
//! They are read more loosely than our own, and allow less: a header without `kid` or `typ`, an account in `public_id`
//! or `sub`, no issuer, no audience and no session. A token that claims to be one of ours is none of them.

use crate::import;
use crate::json;
use crate::jwk::{Algorithm, PublicJwk};
use crate::jws::{self, KeyError, MAX_TOKEN_LENGTH, SigningKey, Unverified, VerifyingKey};
use crate::jwt::{Error, Lifetime};
use crate::public_pem;
use serde::Deserialize;
use serde_json::Value;

/// The longest `kid` of an earlier server that is kept, in bytes.
const MAX_KID: usize = 128;

/// What a token of an earlier server says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EarlierToken {
    /// Whom it names: `public_id`, or else `sub`.
    pub subject: String,
    /// When it is good.
    pub lifetime: Lifetime,
}

/// Members that would change how it is read (`crit`, `jku`, `jwk`, …) are refused.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    #[serde(default, deserialize_with = "json::present")]
    kid: Option<String>,
    #[serde(default, deserialize_with = "json::present")]
    typ: Option<String>,
}

/// Times may have fractions (RFC 7519 §2, NumericDate).
#[derive(Deserialize)]
struct Claims {
    #[serde(default, deserialize_with = "json::present")]
    public_id: Option<String>,
    // Some write a number, which names no account here.
    sub: Option<Value>,
    exp: f64,
    #[serde(default, deserialize_with = "json::present")]
    nbf: Option<f64>,
    #[serde(default, deserialize_with = "json::present")]
    iat: Option<f64>,
}

impl EarlierToken {
    /// Verifies a token with the one of `keys` that it names, or with any of them if it names none. Times are asked
    /// for apart, by [`Lifetime::check`].
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn verify<'k>(
        token: &str,
        keys: impl IntoIterator<Item = (&'k str, &'k VerifyingKey)>,
    ) -> Result<Self, Error> {
        let token = Unverified::<Header>::parse_within(MAX_TOKEN_LENGTH, token)?;
        // Compared without regard to case (RFC 7515 §4.1.9).
        if token.header.typ.as_ref().is_some_and(|typ| !typ.eq_ignore_ascii_case("JWT")) {
            return Err(jws::Error::WrongType.into());
        }
        let named = |kid: &str| token.header.kid.as_ref().is_none_or(|named| named == kid);
        let mut keys = keys.into_iter().filter(|(kid, _)| named(kid)).peekable();
        keys.peek().ok_or(jws::Error::UnknownKey)?;
        let mut fitting = keys.filter(|(_, key)| token.header.alg == key.algorithm.name()).peekable();
        fitting.peek().ok_or(jws::Error::WrongAlgorithm)?;
        if !fitting.any(|(_, key)| token.is_by(key)) {
            return Err(jws::Error::BadSignature.into());
        }
        let claims: Claims = json::from_object(&token.payload).ok_or(Error::Claims)?;
        let sub = claims.sub.as_ref().and_then(Value::as_str).map(str::to_owned);
        let subject = claims.public_id.or(sub).ok_or(Error::Claims)?;
        let begins = [claims.nbf, claims.iat].into_iter().flatten().map(whole).max();
        Ok(Self {
            subject,
            lifetime: Lifetime { begins: begins.unwrap_or(i64::MIN), ends: whole(claims.exp) },
        })
    }
}

/// Whole seconds, rounded down; what is out of range is as far away as can be said.
#[allow(clippy::cast_possible_truncation)]
fn whole(seconds: f64) -> i64 {
    seconds.floor() as i64
}

/// The public members of all JWKs (RFC 7518 §6). Of a private one nothing else is read.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    alg: Option<Algorithm>,
    r#use: Option<String>,
    kid: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

/// A set of one key (RFC 7517 §5), or the one object that the starting API has in its place.
#[derive(Deserialize)]
struct OneKey {
    keys: OneOrMore,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(Jwk),
    More(Vec<Jwk>),
}

/// Reads the public half of a key of an earlier server: a JWK, public or private, alone or as the one key of a set,
/// or a key as PEM, public or private. It keeps the `kid` that its tokens name; one without has its thumbprint
/// (RFC 7638), which fits tokens that name none.
///
/// # Errors
/// What is wrong with the text, without any of it.
pub fn import_public(text: &str) -> Result<PublicJwk, KeyError> {
    let text = text.trim();
    if text.len() > import::MAX_LENGTH {
        return Err(KeyError("it is longer than 16 kB"));
    }
    if !text.starts_with('{') {
        return public_pem::read(text).unwrap_or_else(|| Ok(SigningKey::import(text)?.public().clone()));
    }
    let no_key = |_| KeyError("it is no JSON Web Key with an algorithm of this server");
    let jwk = match serde_json::from_str::<OneKey>(text) {
        Ok(OneKey { keys: OneOrMore::One(jwk) }) => jwk,
        Ok(OneKey { keys: OneOrMore::More(keys) }) => match <[Jwk; 1]>::try_from(keys) {
            Ok([jwk]) => jwk,
            Err(_) => return Err(KeyError("it is a set of several keys; import them one by one")),
        },
        Err(_) => serde_json::from_str(text).map_err(no_key)?,
    };
    jwk.public()
}

impl Jwk {
    fn public(self) -> Result<PublicJwk, KeyError> {
        let mut public = match (self.kty.as_str(), self.crv.as_deref()) {
            ("RSA", None) => PublicJwk::rsa(&number(self.n)?, &number(self.e)?),
            ("EC", Some("P-256")) => PublicJwk::p256(&bytes(self.x)?, &bytes(self.y)?),
            ("OKP", Some("Ed25519")) => PublicJwk::ed25519(&bytes(self.x)?),
            _ => return Err(KeyError("kty and crv are none of RSA, EC with P-256 and OKP with Ed25519")),
        };
        if self.alg.is_some_and(|alg| alg != public.alg) || self.r#use.is_some_and(|r#use| r#use != "sig") {
            return Err(KeyError("alg or use says that it is for something else"));
        }
        if let Some(kid) = self.kid {
            if kid.is_empty() || kid.len() > MAX_KID || !kid.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(KeyError("its kid is not 1 to 128 visible ASCII characters"));
            }
            public.kid = kid;
        }
        VerifyingKey::from_jwk(&public)?;
        Ok(public)
    }
}

fn bytes(member: Option<String>) -> Result<Vec<u8>, KeyError> {
    crate::from_base64url(&member.unwrap_or_default()).ok_or(KeyError("one of its numbers is not base64url"))
}

/// Without the leading zeros that some write (RFC 7518 §2, Base64urlUInt).
fn number(member: Option<String>) -> Result<Vec<u8>, KeyError> {
    let bytes = bytes(member)?;
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    Ok(bytes.into_iter().skip(zeros).collect())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]
#[path = "earlier_tests.rs"]
mod tests;
