//! Tests of `import`: keys of OpenSSL and of the RFCs, what is refused and how, and random damage.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

use super::*;
use crate::jws::{KeyKind, RsaBits};
use crate::key::tests::{A2_JWK, A2_KEY, A3_JWK, ED_JWK};
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::signature::{ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaSigningAlgorithm};
use proptest::prelude::*;
use serde_json::{Value, json};

// Test keys, made once by OpenSSL 3.0: see `test-keys/README.md`.
const RSA_PKCS8: &str = include_str!("../test-keys/test-only-rsa-pkcs8.pem");
const RSA_PKCS1: &str = include_str!("../test-keys/test-only-rsa-pkcs1.pem");
const RSA_1024: &str = include_str!("../test-keys/test-only-rsa1024-pkcs8.pem");
const RSA_4104: &str = include_str!("../test-keys/test-only-rsa4104-pkcs8.pem");
const P256_PKCS8: &str = include_str!("../test-keys/test-only-p256-pkcs8.pem");
const P256_SEC1: &str = include_str!("../test-keys/test-only-p256-sec1.pem");
const ED25519_PKCS8: &str = include_str!("../test-keys/test-only-ed25519-pkcs8.pem");
const ALL: [&str; 8] = [RSA_PKCS8, RSA_PKCS1, P256_PKCS8, P256_SEC1, ED25519_PKCS8, A2_JWK, A3_JWK, ED_JWK];

#[track_caller]
fn refused(text: &str, error: &KeyError) {
    assert_eq!(SigningKey::import(text).as_ref().err(), Some(error), "{text}");
}

fn pem(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
}

fn der(pem: &str) -> Vec<u8> {
    let lines = pem.lines().filter(|line| !line.starts_with('-'));
    STANDARD.decode(lines.collect::<String>()).unwrap()
}

/// The JWK with `name` as `value`, or without `name` if that is null.
fn with(jwk: &str, name: &str, value: Value) -> String {
    let mut jwk: serde_json::Map<String, Value> = serde_json::from_str(jwk).unwrap();
    if value.is_null() {
        jwk.remove(name)
    } else {
        jwk.insert(name.to_owned(), value)
    };
    Value::Object(jwk).to_string()
}

#[test]
fn keys_of_openssl_and_the_rfcs() {
    let rsa = KeyKind::Rsa(RsaBits::Rsa2048);
    let kinds =
        [rsa, rsa, KeyKind::P256, KeyKind::P256, KeyKind::Ed25519, rsa, KeyKind::P256, KeyKind::Ed25519];
    let keys = ALL.map(|text| SigningKey::import(text).unwrap());
    for (key, kind) in keys.iter().zip(kinds) {
        assert_eq!(key.kind(), kind);
        let stored = SigningKey::from_pkcs8(&key.to_pkcs8().unwrap()).unwrap();
        assert_eq!(stored.public(), key.public());
        assert_eq!(
            SigningKey::import(&pem("PRIVATE KEY", &key.to_pkcs8().unwrap())).unwrap().public,
            key.public
        );
    }
    assert_eq!(keys[0].public, keys[1].public);
    assert_eq!(keys[2].public, keys[3].public);
}

#[test]
fn white_space_and_other_members_do_not_matter() {
    let reread = |text: &str| SigningKey::import(text).unwrap().public;
    assert_eq!(reread(&format!("\n {}\n\n", P256_PKCS8.replace('\n', "\r\n"))), reread(P256_PKCS8));
    let more = json!({ "kid": "mine", "ext": true, "key_ops": ["sign"], "x5c": ["AAAA"], "use": "sig" });
    for (jwk, alg) in [(A2_JWK, "RS256"), (A3_JWK, "ES256"), (ED_JWK, "EdDSA")] {
        let mut text = with(jwk, "alg", json!(alg));
        for (name, value) in more.as_object().unwrap() {
            text = with(&text, name, value.clone());
        }
        assert_eq!(reread(&format!(" {text}\n")), reread(jwk));
    }
}

