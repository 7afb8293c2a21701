//! JSON objects whose members are not what a route reads: each fault is named, and what nobody asked for
//! has no effect.

use crate::bad_input::{ROUTES, assert_no_effect, bob, bob_and, bob_with, post};
use crate::harness::{Answer, Caller as _, TestApp, assert_problem, send};
use reqwest::Method;
use serde_json::{Value, json};

/// Asserts a 422 that names `field` and repeats nothing of what was sent.
#[track_caller]
fn assert_invalid(answer: &Answer, field: &str, what: &str) {
    assert_problem(answer, 422, "invalid-fields", what);
    let pointers: Vec<Value> =
        answer.json()["errors"].as_array().unwrap().iter().map(|error| error["pointer"].clone()).collect();
    assert_eq!(pointers, [format!("/{field}")], "{what}");
    for sent in ["hunter2", "4242"] {
        assert!(!answer.json()["errors"].to_string().contains(sent), "{what}: {}", answer.text());
    }
}

#[tokio::test]
async fn fields_of_another_type_or_missing_are_named() {
    let app = TestApp::start().await;
    let others = [
        "null",
        "424242",
        "-4242.5",
        "1e300",
        "true",
        "[]",
        "{}",
        r#"["hunter2"]"#,
        r#"{"hunter2":"hunter2"}"#,
    ];
    for (path, fields) in ROUTES {
        for field in fields {
            for value in others {
                assert_invalid(
                    &post(&app, path, bob_with(field, value)).await,
                    field,
                    &format!("{path} {value}"),
                );
            }
            let mut body: Value = serde_json::from_str(&bob()).unwrap();
            body.as_object_mut().unwrap().remove(*field);
            assert_invalid(&post(&app, path, body.to_string()).await, field, &format!("{path} {body}"));
            // Names are exact: another case is another, unknown member.
            body[field.to_uppercase()] = "x".into();
            assert_invalid(&post(&app, path, body.to_string()).await, field, &format!("{path} {body}"));
        }
        assert_problem(&post(&app, path, "{}").await, 422, "invalid-fields", path);
    }
    assert_no_effect(&app).await;
}

#[tokio::test]
async fn checklist_3_and_82_fields_out_of_bounds_are_named() {
    let app = TestApp::start().await;
    let long = |length| {
        format!("{}@{}.org", "a".repeat(64), ["b".repeat(63), "c".repeat(63), "d".repeat(length)].join("."))
    };
    assert_eq!(long(57).len(), 254);
    let rejected = [
        ("email", json!("")),
        ("email", json!(" ")),
        ("email", json!("@")),
        ("email", json!("bob")),
        ("email", json!("bob\0@example.org")),
        ("email", json!("bob@example.org\0")),
        ("email", json!("bob@example.org\r\nBcc: eve@example.org")),
        ("email", json!("bob\t@example.org")),
        ("email", json!("bob@exa\u{85}mple.org")),
        ("email", json!(long(58))),
        ("email", json!("b".repeat(60_000))),
        ("name", json!("")),
        ("name", json!(" \t")),
        ("name", json!("Bob\0")),
        ("name", json!("B\r\nX: y")),
        ("name", json!("\u{1b}[31mBob")),
        ("name", json!("B\u{9f}b")),
        ("name", json!("é".repeat(201))),
        ("password", json!("")),
        ("password", json!("\0")),
        ("password", json!("correct\0 horse battery")),
        ("password", json!("correct horse battery\0")),
        ("password", json!("correct horse\n")),
        ("password", json!("correct horse\u{7f} battery")),
        ("password", json!("x7".repeat(512) + "y")),
        ("password", json!("z".repeat(60_000))),
    ];
    for (field, value) in rejected {
        let body = bob_with(field, &value.to_string());
        assert_invalid(&post(&app, "/user", body.clone()).await, field, &format!("{field} {value}"));
        // At the login, what no account can have is simply wrong, or refused before it is hashed.
        let answer = post(&app, "/login", body).await;
        assert!([401, 422].contains(&answer.status), "{field} {value}: {}", answer.text());
    }
    let all = post(&app, "/user", r#"{"email":"","name":"","password":""}"#).await;
    assert_eq!(all.json()["errors"].as_array().unwrap().len(), 3, "all faults at once");
    let most = [("email", long(57)), ("name", "é".repeat(200)), ("password", "x7".repeat(512))];
    let body: Value = most.into_iter().map(|(field, value)| (field.to_owned(), json!(value))).collect();
    assert_eq!(post(&app, "/user", body.to_string()).await.status, 201);
    assert_eq!(post(&app, "/login", body.to_string()).await.status, 200);
    assert_no_effect(&app).await;
}

#[tokio::test]
async fn checklist_83_and_88_unknown_members_have_no_effect() {
    let app = TestApp::start().await;
    let alice = app.account("alice").await;
    let extra = json!({
        "role": "admin", "id": alice.public_id, "public_id": alice.public_id, "sub": alice.public_id,
        "account": alice.public_id, "email_verified": true, "is_admin": true, "created_at": 0, "aud": "other",
        "expires_in": 1e9, "user": {"public_id": alice.public_id, "role": "admin"}, "__proto__": {"role": "admin"},
    });
    let body = bob_and(extra.to_string().strip_prefix('{').and_then(|text| text.strip_suffix('}')).unwrap());
    let made = post(&app, "/user", body.clone()).await.json();
    let id = made["user"]["public_id"].as_str().unwrap();
    assert_ne!(id, alice.public_id);
    assert_eq!(made, json!({"user": {"public_id": id, "email": "bob@example.org", "name": "Bob"}}));

    let login = post(&app, "/login", body).await.json();
    assert_eq!(login["expires_in"], 900);
    let token = login["token"].as_str().unwrap();
    let claims = claviger_crypto::from_base64url(token.split('.').nth(1).unwrap()).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    assert_eq!(
        (&claims["sub"], &claims["public_id"], &claims["aud"]),
        (&json!(id), &json!(id), &json!(app.issuer))
    );
    let names =
        ["aud", "client_id", "exp", "iat", "iss", "jti", "public_id", "scope", "sid", "status", "sub"];
    assert_eq!(claims.as_object().unwrap().keys().collect::<Vec<_>>(), names);
    let profile = send(app.anonymous().request(Method::GET, "/user/profile").bearer_auth(token)).await;
    assert_eq!(profile.json(), json!({"user": {"email": "bob@example.org", "name": "Bob"}}));
    assert_eq!(alice.get("/user/profile").await.json()["user"]["name"], "alice");
}
