//! How services show the API key that an operator gave them, and when it is good.

use crate::harness::{Account, Answer, ByApiKey, Caller as _, TestApp, send};
use claviger::api_keys::{self, KeyScope};
use claviger::jobs;
use reqwest::RequestBuilder;
use serde_json::json;
use std::time::Duration;

const INACTIVE: &str = r#"{"active":false}"#;

#[track_caller]
fn assert_active(answer: &Answer, what: &str) {
    assert_eq!((answer.status, &answer.json()["active"]), (200, &json!(true)), "{what}: {}", answer.text());
}

/// A request to look at `ann`'s token, with more fields.
fn look(ann: &Account<'_>, more: &[(&str, &str)]) -> RequestBuilder {
    let fields: Vec<_> = [("token", ann.token.as_str())].iter().chain(more).copied().collect();
    ann.app.anonymous().form("/introspect", &fields)
}

async fn start(app: &TestApp) -> (Account<'_>, ByApiKey<'_>) {
    (app.account("ann").await, app.service(&[KeyScope::Introspect]).await)
}

#[tokio::test]
async fn a_key_is_shown_as_bearer_by_basic_or_in_the_form() {
    let app = TestApp::start().await;
    let (ann, service) = start(&app).await;
    let (id, key) = (service.id.as_str(), service.key.as_str());
    for (what, request) in [
        ("Bearer", look(&ann, &[]).bearer_auth(key)),
        ("Bearer and the id", look(&ann, &[("client_id", id)]).bearer_auth(key)),
        ("Bearer and the public client", look(&ann, &[("client_id", "claviger")]).bearer_auth(key)),
        ("Basic", look(&ann, &[]).basic_auth(id, Some(key))),
        ("Basic and the id", look(&ann, &[("client_id", id)]).basic_auth(id, Some(key))),
        ("the form", look(&ann, &[("client_id", id), ("client_secret", key)])),
        ("the form without the id", look(&ann, &[("client_secret", key)])),
    ] {
        assert_active(&send(request).await, what);
    }
    assert_active(&service.by_basic().post_form("/introspect", &[("token", &ann.refresh_token)]).await, "");
}

/// Every octet may come as `%xx` there; some clients encode all but letters and digits.
#[tokio::test]
async fn rfc6749_section_2_3_1_id_and_key_are_encoded_in_basic() {
    let app = TestApp::start().await;
    let (ann, service) = start(&app).await;
    let encoded = |text: &str| text.replace('-', "%2D").replace('_', "%5F");
    let request = look(&ann, &[]).basic_auth(encoded(&service.id), Some(encoded(&service.key)));
    assert_active(&send(request).await, "Basic");
}

