//! Credentials that cannot be read, are ambiguous, or stand where they must not.

use crate::harness::{Account, Caller as _, TestApp, assert_problem, exchange, quick, routes, statuses};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Method, RequestBuilder};
use serde_json::json;

/// Where a token may stand.
const TOKEN_HEADERS: [&str; 3] = ["authorization", "x-access-token", "token"];

/// A request to one of the routes, with a body where the route reads one.
fn to_route(app: &TestApp, route: &claviger::routes::Route, query: &str) -> RequestBuilder {
    let method = Method::from_bytes(route.method.as_bytes()).unwrap();
    let request = app.anonymous().request(method, &format!("{}{query}", route.path));
    match &route.operation.request {
        Some(body) => request.header("content-type", body.content_type).body(body.example),
        None => request,
    }
}

fn basic(text: impl AsRef<[u8]>) -> Vec<u8> {
    format!("Basic {}", STANDARD.encode(text)).into_bytes()
}

#[tokio::test]
async fn checklist_20_basic_that_cannot_be_read_is_refused() {
    let app = TestApp::start().await;
    let malformed = [
        b"Basic".to_vec(),
        b"Basic *".to_vec(),
        b"Basic =".to_vec(),
        b"Basic YQ".to_vec(),
        b"Basic YTo=YTo=".to_vec(),
        b"Basic YTpi YTpi".to_vec(),
        b"Basic YTp-_w==".to_vec(),
        b"Basic \xc3\xa9".to_vec(),
        b"Basic a:b".to_vec(),
        b"basic YTpi%".to_vec(),
        basic("no colon"),
        basic(""),
        basic("a\0:b"),
        basic("a:b\0"),
        basic("a:b\r\nX: y"),
        basic("a:\u{7f}"),
        basic(b"zo\xeb:latin one"),
        basic(b"\xff\xfe:"),
        basic(b"\xed\xa0\x80:surrogate"),
    ];
    let missing = [&b""[..], b"Bearer x", b"Digest username=\"a\"", b"Negotiate x", b"YTpi", b"BasicYTpi"];
    let wrong =
        [basic(":"), basic("a:"), basic(":b"), basic("a:b:c"), basic("alice@example.org:wrong password")];
    let cases = malformed.iter().map(|value| (value.as_slice(), 400, "malformed-credentials"));
    let cases = cases.chain(missing.iter().map(|value| (*value, 401, "credentials-required")));
    let cases = cases.chain(wrong.iter().map(|value| (value.as_slice(), 401, "wrong-credentials")));
    for (value, status, kind) in cases {
        let request = app.anonymous().request(Method::GET, "/login");
        let answer = quick(request.header("authorization", HeaderValue::from_bytes(value).unwrap())).await;
        assert_problem(&answer, status, kind, &String::from_utf8_lossy(value));
        let challenge = if status == 401 { "Basic realm=\"claviger\", charset=\"UTF-8\"" } else { "" };
        assert_eq!(answer.header("www-authenticate"), challenge);
    }
    let long = basic(format!("alice@example.org:{}", "x".repeat(1025)));
    let request = app.anonymous().request(Method::GET, "/login");
    quick(request.header("authorization", long)).await.problem(422, "invalid-fields");
}

#[tokio::test]
async fn checklist_20_basic_carries_any_script() {
    let app = TestApp::start().await;
    let (email, name, password) = ("zoë@bücher.example", "Zoë Ünal 山田", "длинный: пароль 🙂");
    let made =
        app.anonymous().post("/user", &json!({"email": email, "name": name, "password": password})).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let typed = ["zoë@bücher.example", "ZOË@xn--bcher-kva.example", "zoe\u{308}@bu\u{308}cher.example", name];
    for username in typed {
        let request = app.anonymous().request(Method::GET, "/login");
        let answer = quick(request.basic_auth(username, Some(password))).await;
        assert_eq!(answer.status, 200, "{username}: {}", answer.text());
    }
}

