//! A key of an earlier server, and a token held against one: refusal or the same key again, and no panic.
#![no_main]

use claviger_crypto::earlier::{EarlierToken, import_public};
use claviger_crypto::jwk::PublicJwk;
use claviger_crypto::jws::VerifyingKey;
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static KEY: LazyLock<VerifyingKey> = LazyLock::new(|| {
    let jwk = PublicJwk::rsa(&[0xff; 256], &[1, 0, 1]);
    VerifyingKey::from_jwk(&jwk).expect("an odd modulus of 2048 bits")
});

fuzz_target!(|text: &str| {
    if let Ok(key) = import_public(text) {
        let again = serde_json::to_string(&key).expect("a key is written");
        assert_eq!(import_public(&again), Ok(key));
    }
    assert!(EarlierToken::verify(text, [("key", &*KEY)]).is_err());
});
