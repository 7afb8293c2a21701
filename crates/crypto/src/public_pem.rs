//! Public keys as PEM: SubjectPublicKeyInfo (RFC 7468 §13, RFC 5280 §4.1), and PKCS #1 for RSA, both read as DER.

use crate::import::{BAD_EC, BAD_ED25519, BAD_RSA, block, decoded};
use crate::jwk::PublicJwk;
use crate::key::{KeyError, VerifyingKey};

/// What stands in an AlgorithmIdentifier: the algorithm, and its parameters (RFC 3279 §2.3, RFC 5480, RFC 8410).
const RSA: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00";
const P256: &[u8] = b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07";
const ED25519: &[u8] = b"\x06\x03\x2b\x65\x70";

const SEQUENCE: u8 = 0x30;
const BIT_STRING: u8 = 0x03;
const INTEGER: u8 = 0x02;

/// Reads the one block of a public key; `None` where it is of something else.
pub(crate) fn read(text: &str) -> Option<Result<PublicJwk, KeyError>> {
    let (label, body) = block(text).ok()?;
    let of_der: fn(&[u8]) -> Result<PublicJwk, KeyError> = match label {
        "PUBLIC KEY" => info,
        "RSA PUBLIC KEY" => |der| rsa(der).ok_or(BAD_RSA),
        "CERTIFICATE" => {
            return Some(Err(KeyError(
                "it is a certificate; take its key out, for example with `openssl x509 -pubkey -noout`",
            )));
        }
        _ => return None,
    };
    let checked = |public| VerifyingKey::from_jwk(&public).map(|_| public);
    Some(decoded(body).and_then(|der| of_der(&der)).and_then(checked))
}

/// A SubjectPublicKeyInfo.
fn info(der: &[u8]) -> Result<PublicJwk, KeyError> {
    let parts = || {
        let (algorithm, key) = value(SEQUENCE, only(SEQUENCE, der)?)?;
        // No bits of its last byte are left over.
        Some((algorithm, only(BIT_STRING, key)?.strip_prefix(&[0])?))
    };
    match parts() {
        Some((RSA, key)) => rsa(key).ok_or(BAD_RSA),
        Some((P256, [4, point @ ..])) if point.len() == 64 => {
            let (x, y) = point.split_at(32);
            Ok(PublicJwk::p256(x, y))
        }
        Some((P256, _)) => Err(BAD_EC),
        Some((ED25519, key)) if key.len() == 32 => Ok(PublicJwk::ed25519(key)),
        Some((ED25519, _)) => Err(BAD_ED25519),
        _ => Err(KeyError("it is a key of none of RSA, P-256 and Ed25519")),
    }
}

/// An RSAPublicKey (RFC 8017 §A.1.1).
fn rsa(der: &[u8]) -> Option<PublicJwk> {
    let (n, rest) = value(INTEGER, only(SEQUENCE, der)?)?;
    let e = only(INTEGER, rest)?;
    // A zero keeps a number from being negative.
    let positive = |number: &'_ [u8]| number.strip_prefix(&[0]).unwrap_or(number).to_vec();
    Some(PublicJwk::rsa(&positive(n), &positive(e)))
}

/// What a value of this kind holds, and what comes after it.
fn value(tag: u8, der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = match der.strip_prefix(&[tag])? {
        [length @ ..=0x7f, rest @ ..] => (usize::from(*length), rest),
        [0x81, length @ 0x80..=0xff, rest @ ..] => (usize::from(*length), rest),
        [0x82, high @ 1..=0xff, low, rest @ ..] => (usize::from(u16::from_be_bytes([*high, *low])), rest),
        _ => return None,
    };
    rest.split_at_checked(length)
}

/// The same, where nothing comes after it.
fn only(tag: u8, der: &[u8]) -> Option<&[u8]> {
    value(tag, der).filter(|(_, rest)| rest.is_empty()).map(|(inside, _)| inside)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]
#[path = "public_pem_tests.rs"]
mod tests;
