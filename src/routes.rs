//! The map of the attack surface: every route on one line. The router, the OpenAPI document, the
//! documentation page and the surface tests are made from it.

use crate::app::App;
use crate::audit::Kind;
use crate::config::Config;
use crate::http::address::Proxies;
use crate::http::edge::{self, Edge, EdgeLayer, Guard};
use crate::http::limit::{self, Gate, Limit, Limiter, Limits};
use crate::http::openapi::{Access, Described, Operation};
use crate::metrics::{Metrics, Vocabulary};
use crate::pages::docs::{self, Docs};
use crate::{accounts, credentials, health, keys, login, oauth, sessions, status};
use Access::{Account, Anyone, ApiKey, Password, Token};
use Limit::Free;
use axum::handler::Handler;
use axum::http::{HeaderName, HeaderValue, Method};
use axum::routing::{MethodFilter, MethodRouter, on};
use axum::{Extension, Router};
use std::sync::Arc;
use tower::ServiceBuilder;
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
    /// How often one network may.
    pub limit: Limit,
    /// What it says of itself.
    pub operation: &'static Operation,
    handler: MethodRouter<Arc<App>>,
}

/// All routes of a server with this configuration.
#[rustfmt::skip]
pub fn table(config: &Config) -> Vec<Route> {
    let Limits { sign_up, log_in, token, change } = Limits::of(config.dev);
    let mut routes = vec![
        post("/user", Anyone, sign_up, &accounts::api::SIGN_UP, accounts::api::sign_up),
        post("/login", Anyone, log_in, &login::api::POST_LOGIN, login::api::by_json),
        get("/user/profile", Token, Free, &accounts::api::GET_PROFILE, accounts::api::profile),
        patch("/user/profile", Account, change, &accounts::api::PATCH_PROFILE, accounts::api::change_profile),
        put("/user/password", Account, change, &credentials::api::PUT_PASSWORD, credentials::api::change_password),
        delete("/user", Account, change, &credentials::api::DELETE_USER, credentials::api::delete),
        get("/user/sessions", Account, token, &sessions::api::LIST_SESSIONS, sessions::api::list),
        delete("/user/sessions", Account, change, &sessions::api::END_SESSIONS, sessions::api::end_many),
        delete("/user/sessions/{id}", Account, change, &sessions::api::END_SESSION, sessions::api::end_one),
        post("/logout", Token, token, &sessions::api::LOG_OUT, sessions::api::log_out),
        post("/token", Anyone, token, &oauth::api::TOKEN, oauth::api::token),
        post("/revoke", ApiKey, token, &oauth::api::REVOKE, oauth::api::revoke),
        post("/introspect", ApiKey, Free, &oauth::api::INTROSPECT, oauth::api::introspect),
        get("/status/{list}", Anyone, Free, &status::api::GET_STATUS_LIST, status::api::status_list),
        get("/jwks", Token, Free, &keys::api::GET_JWKS, keys::api::jwks),
        get(keys::JWK_SET_PATH, Anyone, Free, &keys::api::GET_JWK_SET, keys::api::jwk_set),
        get("/health/live", Anyone, Free, &health::api::GET_LIVE, health::api::live),
        get("/health/ready", Anyone, Free, &health::api::GET_READY, health::api::ready),
        get("/openapi.json", Anyone, Free, &docs::GET_OPENAPI, docs::openapi),
        get("/docs", Anyone, Free, &docs::GET_DOCS, docs::page),
        get("/docs/style.css", Anyone, Free, &docs::GET_STYLE, docs::style),
    ];
    if config.get_login {
        routes.insert(1, get("/login", Password, log_in, &login::api::GET_LOGIN, login::api::by_basic));
    }
    routes
}

/// One function for each method: `get(path, access, limit, operation, handler)`.
macro_rules! methods {
    ($($name:ident = $method:literal $filter:ident;)*) => {$(
        fn $name<H: Handler<T, Arc<App>>, T: 'static>(
            path: &'static str,
            access: Access,
            limit: Limit,
            operation: &'static Operation,
            handler: H,
        ) -> Route {
            Route { method: $method, path, access, limit, operation, handler: on(MethodFilter::$filter, handler) }
        }
    )*};
}

methods! {
    get = "GET" GET;
    post = "POST" POST;
    put = "PUT" PUT;
    patch = "PATCH" PATCH;
    delete = "DELETE" DELETE;
}

impl Route {
    /// The route as its documentation needs it.
    pub fn described(&self) -> Described<'static> {
        let Self { method, path, access, limit, operation, .. } = *self;
        Described { method, path, access, limit, operation }
    }

    /// The handler with what this route needs around it, and nothing else.
    fn outfitted(
        self,
        limiter: &Arc<Limiter>,
        docs: &Arc<Docs>,
        metrics: &Arc<Metrics>,
    ) -> MethodRouter<Arc<App>> {
        let handler = match self.limit {
            Limit::Free => self.handler,
            Limit::Of(class) => {
                let oauth = self.operation.speaks_oauth(self.access);
                let gate = Gate { limiter: limiter.clone(), class, oauth, metrics: metrics.clone() };
                self.handler.route_layer(axum::middleware::from_fn_with_state(gate, limit::limited))
            }
        };
        if docs::answers(self.operation) { handler.layer(Extension(docs.clone())) } else { handler }
    }
}

/// The names of routes and events for the metrics of a server with this configuration.
pub fn vocabulary(config: &Config) -> Vocabulary {
    let routes = table(config).iter().map(|route| (route.method, route.path)).collect();
    Vocabulary::new(routes, Kind::ALL.iter().map(|kind| kind.name()).collect())
}

/// The router of a server.
pub fn router(app: Arc<App>) -> Router {
    let routes = table(&app.config);
    let docs = Arc::new(Docs::new(routes.iter().map(Route::described).collect(), &app.config.issuer));
    let quiet =
        routes.iter().filter(|route| route.limit == Free).map(|route| (route.method, route.path)).collect();
    let edge = Edge {
        clock: app.clock.clone(),
        proxies: Proxies::of(&app.config),
        quiet,
        metrics: app.metrics.clone(),
        tracer: app.tracer.clone(),
    };
    let metrics = app.metrics.clone();
    let layers = ServiceBuilder::new()
        .layer(EdgeLayer(Arc::new(edge)))
        .option_layer(cors(&app.config.cors_origins))
        .layer(Guard);
    let limiter = Arc::new(Limiter::new(app.config.limits));
    let router = routes.into_iter().fold(Router::new(), |router, route| {
        router.route(route.path, route.outfitted(&limiter, &docs, &metrics))
    });
    let router = router.fallback(edge::not_found).method_not_allowed_fallback(edge::method_not_allowed);
    router.layer(layers).with_state(app)
}

/// No origin is allowed but those configured, each exact; credentials travel in headers, not cookies.
fn cors(origins: &[String]) -> Option<CorsLayer> {
    if origins.is_empty() {
        return None;
    }
    let origins = origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok());
    let headers = ["authorization", "content-type", "idempotency-key", "x-access-token", "token"];
    let exposed = ["x-request-id", "location", "retry-after", "ratelimit", "ratelimit-policy"];
    let layer = CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins))
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        .allow_headers(headers.map(HeaderName::from_static))
        .expose_headers(exposed.map(HeaderName::from_static))
        .max_age(std::time::Duration::from_secs(600));
    Some(layer)
}
