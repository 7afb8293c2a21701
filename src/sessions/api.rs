//! `/logout` and `/user/sessions` over HTTP.

use super::{Error, Session, Which, flow};
use crate::app::Cx;
use crate::app::extract::{Authenticated, Owner};
use crate::audit::Kind;
use crate::base::id::SessionId;
use crate::http::openapi::{Answer, Operation, Parameter, ValueKind};
use crate::http::path::PathText;
use crate::http::problem::{self, INVALID_GRANT, INVALID_SCOPE, NOT_FOUND, Problem, TOO_MANY_REQUESTS};
use axum::Json;
use axum::extract::RawQuery;
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;

/// Sessions on a page where the caller names no number.
const PAGE: u32 = 50;

/// The most sessions on a page.
const MOST: u32 = 200;

/// A page of an account's sessions.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SessionsAnswer {
    /// Live sessions, the newest first.
    sessions: Vec<SessionAnswer>,
    /// What to send as `before` for the next page; missing on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// A session.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SessionAnswer {
    /// Its id, `sid` in its tokens.
    id: String,
    /// Whether it is the caller's own.
    current: bool,
    /// When it was opened, RFC 3339.
    created_at: String,
    /// When it was last used, at its login or a refresh.
    last_used_at: String,
    /// When it ends if it is not used.
    expires_at: String,
    /// The address it was last used from.
    address: Option<String>,
    /// What it was last used with.
    user_agent: Option<String>,
}

/// How many sessions were ended.
#[derive(Debug, Serialize, JsonSchema)]
pub struct EndedAnswer {
    /// The number.
    ended: usize,
}

/// `POST /logout`.
pub const LOG_OUT: Operation = Operation {
    id: "logOut",
    summary: "End this session: its tokens are refused at once",
    repeatable: false,
    parameters: &[],
    request: None,
    answers: &[Answer::empty(204, "The session has ended")],
    problems: &[&problem::DATABASE_UNAVAILABLE],
};

/// `GET /user/sessions`.
pub const LIST_SESSIONS: Operation = Operation {
    id: "listSessions",
    summary: "The caller's live sessions, the newest first",
    repeatable: false,
    parameters: &[
        Parameter::query(
            "limit",
            ValueKind::Integer { least: 1, most: 200 },
            "How many on a page, 1 to 200; 50 where it is missing",
        ),
        Parameter::query("before", ValueKind::Uuid, "The `next` of the page before"),
    ],
    request: None,
    answers: &[Answer::json::<SessionsAnswer>(200, "A page of sessions")],
    problems: &[&problem::INVALID_FIELDS, &problem::DATABASE_UNAVAILABLE],
};

/// `DELETE /user/sessions/{id}`.
pub const END_SESSION: Operation = Operation {
    id: "endSession",
    summary: "End one of the caller's sessions",
    repeatable: false,
    parameters: &[Parameter::path("id", ValueKind::Uuid, "The session's id")],
    request: None,
    answers: &[Answer::empty(204, "The session has ended")],
    problems: &[&problem::NOT_FOUND, &problem::DATABASE_UNAVAILABLE],
};

/// `DELETE /user/sessions`.
pub const END_SESSIONS: Operation = Operation {
    id: "endSessions",
    summary: "End all of the caller's other sessions, or all",
    repeatable: false,
    parameters: &[Parameter::query("all", ValueKind::Text, "`true` to end the present session too")],
    request: None,
    answers: &[Answer::json::<EndedAnswer>(200, "They have ended")],
    problems: &[&problem::INVALID_FIELDS, &problem::DATABASE_UNAVAILABLE],
};

/// `POST /logout`.
pub async fn log_out(cx: Cx, caller: Authenticated) -> Result<StatusCode, Problem> {
    match flow::end(&cx.by(&caller), caller.account, Which::One(caller.session), Kind::Logout).await {
        // Ended by another at the same moment: it is as the caller wishes.
        Ok(_) | Err(Error::Unknown) => Ok(StatusCode::NO_CONTENT),
        Err(error) => Err(error.into()),
    }
}

/// `GET /user/sessions`.
pub async fn list(
    cx: Cx,
    Owner(caller): Owner,
    RawQuery(query): RawQuery,
) -> Result<Json<SessionsAnswer>, Problem> {
    let limit = parameter(query.as_deref(), "limit", PAGE, |text| {
        text.parse().ok().filter(|limit| (1..=MOST).contains(limit))
    })?;
    let before = parameter(query.as_deref(), "before", None, |text| SessionId::parse(text).map(Some))?;
    let mut found = flow::list(&cx, caller.account, before, limit.saturating_add(1)).await?;
    let more = found.len() > limit as usize;
    found.truncate(limit as usize);
    let next = found.last().filter(|_| more).map(|last| last.id.to_string());
    let sessions = found.into_iter().map(|session| shown(session, caller.session)).collect();
    Ok(Json(SessionsAnswer { sessions, next }))
}

fn shown(session: Session, current: SessionId) -> SessionAnswer {
    SessionAnswer {
        id: session.id.to_string(),
        current: session.id == current,
        created_at: session.created_at.to_string(),
        last_used_at: session.last_used_at.to_string(),
        expires_at: session.expires_at.to_string(),
        address: session.address,
        user_agent: session.user_agent,
    }
}

/// `DELETE /user/sessions/{id}`.
pub async fn end_one(cx: Cx, Owner(caller): Owner, PathText(id): PathText) -> Result<StatusCode, Problem> {
    let cx = cx.by(&caller);
    let id = SessionId::parse(&id).ok_or(Error::Unknown)?;
    flow::end(&cx, caller.account, Which::One(id), Kind::Logout).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `DELETE /user/sessions`.
pub async fn end_many(
    cx: Cx,
    Owner(caller): Owner,
    RawQuery(query): RawQuery,
) -> Result<Json<EndedAnswer>, Problem> {
    let cx = cx.by(&caller);
    let all = parameter(query.as_deref(), "all", false, |text| text.parse().ok())?;
    let which = if all { Which::All } else { Which::AllBut(caller.session) };
    Ok(Json(EndedAnswer { ended: flow::end(&cx, caller.account, which, Kind::Logout).await? }))
}

/// The one value of a query parameter; a default where it is missing.
fn parameter<T>(
    query: Option<&str>,
    name: &'static str,
    default: T,
    read: impl FnOnce(&str) -> Option<T>,
) -> Result<T, Problem> {
    let query = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    let mut values = query.filter(|(found, _)| found == name).map(|(_, value)| value);
    let value = match (values.next(), values.next()) {
        (None, _) => return Ok(default),
        (Some(value), None) => read(&value),
        (Some(_), Some(_)) => None,
    };
    let detail = format!("?{name} has no value that the documentation names, or stands twice");
    value.ok_or_else(|| Problem::field("", detail))
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::Refused(why) => INVALID_GRANT
                .because("The refresh token is not good (any more). Log in again.")
                .caused_by(&why),
            Error::Scope => INVALID_SCOPE.because("The scope asked for was not granted at the login."),
            Error::TooOften => TOO_MANY_REQUESTS
                .because("This session is refreshed too often. Use an access token until it expires.")
                .retry_after(5),
            Error::Unknown => NOT_FOUND.because("The account has no such live session."),
            Error::Keys(error) => error.into(),
            Error::Db(error) => error.into(),
        }
    }
}
