//! Bodies that no well-behaved client sends: each is refused by a problem document, fast, and without
//! effect.

use crate::harness::{Answer, Caller as _, TestApp, assert_problem, exchange, quick, statuses};
use proptest::prelude::*;
use reqwest::{Body, Method};
use serde_json::json;

/// The routes that take a body, with the fields that each reads.
pub const ROUTES: [(&str, &[&str]); 2] =
    [("/user", &["email", "name", "password"]), ("/login", &["email", "password"])];

/// A sign-up that is in order.
pub const BOB: [(&str, &str); 3] =
    [("email", "bob@example.org"), ("name", "Bob"), ("password", "correct horse battery")];

/// The largest body.
const LIMIT: usize = 64 * 1024;

/// Bob's sign-up, but `field` has the JSON text `json`, be it valid or not.
pub fn bob_with(field: &str, json: &str) -> String {
    let member = |(name, good)| {
        if name == field { format!("\"{name}\":{json}") } else { format!("\"{name}\":\"{good}\"") }
    };
    format!("{{{}}}", BOB.map(member).join(","))
}

pub fn bob() -> String {
    bob_with("", "")
}

/// Bob's sign-up and more members after it.
pub fn bob_and(members: &str) -> String {
    format!("{},{members}}}", bob().trim_end_matches('}'))
}

pub async fn post(app: &TestApp, path: &str, body: impl Into<Body>) -> Answer {
    let request = app.anonymous().request(Method::POST, path).header("content-type", "application/json");
    quick(request.body(body)).await
}

/// Bob can still sign up: what came before made no account and did no harm.
pub async fn assert_no_effect(app: &TestApp) {
    assert_eq!(post(app, "/user", bob()).await.status, 201);
}

#[tokio::test]
async fn checklist_89_what_is_not_one_json_object_is_refused() {
    let app = TestApp::start().await;
    let bob = bob();
    let utf16: Vec<u8> = bob.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let with_name = |name: &[u8]| {
        [b"{\"email\":\"bob@example.org\",\"name\":\"", name, b"\",\"password\":\"long enough\"}"].concat()
    };
    let mut bodies: Vec<Vec<u8>> = vec![
        utf16,
        with_name(b"Zo\xeb"),
        with_name(b"\xc0\xaf"),
        with_name(b"\xed\xa0\x80"),
        with_name(b"B\0b"),
        [b"\xef\xbb\xbf", bob.as_bytes()].concat(),
        [b"\0", bob.as_bytes()].concat(),
        [bob.as_bytes(), b"\0"].concat(),
        b"\xff\xfe\xfd".to_vec(),
    ];
    let texts = [
        "",
        " ",
        "\r\n",
        "{",
        "}",
        "{\"",
        "{\"email\"",
        "{\"email\":",
        "nul",
        "tru",
        "-",
        "\"",
        "[]",
        "[{}]",
        "\"text\"",
        "1",
        "-1.5",
        "true",
        "null",
        "1e400",
        "'x'",
        "<user/>",
        "email=bob@example.org&password=x",
        "{} {}",
        "{}{}",
        "{},",
        "{}x",
        "{'email':1}",
        "{email:1}",
    ];
    bodies.extend(texts.map(|text| text.as_bytes().to_vec()));
    bodies.extend((1..bob.len()).step_by(7).map(|end| bob.as_bytes()[..end].to_vec()));
    bodies.extend(["[{}]", "{}{}", "{} ,{}"].map(|form| form.replace("{}", &bob).into_bytes()));
    for body in bodies {
        for (path, _) in ROUTES {
            let what = format!("{path} {}", String::from_utf8_lossy(&body));
            assert_problem(&post(&app, path, body.clone()).await, 400, "malformed-json", &what);
        }
    }
    assert_no_effect(&app).await;
}

