//! A token, taken apart and held against a key: nothing but refusal, and no panic.
#![no_main]

use claviger_crypto::jwk::PublicJwk;
use claviger_crypto::jws::VerifyingKey;
use claviger_crypto::jwt::{AccessToken, Expected};
use libfuzzer_sys::fuzz_target;
use std::sync::{Arc, LazyLock};

static KEY: LazyLock<Arc<VerifyingKey>> = LazyLock::new(|| {
    let jwk = PublicJwk::rsa(&[0xff; 256], &[1, 0, 1]);
    Arc::new(VerifyingKey::from_jwk(&jwk).expect("an odd modulus of 2048 bits"))
});

fuzz_target!(|token: &str| {
    let expected = Expected { issuer: "issuer", audience: "audience", now: 0 };
    assert!(AccessToken::verify(token, expected, |_| Some(KEY.clone())).is_err());
});