#[tokio::test]
async fn checklist_37_one_authorization_header_and_no_more() {
    let app = TestApp::start().await;
    let alice = app.account("alice").await;
    let (bearer, password) =
        (format!("Bearer {}", alice.token), basic("alice@example.org:alice likes long walks"));
    let password = String::from_utf8(password).unwrap();
    let pairs = [[&bearer, &bearer], [&password, &password], [&bearer, &password], [&password, &bearer]];
    for route in routes() {
        for [one, other] in pairs {
            let request =
                to_route(&app, &route, "").header("authorization", one).header("authorization", other);
            let answer = quick(request).await;
            assert_problem(&answer, 400, "malformed-credentials", &format!("{} {one} {other}", route.path));
        }
    }
    for scheme in ["Bearer", "bearer", "BEARER", "bEaReR"] {
        let request = app.anonymous().request(Method::GET, "/user/profile");
        let answer = quick(request.header("authorization", format!("{scheme} {}", alice.token))).await;
        assert_eq!(answer.status, 200, "{scheme}");
    }
}

#[tokio::test]
async fn checklist_37_one_token_header_and_no_more() {
    let app = TestApp::start().await;
    let alice = app.account("alice").await;
    let sign = |request: RequestBuilder, header: &'static str| match header {
        "authorization" => request.bearer_auth(&alice.token),
        name => request.header(name, &alice.token),
    };
    for path in ["/user/profile", "/jwks"] {
        for one in TOKEN_HEADERS {
            assert_eq!(alice.by_token(one).get(path).await.status, 200, "{path} {one}");
            for other in TOKEN_HEADERS {
                let request = sign(sign(app.anonymous().request(Method::GET, path), one), other);
                let answer = quick(request).await;
                assert_problem(&answer, 400, "malformed-credentials", &format!("{path} {one} {other}"));
            }
            let request = sign(app.anonymous().request(Method::GET, path), one);
            let other = if one == "token" { "x-access-token" } else { "token" };
            let answer = quick(request.header(other, HeaderValue::from_bytes(b"\xff").unwrap())).await;
            assert_problem(
                &answer,
                400,
                "malformed-credentials",
                &format!("{path} {one} and bytes in {other}"),
            );
        }
    }
}

#[tokio::test]
async fn checklist_36_no_secret_in_the_query() {
    let app = TestApp::start().await;
    let alice = app.account("alice").await;
    let names = [
        "access_token",
        "access%5Ftoken",
        "%74oken",
        "Access_Token",
        "ACCESS_TOKEN",
        "token",
        "TOKEN",
        "Token",
        "x-access-token",
        "X-Access-Token",
        "refresh_token",
        "password",
        "current_password",
        "New_Password",
        "client%5Fsecret",
    ];
    let token = alice.token.as_str();
    let mut queries: Vec<String> = names.iter().map(|name| format!("?{name}={token}")).collect();
    queries.extend(
        ["?token", "?token=", "?&token=x", "?a=b&token=x", "?token=a&token=b", "?a?&TOKEN=x#y"]
            .map(str::to_owned),
    );
    for route in routes() {
        for query in &queries {
            let answer = quick(to_route(&app, &route, query)).await;
            assert_problem(&answer, 400, "token-in-query", &format!("{} {query}", route.path));
            assert!(!answer.text().contains(token));
        }
        // Not beside credentials either.
        let answer = quick(to_route(&app, &route, "?access_token=x").bearer_auth(token)).await;
        assert_problem(&answer, 400, "token-in-query", route.path);
        let answer = quick(to_route(&app, &route, "?mytoken=x&tokens=y&page=token")).await;
        let refused = answer.status == 400 && answer.text().contains("token-in-query");
        assert!(!refused, "{}: other parameters are ignored", route.path);
    }
}

