//! For callers that misbehave: any bytes over a plain connection, and limits on the time of an answer.

use super::callers::{Answer, send};
use claviger::config::raw::Raw;
use claviger::config::resolve;
use claviger::routes::{Route, table};
use std::io::ErrorKind::WouldBlock;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// The routes of a server with the default settings.
pub fn routes() -> Vec<Route> {
    table(&resolve(&Raw::default()).unwrap())
}

/// Sends a request whose answer must come within a second, whatever it holds.
pub async fn quick(request: reqwest::RequestBuilder) -> Answer {
    timeout(Duration::from_secs(1), send(request)).await.expect("an answer within a second")
}

/// Asserts that the answer is this problem; `what` was asked.
#[track_caller]
pub fn assert_problem(answer: &Answer, status: u16, kind: &str, what: &str) {
    let short: String = what.chars().take(200).collect();
    assert_eq!(answer.status, status, "{short}: {}", answer.text());
    assert_eq!(answer.problem(status, kind)["type"], format!("/docs#{kind}"), "{short}");
}

/// A connection that carries any bytes.
pub struct Wire(TcpStream);

impl Wire {
    pub async fn to(url: &str) -> Self {
        Self(TcpStream::connect(url.strip_prefix("http://").unwrap()).await.unwrap())
    }

    /// Sends bytes. That the server has closed the connection meanwhile is no fault of the test.
    pub async fn send(&self, mut bytes: &[u8]) {
        while !bytes.is_empty() && self.0.writable().await.is_ok() {
            match self.0.try_write(bytes) {
                Ok(count) => bytes = &bytes[count..],
                Err(error) if error.kind() == WouldBlock => {}
                Err(_) => return,
            }
        }
    }

    /// All that the server says until it closes the connection, at most for `limit`.
    pub async fn said_until(&self, limit: Duration) -> String {
        let mut said = Vec::new();
        // What was read before the limit counts; how long it took is for the caller to judge.
        let _ = timeout(limit, self.read(&mut said)).await;
        String::from_utf8_lossy(&said).into_owned()
    }

    async fn read(&self, said: &mut Vec<u8>) {
        let mut buffer = [0; 4096];
        while self.0.readable().await.is_ok() {
            match self.0.try_read(&mut buffer) {
                Ok(0) => return,
                Ok(count) => said.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == WouldBlock => {}
                Err(_) => return,
            }
        }
    }
}

/// Sends `bytes` on a connection of their own; all that comes back until the server closes it, which
/// it must do within 2 seconds.
pub async fn exchange(url: &str, bytes: impl AsRef<[u8]>) -> String {
    let (wire, started) = (Wire::to(url).await, Instant::now());
    let limit = Duration::from_secs(2);
    let _ = timeout(limit, wire.send(bytes.as_ref())).await;
    let said = wire.said_until(limit).await;
    assert!(started.elapsed() < limit, "still open after {limit:?}; it said {said:?}");
    said
}

/// The statuses of all answers in what a server said.
pub fn statuses(said: &str) -> Vec<u16> {
    said.split("HTTP/1.").skip(1).filter_map(|answer| answer.get(2..5)?.parse().ok()).collect()
}
