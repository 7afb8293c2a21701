//! What is over is deleted, and nothing before it is over: no table grows for ever.

use crate::harness::{Caller as _, NOW, TestApp, count, database, send};
use claviger::api_keys::{self, KeyScope};
use claviger::base::time::Timestamp;
use claviger::{audit, guesses, jobs, sessions};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

const SETTINGS: [(&str, &str); 7] = [
    ("limits", "true"),
    ("trusted_proxies", "127.0.0.1"),
    ("dev", "true"),
    ("hash_memory_kib", "8"),
    ("hash_passes", "1"),
    ("access_token_ttl", "15m"),
    // So that no key is made on the way, which the trail would tell.
    ("key_rotation", "1000d"),
];

const SECOND: Duration = Duration::from_secs(1);
const MOMENT: Duration = Duration::from_micros(1);
/// What a clock may be set back.
const MARGIN: Duration = Duration::from_secs(600);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

/// The tables whose rows come to an end.
const ENDING: [&str; 5] = ["sessions", "guesses", "known_networks", "api_keys", "audit_events"];

fn rows(app: &TestApp) -> [i64; 5] {
    let database = database(app.data_dir());
    ENDING.map(|table| count(&database, table))
}

async fn start() -> TestApp {
    TestApp::with(&SETTINGS).await.settled().await
}

/// What the server does every minute, after what it does every second.
async fn sweep(app: &TestApp) {
    let inside = app.app();
    audit::flow::seal(&inside.db, &inside.secrets.audit).await.unwrap();
    jobs::sweep(inside).await.unwrap();
}

