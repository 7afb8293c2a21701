//! Copies a whole database into an empty one, on the same engine or the other.
//!
//! Pages of rows go over in the order of the primary key, each in one transaction with the mark that says how far
//! the copy is. At the end both databases are read again and compared. Until then the mark keeps all others off.

mod fill;
mod fingerprint;
mod location;
pub(super) mod mark;
mod row;
mod schema;
mod table;

pub use fill::Filling;
pub use fingerprint::Fingerprint;
pub use location::Location;
pub use row::{Held, Kind, decoded, encoded};
pub use table::Table;

use super::{Db, Error as Failure, Tx};
use crate::base::time::Timestamp;
use mark::{Mark, Source};
use std::sync::Arc;
use table::PAGE;

/// Why a copy was not made, or not finished.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Both ends are one.
    #[error("--from and --to name the same database")]
    Same,
    /// At the source.
    #[error("the source: {0}")]
    Source(Failure),
    /// At the target.
    #[error("the target: {0}")]
    Target(Failure),
    /// The schema of this program itself: a defect.
    #[error("{0}")]
    Schema(Failure),
}

/// What a copy is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Rows go over.
    Copying,
    /// Both ends are read and compared.
    Comparing,
    /// A backup is made.
    Saving,
    /// A backup is read.
    Checking,
    /// A backup is brought back.
    Restoring,
}

/// Who is told how far a copy is.
pub trait Watch {
    /// A stage begins, in which so many rows are expected.
    fn begin(&self, stage: Stage, rows: u64);
    /// A table begins.
    fn table(&self, name: &str);
    /// So many rows more are done.
    fn done(&self, rows: u64);
    /// The table has ended, with so many rows.
    fn table_done(&self, name: &str, rows: u64);
}

/// What a table came to at both ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compared {
    /// Its name.
    pub table: String,
    /// At the source.
    pub source: Fingerprint,
    /// At the target.
    pub target: Fingerprint,
}

/// A copy that has been begun, now or earlier.
#[derive(Debug)]
pub struct Copying {
    source: Db,
    target: Db,
    tables: Vec<Arc<Table>>,
    mark: Mark,
}

/// The tables of a schema, each after those that it refers to.
///
/// # Errors
/// If this program does not know the schema.
pub fn layout(schema: usize) -> Result<Vec<Arc<Table>>, Failure> {
    Ok(schema::tables_of(schema)?.into_iter().map(Arc::new).collect())
}

/// The names of the tables that are copied, with their columns.
///
/// # Errors
/// If the migrations make a table that cannot be copied: a defect.
pub fn tables() -> Result<Vec<(String, Vec<String>)>, Failure> {
    let columns = |table: &Table| table.fields.iter().map(|field| field.name.clone()).collect();
    Ok(schema::tables()?.iter().map(|table| (table.name.clone(), columns(table))).collect())
}

impl Copying {
    /// Opens both ends and begins, or finds where an interrupted copy of this source stopped.
    ///
    /// # Errors
    /// If an end cannot be used: in use, of another version, not empty, or the target of another copy.
    pub async fn open(from: &Location, to: &Location, now: Timestamp) -> Result<Self, Error> {
        if from.is(to) {
            return Err(Error::Same);
        }
        let tables: Vec<_> = schema::tables().map_err(Error::Schema)?.into_iter().map(Arc::new).collect();
        let source = from.open_source().map_err(Error::Source)?;
        source.read(expect_no_server).await.map_err(Error::Source)?;
        let identity = source.read(mark::identity).await.map_err(Error::Source)?;
        let begun = to.open_target(Source { place: from.to_string(), identity }, tables.clone(), now);
        let (target, mark) = begun.map_err(Error::Target)?;
        Ok(Self { source, target, tables, mark })
    }

    /// Whether an interrupted copy goes on.
    pub fn goes_on(&self) -> bool {
        self.mark.last.is_some()
    }

    /// Copies what is left, compares the ends, and opens the target to others if they are equal.
    ///
    /// # Errors
    /// If an end fails. What was copied stays, and the same copy goes on from there when it is begun again.
    pub async fn run(&self, watch: &impl Watch) -> Result<Vec<Compared>, Error> {
        let counts = self.count().await?;
        let total = counts.iter().sum();
        watch.begin(Stage::Copying, total);
        let begun = self.tables.iter().position(|table| table.name == self.mark.table);
        let begun = begun.ok_or_else(|| {
            let why = format!("the mark names the table {}, which there is not", self.mark.table);
            Error::Target(Failure::Corrupt(why))
        })?;
        let mut mark = self.mark.clone();
        for (number, (table, count)) in self.tables.iter().zip(&counts).enumerate() {
            if number < begun {
                watch.done(*count);
            } else {
                mark = self.copy(table, mark, watch).await?;
            }
        }
        watch.begin(Stage::Comparing, 2 * total);
        let mut compared = Vec::new();
        for table in &self.tables {
            compared.push(self.compare(table, watch).await?);
        }
        if compared.iter().all(|table| table.source == table.target) {
            self.target.write(mark::finish).await.map_err(Error::Target)?;
        }
        Ok(compared)
    }