#[tokio::test]
async fn a_token_anywhere_else_is_no_token() {
    let app = TestApp::start().await;
    let alice = app.account("alice").await;
    let token = alice.token.as_str();
    let elsewhere = [
        ("cookie", format!("token={token}; access_token={token}")),
        ("proxy-authorization", format!("Bearer {token}")),
        ("x-token", token.to_owned()),
        ("x-auth-token", token.to_owned()),
        ("authorization", format!("Token {token}")),
        ("authorization", format!("JWT {token}")),
        ("authorization", token.to_owned()),
        ("authorization", String::from_utf8(basic(format!("{token}:"))).unwrap()),
    ];
    for path in ["/user/profile", "/jwks", &format!("/user/profile?t={token}")] {
        for (name, value) in &elsewhere {
            let answer = quick(app.anonymous().request(Method::GET, path).header(*name, value)).await;
            assert_problem(&answer, 401, "credentials-required", &format!("{path} {name}: {value}"));
            assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"claviger\"");
        }
    }
    let form = format!("access_token={token}");
    let head = "GET /user/profile HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded";
    let said = exchange(&app.url, format!("{head}\r\nContent-Length: {}\r\n\r\n{form}", form.len())).await;
    assert_eq!(statuses(&said), [401], "RFC 6750 §2.2 is not offered");
}

/// Header values that a client can send at all.
fn value() -> impl Strategy<Value = HeaderValue> {
    let byte = prop_oneof![0x20..0x7fu8, 0x80..=0xffu8, Just(b'\t')];
    proptest::collection::vec(byte, 0..120).prop_map(|bytes| HeaderValue::from_bytes(&bytes).unwrap())
}

/// The same behind a scheme that the server reads.
fn credentials() -> impl Strategy<Value = HeaderValue> {
    let bytes = proptest::collection::vec(any::<u8>(), 0..60);
    let of = |text: Vec<u8>| HeaderValue::from_bytes(&text).unwrap();
    prop_oneof![
        value(),
        bytes.prop_map(move |bytes| of(basic(bytes))),
        "[A-Za-z0-9_=.-]{0,60}".prop_map(move |text| of(format!("Bearer {text}").into_bytes())),
        ".{0,10}:.{0,10}".prop_map(move |text| of(basic(text))),
    ]
}

/// Sends these headers to a route; the status.
async fn status(
    alice: &Account<'_>,
    method: &str,
    path: &str,
    headers: &[(&'static str, HeaderValue)],
) -> u16 {
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    let request = alice.app.anonymous().request(method, path);
    let add = |request: RequestBuilder, (name, value): &(&'static str, HeaderValue)| {
        request.header(HeaderName::from_static(name), value)
    };
    quick(headers.iter().fold(request, add)).await.status
}

#[test]
fn random_headers_are_answered_and_never_by_a_server_error() {
    const NAMES: &[&str] = &[
        "authorization",
        "x-access-token",
        "token",
        "content-type",
        "if-none-match",
        "origin",
        "accept",
        "x-request-id",
        "x-forwarded-for",
        "forwarded",
        "cookie",
        "access-control-request-method",
        "range",
    ];
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let app =
        runtime.block_on(TestApp::with(&[("dev", "true"), ("cors_origins", "https://app.example.org")]));
    let alice = runtime.block_on(app.account("alice"));
    let header = (proptest::sample::select(NAMES), value());
    let config = ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() };
    let routes = routes();
    proptest!(config, |(
        some in proptest::collection::vec(header, 0..6),
        credentials in credentials(),
        at in any::<proptest::sample::Index>(),
        query in "[a-z%0-9=&+;]{0,30}",
    )| {
        let route = at.get(&routes);
        let headers: Vec<_> = some.into_iter().chain([("authorization", credentials)]).collect();
        let path = format!("{}?{query}", route.path);
        let got = runtime.block_on(status(&alice, route.method, &path, &headers));
        prop_assert!(got < 500, "{got}: {} {path} {headers:?}", route.method);
    });
}