/// Asserts that a sweep leaves no ended session in memory. A look at the database that was under way may
/// bring one back, until the next sweep.
async fn assert_forgotten(app: &TestApp) {
    for _ in 0..10 {
        sweep(app).await;
        if app.app().statuses.is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    panic!("{} ended sessions are kept in memory", app.app().statuses.len());
}

async fn guess(app: &TestApp, identifier: &str) -> u16 {
    let request = app.anonymous().request(Method::POST, "/login").header("x-forwarded-for", "198.51.100.7");
    send(request.json(&json!({"email": identifier, "password": "a wrong one"}))).await.status
}

async fn key(app: &TestApp, life: Option<Duration>) {
    let cx = jobs::system(app.app());
    api_keys::flow::create(&cx, "billing".into(), vec![KeyScope::Revoke], life).await.unwrap();
}

#[tokio::test]
async fn all_that_is_over_goes() {
    let app = start().await;
    let alice = app.account("alice").await;
    let ended = alice.elsewhere().await;
    assert_eq!(ended.post("/logout", &Value::Null).await.status, 204);
    for _ in 0..6 {
        guess(&app, &alice.email).await;
    }
    key(&app, Some(DAY)).await;
    assert!(rows(&app).iter().all(|rows| *rows > 0), "{:?}", rows(&app));
    assert_eq!(app.app().statuses.len(), 1);

    app.advance(DAY * 401);
    assert_forgotten(&app).await;
    assert_eq!(rows(&app), [0; 5], "{ENDING:?}");
    let app = app.restart().await;
    assert_eq!(app.app().statuses.len(), 0);
    let alice = app.person("alice");
    app.tokens(&alice.email, &alice.password).await;
    assert_eq!(rows(&app), [1, 0, 1, 0, 1], "the account itself is not over");
    let inside = app.app();
    audit::flow::seal(&inside.db, &inside.secrets.audit).await.unwrap();
    let verified = audit::flow::verify(&inside.db, &inside.secrets.audit).await.unwrap();
    assert_eq!((verified.events, verified.broken), (1, None), "the chain goes on");
}

#[tokio::test]
async fn a_session_stays_while_a_token_of_it_lives() {
    let app = start().await;
    let (alice, bob) = (app.account("alice").await, app.account("bob").await);
    assert_eq!(alice.post("/logout", &Value::Null).await.status, 204);
    app.advance(SECOND * 900 - MOMENT);
    sweep(&app).await;
    assert_eq!((rows(&app)[0], app.app().statuses.len()), (2, 1), "its access token would be good now");
    alice.get("/user/profile").await.problem(401, "invalid-token");
    let app = {
        let [alice, bob] = [&alice, &bob].map(|person| (person.token.clone(), person.refresh_token.clone()));
        let app = app.restart().await;
        let by = |token: &str| app.anonymous().request(Method::GET, "/user/profile").bearer_auth(token);
        send(by(&alice.0)).await.problem(401, "invalid-token");
        assert_eq!(send(by(&bob.0)).await.status, 200);
        let fields = [("grant_type", "refresh_token"), ("refresh_token", bob.1.as_str())];
        assert_eq!(app.anonymous().post_form("/token", &fields).await.status, 200);
        app
    };
    app.advance(MARGIN);
    sweep(&app).await;
    assert_eq!((rows(&app)[0], app.app().statuses.len()), (2, 1), "the clock may be set back");
    app.advance(MOMENT);
    assert_forgotten(&app).await;
    assert_eq!(rows(&app)[0], 1, "of the two, the one that lives");
    app.advance(DAY * 30 - MOMENT * 2);
    sweep(&app).await;
    assert_eq!(rows(&app)[0], 1, "it was over ten minutes ago, less a moment");
    app.advance(MOMENT);
    sweep(&app).await;
    assert_eq!(rows(&app)[0], 0);
}

#[tokio::test]
async fn a_clock_that_is_set_back_revives_no_session() {
    let app = start().await;
    let alice = app.account("alice").await;
    assert_eq!(alice.post("/logout", &Value::Null).await.status, 204);
    app.advance(SECOND * 900 + MARGIN - MOMENT);
    sweep(&app).await;
    let (token, refresh_token) = (alice.token.clone(), alice.refresh_token.clone());
    let assert_ended = async |app: &TestApp| {
        let profile = app.anonymous().request(Method::GET, "/user/profile").bearer_auth(&token);
        send(profile).await.problem(401, "invalid-token");
        let fields = [("grant_type", "refresh_token"), ("refresh_token", refresh_token.as_str())];
        app.anonymous().post_form("/token", &fields).await.oauth_error(400, "invalid_grant");
    };
    app.set_back(MARGIN);
    assert_ended(&app).await;
    sweep(&app).await;
    assert_ended(&app).await;
    app.advance(MARGIN);
    let app = app.restart().await;
    assert_eq!(app.app().statuses.len(), 1, "a restart knows of it as long");
    app.set_back(MARGIN);
    assert_ended(&app).await;
}

#[tokio::test]
async fn counts_stay_while_they_count() {
    let app = start().await;
    for _ in 0..5 {
        assert_eq!(guess(&app, "nobody@example.org").await, 401);
    }
    app.advance(HOUR - SECOND);
    assert_eq!(guess(&app, "nobody@example.org").await, 401);
    app.advance(DAY - MOMENT);
    sweep(&app).await;
    assert_eq!(rows(&app)[1], 2, "of the identifier and of the network");
    app.advance(MOMENT);
    sweep(&app).await;
    assert_eq!(rows(&app)[1], 0);
    for _ in 0..5 {
        assert_eq!(guess(&app, "nobody@example.org").await, 401);
    }
    sweep(&app).await;
    assert_eq!(guess(&app, "nobody@example.org").await, 429, "a sweep frees nobody");
}

#[tokio::test]
async fn networks_keys_and_events_stay_as_long_as_they_are_kept() {
    let app = TestApp::with(&[&SETTINGS[..], &[("audit_retention", "7d")]].concat()).await.settled().await;
    app.account("alice").await;
    key(&app, Some(DAY)).await;
    key(&app, None).await;
    for (until, expected) in [
        (DAY * 7, [1, 0, 1, 2, 7]),
        (DAY * 7 + MOMENT, [1, 0, 1, 2, 0]),
        (DAY * 31 - MOMENT, [0, 0, 1, 2, 0]),
        (DAY * 31, [0, 0, 1, 1, 0]),
        (DAY * 400 - MOMENT, [0, 0, 1, 1, 0]),
        (DAY * 400, [0, 0, 0, 1, 0]),
        (DAY * 999, [0, 0, 0, 1, 0]),
    ] {
        let passed = app.app().clock.now().since(Timestamp::from_seconds(NOW));
        app.advance(until - passed);
        sweep(&app).await;
        assert_eq!(rows(&app), expected, "{ENDING:?} after {until:?}");
    }
}

/// Rows of each table that ended at ENDED, of the account OWNER; `i` counts them.
const MANY: [&str; 5] = [
    "INSERT INTO sessions (id, account_id, client_id, scope, created_at, last_used_at, absolute_expires_at,
        expires_at, access_expires_at, generation, refresh_digest, spent_at, status_index)
        SELECT unhex(printf('%032x', i)), OWNER, 'claviger', 'profile', ENDED, ENDED, ENDED, ENDED, ENDED, 0,
        randomblob(32), x'', 1000 + i",
    "INSERT INTO guesses (subject, failures, last_failed_at) SELECT randomblob(32), i, ENDED",
    "INSERT INTO known_networks (account_id, network, last_used_at) SELECT OWNER, 'network ' || i, ENDED",
    "INSERT INTO api_keys (id, digest, name, scope, created_at, expires_at)
        SELECT randomblob(16), randomblob(32), 'old', 'revoke', ENDED, ENDED",
    "INSERT INTO audit_events (id, happened_at, event, outcome, request_id, commitment)
        SELECT randomblob(16), ENDED, 'login', 'success', randomblob(16), randomblob(32)",
];

