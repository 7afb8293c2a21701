//! Errors as problem documents (RFC 9457): a stable `type`, a sentence that helps, nothing internal.
//!
//! A handler returns a [`Problem`]; `edge` writes it out, with the request's id, and logs its cause.

use crate::http::oauth;
use axum::body::Body;
use axum::http::header::{HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;
use std::borrow::Cow;
use uuid::Uuid;

/// A kind of problem: one stable `type`.
#[derive(Debug, PartialEq, Eq)]
pub struct Kind {
    /// The last part of `type`.
    pub name: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// `title`.
    pub title: &'static str,
    /// What it means and what to do, for the documentation.
    pub meaning: &'static str,
}

macro_rules! kinds {
    ($($constant:ident = $status:literal $name:literal, $title:literal, $meaning:literal;)*) => {
        $(#[doc = $meaning]
        pub static $constant: Kind = Kind { name: $name, status: $status, title: $title, meaning: $meaning };)*

        /// Every kind, for the documentation.
        pub static ALL: &[&Kind] = &[$(&$constant),*];
    };
}

kinds! {
    MALFORMED_REQUEST = 400 "malformed-request", "The request is not well formed",
        "A request has exactly one Host header (RFC 9112 §3.2). Where a trusted proxy writes the client's address, it is an IP address.";
    MALFORMED_JSON = 400 "malformed-json", "The body is not JSON",
        "The body must be one JSON object in UTF-8 in which no name stands twice.";
    MALFORMED_CREDENTIALS = 400 "malformed-credentials", "The credentials cannot be read",
        "Send one Authorization header (or one token header), in the form of RFC 7617 or RFC 6750.";
    INVALID_REQUEST = 400 "invalid-request", "The request is not as OAuth has it",
        "A parameter is missing, stands twice or has no meaning here (RFC 6749 §5.2).";
    INVALID_GRANT = 400 "invalid-grant", "The grant is not valid",
        "The refresh token has expired, was used, was revoked, or belongs to another client (RFC 6749 §5.2). Log in again.";
    INVALID_SCOPE = 400 "invalid-scope", "The scope is not valid",
        "The scope is unknown, or wider than the one that was granted (RFC 6749 §5.2).";
    UNSUPPORTED_GRANT_TYPE = 400 "unsupported-grant-type", "This grant type is not supported",
        "The documentation of the route lists the grant types (RFC 6749 §5.2).";
    TOKEN_IN_QUERY = 400 "token-in-query", "Secrets do not belong in a URL",
        "URLs end up in logs and histories. Send the token in a header, passwords in the body. Treat this one as known to others.";
    CREDENTIALS_REQUIRED = 401 "credentials-required", "Credentials are required",
        "The WWW-Authenticate header says which: an e-mail address with its password, or a token from a login.";
    WRONG_CREDENTIALS = 401 "wrong-credentials", "Wrong credentials",
        "There is no account with this e-mail address (or unshared name) and password. The answer is the same whichever is wrong.";
    INVALID_TOKEN = 401 "invalid-token", "The token is not valid",
        "It has expired, was altered, was made for another service, or its account is gone. Log in again.";
    INVALID_CLIENT = 401 "invalid-client", "The caller is not known",
        "The route needs an API key, which the operator makes. There is none like this, or it was revoked (RFC 6749 §5.2).";
    WRONG_PASSWORD = 403 "wrong-password", "Wrong password",
        "The token is good, but the password sent with it is not the account's present one.";
    INSUFFICIENT_SCOPE = 403 "insufficient-scope", "The token's scope does not cover this",
        "Log in again, or refresh without a scope: the new token has all that was granted (RFC 6750 §3.1). An API key needs another scope.";
    NOT_FOUND = 404 "not-found", "There is nothing here",
        "The path names no part of this API, or something that does not exist (any more).";
    METHOD_NOT_ALLOWED = 405 "method-not-allowed", "This method is not allowed here",
        "The Allow header lists the methods that are.";
    BODY_TOO_SLOW = 408 "body-too-slow", "The body took too long",
        "The whole body must arrive within 4 seconds.";
    EMAIL_TAKEN = 409 "email-taken", "The e-mail address is taken",
        "An account with this e-mail address exists. Log in instead.";
    IDEMPOTENCY_KEY_REUSED = 422 "idempotency-key-reused", "The Idempotency-Key belongs to another request",
        "A key names one request. Send the same request again, or take a new key.";
    BODY_TOO_LARGE = 413 "body-too-large", "The body is too large",
        "A body may have 64 kB.";
    UNSUPPORTED_MEDIA_TYPE = 415 "unsupported-media-type", "The body is of another type",
        "Send the body with Content-Type: application/json; to OAuth's routes, with application/x-www-form-urlencoded.";
    INVALID_FIELDS = 422 "invalid-fields", "Some fields are not valid",
        "The member errors lists each field by its JSON pointer and says what to change.";
    TOO_MANY_REQUESTS = 429 "too-many-requests", "Too many requests",
        "Your network has had its share for now. Nothing was changed. Try again after the seconds in the Retry-After header.";
    TOO_MANY_GUESSES = 429 "too-many-guesses", "Too many wrong passwords",
        "There were too many for this account, or from your network. The password was not checked. Wait as the Retry-After header says.";
    INTERNAL_ERROR = 500 "internal-error", "Something went wrong here",
        "It is not your fault. The operator finds the cause in the log under the id in the member instance.";
    BUSY = 503 "busy", "The server is busy",
        "Nothing was changed. Try again after the seconds in the Retry-After header.";
    DATABASE_UNAVAILABLE = 503 "database-unavailable", "The database is unavailable",
        "Nothing was changed. Try again after the seconds in the Retry-After header.";
    OUTCOME_UNKNOWN = 503 "outcome-unknown", "It is not known whether this was done",
        "The database went away while it saved the change. A sign-up with an Idempotency-Key, a refresh and a revocation can simply be sent again.";
    NOT_READY = 503 "not-ready", "Send requests elsewhere",
        "A load balancer should send none here now: the member detail says what is missing, or that the server is stopping.";
}

impl Kind {
    /// The `type` URI: the kind's place in the documentation that this server serves.
    pub fn uri(&self) -> String {
        format!("/docs#{}", self.name)
    }

    /// A problem of this kind.
    pub fn because(&'static self, detail: impl Into<Cow<'static, str>>) -> Problem {
        Problem {
            kind: self,
            detail: detail.into(),
            fields: Vec::new(),
            headers: Vec::new(),
            cause: None,
            oauth: false,
        }
    }
}

/// A field that is not valid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct FieldError {
    /// The field, as a JSON pointer (RFC 6901).
    pub pointer: Cow<'static, str>,
    /// What to change.
    pub detail: Cow<'static, str>,
}

