//! The two layers around every route; each costs a token check more than it looks, so that nothing is done twice.
//!
//! The outermost, [`Edge`], gives a request its id, time and client. On the way out it writes problem documents,
//! sets the headers that every answer carries, and logs one line, without path parameters or query. [`Guard`]
//! refuses what no route takes and turns a panic into an answer.

use crate::base::time::{Clock, Timestamp};
use crate::base::{id, random};
use crate::http::address::{self, Malformed, Proxies};
use crate::http::problem::{
    MALFORMED_CREDENTIALS, MALFORMED_REQUEST, METHOD_NOT_ALLOWED, NOT_FOUND, Problem, TOKEN_IN_QUERY,
};
use crate::metrics::labels::{HttpMethod, StatusClass};
use crate::metrics::{self, Id, Metrics};
use crate::traces::context::Remote;
use crate::traces::{self, Ending, RequestSpan, Tracer};
use axum::extract::{ConnectInfo, MatchedPath, Request};
use axum::http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{self, HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version};
use axum::response::{IntoResponse as _, Response};
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, CatchUnwind, Either, Map, Ready, ready};
use std::any::Any;
use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tower::{Layer, Service};
use uuid::Uuid;

type Answer = Result<Response, Infallible>;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Which span an answer comes from (W3C Trace Context, the draft of its next level).
const TRACERESPONSE: HeaderName = HeaderName::from_static("traceresponse");

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

/// What the outermost layer needs.
#[derive(Debug)]
pub struct Edge {
    /// Tells the time.
    pub clock: Clock,
    /// Whose word on the client's address is taken.
    pub proxies: Proxies,
    /// Routes that are asked all the time and change nothing: the log is silent of them while all is well.
    pub quiet: Vec<(&'static str, &'static str)>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Traces requests, if they are.
    pub tracer: Option<Arc<Tracer>>,
}

impl Edge {
    /// Whether the log need not tell. Of a database that is away load balancers hear all the time, and the log elsewhere.
    fn is_no_news(&self, method: &Method, route: &str, status: u16) -> bool {
        let is_quiet = || self.quiet.contains(&(method.as_str(), route));
        (status < 400 && is_quiet()) || (status == 503 && route.starts_with("/health/"))
    }
}

/// The outermost layer.
#[derive(Clone, Debug)]
pub struct EdgeLayer(pub Arc<Edge>);

impl<S> Layer<S> for EdgeLayer {
    type Service = AtEdge<S>;

    fn layer(&self, inner: S) -> AtEdge<S> {
        AtEdge { edge: self.0.clone(), inner }
    }
}

/// What is inside the outermost layer.
#[derive(Clone, Debug)]
pub struct AtEdge<S> {
    edge: Arc<Edge>,
    inner: S,
}

impl<S> Service<Request> for AtEdge<S>
where
    S: Service<Request, Response = Response, Error = Infallible, Future: Send + 'static>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Answer>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let arrival = arrive(&mut request, &self.edge);
        self.edge.metrics.raise(Id::RequestsInFlight);
        let span =
            self.edge.tracer.as_ref().map(|tracer| tracer.begin(remote(request.headers()), arrival.now));
        let mut line = LogLine {
            edge: self.edge.clone(),
            started: Instant::now(),
            method: request.method().clone(),
            route: request.extensions().get::<MatchedPath>().cloned(),
            arrival,
            span,
            answer: None,
        };
        let answer = traces::within(line.span.clone(), self.inner.call(request));
        Box::pin(async move {
            let mut response = answer.await?;
            let problem = response.extensions_mut().remove::<Problem>();
            let cause = problem.as_ref().and_then(Problem::cause).map(str::to_owned);
            line.answered(response.status(), cause);
            let mut response = finish(written(response, problem, arrival.id), arrival.id);
            if let Some(value) =
                line.span.as_ref().and_then(|span| HeaderValue::try_from(span.to_string()).ok())
            {
                response.headers_mut().insert(TRACERESPONSE, value);
            }
            Ok(response)
        })
    }
}

/// The span that the caller is in.
fn remote(headers: &HeaderMap) -> Option<Remote> {
    let all = |name| headers.get_all(name).iter().map(HeaderValue::as_bytes);
    Remote::of(all("traceparent"), all("tracestate"))
}

/// What is known of a request, left with it for those further in.
fn arrive(request: &mut Request, edge: &Edge) -> Arrival {
    let now = edge.clock.now();
    let address = client(request, &edge.proxies);
    let arrival = Arrival { id: id::uuid_v7(now, random::for_an_id()), now, address };
    request.extensions_mut().insert(arrival);
    arrival
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
    edge: Arc<Edge>,
    started: Instant,
    method: Method,
    route: Option<MatchedPath>,
    arrival: Arrival,
    span: Option<Arc<RequestSpan>>,
    answer: Option<(StatusCode, Option<String>)>,
}

impl LogLine {
    fn answered(&mut self, status: StatusCode, cause: Option<String>) {
        self.answer = Some((status, cause));
    }
}

