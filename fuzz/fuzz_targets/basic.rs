//! The Authorization header of a login.
#![no_main]

use axum::http::{HeaderMap, HeaderValue, header};
use claviger::http::{basic, bearer};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(value) = HeaderValue::from_bytes(bytes) {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, value);
        if let Ok(basic) = basic::read(&headers) {
            assert!(!basic.username.contains(':'));
        }
        let _ = bearer::token(&headers);
    }
});
