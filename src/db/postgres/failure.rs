//! What PostgreSQL's errors mean: whose fault they are, and what is still possible on the connection.

use crate::db::Error;
use std::error::Error as _;
use tokio_postgres::error::{DbError, Severity};

/// Why a statement, a commit or a connection failed.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub(super) error: Error,
    pub(super) then: Then,
}

/// What can be done after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// The transaction fails; the connection is good.
    GiveUp,
    /// Others were quicker. Nothing was kept, and the same transaction can be tried again.
    TryAgain,
    /// The same may be behind it where a key is there already; more often it is not.
    TryOnceMore,
    /// The server takes no changes: it has become a standby, or the transaction was for reading.
    ReadOnly,
    /// Prepared statements are of no use any more.
    Unprepared,
    /// The connection is of no use any more. Whether a commit under way was kept is not known.
    Reconnect,
}

impl Failure {
    pub(super) fn of(error: &tokio_postgres::Error) -> Self {
        match error.as_db_error() {
            Some(said) => Self::said(said),
            None => Self::lost(&chain(error)),
        }
    }

    /// The connection ended, or nothing came over it in time.
    pub(super) fn lost(why: &str) -> Self {
        Self { error: Error::Unavailable(why.to_owned()), then: Then::Reconnect }
    }

    /// The statement or its values are wrong.
    pub(super) fn statement(why: String) -> Self {
        Self { error: Error::Statement(why), then: Then::GiveUp }
    }

    fn said(said: &DbError) -> Self {
        // Not the detail: it repeats the values of rows, and this goes to the log.
        let text = format!("{} ({})", said.message(), said.code().code());
        if !matches!(said.parsed_severity(), Some(Severity::Error)) {
            return Self::lost(&text);
        }
        let code = said.code().code();
        let (error, then) = match code {
            // Serialization failure, deadlock, a lock that others hold for too long.
            "40001" | "40P01" | "55P03" => (Error::Unavailable(text), Then::TryAgain),
            // Whether a commit was kept is not known.
            "40003" | "08006" | "08007" => (Error::Unavailable(text), Then::Reconnect),
            "23505" => (Error::Statement(text), Then::TryOnceMore),
            "25006" => (Error::Unavailable(text), Then::ReadOnly),
            // A schema that has changed: another connection may be better off.
            "0A000" => (Error::Unavailable(text), Then::Reconnect),
            // No such prepared statement, or somebody else's of this name: a pooler shares the connection.
            // A division by zero is the guard of a swap, which found the same.
            "26000" | "42P05" | "22012" => (Error::Unavailable(text), Then::Unprepared),
            "XX001" | "XX002" => (Error::Corrupt(text), Then::GiveUp),
            _ => (named(code)(text), Then::GiveUp),
        };
        Self { error, then }
    }
}

/// Which of our errors a SQLSTATE is.
fn named(code: &str) -> fn(String) -> Error {
    // Connection, rollback, resources, lock or time limit, shutdown or cancel, system: not the statement's fault.
    let not_ours = ["08", "40", "53", "55", "57", "58"];
    if not_ours.iter().any(|class| code.starts_with(class)) { Error::Unavailable } else { Error::Statement }
}

/// An error with its causes, but without what repeats values.
pub(super) fn chain(error: &tokio_postgres::Error) -> String {
    if let Some(said) = error.as_db_error() {
        return format!("{} ({})", said.message(), said.code().code());
    }
    let (mut text, mut cause) = (error.to_string(), error.source());
    while let Some(deeper) = cause {
        text = format!("{text}: {deeper}");
        cause = deeper.source();
    }
    text
}
