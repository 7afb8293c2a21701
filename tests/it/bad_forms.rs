//! Forms that no well-behaved client sends to the routes that speak OAuth: each is refused in OAuth's
//! form, fast, and without effect.

use crate::harness::{Account, Answer, ByApiKey, Caller as _, TestApp, exchange, quick, statuses};
use claviger::api_keys::KeyScope;
use proptest::prelude::*;
use reqwest::Method;
use serde_json::json;

const PATHS: [&str; 3] = ["/token", "/revoke", "/introspect"];
const FORM: &str = "application/x-www-form-urlencoded";

/// A form that would work.
fn good(ann: &Account<'_>, path: &str) -> String {
    match path {
        "/token" => format!("grant_type=refresh_token&refresh_token={}", ann.refresh_token),
        _ => format!("token={}", ann.refresh_token),
    }
}

async fn post(service: &ByApiKey<'_>, path: &str, content_type: &str, body: impl Into<Vec<u8>>) -> Answer {
    let request = service.request(Method::POST, path).header("content-type", content_type);
    quick(request.body(body.into())).await
}

/// The session goes on.
async fn assert_no_effect(ann: &Account<'_>) {
    assert_eq!(ann.get("/user/profile").await.status, 200);
    assert_eq!(ann.refresh().await.status, 200);
}

#[tokio::test]
async fn checklist_67_a_form_that_can_be_read_in_two_ways_is_refused() {
    let app = TestApp::start().await;
    let (ann, service) = (app.account("ann").await, app.service(&KeyScope::ALL).await);
    for path in PATHS {
        let good = good(&ann, path);
        let (first, _) = good.split_once('&').unwrap_or((&good, ""));
        let mut bodies: Vec<Vec<u8>> = [
            format!("{good}&{first}"),
            format!("{first}&{good}"),
            format!("{good}&token_type_hint=a&token_type_hint=b"),
            format!("{good}&{}", first.replacen('o', "%6F", 1)),
            format!("{good}&x=%"),
            format!("{good}&x=%4"),
            format!("{good}&x=%zz"),
            format!("{good}&x=%ff"),
            format!("{good}&x=%ed%a0%80"),
            format!("{good}&=x"),
            format!("{good}&a%00b=x"),
            format!("{good}&a%0Ab=x"),
            String::new(),
            "&&&".to_owned(),
            json!({"token": ann.refresh_token}).to_string(),
        ]
        .map(String::into_bytes)
        .into();
        bodies.push([good.as_bytes(), b"&x=\xff"].concat());
        bodies.push([b"\xef\xbb\xbf", good.as_bytes()].concat());
        for body in bodies {
            let what = String::from_utf8_lossy(&body).into_owned();
            let answer = post(&service, path, FORM, body).await;
            assert_eq!(answer.status, 400, "{path} {what}: {}", answer.text());
            answer.oauth_error(400, "invalid_request");
            assert!(!answer.text().contains(&ann.refresh_token[8..]), "{path}: nothing is repeated");
        }
    }
    assert_no_effect(&ann).await;
}

#[tokio::test]
async fn checklist_89_forms_have_their_type_and_64_kb_at_most() {
    let app = TestApp::start().await;
    let (ann, service) = (app.account("ann").await, app.service(&KeyScope::ALL).await);
    for path in PATHS {
        let good = good(&ann, path);
        for content_type in ["", "text/plain", "application/json", "multipart/form-data; boundary=x", "*/*"] {
            let answer = post(&service, path, content_type, good.clone()).await;
            assert_eq!(answer.status, 415, "{path} {content_type}: {}", answer.text());
            answer.oauth_error(415, "invalid_request");
        }
        let large = format!("{good}&x={}", "y".repeat(64 * 1024 + 1 - good.len() - 3));
        assert_eq!(large.len(), 64 * 1024 + 1);
        post(&service, path, FORM, large).await.oauth_error(413, "invalid_request");
        let head = format!("POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: {FORM}\r\n");
        let head = format!("{head}Expect: 100-continue\r\nContent-Length: 65537\r\n\r\n");
        assert_eq!(statuses(&exchange(&app.url, head).await), [413], "{path}, before it is sent");
    }
    assert_no_effect(&ann).await;

    let good = good(&ann, "/introspect");
    let most = format!("{good}&x={}", "y".repeat(64 * 1024 - good.len() - 3));
    for content_type in
        [FORM, "application/x-www-form-urlencoded; charset=utf-8", "Application/X-WWW-Form-Urlencoded"]
    {
        let answer = post(&service, "/introspect", content_type, most.clone()).await;
        // The token was spent by the refresh above; it is the form that is taken.
        assert_eq!(answer.status, 200, "{content_type}: {}", answer.text());
    }
}

#[tokio::test]
async fn rfc6749_section_3_2_unknown_parameters_are_ignored_and_empty_ones_count_as_left_out() {
    let app = TestApp::start().await;
    let ann = app.account("ann").await;
    let token = |more: &str| {
        let request = app.anonymous().request(Method::POST, "/token").header("content-type", FORM);
        quick(request.body(format!("{}&{more}", good(&ann, "/token"))))
    };
    for more in ["resource=x", "scope=", "client_id=", "expires_in=1e9&sub=x&role=admin", "&&"] {
        let answer = token(more).await;
        assert_eq!(answer.status, 200, "{more}: {}", answer.text());
        let said = answer.json();
        assert_eq!((&said["expires_in"], &said["scope"]), (&json!(900), &json!("account profile")), "{more}");
    }
    for (more, error) in [
        ("scope=admin", "invalid_scope"),
        ("scope=account%20admin", "invalid_scope"),
        ("scope=%20", "invalid_scope"),
        ("scope=Profile", "invalid_scope"),
        ("scope=account%09profile", "invalid_scope"),
    ] {
        token(more).await.oauth_error(400, error);
    }
    token("client_id=another").await.oauth_error(401, "invalid_client");
    for grant in ["password", "authorization_code", "client_credentials", "Refresh_Token", "refresh_token%20"]
    {
        let fields = format!("grant_type={grant}&refresh_token={}", ann.refresh_token);
        let request = app.anonymous().request(Method::POST, "/token").header("content-type", FORM);
        quick(request.body(fields)).await.oauth_error(400, "unsupported_grant_type");
    }
}

#[test]
fn random_forms_are_answered_and_never_by_a_server_error() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let app = runtime.block_on(TestApp::dev());
    let ann = runtime.block_on(app.account("ann"));
    let service = runtime.block_on(app.service(&KeyScope::ALL));
    let config = ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        text in "[a-z_=&%+.0-9]{0,80}",
        token in "\\PC{0,60}",
        (at, byte) in (any::<proptest::sample::Index>(), any::<u8>()),
    )| {
        for path in PATHS {
            let mut broken = good(&ann, "/introspect").into_bytes();
            broken[at.index(ann.refresh_token.len())] = byte;
            let with_token = format!("grant_type=refresh_token&refresh_token={token}&token={token}");
            for body in [bytes.clone(), text.clone().into_bytes(), with_token.into_bytes(), broken] {
                let answer = runtime.block_on(post(&service, path, FORM, body.clone()));
                prop_assert!(answer.status < 500, "{path} {:?}: {}", String::from_utf8_lossy(&body), answer.text());
            }
        }
    });
}
