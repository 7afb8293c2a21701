//! Whose sessions end when an account has too many: the oldest live ones, and never the newest.

use crate::harness::{Account, Caller as _, Program, TestApp, Tokens, database, send};
use reqwest::Client;
use serde_json::json;
use std::time::Duration;

const SETTINGS: [(&str, &str); 4] =
    [("limits", "true"), ("dev", "true"), ("hash_memory_kib", "8"), ("hash_passes", "1")];

/// Rows of `count` sessions with ids of `millis`; those that have ended did so then.
fn rows(folder: &std::path::Path, owner: &str, millis: i64, count: usize, has_ended: bool) {
    let sql = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < COUNT)
        INSERT INTO sessions (id, account_id, client_id, scope, created_at, last_used_at, absolute_expires_at,
            expires_at, access_expires_at, ended_at, generation, refresh_digest, spent_at, status_index)
        SELECT unhex(printf('%012x7%03x8%015x', MILLIS, 0, i)), x'OWNER', 'claviger', 'profile', MILLIS * 1000,
            MILLIS * 1000, UNTIL, UNTIL, UNTIL, GONE, 0, randomblob(32), x'', 1000 + i FROM n";
    let (until, gone) =
        if has_ended { ("MILLIS * 1000", "MILLIS * 1000") } else { ("MILLIS * 1000 + 86400000000", "NULL") };
    let sql = sql.replace("UNTIL", until).replace("GONE", gone).replace("COUNT", &count.to_string());
    let sql = sql.replace("MILLIS", &millis.to_string()).replace("OWNER", &owner.replace('-', ""));
    assert_eq!(database(folder).execute(&sql, []).unwrap(), count);
}

fn millis(app: &TestApp) -> i64 {
    app.app().clock.now().as_micros() / 1000
}

async fn profile(alice: &Account<'_>) -> u16 {
    alice.get("/user/profile").await.status
}

#[tokio::test]
async fn sessions_that_have_ended_are_none_of_the_thousand() {
    let app = TestApp::with(&SETTINGS).await;
    let alice = app.account("alice").await;
    app.advance(Duration::from_secs(1));
    rows(app.data_dir(), &alice.public_id, millis(&app), 1000, true);
    app.advance(Duration::from_secs(1));
    alice.elsewhere().await;
    assert_eq!(profile(&alice).await, 200, "she has two live sessions");
}

#[tokio::test]
async fn the_newest_session_does_not_end_itself_where_the_clock_was_set_back() {
    let app = TestApp::with(&SETTINGS).await;
    let alice = app.account("alice").await;
    rows(app.data_dir(), &alice.public_id, millis(&app) + 60_000, 1000, false);
    app.advance(Duration::from_secs(1));
    let new = alice.elsewhere().await;
    assert_eq!(profile(&new).await, 200, "who logged in this moment");
}

#[tokio::test]
async fn what_ends_for_the_newest_is_in_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let mut program = Program::serve(folder.path(), &["--dev", "--limits", "true"]);
    let post = |path: &str, body: &serde_json::Value| {
        Client::builder().no_proxy().build().unwrap().post(format!("{}{path}", program.url)).json(body)
    };
    let body = json!({"email": "a@example.org", "name": "a", "password": "a walk along the river"});
    let made = send(post("/user", &body)).await.json();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    let id = made["user"]["public_id"].as_str().unwrap();
    rows(folder.path(), id, i64::try_from(now).unwrap() - 5000, 1000, false);
    Tokens::of(&send(post("/login", &body)).await);
    let sql = "SELECT count(*) FROM audit_events WHERE event = 'revoke'";
    let noted: i64 = database(folder.path()).query_row(sql, [], |row| row.get(0)).unwrap();
    let log = program.stop().join("\n");
    assert_eq!((noted, log.matches("event=\"revoke\"").count()), (1, 1), "{log}");
}