#[test]
fn rsa_sizes() {
    // PKCS #1 stands in PKCS #8 behind 26 bytes (2048 bits or more).
    for (bits, kind) in [
        (KeyKind::Rsa(RsaBits::Rsa3072), RsaBits::Rsa3072),
        (KeyKind::Rsa(RsaBits::Rsa4096), RsaBits::Rsa4096),
    ] {
        let key = SigningKey::generate(bits).unwrap();
        let text = pem("RSA PRIVATE KEY", &key.to_pkcs8().unwrap()[26..]);
        assert_eq!(SigningKey::import(&text).unwrap().kind(), KeyKind::Rsa(kind));
    }
    for other in [RSA_1024, RSA_4104, &with(A2_JWK, "n", json!(crate::base64url(&[0xff; 128])))] {
        refused(other, &BAD_RSA);
    }
}

#[test]
fn keys_of_others() {
    refused(&pem("PUBLIC KEY", &[0x30, 0]), &PUBLIC);
    refused(&pem("CERTIFICATE", &[0x30, 0]), &PUBLIC);
    refused(&pem("RSA PUBLIC KEY", &[0x30, 0]), &PUBLIC);
    refused(&pem("ENCRYPTED PRIVATE KEY", &[0x30, 0]), &ENCRYPTED);
    let encrypted =
        "\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,FF4655B4477A3E7E639CDB3CF5DF230B\n\nAAAA\n";
    for label in ["RSA PRIVATE KEY", "EC PRIVATE KEY"] {
        refused(&format!("-----BEGIN {label}-----{encrypted}-----END {label}-----"), &ENCRYPTED);
    }
    refused(
        &pem("OPENSSH PRIVATE KEY", b"openssh-key-v1"),
        &KeyError("it is in OpenSSH's own format; PKCS #8 is needed"),
    );
    let label = KeyError("its PEM label is none of PRIVATE KEY, RSA PRIVATE KEY and EC PRIVATE KEY");
    for other in ["DSA PRIVATE KEY", "private key", "ANY PRIVATE KEY", "EC PARAMETERS", ""] {
        refused(&pem(other, &der(P256_PKCS8)), &label);
    }
    // The labels must not lie.
    for (name, text, error) in [
        ("RSA PRIVATE KEY", P256_SEC1, BAD_RSA),
        ("RSA PRIVATE KEY", RSA_PKCS8, BAD_RSA),
        ("EC PRIVATE KEY", RSA_PKCS1, BAD_EC),
        ("EC PRIVATE KEY", ED25519_PKCS8, BAD_EC),
        ("PRIVATE KEY", RSA_PKCS1, KeyError("it is a key of none of RSA, P-256 and Ed25519")),
    ] {
        refused(&pem(name, &der(text)), &error);
    }
}

#[test]
fn wrong_curves() {
    let other = |algorithm: &'static EcdsaSigningAlgorithm| EcdsaKeyPair::generate(algorithm).unwrap();
    let p384 = other(&ECDSA_P384_SHA384_FIXED_SIGNING);
    refused(&pem("PRIVATE KEY", p384.to_pkcs8v1().unwrap().as_ref()), &BAD_EC);
    refused(&pem("EC PRIVATE KEY", p384.private_key().as_der().unwrap().as_ref()), &BAD_EC);
    // X25519, Ed448 and DSA, by their object identifiers.
    for id in [&b"\x2b\x65\x6e"[..], b"\x2b\x65\x71", b"\x2a\x86\x48\xce\x38\x04\x01"] {
        let inner = [&[2, 1, 0, 0x30, id.len() as u8 + 2, 6, id.len() as u8], id, &[4, 0]].concat();
        let text = pem("PRIVATE KEY", &[&[0x30, inner.len() as u8], &inner[..]].concat());
        refused(&text, &KeyError("it is a key of none of RSA, P-256 and Ed25519"));
    }
    for crv in ["P-384", "P-521", "secp256k1", "Ed448", "X25519", "Ed25519", "p-256", ""] {
        refused(&with(A3_JWK, "crv", json!(crv)), &KeyError("its curve is neither P-256 nor Ed25519"));
    }
    let neither = KeyError("kty and crv are none of RSA, EC with P-256 and OKP with Ed25519");
    for kty in ["oct", "ec", "RSA", "", "AKP"] {
        refused(&with(A3_JWK, "kty", json!(kty)), &neither);
    }
    refused(&with(A3_JWK, "crv", Value::Null), &neither);
}

