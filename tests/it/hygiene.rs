//! What holds for every answer of every route: headers, methods and caching.

use crate::harness::{Account, Answer, Caller as _, TestApp, exchange, routes, send};
use claviger::routes::Route;
use reqwest::{Method, RequestBuilder};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use uuid::Uuid;

/// Routes whose answers hold nothing of anyone's.
const PUBLIC: [&str; 4] = ["/.well-known/jwks.json", "/openapi.json", "/docs", "/docs/style.css"];

/// What a proxy might add, or an attacker in its stead.
const FORWARDED: [(&str, &str); 13] = [
    ("x-forwarded-for", "203.0.113.9"),
    ("x-forwarded-host", "evil.example"),
    ("x-forwarded-proto", "https"),
    ("x-forwarded-port", "444"),
    ("x-forwarded-prefix", "/evil"),
    ("x-forwarded-user", "admin"),
    ("x-real-ip", "not an address"),
    ("x-remote-user", "admin"),
    ("x-original-url", "/docs"),
    ("x-rewrite-url", "/docs"),
    ("x-http-method-override", "DELETE"),
    ("x-method-override", "PUT"),
    ("forwarded", "for=203.0.113.9;host=evil.example;proto=https"),
];

pub fn ask(app: &TestApp, method: &str, path: &str) -> RequestBuilder {
    app.anonymous().request(Method::from_bytes(method.as_bytes()).unwrap(), path)
}

/// The route called in order, with the example as its body and credentials as it needs.
pub fn in_order(alice: &Account<'_>, route: &Route) -> RequestBuilder {
    let request = ask(alice.app, route.method, route.path);
    let request = match &route.operation.request {
        Some(body) => request.header("content-type", body.content_type).body(body.example),
        None => request,
    };
    match route.path {
        "/login" => request.basic_auth(&alice.email, Some(&alice.password)),
        _ if PUBLIC.contains(&route.path) => request,
        _ => request.bearer_auth(&alice.token),
    }
}

/// Answers of many kinds: every route called in order, without credentials, without a body, with a
/// token in the query, by other methods; and paths that are no routes.
async fn answers(app: &TestApp) -> Vec<(String, Answer)> {
    let alice = app.account("alice").await;
    let mut requests = Vec::new();
    for route in routes() {
        let name = |how: &str| format!("{} {} {how}", route.method, route.path);
        requests.push((name("in order"), in_order(&alice, &route)));
        requests.push((name("bare"), ask(app, route.method, route.path)));
        requests.push((
            name("with a token in the query"),
            ask(app, route.method, &format!("{}?token=x", route.path)),
        ));
        requests.push((name("by PATCH"), ask(app, "PATCH", route.path)));
        requests.push((name("by OPTIONS"), ask(app, "OPTIONS", route.path)));
        requests.push((name("by HEAD"), ask(app, "HEAD", route.path)));
        requests.push((name("known"), ask(app, route.method, route.path).header("if-none-match", "*")));
    }
    for path in ["/", "/nothing"] {
        requests.push((path.to_owned(), ask(app, "GET", path)));
    }
    let mut answers = Vec::new();
    for (what, request) in requests {
        answers.push((what, send(request).await));
    }
    answers
}

#[tokio::test]
async fn checklist_89_every_answer_carries_the_safe_headers() {
    let app = TestApp::start().await;
    let mut ids = HashSet::new();
    for (what, answer) in answers(&app).await {
        assert!(ids.insert(Uuid::parse_str(answer.header("x-request-id")).unwrap()), "{what}: a new id each");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{what}");
        assert_eq!(answer.header("referrer-policy"), "no-referrer", "{what}");
        let policy = answer.header("content-security-policy");
        assert!(
            policy.starts_with("default-src 'none';") && policy.contains("frame-ancestors 'none'"),
            "{what}: {policy}"
        );
        for telling in ["server", "x-powered-by", "via", "set-cookie", "location"] {
            let sign_up = telling == "location" && answer.status == 201;
            assert!(sign_up || answer.headers.get(telling).is_none(), "{what}: {telling}");
        }
        let problem = answer.status >= 400;
        assert_eq!(answer.header("content-type") == "application/problem+json", problem, "{what}");
        assert!(answer.status < 500, "{what}: {}", answer.text());
    }
}

