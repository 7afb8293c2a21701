//! `/health/live` and `/health/ready`, and a stop that load balancers notice in time.

use crate::harness::{Caller as _, Program, TestApp, exchange};
use serde_json::json;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

#[tokio::test]
async fn anyone_may_ask_and_head_will_do() {
    let app = TestApp::start().await.settled().await;
    let anyone = app.anonymous();
    for (path, status) in [("/health/live", "live"), ("/health/ready", "ready")] {
        let answer = anyone.get(path).await;
        assert_eq!((answer.status, answer.json()), (200, json!({"status": status})));
        assert_eq!(answer.header("cache-control"), "no-store");
        let head = app.http.head(format!("{}{path}", app.url)).send().await.unwrap();
        assert_eq!(head.status(), 200);
    }
}

/// As HAProxy asks where nothing else is said.
#[tokio::test]
async fn http_1_0_without_a_host_is_answered() {
    let app = TestApp::start().await.settled().await;
    let answer = exchange(&app.url, "GET /health/ready HTTP/1.0\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.0 200 "), "{answer}");
}

/// Serves with a short delay, and has answered once.
fn watched(folder: &Path) -> Program {
    let program = Program::serve(folder, &["--dev", "--drain-delay", "2s"]);
    while ask(&program, "/health/ready").0 != 200 {
        std::thread::sleep(Duration::from_millis(20));
    }
    program
}

/// The status of an answer on a new connection, and whether the server ends the connection of its own.
fn ask(program: &Program, path: &str) -> (u16, bool) {
    let mut stream = TcpStream::connect(program.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).unwrap();
    let (mut answer, mut part) = (Vec::new(), [0; 4096]);
    let closed = loop {
        match stream.read(&mut part) {
            Ok(0) => break true,
            Ok(count) => answer.extend_from_slice(&part[..count]),
            Err(_) => break false,
        }
    };
    let text = String::from_utf8(answer).unwrap();
    assert_eq!(text.to_lowercase().contains("connection: close"), closed, "{text}");
    (text[9..12].parse().unwrap(), closed)
}

#[test]
fn sigterm_takes_the_server_out_first_and_serves_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let mut program = watched(folder.path());
    assert_eq!(ask(&program, "/health/live"), (200, false));
    let started = Instant::now();
    program.signal("TERM");
    while ask(&program, "/health/ready").0 != 503 {
        assert!(started.elapsed() < Duration::from_secs(1));
    }
    while started.elapsed() < Duration::from_millis(1500) {
        assert_eq!(ask(&program, "/.well-known/jwks.json"), (200, true));
        assert_eq!(ask(&program, "/health/live"), (200, true));
        assert_eq!(ask(&program, "/health/ready"), (503, true));
    }
    assert!(program.wait(Duration::from_secs(5)).success());
    assert!(started.elapsed() >= Duration::from_secs(2), "{:?}", started.elapsed());
    let log = program.log().join("\n");
    assert!(log.contains("load balancers are told first"), "{log}");
    assert!(!log.contains("/health/"), "who asks all the time is not logged: {log}");
}

#[test]
fn who_is_not_watched_or_is_interrupted_stops_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut unwatched = Program::serve(folder.path(), &["--dev", "--drain-delay", "300s"]);
    ask(&unwatched, "/health/live");
    unwatched.stop();
    for signals in [["INT"].as_slice(), &["TERM", "TERM"]] {
        let mut program = Program::serve(folder.path(), &["--dev", "--drain-delay", "300s"]);
        ask(&program, "/health/ready");
        for signal in signals {
            program.signal(signal);
            std::thread::sleep(Duration::from_millis(100));
        }
        assert!(program.wait(Duration::from_secs(5)).success(), "{signals:?}");
    }
}
