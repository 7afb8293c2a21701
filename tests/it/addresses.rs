//! Whose address a request is counted and logged under, behind proxies and without.

use crate::harness::{Caller as _, Program, TestApp, send};
use reqwest::Method;
use serde_json::Value;

const TRUSTED: (&str, &str) = ("trusted_proxies", "127.0.0.0/8");

/// What clients write to be taken for somebody else, or to do harm.
const WRITTEN: [(&str, &str); 8] = [
    ("x-forwarded-for", "198.51.100.7"),
    ("x-forwarded-for", "garbage"),
    ("forwarded", "for=198.51.100.7"),
    ("forwarded", "for=\""),
    ("x-real-ip", "198.51.100.7"),
    ("x-real-ip", ""),
    ("x-client-ip", "198.51.100.7"),
    ("true-client-ip", "198.51.100.7"),
];

/// The address in the log of the one request that was sent with these headers.
async fn logged(arguments: &[&str], headers: &[(&str, &str)]) -> (u16, String) {
    let folder = tempfile::tempdir().unwrap();
    let mut program = Program::serve(folder.path(), &[arguments, &["--log-level", "debug"]].concat());
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = client.get(format!("{}/docs", program.url));
    let answer =
        send(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))).await;
    let lines = program.stop();
    let lines = lines.iter().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let line = lines.into_iter().find(|line| line["message"] == "request").unwrap();
    (answer.status, line["address"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn checklist_16_who_is_no_trusted_proxy_speaks_for_itself_only() {
    assert_eq!(logged(&[], &WRITTEN).await, (200, "127.0.0.1".to_owned()));
    let elsewhere = ["--trusted-proxies", "10.0.0.0/8, 192.0.2.1, ::1"];
    assert_eq!(logged(&elsewhere, &WRITTEN).await, (200, "127.0.0.1".to_owned()));
}

#[tokio::test]
async fn a_trusted_proxy_names_the_client() {
    let trusted = ["--trusted-proxies", "127.0.0.1"];
    let headers = [("x-forwarded-for", "1.1.1.1, 198.51.100.7:4711"), ("x-real-ip", "2.2.2.2")];
    assert_eq!(logged(&trusted, &headers).await, (200, "198.51.100.7".to_owned()));
    assert_eq!(logged(&trusted, &[]).await, (200, "127.0.0.1".to_owned()), "a request of its own");
    let forwarded = ["--trusted-proxies", "127.0.0.1", "--client-address-header", "forwarded"];
    let headers = [("x-forwarded-for", "1.1.1.1"), ("forwarded", "for=\"[2001:db8::1]:4711\";proto=https")];
    assert_eq!(logged(&forwarded, &headers).await, (200, "2001:db8::1".to_owned()));
}

#[tokio::test]
async fn checklist_16_what_a_trusted_proxy_says_is_understood_or_refused() {
    let many = vec!["198.51.100.7"; 21].join(",");
    for (header, values) in [
        ("x-forwarded-for", &["", "garbage", "unknown", "198.51.100.7, x", "198.51.100.7,", &*many][..]),
        ("forwarded", &["", "for=unknown", "for=_x", "198.51.100.7", "for=\"1.1.1.1", "proto=https", &*many]),
        ("x-real-ip", &["", "garbage", "1.1.1.1, 2.2.2.2"]),
    ] {
        let app = TestApp::with(&[TRUSTED, ("client_address_header", header)]).await;
        for value in values {
            for path in ["/docs", "/user/profile", "/nowhere"] {
                let request = app.anonymous().request(Method::GET, path).header(header, *value);
                send(request).await.problem(400, "malformed-request");
            }
        }
        let twice = app.anonymous().request(Method::GET, "/docs");
        let answer = send(twice.header(header, "for=1.1.1.1").header(header, "1.1.1.1")).await;
        assert_eq!(answer.status, if header == "x-forwarded-for" { 200 } else { 400 }, "{header} twice");
        assert_eq!(app.anonymous().get("/docs").await.status, 200, "none at all");
    }
}
