//! The thin seam over the database: one SQL text for every engine.
//!
//! A transaction is a synchronous closure that runs where the connection lives. It may be run again,
//! so it has no effect but its SQL. What [`Db::write`] has answered is on the disk.

mod error;
mod folder;
mod migrate;
mod sqlite;
mod value;

pub use error::Error;
pub use value::{Column, Row, Value};

use std::path::Path;

/// A handle on the database; cheap to clone.
#[derive(Clone, Debug)]
pub struct Db {
    engine: sqlite::Sqlite,
}

/// An open transaction.
#[derive(Debug)]
pub struct Tx<'a> {
    connection: &'a rusqlite::Connection,
}

impl Db {
    /// Opens the database in `data_dir`, or makes it, and brings its schema up to date.
    ///
    /// # Errors
    /// If the folder cannot be written, another server holds it, or its schema is newer than this program.
    pub fn open(data_dir: &Path, now: crate::base::time::Timestamp) -> Result<Self, Error> {
        Ok(Self { engine: sqlite::Sqlite::open(data_dir, now)? })
    }

    /// Opens an existing database for reading beside a running server.
    ///
    /// # Errors
    /// If there is none, or it cannot be read.
    pub fn open_read_only(data_dir: &Path) -> Result<Self, Error> {
        Ok(Self { engine: sqlite::Sqlite::open_read_only(data_dir)? })
    }

    /// Opens an existing database for changes beside a running server, as the commands of an operator do.
    ///
    /// # Errors
    /// If there is none, or its schema is not this program's.
    pub fn open_beside(data_dir: &Path) -> Result<Self, Error> {
        Ok(Self { engine: sqlite::Sqlite::open_beside(data_dir)? })
    }

    /// Runs `work` in a transaction that commits if it returns `Ok`. Answers when the commit is durable.
    ///
    /// # Errors
    /// What `work` returns, or the database's own error; then nothing has changed.
    pub async fn write<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnMut(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        self.engine.write(work).await
    }

    /// Runs `work` on one consistent view of the data. It should read few rows: it runs in place.
    ///
    /// # Errors
    /// What `work` returns, or the database's own error.
    pub async fn read<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnMut(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        self.engine.read(work)
    }
}

impl Tx<'_> {
    /// Runs a statement and says how many rows it changed.
    ///
    /// # Errors
    /// If the statement fails.
    pub fn execute(&mut self, sql: &'static str, values: &[Value<'_>]) -> Result<usize, Error> {
        let mut statement = self.connection.prepare_cached(sql)?;
        Ok(statement.execute(rusqlite::params_from_iter(values))?)
    }

    /// The first row of an answer, read by `read`.
    ///
    /// # Errors
    /// If the statement fails or the row cannot be read.
    pub fn first<T>(
        &mut self,
        sql: &'static str,
        values: &[Value<'_>],
        read: impl FnOnce(&Row<'_>) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query(rusqlite::params_from_iter(values))?;
        rows.next()?.map(|row| read(&Row(row))).transpose()
    }

    /// All rows of an answer, each read by `read`.
    ///
    /// # Errors
    /// If the statement fails or a row cannot be read.
    pub fn all<T>(
        &mut self,
        sql: &'static str,
        values: &[Value<'_>],
        mut read: impl FnMut(&Row<'_>) -> Result<T, Error>,
    ) -> Result<Vec<T>, Error> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query(rusqlite::params_from_iter(values))?;
        let mut out = Vec::new();
        while let Some(row) = rows.next()? {
            out.push(read(&Row(row))?);
        }
        Ok(out)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]
mod tests;
