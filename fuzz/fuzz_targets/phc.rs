//! A stored password hash: what is read is written the same.
#![no_main]

use claviger_crypto::password::PasswordHash;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(hash) = PasswordHash::parse(text) {
        assert_eq!(PasswordHash::parse(&hash.to_string()), Ok(hash));
    }
});
