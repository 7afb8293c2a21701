//! Private and public keys of the three signature algorithms: RS256, ES256 and EdDSA.
//!
//! A key knows its one algorithm, and nothing that comes with a signature can choose another
//! (RFC 8725 §3.1). Keys are parsed once and kept: parsing one for each signature would more than
//! halve the rate.

use crate::jwk::{Algorithm, Numbers, PublicJwk};
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{self, KeySize, PublicKeyComponents};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ED25519, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair as _, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256,
};
use zeroize::Zeroizing;

/// A key could not be made, read or used. Says why, and nothing of the key.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the key cannot be used: {0}")]
pub struct KeyError(pub(crate) &'static str);

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

/// What kind of key signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// RSA, for RS256: what every client understands.
    Rsa(RsaBits),
    /// The curve P-256, for ES256.
    P256,
    /// Ed25519, for EdDSA.
    Ed25519,
}

impl KeyKind {
    /// The one algorithm of such keys.
    pub fn algorithm(self) -> Algorithm {
        match self {
            Self::Rsa(_) => Algorithm::Rs256,
            Self::P256 => Algorithm::Es256,
            Self::Ed25519 => Algorithm::EdDsa,
        }
    }
}

pub(crate) enum Pair {
    Rsa(rsa::KeyPair),
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

/// A private key.
pub struct SigningKey {
    pub(crate) pair: Pair,
    pub(crate) public: PublicJwk,
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SigningKey({})", self.public.kid)
    }
}

impl SigningKey {
    /// Makes a new key. An RSA key takes tens to hundreds of milliseconds, the others almost no time.
    ///
    /// # Errors
    /// Only if the operating system gives no randomness.
    pub fn generate(kind: KeyKind) -> Result<Self, KeyError> {
        let pair = match kind {
            KeyKind::Rsa(bits) => rsa::KeyPair::generate(match bits {
                RsaBits::Rsa2048 => KeySize::Rsa2048,
                RsaBits::Rsa3072 => KeySize::Rsa3072,
                RsaBits::Rsa4096 => KeySize::Rsa4096,
            })
            .map(Pair::Rsa),
            KeyKind::P256 => EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map(Pair::P256),
            KeyKind::Ed25519 => Ed25519KeyPair::generate().map(Pair::Ed25519),
        };
        Self::new(pair.map_err(|_| KeyError("it could not be generated"))?)
    }

    /// Reads a PKCS #8 private key (RFC 5208) of any kind, as [`SigningKey::to_pkcs8`] writes it.
    ///
    /// # Errors
    /// If the bytes are no RSA key of 2048 to 8192 bits, no P-256 key and no Ed25519 key.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, KeyError> {
        let pair = rsa::KeyPair::from_pkcs8(der)
            .map(Pair::Rsa)
            .or_else(|_| EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der).map(Pair::P256))
            .or_else(|_| Ed25519KeyPair::from_pkcs8(der).map(Pair::Ed25519))
            .map_err(|_| KeyError("it is no PKCS #8 key of RSA (2048 bits or more), P-256 or Ed25519"))?;
        Self::new(pair)
    }

    /// The private key as PKCS #8 (RFC 5208), to be sealed before it is stored.
    ///
    /// # Errors
    /// If the key cannot be encoded.
    pub fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        match &self.pair {
            Pair::Rsa(pair) => {
                AsDer::<Pkcs8V1Der<'_>>::as_der(pair).map(|der| Zeroizing::new(der.as_ref().to_vec()))
            }
            Pair::P256(pair) => pair.to_pkcs8v1().map(|der| Zeroizing::new(der.as_ref().to_vec())),
            Pair::Ed25519(pair) => pair.to_pkcs8v1().map(|der| Zeroizing::new(der.as_ref().to_vec())),
        }
        .map_err(|_| KeyError("it cannot be encoded"))
    }

    pub(crate) fn new(pair: Pair) -> Result<Self, KeyError> {
        let public = match &pair {
            Pair::Rsa(pair) => {
                let key = pair.public_key();
                PublicJwk::rsa(
                    key.modulus().big_endian_without_leading_zero(),
                    key.exponent().big_endian_without_leading_zero(),
                )
            }
            // An uncompressed point (SEC 1 §2.3.3).
            Pair::P256(pair) => match pair.public_key().as_ref().split_first_chunk::<33>() {
                Some(([4, x @ ..], y)) => PublicJwk::p256(x, y),
                _ => return Err(KeyError("its public half cannot be encoded")),
            },
            Pair::Ed25519(pair) => PublicJwk::ed25519(pair.public_key().as_ref()),
        };
        Ok(Self { pair, public })
    }

    /// The public half.
    pub fn public(&self) -> &PublicJwk {
        &self.public
    }

    /// What kind it is, as [`PublicJwk::kind`] says.
    pub fn kind(&self) -> KeyKind {
        self.public.kind()
    }

    /// The signature of `message` in its JOSE form: of ES256, the 64 bytes of r and s (RFC 7518 §3.4).
    pub(crate) fn signature(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).map(|()| signature)
            }
            Pair::P256(pair) => pair.sign(&random, message).map(|signature| signature.as_ref().to_vec()),
            Pair::Ed25519(pair) => pair.try_sign(message).map(|signature| signature.as_ref().to_vec()),
        }
        .map_err(|_| KeyError("it does not sign"))
    }
}

