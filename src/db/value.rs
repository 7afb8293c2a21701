//! The values that go into and come out of rows, the same on both engines.

use crate::base::time::Timestamp;
use crate::db::Error;
use uuid::Uuid;

/// A parameter of a statement.
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    /// Text.
    Text(&'a str),
    /// Bytes: `@bytes` in migrations.
    Bytes(&'a [u8]),
    /// An identifier: `@uuid` in migrations.
    Uuid(Uuid),
    /// A moment: `@time` in migrations.
    Time(Timestamp),
    /// A whole number: `@int` in migrations.
    Int(i64),
    /// NULL.
    Null,
}

impl<'a, T: Into<Value<'a>>> From<Option<T>> for Value<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a [u8]> for Value<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<Uuid> for Value<'_> {
    fn from(id: Uuid) -> Self {
        Self::Uuid(id)
    }
}

impl From<Timestamp> for Value<'_> {
    fn from(time: Timestamp) -> Self {
        Self::Time(time)
    }
}

impl From<i64> for Value<'_> {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

/// What an engine holds in a column, before it is read as a type of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell<'a> {
    /// NULL.
    Null,
    /// Text.
    Text(&'a str),
    /// Bytes; on SQLite identifiers too.
    Bytes(&'a [u8]),
    /// An identifier, where the engine has a type for them.
    Uuid(Uuid),
    /// A whole number, a moment, or a truth as 0 or 1.
    Int(i64),
}

/// A type that a column can be read as.
pub trait Column: Sized {
    /// Reads it; `None` if the column holds something else.
    fn read(cell: Cell<'_>) -> Option<Self>;
}

impl Column for String {
    fn read(cell: Cell<'_>) -> Option<Self> {
        match cell {
            Cell::Text(text) => Some(text.to_owned()),
            _ => None,
        }
    }
}

impl Column for Vec<u8> {
    fn read(cell: Cell<'_>) -> Option<Self> {
        match cell {
            Cell::Bytes(bytes) => Some(bytes.to_vec()),
            _ => None,
        }
    }
}

impl Column for Uuid {
    fn read(cell: Cell<'_>) -> Option<Self> {
        match cell {
            Cell::Uuid(id) => Some(id),
            Cell::Bytes(bytes) => Uuid::from_slice(bytes).ok(),
            _ => None,
        }
    }
}

impl Column for i64 {
    fn read(cell: Cell<'_>) -> Option<Self> {
        match cell {
            Cell::Int(number) => Some(number),
            _ => None,
        }
    }
}

impl Column for Timestamp {
    fn read(cell: Cell<'_>) -> Option<Self> {
        i64::read(cell).map(Timestamp::from_micros)
    }
}

/// NULL is `None`.
impl<T: Column> Column for Option<T> {
    fn read(cell: Cell<'_>) -> Option<Self> {
        match cell {
            Cell::Null => Some(None),
            cell => T::read(cell).map(Some),
        }
    }
}

/// One row of an answer.
#[derive(Debug)]
pub struct Row<'a>(pub(super) Source<'a>);

/// Whose row it is.
#[derive(Debug)]
pub(super) enum Source<'a> {
    Sqlite(&'a rusqlite::Row<'a>),
    Postgres(&'a tokio_postgres::Row),
}

impl Row<'_> {
    /// The column at `index`, counted from 0 in the order of the SELECT list.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if the stored value is of another type.
    pub fn get<T: Column>(&self, index: usize) -> Result<T, Error> {
        let cell = match &self.0 {
            Source::Sqlite(row) => super::sqlite::cell(row, index)?,
            Source::Postgres(row) => super::postgres::cell(row, index)?,
        };
        T::read(cell).ok_or_else(|| {
            let held = match cell {
                Cell::Null => "NULL",
                Cell::Text(_) => "text",
                Cell::Bytes(_) => "bytes",
                Cell::Uuid(_) => "an identifier",
                Cell::Int(_) => "a number",
            };
            Error::Corrupt(format!("column {} holds {held}", self.name(index)))
        })
    }

    fn name(&self, index: usize) -> &str {
        match &self.0 {
            Source::Sqlite(row) => row.as_ref().column_name(index).unwrap_or("?"),
            Source::Postgres(row) => row.columns().get(index).map_or("?", tokio_postgres::Column::name),
        }
    }
}
