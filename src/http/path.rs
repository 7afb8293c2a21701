//! The one part of a path that varies.

use crate::http::problem::{NOT_FOUND, Problem};
use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;

/// The part, decoded. What is no UTF-8 names nothing.
#[derive(Debug)]
pub struct PathText(pub String);

impl<S: Send + Sync> FromRequestParts<S> for PathText {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let text = Path::<String>::from_request_parts(parts, state).await;
        text.map(|Path(text)| Self(text)).map_err(|_| NOT_FOUND.because("The path is not UTF-8."))
    }
}
