//! Private keys made elsewhere: PEM (RFC 7468) or a private JWK (RFC 7517), read strictly.
//!
//! Every error tells the operator what to do, and none says anything of the key. An imported key has
//! signed once, and its public half has verified that, before it is given out.

use crate::jwk::Algorithm;
use crate::key::{KeyError, Pair, SigningKey, VerifyingKey, bits};
use aws_lc_rs::rsa::{self, KeyPairComponents, PublicKeyComponents};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use zeroize::Zeroizing;

/// Twice what the largest key we take needs. Bytes.
pub(crate) const MAX_LENGTH: usize = 16 * 1024;

pub(crate) const BAD_RSA: KeyError = KeyError("it is no valid RSA key of 2048 to 4096 bits");
pub(crate) const BAD_EC: KeyError = KeyError("it is no valid key of the curve P-256");
pub(crate) const BAD_ED25519: KeyError = KeyError("it is no valid Ed25519 key");
const DAMAGED: KeyError = KeyError("its PEM is damaged");
const PUBLIC: KeyError = KeyError(
    "it is a public key; to sign, the private key is needed: as PEM (PKCS #8, PKCS #1 or SEC 1) or as a JWK",
);
const ENCRYPTED: KeyError = KeyError("it is encrypted; decrypt it first, for example with `openssl pkey`");

impl SigningKey {
    /// Reads a private key as an operator has it: one PEM block (PKCS #8, PKCS #1 or SEC 1, not
    /// encrypted) or one private JWK. RSA keys have 2048 to 4096 bits; the curves are P-256 and Ed25519.
    ///
    /// # Errors
    /// What is wrong with the text, without any of it.
    pub fn import(text: &str) -> Result<Self, KeyError> {
        if text.len() > MAX_LENGTH {
            return Err(KeyError("it is longer than 16 kB"));
        }
        let text = text.trim();
        let pair = if text.starts_with('{') {
            from_jwk(text)?
        } else if text.starts_with("-----BEGIN") {
            from_pem(text)?
        } else {
            return Err(KeyError("it starts neither like PEM nor like a JSON Web Key"));
        };
        if let Pair::Rsa(pair) = &pair
            && bits(pair.public_key().modulus().big_endian_without_leading_zero()) > 4096
        {
            return Err(BAD_RSA);
        }
        let key = Self::new(pair)?;
        let probe = b"claviger";
        if !VerifyingKey::from_jwk(key.public())?.verifies(probe, &key.signature(probe)?) {
            return Err(KeyError("its private and its public half do not belong together"));
        }
        Ok(key)
    }
}

/// Reads one PEM block with nothing around it (RFC 7468 §3).
fn from_pem(text: &str) -> Result<Pair, KeyError> {
    let (label, body) = block(text)?;
    let read: fn(&[u8]) -> Result<Pair, KeyError> = match label {
        "PRIVATE KEY" => from_pkcs8,
        "RSA PRIVATE KEY" => |der| rsa::KeyPair::from_der(der).map(Pair::Rsa).map_err(|_| BAD_RSA),
        "EC PRIVATE KEY" => |der| {
            EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_FIXED_SIGNING, der)
                .map(Pair::P256)
                .map_err(|_| BAD_EC)
        },
        "ENCRYPTED PRIVATE KEY" => return Err(ENCRYPTED),
        "PUBLIC KEY" | "RSA PUBLIC KEY" | "CERTIFICATE" => return Err(PUBLIC),
        "OPENSSH PRIVATE KEY" => return Err(KeyError("it is in OpenSSH's own format; PKCS #8 is needed")),
        _ => {
            return Err(KeyError("its PEM label is none of PRIVATE KEY, RSA PRIVATE KEY and EC PRIVATE KEY"));
        }
    };
    if body.contains("Proc-Type:") {
        return Err(ENCRYPTED);
    }
    read(&decoded(body)?)
}

/// The DER in the body of a block.
pub(crate) fn decoded(body: &str) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    // As long as the body, so that it never moves and leaves a copy behind.
    let mut compact = Zeroizing::new(String::with_capacity(body.len()));
    compact.extend(body.chars().filter(|sign| !sign.is_ascii_whitespace()));
    let der = Zeroizing::new(STANDARD.decode(compact.as_bytes()).map_err(|_| DAMAGED)?);
    if is_one_sequence(&der) { Ok(der) } else { Err(DAMAGED) }
}

/// The label and the body of the one block.
pub(crate) fn block(text: &str) -> Result<(&str, &str), KeyError> {
    let (label, rest) =
        text.strip_prefix("-----BEGIN ").and_then(|text| text.split_once("-----")).ok_or(DAMAGED)?;
    let (body, end) = rest.split_once("-----END ").ok_or(DAMAGED)?;
    match end.strip_prefix(label) {
        Some("-----") => Ok((label, body)),
        _ if end.contains("-----BEGIN ") => {
            Err(KeyError("it has more than one PEM block; leave only that of the key"))
        }
        _ => Err(DAMAGED),
    }
}

