//! Tests of `key`: the examples of the RFCs, and the forms of signatures and keys that must be refused.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use super::*;
use crate::{base64url, from_base64url};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING};
use std::sync::LazyLock;

// RFC 7515 appendix A.2. Its key also serves as the key of a stranger.
const A2_INPUT: &str = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
pub(crate) const A2_SIGNATURE: &str = "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
pub(crate) const A2_JWK: &str = r#"{"kty":"RSA",
    "n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ",
    "e":"AQAB",
    "d":"Eq5xpGnNCivDflJsRQBXHx1hdR1k6Ulwe2JZD50LpXyWPEAeP88vLNO97IjlA7_GQ5sLKMgvfTeXZx9SE-7YwVol2NXOoAJe46sui395IW_GO-pWJ1O0BkTGoVEn2bKVRUCgu-GjBVaYLU6f3l9kJfFNS3E0QbVdxzubSu3Mkqzjkn439X0M_V51gfpRLI9JYanrC4D4qAdGcopV_0ZHHzQlBjudU2QvXt4ehNYTCBr6XCLQUShb1juUO1ZdiYoFaFQT5Tw8bGUl_x_jTj3ccPDVZFD9pIuhLhBOneufuBiB4cS98l2SR_RQyGWSeWjnczT0QU91p1DhOVRuOopznQ",
    "p":"4BzEEOtIpmVdVEZNCqS7baC4crd0pqnRH_5IB3jw3bcxGn6QLvnEtfdUdiYrqBdss1l58BQ3KhooKeQTa9AB0Hw_Py5PJdTJNPY8cQn7ouZ2KKDcmnPGBY5t7yLc1QlQ5xHdwW1VhvKn-nXqhJTBgIPgtldC-KDV5z-y2XDwGUc",
    "q":"uQPEfgmVtjL0Uyyx88GZFF1fOunH3-7cepKmtH4pxhtCoHqpWmT8YAmZxaewHgHAjLYsp1ZSe7zFYHj7C6ul7TjeLQeZD_YwD66t62wDmpe_HlB-TnBA-njbglfIsRLtXlnDzQkv5dTltRJ11BKBBypeeF6689rjcJIDEz9RWdc",
    "dp":"BwKfV3Akq5_MFZDFZCnW-wzl-CCo83WoZvnLQwCTeDv8uzluRSnm71I3QCLdhrqE2e9YkxvuxdBfpT_PI7Yz-FOKnu1R6HsJeDCjn12Sk3vmAktV2zb34MCdy7cpdTh_YVr7tss2u6vneTwrA86rZtu5Mbr1C1XsmvkxHQAdYo0",
    "dq":"h_96-mK1R_7glhsum81dZxjTnYynPbZpHziZjeeHcXYsXaaMwkOlODsWa7I9xXDoRwbKgB719rrmI2oKr6N3Do9U0ajaHF-NKJnwgjMd2w9cjz3_-kyNlxAr2v4IKhGNpmM5iIgOS1VZnOZ68m6_pbLBSp3nssTdlqvd0tIiTHU",
    "qi":"IYd7DHOhrWvxkwPQsRM2tOgrjbcrfvtQJipd-DlcxyVuuM9sQLdgjVk2oy26F0EmpScGLq2MowX7fhd_QJQ3ydy5cY7YIBi87w93IKLEdfnbJtoOPLUW0ITrJReOgo1cq9SbsxYawBgfp_gh6A5603k2-ZQwVK0JKSHuLFkuQ3U"}"#;
pub(crate) static A2_KEY: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::import(A2_JWK).unwrap());

pub(crate) fn rsa_pair(key: &SigningKey) -> &rsa::KeyPair {
    let Pair::Rsa(pair) = &key.pair else { panic!("{key:?} is no RSA key") };
    pair
}

// RFC 7515 appendix A.3.
const A3_INPUT: &str = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
const A3_SIGNATURE: &str =
    "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
const A3_X: &str = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
const A3_Y: &str = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";
pub(crate) const A3_JWK: &str = r#"{"kty":"EC","crv":"P-256",
    "x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
    "y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    "d":"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"}"#;

// RFC 8037 appendix A.
const ED_X: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
pub(crate) const ED_JWK: &str = r#"{"kty":"OKP","crv":"Ed25519",
    "d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
    "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
const ED_INPUT: &str = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
const ED_SIGNATURE: &str =
    "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";

fn bytes(text: &str) -> Vec<u8> {
    from_base64url(text).unwrap()
}

fn a3_key() -> SigningKey {
    SigningKey::import(A3_JWK).unwrap()
}

fn ed_key() -> SigningKey {
    SigningKey::import(ED_JWK).unwrap()
}

