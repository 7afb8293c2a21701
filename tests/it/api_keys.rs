//! The API keys of services: how they are shown, what each allows, and what services learn with them.

use crate::harness::{Account, Answer, ByApiKey, Caller, TestApp, database, decode, send, stored};
use claviger::api_keys::{Error, KeyScope, StoredKey, flow};
use claviger::app::Cx;
use claviger::base::id::AccountId;
use claviger::{admin, jobs};
use claviger_crypto::sha256;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use std::time::Duration;
use uuid::Uuid;

const HOUR: Duration = Duration::from_secs(3600);

fn operator(app: &TestApp) -> Cx {
    jobs::system(app.app())
}

async fn keys(app: &TestApp) -> Vec<StoredKey> {
    flow::list(&operator(app)).await.unwrap()
}

async fn introspect(caller: &impl Caller, token: &str) -> Answer {
    caller.post_form("/introspect", &[("token", token)]).await
}

/// That a token is told to be good for nothing, and nothing else is told.
async fn assert_inactive(service: &ByApiKey<'_>, token: &str, what: &str) {
    let answer = introspect(service, token).await;
    assert_eq!((answer.status, answer.text().as_str()), (200, r#"{"active":false}"#), "{what}");
    assert_eq!(answer.header("cache-control"), "no-store", "{what}");
}

/// The ways to show a key, each asking what `token` is.
fn shown<'a>(app: &'a TestApp, id: &str, key: &str, token: &str) -> [(&'a str, RequestBuilder); 4] {
    let asks = |fields: &[(&str, &str)]| app.anonymous().form("/introspect", fields);
    [
        ("Bearer", asks(&[("token", token)]).bearer_auth(key)),
        ("Basic", asks(&[("token", token)]).basic_auth(id, Some(key))),
        ("form", asks(&[("token", token), ("client_id", id), ("client_secret", key)])),
        ("secret alone", asks(&[("token", token), ("client_secret", key)])),
    ]
}

#[track_caller]
fn assert_unknown(answer: &Answer, what: &str) {
    assert_eq!(answer.status, 401, "{what}: {}", answer.text());
    answer.oauth_error(401, "invalid_client");
    assert!(answer.header("www-authenticate").starts_with("Basic realm="), "{what}");
}

#[tokio::test]
async fn a_key_may_be_shown_in_three_ways() {
    let app = TestApp::start().await;
    let alice = app.account("alice").await;
    let service = app.service(&[KeyScope::Introspect]).await;
    for (way, request) in shown(&app, &service.id, &service.key, &alice.token) {
        let answer = send(request).await;
        assert_eq!((answer.status, &answer.json()["active"]), (200, &json!(true)), "{way}");
    }
}

#[tokio::test]
async fn a_key_shown_in_two_ways_or_for_another_id_is_refused() {
    let app = TestApp::start().await;
    let (service, other) =
        (app.service(&[KeyScope::Introspect]).await, app.service(&[KeyScope::Introspect]).await);
    let (id, key) = (service.id.as_str(), service.key.as_str());
    let asks =
        |more: &[(&str, &str)]| app.anonymous().form("/introspect", &[&[("token", "x")], more].concat());
    for (what, request) in [
        ("Bearer and form", asks(&[("client_secret", key)]).bearer_auth(key)),
        ("Basic and form", asks(&[("client_id", id), ("client_secret", key)]).basic_auth(id, Some(key))),
        ("Basic with two ids", asks(&[("client_id", &other.id)]).basic_auth(id, Some(key))),
        ("two secrets", asks(&[("client_secret", key), ("client_secret", key)])),
    ] {
        let answer = send(request).await;
        assert_eq!(answer.status, 400, "{what}: {}", answer.text());
        answer.oauth_error(400, "invalid_request");
    }
    let twice = asks(&[]).basic_auth(id, Some(key)).bearer_auth(key);
    send(twice).await.problem(400, "malformed-credentials");
    let nobody = Uuid::nil().to_string();
    for id in [other.id.as_str(), nobody.as_str(), "alice", "claviger", "", &id.to_uppercase()] {
        assert_unknown(&send(asks(&[]).basic_auth(id, Some(key))).await, &format!("Basic {id}"));
        if !id.is_empty() {
            let bearer = send(asks(&[("client_id", id)]).bearer_auth(key)).await;
            if id == "claviger" {
                assert_eq!(bearer.status, 200, "a client of its own may name itself beside the key");
            } else {
                assert_unknown(&bearer, &format!("Bearer {id}"));
            }
            let form = asks(&[("client_id", id), ("client_secret", key)]);
            assert_unknown(&send(form).await, &format!("form {id}"));
        }
    }
}

#[tokio::test]
async fn what_is_no_key_is_refused_alike() {
    let app = TestApp::start().await;
    let elsewhere = TestApp::start().await;
    let alice = app.account("alice").await;
    let service = app.service(&[KeyScope::Introspect]).await;
    let foreign = elsewhere.api_key(&[KeyScope::Introspect]).await;
    let body = &service.key[4..];
    let altered = format!("cvk_{}{}", if body.starts_with('A') { 'B' } else { 'A' }, &body[1..]);
    let garbage = [
        "x".to_owned(),
        "cvk_".to_owned(),
        body.to_owned(),
        altered,
        foreign,
        format!("cvr_{body}"),
        format!("CVK_{body}"),
        format!("{}A", service.key),
        service.key[..46].to_owned(),
        service.id.clone(),
        "cvk_".repeat(500),
        "' OR 1=1 --".to_owned(),
        alice.token.clone(),
        alice.refresh_token.clone(),
        alice.password.clone(),
    ];
    let none = send(app.anonymous().form("/introspect", &[("token", "x")])).await;
    assert_unknown(&none, "none");
    for key in &garbage {
        for (way, request) in shown(&app, &service.id, key, &alice.token) {
            let answer = send(request).await;
            assert_unknown(&answer, &format!("{way} {key}"));
            assert_eq!(answer.essence(), none.essence(), "{way} {key}");
        }
    }
    assert_eq!(introspect(&service, &alice.token).await.json()["active"], true);
}

#[tokio::test]
async fn checklist_88_a_key_allows_what_its_scopes_say_and_no_more() {
    let app = TestApp::start().await;
    let alice = app.account("alice").await;
    let (asks, ends) = (app.service(&[KeyScope::Introspect]).await, app.service(&[KeyScope::Revoke]).await);
    let all = app.service(&KeyScope::ALL).await;
    let token = [("token", alice.token.as_str())];
    for (service, path) in [(&ends, "/introspect"), (&asks, "/revoke")] {
        service.post_form(path, &token).await.oauth_error(403, "insufficient_scope");
        service.by_basic().post_form(path, &token).await.oauth_error(403, "insufficient_scope");
    }
    assert_eq!(alice.get("/user/profile").await.status, 200, "nothing was ended");
    for service in [&asks, &ends, &all] {
        service.get("/user/profile").await.problem(401, "invalid-token");
        service.get("/jwks").await.problem(401, "invalid-token");
    }
    assert_eq!(introspect(&asks, &alice.token).await.json()["active"], true);
    assert_eq!(introspect(&all, &alice.token).await.json()["active"], true);
    assert_eq!(ends.post_form("/revoke", &token).await.status, 200);
    alice.get("/user/profile").await.problem(401, "invalid-token");
    let again = alice.elsewhere().await;
    assert_eq!(all.post_form("/revoke", &[("token", &again.refresh_token)]).await.status, 200);
    again.get("/user/profile").await.problem(401, "invalid-token");
}

#[tokio::test]
async fn a_key_ends_when_it_expires() {
    let app = TestApp::start().await;
    let made = flow::create(&operator(&app), "billing".into(), KeyScope::ALL.to_vec(), Some(HOUR)).await;
    let (stored, key) = made.unwrap();
    let service = ByApiKey { app: &app, id: stored.id.to_string(), key: key.to_text().to_string() };
    app.advance(HOUR - Duration::from_micros(1));
    assert_eq!(introspect(&service, "x").await.status, 200);
    app.advance(Duration::from_micros(1));
    for path in ["/introspect", "/revoke"] {
        assert_unknown(&service.post_form(path, &[("token", "x")]).await, path);
        assert_unknown(&service.by_basic().post_form(path, &[("token", "x")]).await, path);
    }
    assert_eq!(keys(&app).await.len(), 1, "it is still listed");
}

#[tokio::test]
async fn checklist_38_a_key_that_is_taken_back_is_refused_at_once() {
    let app = TestApp::start().await;
    let service = app.service(&KeyScope::ALL).await;
    let other = app.service(&KeyScope::ALL).await;
    assert_eq!(introspect(&service, "x").await.status, 200);
    let id = Uuid::try_parse(&service.id).unwrap();
    flow::revoke(&operator(&app), id).await.unwrap();
    for (way, request) in shown(&app, &service.id, &service.key, "x") {
        assert_unknown(&send(request).await, way);
    }
    assert!(matches!(flow::revoke(&operator(&app), id).await, Err(Error::Unknown)));
    assert_eq!(introspect(&other, "x").await.status, 200);
    let left: Vec<String> = keys(&app).await.into_iter().map(|key| key.id.to_string()).collect();
    assert_eq!(left, [other.id]);
}

#[tokio::test]
async fn keys_are_listed_with_what_they_are_for_and_when_they_were_used() {
    let app = TestApp::start().await;
    let cx = operator(&app);
    let (made, key) =
        flow::create(&cx, "billing".into(), vec![KeyScope::Introspect], Some(HOUR * 9)).await.unwrap();
    assert_eq!(keys(&app).await, std::slice::from_ref(&made));
    assert_eq!((made.created_at, made.expires_at), (cx.now, Some(cx.now.plus(HOUR * 9))));
    let service = ByApiKey { app: &app, id: made.id.to_string(), key: key.to_text().to_string() };
    for (passes, used) in [(HOUR, HOUR), (HOUR / 2, HOUR), (HOUR / 2, HOUR * 2)] {
        app.advance(passes);
        introspect(&service, "x").await;
        assert_eq!(keys(&app).await[0].last_used_at, Some(cx.now.plus(used)));
    }
    app.service(&[KeyScope::Revoke]).await;
    let scopes: Vec<_> = keys(&app).await.into_iter().map(|key| key.scopes).collect();
    assert_eq!(scopes, [[KeyScope::Introspect], [KeyScope::Revoke]], "oldest first");
}

#[tokio::test]
async fn checklist_90_only_the_digest_of_a_key_is_stored() {
    let app = TestApp::start().await;
    let service = app.service(&KeyScope::ALL).await;
    introspect(&service, "x").await;
    service.post_form("/revoke", &[("token", &service.key)]).await;
    let bytes: Vec<u8> = stored(app.data_dir()).into_iter().flat_map(|(_, bytes)| bytes).collect();
    let holds = |part: &[u8]| bytes.windows(part.len()).any(|window| window == part);
    assert!(holds(&sha256(service.key.as_bytes())));
    assert!(!holds(service.key.as_bytes()) && !holds(&service.key.as_bytes()[4..]));
    assert!(!holds(&claviger_crypto::from_base64url(&service.key[4..]).unwrap()));
}

#[tokio::test]
async fn checklist_74_introspection_says_what_a_good_token_is() {
    let app = TestApp::start().await;
    let alice = app.account("alice").await;
    let service = app.service(&[KeyScope::Introspect]).await;
    let claims = decode(&alice.token).1;
    let mut expected = json!({"active": true, "token_type": "Bearer"});
    for name in ["scope", "client_id", "exp", "iat", "sub", "aud", "iss", "jti", "sid"] {
        expected[name] = claims[name].clone();
    }
    for hint in ["access_token", "refresh_token", "nonsense"] {
        let fields = [("token", alice.token.as_str()), ("token_type_hint", hint)];
        assert_eq!(service.post_form("/introspect", &fields).await.json(), expected, "{hint}");
    }
    let said = introspect(&service, &alice.refresh_token).await.json();
    assert_eq!((&said["active"], &said["sub"]), (&json!(true), &json!(alice.public_id)));
    assert_eq!((&said["sid"], &said["token_type"]), (&claims["sid"], &Value::Null));
    assert_eq!(alice.refresh().await.status, 200, "asking does not spend a token");
}

/// The token with another last octet of its signature.
fn altered(token: &str) -> String {
    let (rest, signature) = token.rsplit_once('.').unwrap();
    let first = if signature.starts_with('A') { 'B' } else { 'A' };
    format!("{rest}.{first}{}", &signature[1..])
}

#[tokio::test]
async fn checklist_74_introspection_tells_nothing_of_what_is_not_good() {
    let (app, elsewhere) = (TestApp::start().await, TestApp::start().await);
    let service = app.service(&[KeyScope::Introspect]).await;
    let foreign = elsewhere.account("alice").await;
    let (alice, bob, carol) =
        (app.account("alice").await, app.account("bob").await, app.account("carol").await);
    let ended = alice.elsewhere().await;
    assert_eq!(ended.post("/logout", &Value::Null).await.status, 204);
    let id = AccountId::parse(&bob.public_id).unwrap();
    admin::flow::disable(&operator(&app), id).await.unwrap();
    let closing = json!({"password": carol.password});
    assert_eq!(carol.send_json(Method::DELETE, "/user", &closing).await.status, 204);
    let key = app.api_key(&KeyScope::ALL).await;
    for (what, token) in [
        ("nonsense", "x"),
        ("altered", &altered(&alice.token)),
        ("an altered refresh token", &alice.refresh_token.to_uppercase()),
        ("without a signature", alice.token.rsplit_once('.').unwrap().0),
        ("of another installation", &foreign.token),
        ("a refresh token of another installation", &foreign.refresh_token),
        ("ended", &ended.token),
        ("ended, the refresh token", &ended.refresh_token),
        ("disabled", &bob.token),
        ("disabled, the refresh token", &bob.refresh_token),
        ("deleted", &carol.token),
        ("deleted, the refresh token", &carol.refresh_token),
        ("an API key", &key),
        ("the key that asks", &service.key),
        ("long", &"a.".repeat(20_000)),
        ("not ASCII", "tökén\u{1F600}"),
    ] {
        assert_inactive(&service, token, what).await;
    }
    assert_expires(&alice, &service).await;
}

/// That both tokens of `alice` are good now and end when they should.
async fn assert_expires(alice: &Account<'_>, service: &ByApiKey<'_>) {
    let refreshed = alice.refresh().await.json();
    alice.app.advance(Duration::from_secs(11));
    assert_inactive(service, &alice.refresh_token, "spent").await;
    assert_eq!(introspect(service, &alice.token).await.json()["active"], true);
    alice.app.advance(Duration::from_secs(900));
    assert_inactive(service, &alice.token, "expired").await;
    let next = refreshed["refresh_token"].as_str().unwrap();
    assert_eq!(
        introspect(service, next).await.json()["active"],
        true,
        "that it was asked for ends no session"
    );
    alice.app.advance(HOUR * 24 * 30);
    assert_inactive(service, next, "idle for too long").await;
}

#[tokio::test]
async fn what_is_not_asked_well_is_invalid_and_what_is_unknown_is_revoked() {
    let app = TestApp::start().await;
    let service = app.service(&KeyScope::ALL).await;
    for path in ["/introspect", "/revoke"] {
        for fields in [&[][..], &[("token", "")], &[("tokens", "x")], &[("token", "x"), ("token", "x")]] {
            service.post_form(path, fields).await.oauth_error(400, "invalid_request");
        }
        service.post(path, &json!({"token": "x"})).await.oauth_error(415, "invalid_request");
    }
    assert_unknown(&app.anonymous().post_form("/introspect", &[]).await, "who asks is looked at first");
    for token in ["x", &service.key, "cvr_x", "a.b.c"] {
        let answer = service.post_form("/revoke", &[("token", token)]).await;
        assert_eq!((answer.status, answer.text().as_str()), (200, ""), "{token}");
    }
    let events: i64 = database(app.data_dir())
        .query_row("SELECT count(*) FROM audit_events WHERE event = 'revoke'", [], |row| row.get(0))
        .unwrap();
    assert_eq!(events, 0, "nothing was done");
}
