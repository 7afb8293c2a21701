//! The end of a server over TLS: nobody is cut off who has begun to ask, by either protocol.

use crate::harness::{Certificate, Frames, Kind, LOGIN, Program, Secure, TestApp, block};
use serde_json::json;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

#[tokio::test]
async fn requests_under_way_finish_and_what_comes_later_is_sent_elsewhere() {
    let certificate = Certificate::of_days(90);
    let mut app = TestApp::over_tls(&certificate, &[]).await;
    app_account(app.address(), &certificate).await;
    let mut client = Frames::to(app.address(), &certificate, &[]).await;
    let streams: Vec<u32> = (0..8).map(|at| 2 * at + 1).collect();
    for stream in &streams {
        client.send(Kind::Headers, 4, *stream, &block(LOGIN)).await;
    }
    client.send(Kind::Ping, 0, 0, &[7; 8]).await;
    let is_pong = |frame: &crate::harness::Frame| frame.kind == Kind::Ping && frame.flags == 1;
    client.until(is_pong).await.expect("all are under way");
    app.stop();
    let farewell = client.until(|frame| frame.kind == Kind::GoAway).await.unwrap();
    assert_eq!(farewell.code(), 0, "NO_ERROR");
    let body = r#"{"email":"a@example.org","password":"a walk along the river"}"#;
    for stream in &streams {
        client.send(Kind::Data, 1, *stream, body.as_bytes()).await;
    }
    let mut answered = Vec::new();
    while let Some(frame) = client.until(|frame| matches!(frame.kind, Kind::Headers | Kind::Reset)).await {
        assert_eq!(frame.status(), 200, "{frame:?}");
        answered.push(frame.stream);
    }
    answered.sort_unstable();
    assert_eq!(answered, streams);
    app.stopped().await;
}

#[tokio::test]
async fn who_has_connected_before_the_stop_is_served() {
    let certificate = Certificate::of_days(90);
    for protocol in ["h2", "http/1.1"] {
        let mut app = TestApp::over_tls(&certificate, &[]).await;
        let address = app.address();
        // In the kernel's hands, its handshake still to come.
        let stream = TcpStream::connect(address).await.unwrap();
        app.stop();
        let mut client = Secure::over(stream, certificate.client(&[protocol])).await.unwrap();
        assert_eq!(client.get("/health/live").await.unwrap().status, 200, "{protocol}");
        app.stopped().await;
        assert!(TcpStream::connect(address).await.is_err());
    }
}

#[tokio::test]
async fn idle_connections_hold_no_stop_up() {
    let certificate = Certificate::of_days(90);
    let mut app = TestApp::over_tls(&certificate, &[]).await;
    let mut used =
        [Secure::to(app.address(), &certificate).await, Secure::http1(app.address(), &certificate).await];
    for client in &mut used {
        assert_eq!(client.get("/health/live").await.unwrap().status, 200);
    }
    let silent = TcpStream::connect(app.address()).await.unwrap();
    app.stop();
    // Idle ones would be closed after 5 seconds in any case.
    timeout(Duration::from_secs(3), app.stopped()).await.expect("stopped at once");
    drop(silent);
    for mut client in used {
        assert!(!client.is_open().await);
    }
}

#[tokio::test]
async fn who_leaves_asks_its_clients_to_come_back_on_another_connection() {
    let certificate = Certificate::of_days(90);
    let app = TestApp::over_tls(&certificate, &[]).await;
    let mut two = Secure::to(app.address(), &certificate).await;
    let mut one = Secure::http1(app.address(), &certificate).await;
    assert_eq!(two.get("/health/live").await.unwrap().status, 200);
    app.app().health.leave();
    assert_eq!(one.get("/health/live").await.unwrap().header("connection"), "close");
    // Within a second it is looked; until then the connection is as good as ever.
    let gone = async {
        while two.get("/health/live").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(4), gone).await.expect("asked to go");
    let mut new = Secure::to(app.address(), &certificate).await;
    assert_eq!(new.get("/health/live").await.unwrap().status, 200, "all is still served");
}

async fn app_account(address: SocketAddr, certificate: &Certificate) {
    let body = json!({"email": "a@example.org", "name": "a", "password": "a walk along the river"});
    let made = Secure::to(address, certificate).await.post("/user", &body).await.unwrap();
    assert!([201, 409].contains(&made.status), "{}", made.text());
}

/// Logs in over and over on one connection, and on a new one when the server asks for that, until connections are
/// refused. How many answers came whole.
async fn caller(address: SocketAddr, certificate: Arc<Certificate>, done: Arc<AtomicUsize>) -> usize {
    let body = json!({"email": "a@example.org", "password": "a walk along the river"});
    let mut answered = 0;
    loop {
        let Ok(mut client) = Secure::by(address, certificate.client(&["h2"])).await else { return answered };
        while let Ok(answer) = client.post("/login", &body).await {
            assert_eq!(answer.status, 200, "{}", answer.text());
            answered += 1;
            done.fetch_add(1, Ordering::SeqCst);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sigterm_under_load_cuts_no_login_off() {
    let certificate = Arc::new(Certificate::of_days(90));
    let folder = tempfile::tempdir().unwrap();
    let quick = ["--dev", "--hash-memory-kib", "64", "--hash-passes", "1", "--limits", "false"];
    let flags = certificate.flags();
    let flags: Vec<&str> = quick.into_iter().chain(flags.iter().map(String::as_str)).collect();
    for round in 0..3 {
        let mut program = Program::serve(folder.path(), &flags);
        app_account(program.address, &certificate).await;
        let done = Arc::new(AtomicUsize::new(0));
        let mut callers = JoinSet::new();
        for _ in 0..8 {
            callers.spawn(caller(program.address, certificate.clone(), done.clone()));
        }
        while done.load(Ordering::SeqCst) < 100 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let log = tokio::task::block_in_place(|| program.stop());
        let answered: usize = callers.join_all().await.into_iter().sum();
        let logged = log.iter().filter(|line| line.contains("route=\"/login\"")).count();
        assert_eq!(answered, logged, "round {round}: whoever was heard has the whole answer");
    }
}
