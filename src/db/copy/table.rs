//! One table: its statements, reading it page by page in the order of its key, and writing what was read.

use super::fingerprint::Fingerprint;
use super::row::{Held, Kind, encoded};
use crate::db::{Error, Row, Tx, Value};

/// Most rows in one transaction.
pub(super) const PAGE: usize = 1000;

/// Rows in one INSERT: 17 columns make 1,700 of the 32,766 parameters that SQLite takes.
const TOGETHER: usize = 100;

/// Rows that are counted in one statement, so that none meets its time limit.
const STRIDE: u64 = 10_000;

/// A column.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) kind: Kind,
}

/// A table. Its first column is number 0.
#[derive(Debug)]
pub struct Table {
    pub(super) name: String,
    pub(super) fields: Vec<Field>,
    /// The columns of the primary key, in its order.
    pub(super) key: Vec<usize>,
    /// The rows that migrations insert.
    pub(super) initial: Fingerprint,
    sql: Statements,
}

/// The first of a pair is for the beginning of the table, the second for what comes after a key.
#[derive(Debug)]
struct Statements {
    page: [&'static str; 2],
    stride: [&'static str; 2],
    count: [&'static str; 2],
    insert_one: &'static str,
    insert_many: &'static str,
    clear: &'static str,
}

impl Statements {
    fn new(table: &str, fields: &[Field], key: &[usize]) -> Self {
        let columns = fields.iter().map(|field| field.name.as_str()).collect::<Vec<_>>().join(", ");
        let names: Vec<&str> =
            key.iter().filter_map(|index| fields.get(*index)).map(|field| field.name.as_str()).collect();
        let order = names.join(", ");
        let after = match names[..] {
            [name] => format!("WHERE {name} > $1"),
            _ => format!("WHERE ({order}) > ({})", numbers(1, names.len())),
        };
        let both = |sql: &dyn Fn(&str) -> String| [kept(sql("")), kept(sql(&after))];
        let insert = |rows: usize| {
            let row = |row: usize| format!("({})", numbers(row * fields.len() + 1, fields.len()));
            let rows: Vec<String> = (0..rows).map(row).collect();
            kept(format!("INSERT INTO {table} ({columns}) VALUES {}", rows.join(", ")))
        };
        Self {
            // The number is written in, or PostgreSQL would plan for a tenth of the table.
            page: both(&|after| {
                format!("SELECT {columns} FROM {table} {after} ORDER BY {order} LIMIT {PAGE}")
            }),
            stride: both(&|after| {
                let skipped = STRIDE - 1;
                format!("SELECT {order} FROM {table} {after} ORDER BY {order} LIMIT 1 OFFSET {skipped}")
            }),
            count: both(&|after| format!("SELECT count(*) FROM {table} {after}")),
            insert_one: insert(1),
            insert_many: insert(TOGETHER),
            clear: kept(format!("DELETE FROM {table}")),
        }
    }
}

/// `$3, $4` for two from the third.
fn numbers(first: usize, count: usize) -> String {
    (first..first + count).map(|number| format!("${number}")).collect::<Vec<_>>().join(", ")
}

/// Statements live as long as the program, as all others do that are written in its source. These are few, and
/// made once by a command that then ends.
fn kept(sql: String) -> &'static str {
    Box::leak(sql.into_boxed_str())
}

impl Table {
    pub(super) fn new(name: String, fields: Vec<Field>, key: Vec<usize>) -> Self {
        let sql = Statements::new(&name, &fields, &key);
        Self { name, fields, key, initial: Fingerprint::default(), sql }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its columns, with what they hold.
    pub fn columns(&self) -> impl ExactSizeIterator<Item = (&str, Kind)> {
        self.fields.iter().map(|field| (field.name.as_str(), field.kind))
    }

    /// How many rows it has.
    ///
    /// # Errors
    /// If the database fails.
    pub fn rows(&self, tx: &mut Tx<'_>) -> Result<u64, Error> {
        let (mut sum, mut after) = (0, None);
        loop {
            let (rows, last) = self.count(tx, after.as_deref())?;
            sum += rows;
            after = last;
            if after.is_none() {
                return Ok(sum);
            }
        }
    }

    /// Gives its rows page by page, in the order of its key.
    ///
    /// # Errors
    /// If the database fails, or what `take` returns.
    pub fn pages<E: From<Error>>(
        &self,
        tx: &mut Tx<'_>,
        mut take: impl FnMut(Vec<Vec<Held>>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut after = None;
        loop {
            let page = self.page(tx, after.as_deref())?;
            let is_last = page.len() < PAGE;
            after = page.last().map(|row| self.key_of(row));
            take(page)?;
            if is_last {
                return Ok(());
            }
        }
    }

    /// The key of a row.
    pub(super) fn key_of(&self, row: &[Held]) -> Vec<Held> {
        self.key.iter().filter_map(|index| row.get(*index)).cloned().collect()
    }

    fn row(&self, row: &Row<'_>) -> Result<Vec<Held>, Error> {
        self.fields.iter().enumerate().map(|(index, field)| field.kind.read(row, index)).collect()
    }

    /// The next rows after a key, or the first ones.
    pub(super) fn page(&self, tx: &mut Tx<'_>, after: Option<&[Held]>) -> Result<Vec<Vec<Held>>, Error> {
        let [first, next] = self.sql.page;
        let sql = if after.is_some() { next } else { first };
        let page = tx.all(sql, &values(after), |row| self.row(row));
        page.map_err(|error| self.named(error))
    }

    /// The fingerprint of the next page, and its last key if another page may follow.
    pub(super) fn fingerprint(
        &self,
        tx: &mut Tx<'_>,
        after: Option<&[Held]>,
    ) -> Result<(Fingerprint, Option<Vec<Held>>), Error> {
        let rows = self.page(tx, after)?;
        let mut sum = Fingerprint::default();
        rows.iter().for_each(|row| sum.add(&encoded(row)));
        let is_full = rows.len() >= PAGE;
        Ok((sum, rows.last().filter(|_| is_full).map(|row| self.key_of(row))))
    }

    /// Whether it holds exactly what migrations have put there.
    pub(super) fn is_initial(&self, tx: &mut Tx<'_>) -> Result<bool, Error> {
        Ok(self.fingerprint(tx, None)?.0 == self.initial)
    }

    /// Takes out what migrations have put there.
    pub(super) fn clear(&self, tx: &mut Tx<'_>) -> Result<(), Error> {
        if self.initial.rows > 0 {
            tx.execute(self.sql.clear, &[]).map_err(|error| self.named(error))?;
        }
        Ok(())
    }

    /// Writes rows.
    pub(super) fn insert(&self, tx: &mut Tx<'_>, rows: &[Vec<Held>]) -> Result<(), Error> {
        let chunks = rows.chunks_exact(TOGETHER);
        let single = chunks.remainder().chunks(1).map(|rows| (self.sql.insert_one, rows));
        for (sql, rows) in chunks.map(|rows| (self.sql.insert_many, rows)).chain(single) {
            let values: Vec<Value<'_>> = rows.iter().flatten().map(Held::as_value).collect();
            tx.execute(sql, &values).map_err(|error| self.named(error))?;
        }
        Ok(())
    }

    /// Counts a part of it: how many rows, and the last key if there may be more after it.
    pub(super) fn count(
        &self,
        tx: &mut Tx<'_>,
        after: Option<&[Held]>,
    ) -> Result<(u64, Option<Vec<Held>>), Error> {
        let choose = |[first, next]: [&'static str; 2]| if after.is_some() { next } else { first };
        let kinds: Vec<Kind> =
            self.key.iter().filter_map(|index| self.fields.get(*index)).map(|field| field.kind).collect();
        let read =
            |row: &Row<'_>| kinds.iter().enumerate().map(|(index, kind)| kind.read(row, index)).collect();
        let last = tx.first(choose(self.sql.stride), &values(after), read);
        if let Some(last) = last.map_err(|error| self.named(error))? {
            return Ok((STRIDE, Some(last)));
        }
        let count = tx.first(choose(self.sql.count), &values(after), |row| row.get::<i64>(0));
        let count = count.map_err(|error| self.named(error))?.unwrap_or_default();
        Ok((count.unsigned_abs(), None))
    }

    /// The error, saying at which table.
    fn named(&self, error: Error) -> Error {
        let name = &self.name;
        match error {
            Error::Unavailable(why) => Error::Unavailable(format!("{name}: {why}")),
            Error::OutcomeUnknown(why) => Error::OutcomeUnknown(format!("{name}: {why}")),
            Error::Corrupt(why) => Error::Corrupt(format!("{name}: {why}")),
            Error::Refused(why) => Error::Refused(format!("{name}: {why}")),
            Error::Statement(why) => Error::Statement(format!("{name}: {why}")),
        }
    }
}

fn values(after: Option<&[Held]>) -> Vec<Value<'_>> {
    after.unwrap_or_default().iter().map(Held::as_value).collect()
}
