//! A conversation in which every route gives every answer that a caller alone can bring about.

use crate::harness::{
    Account, Answer, ByToken, Caller as _, TestApp, as_asked, in_order, method, path, routes, send,
};
use claviger::api_keys::KeyScope;
use claviger::http::openapi::{Access, Place, ValueKind};
use claviger::routes::Route;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

/// An answer and the route it comes from: its method and its path in the table.
pub type Said = (&'static str, &'static str, Answer);

pub async fn conversation(app: &TestApp) -> Vec<Said> {
    let mut said = Vec::new();
    for (number, route) in routes().iter().enumerate() {
        let ann = app.account(&format!("ann{number}")).await;
        let mut requests = refused(&ann, route).await;
        requests.extend(own(&ann, route));
        // It may well be the last of her session, or of her account.
        requests.push(in_order(&ann, route).await);
        requests.push(in_order(&ann, route).await.header("if-none-match", "*"));
        for request in requests {
            said.push((route.method, route.path, send(request).await));
        }
    }
    said
}

/// What every route of its kind refuses: credentials, parameters and bodies.
async fn refused(ann: &Account<'_>, route: &Route) -> Vec<RequestBuilder> {
    let app = ann.app;
    let path = path(ann, route);
    let bare = || app.anonymous().request(method(route), &path);
    let mut requests = vec![
        app.anonymous().request(method(route), &format!("{path}?token=x")),
        bare().header("authorization", "Basic YTpi").header("authorization", "Basic YTpi"),
        bare(),
        bare().bearer_auth("x"),
    ];
    match route.access {
        Access::Anyone => {}
        Access::Password => {
            requests.push(bare().basic_auth(&ann.email, Some("wrong password")));
            requests.push(bare().header("authorization", "Basic *"));
        }
        Access::Token | Access::Account => {
            requests.push(as_asked(ann, ann, route).header("token", "x"));
            let reader = ByToken { app, token: reading_token(ann).await, header: "authorization" };
            // A logout by it would be in order.
            if route.access == Access::Account {
                requests.push(as_asked(&reader, ann, route));
            }
            if route.method == "GET" {
                for header in ["x-access-token", "token"] {
                    requests.push(as_asked(&ann.by_token(header), ann, route));
                }
            }
        }
        Access::ApiKey => {
            let other = if route.path == "/revoke" { KeyScope::Introspect } else { KeyScope::Revoke };
            let (other, all) = (app.service(&[other]).await, app.service(&KeyScope::ALL).await);
            requests.push(as_asked(&app.anonymous(), ann, route));
            requests.push(as_asked(&other, ann, route));
            requests.push(all.form(&path, &[]));
            requests.push(all.form(&path, &[("token", "x"), ("token", "x")]));
            requests.push(all.form(&path, &[("token", "x"), ("client_secret", &all.key)]));
        }
    }
    if let Some(body) = &route.operation.request {
        let good = in_order(ann, route).await.build().unwrap().headers().get("authorization").cloned();
        let with = |content_type: &str, body: &str| {
            let request = bare().header("content-type", content_type).body(body.to_owned());
            good.iter().fold(request, |request, value| request.header("authorization", value))
        };
        requests.push(with("text/plain", "x"));
        for bytes in ["{", "{}", r#"{"name":1,"email":1}"#, "a=%", &" ".repeat(64 * 1024 + 1)] {
            requests.push(with(body.content_type, bytes));
        }
    }
    for parameter in route.operation.parameters {
        // Where nothing can be wrong with its form, it is wrong that it names nothing.
        let wrong = match parameter.value {
            ValueKind::Uuid => "00000000-0000-7000-8000-000000000000x",
            ValueKind::Text | ValueKind::Integer { .. } => "-1",
        };
        let path = match parameter.place {
            Place::Path => route.path.replace(&format!("{{{}}}", parameter.name), wrong),
            Place::Query => format!("{path}?{}={wrong}", parameter.name),
        };
        requests.push(ann.request(method(route), &path));
    }
    requests
}

/// `ann`'s token that may only read.
async fn reading_token(ann: &Account<'_>) -> String {
    let fields =
        [("grant_type", "refresh_token"), ("refresh_token", &*ann.refresh_token), ("scope", "profile")];
    let answer = ann.app.anonymous().post_form("/token", &fields).await;
    answer.json()["access_token"].as_str().unwrap().to_owned()
}

/// What this route alone refuses.
fn own(ann: &Account<'_>, route: &Route) -> Vec<RequestBuilder> {
    let anonymous = ann.app.anonymous();
    let by = |method: Method, body: Value| ann.request(method, route.path).json(&body);
    let post = |body: Value| anonymous.request(Method::POST, route.path).json(&body);
    let token = |fields: &[(&str, &str)]| anonymous.form("/token", fields);
    let (refresh, right) = (("grant_type", "refresh_token"), ("refresh_token", &*ann.refresh_token));
    let (long, password) = ("x".repeat(1025), &ann.password);
    match (route.method, route.path) {
        ("POST", "/user") => {
            let taken = json!({"email": ann.email, "name": "Ann", "password": password});
            let made = |name: &str| json!({"email": "key@example.org", "name": name, "password": password});
            let keyed = |body: Value| post(body).header("idempotency-key", "k");
            vec![post(taken), keyed(made("one")), keyed(made("other")), keyed(made("one"))]
        }
        ("POST", "/login") => vec![
            post(json!({"email": ann.email, "password": "wrong password"})),
            post(json!({"email": ann.email, "password": long})),
        ],
        ("GET", "/login") => {
            vec![anonymous.request(Method::GET, "/login").basic_auth(&ann.email, Some(long))]
        }
        ("PATCH", "/user/profile") => {
            vec![by(Method::PATCH, json!({"name": ""})), by(Method::PATCH, json!({}))]
        }
        ("PUT", "/user/password") => vec![
            by(Method::PUT, json!({"current_password": "wrong password", "new_password": "a longer walk"})),
            by(Method::PUT, json!({"current_password": password, "new_password": ""})),
        ],
        ("DELETE", "/user") => vec![by(Method::DELETE, json!({"password": "wrong password"}))],
        ("POST", "/token") => vec![
            token(&[]),
            token(&[refresh]),
            token(&[refresh, ("refresh_token", "x")]),
            token(&[("grant_type", "password"), right]),
            token(&[refresh, right, ("scope", "admin")]),
            token(&[refresh, right, ("client_id", "another")]),
            token(&[refresh, right, ("scope", "profile"), ("client_id", "claviger")]),
        ],
        ("POST", "/introspect") => vec![anonymous.form("/introspect", &[right, ("client_id", "claviger")])],
        ("POST", "/revoke") => vec![anonymous.form("/revoke", &[("token", "x"), ("client_id", "claviger")])],
        ("DELETE", "/user/sessions/{id}") => {
            let unknown = "/user/sessions/00000000-0000-7000-8000-000000000000";
            vec![ann.request(Method::DELETE, unknown)]
        }
        ("GET", "/user/sessions") => ["?limit=201", "?limit=1&limit=1", "?before=x", "?limit=1"]
            .map(|query| ann.request(Method::GET, &format!("/user/sessions{query}")))
            .into(),
        ("GET", "/status/{list}") => {
            ["/status/999", "/status/00", "/status/x"].map(|path| anonymous.request(Method::GET, path)).into()
        }
        _ => Vec::new(),
    }
}