/// Adds 2,000 rows to each table that end now.
fn insert_many(app: &TestApp, account: &str) {
    let database = database(app.data_dir());
    let owner = format!("x'{}'", account.replace('-', ""));
    let ended = app.app().clock.now().as_micros().to_string();
    let numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)";
    for insert in MANY {
        let sql = format!("{numbers} {insert} FROM n").replace("OWNER", &owner).replace("ENDED", &ended);
        assert_eq!(database.execute(&sql, []).unwrap(), 2000, "{sql}");
    }
}

#[tokio::test]
async fn many_rows_go_too_in_batches_that_are_bounded() {
    let app = start().await;
    let alice = app.account("alice").await;
    insert_many(&app, &alice.public_id);
    let inside = app.app();
    audit::flow::seal(&inside.db, &inside.secrets.audit).await.unwrap();
    app.advance(DAY * 400);
    let (token, _) = app.tokens(&alice.email, &alice.password).await;
    guess(&app, "nobody@example.org").await;
    key(&app, None).await;
    let [sessions, guesses, networks, keys, events] = rows(&app);
    // The login has already forgotten all networks but the 20 used last.
    assert_eq!((sessions, guesses, networks, keys), (2002, 2002, 20, 2001));
    assert!(events > 2000);

    let cx = jobs::system(app.app());
    assert_eq!(sessions::flow::sweep(&cx, 300).await.unwrap(), 300);
    assert_eq!(guesses::flow::sweep(&cx, 300).await.unwrap(), 300);
    assert_eq!(guesses::flow::sweep_networks(&cx, 300).await.unwrap(), 19);
    assert_eq!(api_keys::flow::sweep(&cx, 300).await.unwrap(), 300);
    assert_eq!(rows(&app), [1702, 1702, 1, 1701, events], "no more than was asked for");

    sweep(&app).await;
    assert_eq!(rows(&app), [1, 2, 1, 1, 2], "what is not over stays");
    let profile = app.anonymous().request(Method::GET, "/user/profile").bearer_auth(token);
    assert_eq!(send(profile).await.status, 200);
    let verified = audit::flow::verify(&inside.db, &inside.secrets.audit).await.unwrap();
    assert_eq!((verified.events, verified.broken), (2, None));
}

#[tokio::test]
async fn networks_go_by_the_thousand_too() {
    let app = start().await;
    let alice = app.account("alice").await;
    insert_many(&app, &alice.public_id);
    assert_eq!(rows(&app)[2], 2001);
    app.advance(DAY * 401);
    sweep(&app).await;
    assert_eq!(rows(&app)[..4], [0; 4], "{ENDING:?}");
}

#[tokio::test]
async fn ended_sessions_are_forgotten_with_their_last_tokens() {
    let app = start().await;
    let alice = app.account("alice").await;
    for _ in 0..40 {
        alice.elsewhere().await;
    }
    let ended = send(alice.request(Method::DELETE, "/user/sessions")).await;
    assert_eq!(ended.json(), json!({"ended": 40}));
    assert_eq!(app.app().statuses.len(), 40);
    app.advance(SECOND * 899);
    sweep(&app).await;
    assert_eq!(app.app().statuses.len(), 40);
    alice.refresh().await;
    app.advance(MARGIN);
    sweep(&app).await;
    assert_eq!(app.app().statuses.len(), 40, "the clock may be set back");
    app.advance(SECOND);
    assert_forgotten(&app).await;
    assert_eq!(rows(&app)[0], 1, "the session that ended the others");
}

#[tokio::test]
async fn a_broken_trail_is_kept_and_the_rest_is_swept() {
    let app = start().await;
    app.account("alice").await;
    let inside = app.app();
    audit::flow::seal(&inside.db, &inside.secrets.audit).await.unwrap();
    let changed =
        database(app.data_dir()).execute("UPDATE audit_events SET outcome = 'refused'", []).unwrap();
    app.advance(DAY * 400);
    let refused = jobs::sweep(app.app()).await;
    assert!(matches!(refused, Err(audit::Error::Broken(_))), "{refused:?}");
    assert_eq!(rows(&app), [0, 0, 0, 0, i64::try_from(changed).unwrap()], "{ENDING:?}");
}
