//! A password hash of another system: what is read is stored, and read again the same.
#![no_main]

use claviger_crypto::password::StoredHash;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(hash) = StoredHash::read(text) {
        let stored = hash.to_string();
        assert_eq!(StoredHash::parse(&stored), Ok(hash));
    }
});
