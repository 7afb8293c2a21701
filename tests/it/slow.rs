//! Clients that are too slow in every phase of a request: they are dropped, and others served meanwhile.

use crate::harness::{Caller as _, TestApp, Wire, quick, statuses};
use reqwest::Method;
use std::future::pending;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// What a client sends at once, what it sends after that piece by piece, one each second, and the
/// statuses that it hears. Before it is dropped, it may be told so by a 408.
type Slow = (&'static str, &'static [&'static str], &'static [u16]);

const LETTERS: &[&str] = &["a"; 30];

/// Those that owe the server headers, or keep a connection for nothing.
const HEADERS: &[Slow] = &[
    ("", &[], &[]),
    ("GET /us", &[], &[]),
    ("GET /user HTTP/1.1\r\nHost: x\r\n", &[], &[]),
    ("GET /user HTTP/1.1\r\nHost: x\r\n\r", &[], &[]),
    ("GET /", LETTERS, &[]),
    ("GET /user HTTP/1.1\r\nX: ", LETTERS, &[]),
    ("GET /user HTTP/1.1\r\n", &["X: y\r\n"; 30], &[]),
    ("", &["\r\n"; 30], &[]),
    // After a request that was answered.
    ("GET /docs HTTP/1.1\r\nHost: x\r\n\r\n", &[], &[200]),
    ("GET /jwks HTTP/1.1\r\nHost: x\r\n\r\n", &["\r\n"; 30], &[401]),
    ("GET /jwks HTTP/1.1\r\nHost: x\r\n\r\nGET /", LETTERS, &[401]),
    // A body that nobody waits for.
    ("GET /jwks HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n", &[], &[401]),
    ("POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n", &[], &[404]),
    ("POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n", LETTERS, &[404]),
];

macro_rules! login {
    ($length:literal) => {
        concat!("POST /login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n", $length, "\r\n\r\n")
    };
}

/// Those that owe the server a body.
const BODIES: &[Slow] = &[
    (login!("Content-Length: 9"), &[], &[]),
    (login!("Content-Length: 99"), LETTERS, &[]),
    (login!("Content-Length: 9\r\nExpect: 100-continue"), &[], &[100]),
    (login!("Transfer-Encoding: chunked"), &[], &[]),
    (login!("Transfer-Encoding: chunked"), &["1\r\na\r\n"; 30], &[]),
    (login!("Transfer-Encoding: chunked"), &["0"; 30], &[]),
    (concat!(login!("Transfer-Encoding: chunked"), "ffffffffffffffff\r\n"), LETTERS, &[]),
    (concat!(login!("Transfer-Encoding: chunked"), "2\r\n{}\r\n0\r\nX: "), LETTERS, &[]),
];

/// Goes on until the server closes the connection; the fault, if there is one.
async fn run((first, rest, expected): Slow, limit: Duration, url: String) -> Option<String> {
    let (wire, started) = (Wire::to(&url).await, Instant::now());
    wire.send(first.as_bytes()).await;
    let dribble = async {
        for piece in rest {
            sleep(Duration::from_secs(1)).await;
            wire.send(piece.as_bytes()).await;
        }
        pending::<()>().await;
    };
    let said = tokio::select! {
        said = wire.said_until(Duration::from_secs(20)) => said,
        () = dribble => unreachable!(),
    };
    let (took, mut heard) = (started.elapsed(), statuses(&said));
    if heard.last() == Some(&408) {
        heard.pop();
    }
    let dropped = took < limit && heard == expected;
    (!dropped).then(|| format!("{first:?} then {:?}: {took:?}, {said:?}", rest.first()))
}

#[tokio::test]
async fn checklist_89_slow_clients_are_dropped_and_others_served() {
    let app = TestApp::dev().await;
    let mut clients = JoinSet::new();
    // A crowd that says nothing at all, too.
    for slow in HEADERS.iter().chain(&[HEADERS[0]; 50]) {
        clients.spawn(run(*slow, Duration::from_secs(10), app.url.clone()));
    }
    // The server waits 4 seconds for a body, after at most 5 for the headers.
    for slow in BODIES {
        clients.spawn(run(*slow, Duration::from_secs(10), app.url.clone()));
    }
    let mut faults = Vec::new();
    loop {
        tokio::select! {
            done = clients.join_next() => match done {
                Some(fault) => faults.extend(fault.unwrap()),
                None => break,
            },
            () = sleep(Duration::from_millis(250)) => {
                let answer = quick(app.anonymous().request(Method::GET, "/.well-known/jwks.json")).await;
                assert_eq!(answer.status, 200);
            }
        }
    }
    assert_eq!(faults, Vec::<String>::new());
}

#[tokio::test]
async fn checklist_89_a_client_that_does_not_read_is_dropped() {
    let app = TestApp::dev().await;
    let wire = Wire::to(&app.url).await;
    // Far more answers than the buffers between client and server hold.
    let requests = "GET /docs HTTP/1.1\r\nHost: x\r\n\r\n".repeat(50_000);
    let stall = async {
        wire.send(requests.as_bytes()).await;
        pending::<()>().await;
    };
    let _ = timeout(Duration::from_secs(12), stall).await;
    // Nothing is left to hear but what was under way.
    let started = Instant::now();
    let heard = statuses(&wire.said_until(Duration::from_secs(2)).await).len();
    assert!(started.elapsed() < Duration::from_secs(2), "still open; {heard} answers heard");
    assert!(heard < 50_000);
}

#[tokio::test]
async fn connections_over_the_limit_wait_their_turn() {
    let app = TestApp::with(&[("max_connections", "2")]).await;
    let (first, second, third) =
        (Wire::to(&app.url).await, Wire::to(&app.url).await, Wire::to(&app.url).await);
    third.send(b"GET /jwks HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    assert_eq!(third.said_until(Duration::from_millis(500)).await, "", "two others hold the places");
    drop(first);
    assert_eq!(statuses(&third.said_until(Duration::from_secs(2)).await), [401]);
    drop(second);
}
