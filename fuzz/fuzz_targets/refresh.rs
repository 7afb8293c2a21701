//! Opaque tokens: no text is a refresh token of ours, and what is read as an API key is written the same.
#![no_main]

use claviger_crypto::mac::MacKey;
use claviger_crypto::token::{ApiKey, RefreshToken};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static KEY: LazyLock<MacKey> = LazyLock::new(|| MacKey::new([0x5a; 32]));

fuzz_target!(|text: &str| {
    assert!(RefreshToken::parse(&KEY, text).is_none());
    if let Some(key) = ApiKey::parse(text) {
        assert_eq!(*key.to_text(), text);
    }
});
