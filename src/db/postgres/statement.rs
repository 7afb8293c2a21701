//! How one statement is sent to the server, prepared or not.

use super::values::{as_parameters, as_typed};
use crate::db::{Lock, Value};
use std::borrow::Cow;
use tokio_postgres::{Client, Row, Statement};

/// The rows that a statement answers, prepared or not.
pub(super) async fn answered(
    client: &Client,
    statement: Option<&Statement>,
    sql: &str,
    values: &[Value<'_>],
) -> Result<Vec<Row>, tokio_postgres::Error> {
    match statement {
        Some(statement) => client.query(statement, &as_parameters(values)).await,
        None => client.query_typed(sql, &as_typed(values)).await,
    }
}

/// How many rows a statement changes, prepared or not.
pub(super) async fn changed(
    client: &Client,
    statement: Option<&Statement>,
    sql: &str,
    values: &[Value<'_>],
) -> Result<usize, tokio_postgres::Error> {
    let changed = match statement {
        Some(statement) => client.execute(statement, &as_parameters(values)).await,
        None => client.execute_typed(sql, &as_typed(values)).await,
    };
    changed.map(|changed| usize::try_from(changed).unwrap_or(usize::MAX))
}

/// A query that holds its rows.
pub(super) fn locking(sql: &'static str, lock: Option<Lock>) -> Cow<'static, str> {
    match lock {
        None => sql.into(),
        Some(Lock::Share) => format!("{sql} FOR SHARE").into(),
        Some(Lock::Update) => format!("{sql} FOR UPDATE").into(),
    }
}

/// An opening that fails where another process serves us than the one that has our statements: PostgreSQL then
/// refuses whatever comes after it.
pub(super) fn guarded(opening: &str, backend: i64) -> String {
    format!("{opening}; SELECT 1 / (pg_backend_pid() = {backend})::int")
}
