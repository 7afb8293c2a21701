//! What openssl writes is read as the same key that its private half has, and nothing else is.

use crate::earlier::import_public;
use crate::jws::SigningKey;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Private keys, and their public halves by `openssl pkey -pubout`.
const PAIRS: [(&str, &str); 3] = [
    (
        include_str!("../test-keys/test-only-rsa-pkcs8.pem"),
        include_str!("../test-keys/test-only-rsa-public.pem"),
    ),
    (
        include_str!("../test-keys/test-only-p256-pkcs8.pem"),
        include_str!("../test-keys/test-only-p256-public.pem"),
    ),
    (
        include_str!("../test-keys/test-only-ed25519-pkcs8.pem"),
        include_str!("../test-keys/test-only-ed25519-public.pem"),
    ),
];

/// Of the first by `openssl rsa -RSAPublicKey_out`, and of P-384 and 1024 bits of RSA.
const PKCS1: &str = include_str!("../test-keys/test-only-rsa-pkcs1-public.pem");
const P384: &str = include_str!("../test-keys/test-only-p384-public.pem");
const SHORT: &str = include_str!("../test-keys/test-only-rsa1024-public.pem");

fn pem(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
}

fn der(pem: &str) -> Vec<u8> {
    STANDARD.decode(pem.lines().filter(|line| !line.starts_with('-')).collect::<String>()).unwrap()
}

#[test]
fn a_public_pem_is_its_private_keys_other_half() {
    for (private, public) in PAIRS {
        let key = SigningKey::import(private).unwrap();
        assert_eq!(&import_public(public).unwrap(), key.public());
        assert_eq!(&import_public(private).unwrap(), key.public());
        let why = SigningKey::import(public).unwrap_err().to_string();
        assert!(why.contains("it is a public key; to sign, the private key is needed"), "{why}");
    }
    assert_eq!(import_public(PKCS1).unwrap(), import_public(PAIRS[0].1).unwrap());
}

#[test]
fn what_is_no_public_pem_is_refused() {
    let refusal = |text: &str| import_public(text).unwrap_err().to_string();
    let certificate = pem("CERTIFICATE", b"0");
    for (text, why) in [
        (P384, "it is a key of none of RSA, P-256 and Ed25519"),
        (&*pem("PUBLIC KEY", b"0"), "its PEM is damaged"),
        (&PAIRS[0].1.replace("MII", "!II"), "its PEM is damaged"),
        (&certificate, "it is a certificate; take its key out"),
        (&PAIRS[0].1.replace("PUBLIC KEY", "SECRET KEY"), "its PEM label is none of"),
    ] {
        assert!(refusal(text).contains(why), "{text}: {}", refusal(text));
    }
    assert!(import_public(SHORT).is_err(), "too short to be safe");
    for (_, public) in PAIRS {
        let whole = der(public);
        for length in 0..whole.len() {
            assert!(import_public(&pem("PUBLIC KEY", &whole[..length])).is_err(), "{length}");
        }
        assert!(import_public(&pem("PUBLIC KEY", &[&whole, &b"\0"[..]].concat())).is_err());
        // Another algorithm's name, or curve's.
        let renamed: Vec<u8> = whole.iter().enumerate().map(|(at, byte)| byte ^ u8::from(at == 8)).collect();
        assert!(import_public(&pem("PUBLIC KEY", &renamed)).is_err());
    }
}