/// An error on its way to the caller.
#[derive(Clone, Debug)]
pub struct Problem {
    kind: &'static Kind,
    detail: Cow<'static, str>,
    fields: Vec<FieldError>,
    headers: Vec<(HeaderName, HeaderValue)>,
    cause: Option<String>,
    oauth: bool,
}

/// A problem document (RFC 9457).
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Problem")]
pub struct Document {
    /// The kind of problem, stable.
    r#type: String,
    /// The kind in a few words.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// What happened this time and what to do.
    detail: Cow<'static, str>,
    /// This request's id, as in the header `X-Request-Id` and the log.
    instance: String,
    /// The fields that are not valid.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldError>,
}

impl Problem {
    /// Fields that are not valid.
    pub fn fields(fields: Vec<FieldError>) -> Self {
        let mut problem =
            INVALID_FIELDS.because("Change the fields listed in errors and send the request again.");
        problem.fields = fields;
        problem
    }

    /// One field that is not valid.
    #[allow(clippy::needless_pass_by_value)] // So that it fits `map_err`.
    pub fn field(pointer: &'static str, why: impl ToString) -> Self {
        Self::fields(vec![FieldError { pointer: pointer.into(), detail: why.to_string().into() }])
    }

    /// A failure of ours; `cause` goes to the log only.
    #[allow(clippy::needless_pass_by_value)] // So that it fits `map_err`.
    pub fn internal(cause: impl ToString) -> Self {
        let mut problem = INTERNAL_ERROR.because("The server could not do this. The cause is in its log.");
        problem.cause = Some(cause.to_string());
        problem
    }

    /// Too much to do at the moment.
    pub fn busy(cause: &impl ToString) -> Self {
        Self::retry(&BUSY, "The server has too much to do. Try again in a moment.", cause)
    }

    fn retry(kind: &'static Kind, detail: &'static str, cause: &impl ToString) -> Self {
        let mut problem = kind.because(detail).retry_after(2);
        problem.cause = Some(cause.to_string());
        problem
    }

    /// Adds a header to the answer.
    pub fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Says when to try again.
    pub fn retry_after(self, seconds: u64) -> Self {
        self.with(RETRY_AFTER, seconds.into())
    }

    /// Adds the challenge that a 401 must carry (RFC 9110 §11.6.1).
    pub fn challenge(self, value: &'static str) -> Self {
        self.with(WWW_AUTHENTICATE, HeaderValue::from_static(value))
    }

    /// Adds what the log shall say and the caller shall not know.
    pub fn caused_by(mut self, cause: &impl ToString) -> Self {
        self.cause = Some(cause.to_string());
        self
    }

    /// Its kind.
    pub fn kind(&self) -> &'static Kind {
        self.kind
    }

    /// What the log needs to know and the caller must not.
    pub fn cause(&self) -> Option<&str> {
        self.cause.as_deref()
    }

    /// What happened this time and what to do.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// The fields that are not valid.
    pub fn field_errors(&self) -> &[FieldError] {
        &self.fields
    }

    /// The same, to be written in OAuth's form.
    pub(super) fn in_oauth(mut self) -> Self {
        self.oauth = true;
        self
    }

    /// The answer, for the request named `request_id`.
    pub fn document(mut self, request_id: Uuid) -> Response {
        if self.oauth {
            return oauth::document(self);
        }
        let document = Document {
            r#type: self.kind.uri(),
            title: self.kind.title,
            status: self.kind.status,
            detail: std::mem::take(&mut self.detail),
            instance: format!("urn:uuid:{request_id}"),
            errors: std::mem::take(&mut self.fields),
        };
        self.answer("application/problem+json", &document)
    }

    /// The answer with this body, and the problem's status and headers.
    pub(super) fn answer(self, content_type: &'static str, document: &impl Serialize) -> Response {
        let body = serde_json::to_vec(document).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status(self.kind);
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        for (name, value) in self.headers {
            response.headers_mut().insert(name, value);
        }
        response
    }
}

fn status(kind: &Kind) -> StatusCode {
    StatusCode::from_u16(kind.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// Leaves the document to `edge`, which knows the request's id.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = status(self.kind).into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<crate::db::Error> for Problem {
    fn from(error: crate::db::Error) -> Self {
        match error {
            crate::db::Error::Unavailable(_) => Self::retry(
                &DATABASE_UNAVAILABLE,
                "The database cannot be used at the moment. Try again shortly.",
                &error,
            ),
            crate::db::Error::OutcomeUnknown(_) => Self::retry(
                &OUTCOME_UNKNOWN,
                "The database went away while it saved this. Look whether it is done before you do it again.",
                &error,
            ),
            _ => Self::internal(error),
        }
    }
}
