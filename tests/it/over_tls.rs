//! The API over TLS: by HTTP/2 and HTTP/1.1 alike, with HSTS, and nothing to those who speak no TLS.

use crate::harness::{Certificate, Secure, TestApp, connect, exchange, statuses};
use rustls::version::{TLS12, TLS13};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const HSTS: &str = "strict-transport-security";

/// Clients of both protocols.
async fn clients(app: &TestApp, certificate: &Certificate) -> [Secure; 2] {
    [Secure::http1(app.address(), certificate).await, Secure::to(app.address(), certificate).await]
}

#[tokio::test]
async fn checklist_89_every_answer_over_tls_carries_hsts_and_is_the_same_by_both_protocols() {
    let certificate = Certificate::of_days(90);
    let app = TestApp::over_tls(&certificate, &[]).await;
    let made = json!({"email": "a@example.org", "name": "a", "password": "a walk along the river"});
    let mut heard = Vec::new();
    for mut client in clients(&app, &certificate).await {
        let version = client.version();
        let mut answers = vec![
            client.post("/user", &made).await.unwrap(),
            client.post("/login", &made).await.unwrap(),
            client.get("/.well-known/jwks.json").await.unwrap(),
            client.get("/health/live").await.unwrap(),
            client.get("/nothing").await.unwrap(),
            client.get("/user/profile?token=x").await.unwrap(),
            client.send("DELETE", "/docs", &[], "").await.unwrap(),
            client.post("/login", &json!({"email": "a@example.org", "password": "wrong"})).await.unwrap(),
        ];
        let token = answers[1].json()["token"].as_str().unwrap_or_default().to_owned();
        let bearer = format!("Bearer {token}");
        answers.push(client.send("GET", "/user/profile", &[("authorization", &bearer)], "").await.unwrap());
        let etag = answers[2].header("etag").to_owned();
        answers.push(
            client.send("GET", "/.well-known/jwks.json", &[("if-none-match", &etag)], "").await.unwrap(),
        );
        for answer in &answers {
            assert_eq!(answer.header(HSTS), "max-age=31536000", "{version:?}: {}", answer.text());
            assert!(!answer.headers.contains_key("connection"));
            assert!(!answer.header("date").is_empty() && !answer.header("x-request-id").is_empty());
        }
        heard.push(answers.iter().map(|answer| answer.status).collect::<Vec<_>>());
    }
    assert_eq!(heard[0], [201, 200, 200, 200, 404, 400, 405, 401, 200, 304]);
    assert_eq!(heard[1], [409, 200, 200, 200, 404, 400, 405, 401, 200, 304]);
}

#[tokio::test]
async fn hsts_is_said_neither_without_tls_nor_in_dev() {
    let app = TestApp::start().await;
    let said = exchange(&app.url, "GET /health/live HTTP/1.0\r\n\r\n").await;
    assert!(statuses(&said) == [200] && !said.contains(HSTS), "{said}");
    let certificate = Certificate::of_days(90);
    let dev = TestApp::over_tls(&certificate, &[("dev", "true")]).await;
    for mut client in clients(&dev, &certificate).await {
        let answer = client.get("/health/live").await.unwrap();
        assert_eq!((answer.status, answer.header(HSTS)), (200, ""));
    }
}

#[tokio::test]
async fn who_speaks_http_without_tls_is_told_so_and_garbage_is_ended() {
    let certificate = Certificate::of_days(90);
    let app = TestApp::over_tls(&certificate, &[]).await;
    let url = format!("http://{}", app.address());
    let body = "x".repeat(10_000);
    for request in [
        "GET /docs HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
        format!("POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: 10000\r\n\r\n{body}"),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
        "G".to_owned(),
    ] {
        let said = exchange(&url, request).await;
        assert_eq!(statuses(&said), [400], "{said}");
        let (head, text) = said.split_once("\r\n\r\n").unwrap();
        assert!(text == "This port speaks TLS. Use an https URL.\n", "{said}");
        assert!(head.contains(&format!("content-length: {}\r\n", text.len())), "{said}");
        assert!(!said.contains(HSTS), "{said}");
    }
    for garbage in [
        "\0\0\0\0\0\0\0\0",
        "\r\n\r\n\r\n\r\n",
        "\u{16}\u{3}\u{1}\u{ff}\u{ff}\u{1}",
        "\u{15}\u{3}\u{1}\0\u{2}\u{2}\u{28}",
    ] {
        // With an alert or nothing.
        let said = exchange(&url, garbage).await;
        assert!(said.is_empty() || said.starts_with('\u{15}'), "{garbage:?}: {said:?}");
    }
}

