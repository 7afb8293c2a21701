//! Which web pages may read the answers: none but those of the configured origins.

use crate::harness::{Account, Answer, TestApp, in_order, path, routes, send};
use crate::hygiene::ask;
use claviger::routes::Route;

/// The headers of an answer that let web pages read it.
fn cors_headers(answer: &Answer) -> Vec<&str> {
    answer
        .headers
        .keys()
        .map(|name| name.as_str())
        .filter(|name| name.starts_with("access-control-"))
        .collect()
}

/// The route called, and asked by a browser whether it may be called, from a page of `origin`.
async fn from_page(alice: &Account<'_>, route: &Route, origin: &str) -> [Answer; 2] {
    let call = in_order(alice, route).await.header("origin", origin);
    let preflight = ask(alice.app, "OPTIONS", &path(alice, route))
        .header("origin", origin)
        .header("access-control-request-method", route.method)
        .header("access-control-request-headers", "authorization,content-type,x-access-token,token");
    [send(call).await, send(preflight).await]
}

const OTHER_ORIGINS: [&str; 14] = [
    "null",
    "https://evil.example",
    "http://app.example.org",
    "https://app.example.org:443",
    "https://app.example.org:8443",
    "https://app.example.org/",
    "https://app.example.org.evil.example",
    "https://evil-app.example.org",
    "https://x.app.example.org",
    "https://APP.example.org",
    "HTTPS://app.example.org",
    "https://app.example.org, https://evil.example",
    "*",
    "app.example.org",
];

#[tokio::test]
async fn checklist_89_no_web_page_may_read_by_default() {
    let app = TestApp::start().await;
    for (number, route) in routes().into_iter().enumerate() {
        let alice = app.account(&format!("alice{number}")).await;
        for origin in OTHER_ORIGINS.into_iter().chain(["https://app.example.org", &app.issuer, &app.url]) {
            let [call, preflight] = from_page(&alice, &route, origin).await;
            assert_eq!(cors_headers(&call), Vec::<&str>::new(), "{} {origin}", route.path);
            assert_eq!(cors_headers(&preflight), Vec::<&str>::new(), "{} {origin}", route.path);
            preflight.problem(405, "method-not-allowed");
        }
    }
}

#[tokio::test]
async fn checklist_89_the_configured_origins_alone_may_read() {
    let own = "https://app.example.org";
    let app = TestApp::with(&[("cors_origins", "https://app.example.org, http://localhost:3000")]).await;
    for (number, route) in routes().into_iter().enumerate() {
        let alice = app.account(&format!("alice{number}")).await;
        for origin in [own, "http://localhost:3000"] {
            for answer in from_page(&alice, &route, origin).await {
                assert_eq!(answer.header("access-control-allow-origin"), origin, "{}", route.path);
                assert!(answer.headers.get("access-control-allow-credentials").is_none(), "no cookies");
                assert!(answer.header("vary").to_lowercase().contains("origin"), "{}", route.path);
            }
        }
        let [_, preflight] = from_page(&alice, &route, own).await;
        assert_eq!((preflight.status, preflight.body.len()), (200, 0), "{}", route.path);
        assert_eq!(preflight.header("access-control-allow-methods"), "GET,POST,PUT,PATCH,DELETE");
        assert_eq!(
            preflight.header("access-control-allow-headers"),
            "authorization,content-type,idempotency-key,x-access-token,token"
        );
        for origin in OTHER_ORIGINS {
            for answer in from_page(&alice, &route, origin).await {
                assert!(
                    answer.headers.get("access-control-allow-origin").is_none(),
                    "{} {origin}",
                    route.path
                );
                assert!(answer.header("vary").to_lowercase().contains("origin"), "{} {origin}", route.path);
            }
        }
    }
    // The page must be able to read why it was refused.
    let refused = send(ask(&app, "GET", "/user/profile").header("origin", own)).await;
    assert_eq!((refused.status, refused.header("access-control-allow-origin")), (401, own));
}

#[tokio::test]
async fn a_page_can_read_why_it_was_refused() {
    let own = "https://app.example.org";
    let app = TestApp::with(&[("cors_origins", own)]).await;
    for (path, kind) in [("/user/profile?token=x", "token-in-query"), ("/nowhere", "not-found")] {
        let answer = send(ask(&app, "GET", path).header("origin", own)).await;
        assert!(answer.text().contains(kind));
        assert_eq!(answer.header("access-control-allow-origin"), own);
    }
}