#[test]
fn halves_that_do_not_belong_together() {
    let (one, other) =
        (SigningKey::generate(KeyKind::P256).unwrap(), SigningKey::generate(KeyKind::P256).unwrap());
    // Both PKCS #8 forms end with the public point.
    let (one, other) = (one.to_pkcs8().unwrap(), other.to_pkcs8().unwrap());
    let (start, point) = (&one[..one.len() - 64], &other[other.len() - 64..]);
    refused(&pem("PRIVATE KEY", &[start, point].concat()), &BAD_EC);
    let flipped = [&one[..one.len() - 1], &[one[one.len() - 1] ^ 1]].concat();
    refused(&pem("PRIVATE KEY", &flipped), &BAD_EC);

    let Ok(Pair::Ed25519(pair)) = SigningKey::import(ED25519_PKCS8).map(|key| key.pair) else {
        unreachable!()
    };
    let mut v2 = pair.to_pkcs8().unwrap().as_ref().to_vec();
    assert!(SigningKey::import(&pem("PRIVATE KEY", &v2)).is_ok());
    *v2.last_mut().unwrap() ^= 1;
    refused(&pem("PRIVATE KEY", &v2), &BAD_ED25519);

    let number = |bytes: &[u8]| json!(crate::base64url(bytes));
    for (jwk, names, error) in [
        (A2_JWK, &["n", "d", "p", "q", "dp", "dq", "qi"][..], BAD_RSA),
        (A3_JWK, &["x", "y", "d"], BAD_EC),
        (ED_JWK, &["x", "d"], BAD_ED25519),
    ] {
        let good: Value = serde_json::from_str(jwk).unwrap();
        for name in names {
            let bytes = crate::from_base64url(good[name].as_str().unwrap()).unwrap();
            let mut changed = bytes.clone();
            changed[20] ^= 1;
            let zero = vec![0; bytes.len()];
            let longer = [&bytes[..], &[1]].concat();
            for wrong in [&changed, &zero, &longer, &bytes[1..].to_vec(), &vec![]] {
                refused(&with(jwk, name, number(wrong)), &error);
            }
            refused(&with(jwk, name, json!("A")), &KeyError("one of its numbers is not base64url"));
            let padded = format!("{}=", good[name].as_str().unwrap());
            refused(&with(jwk, name, json!(padded)), &KeyError("one of its numbers is not base64url"));
        }
    }
    // Numbers of P-256 have 32 bytes, even with a zero before them.
    let x = crate::from_base64url("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU").unwrap();
    refused(&with(A3_JWK, "x", number(&[&[0], &x[..]].concat())), &BAD_EC);
    for e in [&[1][..], &[2], &[3], &[1, 0, 2], &[0, 1, 0, 1], &[]] {
        refused(&with(A2_JWK, "e", number(e)), &BAD_RSA);
    }
}

