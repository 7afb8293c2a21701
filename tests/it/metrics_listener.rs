//! The listener of the metrics: off unless it is asked for, apart from the API, and as hard to keep busy.

use crate::harness::{Caller as _, Program, TestApp, Wire, exchange, free_port, send, statuses};
use std::time::Duration;

async fn counting() -> TestApp {
    TestApp::with(&[("metrics_listen", "127.0.0.1:0")]).await
}

#[tokio::test]
async fn there_is_none_unless_it_is_asked_for() {
    let app = TestApp::start().await;
    assert!(app.config().metrics_listen.is_none() && !app.app().metrics.is_on());
    assert_eq!(app.anonymous().get("/metrics").await.status, 404);
    assert_eq!(app.app().metrics.page(), "", "nothing is counted either");
}

#[tokio::test]
async fn it_offers_the_metrics_and_the_api_does_not() {
    let app = counting().await;
    assert_eq!(app.anonymous().get("/metrics").await.status, 404);
    let page = app.metrics().await;
    assert_eq!((page.status, page.header("content-type")), (200, "text/plain; version=0.0.4; charset=utf-8"));
    assert_eq!(
        (page.header("cache-control"), page.header("x-content-type-options")),
        ("no-store", "nosniff")
    );
    let url = app.metrics_url();
    for path in ["/", "/metrics/", "/metrics/x", "/Metrics", "//metrics", "/user", "/login", "/health/live"] {
        assert_eq!(send(app.http.get(format!("{url}{path}"))).await.status, 404, "{path}");
    }
    assert_eq!(send(app.http.get(format!("{url}/metrics?name=x"))).await.status, 200);
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "BREW"] {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let answer = send(app.http.request(method.clone(), format!("{url}/metrics"))).await;
        assert_eq!((answer.status, answer.header("allow")), (405, "GET,HEAD"), "{method}");
    }
    let head = send(app.http.head(format!("{url}/metrics"))).await;
    assert!(head.status == 200 && head.body.is_empty());
}

#[tokio::test]
async fn garbage_is_refused() {
    let app = counting().await;
    let url = app.metrics_url();
    let long = format!("GET /metrics HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "x".repeat(20_000));
    for (bytes, status) in [
        (b"\x16\x03\x01\x02\x00\x01\x00".to_vec(), 400),
        (b"nonsense\r\n\r\n".to_vec(), 400),
        (b"GET /metrics HTTP/9.9\r\n\r\n".to_vec(), 400),
        (b"GET \x00 HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(), 400),
        (long.into_bytes(), 431),
    ] {
        let said = exchange(&url, &bytes).await;
        assert_eq!(statuses(&said), [status], "{}", String::from_utf8_lossy(&bytes));
    }
    assert_eq!(app.metrics().await.status, 200);
}

/// Who opens all its connections and says nothing keeps other scrapers out for 5 s, and the API never.
#[tokio::test]
async fn it_has_few_connections_and_lets_none_be_idle() {
    let app = counting().await;
    let url = app.metrics_url();
    let mut idle = Vec::new();
    for _ in 0..16 {
        idle.push(Wire::to(&url).await);
    }
    let health = tokio::time::timeout(Duration::from_secs(2), app.anonymous().get("/health/live")).await;
    assert_eq!(health.unwrap().status, 200);
    let page = tokio::time::timeout(Duration::from_secs(9), app.metrics()).await;
    assert_eq!(page.expect("idle ones were closed").status, 200);
    drop(idle);
}

#[test]
fn the_program_offers_it_until_its_end_and_warns_where_others_may_read_it() {
    let folder = tempfile::tempdir().unwrap();
    let address = format!("127.0.0.1:{}", free_port());
    let mut program = Program::serve(folder.path(), &["--metrics-listen", &address]);
    let page = tokio::runtime::Runtime::new()
        .unwrap()
        .block_on(exchange(&format!("http://{address}"), "GET /metrics HTTP/1.0\r\n\r\n"));
    assert!(page.contains("\nclaviger_build_info{"), "{page}");
    let log = program.stop().join("\n");
    assert!(log.contains(&format!("\"metrics\":\"{address}\"")) && !log.contains("no login"), "{log}");
    let public = format!("0.0.0.0:{}", free_port());
    let mut program = Program::serve(folder.path(), &["--metrics-listen", &public]);
    let log = program.stop().join("\n");
    assert!(log.contains("WARN") && log.contains("the metrics have no login"), "{log}");
    let checked = Program::command(&["config", "check", "--metrics-listen", &public]).output().unwrap();
    let said = String::from_utf8(checked.stderr).unwrap();
    assert!(checked.status.success() && said.contains("warning: --metrics-listen"), "{said}");
}

#[test]
fn an_address_that_is_taken_is_said_before_anything_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let arguments = ["--metrics-listen", address.as_str()];
    let (code, said) = Program::refusal(Program::command(&[]), folder.path(), free_port(), &arguments);
    assert!(code == 1 && said.contains("--metrics-listen"), "{code}: {said}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
