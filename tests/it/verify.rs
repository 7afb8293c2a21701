//! `claviger-verify`, which services verify our tokens with, against the server: what it takes and refuses, and how
//! often it asks. How it keeps time is tried in the crate itself.

use crate::harness::{Caller as _, TestApp, decode};
use claviger_crypto::base64url;
use claviger_crypto::jws::{KeyKind, RsaBits, SigningKey};
use claviger_verify::{Builder, Error, Fetch, Fetching, HttpClient, Request, TokenError, Verifier};
use reqwest::Method;
use serde_json::json;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

/// A verifier with the server's own clock.
fn builder(app: &TestApp) -> Builder {
    let clock = app.app().clock.clone();
    let now = move || UNIX_EPOCH + Duration::from_micros(clock.now().as_micros().unsigned_abs());
    Verifier::builder(&app.issuer).server(&app.url).clock(now)
}

fn verifier(app: &TestApp) -> Verifier {
    builder(app).build().unwrap()
}

/// Its own client, but what is asked for is noted.
#[derive(Clone)]
struct Noting {
    client: HttpClient,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Noting {
    fn new() -> Self {
        Self { client: HttpClient::new().unwrap(), asked: Arc::default() }
    }

    fn count(&self, path: &str) -> usize {
        self.asked.lock().unwrap().iter().filter(|asked| *asked == path).count()
    }
}

impl Fetch for Noting {
    fn get(&self, request: Request) -> Fetching<'_> {
        self.asked.lock().unwrap().push(request.url.path().to_owned());
        self.client.get(request)
    }
}

#[track_caller]
fn assert_refused(result: Result<claviger_verify::Claims, Error>, wanted: &TokenError) {
    match result {
        Err(Error::Token(error)) if error == *wanted => {}
        other => panic!("{other:?}, and not {wanted:?}"),
    }
}

#[tokio::test]
async fn a_token_of_each_algorithm_is_taken() {
    for alg in ["RS256", "ES256", "EdDSA"] {
        let app = TestApp::with(&[("signing_alg", alg)]).await;
        let alice = app.account("alice").await;
        let claims = verifier(&app).verify(&alice.token).await.unwrap();
        assert_eq!((claims.subject(), claims.issuer()), (alice.public_id.as_str(), app.issuer.as_str()));
        assert!(claims.has_scope("profile") && claims.has_scope("account") && !claims.has_scope("admin"));
        let said = decode(&alice.token).1;
        assert_eq!((&json!(claims.session_id()), &json!(claims.token_id())), (&said["sid"], &said["jti"]));
    }
}

#[tokio::test]
async fn what_is_not_for_this_service_or_not_for_now_is_refused() {
    let app = TestApp::with(&[("audience", "https://orders.example")]).await;
    let alice = app.account("alice").await;
    let good = builder(&app).audience("https://orders.example").build().unwrap();
    assert!(good.verify(&alice.token).await.is_ok());
    assert_refused(verifier(&app).verify(&alice.token).await, &TokenError::WrongAudience);
    let other = Verifier::builder("http://another.test").server(&app.url).build().unwrap();
    assert_refused(other.verify(&alice.token).await, &TokenError::WrongIssuer);
    for token in [&alice.refresh_token, "", "a.b.c", &alice.token[..alice.token.len() - 1]] {
        let error = good.verify(token).await.unwrap_err();
        assert!(error.is_of_the_token(), "{error}");
    }
    let life = decode(&alice.token).1;
    let life = life["exp"].as_u64().unwrap() - life["iat"].as_u64().unwrap();
    app.advance(Duration::from_secs(life + 4));
    assert!(good.verify(&alice.token).await.is_ok(), "5 seconds of leeway");
    app.advance(Duration::from_secs(1));
    assert_refused(good.verify(&alice.token).await, &TokenError::Expired);
}

#[tokio::test]
async fn another_character_anywhere_is_refused() {
    let app = TestApp::with(&[("signing_alg", "EdDSA")]).await;
    let (verifier, token) = (verifier(&app), app.account("alice").await.token);
    assert!(verifier.verify(&token).await.is_ok());
    for (at, found) in token.char_indices().step_by(3) {
        let other = if found == 'A' { 'B' } else { 'A' };
        let altered = format!("{}{other}{}", &token[..at], &token[at + 1..]);
        let error = verifier.verify(&altered).await.unwrap_err();
        assert!(error.is_of_the_token(), "at {at}: {error}");
    }
}