#[test]
fn incomplete_and_unsuitable_jwks() {
    for jwk in [A2_JWK, A3_JWK, ED_JWK] {
        refused(&with(jwk, "d", Value::Null), &PUBLIC);
        let unsuitable = KeyError("alg or use says that it is for something else");
        refused(&with(jwk, "use", json!("enc")), &unsuitable);
        let algorithms =
            ["RS256", "ES256", "EdDSA"].map(|alg| SigningKey::import(&with(jwk, "alg", json!(alg))));
        assert_eq!(algorithms.iter().filter(|read| read.is_ok()).count(), 1);
        assert_eq!(algorithms.iter().filter(|read| read.as_ref().err() == Some(&unsuitable)).count(), 2);
        for alg in ["PS256", "RS512", "HS256", "none"] {
            assert!(SigningKey::import(&with(jwk, "alg", json!(alg))).is_err());
        }
    }
    let primes = KeyError("an RSA key needs p, q, dp, dq and qi, and no other primes");
    for name in ["p", "q", "dp", "dq", "qi"] {
        refused(&with(A2_JWK, name, Value::Null), &primes);
    }
    refused(&with(A2_JWK, "oth", json!([])), &primes);
    refused(&with(A2_JWK, "n", Value::Null), &BAD_RSA);
    refused(&with(A3_JWK, "y", Value::Null), &BAD_EC);
    refused(&with(ED_JWK, "x", Value::Null), &BAD_ED25519);
    let json = KeyError("it is no JSON Web Key with an algorithm of this server");
    let twice = ED_JWK.replacen('{', r#"{"d":"AAAA","#, 1);
    for text in ["{", "{}", &format!(r#"{{"keys":[{ED_JWK}]}}"#), &format!("{ED_JWK}{ED_JWK}"), &twice] {
        refused(text, &json);
    }
    refused(&A2_KEY.public().kid, &KeyError("it starts neither like PEM nor like a JSON Web Key"));
}

#[test]
fn damaged_pem() {
    let start = KeyError("it starts neither like PEM nor like a JSON Web Key");
    for text in ["Bag Attributes\n", "---- BEGIN", "[]", "null", "\u{feff}", "\0"] {
        refused(&format!("{text}{P256_PKCS8}"), &start);
        refused(text, &start);
    }
    refused("", &start);
    let several = KeyError("it has more than one PEM block; leave only that of the key");
    refused(&format!("{P256_PKCS8}{P256_PKCS8}"), &several);
    refused(&format!("{}{P256_SEC1}", pem("EC PARAMETERS", &[6, 0])), &several);
    refused(&format!("{P256_PKCS8}{}", pem("CERTIFICATE", &[0x30, 0])), &several);
    let good = der(P256_PKCS8);
    for text in [
        "-----BEGIN ".to_owned(),
        "-----BEGIN PRIVATE KEY-----".to_owned(),
        "-----BEGIN PRIVATE KEY----------END PRIVATE KEY-----".to_owned(),
        format!("{P256_PKCS8}and more"),
        P256_PKCS8.replace("-----END PRIVATE KEY-----", ""),
        P256_PKCS8.replace("END PRIVATE KEY", "END RSA PRIVATE KEY"),
        P256_PKCS8.replacen("MIGH", "MIG*", 1),
        P256_PKCS8.replacen("MIGH", "MIG", 1),
        pem("PRIVATE KEY", &[&good[..], &[0]].concat()),
        pem("PRIVATE KEY", &[&good[..], &good].concat()),
        pem("PRIVATE KEY", &good[..good.len() - 1]),
        pem("PRIVATE KEY", &good[1..]),
        pem("PRIVATE KEY", &[]),
        pem("PRIVATE KEY", &[0x30, 0x80, 0, 0]),
    ] {
        refused(&text, &DAMAGED);
    }
    refused(&format!("{P256_PKCS8}{}", " ".repeat(MAX_LENGTH)), &KeyError("it is longer than 16 kB"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_refused(text in "\\PC*", bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(SigningKey::import(&text).is_err());
        for start in ["-----BEGIN ", "{"] {
            prop_assert!(SigningKey::import(&[start, &text].concat()).is_err());
        }
        for label in ["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY"] {
            prop_assert!(SigningKey::import(&pem(label, &bytes)).is_err());
        }
    }

    #[test]
    fn what_is_read_is_a_key(which in 0..ALL.len(), at: prop::sample::Index, other in "[A-Za-z0-9_+/-]") {
        let text = ALL[which];
        let at = at.index(text.len());
        let changed = [&text[..at], &other, &text[at + 1..]].concat();
        if let Ok(key) = SigningKey::import(&changed) {
            let verifier = VerifyingKey::from_jwk(key.public()).unwrap();
            prop_assert!(verifier.verifies(b"message", &key.signature(b"message").unwrap()));
        }
    }
}
