//! The status list: what a service learns that verifies tokens offline and reads one cached file.

use crate::harness::{Account, Answer, Caller as _, TestApp, database, decode};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use claviger::app::App;
use claviger::status;
use serde_json::{Value, json};
use std::time::Duration;

/// The claims of a signed list, whose signature other people's clients verify in `tests/clients`.
fn list(answer: &Answer) -> Value {
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("content-type"), "application/statuslist+jwt");
    let (header, claims) = decode(&answer.text());
    assert_eq!(header["typ"], "statuslist+jwt");
    claims
}

/// Whether the bit at `index` is set, by the draft's own words: zlib, least significant bit first.
fn is_ended(claims: &Value, index: u64) -> bool {
    let compressed = URL_SAFE_NO_PAD.decode(claims["status_list"]["lst"].as_str().unwrap()).unwrap();
    let bytes = miniz_oxide::inflate::decompress_to_vec_zlib(&compressed).unwrap();
    bytes[usize::try_from(index / 8).unwrap()] >> (index % 8) & 1 == 1
}

/// Where an account's token says its status stands: the path of the list, and the index.
fn place(account: &Account<'_>) -> (String, u64) {
    let status = decode(&account.token).1["status"]["status_list"].clone();
    let path = status["uri"].as_str().unwrap().strip_prefix(&account.app.issuer).unwrap().to_owned();
    (path, status["idx"].as_u64().unwrap())
}

#[tokio::test]
async fn an_ended_session_is_in_the_list_within_seconds_and_others_are_not() {
    let app = TestApp::start().await;
    let (alice, bob) = (app.account("alice").await, app.account("bob").await);
    let ((path, of_alice), (same, of_bob)) = (place(&alice), place(&bob));
    assert_eq!(path, same);
    assert_ne!(of_alice, of_bob, "each session has its own place");
    let before = list(&app.anonymous().get(&path).await);
    assert!(!is_ended(&before, of_alice) && !is_ended(&before, of_bob));
    assert_eq!(alice.post("/logout", &json!(null)).await.status, 204);
    app.advance(Duration::from_secs(5));
    let after = list(&app.anonymous().get(&path).await);
    assert!(is_ended(&after, of_alice) && !is_ended(&after, of_bob));
}

#[tokio::test]
async fn a_list_says_how_long_it_holds() {
    let app = TestApp::start().await;
    let (path, _) = place(&app.account("alice").await);
    let answer = app.anonymous().get(&path).await;
    let claims = list(&answer);
    assert_eq!(claims["sub"], format!("{}{path}", app.issuer), "the draft's §5.1");
    assert_eq!((&claims["status_list"]["bits"], &claims["ttl"]), (&json!(1), &json!(20)));
    let (iat, exp) = (claims["iat"].as_i64().unwrap(), claims["exp"].as_i64().unwrap());
    assert!(exp - iat >= 300, "longer than caches keep it");
    assert_eq!(answer.header("cache-control"), "public, max-age=20");
    let again = app.anonymous().request(reqwest::Method::GET, &path);
    let again = crate::harness::send(again.header("if-none-match", answer.header("etag"))).await;
    assert_eq!((again.status, again.body.len()), (304, 0));
    app.advance(Duration::from_secs(61));
    assert!(list(&app.anonymous().get(&path).await)["iat"].as_i64().unwrap() > iat, "its times are renewed");
}

#[tokio::test]
async fn a_restart_forgets_no_ended_session_and_gives_no_place_twice() {
    let app = TestApp::start().await;
    let alice = app.account("alice").await;
    let ((path, index), email, password) = (place(&alice), alice.email.clone(), alice.password.clone());
    assert_eq!(alice.post("/logout", &json!(null)).await.status, 204);
    let app = app.restart().await;
    assert!(is_ended(&list(&app.anonymous().get(&path).await), index));
    let body = json!({"email": email, "password": password});
    let token = app.anonymous().post("/login", &body).await.json()["token"].as_str().unwrap().to_owned();
    assert!(decode(&token).1["status"]["status_list"]["idx"].as_u64().unwrap() > index);
}

/// After a failover to a standby that lagged, ends have numbers that were there before.
#[tokio::test]
async fn ends_are_seen_in_a_database_that_has_gone_back() {
    let app = TestApp::start().await;
    let (alice, bob) = (app.account("alice").await, app.account("bob").await);
    let ended = alice.elsewhere().await;
    for session in [&alice, &ended] {
        assert_eq!(session.post("/logout", &json!(null)).await.status, 204);
    }
    let look = async || {
        let shared = app.app();
        let App { db, statuses, clock, .. } = &*shared;
        status::flow::refresh(db, statuses, clock.now()).await.unwrap();
    };
    look().await;
    let database = database(app.data_dir());
    database.execute("UPDATE counters SET next = 2 WHERE name = 'session_end'", []).unwrap();
    let sql = "UPDATE sessions SET ended_at = created_at, end_number = 2 WHERE hex(account_id) = upper(?1)";
    assert_eq!(database.execute(sql, [bob.public_id.replace('-', "")]).unwrap(), 1);
    look().await;
    bob.get("/user/profile").await.problem(401, "invalid-token");
    for session in [&alice, &ended] {
        session.get("/user/profile").await.problem(401, "invalid-token");
    }
}

#[tokio::test]
async fn there_are_no_other_lists() {
    let app = TestApp::start().await;
    app.account("alice").await;
    for path in ["1", "00", "+0", "-1", "x", "18446744073709551615", "99999999999999999999", "0%20"] {
        app.anonymous().get(&format!("/status/{path}")).await.problem(404, "not-found");
    }
}

#[tokio::test]
async fn the_list_tells_nothing_by_its_size() {
    let app = TestApp::start().await;
    let empty = list(&app.anonymous().get("/status/0").await);
    let (path, _) = place(&app.account("alice").await);
    app.advance(Duration::from_secs(61));
    let used = list(&app.anonymous().get(&path).await);
    assert_eq!(empty["status_list"], used["status_list"]);
}
