//! The map of the attack surface: every route on one line. The router, the OpenAPI document, the
//! documentation page and the surface tests are made from it.

use crate::app::App;
use crate::config::Config;
use crate::http::address::Proxies;
use crate::http::edge::{self, Edge};
use crate::http::openapi::{Access, Described, Operation};
use crate::pages::docs::{self, Docs};
use crate::{accounts, keys, login};
use Access::{Anyone, Password, Token};
use axum::handler::Handler;
use axum::http::{HeaderName, HeaderValue, Method};
use axum::routing::{MethodFilter, MethodRouter, on};
use axum::{Extension, Router};
use std::sync::Arc;
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::cors::{AllowOrigin, CorsLayer};

/// One route.
#[derive(Debug)]
pub struct Route {
    /// The method.
    pub method: &'static str,
    /// The path.
    pub path: &'static str,
    /// Who may call it.
    pub access: Access,
    /// What it says of itself.
    pub operation: &'static Operation,
    handler: MethodRouter<Arc<App>>,
}

/// All routes of a server with this configuration.
#[rustfmt::skip]
pub fn table(config: &Config) -> Vec<Route> {
    let mut routes = vec![
        post("/user", Anyone, &accounts::api::SIGN_UP, accounts::api::sign_up),
        post("/login", Anyone, &login::api::POST_LOGIN, login::api::by_json),
        get("/user/profile", Token, &accounts::api::GET_PROFILE, accounts::api::profile),
        get("/jwks", Token, &keys::api::GET_JWKS, keys::api::jwks),
        get("/.well-known/jwks.json", Anyone, &keys::api::GET_JWK_SET, keys::api::jwk_set),
        get("/openapi.json", Anyone, &docs::GET_OPENAPI, docs::openapi),
        get("/docs", Anyone, &docs::GET_DOCS, docs::page),
        get("/docs/style.css", Anyone, &docs::GET_STYLE, docs::style),
    ];
    if config.get_login {
        routes.insert(1, get("/login", Password, &login::api::GET_LOGIN, login::api::by_basic));
    }
    routes
}

fn get<H: Handler<T, Arc<App>>, T: 'static>(
    path: &'static str,
    access: Access,
    operation: &'static Operation,
    handler: H,
) -> Route {
    Route { method: "GET", path, access, operation, handler: on(MethodFilter::GET, handler) }
}

fn post<H: Handler<T, Arc<App>>, T: 'static>(
    path: &'static str,
    access: Access,
    operation: &'static Operation,
    handler: H,
) -> Route {
    Route { method: "POST", path, access, operation, handler: on(MethodFilter::POST, handler) }
}

impl Route {
    /// The route as its documentation needs it.
    pub fn described(&self) -> Described<'_> {
        Described { method: self.method, path: self.path, access: self.access, operation: self.operation }
    }
}

/// The router of a server.
///
/// # Errors
/// Only if the documentation page cannot be made.
pub fn router(app: Arc<App>) -> Result<Router, askama::Error> {
    let routes = table(&app.config);
    let described: Vec<Described<'_>> = routes.iter().map(Route::described).collect();
    let docs = Arc::new(Docs::new(&described, &app.config.issuer)?);
    let at_edge = Edge { clock: app.clock.clone(), proxies: Arc::new(Proxies::of(&app.config)) };
    let layers = ServiceBuilder::new()
        .layer(axum::middleware::from_fn_with_state(at_edge, edge::edge))
        .option_layer(cors(&app.config.cors_origins))
        .layer(axum::middleware::from_fn(edge::refuse))
        .layer(CatchPanicLayer::custom(edge::panicked))
        .layer(Extension(docs));
    let router =
        routes.into_iter().fold(Router::new(), |router, route| router.route(route.path, route.handler));
    let router = router.fallback(edge::not_found).method_not_allowed_fallback(edge::method_not_allowed);
    Ok(router.layer(layers).with_state(app))
}

/// No origin is allowed but those configured, each exact; credentials travel in headers, not cookies.
fn cors(origins: &[String]) -> Option<CorsLayer> {
    if origins.is_empty() {
        return None;
    }
    let origins = origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok());
    let headers = ["authorization", "content-type", "idempotency-key", "x-access-token", "token"];
    let layer = CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins))
        .allow_methods([Method::GET, Method::POST])
        .allow_headers(headers.map(HeaderName::from_static))
        .expose_headers(["x-request-id", "location", "retry-after"].map(HeaderName::from_static))
        .max_age(std::time::Duration::from_secs(600));
    Some(layer)
}
