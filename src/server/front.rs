//! In front of the router: the JWK set, for which every service that verifies tokens asks again and again. It is a
//! copy of bytes, and the way through the router would cost as much as sending them. Whatever is not plain about a
//! request goes the router's way, which is the only one to all else.

use super::accept::Answers;
use crate::app::App;
use crate::base::{id, random};
use crate::http::address::Proxies;
use crate::http::edge;
use crate::keys::JWK_SET_PATH;
use crate::metrics::Metrics;
use axum::Router;
use axum::extract::ConnectInfo;
use axum::http::header::ORIGIN;
use axum::http::{Method, Request};
use axum::response::Response;
use axum::routing::future::RouteFuture;
use futures_util::future::{Either, Ready, ready};
use hyper::body::Incoming;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use tower::Service as _;

/// What answers the requests of the API.
#[derive(Clone)]
pub(super) struct Front {
    router: Router,
    app: Arc<App>,
    proxies: Arc<Proxies>,
}

/// The answer to a request, at once or from the router.
pub(super) type Answering = Either<Ready<Result<Response, Infallible>>, RouteFuture<Infallible>>;

impl Front {
    /// In front of `router`.
    pub(super) fn new(router: Router, app: Arc<App>) -> Self {
        let proxies = Arc::new(Proxies::of(&app.config));
        Self { router, app, proxies }
    }

    /// `GET /.well-known/jwks.json`, where nobody wants more than the set.
    fn jwk_set<B>(&self, request: &Request<B>, peer: SocketAddr) -> Option<Response> {
        let is_asked = request.method() == Method::GET && request.uri().path() == JWK_SET_PATH;
        let is_plain = is_asked
            && !request.headers().contains_key(ORIGIN)
            && self.app.tracer.is_none()
            && !tracing::enabled!(tracing::Level::DEBUG)
            && edge::is_plain(request, peer, &self.proxies);
        if !is_plain {
            return None;
        }
        let started = self.app.metrics.start();
        let answer = self.app.keyring.present()?.jwk_set().answer(request.headers());
        if let Some(started) = started {
            let (status, took) = (answer.status().as_u16(), started.elapsed());
            edge::counted(&self.app.metrics, request.method(), JWK_SET_PATH, Some(status), took);
        }
        Some(edge::finish(answer, id::uuid_v7(self.app.clock.now(), random::for_an_id())))
    }
}

impl Answers for Front {
    type Answering = Answering;

    fn answer(&self, mut request: Request<Incoming>, peer: SocketAddr) -> Answering {
        if let Some(answer) = self.jwk_set(&request, peer) {
            return Either::Left(ready(Ok(answer)));
        }
        request.extensions_mut().insert(ConnectInfo(peer));
        Either::Right(self.router.clone().call(request))
    }

    fn metrics(&self) -> Option<&Arc<Metrics>> {
        Some(&self.app.metrics)
    }
}