/// The signature verifies, and with any bit of it or of the message changed it does not.
#[track_caller]
fn verifies_only_unchanged(key: &SigningKey, input: &str, signature: &[u8]) {
    let (input, key) = (input.as_bytes(), VerifyingKey::from_jwk(&key.public).unwrap());
    assert!(key.verifies(input, signature));
    for bit in 0..(input.len() + signature.len()) * 8 {
        let mut both = [input, signature].concat();
        both[bit / 8] ^= 1 << (bit % 8);
        let (input, signature) = both.split_at(input.len());
        assert!(!key.verifies(input, signature), "bit {bit}");
    }
}

/// Each of these is refused as a signature of `input`.
#[track_caller]
fn refuses(key: &SigningKey, input: &str, signatures: &[&[u8]]) {
    let key = VerifyingKey::from_jwk(&key.public).unwrap();
    for signature in signatures {
        assert!(!key.verifies(input.as_bytes(), signature), "{signature:02x?}");
    }
}

#[test]
fn rfc7515_appendix_a2() {
    let signature = from_base64url(A2_SIGNATURE).unwrap();
    assert_eq!(A2_KEY.signature(A2_INPUT.as_bytes()).unwrap(), signature);
    verifies_only_unchanged(&A2_KEY, A2_INPUT, &signature);
}

#[test]
fn rsa_public_keys() {
    // RFC 7517 appendix A.1.
    let n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
    let is_read = |n: &str, e: &str| {
        let numbers = Numbers::Rsa { n: n.to_owned(), e: e.to_owned() };
        let jwk = PublicJwk { numbers, ..A2_KEY.public.clone() };
        VerifyingKey::from_jwk(&jwk).is_ok()
    };
    assert!(is_read(n, "AQAB"));
    let standard = n.replace('-', "+").replace('_', "/");
    let bad = ["", "A", "AA", "AAAA", &format!("{n}=="), &format!("AAAA{n}"), &format!(" {n}"), &standard];
    assert_eq!(bad.map(|n| is_read(n, "AQAB")), [false; 8]);
    assert_eq!(["", "A", "AA", "AQAB=", "AAEAAQ", "AQ\nAB"].map(|e| is_read(n, e)), [false; 6]);
}

#[test]
fn rfc7515_appendix_a3() {
    let (key, signature) = (a3_key(), bytes(A3_SIGNATURE));
    verifies_only_unchanged(&key, A3_INPUT, &signature);
    // ECDSA draws a random number for each signature.
    let own = key.signature(A3_INPUT.as_bytes()).unwrap();
    assert_eq!(own.len(), 64);
    verifies_only_unchanged(&key, A3_INPUT, &own);
}

#[test]
fn rfc8037_appendix_a4_and_a5() {
    let (key, signature) = (ed_key(), bytes(ED_SIGNATURE));
    assert_eq!(key.signature(ED_INPUT.as_bytes()).unwrap(), signature);
    verifies_only_unchanged(&key, ED_INPUT, &signature);
}

#[test]
fn es256_signatures_of_another_form() {
    // The order of P-256 (SEC 2 §2.4.2).
    let order = bytes("_____wAAAAD__________7zm-q2nF56E87nKwvxjJVE");
    let (key, good) = (a3_key(), bytes(A3_SIGNATURE));
    let (r, s) = good.split_at(32);
    let zero = [0; 32];
    let der = {
        let Pair::P256(pair) = &key.pair else { panic!("{key:?}") };
        let pkcs8 = pair.to_pkcs8v1().unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8.as_ref()).unwrap();
        pair.sign(&SystemRandom::new(), A3_INPUT.as_bytes()).unwrap()
    };
    let joined = |parts: &[&[u8]]| parts.concat();
    refuses(
        &key,
        A3_INPUT,
        &[
            &[],
            &[0; 64],
            &[0xff; 64],
            der.as_ref(),
            r,
            &good[..63],
            &good[1..],
            &joined(&[&good, &[0]]),
            &joined(&[&[0], &good]),
            &joined(&[&[0], r, &[0], s]),
            &joined(&[r, &zero]),
            &joined(&[&zero, s]),
            &joined(&[s, r]),
            &joined(&[r, &order]),
            &joined(&[&order, s]),
            &joined(&[&order, &order]),
            &joined(&[&good, &good]),
        ],
    );
}