    /// The rows of each table of the source.
    async fn count(&self) -> Result<Vec<u64>, Error> {
        let mut counts = Vec::new();
        for table in &self.tables {
            let (mut sum, mut after) = (0, None);
            loop {
                let (table, from) = (table.clone(), after);
                let part = self.source.read(move |tx| table.count(tx, from.as_deref())).await;
                let (rows, last) = part.map_err(Error::Source)?;
                sum += rows;
                after = last;
                if after.is_none() {
                    break;
                }
            }
            counts.push(sum);
        }
        Ok(counts)
    }

    /// Copies a table from where the mark is, or from its beginning; where the mark is then.
    async fn copy(&self, table: &Arc<Table>, mut mark: Mark, watch: &impl Watch) -> Result<Mark, Error> {
        watch.table(&table.name);
        let is_here = mark.table == table.name;
        let (mut after, mut copied) = if is_here { (mark.last.clone(), mark.copied) } else { (None, 0) };
        watch.done(copied);
        let mut page = self.page(table, after).await?;
        while let Some(last) = page.last() {
            after = Some(table.key_of(last));
            let rows = page.len() as u64;
            copied += rows;
            let next = Mark { table: table.name.clone(), last: after.clone(), copied, ..mark.clone() };
            // While one page is written, the next is read. The write is polled first: SQLite reads in place.
            let more = page.len() >= PAGE;
            let read = async { if more { self.page(table, after).await } else { Ok(Vec::new()) } };
            let (written, read) = tokio::join!(biased; self.write(table, page, mark, next), read);
            mark = written?;
            page = read?;
            watch.done(rows);
        }
        watch.table_done(&table.name, copied);
        Ok(mark)
    }

    async fn page(&self, table: &Arc<Table>, after: Option<Vec<Held>>) -> Result<Vec<Vec<Held>>, Error> {
        let table = table.clone();
        let page = self.source.read(move |tx| table.page(tx, after.as_deref())).await;
        page.map_err(Error::Source)
    }

    /// Writes a page and moves the mark on, in one transaction; where the mark is then.
    async fn write(
        &self,
        table: &Arc<Table>,
        rows: Vec<Vec<Held>>,
        from: Mark,
        to: Mark,
    ) -> Result<Mark, Error> {
        let (table, next) = (table.clone(), to.clone());
        let written = self.target.write(move |tx| {
            mark::advance(tx, &from, &next)?;
            table.insert(tx, &rows)
        });
        written.await.map(|()| to).map_err(Error::Target)
    }

    async fn compare(&self, table: &Arc<Table>, watch: &impl Watch) -> Result<Compared, Error> {
        watch.table(&table.name);
        let (source, target) =
            tokio::join!(read_all(&self.source, table, watch), read_all(&self.target, table, watch));
        let source = source.map_err(Error::Source)?;
        let target = target.map_err(Error::Target)?;
        watch.table_done(&table.name, source.rows);
        Ok(Compared { table: table.name.clone(), source, target })
    }
}

/// Refuses a database that servers are connected to. SQLite's folder tells that by itself.
fn expect_no_server(tx: &mut Tx<'_>) -> Result<(), Failure> {
    if tx.is_sqlite() {
        return Ok(());
    }
    let sql = "SELECT COUNT(*) FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = 'claviger'";
    match tx.first(sql, &[], |row| row.get(0))? {
        Some(0) | None => Ok(()),
        Some(connections) => {
            Err(Failure::Refused(format!("servers use it ({connections} connections). Stop them all first")))
        }
    }
}

/// The fingerprint of a table at one end.
async fn read_all(db: &Db, table: &Arc<Table>, watch: &impl Watch) -> Result<Fingerprint, Failure> {
    let (mut sum, mut after) = (Fingerprint::default(), None);
    loop {
        let (table, from) = (table.clone(), after);
        let (page, last) = db.read(move |tx| table.fingerprint(tx, from.as_deref())).await?;
        sum.join(page);
        watch.done(page.rows);
        after = last;
        if after.is_none() {
            return Ok(sum);
        }
        // SQLite reads in place; the other end shall have its turn.
        tokio::task::yield_now().await;
    }
}
