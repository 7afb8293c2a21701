//! JWS compact serialisation (RFC 7515 §3.1) under our own keys, and nothing looser.
//!
//! A token names a key by `kid`; the key, never the token, says which algorithm verifies it
//! (RFC 8725 §3.1). Header members other than `alg`, `kid` and `typ` are refused, so `crit`, `jku`,
//! `x5u`, `jwk` and `x5c` have no effect but refusal.

use crate::jwk::{Algorithm, PublicJwk};
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize, PublicKeyComponents};
use aws_lc_rs::signature::{KeyPair as _, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

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

/// A key could not be made, read or used.
#[derive(Debug, thiserror::Error)]
#[error("the RSA key cannot be used: {0}")]
pub struct KeyError(&'static str);

/// How many bits an RSA modulus has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RsaBits {
    /// 2048: for reach and speed.
    Rsa2048,
    /// 3072: 128-bit security (NIST SP 800-57).
    Rsa3072,
    /// 4096.
    Rsa4096,
}

impl RsaBits {
    /// The number of bits.
    pub fn count(self) -> u32 {
        match self {
            Self::Rsa2048 => 2048,
            Self::Rsa3072 => 3072,
            Self::Rsa4096 => 4096,
        }
    }
}

/// A private key, parsed once and kept: parsing it for each signature would more than halve the rate.
pub struct SigningKey {
    pair: KeyPair,
    public: PublicJwk,
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SigningKey({})", self.public.kid)
    }
}

impl SigningKey {
    /// Makes a new RSA key for RS256. Takes tens to hundreds of milliseconds.
    ///
    /// # Errors
    /// Only if the operating system gives no randomness.
    pub fn generate(bits: RsaBits) -> Result<Self, KeyError> {
        let size = match bits {
            RsaBits::Rsa2048 => KeySize::Rsa2048,
            RsaBits::Rsa3072 => KeySize::Rsa3072,
            RsaBits::Rsa4096 => KeySize::Rsa4096,
        };
        Ok(Self::new(KeyPair::generate(size).map_err(|_| KeyError("it could not be generated"))?))
    }

    /// Reads a PKCS #8 private key (RFC 5208), as [`SigningKey::to_pkcs8`] writes it.
    ///
    /// # Errors
    /// If the bytes are no RSA key of 2048 to 8192 bits.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, KeyError> {
        Ok(Self::new(KeyPair::from_pkcs8(der).map_err(|_| KeyError("it is not a PKCS #8 RSA key"))?))
    }

    /// The private key as PKCS #8 (RFC 5208), to be sealed before it is stored.
    ///
    /// # Errors
    /// If the key cannot be encoded.
    pub fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let der: Pkcs8V1Der<'_> = self.pair.as_der().map_err(|_| KeyError("it cannot be encoded"))?;
        Ok(Zeroizing::new(der.as_ref().to_vec()))
    }

    fn new(pair: KeyPair) -> Self {
        let key = pair.public_key();
        let public = PublicJwk::rsa(
            key.modulus().big_endian_without_leading_zero(),
            key.exponent().big_endian_without_leading_zero(),
        );
        Self { pair, public }
    }

    /// The public half.
    pub fn public(&self) -> &PublicJwk {
        &self.public
    }

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

    fn signature(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let mut signature = vec![0; self.pair.public_modulus_len()];
        let random = aws_lc_rs::rand::SystemRandom::new();
        self.pair
            .sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)
            .map_err(|_| KeyError("it does not sign"))?;
        Ok(signature)
    }
}

/// A public key, parsed once and kept.
#[derive(Debug)]
pub struct VerifyingKey {
    algorithm: Algorithm,
    key: ParsedPublicKey,
}

impl VerifyingKey {
    /// Reads a published key.
    ///
    /// # Errors
    /// If its members are not those of an RSA key of 2048 to 8192 bits.
    pub fn from_jwk(jwk: &PublicJwk) -> Result<Self, KeyError> {
        let n = crate::from_base64url(&jwk.n).ok_or(KeyError("n is not base64url"))?;
        let e = crate::from_base64url(&jwk.e).ok_or(KeyError("e is not base64url"))?;
        // The library would notice only when it verifies.
        let bits = n.iter().position(|byte| *byte != 0).map_or(0, |zeros| (n.len() - zeros) * 8);
        let odd = |number: &[u8]| number.last().is_some_and(|byte| byte % 2 == 1);
        if !(2048..=8192).contains(&bits) || !odd(&n) || !odd(&e) || e == [1] || e.len() > 4 {
            return Err(KeyError("n and e are no RSA key of 2048 to 8192 bits"));
        }
        let key = PublicKeyComponents { n, e }
            .to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256)
            .map_err(|_| KeyError("n and e are no RSA key of 2048 to 8192 bits"))?;
        Ok(Self { algorithm: jwk.alg, key })
    }

    fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        self.key.verify_sig(message, signature).is_ok()
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
pub struct Unverified<'a> {
    /// The decoded header.
    pub header: Header,
    /// The decoded payload.
    pub payload: Vec<u8>,
    signing_input: &'a str,
    signature: Vec<u8>,
}

impl<'a> Unverified<'a> {
    /// Takes a compact token apart, strictly.
    ///
    /// # Errors
    /// [`Error::TooLong`] or [`Error::Malformed`].
    pub fn parse(token: &'a str) -> Result<Self, Error> {
        if token.len() > MAX_TOKEN_LENGTH {
            return Err(Error::TooLong);
        }
        let three = Error::Malformed("it has not three parts");
        let Some((signing_input, signature)) = token.rsplit_once('.') else { return Err(three) };
        let Some((header, payload)) = signing_input.split_once('.') else { return Err(three) };
        let header = crate::from_base64url(header).ok_or(Error::Malformed("its header is not base64url"))?;
        let header =
            json_object(&header).ok_or(Error::Malformed("its header is not the one this server writes"))?;
        let payload =
            crate::from_base64url(payload).ok_or(Error::Malformed("its payload is not base64url"))?;
        let signature =
            crate::from_base64url(signature).ok_or(Error::Malformed("its signature is not base64url"))?;
        Ok(Self { header, payload, signing_input, signature })
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
        if !key.verifies(self.signing_input.as_bytes(), &self.signature) {
            return Err(Error::BadSignature);
        }
        Ok(self.payload)
    }
}

/// Reads a JSON object in UTF-8 (RFC 7519 §7.2); an array in the order of the members is none.
pub(crate) fn json_object<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let text = str::from_utf8(bytes).ok().filter(|text| text.starts_with('{'))?;
    serde_json::from_str(text).ok()
}

impl AsRef<VerifyingKey> for VerifyingKey {
    fn as_ref(&self) -> &VerifyingKey {
        self
    }
}

#[cfg(test)]
#[path = "jws_tests.rs"]
mod tests;
