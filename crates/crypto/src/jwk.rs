//! Public keys as JSON (RFC 7517, RFC 7518 §6.3) and their thumbprints (RFC 7638).

use serde::{Deserialize, Serialize};

/// A signature algorithm, by its JOSE name (RFC 7518 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    #[serde(rename = "RS256")]
    Rs256,
}

impl Algorithm {
    /// The JOSE name, as it stands in `alg`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
        }
    }
}

/// `kty` (RFC 7518 §6.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeyType {
    /// An RSA key.
    #[serde(rename = "RSA")]
    Rsa,
}

/// `use` (RFC 7517 §4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeyUse {
    /// The key signs.
    #[serde(rename = "sig")]
    Signature,
}

/// A published RSA public key. Members stand in alphabetical order, as the starting API writes them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicJwk {
    /// The one algorithm this key is used with.
    pub alg: Algorithm,
    /// The public exponent, base64url of its big-endian bytes.
    pub e: String,
    /// The key's id: its RFC 7638 thumbprint.
    pub kid: String,
    /// Always `RSA`.
    pub kty: KeyType,
    /// The modulus, base64url of its big-endian bytes without leading zeros.
    pub n: String,
    /// Always `sig`.
    #[serde(rename = "use")]
    pub key_use: KeyUse,
}

impl PublicJwk {
    /// The JWK of an RSA key that signs RS256, named by its thumbprint.
    pub fn rsa(modulus: &[u8], exponent: &[u8]) -> Self {
        let (n, e) = (crate::base64url(modulus), crate::base64url(exponent));
        let kid = rsa_thumbprint(&n, &e);
        Self { alg: Algorithm::Rs256, e, kid, kty: KeyType::Rsa, n, key_use: KeyUse::Signature }
    }
}

/// RFC 7638 §3: SHA-256 over the required members in lexicographic order, base64url.
fn rsa_thumbprint(n: &str, e: &str) -> String {
    crate::base64url(&crate::sha256(format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#).as_bytes()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    // RFC 7638 §3.1, also the first RSA key of RFC 7517 appendix A.1.
    const N: &str = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";

    #[test]
    fn rfc7638_section_3_1_thumbprint() {
        assert_eq!(rsa_thumbprint(N, "AQAB"), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    }

    #[test]
    fn weak_keys_are_refused() {
        let odd = |bytes: usize| vec![0xff; bytes];
        for (n, e) in [
            (odd(128), vec![1, 0, 1]),
            (odd(255), vec![1, 0, 1]),
            (odd(1025), vec![1, 0, 1]),
            ([odd(255), vec![0xfe]].concat(), vec![1, 0, 1]),
            (odd(256), vec![1]),
            (odd(256), vec![2]),
            (odd(256), vec![1, 0, 0, 0, 1]),
            (odd(256), vec![]),
        ] {
            assert!(
                crate::jws::VerifyingKey::from_jwk(&PublicJwk::rsa(&n, &e)).is_err(),
                "{} {e:?}",
                n.len()
            );
        }
        assert!(crate::jws::VerifyingKey::from_jwk(&PublicJwk::rsa(&odd(256), &[1, 0, 1])).is_ok());
    }

    #[test]
    fn rfc7517_appendix_a1_round_trip() {
        let jwk = PublicJwk::rsa(&crate::from_base64url(N).unwrap(), &[1, 0, 1]);
        let json = serde_json::to_value(&jwk).unwrap();
        let expected = serde_json::json!({
            "alg": "RS256", "e": "AQAB", "kid": "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs",
            "kty": "RSA", "n": N, "use": "sig",
        });
        assert_eq!(json, expected);
        assert_eq!(serde_json::from_value::<PublicJwk>(json).unwrap(), jwk);
    }
}
