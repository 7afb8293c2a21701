//! A form body: read or refused; what is read is what another reader finds, each name once.
#![no_main]

use claviger::http::form::read;
use libfuzzer_sys::fuzz_target;
use std::collections::BTreeMap;

fuzz_target!(|body: &[u8]| {
    if let Ok(form) = read(body) {
        let mut found = BTreeMap::new();
        for (name, value) in url::form_urlencoded::parse(body) {
            assert_eq!(form.get(&name).unwrap_or_default(), value);
            assert!(found.insert(name, value).is_none());
        }
    }
});
