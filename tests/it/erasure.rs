//! A deleted account leaves nothing of the person in the files of the database.

use crate::harness::{
    Account, Caller as _, TestApp, Tokens, count, database, on_postgres, send, sqlite_only, stored, url_of,
    with_client,
};
use reqwest::{Method, RequestBuilder};
use serde_json::json;
use std::path::Path;
use std::time::{Duration, Instant};

/// All that this person ever told, and where it came from.
const PERSONAL: [&str; 7] = [
    "Zebulon.Quist@Example.org",
    "zebulon.quist@example.org",
    "zebulon",
    "Pumpernickel",
    "203.0.113.77",
    "Xylophone/7.1",
    "argon2id",
];

/// Which of `needles` stand in the database's files, in whatever case.
fn found(folder: &Path, needles: &[String]) -> Vec<String> {
    let all: Vec<Vec<u8>> = stored(folder).into_iter().map(|(_, bytes)| bytes.to_ascii_lowercase()).collect();
    assert!(all.len() >= 2, "the file and its log, or the tables");
    let holds = |needle: &str| {
        let needle = needle.to_ascii_lowercase();
        all.iter().any(|file| file.windows(needle.len()).any(|bytes| bytes == needle.as_bytes()))
    };
    needles.iter().filter(|needle| holds(needle)).cloned().collect()
}

/// From the person's own address and program.
fn from_home(request: RequestBuilder) -> RequestBuilder {
    request.header("x-forwarded-for", "203.0.113.77").header("user-agent", "Xylophone/7.1")
}

/// A person who does all that leaves traces, and then deletes the account. The identities that were used,
/// as text.
async fn live_and_delete(app: &TestApp) -> Vec<String> {
    let (email, password) = ("Zebulon.Quist@Example.org", "a walk along the river");
    let post = |path: &str, body| from_home(app.anonymous().request(Method::POST, path).json(&body));
    let sign_up = json!({"email": email, "name": "Pumpernickel", "password": password});
    let made = send(post("/user", sign_up).header("idempotency-key", "\"key-of-zebulon\"")).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let public_id = made.json()["user"]["public_id"].as_str().unwrap().to_owned();
    for _ in 0..6 {
        send(post("/login", json!({"email": email, "password": "a wrong one"}))).await;
    }
    app.advance(Duration::from_secs(600));
    let mut tokens = Vec::new();
    for identifier in [email, "Pumpernickel"] {
        tokens.push(Tokens::of(
            &send(post("/login", json!({"email": identifier, "password": password}))).await,
        ));
    }
    for session in &mut tokens {
        let form = app
            .anonymous()
            .form("/token", &[("grant_type", "refresh_token"), ("refresh_token", &session.refresh)]);
        *session = Tokens::of(&send(from_home(form)).await);
    }
    let own = |method, path: &str, body| {
        from_home(app.anonymous().request(method, path).bearer_auth(&tokens[0].access).json(&body))
    };
    let renamed = own(Method::PATCH, "/user/profile", json!({"name": "Zebulon Quist"}));
    assert_eq!(send(renamed).await.status, 200);
    let change = json!({"current_password": password, "new_password": "another walk it is"});
    assert_eq!(send(own(Method::PUT, "/user/password", change)).await.status, 204);
    assert_eq!(send(own(Method::DELETE, "/user", json!({"password": "wrong"}))).await.status, 403);
    let before: Vec<String> = PERSONAL.iter().map(|text| (*text).to_owned()).collect();
    // The old name stands in SQLite's log alone.
    let is_there = |text: &&String| !on_postgres() || *text != "Pumpernickel";
    let there: Vec<String> = before.iter().filter(is_there).cloned().collect();
    assert_eq!(found(app.data_dir(), &before), there, "the search finds what is there");
    assert_eq!(
        send(own(Method::DELETE, "/user", json!({"password": "another walk it is"}))).await.status,
        204
    );
    [before, vec![public_id]].concat()
}

async fn app() -> TestApp {
    let settings = [("trusted_proxies", "127.0.0.1"), ("client_address_header", "x-forwarded-for")];
    TestApp::with(&[&settings[..], &[("limits", "true")]].concat()).await
}

fn run(app: &TestApp, sql: &str) {
    database(app.data_dir()).execute_batch(sql).unwrap();
}

#[tokio::test]
async fn a_deleted_account_leaves_no_personal_data_in_any_row() {
    let app = app().await;
    let told = live_and_delete(&app).await;
    // Written anew: rows alone, no free space.
    if !on_postgres() {
        run(&app, "VACUUM; PRAGMA wal_checkpoint(TRUNCATE)");
    }
    assert_eq!(found(app.data_dir(), &told), [""; 0]);
}

#[tokio::test]
async fn a_deleted_account_leaves_no_personal_data_in_free_space() {
    if sqlite_only() {
        return;
    }
    let app = app().await;
    let told = live_and_delete(&app).await;
    run(&app, "PRAGMA wal_checkpoint(TRUNCATE)");
    assert_eq!(found(app.data_dir(), &told), [""; 0]);
}

#[tokio::test]
async fn a_deleted_account_leaves_its_neighbours_alone() {
    let app = app().await;
    let bob = app.account("bob").await;
    live_and_delete(&app).await;
    let Account { email, name, .. } = &bob;
    assert_eq!(bob.get("/user/profile").await.json(), json!({"user": {"email": email, "name": name}}));
    assert_eq!(bob.refresh().await.status, 200);
    assert_eq!(bob.get("/user/sessions").await.json()["sessions"][0]["address"], "127.0.0.1");
}

/// Events that go by age while the account is deleted make nobody think that none is left.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn checklist_38_a_deletion_beside_the_sweep_of_old_events_leaves_nothing() {
    if !on_postgres() {
        return;
    }
    let app = TestApp::start().await.settled().await;
    let ann = app.account("ann").await;
    let database = database(app.data_dir());
    let more = "INSERT INTO audit_events (id, happened_at, event, outcome, request_id, account_id, personal, salt, commitment)
        SELECT gen_random_uuid(), 0, 'login', 'success', gen_random_uuid(), account_id, personal, salt, commitment
        FROM audit_events CROSS JOIN generate_series(1, 1200) WHERE event = 'login' AND account_id IS NOT NULL";
    database.execute(more, []).unwrap();
    let url = url_of(app.data_dir()).unwrap();
    let (held, hold) = std::sync::mpsc::channel();
    let sweeping = std::thread::spawn(move || {
        with_client(&url, async move |client| {
            let old = "BEGIN; DELETE FROM audit_events WHERE id IN
                (SELECT id FROM audit_events WHERE happened_at = 0 ORDER BY id LIMIT 100)";
            client.batch_execute(old).await.unwrap();
            held.send(()).unwrap();
            tokio::time::sleep(Duration::from_millis(500)).await;
            client.batch_execute("COMMIT").await.unwrap();
        });
    });
    hold.recv().unwrap();
    let request = ann.request(Method::DELETE, "/user").json(&json!({"password": ann.password}));
    assert_eq!(send(request).await.status, 204);
    sweeping.join().unwrap();
    let until = Instant::now() + Duration::from_secs(5);
    while count(&database, "audit_events WHERE personal IS NOT NULL AND account_id IS NOT NULL") > 0 {
        assert!(Instant::now() < until, "personal data is left");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
