//! Public keys as JSON (RFC 7517, RFC 7518 §6, RFC 8037 §2) and their thumbprints (RFC 7638).

use crate::json::present;
use serde::{Deserialize, Serialize};

/// A signature algorithm, by its JOSE name (RFC 7518 §3.1, RFC 8037 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    #[serde(rename = "RS256")]
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    #[serde(rename = "ES256")]
    Es256,
    /// EdDSA, of which we know Ed25519 only.
    #[serde(rename = "EdDSA")]
    EdDsa,
}

impl Algorithm {
    /// The JOSE name, as it stands in `alg`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        }
    }
}

/// A published public key. Its JSON members stand in alphabetical order, as the starting API writes
/// them, and it is read only with just the members of its type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Members", into = "Members")]
pub struct PublicJwk {
    /// The one algorithm this key is used with.
    pub alg: Algorithm,
    /// The key's id: its RFC 7638 thumbprint.
    pub kid: String,
    pub(crate) numbers: Numbers,
}

/// What the key consists of, each number as base64url of its big-endian bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Numbers {
    /// Modulus and exponent, without leading zeros (RFC 7518 §6.3.1).
    Rsa { n: String, e: String },
    /// A point, 32 bytes each (RFC 7518 §6.2.1).
    P256 { x: String, y: String },
    /// The encoded point, 32 bytes (RFC 8037 §2).
    Ed25519 { x: String },
}

impl Numbers {
    pub(crate) fn algorithm(&self) -> Algorithm {
        match self {
            Self::Rsa { .. } => Algorithm::Rs256,
            Self::P256 { .. } => Algorithm::Es256,
            Self::Ed25519 { .. } => Algorithm::EdDsa,
        }
    }

    /// SHA-256 over the required members in lexicographic order (RFC 7638 §3.2, RFC 8037 §2), base64url.
    fn thumbprint(&self) -> String {
        let required = match self {
            Self::Rsa { n, e } => format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#),
            Self::P256 { x, y } => format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#),
            Self::Ed25519 { x } => format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#),
        };
        crate::base64url(&crate::sha256(required.as_bytes()))
    }
}

impl PublicJwk {
    /// The JWK of an RSA key, from its modulus and exponent.
    pub fn rsa(n: &[u8], e: &[u8]) -> Self {
        Self::new(Numbers::Rsa { n: crate::base64url(n), e: crate::base64url(e) })
    }

    /// The JWK of a P-256 key, from its point's coordinates.
    pub fn p256(x: &[u8], y: &[u8]) -> Self {
        Self::new(Numbers::P256 { x: crate::base64url(x), y: crate::base64url(y) })
    }

    /// The JWK of an Ed25519 key.
    pub fn ed25519(x: &[u8]) -> Self {
        Self::new(Numbers::Ed25519 { x: crate::base64url(x) })
    }

    fn new(numbers: Numbers) -> Self {
        Self { alg: numbers.algorithm(), kid: numbers.thumbprint(), numbers }
    }

    /// Whether it is an RSA key, the only type the starting API knows.
    pub fn is_rsa(&self) -> bool {
        matches!(self.numbers, Numbers::Rsa { .. })
    }
}

/// All members of all types, in alphabetical order.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Members {
    alg: Algorithm,
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    crv: Option<Curve>,
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    e: Option<String>,
    kid: String,
    kty: KeyType,
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    n: Option<String>,
    r#use: KeyUse,
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    x: Option<String>,
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    y: Option<String>,
}

/// `kty` (RFC 7518 §6.1, RFC 8037 §2).
#[derive(Clone, Copy, Serialize, Deserialize)]
enum KeyType {
    #[serde(rename = "EC")]
    Ec,
    #[serde(rename = "OKP")]
    Okp,
    #[serde(rename = "RSA")]
    Rsa,
}

/// `crv` (RFC 7518 §6.2.1.1, RFC 8037 §3.1).
#[derive(Clone, Copy, Serialize, Deserialize)]
enum Curve {
    Ed25519,
    #[serde(rename = "P-256")]
    P256,
}

/// `use` (RFC 7517 §4.2).
#[derive(Clone, Copy, Serialize, Deserialize)]
enum KeyUse {
    #[serde(rename = "sig")]
    Signature,
}

impl From<PublicJwk> for Members {
    fn from(jwk: PublicJwk) -> Self {
        let (kty, crv, [e, n, x, y]) = match jwk.numbers {
            Numbers::Rsa { n, e } => (KeyType::Rsa, None, [Some(e), Some(n), None, None]),
            Numbers::P256 { x, y } => (KeyType::Ec, Some(Curve::P256), [None, None, Some(x), Some(y)]),
            Numbers::Ed25519 { x } => (KeyType::Okp, Some(Curve::Ed25519), [None, None, Some(x), None]),
        };
        Self { alg: jwk.alg, crv, e, kid: jwk.kid, kty, n, r#use: KeyUse::Signature, x, y }
    }
}

impl TryFrom<Members> for PublicJwk {
    type Error = &'static str;

