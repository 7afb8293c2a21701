//! Layers for any [`tower_service::Service`] of `http` requests: axum, tonic, hyper.
//!
//! ```
//! # fn app<S>(verifier: claviger_verify::Verifier, service: S) {
//! use claviger_verify::tower::{ScopeLayer, TokenLayer};
//! use tower::ServiceBuilder;
//!
//! let service = ServiceBuilder::new()
//!     .layer(TokenLayer::new(verifier))        // 401, or the claims in the request's extensions
//!     .layer(ScopeLayer::new("orders:write"))  // 403 where they do not allow this
//!     .service(service);
//! # }
//! ```

use crate::claims::Claims;
use crate::rejection::Rejection;
use crate::verifier::Verifier;
use http::{Request, Response};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tower_layer::Layer;
use tower_service::Service;

/// The future of an answer.
pub type Answering<R, E> = Pin<Box<dyn Future<Output = Result<Response<R>, E>> + Send>>;

/// Lets requests through that bear a good token, with its [`Claims`] in their extensions; answers all others.
#[derive(Clone, Debug)]
pub struct TokenLayer(Verifier);

impl TokenLayer {
    /// By this verifier.
    pub fn new(verifier: Verifier) -> Self {
        Self(verifier)
    }
}

impl<S> Layer<S> for TokenLayer {
    type Service = TokenService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        TokenService { verifier: self.0.clone(), inner }
    }
}

/// A service behind a [`TokenLayer`].
#[derive(Clone, Debug)]
pub struct TokenService<S> {
    verifier: Verifier,
    inner: S,
}

impl<S, B, R> Service<Request<B>> for TokenService<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
    R: Default,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = Answering<R, S::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        // The one that was ready goes along, a clone stays.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        let verifier = self.verifier.clone();
        Box::pin(async move {
            match verifier.verify_headers(request.headers()).await {
                Ok(claims) => drop(request.extensions_mut().insert(claims)),
                Err(rejection) => return Ok(rejection.response()),
            }
            inner.call(request).await
        })
    }
}

/// Lets requests through whose token allows a scope. Goes inside of a [`TokenLayer`]; without one it answers 401 to all.
#[derive(Clone, Debug)]
pub struct ScopeLayer(Arc<str>);

impl ScopeLayer {
    /// For this one scope.
    pub fn new(scope: impl Into<Arc<str>>) -> Self {
        Self(scope.into())
    }
}

impl<S> Layer<S> for ScopeLayer {
    type Service = ScopeService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        ScopeService { scope: self.0.clone(), inner }
    }
}

/// A service behind a [`ScopeLayer`].
#[derive(Clone, Debug)]
pub struct ScopeService<S> {
    scope: Arc<str>,
    inner: S,
}

impl<S, B, R> Service<Request<B>> for ScopeService<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
    R: Default + Send + 'static,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = Answering<R, S::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let claims = request.extensions().get::<Claims>();
        match claims.ok_or(Rejection::NoToken).and_then(|claims| claims.require_scope(&self.scope)) {
            Ok(()) => Box::pin(self.inner.call(request)),
            Err(rejection) => Box::pin(std::future::ready(Ok(rejection.response()))),
        }
    }
}
