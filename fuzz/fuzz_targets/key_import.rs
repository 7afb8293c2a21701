//! A private key of an operator: what is read is stored and read back as the same key.
#![no_main]

use claviger_crypto::jws::SigningKey;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(key) = SigningKey::import(text) {
        let der = key.to_pkcs8().expect("a key is written");
        let again = SigningKey::from_pkcs8(&der).expect("a written key is read");
        assert_eq!(again.public(), key.public());
    }
});