/// Whether this is one DER sequence and nothing after it, which the library would overlook.
fn is_one_sequence(der: &[u8]) -> bool {
    let (length, rest) = match der {
        [0x30, length @ ..=0x7f, rest @ ..] => (usize::from(*length), rest),
        [0x30, 0x81, length, rest @ ..] => (usize::from(*length), rest),
        [0x30, 0x82, high, low, rest @ ..] => (usize::from(u16::from_be_bytes([*high, *low])), rest),
        _ => return false,
    };
    rest.len() == length
}

fn from_pkcs8(der: &[u8]) -> Result<Pair, KeyError> {
    SigningKey::from_pkcs8(der).map(|key| key.pair).map_err(|_| {
        // The algorithm stands near the start, behind two lengths and the version (RFC 5208 §5).
        let start = der.get(..32).unwrap_or(der);
        let names = |id: &[u8]| start.windows(id.len()).any(|window| window == id);
        if names(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01]) {
            BAD_RSA
        } else if names(&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01]) {
            BAD_EC
        } else if names(&[0x06, 0x03, 0x2b, 0x65, 0x70]) {
            BAD_ED25519
        } else {
            KeyError("it is a key of none of RSA, P-256 and Ed25519")
        }
    })
}

/// The members of all private JWKs (RFC 7518 §6.2.2 and §6.3.2, RFC 8037 §2). They stay where they
/// stand in the text, so there is no copy to wipe.
#[derive(Deserialize)]
struct PrivateJwk<'a> {
    kty: &'a str,
    alg: Option<Algorithm>,
    r#use: Option<&'a str>,
    crv: Option<&'a str>,
    n: Option<&'a str>,
    e: Option<&'a str>,
    d: Option<&'a str>,
    p: Option<&'a str>,
    q: Option<&'a str>,
    dp: Option<&'a str>,
    dq: Option<&'a str>,
    qi: Option<&'a str>,
    oth: Option<serde::de::IgnoredAny>,
    x: Option<&'a str>,
    y: Option<&'a str>,
}

fn from_jwk(text: &str) -> Result<Pair, KeyError> {
    let jwk: PrivateJwk<'_> = serde_json::from_str(text)
        .map_err(|_| KeyError("it is no JSON Web Key with an algorithm of this server"))?;
    let algorithm = match (jwk.kty, jwk.crv) {
        ("RSA", None) => Algorithm::Rs256,
        ("EC", Some("P-256")) => Algorithm::Es256,
        ("OKP", Some("Ed25519")) => Algorithm::EdDsa,
        ("EC" | "OKP", Some(_)) => return Err(KeyError("its curve is neither P-256 nor Ed25519")),
        _ => return Err(KeyError("kty and crv are none of RSA, EC with P-256 and OKP with Ed25519")),
    };
    if jwk.alg.is_some_and(|alg| alg != algorithm) || jwk.r#use.is_some_and(|r#use| r#use != "sig") {
        return Err(KeyError("alg or use says that it is for something else"));
    }
    if jwk.d.is_none() {
        return Err(PUBLIC);
    }
    match algorithm {
        Algorithm::Rs256 => from_rsa_jwk(&jwk),
        Algorithm::Es256 => from_ec_jwk(&jwk),
        Algorithm::EdDsa => from_ed25519_jwk(&jwk),
    }
}

/// A member's bytes; a missing member has none.
fn bytes(member: Option<&str>) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let bytes = crate::from_base64url(member.unwrap_or_default());
    bytes.map(Zeroizing::new).ok_or(KeyError("one of its numbers is not base64url"))
}

fn from_rsa_jwk(jwk: &PrivateJwk<'_>) -> Result<Pair, KeyError> {
    if [jwk.p, jwk.q, jwk.dp, jwk.dq, jwk.qi].contains(&None) || jwk.oth.is_some() {
        return Err(KeyError("an RSA key needs p, q, dp, dq and qi, and no other primes"));
    }
    let key = KeyPairComponents {
        public_key: PublicKeyComponents { n: bytes(jwk.n)?, e: bytes(jwk.e)? },
        d: bytes(jwk.d)?,
        p: bytes(jwk.p)?,
        q: bytes(jwk.q)?,
        dP: bytes(jwk.dp)?,
        dQ: bytes(jwk.dq)?,
        qInv: bytes(jwk.qi)?,
    };
    rsa::KeyPair::from_components(&key).map(Pair::Rsa).map_err(|_| BAD_RSA)
}

fn from_ec_jwk(jwk: &PrivateJwk<'_>) -> Result<Pair, KeyError> {
    let (x, y, d) = (bytes(jwk.x)?, bytes(jwk.y)?, bytes(jwk.d)?);
    if [&x, &y, &d].iter().any(|number| number.len() != 32) {
        return Err(BAD_EC);
    }
    let point = [&[4], x.as_slice(), y.as_slice()].concat();
    EcdsaKeyPair::from_private_key_and_public_key(&ECDSA_P256_SHA256_FIXED_SIGNING, &d, &point)
        .map(Pair::P256)
        .map_err(|_| BAD_EC)
}

fn from_ed25519_jwk(jwk: &PrivateJwk<'_>) -> Result<Pair, KeyError> {
    let (x, d) = (bytes(jwk.x)?, bytes(jwk.d)?);
    Ed25519KeyPair::from_seed_and_public_key(&d, &x).map(Pair::Ed25519).map_err(|_| BAD_ED25519)
}

#[cfg(test)]
#[path = "import_tests.rs"]
mod tests;
