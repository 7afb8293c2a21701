//! An open transaction: statements go in, rows come out, on whichever engine it runs.

use super::value::Source;
use super::{Error, Row, Value, postgres};

/// How a row is held until the end of the transaction, so that what was decided on it still holds at the commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lock {
    /// Others may hold it too, and nobody may change it.
    Share,
    /// Nobody else may hold or change it.
    Update,
}

/// An open transaction.
#[derive(Debug)]
pub struct Tx<'a>(pub(super) On<'a>);

/// The engine that it runs on.
#[derive(Debug)]
pub(super) enum On<'a> {
    Sqlite(&'a rusqlite::Connection),
    Postgres(&'a mut postgres::Session),
}

impl Tx<'_> {
    /// Runs a statement and says how many rows it changed.
    ///
    /// # Errors
    /// If the statement fails.
    pub fn execute(&mut self, sql: &'static str, values: &[Value<'_>]) -> Result<usize, Error> {
        prepare(sql, values)?;
        match &mut self.0 {
            On::Sqlite(connection) => {
                let mut statement = connection.prepare_cached(sql)?;
                Ok(statement.execute(rusqlite::params_from_iter(values))?)
            }
            On::Postgres(session) => session.execute(sql, values),
        }
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
        self.first_locked(None, sql, values, read)
    }

    /// The same, and the row is held until the end of the transaction. It is the one that was committed last,
    /// whoever had to be waited for. SQLite has one writer, who holds everything.
    ///
    /// # Errors
    /// If the statement fails or the row cannot be read.
    pub fn first_locked<T>(
        &mut self,
        lock: impl Into<Option<Lock>>,
        sql: &'static str,
        values: &[Value<'_>],
        read: impl FnOnce(&Row<'_>) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        prepare(sql, values)?;
        match &mut self.0 {
            On::Sqlite(connection) => {
                let mut statement = connection.prepare_cached(sql)?;
                let mut rows = statement.query(rusqlite::params_from_iter(values))?;
                rows.next()?.map(|row| read(&Row(Source::Sqlite(row)))).transpose()
            }
            On::Postgres(session) => {
                let rows = session.query(sql, lock.into(), values)?;
                rows.first().map(|row| read(&Row(Source::Postgres(row)))).transpose()
            }
        }
    }

    /// All rows of an answer, each read by `read`.
    ///
    /// # Errors
    /// If the statement fails or a row cannot be read.
    pub fn all<T>(
        &mut self,
        sql: &'static str,
        values: &[Value<'_>],
        read: impl FnMut(&Row<'_>) -> Result<T, Error>,
    ) -> Result<Vec<T>, Error> {
        self.all_locked(None, sql, values, read)
    }

    /// The same, and the rows are held, in the order of the answer.
    ///
    /// # Errors
    /// If the statement fails or a row cannot be read.
    pub fn all_locked<T>(
        &mut self,
        lock: impl Into<Option<Lock>>,
        sql: &'static str,
        values: &[Value<'_>],
        mut read: impl FnMut(&Row<'_>) -> Result<T, Error>,
    ) -> Result<Vec<T>, Error> {
        prepare(sql, values)?;
        match &mut self.0 {
            On::Sqlite(connection) => {
                let mut statement = connection.prepare_cached(sql)?;
                let mut rows = statement.query(rusqlite::params_from_iter(values))?;
                let mut out = Vec::new();
                while let Some(row) = rows.next()? {
                    out.push(read(&Row(Source::Sqlite(row)))?);
                }
                Ok(out)
            }
            On::Postgres(session) => {
                let rows = session.query(sql, lock.into(), values)?;
                rows.iter().map(|row| read(&Row(Source::Postgres(row)))).collect()
            }
        }
    }

    /// Runs a statement with the values of one row after the other, and says how many rows each changed. A
    /// server has them all at once.
    ///
    /// # Errors
    /// If a statement fails.
    pub fn execute_each<'v>(
        &mut self,
        sql: &'static str,
        rows: &[impl AsRef<[Value<'v>]>],
    ) -> Result<Vec<usize>, Error> {
        match &mut self.0 {
            On::Sqlite(_) => rows.iter().map(|values| self.execute(sql, values.as_ref())).collect(),
            On::Postgres(session) => {
                rows.iter().try_for_each(|values| prepare(sql, values.as_ref()))?;
                session.execute_each(sql, rows)
            }
        }
    }

    /// The first row of each answer to a statement with the values of one row after the other. A server has them
    /// all at once.
    ///
    /// # Errors
    /// If a statement fails or a row cannot be read.
    pub fn first_each<'v, T>(
        &mut self,
        sql: &'static str,
        rows: &[impl AsRef<[Value<'v>]>],
        mut read: impl FnMut(&Row<'_>) -> Result<T, Error>,
    ) -> Result<Vec<Option<T>>, Error> {
        match &mut self.0 {
            On::Sqlite(_) => rows.iter().map(|values| self.first(sql, values.as_ref(), &mut read)).collect(),
            On::Postgres(session) => {
                rows.iter().try_for_each(|values| prepare(sql, values.as_ref()))?;
                let answers = session.query_each(sql, rows)?;
                let first =
                    |rows: &Vec<_>| rows.first().map(|row| read(&Row(Source::Postgres(row)))).transpose();
                answers.iter().map(first).collect()
            }
        }
    }

    /// Whether it runs on SQLite.
    pub(super) fn is_sqlite(&self) -> bool {
        matches!(self.0, On::Sqlite(_))
    }

    /// Runs several statements without values, as migrations do.
    pub(super) fn batch(&mut self, sql: &str) -> Result<(), Error> {
        match &mut self.0 {
            On::Sqlite(connection) => Ok(connection.execute_batch(sql)?),
            On::Postgres(session) => session.batch(sql),
        }
    }

    /// What this engine calls the types and options of migrations.
    pub(super) fn words(&self) -> &'static [(&'static str, &'static str)] {
        match self.0 {
            On::Sqlite(_) => super::sqlite::WORDS,
            On::Postgres(_) => postgres::WORDS,
        }
    }
}

/// What every statement goes through before it runs.
fn prepare(sql: &'static str, values: &[Value<'_>]) -> Result<(), Error> {
    #[cfg(debug_assertions)]
    super::noted::note(sql);
    // PostgreSQL has no such text, so that no engine takes it. Who lets it come so far has a defect.
    let has_zero = |value: &Value<'_>| matches!(value, Value::Text(text) if text.contains('\0'));
    if values.iter().any(has_zero) {
        return Err(Error::Statement(format!("text with U+0000 in it was given to: {sql}")));
    }
    Ok(())
}
