//! Backups: all tables and the master key at one moment, sealed in the age format, and brought back.
//!
//! One form serves both engines: rows stand in it as `claviger database copy` compares them. What it means for tokens
//! and revocations to go back to an earlier moment is told in docs/backup.md.

pub mod contents;
pub mod file;
pub mod flow;
pub mod format;
pub mod header;
pub mod sealed;

use crate::db;

/// Why a backup was not made, or is not good.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database failed.
    #[error(transparent)]
    Db(#[from] db::Error),
    /// The master key is missing, or another one.
    #[error(transparent)]
    Keys(#[from] crate::keys::Error),
    /// It cannot be written.
    #[error("the backup cannot be written: {0}")]
    Write(String),
    /// It cannot be read.
    #[error("the backup cannot be read: {0}")]
    Read(String),
    /// It is not as it was written.
    #[error("the backup is damaged: {0}. Take another copy of it, or an older one")]
    Damaged(String),
    /// The key does not open it.
    #[error("the backup does not open: {0}")]
    Locked(&'static str),
    /// It cannot be used here; the text says why and what to do.
    #[error("{0}")]
    Refused(String),
    /// Who called it wants it no more.
    #[error("interrupted")]
    Interrupted,
}
