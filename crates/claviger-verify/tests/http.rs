//! The default client against servers that misbehave, the layers and the extractors in a real axum, and the example's
//! routes. Tokens are tried against a real Claviger in the workspace's tests/it/verify.rs.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use axum::routing::get;
use claviger_crypto::jws::{KeyKind, SigningKey};
use claviger_crypto::jwt::AccessToken;
use claviger_crypto::status::StatusClaim;
use claviger_verify::axum::Authenticated;
use claviger_verify::tower::{ScopeLayer, TokenLayer};
use claviger_verify::{Claims, Rejection, Verifier};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tower::ServiceExt as _;

const NOW: i64 = 1_795_435_200;

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(NOW.unsigned_abs())
}

/// A server that answers every connection with these bytes, after it has read a request, and counts them.
async fn canned(answer: impl Into<Vec<u8>>) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (url, answer) = (format!("http://{}", listener.local_addr().unwrap()), answer.into());
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = vec![0; 4096];
            let _ = stream.read(&mut request).await;
            count.fetch_add(1, Ordering::SeqCst);
            let _ = stream.write_all(&answer).await;
            let _ = stream.shutdown().await;
        }
    });
    (url, asked)
}

fn ok(headers: &str, body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n{headers}\r\n{body}", body.len())
}

fn jwk_set(key: &SigningKey) -> String {
    format!(r#"{{"keys":[{}]}}"#, serde_json::to_string(key.public()).unwrap())
}

fn token(key: &SigningKey, issuer: &str, scope: &str) -> String {
    let text = |text: &str| text.to_owned();
    let claims = AccessToken {
        iss: text(issuer),
        sub: text("alice"),
        aud: text(issuer),
        exp: NOW + 60,
        iat: NOW,
        nbf: None,
        jti: text("1"),
        client_id: text("claviger"),
        sid: text("2"),
        scope: text(scope),
        status: StatusClaim::new(0, format!("{issuer}/status/0")),
        public_id: text("alice"),
    };
    claims.sign(key).unwrap()
}

async fn why_not_ready(url: &str) -> String {
    Verifier::builder(url).build().unwrap().ready().await.unwrap_err().to_string()
}

#[tokio::test]
async fn a_set_over_http_is_read() {
    let key = SigningKey::generate(KeyKind::P256).unwrap();
    let (url, asked) = canned(ok("Cache-Control: max-age=300\r\n", &jwk_set(&key))).await;
    let verifier = Verifier::builder(&url).clock(now).check_status(false).build().unwrap();
    for _ in 0..10 {
        assert_eq!(verifier.verify(&token(&key, &url, "profile")).await.unwrap().scope(), "profile");
    }
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn no_redirect_is_followed() {
    let key = SigningKey::generate(KeyKind::P256).unwrap();
    let (elsewhere, asked) = canned(ok("", &jwk_set(&key))).await;
    for code in ["301 Moved Permanently", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"] {
        let answer = format!("HTTP/1.1 {code}\r\nLocation: {elsewhere}/\r\nContent-Length: 0\r\n\r\n");
        let (url, _) = canned(answer).await;
        let why = why_not_ready(&url).await;
        assert!(why.ends_with("the server sends us elsewhere; that is not followed"), "{why}");
    }
    assert_eq!(asked.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn an_endless_answer_is_cut_off() {
    let long = ok("", &" ".repeat(65 * 1024));
    assert!(why_not_ready(&canned(long).await.0).await.contains("length limit exceeded"));
    let mut endless = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for _ in 0..100 {
        endless.extend(b"1000\r\n");
        endless.extend([b' '; 0x1000]);
        endless.extend(b"\r\n");
    }
    assert!(why_not_ready(&canned(endless).await.0).await.contains("length limit exceeded"));
}

#[tokio::test]
async fn nonsense_is_told_as_such() {
    for (answer, wanted) in [
        (ok("", "<html>"), "it is no JSON"),
        (ok("", "{}"), "it is no JWK set"),
        (ok("", r#"{"keys":[]}"#), "no key in it can be used"),
        ("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".into(), "the server answers 404"),
        ("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n".into(), "the server answers 503"),
        ("HTTP/1.1 304 Not Modified\r\n\r\n".into(), "the server answers 304"),
        ("SSH-2.0-OpenSSH_9.2\r\n".into(), "invalid HTTP version parsed"),
        (String::new(), "connection closed before message completed"),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{".into(),
            "end of file before message length reached",
        ),
    ] {
        let why = why_not_ready(&canned(answer).await.0).await;
        assert!(why.ends_with(wanted), "{why}, and not {wanted}");
    }
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_left() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let verifier = Verifier::builder(url).time_limit(Duration::from_millis(50)).build().unwrap();
    assert_eq!(verifier.ready().await.unwrap_err().to_string(), "the keys cannot be had: it takes too long");
    drop(listener);
}

#[tokio::test]
async fn plain_http_is_no_https() {
    let (url, _) = canned(ok("", "{}")).await;
    let why = why_not_ready(&url.replace("http:", "https:")).await;
    assert!(why.starts_with("the keys cannot be had: received corrupt message"), "{why}");
}

async fn hello(Authenticated(claims): Authenticated) -> String {
    claims.subject().to_owned()
}

async fn scoped(Authenticated(claims): Authenticated) -> Result<&'static str, Rejection> {
    claims.require_scope("orders:write").map(|()| "written")
}

async fn layered(claims: Claims) -> String {
    claims.subject().to_owned()
}

fn app(verifier: Verifier) -> Router {
    let behind = Router::new()
        .route("/layered", get(layered))
        .layer(TokenLayer::new(verifier.clone()))
        .merge(
            Router::new()
                .route("/orders", get(layered))
                .layer(ScopeLayer::new("orders:write"))
                .layer(TokenLayer::new(verifier.clone())),
        )
        .route("/without-layer", get(layered))
        .merge(Router::new().route("/scope-alone", get(|| async {})).layer(ScopeLayer::new("a")));
    Router::new().route("/hello", get(hello)).route("/scoped", get(scoped)).merge(behind).with_state(verifier)
}

struct Said {
    status: StatusCode,
    challenge: String,
    body: String,
}

async fn ask(app: &Router, path: &str, authorization: &[&str]) -> Said {
    let mut request = Request::get(path);
    for value in authorization {
        request = request.header("authorization", *value);
    }
    let response = app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let challenge = response.headers().get("www-authenticate").map_or("", |value| value.to_str().unwrap());
    let (status, challenge) = (response.status(), challenge.to_owned());
    let body = axum::body::to_bytes(response.into_body(), 1000).await.unwrap();
    Said { status, challenge, body: String::from_utf8(body.to_vec()).unwrap() }
}

#[tokio::test]
async fn the_layers_and_the_extractors_let_in_whom_they_should() {
    let key = SigningKey::generate(KeyKind::Ed25519).unwrap();
    let (url, _) = canned(ok("", &jwk_set(&key))).await;
    let app = app(Verifier::builder(&url).clock(now).check_status(false).build().unwrap());
    let bearer = |scope: &str| format!("Bearer {}", token(&key, &url, scope));
    let (small, large) = (bearer("profile"), bearer("profile orders:write"));
    for path in ["/hello", "/layered"] {
        let said = ask(&app, path, &[&small]).await;
        assert_eq!((said.status.as_u16(), said.body.as_str()), (200, "alice"), "{path}");
    }
    for path in ["/scoped", "/orders"] {
        assert_eq!(ask(&app, path, &[&large]).await.status, 200, "{path}");
        let said = ask(&app, path, &[&small]).await;
        assert_eq!(said.status, 403, "{path}");
        let wanted = r#"Bearer realm="claviger", error="insufficient_scope", scope="orders:write""#;
        assert_eq!((said.challenge.as_str(), said.body.as_str()), (wanted, ""));
    }
    for path in ["/hello", "/layered", "/scoped", "/orders"] {
        let said = ask(&app, path, &[]).await;
        assert_eq!(
            (said.status.as_u16(), said.challenge.as_str()),
            (401, r#"Bearer realm="claviger""#),
            "{path}"
        );
        let said = ask(&app, path, &["Bearer a.b.c"]).await;
        let wanted = r#"Bearer realm="claviger", error="invalid_token""#;
        assert_eq!((said.status.as_u16(), said.challenge.as_str()), (401, wanted), "{path}");
        assert_eq!(ask(&app, path, &[&small, &small]).await.status, 400, "{path}");
        let in_query = format!("{path}?access_token={}", &small["Bearer ".len()..]);
        assert_eq!(ask(&app, &in_query, &[]).await.status, 401, "checklist 36: never in the query");
    }
    for path in ["/without-layer", "/scope-alone"] {
        assert_eq!(ask(&app, path, &[&large]).await.status, 401, "{path} fails closed");
    }
}

#[tokio::test]
async fn without_keys_the_answer_is_503_and_no_challenge() {
    let key = SigningKey::generate(KeyKind::Ed25519).unwrap();
    let (url, _) = canned("HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n").await;
    let app = app(Verifier::builder(&url).clock(now).build().unwrap());
    let bearer = format!("Bearer {}", token(&key, &url, "profile"));
    for path in ["/hello", "/layered"] {
        let said = ask(&app, path, &[&bearer]).await;
        assert_eq!((said.status.as_u16(), said.challenge.as_str()), (503, ""), "{path}");
        assert_eq!(ask(&app, path, &[]).await.status, 401, "nobody has to be asked");
    }
}
