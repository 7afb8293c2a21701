//! For each route of the table a request that works.

use super::callers::{Account, Anonymous, ByApiKey, Caller};
use super::token::decode;
use claviger::api_keys::KeyScope;
use claviger::http::openapi::Access;
use claviger::routes::Route;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

/// The method of a route.
pub fn method(route: &Route) -> Method {
    Method::from_bytes(route.method.as_bytes()).unwrap()
}

/// The path of a route with parameters that name something of `ann`'s.
pub fn path(ann: &Account<'_>, route: &Route) -> String {
    let session = decode(&ann.token).1["sid"].as_str().unwrap().to_owned();
    let path = route.path.replace("{id}", &session).replace("{list}", "0");
    assert!(!path.contains('{'), "give {path} parameters that work");
    path
}

enum Body {
    Json(Value),
    Form(Vec<(&'static str, String)>),
}

fn body(ann: &Account<'_>, route: &Route) -> Option<Body> {
    let (email, password) = (&ann.email, &ann.password);
    let body = match (route.method, route.path) {
        ("POST", "/user") => Body::Json(
            json!({"email": format!("new.{email}"), "name": "new", "password": "a lasting password"}),
        ),
        ("POST", "/login") => Body::Json(json!({"email": email, "password": password})),
        ("PATCH", "/user/profile") => Body::Json(json!({"name": "Ann"})),
        ("PUT", "/user/password") => {
            Body::Json(json!({"current_password": password, "new_password": "a longer walk"}))
        }
        ("DELETE", "/user") => Body::Json(json!({"password": password})),
        ("POST", "/token") => Body::Form(vec![
            ("grant_type", "refresh_token".to_owned()),
            ("refresh_token", ann.refresh_token.clone()),
        ]),
        ("POST", "/introspect" | "/revoke") => Body::Form(vec![("token", ann.token.clone())]),
        _ if route.operation.request.is_none() => return None,
        (method, path) => panic!("give {method} {path} a body that works"),
    };
    Some(body)
}

/// `caller` asks as `ann` would: on her path, with her body. It may well end her session or her account.
pub fn as_asked(caller: &impl Caller, ann: &Account<'_>, route: &Route) -> RequestBuilder {
    let path = path(ann, route);
    match body(ann, route) {
        Some(Body::Json(body)) => caller.request(method(route), &path).json(&body),
        Some(Body::Form(fields)) => {
            let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
            caller.form(&path, &fields)
        }
        None => caller.request(method(route), &path),
    }
}

/// The same by a caller who may, so that it works.
pub async fn in_order(ann: &Account<'_>, route: &Route) -> RequestBuilder {
    let app = ann.app;
    match route.access {
        Access::Anyone => as_asked(&Anonymous { app }, ann, route),
        Access::Password => as_asked(&ann.by_password(), ann, route),
        Access::Token | Access::Account => as_asked(ann, ann, route),
        Access::ApiKey => {
            let service: ByApiKey<'_> = app.service(&KeyScope::ALL).await;
            as_asked(&service, ann, route)
        }
    }
}