#[tokio::test]
async fn an_ended_session_is_refused_and_others_are_not() {
    let app = TestApp::start().await;
    let (alice, bob) = (app.account("alice").await, app.account("bob").await);
    let elsewhere = alice.elsewhere().await;
    let verifier = verifier(&app);
    let unaware = builder(&app).check_status(false).build().unwrap();
    for caller in [&alice, &bob, &elsewhere] {
        verifier.verify(&caller.token).await.unwrap();
    }
    assert_eq!(alice.post("/logout", &json!(null)).await.status, 204);
    // What a list may lag behind; then the verifier's own next look, which nobody waits for here.
    app.advance(Duration::from_secs(5));
    verifier.refresh().await.unwrap();
    assert!(matches!(verifier.verify(&alice.token).await, Err(Error::SessionEnded)));
    for caller in [&bob, &elsewhere] {
        verifier.verify(&caller.token).await.unwrap();
    }
    assert!(unaware.verify(&alice.token).await.is_ok(), "it was told not to look");
    let body = json!({"password": bob.password});
    assert_eq!(bob.send_json(Method::DELETE, "/user", &body).await.status, 204);
    app.advance(Duration::from_secs(5));
    verifier.refresh().await.unwrap();
    assert!(matches!(verifier.verify(&bob.token).await, Err(Error::SessionEnded)), "a deleted account");
}

#[tokio::test]
async fn unknown_key_ids_cost_the_server_next_to_nothing() {
    let app = TestApp::start().await;
    let alice = app.account("alice").await;
    let noting = Noting::new();
    let verifier = builder(&app).fetch(noting.clone()).pause(Duration::from_secs(600)).build().unwrap();
    verifier.verify(&alice.token).await.unwrap();
    let (_, rest) = alice.token.split_once('.').unwrap();
    for number in 0..1000 {
        let header = json!({"alg": "RS256", "kid": format!("key {number}"), "typ": "at+jwt"}).to_string();
        let forged = format!("{}.{rest}", base64url(header.as_bytes()));
        let error = verifier.verify(&forged).await.unwrap_err();
        assert!(error.to_string().contains("key id"), "{error}");
    }
    assert_eq!((noting.count("/.well-known/jwks.json"), noting.count("/status/0")), (1, 1));
    verifier.verify(&alice.token).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_at_once_share_one_fetch_of_each_file() {
    let app = TestApp::start().await;
    let token: Arc<str> = app.account("alice").await.token.into();
    let (noting, good) = (Noting::new(), Arc::new(AtomicUsize::new(0)));
    let verifier = builder(&app).fetch(noting.clone()).build().unwrap();
    let callers: Vec<_> = (0..64)
        .map(|_| {
            let (verifier, token, good) = (verifier.clone(), token.clone(), good.clone());
            tokio::spawn(async move {
                for _ in 0..20 {
                    verifier.verify(&token).await.unwrap();
                    good.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }
    assert_eq!(good.load(Ordering::Relaxed), 64 * 20);
    assert_eq!((noting.count("/.well-known/jwks.json"), noting.count("/status/0")), (1, 1));
}

#[tokio::test]
async fn a_key_that_is_none_of_the_servers_opens_nothing() {
    let app = TestApp::start().await;
    let (verifier, token) = (verifier(&app), app.account("alice").await.token);
    let (header, claims) = decode(&token);
    for kind in [KeyKind::Rsa(RsaBits::Rsa2048), KeyKind::P256, KeyKind::Ed25519] {
        let forger = SigningKey::generate(kind).unwrap();
        let own = forger.sign("at+jwt", &claims).unwrap();
        assert!(verifier.verify(&own).await.unwrap_err().is_of_the_token());
        let alg = forger.public().alg.name();
        let stolen_id = json!({"alg": alg, "kid": header["kid"], "typ": "at+jwt"}).to_string();
        let (_, rest) = own.split_once('.').unwrap();
        let forged = format!("{}.{rest}", base64url(stolen_id.as_bytes()));
        assert!(verifier.verify(&forged).await.unwrap_err().is_of_the_token());
    }
}