#[tokio::test]
async fn what_is_no_good_key_learns_nothing() {
    let app = TestApp::start().await;
    let (ann, service) = start(&app).await;
    let other = app.service(&KeyScope::ALL).await;
    let (id, key) = (service.id.as_str(), service.key.as_str());
    let (longer, upper) = (format!("{key}A"), key.to_uppercase());
    for (what, request) in [
        ("nothing", look(&ann, &[])),
        ("the id alone", look(&ann, &[("client_id", id)])),
        ("an empty key", look(&ann, &[("client_id", id), ("client_secret", "")])),
        ("an empty Bearer", look(&ann, &[]).bearer_auth("")),
        ("another's id by Basic", look(&ann, &[]).basic_auth(&other.id, Some(key))),
        ("no id by Basic", look(&ann, &[]).basic_auth("", Some(key))),
        ("the key as the id", look(&ann, &[]).basic_auth(key, Some(key))),
        ("the key in the place of the id", look(&ann, &[]).basic_auth(key, Some(""))),
        ("another's id in the form", look(&ann, &[("client_id", &other.id), ("client_secret", key)])),
        ("another's id beside Bearer", look(&ann, &[("client_id", &other.id)]).bearer_auth(key)),
        ("the key and more", look(&ann, &[]).bearer_auth(&longer)),
        ("less than the key", look(&ann, &[]).bearer_auth(&key[..key.len() - 1])),
        ("capitals", look(&ann, &[]).bearer_auth(&upper)),
        ("a header of persons", look(&ann, &[]).header("x-access-token", key)),
        ("another header of persons", look(&ann, &[]).header("token", key)),
        ("a person's password", look(&ann, &[]).basic_auth(&ann.email, Some(&ann.password))),
        ("a scheme that is not offered", look(&ann, &[]).header("authorization", format!("Token {key}"))),
    ] {
        let answer = send(request).await;
        assert_eq!(answer.status, 401, "{what}: {}", answer.text());
        answer.oauth_error(401, "invalid_client");
        assert_eq!(answer.header("www-authenticate"), r#"Basic realm="claviger", charset="UTF-8""#, "{what}");
    }
    for (what, request) in [
        ("Bearer and the form", look(&ann, &[("client_secret", key)]).bearer_auth(key)),
        ("Basic and the form", look(&ann, &[("client_secret", key)]).basic_auth(id, Some(key))),
        ("two ids", look(&ann, &[("client_id", &other.id)]).basic_auth(id, Some(key))),
        ("two secrets", look(&ann, &[("client_secret", key), ("client_secret", key)])),
    ] {
        let answer = send(request).await;
        assert_eq!(answer.status, 400, "{what}: {}", answer.text());
        answer.oauth_error(400, "invalid_request");
    }
}

#[tokio::test]
async fn a_key_is_good_for_its_scopes_and_its_time() {
    let app = TestApp::start().await;
    let ann = app.account("ann").await;
    let (introspects, revokes) =
        (app.service(&[KeyScope::Introspect]).await, app.service(&[KeyScope::Revoke]).await);
    let token = [("token", ann.token.as_str())];
    introspects.post_form("/revoke", &token).await.oauth_error(403, "insufficient_scope");
    revokes.post_form("/introspect", &token).await.oauth_error(403, "insufficient_scope");
    let public = [token[0], ("client_id", "claviger")];
    introspects.post_form("/revoke", &public).await.oauth_error(403, "insufficient_scope");
    revokes.post_form("/introspect", &public).await.oauth_error(403, "insufficient_scope");
    assert_active(&introspects.post_form("/introspect", &token).await, "not revoked");

    let cx = jobs::system(app.app());
    let life = Some(Duration::from_secs(60));
    let scopes = vec![KeyScope::Introspect];
    let (stored, key) = api_keys::flow::create(&cx, "for a minute".to_owned(), scopes, life).await.unwrap();
    let guest = ByApiKey { app: &app, id: stored.id.to_string(), key: key.to_text().to_string() };
    app.advance(Duration::from_secs(59));
    assert_active(&guest.post_form("/introspect", &token).await, "a second before");
    app.advance(Duration::from_secs(1));
    guest.post_form("/introspect", &token).await.oauth_error(401, "invalid_client");
    assert_active(&introspects.post_form("/introspect", &token).await, "without an end");
}

#[tokio::test]
async fn checklist_13_of_what_is_not_good_introspection_says_no_more_than_that() {
    let app = TestApp::start().await;
    let (ann, service) = start(&app).await;
    let expired = ann.token.clone();
    app.advance(Duration::from_secs(900));
    let bob = app.account("bob").await;
    assert_eq!(bob.post("/logout", &json!({})).await.status, 204);
    let list = app.anonymous().get("/status/0").await.text();
    let stranger = TestApp::start().await;
    let theirs = stranger.account("ann").await;
    for token in [
        "x",
        &expired,
        &bob.token,
        &bob.refresh_token,
        &theirs.token,
        &theirs.refresh_token,
        &ann.refresh_token[..ann.refresh_token.len() - 1],
        &service.key,
        &list,
        "\u{0}",
        "🙂",
    ] {
        for hint in ["access_token", "refresh_token", "password"] {
            let fields = [("token", token), ("token_type_hint", hint)];
            let answer = service.post_form("/introspect", &fields).await;
            assert_eq!((answer.status, answer.text().as_str()), (200, INACTIVE), "{token}");
        }
    }
    service.post_form("/introspect", &[]).await.oauth_error(400, "invalid_request");
    service.post_form("/introspect", &[("token", "")]).await.oauth_error(400, "invalid_request");
}