#[test]
fn ed25519_signatures_of_another_form() {
    // The order of the base point, little-endian (RFC 8032 §5.1): S + L is S once more, uncanonically.
    let order = bytes("7dP1XBpjEljWnPei3vneFAAAAAAAAAAAAAAAAAAAABA");
    let (key, good) = (ed_key(), bytes(ED_SIGNATURE));
    let (r, s) = good.split_at(32);
    let mut carry = 0;
    let sum = |(a, b): (&u8, &u8)| {
        let sum = u16::from(*a) + u16::from(*b) + carry;
        carry = sum >> 8;
        sum.to_be_bytes()[1]
    };
    let more: Vec<u8> = s.iter().zip(&order).map(sum).collect();
    let joined = |parts: &[&[u8]]| parts.concat();
    refuses(
        &key,
        ED_INPUT,
        &[
            &[],
            &[0; 64],
            &[0xff; 64],
            r,
            &good[..63],
            &good[1..],
            &joined(&[r, &more]),
            &joined(&[r, &order]),
            &joined(&[r, &[0; 32]]),
            &joined(&[&[0; 32], s]),
            &joined(&[s, r]),
            &joined(&[&good, &[0]]),
            &joined(&[&[0], &good]),
        ],
    );
}

#[test]
fn weak_rsa_keys_are_refused() {
    let odd = |bytes: usize| vec![0xff; bytes];
    for (n, e) in [
        (odd(128), vec![1, 0, 1]),
        (odd(255), vec![1, 0, 1]),
        ([vec![0x7f], odd(255)].concat(), vec![1, 0, 1]),
        (odd(1025), vec![1, 0, 1]),
        ([odd(255), vec![0xfe]].concat(), vec![1, 0, 1]),
        (odd(256), vec![1]),
        (odd(256), vec![2]),
        (odd(256), vec![1, 0, 0, 0, 1]),
        (odd(256), vec![]),
    ] {
        assert!(VerifyingKey::from_jwk(&PublicJwk::rsa(&n, &e)).is_err(), "{} {e:?}", n.len());
    }
    assert!(VerifyingKey::from_jwk(&PublicJwk::rsa(&odd(256), &[1, 0, 1])).is_ok());
}

#[test]
fn curve_public_keys() {
    let refused = |numbers| {
        let jwk = PublicJwk { numbers, ..a3_key().public };
        VerifyingKey::from_jwk(&jwk).err().map(|error| error.0)
    };
    let p256 = |x: &str, y: &str| refused(Numbers::P256 { x: x.to_owned(), y: y.to_owned() });
    assert_eq!(p256(A3_X, A3_Y), None);
    // Another point's coordinate, the field's prime, zero.
    let (prime, zero) =
        (base64url(&bytes("_____wAAAAEAAAAAAAAAAAAAAAD_______________8")), base64url(&[0; 32]));
    let none = Some("x and y are no point on P-256");
    for (x, y) in [(A3_X, A3_X), (A3_Y, A3_X), (ED_X, A3_Y), (&prime, A3_Y), (A3_X, &prime), (&zero, &zero)] {
        assert_eq!(p256(x, y), none, "{x} {y}");
    }
    let long = base64url(&[&[0], &bytes(A3_X)[..]].concat());
    for x in ["", "A", "AA", &A3_X[..42], &format!("{A3_X}="), &format!(" {A3_X}"), &long] {
        assert_eq!(p256(x, A3_Y), Some("x is not base64url of 32 bytes"), "{x}");
        assert_eq!(p256(A3_X, x), Some("y is not base64url of 32 bytes"), "{x}");
        let error = refused(Numbers::Ed25519 { x: x.to_owned() });
        assert_eq!(error, Some("x is not base64url of 32 bytes"), "{x}");
    }
}

#[test]
fn generated_keys_are_stored_and_read_back() {
    let rsa = [RsaBits::Rsa2048, RsaBits::Rsa3072].map(KeyKind::Rsa);
    for kind in rsa.into_iter().chain([KeyKind::P256, KeyKind::Ed25519]) {
        let key = SigningKey::generate(kind).unwrap();
        let again = SigningKey::from_pkcs8(&key.to_pkcs8().unwrap()).unwrap();
        assert_eq!((key.kind(), again.kind()), (kind, kind));
        assert_eq!(again.public, key.public);
        assert_eq!(key.public.alg, kind.algorithm());
        let verifier = VerifyingKey::from_jwk(key.public()).unwrap();
        assert!(verifier.verifies(b"message", &again.signature(b"message").unwrap()));
        assert_eq!(format!("{key:?}"), format!("SigningKey({})", key.public.kid));
    }
    let other = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap().to_pkcs8v1().unwrap();
    for der in [&b""[..], b"\x30\x00", &[0xff; 100], other.as_ref()] {
        assert!(SigningKey::from_pkcs8(der).is_err());
    }
}

#[test]
fn bits_of_a_number() {
    let numbers: [(&[u8], usize); 6] =
        [(&[], 0), (&[0, 0], 0), (&[1], 1), (&[0x80], 8), (&[0, 1, 0], 9), (&[0xff; 256], 2048)];
    for (number, count) in numbers {
        assert_eq!(super::bits(number), count);
    }
}
