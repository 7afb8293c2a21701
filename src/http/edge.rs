//! The outermost layer: one pass around every request, in and out.
//!
//! In: the request's id, time and client. Out: problem documents are written, the headers that every answer
//! carries are set, and one line is logged, without path parameters or query.

use crate::base::time::{Clock, Timestamp};
use crate::base::{id, random};
use crate::http::address::{self, Malformed, Proxies};
use crate::http::problem::{
    MALFORMED_CREDENTIALS, MALFORMED_REQUEST, METHOD_NOT_ALLOWED, NOT_FOUND, Problem, TOKEN_IN_QUERY,
};
use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, Version};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use std::any::Any;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;
use uuid::Uuid;

/// Routes that load balancers ask all the time; the log tells of changes elsewhere.
const QUIET: &[&str] = &["/health/live", "/health/ready"];

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Query parameters that would carry a secret (RFC 9700 §4.3.2).
const SECRET_PARAMETERS: &[&str] = &[
    "access_token",
    "x-access-token",
    "token",
    "refresh_token",
    "client_secret",
    "password",
    "current_password",
    "new_password",
];

/// What is known of a request as it arrives.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// Its id, made here and never taken from the caller.
    pub id: Uuid,
    /// Its time, read once.
    pub now: Timestamp,
    /// The client's address.
    pub address: IpAddr,
}

/// What the layer needs.
#[derive(Clone, Debug)]
pub struct Edge {
    /// Tells the time.
    pub clock: Clock,
    /// Whose word on the client's address is taken.
    pub proxies: Arc<Proxies>,
}

/// The layer.
pub async fn edge(State(edge): State<Edge>, mut request: Request, next: Next) -> Response {
    let now = edge.clock.now();
    let id = id::uuid_v7(now, random::bytes());
    let address = client(&mut request, &edge.proxies);
    request.extensions_mut().insert(Arrival { id, now, address });
    let mut line = LogLine {
        started: Instant::now(),
        method: request.method().clone(),
        route: request.extensions().get::<MatchedPath>().cloned(),
        address,
        id: id.to_string(),
        answer: None,
    };
    let mut response = next.run(request).await;
    let problem = response.extensions_mut().remove::<Problem>();
    let cause = problem.as_ref().and_then(Problem::cause).map(str::to_owned);
    line.answer = Some((response.status(), cause));
    finish(written(response, problem, &line.id), &line.id)
}

/// The client's address. Where a proxy's header makes no sense it is the proxy's, and `refuse` is told.
fn client(request: &mut Request, proxies: &Proxies) -> IpAddr {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let peer = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |info| info.0.ip());
    address::client(peer, request.headers(), proxies).unwrap_or_else(|malformed| {
        request.extensions_mut().insert(malformed);
        peer.to_canonical()
    })
}

/// The one line of a request. Written when dropped, so that a caller who hangs up leaves it too.
struct LogLine {
    started: Instant,
    method: Method,
    route: Option<MatchedPath>,
    address: IpAddr,
    id: String,
    answer: Option<(StatusCode, Option<String>)>,
}

impl Drop for LogLine {
    fn drop(&mut self) {
        let Self { method, address, id: request_id, .. } = self;
        let route = self.route.as_ref().map_or("-", MatchedPath::as_str);
        let micros = u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX);
        match &self.answer {
            Some((status, cause)) => {
                let (status, cause) = (status.as_u16(), cause.as_deref());
                match status {
                    _ if QUIET.contains(&route) => {
                        tracing::debug!(%method, route, status, micros, %address, %request_id, cause, "request")
                    }
                    503 => {
                        tracing::warn!(%method, route, status, micros, %address, %request_id, cause, "request")
                    }
                    500.. => {
                        tracing::error!(%method, route, status, micros, %address, %request_id, cause, "request")
                    }
                    _ => {
                        tracing::info!(%method, route, status, micros, %address, %request_id, cause, "request")
                    }
                }
            }
            None => {
                tracing::info!(%method, route, micros, %address, %request_id, "request abandoned by the caller")
            }
        }
    }
}

/// What is refused on every route. Stands inside CORS, so that a web page can read why.
pub async fn refuse(request: Request, next: Next) -> Response {
    match refused(&request) {
        Some(problem) => problem.into_response(),
        None => next.run(request).await,
    }
}

fn refused(request: &Request) -> Option<Problem> {
    if let Some(malformed) = request.extensions().get::<Malformed>() {
        return Some(MALFORMED_REQUEST.because(format!("The client's address is not known: {malformed}.")));
    }
    let headers = request.headers();
    let hosts = headers.get_all(HOST).iter().count();
    if hosts > 1 || (hosts == 0 && request.version() == Version::HTTP_11) {
        return Some(MALFORMED_REQUEST.because("Send one Host header."));
    }
    if headers.get_all(AUTHORIZATION).iter().nth(1).is_some() {
        return Some(MALFORMED_CREDENTIALS.because("Send one Authorization header."));
    }
    let query = request.uri().query().unwrap_or_default();
    let mut names = url::form_urlencoded::parse(query.as_bytes()).map(|(name, _)| name);
    names
        .any(|name| SECRET_PARAMETERS.iter().any(|secret| name.eq_ignore_ascii_case(secret)))
        .then(|| TOKEN_IN_QUERY.because("Send the token in a header; never in a URL."))
}

/// Writes the document of a problem; other headers of the answer, such as `Allow`, stay.
fn written(response: Response, problem: Option<Problem>, id: &str) -> Response {
    let Some(problem) = problem else { return response };
    let mut document = problem.document(id);
    let headers = document.headers_mut();
    for (name, value) in response.headers() {
        headers.entry(name).or_insert_with(|| value.clone());
    }
    document
}

fn finish(mut response: Response, id: &str) -> Response {
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID, id);
    }
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers
        .entry(CONTENT_SECURITY_POLICY)
        .or_insert(HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"));
    response
}

/// The answer to a path that no route has.
pub async fn not_found() -> Problem {
    NOT_FOUND.because("This path is no part of the API. The API is described at /docs.")
}

/// The answer to a method that a route has not; the router adds `Allow`.
pub async fn method_not_allowed() -> Problem {
    METHOD_NOT_ALLOWED.because("Use one of the methods in the Allow header.")
}

/// The answer where a handler panicked.
#[allow(clippy::needless_pass_by_value)] // The signature of tower-http's `ResponseForPanic`.
pub fn panicked(panic: Box<dyn Any + Send + 'static>) -> Response {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
    Problem::internal(format!("a handler panicked: {text}")).into_response()
}