impl PublicJwk {
    /// What kind of key it is of. An imported RSA key of an odd size counts as the next smaller one.
    pub fn kind(&self) -> KeyKind {
        match &self.numbers {
            // Four characters for three bytes.
            Numbers::Rsa { n, .. } => KeyKind::Rsa(match n.len() * 3 / 4 {
                ..384 => RsaBits::Rsa2048,
                384..512 => RsaBits::Rsa3072,
                512.. => RsaBits::Rsa4096,
            }),
            Numbers::P256 { .. } => KeyKind::P256,
            Numbers::Ed25519 { .. } => KeyKind::Ed25519,
        }
    }
}

/// A public key.
#[derive(Debug)]
pub struct VerifyingKey {
    pub(crate) algorithm: Algorithm,
    key: ParsedPublicKey,
}

impl VerifyingKey {
    /// Reads a published key.
    ///
    /// # Errors
    /// If its members are not those of an RSA key of 2048 to 8192 bits, of a point on P-256 (RFC 7518
    /// §6.2.1), or 32 bytes for Ed25519 (RFC 8037 §2).
    pub fn from_jwk(jwk: &PublicJwk) -> Result<Self, KeyError> {
        let key = match &jwk.numbers {
            Numbers::Rsa { n, e } => {
                let n = crate::from_base64url(n).ok_or(KeyError("n is not base64url"))?;
                let e = crate::from_base64url(e).ok_or(KeyError("e is not base64url"))?;
                // The library would notice only when it verifies.
                let odd = |number: &[u8]| number.last().is_some_and(|byte| byte % 2 == 1);
                if !(2048..=8192).contains(&bits(&n)) || !odd(&n) || !odd(&e) || e == [1] || e.len() > 4 {
                    return Err(KeyError("n and e are no RSA key of 2048 to 8192 bits"));
                }
                PublicKeyComponents { n, e }
                    .to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256)
                    .map_err(|_| KeyError("n and e are no RSA key of 2048 to 8192 bits"))?
            }
            Numbers::P256 { x, y } => {
                let x = coordinate(x).ok_or(KeyError("x is not base64url of 32 bytes"))?;
                let y = coordinate(y).ok_or(KeyError("y is not base64url of 32 bytes"))?;
                ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, [&[4], &x[..], &y].concat())
                    .map_err(|_| KeyError("x and y are no point on P-256"))?
            }
            Numbers::Ed25519 { x } => {
                let x = coordinate(x).ok_or(KeyError("x is not base64url of 32 bytes"))?;
                ParsedPublicKey::new(&ED25519, x).map_err(|_| KeyError("x is no Ed25519 key"))?
            }
        };
        Ok(Self { algorithm: jwk.numbers.algorithm(), key })
    }

    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        self.key.verify_sig(message, signature).is_ok()
    }
}

impl AsRef<VerifyingKey> for VerifyingKey {
    fn as_ref(&self) -> &VerifyingKey {
        self
    }
}

/// How many bits a big-endian number has.
pub(crate) fn bits(number: &[u8]) -> usize {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    let first = number.get(zeros).map_or(0, |byte| byte.leading_zeros() as usize);
    (number.len() - zeros) * 8 - first
}

/// The 32 bytes that a coordinate must have (RFC 7518 §6.2.1.2).
pub(crate) fn coordinate(text: &str) -> Option<[u8; 32]> {
    crate::from_base64url(text)?.try_into().ok()
}

#[cfg(test)]
#[path = "key_tests.rs"]
pub(crate) mod tests;
