//! Logging in: a checked password opens a session.

pub mod api;
pub mod flow;

use crate::{credentials, sessions};

/// What can go wrong in a login.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The password.
    #[error(transparent)]
    Credentials(#[from] credentials::Error),
    /// The session.
    #[error(transparent)]
    Session(#[from] sessions::Error),
    /// The database failed.
    #[error(transparent)]
    Db(#[from] crate::db::Error),
}
