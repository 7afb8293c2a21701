//! A server whose PostgreSQL goes away: what needs no database goes on, all else is refused in time, and all is
//! well after its return.

use crate::harness::{Account, Answer, Caller as _, TestApp, Way, on_postgres, send, url_of, with_client};
use reqwest::Method;
use serde_json::json;
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// The promise, for a refusal and for the return.
const SOON: Duration = Duration::from_secs(2);

async fn within<F: Future>(limit: Duration, work: F) -> F::Output {
    timeout(limit, work).await.unwrap_or_else(|_| panic!("it took longer than {limit:?}"))
}

/// What needs no database, for someone who was here before.
async fn assert_checked(ann: &Account<'_>) {
    let profile = within(SOON, ann.get("/user/profile")).await;
    assert_eq!((profile.status, &profile.json()["user"]["name"]), (200, &json!("ann")), "{}", profile.text());
    assert_eq!(within(SOON, ann.get("/jwks")).await.status, 200);
    assert_eq!(within(SOON, ann.app.anonymous().get("/.well-known/jwks.json")).await.status, 200);
    assert_eq!(within(SOON, ann.app.anonymous().get("/health/live")).await.status, 200);
}

fn assert_unavailable(answer: &Answer) {
    answer.problem(503, "database-unavailable");
    assert!(answer.header("retry-after").parse::<u64>().unwrap() >= 1);
}

async fn until_ready(app: &TestApp, status: u16) {
    let asked = async {
        while app.anonymous().get("/health/ready").await.status != status {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    within(Duration::from_secs(4), asked).await;
}

async fn goes_on_while(away: impl Fn(&Way)) {
    let (way, app) = TestApp::behind_a_way(true).await;
    let app = app.settled().await;
    let (ann, bob) = (app.account("ann").await, app.account("bob").await);
    assert_checked(&ann).await;
    until_ready(&app, 200).await;
    away(&way);
    for _ in 0..3 {
        assert_checked(&ann).await;
        let (email, password) = (&ann.email, &ann.password);
        let body = json!({"email": email, "password": password});
        assert_unavailable(&within(SOON, app.anonymous().post("/login", &body)).await);
        let refreshed = within(SOON, ann.refresh()).await;
        refreshed.oauth_error(503, "temporarily_unavailable");
    }
    until_ready(&app, 503).await;
    let started = Instant::now();
    assert_checked(&ann).await;
    assert!(started.elapsed() < Duration::from_millis(500), "nobody waits for what is known to be away");
    // Who was never seen cannot be shown, and is told so rather than kept waiting.
    assert_unavailable(&within(SOON, bob.get("/user/profile")).await);
    // Wrong tokens stay wrong.
    let stranger = Account { token: format!("{}x", ann.token), ..app.person("stranger") };
    stranger.get("/user/profile").await.problem(401, "invalid-token");

    way.cut();
    way.clone().restore();
    let body = json!({"email": ann.email, "password": ann.password});
    let back = async {
        while app.anonymous().post("/login", &body).await.status != 200 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    within(SOON, back).await;
    until_ready(&app, 200).await;
    assert_eq!(bob.get("/user/profile").await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_are_checked_while_the_server_refuses() {
    if on_postgres() {
        goes_on_while(|way| way.cut()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_are_checked_while_the_server_says_nothing() {
    if on_postgres() {
        goes_on_while(Way::block).await;
    }
}

/// The client cannot know whether its refresh was kept. It asks again when it can, however long that takes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refresh_that_was_kept_without_an_answer_is_no_theft() {
    if !on_postgres() {
        return;
    }
    let (way, app) = TestApp::behind_a_way(true).await;
    let app = app.settled().await;
    let (ann, bob) = (app.account("ann").await, app.account("bob").await);
    way.cut_commits(true);
    let unanswered = ann.refresh().await;
    unanswered.oauth_error(503, "temporarily_unavailable");
    let said = unanswered.json()["error_description"].as_str().unwrap().to_owned();
    assert!(said.contains("Look whether it is done"), "{said}");
    bob.post("/logout", &json!(null)).await.problem(503, "outcome-unknown");
    way.cut_commits(false);
    app.advance(Duration::from_secs(3600));
    let first = ann.refresh().await;
    assert_eq!(first.status, 200, "{}", first.text());
    app.advance(Duration::from_secs(9));
    let successor = |answer: &Answer| answer.json()["refresh_token"].clone();
    assert_eq!(successor(&ann.refresh().await), successor(&first), "as within its window");
    app.advance(Duration::from_secs(2));
    ann.refresh().await.oauth_error(400, "invalid_grant");
}

/// Somebody else holds what everybody needs: those who wait are told to come back, and the next ones are served.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_than_can_be_served_is_refused_in_time() {
    if !on_postgres() {
        return;
    }
    let app = TestApp::with(&[("dev", "true"), ("hash_memory_kib", "8"), ("hash_passes", "1")]).await;
    let ann = app.account("ann").await;
    let url = url_of(app.data_dir()).unwrap();
    let (held, hold) = std::sync::mpsc::channel();
    let (release, released) = std::sync::mpsc::channel::<()>();
    let holder = std::thread::spawn(move || {
        with_client(&url, async move |client| {
            client.batch_execute("BEGIN; LOCK TABLE accounts IN ACCESS EXCLUSIVE MODE").await.unwrap();
            held.send(()).unwrap();
            released.recv().unwrap();
            client.batch_execute("ROLLBACK").await.unwrap();
        });
    });
    hold.recv().unwrap();
    let body = json!({"email": ann.email, "password": ann.password});
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let request = app.anonymous().request(Method::POST, "/login").json(&body);
        callers.spawn(async move { within(SOON, send(request)).await });
    }
    for answer in callers.join_all().await {
        assert_unavailable(&answer);
    }
    // What asks no database, and the looks at other servers' changes, do not wait behind it.
    assert_eq!(within(SOON, ann.get("/jwks")).await.status, 200);
    assert_eq!(app.anonymous().get("/health/ready").await.status, 200);
    release.send(()).unwrap();
    holder.join().unwrap();
    assert_eq!(within(SOON, app.anonymous().post("/login", &body)).await.status, 200);
}