#[tokio::test]
async fn checklist_18_and_89_only_public_answers_may_be_kept() {
    let app = TestApp::start().await;
    for (what, answer) in answers(&app).await {
        let public = PUBLIC.iter().any(|path| what.split(' ').nth(1) == Some(path)) && answer.status < 400;
        let (cache, tag) = (answer.header("cache-control"), answer.header("etag"));
        assert_eq!(cache == "no-store", !public, "{what}: {cache}");
        assert_eq!(cache.starts_with("public, max-age="), public, "{what}: {cache}");
        assert_eq!(tag.starts_with('"') && tag.ends_with('"') && tag.len() > 20, public, "{what}: {tag}");
    }
}

#[tokio::test]
async fn checklist_56_public_answers_are_not_sent_twice() {
    let app = TestApp::start().await;
    let mut tags = BTreeSet::new();
    for path in PUBLIC {
        let first = app.anonymous().get(path).await;
        let tag = first.header("etag");
        assert!(first.status == 200 && tags.insert(tag.to_owned()), "{path}: {tag}");
        let known = [tag.to_owned(), format!("W/{tag}"), format!("\"other\", {tag}"), "*".to_owned()];
        for known in &known {
            let again = send(ask(&app, "GET", path).header("if-none-match", known)).await;
            assert_eq!((again.status, again.body.len()), (304, 0), "{path} {known}");
            for name in ["etag", "cache-control"] {
                assert_eq!(again.header(name), first.header(name), "{path}");
            }
        }
        for other in ["", "\"\"", "\"other\"", tag.trim_matches('"'), &format!("{}x", &tag[..tag.len() - 1])]
        {
            let again = send(ask(&app, "GET", path).header("if-none-match", other)).await;
            assert_eq!((again.status, &again.body), (200, &first.body), "{path} {other}");
        }
    }
}

#[tokio::test]
async fn other_paths_are_not_found() {
    let app = TestApp::start().await;
    let paths = [
        "/",
        "/nothing",
        "/User",
        "/USER",
        "/user/",
        "/user/profile/",
        "/user/profile/x",
        "/login/",
        "//login",
        "/jwks.json",
        "/.well-known/",
        "/docs/",
        "/docs/x.css",
        "/docs%2fstyle.css",
        "/%75ser%00",
        "/metrics",
        "/debug",
        "/admin",
        "/.env",
        "/.git/config",
        "/index.html",
        "/favicon.ico",
        "/%F0%9F%99%82",
        "/%ff",
    ];
    for path in paths {
        for method in ["GET", "POST", "DELETE"] {
            let answer = send(ask(&app, method, path)).await;
            assert_eq!(answer.status, 404, "{method} {path}");
            answer.problem(404, "not-found");
        }
    }
    // What a client would tidy up before it sends it.
    for target in
        ["/docs/../user/profile", "/docs/..%2f..%2fetc/passwd", "/..", "/./user/profile", "/user;x/profile"]
    {
        let said =
            exchange(&app.url, format!("GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"))
                .await;
        assert!(said.starts_with("HTTP/1.1 404 "), "{target}: {said}");
    }
}

/// The methods of each path in the table; what answers to GET answers to HEAD.
fn methods() -> BTreeMap<&'static str, BTreeSet<&'static str>> {
    let mut methods: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for route in routes() {
        let head = (route.method == "GET").then_some("HEAD");
        methods.entry(route.path).or_default().extend([route.method].into_iter().chain(head));
    }
    methods
}

