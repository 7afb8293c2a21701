//! Extractors for axum 0.8.
//!
//! ```
//! use axum::Router;
//! use axum::routing::{get, post};
//! use claviger_verify::axum::Authenticated;
//! use claviger_verify::{Rejection, Verifier};
//!
//! async fn hello(Authenticated(claims): Authenticated) -> String {
//!     format!("Hello {}\n", claims.subject())
//! }
//!
//! async fn order(Authenticated(claims): Authenticated) -> Result<String, Rejection> {
//!     claims.require_scope("orders:write")?;
//!     Ok(format!("An order of {}\n", claims.subject()))
//! }
//!
//! fn app(verifier: Verifier) -> Router {
//!     Router::new().route("/hello", get(hello)).route("/orders", post(order)).with_state(verifier)
//! }
//! ```
//!
//! With a [`TokenLayer`](crate::tower::TokenLayer) around the routes, a handler takes [`Claims`] themselves.

use crate::claims::Claims;
use crate::rejection::Rejection;
use crate::verifier::Verifier;
use axum_core::extract::{FromRef, FromRequestParts};
use axum_core::response::{IntoResponse, Response};
use http::request::Parts;

/// The claims of the request's token, verified here, by the [`Verifier`] in the router's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authenticated(pub Claims);

impl<S: Send + Sync> FromRequestParts<S> for Authenticated
where
    Verifier: FromRef<S>,
{
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Rejection> {
        Verifier::from_ref(state).verify_headers(&parts.headers).await.map(Self)
    }
}

/// The claims that a [`TokenLayer`](crate::tower::TokenLayer) has left. Without one every request is refused.
impl<S: Send + Sync> FromRequestParts<S> for Claims {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Rejection> {
        parts.extensions.get::<Self>().cloned().ok_or(Rejection::NoToken)
    }
}

impl IntoResponse for Rejection {
    fn into_response(self) -> Response {
        self.response()
    }
}
