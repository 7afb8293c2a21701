//! Every route × every kind of caller → the expected status, from the one table of routes.

use crate::harness::{Account, Answer, ByPassword, ByToken, Caller as _, TestApp, as_asked, path, send};
use claviger::api_keys::KeyScope;
use claviger::http::openapi::Access;
use claviger::routes::{Route, table};
use reqwest::Method;
use serde_json::json;
use std::time::Duration;

/// Every kind of caller there is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Anonymous,
    RightPassword,
    WrongPassword,
    GoodToken,
    /// A good token whose scope is `profile` alone.
    ReadingToken,
    AlteredToken,
    ExpiredToken,
    EndedSession,
    DeletedAccount,
    /// A refresh token where an access token is wanted.
    RefreshToken,
    GoodApiKey,
    /// Its scope is that of another route.
    OtherApiKey,
    /// A good one with another last character.
    AlteredApiKey,
    /// A good one that was taken back.
    RevokedApiKey,
}

const KINDS: [Kind; 14] = [
    Kind::Anonymous,
    Kind::RightPassword,
    Kind::WrongPassword,
    Kind::GoodToken,
    Kind::ReadingToken,
    Kind::AlteredToken,
    Kind::ExpiredToken,
    Kind::EndedSession,
    Kind::DeletedAccount,
    Kind::RefreshToken,
    Kind::GoodApiKey,
    Kind::OtherApiKey,
    Kind::AlteredApiKey,
    Kind::RevokedApiKey,
];

/// The rule: what a caller of this kind gets on a route of this access. `success` is the route's own.
fn expected(access: Access, kind: Kind, success: u16) -> u16 {
    match (access, kind) {
        (Access::Anyone, _) => success,
        (Access::Password, Kind::RightPassword) => success,
        (Access::Token, Kind::GoodToken | Kind::ReadingToken) => success,
        (Access::Account, Kind::GoodToken) => success,
        (Access::Account, Kind::ReadingToken) => 403,
        (Access::ApiKey, Kind::GoodApiKey) => success,
        (Access::ApiKey, Kind::OtherApiKey) => 403,
        _ => 401,
    }
}

/// What callers show who cannot be had anew for each call.
struct Shown {
    expired: String,
    ended: String,
    deleted: String,
    introspects: String,
    revokes: String,
    taken_back: String,
}

async fn shown(app: &TestApp) -> Shown {
    let expired = app.account("old").await.token.clone();
    app.advance(Duration::from_secs(900));
    let gone = app.account("gone").await;
    assert_eq!(gone.post("/logout", &json!({})).await.status, 204);
    let former = app.account("former").await;
    let closed = former.send_json(Method::DELETE, "/user", &json!({"password": former.password})).await;
    assert_eq!(closed.status, 204);
    let taken_back = app.service(&KeyScope::ALL).await;
    let cx = claviger::jobs::system(app.app());
    claviger::api_keys::flow::revoke(&cx, taken_back.id.parse().unwrap()).await.unwrap();
    Shown {
        expired,
        ended: gone.token.clone(),
        deleted: former.token.clone(),
        introspects: app.api_key(&[KeyScope::Introspect]).await,
        revokes: app.api_key(&[KeyScope::Revoke]).await,
        taken_back: taken_back.key,
    }
}

/// `ann`'s token with the scope `profile`.
async fn reading_token(ann: &Account<'_>) -> String {
    let fields =
        [("grant_type", "refresh_token"), ("refresh_token", &*ann.refresh_token), ("scope", "profile")];
    let answer = ann.app.anonymous().post_form("/token", &fields).await;
    assert_eq!((answer.status, &answer.json()["scope"]), (200, &json!("profile")), "{}", answer.text());
    answer.json()["access_token"].as_str().unwrap().to_owned()
}

/// Another character at the end that differs in a bit that counts.
fn altered(secret: &str) -> String {
    let (start, last) = secret.split_at(secret.len() - 1);
    format!("{start}{}", if last == "A" { "Z" } else { "A" })
}

