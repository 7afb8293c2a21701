//! Clients that are slow in their handshake, or after it: they are dropped, and others served meanwhile.

use crate::harness::{Certificate, Secure, TestApp, Wire, connect};
use std::future::pending;
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// The first bytes of a handshake that would be longer.
const HELLO: &[u8] = &[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3];

/// What a client sends at once, and again each second.
async fn run(first: &'static [u8], again: &'static [u8], url: String) {
    let wire = Wire::to(&url).await;
    wire.send(first).await;
    let dribble = async {
        loop {
            sleep(Duration::from_secs(1)).await;
            wire.send(again).await;
        }
    };
    tokio::select! {
        said = wire.said_until(Duration::from_secs(10)) => assert!(!said.starts_with("HTTP"), "{said:?}"),
        () = dribble => unreachable!(),
    }
    // It is over, and not only the wait for it.
    assert_eq!(wire.said_until(Duration::from_secs(1)).await, "");
}

#[tokio::test]
async fn checklist_89_slow_handshakes_are_dropped_and_others_served() {
    let certificate = Certificate::of_days(90);
    let app = TestApp::over_tls(&certificate, &[("max_connections", "300")]).await;
    let url = format!("http://{}", app.address());
    let mut clients = JoinSet::new();
    for (first, again) in [(HELLO, &b""[..]), (HELLO, b"a"), (&HELLO[..1], b""), (&HELLO[..3], b"\x01")] {
        clients.spawn(run(first, again, url.clone()));
    }
    for _ in 0..200 {
        clients.spawn(run(b"", b"", url.clone()));
    }
    // One that does its handshake and says nothing after it, by either protocol.
    for protocol in ["h2", "http/1.1"] {
        let (address, config) = (app.address(), certificate.client(&[protocol]));
        clients.spawn(async move {
            let mut stream = connect(address, config).await.unwrap();
            let mut said = Vec::new();
            let ended = timeout(Duration::from_secs(10), stream.read_to_end(&mut said)).await;
            assert!(ended.is_ok(), "still open");
        });
    }
    loop {
        tokio::select! {
            done = clients.join_next() => match done {
                Some(done) => done.unwrap(),
                None => break,
            },
            () = sleep(Duration::from_millis(250)) => {
                let mut client = Secure::to(app.address(), &certificate).await;
                let answer = timeout(Duration::from_secs(2), client.get("/.well-known/jwks.json")).await;
                assert_eq!(answer.unwrap().unwrap().status, 200);
            }
        }
    }
}

#[tokio::test]
async fn who_says_nothing_keeps_no_place_for_long() {
    let certificate = Certificate::of_days(90);
    let app = TestApp::over_tls(&certificate, &[("max_connections", "2")]).await;
    let url = format!("http://{}", app.address());
    let silent = (Wire::to(&url).await, Wire::to(&url).await);
    let third = Secure::to(app.address(), &certificate);
    // Both places are taken; then they are not, though their clients are still there.
    let mut third = timeout(Duration::from_secs(10), third).await.unwrap();
    assert_eq!(third.get("/health/live").await.unwrap().status, 200);
    drop(silent);
}

#[tokio::test]
async fn checklist_89_who_does_not_read_over_tls_is_dropped() {
    use tokio::io::AsyncWriteExt as _;
    let certificate = Certificate::of_days(90);
    let app = TestApp::over_tls(&certificate, &[]).await;
    let mut stream = connect(app.address(), certificate.client(&["http/1.1"])).await.unwrap();
    let stall = async {
        let request = "GET /docs HTTP/1.1\r\nHost: x\r\n\r\n".repeat(1000);
        while stream.write_all(request.as_bytes()).await.is_ok() {}
        // The server has closed it.
    };
    let over = timeout(Duration::from_secs(20), stall).await;
    assert!(over.is_ok(), "still open");
    let mut rest = Vec::new();
    let read = timeout(Duration::from_secs(5), stream.read_to_end(&mut rest)).await;
    assert!(read.is_ok(), "nothing is left but what was under way");
    let _ = timeout(Duration::ZERO, pending::<()>()).await;
}
