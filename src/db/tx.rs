//! An open transaction: statements go in, rows come out, on whichever engine it runs.

use super::value::Source;
use super::{Error, Row, Value, postgres};

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
        prepare(sql, values)?;
        match &mut self.0 {
            On::Sqlite(connection) => {
                let mut statement = connection.prepare_cached(sql)?;
                let mut rows = statement.query(rusqlite::params_from_iter(values))?;
                rows.next()?.map(|row| read(&Row(Source::Sqlite(row)))).transpose()
            }
            On::Postgres(session) => {
                let rows = session.query(sql, values)?;
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
                session.query(sql, values)?.iter().map(|row| read(&Row(Source::Postgres(row)))).collect()
            }
        }
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
