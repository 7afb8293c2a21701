//! An e-mail address: its key is an address with the same key.
#![no_main]

use claviger::base::email::Email;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(email) = Email::parse(text) {
        let again = Email::parse(email.key()).expect("a key is an address");
        assert_eq!(again.key(), email.key());
    }
});
