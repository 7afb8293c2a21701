//! `claviger-verify`, which services verify our tokens with, against the server: what it takes and refuses, and how
//! often it asks. How it keeps time is tried in the crate itself.

use crate::harness::{Account, Caller as _, TestApp, decode};
use claviger::admin;
use claviger::base::time::Timestamp;
use claviger::jobs;
use claviger::keys;
use claviger_crypto::base64url;
use claviger_crypto::jws::{KeyKind, SigningKey};
use claviger_crypto::jwt::AccessToken;
use claviger_verify::{Builder, Error, SignatureError, TokenError, Verifier};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, UNIX_EPOCH};

/// A verifier with the server's own clock.
fn builder(app: &TestApp) -> Builder {
    let shared = app.app();
    let clock = move || UNIX_EPOCH + Duration::from_micros(shared.clock.now().as_micros().unsigned_abs());
    Verifier::builder(&app.issuer).server(&app.url).clock(clock)
}

fn verifier(app: &TestApp) -> Verifier {
    builder(app).build().unwrap()
}