#[tokio::test]
async fn checklist_89_a_fault_in_any_member_spoils_the_body() {
    let app = TestApp::start().await;
    let deep =
        |open: &str, close: &str, depth| format!("\"x\":{}1{}", open.repeat(depth), close.repeat(depth));
    let mut bodies = vec![
        bob_and(&deep("[", "]", 200)),
        bob_and(&deep("[", "]", 30_000)),
        bob_and(&deep("{\"y\":", "}", 200)),
        bob_and(&format!("\"x\":{}", "[".repeat(60_000))),
    ];
    let extra = [
        // A name that stands twice.
        r#""email":"eve@example.org""#,
        r#""\u0065mail":"eve@example.org""#,
        r#""x":1,"x":1"#,
        r#""x":{"y":1,"y":2}"#,
        r#""x":[[{"y":1,"z":2,"y":1}]]"#,
        r#""x":{"email":1,"email":2}"#,
        // Half a surrogate pair, control characters, broken escapes.
        r#""x":"\ud800""#,
        r#""x":"\udc00\ud800""#,
        r#""\udfff":1"#,
        "\"x\":\"\0\"",
        "\"x\":\"a\nb\"",
        "\"x\":\"\u{1f}\"",
        "\"\t\":1",
        r#""x":"\x41""#,
        r#""x":"\u00""#,
        r#""x":"\u{41}""#,
        // Numbers that are none, or too great.
        r#""x":1e400"#,
        r#""x":-1e400"#,
        r#""x":[{"y":1E+999}]"#,
        r#""x":01"#,
        r#""x":+1"#,
        r#""x":.5"#,
        r#""x":1."#,
        r#""x":0x10"#,
        r#""x":NaN"#,
        r#""x":-Infinity"#,
        // Not JSON, though some readers take it.
        r#""x":'y'"#,
        r#""x":1,"#,
        r#""x":/**/1"#,
        r#""x":undefined"#,
        r#""x":,"y":1"#,
        r#"x:1"#,
        r#""x""#,
    ];
    bodies.extend(extra.map(bob_and));
    for field in BOB.map(|(name, _)| name) {
        let values = [r#""\ud83d""#, r#""\udc00\ud800""#, "\"a\0b\"", "\"a\u{1}b\"", "\"a\nb\"", r#""\u00""#];
        bodies.extend(values.map(|value| bob_with(field, value)));
    }
    for body in bodies {
        for (path, _) in ROUTES {
            let what = format!("{path} {body}");
            assert_problem(&post(&app, path, body.clone()).await, 400, "malformed-json", &what);
        }
    }
    assert_no_effect(&app).await;
}

/// A request to `path` whose body comes in chunks.
fn chunked(path: &str, body: &str) -> String {
    let chunks = body
        .as_bytes()
        .chunks(5000)
        .map(|chunk| format!("{:x}\r\n{}\r\n", chunk.len(), str::from_utf8(chunk).unwrap()));
    let chunks: String = chunks.collect();
    let head = "Host: x\r\nConnection: close\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked";
    format!("POST {path} HTTP/1.1\r\n{head}\r\n\r\n{chunks}0\r\n\r\n")
}

#[tokio::test]
async fn checklist_89_a_body_may_have_64_kb_and_no_more() {
    let app = TestApp::start().await;
    let of_size =
        |size: usize| bob_and(&format!("\"x\":\"{}\"", "y".repeat(size - bob_and("\"x\":\"\"").len())));
    let (most, over) = (of_size(LIMIT), of_size(LIMIT + 1));
    assert_eq!((most.len(), over.len()), (LIMIT, LIMIT + 1));
    for (path, _) in ROUTES {
        assert_problem(&post(&app, path, over.clone()).await, 413, "body-too-large", path);
        assert_eq!(statuses(&exchange(&app.url, chunked(path, &over)).await), [413], "{path} in chunks");
        // Refused by what is announced, before anything is read or `100 Continue` is said.
        for expect in ["", "Expect: 100-continue\r\n"] {
            let head =
                format!("POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{expect}");
            let said = exchange(&app.url, format!("{head}Content-Length: {}\r\n\r\n", LIMIT + 1)).await;
            assert_eq!(statuses(&said), [413], "{path} {expect}");
        }
    }
    assert_eq!(statuses(&exchange(&app.url, chunked("/user", &most)).await), [201], "in chunks");
    assert_eq!(statuses(&exchange(&app.url, chunked("/login", &most)).await), [200], "in chunks");
    assert_eq!(post(&app, "/login", most.clone()).await.status, 200);
    post(&app, "/user", most).await.problem(409, "email-taken");
}

#[tokio::test]
async fn the_body_must_be_declared_as_json() {
    let app = TestApp::start().await;
    let wrong: &[&[&str]] = &[
        &[],
        &[""],
        &["text/plain"],
        &["text/json"],
        &["application/x-www-form-urlencoded"],
        &["multipart/form-data; boundary=x"],
        &["application/jsonx"],
        &["application/problem+json"],
        &["xapplication/json"],
        &["application/json, text/plain"],
        &["text/plain; application/json"],
        &["application/json", "application/json"],
        &["application/json", "text/plain"],
        &["application"],
        &["application/ json"],
        &["*/*"],
    ];
    for (path, _) in ROUTES {
        for types in wrong {
            let request = app.anonymous().request(Method::POST, path).body(bob());
            let request = types.iter().fold(request, |request, value| request.header("content-type", *value));
            assert_problem(
                &quick(request).await,
                415,
                "unsupported-media-type",
                &format!("{path} {types:?}"),
            );
        }
    }
    assert_no_effect(&app).await;
    for value in
        ["application/json; charset=utf-8", "APPLICATION/JSON", "application/json ;charset=\"UTF-8\""]
    {
        assert_eq!(app.anonymous().post_raw("/login", value, bob()).await.status, 200, "{value}");
    }
}

#[tokio::test]
async fn a_body_where_none_belongs_changes_nothing() {
    let app = TestApp::start().await;
    let alice = app.account("alice").await;
    for path in ["/user/profile", "/jwks", "/login", "/.well-known/jwks.json", "/openapi.json", "/docs"] {
        let plain = alice.get(path).await;
        let request = alice.request(Method::GET, path).header("content-type", "application/json");
        let answer = quick(request.body("{\"email\":\"\\ud800")).await;
        assert_eq!(answer.status, plain.status, "{path}");
    }
}

#[test]
fn random_bodies_are_answered_and_never_by_a_server_error() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let app = runtime.block_on(TestApp::dev());
    let texts = (any::<String>(), any::<String>(), any::<String>());
    let config = ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        (local, name, password) in texts,
        (at, byte) in (any::<proptest::sample::Index>(), any::<u8>()),
    )| {
        let email = format!("{local}@example.org");
        let body = json!({"email": email, "name": name, "password": password}).to_string().into_bytes();
        let mut broken = body.clone();
        broken[at.index(body.len())] = byte;
        for body in [bytes, body, broken] {
            for (path, _) in ROUTES {
                let answer = runtime.block_on(post(&app, path, body.clone()));
                prop_assert!(answer.status < 500, "{path} {:?}: {}", String::from_utf8_lossy(&body), answer.text());
            }
        }
    });
}
