//! Filling an empty database from a backup: as a copy does, under the same mark.

use super::location::Location;
use super::mark::{self, BACKUP, Mark, Source};
use super::row::Held;
use super::table::{PAGE, Table};
use super::{Fingerprint, Watch, expect_no_server, read_all};
use crate::base::time::Timestamp;
use crate::db::{Db, Engine, Error, Tx, migrate};
use std::sync::Arc;
use std::time::Duration;

/// A database that is being filled. Nothing else opens it until [`Filling::finish`].
#[derive(Debug)]
pub struct Filling {
    target: Db,
    tables: Vec<Arc<Table>>,
    mark: Mark,
    /// The number of the table that the mark names.
    at: usize,
}

impl Filling {
    /// The most rows that [`Filling::write`] takes at once.
    pub const MOST: usize = PAGE;

    /// Lays out the tables of a schema in an empty database, or finds where the same backup was left.
    ///
    /// # Errors
    /// If it is in use, is not empty, or holds something else.
    pub fn begin(
        to: &Location,
        name: &str,
        identity: [u8; 32],
        schema: usize,
        tables: Vec<Arc<Table>>,
        now: Timestamp,
    ) -> Result<Self, Error> {
        let (source, laid_out) = (Source { place: format!("{BACKUP}{name}"), identity }, tables.clone());
        let (target, mark) = to.open_empty(move |tx| {
            expect_no_server(tx)?;
            migrate::run_up_to(tx, schema, now)?;
            mark::begin(tx, &source, &laid_out)
        })?;
        let at = tables.iter().position(|table| table.name == mark.table);
        let at = at.ok_or_else(|| Error::Corrupt(format!("the mark names the table {}", mark.table)))?;
        Ok(Self { target, tables, mark, at })
    }

    /// Whether a restore that was interrupted goes on.
    pub fn goes_on(&self) -> bool {
        self.mark.last.is_some()
    }

    /// How many of a table's first rows are there already.
    pub fn there(&self, table: usize) -> u64 {
        match table.cmp(&self.at) {
            std::cmp::Ordering::Less => u64::MAX,
            std::cmp::Ordering::Equal => self.mark.copied,
            std::cmp::Ordering::Greater => 0,
        }
    }

    /// Writes the next rows of a table, in the order of its key.
    ///
    /// # Errors
    /// If the database fails. What was written before stays.
    pub async fn write(&mut self, number: usize, rows: Vec<Vec<Held>>) -> Result<(), Error> {
        let no_table = || Error::Statement(format!("there is no table {number}"));
        let table = self.tables.get(number).ok_or_else(no_table)?.clone();
        let Some(last) = rows.last() else { return Ok(()) };
        let copied = if self.at == number { self.mark.copied } else { 0 } + rows.len() as u64;
        let last = Some(table.key_of(last));
        let next = Mark { source: self.mark.source.clone(), table: table.name.clone(), last, copied };
        let (from, to) = (self.mark.clone(), next.clone());
        let written = self.target.write(move |tx| {
            mark::advance(tx, &from, &to)?;
            table.insert(tx, &rows)
        });
        written.await?;
        (self.mark, self.at) = (next, number);
        Ok(())
    }

    /// What a table has come to.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn read(&self, number: usize, watch: &impl Watch) -> Result<Fingerprint, Error> {
        let no_table = || Error::Statement(format!("there is no table {number}"));
        let table = self.tables.get(number).ok_or_else(no_table)?;
        read_all(&self.target, table, watch).await
    }

    /// Brings the schema up to date, does `last`, and opens the database to others, all in one transaction.
    ///
    /// # Errors
    /// If the database fails, or what `last` returns. Then it stays as it was.
    pub async fn finish(
        self,
        now: Timestamp,
        mut last: impl FnMut(&mut Tx<'_>) -> Result<(), Error> + Send + 'static,
    ) -> Result<Db, Error> {
        let work = move |tx: &mut Tx<'_>| {
            migrate::run_for_copy(tx, now)?;
            last(tx)?;
            mark::finish(tx)
        };
        match &self.target.engine {
            Engine::Sqlite(engine) => engine.write(Duration::ZERO, work).await?,
            Engine::Postgres(engine) => engine.migrate_by(work)?,
        }
        Ok(self.target)
    }
}