impl Drop for LogLine {
    fn drop(&mut self) {
        let Self { method, arrival: Arrival { address, id: request_id, .. }, .. } = self;
        let route = self.route.as_ref().map_or("-", MatchedPath::as_str);
        let took = self.started.elapsed();
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let answered = self.answer.as_ref().map(|(status, _)| status.as_u16());
        self.edge.metrics.lower(Id::RequestsInFlight, 1);
        counted(&self.edge.metrics, method, route, answered, took);
        if let Some(span) = &self.span {
            let route = self.route.as_ref().map(MatchedPath::as_str);
            let (method, status, request_id) = (method.as_str(), answered, *request_id);
            span.end(Ending { method, route, status, request_id });
        }
        let trace_id = self.span.as_ref().map(|span| tracing::field::display(span.trace_id()));
        let span_id = self.span.as_ref().map(|span| tracing::field::display(span.span_id()));
        match &self.answer {
            Some((status, cause)) => {
                let (status, cause) = (status.as_u16(), cause.as_deref());
                match status {
                    _ if self.edge.is_no_news(method, route, status) => {
                        tracing::debug!(%method, route, status, micros, %address, %request_id, trace_id, span_id, cause, "request")
                    }
                    503 => {
                        tracing::warn!(%method, route, status, micros, %address, %request_id, trace_id, span_id, cause, "request")
                    }
                    500.. => {
                        tracing::error!(%method, route, status, micros, %address, %request_id, trace_id, span_id, cause, "request")
                    }
                    _ => {
                        tracing::info!(%method, route, status, micros, %address, %request_id, trace_id, span_id, cause, "request")
                    }
                }
            }
            None => {
                tracing::info!(%method, route, micros, %address, %request_id, trace_id, span_id, "request abandoned by the caller")
            }
        }
    }
}

/// Counts a request that is over.
pub fn counted(metrics: &Metrics, method: &Method, route: &str, status: Option<u16>, took: Duration) {
    if !metrics.is_on() {
        return;
    }
    let (method, route) = (HttpMethod::of(method.as_str()).at(), metrics.route(route));
    metrics.count(Id::Requests, &[method, route, StatusClass::of(status).at()]);
    metrics.observe(Id::RequestDuration, &[method, route], metrics::nanos(took));
}

/// Refuses what no route takes, and turns a panic into an answer. Stands inside CORS, so that a web page can read why.
#[derive(Clone, Copy, Debug)]
pub struct Guard;

impl<S> Layer<S> for Guard {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Guarded<S> {
        Guarded(inner)
    }
}

/// What is inside the guard.
#[derive(Clone, Debug)]
pub struct Guarded<S>(S);

impl<S> Service<Request> for Guarded<S>
where
    S: Service<Request, Response = Response, Error = Infallible>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Either<Ready<Answer>, Map<CatchUnwind<AssertUnwindSafe<S::Future>>, fn(Caught) -> Answer>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        match refused(&request) {
            Some(problem) => Either::Left(ready(Ok(problem.into_response()))),
            None => {
                let answer = AssertUnwindSafe(self.0.call(request)).catch_unwind();
                Either::Right(answer.map(settle as fn(Caught) -> Answer))
            }
        }
    }
}

/// What came of a handler: an answer, or its panic.
type Caught = Result<Answer, Box<dyn Any + Send>>;

fn settle(caught: Caught) -> Answer {
    caught.unwrap_or_else(|panic| Ok(panicked(panic.as_ref())))
}

fn panicked(panic: &(dyn Any + Send)) -> Response {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or_default();
    Problem::internal(format!("a handler panicked: {text}")).into_response()
}

/// Whether nothing about a request of `peer` is refused here.
pub fn is_plain<B>(request: &http::Request<B>, peer: SocketAddr, proxies: &Proxies) -> bool {
    refused(request).is_none() && address::client(peer.ip(), request.headers(), proxies).is_ok()
}

fn refused<B>(request: &http::Request<B>) -> Option<Problem> {
    if let Some(malformed) = request.extensions().get::<Malformed>() {
        return Some(MALFORMED_REQUEST.because(format!("The client's address is not known: {malformed}.")));
    }
    let headers = request.headers();
    let hosts = headers.get_all(HOST).iter().count();
    if hosts > 1 || (hosts == 0 && request.version() == Version::HTTP_11) {
        return Some(MALFORMED_REQUEST.because("Send one Host header."));
    }
    if request.version() == Version::HTTP_2 && !has_one_authority(request) {
        return Some(MALFORMED_REQUEST.because("Send :authority, and no Host that differs from it."));
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

/// Whether it is clear which host an HTTP/2 request is for (RFC 9113 §8.3.1).
fn has_one_authority<B>(request: &http::Request<B>) -> bool {
    match (request.uri().authority(), request.headers().get(HOST)) {
        (None, host) => host.is_some(),
        (Some(authority), host) => {
            let own = authority.as_str();
            !own.contains('@') && host.is_none_or(|host| host.as_bytes().eq_ignore_ascii_case(own.as_bytes()))
        }
    }
}

/// Writes the document of a problem; other headers of the answer, such as `Allow`, stay.
fn written(response: Response, problem: Option<Problem>, id: Uuid) -> Response {
    let Some(problem) = problem else { return response };
    let mut document = problem.document(id);
    let headers = document.headers_mut();
    for (name, value) in response.headers() {
        headers.entry(name).or_insert_with(|| value.clone());
    }
    document
}

/// Sets the headers that every answer carries.
pub fn finish(mut response: Response, id: Uuid) -> Response {
    let headers = response.headers_mut();
    headers.reserve(5);
    if let Ok(id) = HeaderValue::from_str(id.hyphenated().encode_lower(&mut Uuid::encode_buffer())) {
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
