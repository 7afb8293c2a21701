//! The status lists over HTTP.

use super::{Error, flow};
use crate::app::Cx;
use crate::http::openapi::{Answer, Operation, Parameter, ValueKind};
use crate::http::path::PathText;
use crate::http::problem::{self, NOT_FOUND, Problem};
use axum::http::HeaderMap;
use axum::response::Response;

/// `GET /status/{list}`.
pub const GET_STATUS_LIST: Operation = Operation {
    id: "getStatusList",
    summary: "The signed list of ended sessions, for services that verify tokens offline",
    repeatable: false,
    parameters: &[Parameter::path(
        "list",
        ValueKind::Integer { least: 0, most: i64::MAX },
        "The list's number",
    )],
    request: None,
    answers: &[
        Answer::other(200, "A status list token (draft-ietf-oauth-status-list)", flow::LIST_TYPE),
        Answer::empty(304, "It is the one the caller has (If-None-Match)"),
    ],
    problems: &[&problem::NOT_FOUND, &problem::BUSY],
};

/// `GET /status/{list}`.
pub async fn status_list(cx: Cx, PathText(list): PathText, headers: HeaderMap) -> Result<Response, Problem> {
    let list =
        list.parse().ok().filter(|number: &u64| number.to_string() == list).ok_or(Error::NoSuchList)?;
    let keys = cx.app.key_set().await?;
    Ok(flow::signed(&cx.app.statuses, &keys, &cx.app.config.issuer, list, cx.now)?.answer(&headers))
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::NoSuchList => {
                NOT_FOUND.because("There is no such list. A token's own list stands in its claim `status`.")
            }
            Error::Keys(error) => error.into(),
            Error::Db(error) => error.into(),
        }
    }
}