#[tokio::test]
async fn checklist_89_other_methods_are_refused() {
    const METHODS: [&str; 13] = [
        "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "BREW", "get",
        "Post", "PRI",
    ];
    let app = TestApp::start().await;
    for (path, allowed) in methods() {
        for method in METHODS.into_iter().filter(|method| !allowed.contains(method)) {
            let answer = send(ask(&app, method, path)).await;
            assert_eq!(answer.status, 405, "{method} {path}");
            let listed: BTreeSet<&str> = answer.header("allow").split(',').map(str::trim).collect();
            assert_eq!(listed, allowed, "{method} {path}");
            if method != "HEAD" {
                answer.problem(405, "method-not-allowed");
            }
        }
    }
    for target in ["example.org:443", "/user/profile", "*"] {
        let said =
            exchange(&app.url, format!("CONNECT {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"))
                .await;
        assert!(said.is_empty() || said.starts_with("HTTP/1.1 4"), "{target}: {said}");
    }
    let said = exchange(&app.url, "OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    assert!(said.starts_with("HTTP/1.1 4"), "{said}");
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let app = TestApp::start().await;
    let alice = app.account("alice").await;
    for route in routes().iter().filter(|route| route.method == "GET") {
        let get = send(in_order(&alice, route)).await;
        let head =
            ask(&app, "HEAD", route.path).headers(in_order(&alice, route).build().unwrap().headers().clone());
        let head = send(head).await;
        assert_eq!((head.status, head.body.len()), (get.status, 0), "{}", route.path);
        for name in ["content-type", "content-length", "cache-control", "etag", "content-security-policy"] {
            // Two tokens of one account may differ in length.
            if (route.path, name) != ("/login", "content-length") {
                assert_eq!(head.header(name), get.header(name), "{} {name}", route.path);
            }
        }
        // A client never looks for a body after HEAD; here nothing may come, of a problem neither.
        let request = format!("HEAD {} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", route.path);
        let said = exchange(&app.url, request).await;
        assert!(said.ends_with("\r\n\r\n") && said.matches("\r\n\r\n").count() == 1, "{said}");
    }
}

#[tokio::test]
async fn checklist_16_and_79_nothing_is_taken_from_the_callers_headers() {
    let app = TestApp::start().await;
    let alice = app.account("alice").await;
    let forged = "0199aaaa-0000-7000-8000-000000000000";
    for route in routes().iter().filter(|route| route.path != "/user") {
        let plain = send(in_order(&alice, route)).await;
        let request = FORWARDED
            .iter()
            .fold(in_order(&alice, route), |request, (name, value)| request.header(*name, *value));
        let spoofed = send(request.header("host", "evil.example").header("x-request-id", forged)).await;
        assert_eq!(spoofed.status, plain.status, "{}", route.path);
        assert_ne!(spoofed.header("x-request-id"), forged);
        assert!(
            !spoofed.text().contains("evil.example") && !format!("{:?}", spoofed.headers).contains("evil")
        );
        if route.path == "/login" && plain.status == 200 {
            let claims = |answer: &Answer| {
                let token = answer.json()["token"].as_str().unwrap().split('.').nth(1).unwrap().to_owned();
                let claims = claviger_crypto::from_base64url(&token).unwrap();
                let mut claims: serde_json::Value = serde_json::from_slice(&claims).unwrap();
                claims["jti"] = json!(null);
                claims
            };
            assert_eq!(claims(&spoofed), claims(&plain), "the issuer is the configured one");
        } else if plain.status < 400 {
            assert_eq!(spoofed.body, plain.body, "{}", route.path);
        }
    }
}

#[tokio::test]
async fn checklist_18_the_login_by_get_can_be_switched_off() {
    let app = TestApp::with(&[("get_login", "false")]).await;
    let alice = app.account("alice").await;
    let answer = alice.by_password().get("/login").await;
    answer.problem(405, "method-not-allowed");
    assert_eq!(answer.header("allow"), "POST");
    assert_eq!(
        send(ask(&app, "HEAD", "/login").basic_auth(&alice.email, Some(&alice.password))).await.status,
        405
    );
}
