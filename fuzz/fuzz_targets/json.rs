//! A request body: read or refused; what is read has no name twice.
#![no_main]

use claviger::http::json::read;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|body: &[u8]| {
    if let Ok(value) = read::<Value>(body) {
        let again = serde_json::to_vec(&value).expect("a value can be written");
        assert_eq!(read::<Value>(&again).expect("what was read can be read again"), value);
    }
});
