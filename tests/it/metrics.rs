//! What is counted: the numbers move as requests say, and tell nothing of anybody.

use crate::harness::{Account, Caller as _, Samples, TestApp, base, on_postgres, quick, refresh, routes};
use claviger::audit::Kind;
use claviger::http::limit::{Limit, Limits};
use claviger::jobs;
use claviger::metrics::labels::{EventOutcome, KeyState, LimitClass};
use claviger::metrics::{FAMILIES, Vocabulary, reference};
use claviger::{audit, keys};
use reqwest::Method;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// A server that counts.
async fn counting() -> TestApp {
    counting_with(&[]).await
}

async fn counting_with(settings: &[(&'static str, &str)]) -> TestApp {
    TestApp::with(&[&[("metrics_listen", "127.0.0.1:0")], settings].concat()).await
}

async fn samples(app: &TestApp) -> Samples {
    Samples::parse(&app.metrics().await.text())
}

/// Some of all that people do, well and badly.
pub async fn life(app: &TestApp) -> Account<'_> {
    let mut alice = app.account("alice").await;
    let anyone = app.anonymous();
    let again = json!({"email": alice.email, "name": "a", "password": "another long password"});
    assert_eq!(anyone.post("/user", &again).await.status, 409);
    let wrong = json!({"email": alice.email, "password": "not the password"});
    assert_eq!(anyone.post("/login", &wrong).await.status, 401);
    assert_eq!(alice.get("/user/profile").await.status, 200);
    assert_eq!(anyone.get("/user/profile").await.status, 401);
    assert_eq!(anyone.get("/.well-known/jwks.json").await.status, 200);
    assert_eq!(anyone.get("/no/such/path?with=query").await.status, 404);
    assert_eq!(anyone.get("/health/live").await.status, 200);
    let spent = alice.refresh_token.clone();
    alice.refresh_token = refresh(app, &spent).await.json()["refresh_token"].as_str().unwrap().to_owned();
    app.advance(Duration::from_secs(60));
    let fields = [("grant_type", "refresh_token"), ("refresh_token", "nonsense")];
    assert_eq!(anyone.post_form("/token", &fields).await.status, 400);
    jobs::sweep(app.app()).await.unwrap();
    jobs::measure(app.app()).await.unwrap();
    alice
}

#[tokio::test]
async fn numbers_move_as_requests_say() {
    let app = counting().await;
    let alice = life(&app).await;
    let said = samples(&app).await;
    let requests = |method, route, status| {
        said.of("claviger_http_requests_total", &[("method", method), ("route", route), ("status", status)])
    };
    assert_eq!(requests("POST", "/user", "2xx"), 1.0);
    assert_eq!(requests("POST", "/user", "4xx"), 1.0);
    assert_eq!(requests("POST", "/login", "2xx"), 1.0);
    assert_eq!(requests("POST", "/login", "4xx"), 1.0);
    assert_eq!(requests("GET", "/user/profile", "2xx"), 1.0);
    assert_eq!(requests("GET", "/user/profile", "4xx"), 1.0);
    assert_eq!(requests("GET", "/.well-known/jwks.json", "2xx"), 1.0, "in front of the router");
    assert_eq!(requests("GET", "none", "4xx"), 1.0, "a path that no route has");
    assert_eq!(requests("GET", "/login", "2xx"), 0.0, "known from the start");
    let took = |route| {
        let labels = [("method", "POST"), ("route", route)];
        let count = said.of("claviger_http_request_duration_seconds_count", &labels);
        (count, said.of("claviger_http_request_duration_seconds_sum", &labels))
    };
    assert!(took("/login").0 == 2.0 && took("/login").1 > 0.0, "{:?}", took("/login"));
    assert_eq!(said.of("claviger_http_requests_in_flight", &[]), 0.0);
    assert_eq!(said.of("claviger_logins_total", &[("outcome", "success")]), 1.0);
    assert_eq!(said.of("claviger_logins_total", &[("outcome", "wrong")]), 1.0);
    assert_eq!(said.of("claviger_sign_ups_total", &[("outcome", "success")]), 1.0);
    assert_eq!(said.of("claviger_sign_ups_total", &[("outcome", "taken")]), 1.0);
    assert_eq!(said.of("claviger_refreshes_total", &[("outcome", "success")]), 1.0);
    assert_eq!(said.of("claviger_refreshes_total", &[("outcome", "refused")]), 1.0);
    let events =
        |event, outcome| said.of("claviger_audit_events_total", &[("event", event), ("outcome", outcome)]);
    assert_eq!(events("sign-up", "success"), 1.0);
    assert_eq!(events("login", "refused"), 1.0);
    assert_eq!(events("refresh", "success"), 1.0);
    assert_eq!(said.of("claviger_sessions_live", &[]), 1.0);
    // One for the account, one for each login.
    assert_eq!(said.of("claviger_hash_duration_seconds_count", &[]), 3.0);
    assert_eq!(said.of("claviger_hash_wait_seconds_count", &[]), 3.0);
    assert_eq!(said.of("claviger_hash_threads_busy", &[]), 0.0);
    assert!(said.of("claviger_http_connections_open", &[]) >= 1.0);
    assert_eq!(said.of("claviger_database_up", &[]), 1.0);
    let operation = |name| said.of("claviger_database_duration_seconds_count", &[("operation", name)]);
    assert!(operation("write") >= 3.0 && operation("read") >= 3.0);
    assert_eq!(said.of("claviger_signing_keys", &[("state", "active")]), 1.0);
    let groups = said.of("claviger_sqlite_group_size_count", &[]);
    let connections = said.of("claviger_postgres_connections_max", &[]);
    assert_eq!((groups > 0.0, connections > 0.0), (!on_postgres(), on_postgres()));
    let version = [("version", env!("CARGO_PKG_VERSION"))];
    let engine = if on_postgres() { "postgres" } else { "sqlite" };
    assert_eq!(said.of("claviger_build_info", &[version[0], ("database", engine)]), 1.0);
    assert_eq!(said.of("process_start_time_seconds", &[]), crate::harness::NOW as f64);
    #[cfg(target_os = "linux")]
    assert!(said.of("process_resident_memory_bytes", &[]) > 1e6 && said.of("process_open_fds", &[]) > 3.0);
    drop(alice);
}

#[tokio::test]
async fn guesses_that_are_refused_and_requests_that_are_limited() {
    let app = counting_with(&[("limits", "true")]).await;
    let alice = app.account("alice").await;
    let wrong = json!({"email": alice.email, "password": "not the password"});
    let mut answers = Vec::new();
    for _ in 0..8 {
        answers.push(app.anonymous().post("/login", &wrong).await.status);
    }
    let refused = answers.iter().filter(|status| **status == 429).count() as f64;
    assert!(refused > 0.0, "{answers:?}");
    let mut limited = 0.0;
    for _ in 0..110 {
        let answer = app.anonymous().post("/user", &json!({})).await;
        limited += f64::from(u8::from(answer.status == 429));
    }
    assert!(limited > 0.0);
    let said = samples(&app).await;
    assert_eq!(said.of("claviger_guesses_refused_total", &[]), refused);
    assert_eq!(said.of("claviger_logins_total", &[("outcome", "throttled")]), refused);
    assert_eq!(said.of("claviger_logins_total", &[("outcome", "wrong")]), 8.0 - refused);
    assert_eq!(said.of("claviger_http_requests_limited_total", &[("limit", "sign-up")]), limited);
    assert_eq!(said.of("claviger_http_requests_limited_total", &[("limit", "token")]), 0.0);
}

#[tokio::test]
async fn a_spent_token_that_comes_again_is_told_apart() {
    let app = counting().await;
    let mut bob = app.account("bob").await;
    let spent = bob.refresh_token.clone();
    bob.refresh_token = refresh(&app, &spent).await.json()["refresh_token"].as_str().unwrap().to_owned();
    app.advance(Duration::from_secs(60));
    let fields = [("grant_type", "refresh_token"), ("refresh_token", spent.as_str())];
    assert_eq!(app.anonymous().post_form("/token", &fields).await.status, 400);
    jobs::measure(app.app()).await.unwrap();
    let said = samples(&app).await;
    assert_eq!(said.of("claviger_refreshes_total", &[("outcome", "reuse")]), 1.0);
    let labels = [("event", "refresh-reuse"), ("outcome", "refused")];
    assert_eq!(said.of("claviger_audit_events_total", &labels), 1.0);
    assert_eq!(said.of("claviger_sessions_live", &[]), 0.0, "it was ended");
}

#[tokio::test]
async fn rows_that_are_over_are_counted_by_table_and_live_sessions_are_not_them() {
    let app = counting().await;
    let alice = app.account("alice").await;
    for _ in 0..2 {
        alice.elsewhere().await;
    }
    let answer = app.anonymous().post("/login", &json!({"email": alice.email, "password": "wrong"})).await;
    assert_eq!(answer.status, 401);
    jobs::measure(app.app()).await.unwrap();
    assert_eq!(samples(&app).await.of("claviger_sessions_live", &[]), 3.0);
    app.advance(Duration::from_secs(100 * 86_400));
    jobs::sweep(app.app()).await.unwrap();
    jobs::measure(app.app()).await.unwrap();
    let said = samples(&app).await;
    let swept = |table| said.of("claviger_rows_swept_total", &[("table", table)]);
    assert_eq!((swept("sessions"), swept("api_keys")), (3.0, 0.0));
    assert_eq!(said.of("claviger_sessions_live", &[]), 0.0);
}

#[tokio::test]
async fn checklist_90_nothing_of_anybody_is_told_and_labels_are_closed() {
    let app = counting().await;
    let alice = life(&app).await;
    let rude = Method::from_bytes(b"EVIL-METHOD").unwrap();
    for path in ["/evil-path", "/user/sessions/evil-session", "/status/evil-list", "/login"] {
        let request = app.http.request(rude.clone(), format!("{}{path}", app.url));
        let request = request.header("user-agent", "evil-agent").header("x-forwarded-for", "203.0.113.9");
        quick(request).await;
        alice.send_json(Method::DELETE, path, &json!({})).await;
    }
    let page = app.metrics().await.text();
    let session = &alice.refresh_token;
    let secrets = ["evil", "alice", "127.0.0.1", "203.0.113", &alice.token, session, &alice.public_id];
    for secret in secrets {
        assert!(!page.contains(secret), "{secret} is in the page");
    }
    assert!(page.contains(r#"method="other",route="none""#), "{page}");
    let said = Samples::parse(&page);
    let vocabulary = claviger::routes::vocabulary(&app.config());
    for (name, labels, _) in &said.all {
        let own = base(name, &said.types);
        let family = FAMILIES.iter().find(|family| family.name == own).expect(name);
        let mut given: Vec<&str> = labels.keys().map(String::as_str).filter(|key| *key != "le").collect();
        let mut declared: Vec<&str> = family.labels.iter().map(|label| label.name).collect();
        given.sort_unstable();
        declared.sort_unstable();
        assert_eq!(given, declared, "{name}");
        for label in family.labels {
            assert!(vocabulary.values(label).contains(&labels[label.name].as_str()), "{name}{labels:?}");
        }
    }
}

/// Each bucket holds those below it, and the last all.
#[tokio::test]
async fn histograms_are_whole() {
    let app = counting().await;
    life(&app).await;
    let said = samples(&app).await;
    let mut rows: BTreeMap<(String, String), Vec<f64>> = BTreeMap::new();
    for (name, labels, value) in &said.all {
        if let Some(own) = name.strip_suffix("_bucket") {
            let mut labels = labels.clone();
            labels.remove("le");
            rows.entry((own.to_owned(), format!("{labels:?}"))).or_default().push(*value);
        }
    }
    assert!(rows.len() > 20);
    for ((name, labels), values) in rows {
        assert!(values.is_sorted(), "{name}{labels}: {values:?}");
    }
}

/// The places of labels are those of enums elsewhere.
#[test]
fn labels_are_the_names_that_others_declare() {
    let names = |vocabulary: Vocabulary| vocabulary.events;
    let kinds: Vec<&str> = Kind::ALL.iter().map(|kind| kind.name()).collect();
    let config = claviger::config::resolve(&claviger::config::raw::Raw::default()).unwrap();
    assert_eq!(names(claviger::routes::vocabulary(&config)), kinds);
    assert!(Kind::ALL.iter().enumerate().all(|(place, kind)| *kind as usize == place));
    for (place, outcome) in [audit::Outcome::Success, audit::Outcome::Refused].into_iter().enumerate() {
        assert_eq!((outcome as usize, EventOutcome::NAMES[place]), (place, outcome.name()));
    }
    let states = [keys::State::Next, keys::State::Active, keys::State::Retired, keys::State::Kept];
    assert_eq!(states.map(keys::State::name), KeyState::NAMES);
    let Limits { sign_up, log_in, token, change } = Limits::of(false);
    let classes = [sign_up, log_in, token, change].map(|limit| match limit {
        Limit::Of(class) => class.name,
        Limit::Free => panic!("they are limits"),
    });
    assert_eq!(classes, LimitClass::NAMES);
    assert!(
        routes().iter().all(|route| claviger::metrics::labels::HttpMethod::NAMES.contains(&route.method))
    );
}

fn reference_file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/reference/metrics.md")
}

#[test]
fn the_reference_is_current() {
    let written = std::fs::read_to_string(reference_file()).unwrap();
    assert!(
        written == reference::page(),
        "write it anew: cargo test --test it -- --ignored write_the_reference_of_metrics"
    );
}

/// For who changes the table.
#[test]
#[ignore = "writes docs/reference/metrics.md"]
fn write_the_reference_of_metrics() {
    std::fs::create_dir_all(reference_file().parent().unwrap()).unwrap();
    std::fs::write(reference_file(), reference::page()).unwrap();
}
