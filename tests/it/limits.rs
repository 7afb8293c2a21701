//! How often one network may ask: each has its share, whatever the others do.

use crate::harness::{Answer, Caller as _, TestApp, all_at_once, exchange, send, statuses};
use claviger::http::limit::Limit;
use claviger::http::openapi::Access;
use claviger::http::problem::TOO_MANY_REQUESTS;
use claviger::routes::table;
use reqwest::Method;
use serde_json::Value;
use std::time::Duration;

const LIMITS: (&str, &str) = ("limits", "true");
const BEHIND_A_PROXY: [(&str, &str); 2] = [LIMITS, ("trusted_proxies", "127.0.0.1")];

/// A sign-up that makes nothing, from `address` as the proxy tells it.
async fn sign_up_from(app: &TestApp, address: &str) -> Answer {
    let request = app.anonymous().request(Method::POST, "/user").header("x-forwarded-for", address);
    send(request).await
}

/// Takes all that a network may have at once: 100 sign-ups.
async fn spend(app: &TestApp, address: &str) {
    let request = || app.anonymous().request(Method::POST, "/user").header("x-forwarded-for", address);
    for answer in all_at_once((0..100).map(|_| request())).await {
        answer.problem(415, "unsupported-media-type");
    }
}

#[tokio::test]
async fn too_many_sign_ups_are_refused_until_time_has_passed() {
    let app = TestApp::with(&[LIMITS]).await;
    spend(&app, "").await;
    let refused = sign_up_from(&app, "").await;
    refused.problem(429, "too-many-requests");
    assert_eq!(refused.header("retry-after"), "6");
    assert_eq!(refused.header("ratelimit-policy"), r#""sign-up";q=100;w=600"#);
    assert_eq!(refused.header("ratelimit"), r#""sign-up";r=0;t=6"#);
    assert_eq!(refused.header("cache-control"), "no-store");
    app.advance(Duration::from_millis(5500));
    assert_eq!(sign_up_from(&app, "").await.header("retry-after"), "1", "rounded up");
    app.advance(Duration::from_millis(500));
    assert_eq!(sign_up_from(&app, "").await.status, 415, "one has come back");
    assert_eq!(sign_up_from(&app, "").await.status, 429, "and one only");
    app.advance(Duration::from_secs(600));
    spend(&app, "").await;
}

#[tokio::test]
async fn what_was_refused_is_not_counted_and_other_routes_go_on() {
    let app = TestApp::with(&[LIMITS]).await;
    spend(&app, "").await;
    for _ in 0..50 {
        assert_eq!(sign_up_from(&app, "").await.status, 429);
    }
    app.anonymous().post("/login", &Value::Null).await.problem(400, "malformed-json");
    for path in ["/docs", "/.well-known/jwks.json"] {
        assert_eq!(app.anonymous().get(path).await.status, 200);
    }
    app.anonymous().get("/user/profile").await.problem(401, "credentials-required");
    app.advance(Duration::from_secs(6));
    assert_eq!(sign_up_from(&app, "").await.status, 415);
}

#[tokio::test]
async fn each_network_has_its_own_share() {
    let app = TestApp::with(&BEHIND_A_PROXY).await;
    for (spent, same, other) in [
        ("198.51.100.7", "198.51.100.7:4711", "198.51.100.8"),
        ("2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff", "2001:db8:0:1::1"),
        ("203.0.113.9", "::ffff:203.0.113.9", "203.0.113.10"),
    ] {
        spend(&app, spent).await;
        sign_up_from(&app, same).await.problem(429, "too-many-requests");
        assert_eq!(sign_up_from(&app, other).await.status, 415, "{other}");
    }
}

#[tokio::test]
async fn checklist_16_a_header_of_ones_own_is_no_way_around() {
    let app = TestApp::with(&[LIMITS]).await;
    spend(&app, "198.51.100.7").await;
    sign_up_from(&app, "198.51.100.8").await.problem(429, "too-many-requests");
    let app = TestApp::with(&BEHIND_A_PROXY).await;
    spend(&app, "1.1.1.1, 198.51.100.7").await;
    sign_up_from(&app, "2.2.2.2, 198.51.100.7").await.problem(429, "too-many-requests");
}

#[tokio::test]
async fn a_refused_request_is_not_read() {
    let app = TestApp::with(&[LIMITS]).await;
    spend(&app, "").await;
    let head = "POST /user HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 60000";
    assert_eq!(statuses(&exchange(&app.url, format!("{head}\r\nConnection: close\r\n\r\n")).await), [429]);
}

#[tokio::test]
async fn without_limits_nothing_is_counted() {
    let app = TestApp::with(&[("limits", "false")]).await;
    for _ in 0..2 {
        spend(&app, "").await;
    }
}

#[tokio::test]
async fn what_costs_work_is_limited_and_says_so() {
    let app = TestApp::with(&[LIMITS]).await;
    let document = app.anonymous().get("/openapi.json").await.json();
    let page = app.anonymous().get("/docs").await.text();
    for route in table(&app.config()) {
        let responses = &document["paths"][route.path][route.method.to_lowercase()]["responses"];
        let told = responses["429"]["description"].as_str();
        match route.limit {
            Limit::Of(class) => {
                assert!(told.unwrap().contains(TOO_MANY_REQUESTS.name), "{}", route.path);
                assert!(page.contains(&class.to_string()), "{}", route.path);
            }
            Limit::Free => {
                // What an API key opens is the operator's own traffic.
                let cheap = route.method == "GET" || route.access == Access::ApiKey;
                assert!(told.is_none() && cheap, "{} {}", route.method, route.path);
            }
        }
    }
}

#[tokio::test]
async fn a_web_page_can_read_when_to_try_again() {
    let own = "https://app.example.org";
    let app = TestApp::with(&[LIMITS, ("cors_origins", own)]).await;
    spend(&app, "").await;
    let request = app.anonymous().request(Method::POST, "/user").header("origin", own);
    let refused = send(request).await;
    refused.problem(429, "too-many-requests");
    assert_eq!(refused.header("access-control-allow-origin"), own);
    for name in ["retry-after", "ratelimit", "ratelimit-policy"] {
        assert!(
            refused.header("access-control-expose-headers").split(',').any(|exposed| exposed == name),
            "{name}"
        );
    }
}
