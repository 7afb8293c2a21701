//! What holds for every answer of every route: headers, methods and caching.

use crate::harness::{
    Answer, Caller as _, TestApp, count, database, decode, exchange, in_order, path, routes, send,
};
use reqwest::{Method, RequestBuilder};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use uuid::Uuid;

/// Routes whose answers hold nothing of anyone's.
const PUBLIC: [&str; 5] =
    ["/.well-known/jwks.json", "/openapi.json", "/docs", "/docs/style.css", "/status/0"];

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

/// An answer, what was asked, and whether the route speaks OAuth.
struct Answered {
    what: String,
    oauth: bool,
    answer: Answer,
}

/// Answers of many kinds: every route called in order, without credentials, without a body, with a
/// token in the query, by other methods; and paths that are no routes.
async fn answers(app: &TestApp) -> Vec<Answered> {
    let mut requests = Vec::new();
    for (number, route) in routes().iter().enumerate() {
        let alice = app.account(&format!("alice{number}")).await;
        let (path, oauth) = (path(&alice, route), route.operation.speaks_oauth(route.access));
        let bare = |method: &str| ask(app, method, &path);
        let kinds = [
            ("bare", bare(route.method)),
            ("with a token in the query", ask(app, route.method, &format!("{path}?token=x"))),
            ("by PATCH", bare("PATCH")),
            ("by OPTIONS", bare("OPTIONS")),
            ("by HEAD", bare("HEAD")),
            ("known", bare(route.method).header("if-none-match", "*")),
            ("by a wrong token", bare(route.method).bearer_auth("x")),
            ("in order", in_order(&alice, route).await),
            ("once more", in_order(&alice, route).await),
        ];
        requests
            .extend(kinds.map(|(how, request)| (format!("{} {path} {how}", route.method), oauth, request)));
    }
    for path in ["/", "/nothing"] {
        requests.push((format!("GET {path}"), false, ask(app, "GET", path)));
    }
    let mut answers = Vec::new();
    for (what, oauth, request) in requests {
        answers.push(Answered { what, oauth, answer: send(request).await });
    }
    answers
}

#[tokio::test]
async fn checklist_89_every_answer_carries_the_safe_headers() {
    let app = TestApp::start().await;
    let mut ids = HashSet::new();
    for Answered { what, oauth, answer } in answers(&app).await {
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
        let content_type = answer.header("content-type");
        // What is refused before a route is reached is a problem document everywhere.
        if answer.status >= 400 && oauth && content_type == "application/json" {
            answer.oauth_error(answer.status, answer.json()["error"].as_str().unwrap());
        } else {
            assert_eq!(content_type == "application/problem+json", answer.status >= 400, "{what}");
        }
        assert!(answer.status < 500, "{what}: {}", answer.text());
    }
}

#[tokio::test]
async fn checklist_18_and_89_only_public_answers_may_be_kept() {
    let app = TestApp::start().await;
    for Answered { what, answer, .. } in answers(&app).await {
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
        let path = path(&alice, route);
        let get = send(in_order(&alice, route).await).await;
        let headers = in_order(&alice, route).await.build().unwrap().headers().clone();
        let sessions = count(&database(app.data_dir()), "sessions");
        let head = send(ask(&app, "HEAD", &path).headers(headers)).await;
        if route.path == "/login" {
            // It would open a session and throw its tokens away.
            assert_eq!((head.status, head.body.len(), head.header("allow")), (405, 0, "GET,POST"));
            assert_eq!(count(&database(app.data_dir()), "sessions"), sessions);
        } else {
            assert_eq!((head.status, head.body.len()), (get.status, 0), "{}", route.path);
            for name in ["content-type", "content-length", "cache-control", "etag", "content-security-policy"]
            {
                assert_eq!(head.header(name), get.header(name), "{} {name}", route.path);
            }
        }
        // A client never looks for a body after HEAD; here nothing may come, of a problem neither.
        let request = format!("HEAD {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        let said = exchange(&app.url, request).await;
        assert!(said.ends_with("\r\n\r\n") && said.matches("\r\n\r\n").count() == 1, "{said}");
    }
}

#[tokio::test]
async fn checklist_16_and_79_nothing_is_taken_from_the_callers_headers() {
    let app = TestApp::start().await;
    let alice = app.account("alice").await;
    let forged = "0199aaaa-0000-7000-8000-000000000000";
    for (number, route) in routes().iter().enumerate() {
        // What has an effect is asked by two people of whom only that differs which must.
        let (ann, bob) =
            (app.account(&format!("ann{number}")).await, app.account(&format!("bob{number}")).await);
        let (plain, other) = if route.method == "GET" { (&alice, &alice) } else { (&ann, &bob) };
        let plain = send(in_order(plain, route).await).await;
        assert!(plain.status < 300, "{}: {}", route.path, plain.text());
        let request = in_order(other, route).await;
        let request = FORWARDED.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let spoofed = send(request.header("host", "evil.example").header("x-request-id", forged)).await;
        assert_eq!(spoofed.status, plain.status, "{}", route.path);
        assert_ne!(spoofed.header("x-request-id"), forged);
        assert!(
            !spoofed.text().contains("evil.example") && !format!("{:?}", spoofed.headers).contains("evil")
        );
        if ["/login", "/token"].contains(&route.path) {
            assert_eq!(common_claims(&spoofed), common_claims(&plain), "the issuer is the configured one");
        } else if route.method == "GET" {
            assert_eq!(spoofed.body, plain.body, "{}", route.path);
        }
    }
}

/// What two tokens of one moment say alike, whoever has them.
fn common_claims(answer: &Answer) -> Value {
    let said = answer.json();
    let token = said.get("token").or(said.get("access_token")).unwrap();
    let (_, mut claims) = decode(token.as_str().unwrap());
    for own in ["/jti", "/sid", "/sub", "/public_id", "/status/status_list/idx"] {
        let own = claims.pointer_mut(own).unwrap();
        assert!(!own.is_null());
        own.take();
    }
    claims
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
