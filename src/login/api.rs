//! `/login` over HTTP.

use super::{Error, flow};
use crate::app::Cx;
use crate::credentials::Password;
use crate::http::basic::Basic;
use crate::http::json::JsonBody;
use crate::http::openapi::{Answer, Body, Operation};
use crate::http::problem::{self, METHOD_NOT_ALLOWED, Problem};
use axum::Json;
use axum::http::header::ALLOW;
use axum::http::{HeaderValue, Method};
use schemars::JsonSchema;
use secrecy::ExposeSecret as _;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

/// A login.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct LoginBody {
    /// The e-mail address, or the name where one account alone bears it.
    email: String,
    /// The password.
    #[schemars(with = "String", length(max = 1024), regex(pattern = r"^[^\x00-\x1f\x7f-\x9f]*$"))]
    password: SecretString,
}

/// The tokens of a login.
#[derive(Serialize, JsonSchema)]
pub struct LoggedIn {
    /// The access token, a JWT (RFC 9068).
    token: String,
    /// Always `Bearer`.
    token_type: &'static str,
    /// Seconds until the access token expires.
    expires_in: u64,
    /// Good once at `POST /token` for new tokens.
    refresh_token: String,
}

/// For `Allow`.
const LOGIN_METHODS: HeaderValue = HeaderValue::from_static("GET,POST");

const ANSWERS: &[Answer] = &[Answer::json::<LoggedIn>(200, "Logged in")];

/// `POST /login`.
pub const POST_LOGIN: Operation = Operation {
    id: "logIn",
    summary: "Log in by JSON",
    repeatable: false,
    parameters: &[],
    request: Some(Body::json::<LoginBody>(
        r#"{"email":"alice@example.org","password":"correct horse battery staple"}"#,
    )),
    answers: ANSWERS,
    problems: &[
        &problem::WRONG_CREDENTIALS,
        &problem::TOO_MANY_GUESSES,
        &problem::BUSY,
        &problem::DATABASE_UNAVAILABLE,
    ],
};

/// `GET /login`.
pub const GET_LOGIN: Operation = Operation {
    id: "logInByBasic",
    summary: "Log in by HTTP Basic",
    repeatable: false,
    parameters: &[],
    request: None,
    answers: ANSWERS,
    problems: &[
        &problem::INVALID_FIELDS,
        &problem::TOO_MANY_GUESSES,
        &problem::BUSY,
        &problem::DATABASE_UNAVAILABLE,
    ],
};

/// `GET /login`.
pub async fn by_basic(
    method: Method,
    cx: Cx,
    basic: Result<Basic, Problem>,
) -> Result<Json<LoggedIn>, Problem> {
    // It would open a session and throw its tokens away.
    if method == Method::HEAD {
        return Err(METHOD_NOT_ALLOWED.because("Log in by GET or POST.").with(ALLOW, LOGIN_METHODS));
    }
    let basic = basic?;
    log_in(&cx, &basic.username, &basic.password).await
}

/// `POST /login`.
pub async fn by_json(cx: Cx, JsonBody(body): JsonBody<LoginBody>) -> Result<Json<LoggedIn>, Problem> {
    log_in(&cx, &body.email, &body.password).await
}

async fn log_in(cx: &Cx, identifier: &str, password: &SecretString) -> Result<Json<LoggedIn>, Problem> {
    let password = Password::attempt(password).map_err(|why| Problem::field("/password", why))?;
    let tokens = flow::log_in(cx, identifier, password).await?;
    Ok(Json(LoggedIn {
        token: tokens.access_token,
        token_type: "Bearer",
        expires_in: tokens.expires_in,
        refresh_token: tokens.refresh_token.expose_secret().to_owned(),
    }))
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::Credentials(error) => error.into(),
            Error::Session(error) => error.into(),
            Error::Db(error) => error.into(),
        }
    }
}