#[tokio::test]
async fn tls_1_3_and_1_2_are_spoken_and_nothing_older() {
    let certificate = Certificate::of_days(90);
    let app = TestApp::over_tls(&certificate, &[]).await;
    for version in [&TLS13, &TLS12] {
        for protocols in [&["h2"][..], &["http/1.1"], &[]] {
            let config = certificate.client_of(protocols, &[version]);
            let stream = connect(app.address(), config.clone()).await.unwrap();
            assert_eq!(stream.get_ref().1.protocol_version(), Some(version.version));
            let mut client = Secure::by(app.address(), config).await.unwrap();
            assert_eq!(client.get("/health/live").await.unwrap().status, 200, "{version:?} {protocols:?}");
        }
    }
    // A ClientHello of TLS 1.1, with a suite that servers of its time took.
    let mut hello = vec![0x16, 3, 1, 0, 45, 1, 0, 0, 41, 3, 2];
    hello.extend_from_slice(&[7; 32]);
    hello.extend_from_slice(&[0, 0, 2, 0xc0, 0x13, 1, 0]);
    let mut stream = TcpStream::connect(app.address()).await.unwrap();
    stream.write_all(&hello).await.unwrap();
    let mut said = Vec::new();
    stream.read_to_end(&mut said).await.unwrap();
    assert!(said.len() == 7 && said[0] == 0x15 && said[5] == 2, "a fatal alert alone: {said:?}");
}

#[tokio::test]
async fn a_client_may_name_no_host_and_no_protocol_but_not_an_unknown_one() {
    let certificate = Certificate::of_days(90);
    let app = TestApp::over_tls(&certificate, &[]).await;
    for (protocols, is_two) in
        [(&["h2", "http/1.1"][..], true), (&["http/1.1", "h2"], true), (&["http/1.1"], false), (&[], false)]
    {
        let mut config = certificate.client(protocols);
        config.enable_sni = false;
        let mut client = Secure::by(app.address(), config).await.unwrap();
        assert_eq!(client.version() == hyper::Version::HTTP_2, is_two, "{protocols:?}");
        assert_eq!(client.get("/health/live").await.unwrap().status, 200);
    }
    let refused = Secure::by(app.address(), certificate.client(&["spdy/3"])).await.err().unwrap();
    assert!(refused.to_string().contains("NoApplicationProtocol"), "{refused}");
}

#[tokio::test]
async fn clients_are_told_apart_and_limited_over_http2_as_ever() {
    let certificate = Certificate::of_days(90);
    let (limits, proxy) = (("limits", "true"), ("trusted_proxies", "127.0.0.1"));
    let app = TestApp::over_tls(&certificate, &[limits, proxy]).await;
    let mut client = Secure::to(app.address(), &certificate).await;
    let mut sign_up = async |address: &str| {
        let told = [("x-forwarded-for", address)];
        client.send("POST", "/user", &told[..usize::from(!address.is_empty())], "").await.unwrap().status
    };
    for _ in 0..100 {
        assert_eq!(sign_up("1.1.1.1, 198.51.100.7").await, 415);
    }
    assert_eq!(sign_up("2.2.2.2, 198.51.100.7").await, 429);
    assert_eq!(sign_up("198.51.100.8").await, 415);
    assert_eq!(sign_up("").await, 415, "the proxy itself");
    assert_eq!(sign_up("no address").await, 400);

    let direct = TestApp::over_tls(&certificate, &[limits]).await;
    let mut client = Secure::to(direct.address(), &certificate).await;
    for at in 0..=100 {
        let lie = format!("198.51.100.{at}");
        let answer = client.send("POST", "/user", &[("x-forwarded-for", &lie)], "").await.unwrap();
        assert_eq!(answer.status, if at < 100 { 415 } else { 429 }, "who is no proxy is not believed");
    }
}
