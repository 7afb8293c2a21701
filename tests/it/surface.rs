//! Every route × every kind of caller → the expected status, from the one table of routes.

use crate::harness::{Account, Anonymous, Answer, ByPassword, ByToken, Caller, TestApp, send};
use claviger::http::openapi::Access;
use claviger::routes::{Route, table};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

/// Every kind of caller there is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Anonymous,
    RightPassword,
    WrongPassword,
    GoodToken,
    AlteredToken,
    ExpiredToken,
}

const KINDS: [Kind; 6] = [
    Kind::Anonymous,
    Kind::RightPassword,
    Kind::WrongPassword,
    Kind::GoodToken,
    Kind::AlteredToken,
    Kind::ExpiredToken,
];

/// The rule: what a caller of this kind gets on a route of this access. `success` is the route's own.
fn expected(access: Access, kind: Kind, success: u16) -> u16 {
    match (access, kind) {
        (Access::Anyone, _) => success,
        (Access::Password, Kind::RightPassword) => success,
        (Access::Token | Access::Account, Kind::GoodToken) => success,
        _ => 401,
    }
}

fn body(route: &Route, unique: usize) -> Option<Value> {
    match (route.method, route.path) {
        ("POST", "/user") => Some(
            json!({"email": format!("new{unique}@example.org"), "name": "new", "password": "a lasting password"}),
        ),
        ("POST", "/login") => Some(json!({"email": "ann@example.org", "password": "ann likes long walks"})),
        ("GET", _) => None,
        (method, path) => panic!("give {method} {path} a body that works"),
    }
}

async fn call(caller: &impl Caller, route: &Route, unique: usize) -> Answer {
    let request = caller.request(Method::from_bytes(route.method.as_bytes()).unwrap(), route.path);
    send(match body(route, unique) {
        Some(body) => request.json(&body),
        None => request,
    })
    .await
}

async fn call_as(kind: Kind, ann: &Account<'_>, expired: &str, route: &Route, unique: usize) -> Answer {
    let app = ann.app;
    let token = |token: String| ByToken { app, token, header: "authorization" };
    match kind {
        Kind::Anonymous => call(&Anonymous { app }, route, unique).await,
        Kind::RightPassword => call(&ann.by_password(), route, unique).await,
        Kind::WrongPassword => {
            let password = "not ann's password".to_owned();
            call(&ByPassword { app, username: ann.email.clone(), password }, route, unique).await
        }
        Kind::GoodToken => call(ann, route, unique).await,
        Kind::AlteredToken => call(&token(format!("{}A", ann.token)), route, unique).await,
        Kind::ExpiredToken => call(&token(expired.to_owned()), route, unique).await,
    }
}

#[tokio::test]
async fn every_route_and_every_caller() {
    let app = TestApp::start().await;
    let expired = app.account("old").await.token.clone();
    app.advance(Duration::from_secs(900));
    let ann = app.account("ann").await;
    let routes = table(&app.config());
    assert!(routes.len() >= 9);
    let mut wrong = Vec::new();
    for (number, route) in routes.iter().enumerate() {
        let success = route.operation.answers.first().unwrap().status;
        for (offset, kind) in KINDS.into_iter().enumerate() {
            let answer = call_as(kind, &ann, &expired, route, number * KINDS.len() + offset).await;
            let status = expected(route.access, kind, success);
            if answer.status != status {
                wrong.push(format!(
                    "{} {} as {kind:?}: {} instead of {status}",
                    route.method, route.path, answer.status
                ));
            }
            if answer.status == 401 {
                assert!(
                    !answer.header("www-authenticate").is_empty(),
                    "checklist 19: {} {}",
                    route.method,
                    route.path
                );
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn no_other_method_is_answered() {
    let app = TestApp::start().await;
    let routes = table(&app.config());
    for path in routes.iter().map(|route| route.path) {
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"] {
            let known = routes.iter().any(|route| route.path == path && route.method == method);
            if !known {
                let method = Method::from_bytes(method.as_bytes()).unwrap();
                let answer = send(app.anonymous().request(method, path)).await;
                answer.problem(405, "method-not-allowed");
                assert!(!answer.header("allow").is_empty());
            }
        }
    }
}
