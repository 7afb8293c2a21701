//! What SQLite says of its file.

use super::Setup;
use crate::db::{Error, Tx};

pub(super) fn setup(tx: &mut Tx<'_>) -> Result<Setup, Error> {
    let journal_mode = tx.first("PRAGMA journal_mode", &[], |row| row.get(0))?;
    Ok(Setup::Sqlite { journal_mode: journal_mode.unwrap_or_default() })
}

/// The first faults of the file: its pages, its rows, and all but whether indices fit them.
pub(super) fn faults(tx: &mut Tx<'_>) -> Result<Vec<String>, Error> {
    let said: Vec<String> = tx.all("PRAGMA quick_check(5)", &[], |row| row.get(0))?;
    Ok(said.into_iter().filter(|line| line != "ok").collect())
}
