//! Errors in the form that OAuth's clients read (RFC 6749 §5.2), for the routes that speak OAuth.
//!
//! They are problems all the same: `edge` writes them out and logs their cause.

use crate::http::basic;
use crate::http::problem::{Kind, Problem};
use axum::http::header::{HeaderValue, WWW_AUTHENTICATE};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;

/// An error of a route that speaks OAuth; `?` makes it from any problem.
#[derive(Clone, Debug)]
pub struct OauthError(Problem);

impl OauthError {
    /// The problem that it tells.
    pub fn problem(&self) -> &Problem {
        &self.0
    }
}

impl<P: Into<Problem>> From<P> for OauthError {
    fn from(problem: P) -> Self {
        Self(problem.into().in_oauth())
    }
}

impl IntoResponse for OauthError {
    fn into_response(self) -> Response {
        self.0.into_response()
    }
}

/// An error as OAuth writes it (RFC 6749 §5.2).
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "OauthError")]
pub struct Document {
    /// The code, stable.
    error: &'static str,
    /// What happened this time and what to do.
    error_description: String,
}

/// The answer for a problem. A 401 has a challenge in any case (RFC 9110 §11.6.1).
pub fn document(problem: Problem) -> Response {
    let mut description = problem.detail().to_owned();
    for field in problem.field_errors() {
        description.push_str(&format!(" {} {}.", field.pointer.trim_start_matches('/'), field.detail));
    }
    let document = Document { error: code(problem.kind()), error_description: printable(&description) };
    let mut response = problem.answer("application/json", &document);
    if response.status() == 401 {
        let challenge = HeaderValue::from_static(basic::CHALLENGE);
        response.headers_mut().entry(WWW_AUTHENTICATE).or_insert(challenge);
    }
    response
}

/// The code of a kind: its own where OAuth has one (RFC 6749 §5.2, RFC 7009 §2.2.1, RFC 6750 §3.1), and
/// otherwise that of its status, some of which RFC 6749 §4.1.2.1 lends.
fn code(kind: &Kind) -> &'static str {
    match (kind.name, kind.status) {
        ("invalid-client", _) => "invalid_client",
        ("invalid-grant", _) => "invalid_grant",
        ("invalid-scope", _) => "invalid_scope",
        ("unsupported-grant-type", _) => "unsupported_grant_type",
        ("invalid-token", _) => "invalid_token",
        ("insufficient-scope", _) => "insufficient_scope",
        (_, 401) => "invalid_client",
        (_, 429 | 503) => "temporarily_unavailable",
        (_, 500..) => "server_error",
        _ => "invalid_request",
    }
}

/// The characters that `error_description` may have (RFC 6749 §5.2).
fn printable(text: &str) -> String {
    let allowed = |c| match c {
        '"' => '\'',
        '\\' => '/',
        ' '..='~' => c,
        _ => '?',
    };
    text.chars().map(allowed).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::base::time::Clock;
    use crate::config::AddressHeader;
    use crate::http::address::Proxies;
    use crate::http::edge::{Edge, EdgeLayer};
    use crate::http::form::FormBody;
    use crate::http::problem::{
        ALL, BUSY, INTERNAL_ERROR, INVALID_CLIENT, INVALID_GRANT, INVALID_REQUEST, MALFORMED_JSON,
        TOO_MANY_REQUESTS,
    };
    use axum::Router;
    use axum::body::Body;
    use axum::extract::Request;
    use axum::http::{StatusCode, header::CONTENT_TYPE};
    use axum::routing::post;
    use http_body_util::BodyExt as _;
    use serde_json::{Value, json};
    use std::sync::Arc;
    use tower::Service as _;

    #[test]
    fn each_kind_has_a_code_of_oauth() {
        for (kind, expected) in [
            (&INVALID_GRANT, "invalid_grant"),
            (&MALFORMED_JSON, "invalid_request"),
            (&TOO_MANY_REQUESTS, "temporarily_unavailable"),
            (&BUSY, "temporarily_unavailable"),
            (&INTERNAL_ERROR, "server_error"),
        ] {
            assert_eq!(code(kind), expected);
        }
        assert!(ALL.iter().all(|kind| code(kind).bytes().all(|b| b.is_ascii_lowercase() || b == b'_')));
    }

    #[test]
    fn a_401_is_challenged() {
        let response = document(INVALID_CLIENT.because("x"));
        assert_eq!(
            (response.status(), response.headers().get(WWW_AUTHENTICATE).unwrap()),
            (StatusCode::UNAUTHORIZED, &HeaderValue::from_static(basic::CHALLENGE))
        );
        let own = document(INVALID_CLIENT.because("x").challenge("Bearer"));
        assert_eq!(own.headers().get_all(WWW_AUTHENTICATE).iter().collect::<Vec<_>>(), ["Bearer"]);
    }

    /// A route that speaks OAuth, as a caller sees it.
    async fn answer(content_type: &str, body: &str) -> (Response, Value) {
        let handler = async |FormBody(form): FormBody| -> Result<(), OauthError> {
            let token =
                form.get("token").ok_or(INVALID_REQUEST.because("The parameter `token` is missing."))?;
            Err(INVALID_CLIENT.because(format!("{} \"octets\"", token.len())).into())
        };
        let proxies = Proxies::new(vec![], AddressHeader::XRealIp);
        let clock = Clock::Manual(Arc::default());
        let edge = Edge { clock, proxies, quiet: Vec::new(), metrics: Arc::default(), tracer: None };
        let mut router = Router::new().route("/", post(handler)).layer(EdgeLayer(Arc::new(edge)));
        let request = Request::post("/").header(CONTENT_TYPE, content_type).body(Body::from(body.to_owned()));
        let (parts, body) = router.call(request.unwrap()).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        (Response::from_parts(parts, Body::empty()), serde_json::from_slice(&body).unwrap())
    }

    #[tokio::test]
    async fn a_route_answers_its_errors_as_oauth_has_them() {
        let form = "application/x-www-form-urlencoded";
        for (content_type, body, status, error, description) in [
            (form, "token=abc", 401, "invalid_client", "3 'octets'"),
            (
                "application/X-WWW-form-urlencoded;charset=UTF-8",
                "token=%C3%A9",
                401,
                "invalid_client",
                "2 'octets'",
            ),
            (form, "token=", 400, "invalid_request", "The parameter `token` is missing."),
            (form, "token=a&token=a", 400, "invalid_request", "A parameter stands twice. Send each once."),
            ("application/json", "{}", 415, "invalid_request", &*format!("Send the body as {form}.")),
            (form, &*"x".repeat(65537), 413, "invalid_request", "The body is larger than 64 kB."),
        ] {
            let (response, document) = answer(content_type, body).await;
            assert_eq!(document, json!({ "error": error, "error_description": description }));
            assert_eq!(response.status().as_u16(), status, "{description}");
            let header = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap());
            assert_eq!(
                (header("content-type"), header("cache-control")),
                (Some("application/json"), Some("no-store"))
            );
            assert_eq!(header("www-authenticate").is_some(), status == 401);
            assert!(header("x-request-id").is_some());
        }
    }

    #[test]
    fn a_description_has_only_the_characters_it_may() {
        assert_eq!(printable("say \"a\\b\" é\n`c`~"), "say 'a/b' ??`c`~");
    }
}