    fn try_from(all: Members) -> Result<Self, Self::Error> {
        let numbers = match (all.kty, all.crv, all.e, all.n, all.x, all.y) {
            (KeyType::Rsa, None, Some(e), Some(n), None, None) => Numbers::Rsa { n, e },
            (KeyType::Ec, Some(Curve::P256), None, None, Some(x), Some(y)) => Numbers::P256 { x, y },
            (KeyType::Okp, Some(Curve::Ed25519), None, None, Some(x), None) => Numbers::Ed25519 { x },
            _ => return Err("the members are not those of its key type"),
        };
        if numbers.algorithm() != all.alg {
            return Err("the algorithm is not that of its key type");
        }
        Ok(Self { alg: all.alg, kid: all.kid, numbers })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::from_base64url;
    use serde_json::{Value, json};

    // RFC 7638 §3.1, also the first RSA key of RFC 7517 appendix A.1.
    const N: &str = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
    // RFC 9449 §6.1.
    const EC_X: &str = "l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs";
    const EC_Y: &str = "9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA";
    // RFC 8037 appendix A.2.
    const ED_X: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

    fn rsa() -> PublicJwk {
        PublicJwk::rsa(&from_base64url(N).unwrap(), &[1, 0, 1])
    }

    fn p256() -> PublicJwk {
        PublicJwk::p256(&from_base64url(EC_X).unwrap(), &from_base64url(EC_Y).unwrap())
    }

    fn ed25519() -> PublicJwk {
        PublicJwk::ed25519(&from_base64url(ED_X).unwrap())
    }

    #[track_caller]
    fn written(jwk: &PublicJwk, text: &str) {
        assert_eq!(serde_json::to_string(jwk).unwrap(), text);
        assert_eq!(serde_json::from_str::<PublicJwk>(text).unwrap(), *jwk);
    }

    // Their key ids are the thumbprints of RFC 7638 §3.1, RFC 9449 §6.1 and RFC 8037 appendix A.3.
    #[test]
    fn rfc_keys_are_written_in_order_and_read_back() {
        let kid = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs";
        let text = format!(r#"{{"alg":"RS256","e":"AQAB","kid":"{kid}","kty":"RSA","n":"{N}","use":"sig"}}"#);
        written(&rsa(), &text);
        let start = r#"{"alg":"ES256","crv":"P-256","kid":"0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I","#;
        written(&p256(), &format!(r#"{start}"kty":"EC","use":"sig","x":"{EC_X}","y":"{EC_Y}"}}"#));
        let start = r#"{"alg":"EdDSA","crv":"Ed25519","kid":"kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k","#;
        written(&ed25519(), &format!(r#"{start}"kty":"OKP","use":"sig","x":"{ED_X}"}}"#));
        assert_eq!([rsa(), p256(), ed25519()].map(|jwk| jwk.is_rsa()), [true, false, false]);
    }

    #[test]
    fn only_the_members_of_the_type_are_read() {
        for jwk in [rsa(), p256(), ed25519()] {
            let good = serde_json::to_value(&jwk).unwrap();
            let refused = |name: &str, value: Option<Value>| {
                let mut changed = good.clone();
                changed.as_object_mut().unwrap().remove(name);
                if let Some(value) = value {
                    changed.as_object_mut().unwrap().insert(name.to_owned(), value);
                }
                let is_same = changed == good;
                assert!(is_same || serde_json::from_value::<PublicJwk>(changed).is_err(), "{name} of {good}");
            };
            for name in ["alg", "crv", "e", "kid", "kty", "n", "use", "x", "y", "d", "x5c", "key_ops"] {
                let values = [json!(null), json!(1), json!([]), json!({})];
                values.into_iter().for_each(|value| refused(name, Some(value)));
                refused(name, None);
                if good.get(name).is_none() {
                    refused(name, Some(json!("AQAB")));
                }
            }
            for (name, values) in [
                ("alg", "RS256 ES256 EdDSA Ed25519 RS384 PS256 ES384 HS256 none rs256"),
                ("kty", "RSA EC OKP oct rsa"),
                ("crv", "P-256 Ed25519 P-384 P-521 secp256k1 Ed448 X25519"),
                ("use", "enc SIG"),
            ] {
                values.split(' ').for_each(|value| refused(name, Some(json!(value))));
            }
        }
    }
}
