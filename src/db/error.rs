//! What can go wrong in the database, sorted by what the caller can do about it.

/// A failed statement or commit. The text is for the log, never for a user.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The database cannot take work now: disk full, I/O error, locked, shutting down. Try again later.
    #[error("the database is unavailable: {0}")]
    Unavailable(String),
    /// The server was lost while it committed: whether the change was kept is not known.
    #[error("whether the change was kept is not known: {0}")]
    OutcomeUnknown(String),
    /// A row holds what we never wrote.
    #[error("a stored value cannot be read: {0}")]
    Corrupt(String),
    /// This program must not use this database; the text says why and what to do.
    #[error("{0}")]
    Refused(String),
    /// A statement is wrong, or a panic passed through a transaction: a defect.
    #[error("a statement failed: {0}")]
    Statement(String),
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode::{
            CannotOpen, DatabaseBusy, DatabaseLocked, DiskFull, OutOfMemory, ReadOnly, SystemIoFailure,
        };
        match error.sqlite_error_code() {
            Some(
                DiskFull | SystemIoFailure | DatabaseBusy | DatabaseLocked | ReadOnly | CannotOpen
                | OutOfMemory,
            ) => Self::Unavailable(error.to_string()),
            Some(rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase) => {
                Self::Corrupt(error.to_string())
            }
            _ => Self::Statement(error.to_string()),
        }
    }
}
