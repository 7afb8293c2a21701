//! `GET /metrics`, on a listener of its own, with the time limits of the API's. It asks nobody, so it never waits.

mod process;
mod sample;

use super::accept::{self, Answers, Phase};
use super::{BACKLOG, StartError, bound};
use crate::app::App;
use crate::metrics::{Metrics, PAGE_TYPE};
use axum::body::Body;
use axum::http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderValue, Method, Request, StatusCode};
use axum::response::{IntoResponse as _, Response};
use futures_util::future::{Ready, ready};
use hyper::body::Incoming;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use tokio::net::TcpSocket;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// The most connections: a few scrapers, each with one or two.
const MOST: usize = 16;

/// Where the metrics are.
const PATH: &str = "/metrics";

/// An address that was taken and does not listen yet.
pub(super) struct Monitor {
    socket: TcpSocket,
    address: SocketAddr,
}

/// A listener that serves until this is dropped.
pub(super) struct Serving {
    pub(super) address: SocketAddr,
    _tasks: JoinSet<()>,
    _phase: watch::Sender<Phase>,
}

impl Monitor {
    /// Takes the address, so that a taken one is noticed before anything is made.
    pub(super) fn take(address: SocketAddr) -> Result<Self, StartError> {
        let socket = bound(address).map_err(|error| StartError::Metrics(address, error))?;
        Ok(Self { socket, address })
    }

    /// Begins to serve.
    pub(super) fn serve(self, app: Arc<App>) -> Result<Serving, StartError> {
        let unavailable = |error| StartError::Metrics(self.address, error);
        let listener = self.socket.listen(BACKLOG).map_err(unavailable)?;
        let address = listener.local_addr()?;
        let (phase, phases) = watch::channel(Phase::Serving);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let page = Page { app };
            if let Err(error) =
                accept::run(listener, page, None, MOST, Arc::<AtomicBool>::default(), phases).await
            {
                tracing::error!(%error, "the listener of the metrics has ended");
            }
        });
        Ok(Serving { address, _tasks: tasks, _phase: phase })
    }
}

/// What answers the requests of the listener.
#[derive(Clone)]
struct Page {
    app: Arc<App>,
}

impl Answers for Page {
    type Answering = Ready<Result<Response, Infallible>>;

    fn answer(&self, request: Request<Incoming>, _: SocketAddr) -> Self::Answering {
        ready(Ok(answer(&self.app, request.method(), request.uri().path())))
    }

    /// They are not the API's.
    fn metrics(&self) -> Option<&Arc<Metrics>> {
        None
    }
}

fn answer(app: &App, method: &Method, path: &str) -> Response {
    if path != PATH {
        return (StatusCode::NOT_FOUND, "There is nothing here but /metrics.\n").into_response();
    }
    if method != Method::GET && method != Method::HEAD {
        let allow = [(ALLOW, HeaderValue::from_static("GET,HEAD"))];
        return (StatusCode::METHOD_NOT_ALLOWED, allow, "Fetch it by GET.\n").into_response();
    }
    sample::take(app);
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static(PAGE_TYPE)),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    (headers, Body::from(app.metrics.page())).into_response()
}