async fn call_as(kind: Kind, ann: &Account<'_>, shown: &Shown, route: &Route) -> Answer {
    let app = ann.app;
    let bearer = |token: &str| {
        let caller = ByToken { app, token: token.to_owned(), header: "authorization" };
        as_asked(&caller, ann, route)
    };
    let (fitting, other) = match route.path {
        "/revoke" => (&shown.revokes, &shown.introspects),
        _ => (&shown.introspects, &shown.revokes),
    };
    let request = match kind {
        Kind::Anonymous => as_asked(&app.anonymous(), ann, route),
        Kind::RightPassword => as_asked(&ann.by_password(), ann, route),
        Kind::WrongPassword => {
            let wrong = ByPassword { password: "not ann's password".to_owned(), ..ann.by_password() };
            as_asked(&wrong, ann, route)
        }
        Kind::GoodToken => bearer(&ann.token),
        Kind::ReadingToken => bearer(&reading_token(ann).await),
        Kind::AlteredToken => bearer(&altered(&ann.token)),
        Kind::ExpiredToken => bearer(&shown.expired),
        Kind::EndedSession => bearer(&shown.ended),
        Kind::DeletedAccount => bearer(&shown.deleted),
        Kind::RefreshToken => bearer(&ann.refresh_token),
        Kind::GoodApiKey => bearer(fitting),
        Kind::OtherApiKey => bearer(other),
        Kind::AlteredApiKey => bearer(&altered(fitting)),
        Kind::RevokedApiKey => bearer(&shown.taken_back),
    };
    send(request).await
}

#[tokio::test]
async fn every_route_and_every_caller() {
    let app = TestApp::start().await;
    let shown = shown(&app).await;
    let routes = table(&app.config());
    assert!(routes.len() >= 20);
    let mut wrong = Vec::new();
    let (mut number, mut ann) = (0, app.account("ann").await);
    for route in &routes {
        let success = route.operation.answers.first().unwrap().status;
        for kind in KINDS {
            let answer = call_as(kind, &ann, &shown, route).await;
            let status = expected(route.access, kind, success);
            let what = format!("{} {} as {kind:?}", route.method, route.path);
            if answer.status != status {
                wrong.push(format!("{what}: {} instead of {status}: {}", answer.status, answer.text()));
            }
            if answer.status == 401 || answer.status == 403 && route.access == Access::Account {
                assert!(!answer.header("www-authenticate").is_empty(), "checklist 19: {what}");
            }
            if answer.status >= 400 || route.method == "GET" {
                let profile = ann.get("/user/profile").await;
                assert_eq!(
                    (profile.status, &profile.json()["user"]["name"]),
                    (200, &json!(ann.name)),
                    "{what}"
                );
            } else {
                // What took effect may have ended her session.
                number += 1;
                ann = app.account(&format!("ann{number}")).await;
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn checklist_19_a_token_that_may_only_read_learns_what_it_lacks() {
    const CHALLENGE: &str = r#"Bearer realm="claviger", error="insufficient_scope", scope="account""#;
    let app = TestApp::start().await;
    let ann = app.account("ann").await;
    let reader = ByToken { app: &app, token: reading_token(&ann).await, header: "authorization" };
    for route in table(&app.config()).iter().filter(|route| route.access == Access::Account) {
        let answer = send(as_asked(&reader, &ann, route)).await;
        answer.problem(403, "insufficient-scope");
        assert_eq!(answer.header("www-authenticate"), CHALLENGE, "{} {}", route.method, route.path);
    }
    assert_eq!(reader.get("/user/profile").await.status, 200);
}

/// RFC 7009 §2.1: a public client names itself. All else about `/revoke` is as the table says.
#[tokio::test]
async fn the_public_client_revokes_without_a_key_and_by_its_own_name_alone() {
    let app = TestApp::start().await;
    let ann = app.account("ann").await;
    let (anonymous, token) = (app.anonymous(), ("token", ann.token.as_str()));
    let refused = [
        vec![token],
        vec![token, ("client_id", "")],
        vec![token, ("client_id", "Claviger")],
        vec![token, ("client_id", "another")],
        vec![token, ("client_id", "claviger"), ("client_secret", "x")],
    ];
    for fields in refused {
        anonymous.post_form("/revoke", &fields).await.oauth_error(401, "invalid_client");
    }
    let named = [token, ("client_id", "claviger")];
    // Credentials that are shown are checked, whoever the form names.
    ann.post_form("/revoke", &named).await.oauth_error(401, "invalid_client");
    ann.by_password().post_form("/revoke", &named).await.oauth_error(400, "invalid_request");
    anonymous.post_form("/introspect", &named).await.oauth_error(401, "invalid_client");
    assert_eq!(ann.get("/user/profile").await.status, 200);

    let revoked = anonymous.post_form("/revoke", &named).await;
    assert_eq!((revoked.status, revoked.body.len()), (200, 0));
    ann.get("/user/profile").await.problem(401, "invalid-token");
}

#[tokio::test]
async fn no_other_method_is_answered() {
    let app = TestApp::start().await;
    let ann = app.account("ann").await;
    let routes = table(&app.config());
    for route in &routes {
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"] {
            let known = routes.iter().any(|other| other.path == route.path && other.method == method);
            if !known {
                let method = Method::from_bytes(method.as_bytes()).unwrap();
                let answer = send(app.anonymous().request(method, &path(&ann, route))).await;
                answer.problem(405, "method-not-allowed");
                assert!(!answer.header("allow").is_empty());
            }
        }
    }
}
