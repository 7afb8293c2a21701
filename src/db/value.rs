//! The values that go into and come out of rows, the same on both engines.

use crate::base::time::Timestamp;
use crate::db::Error;
use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
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

impl ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Text(text) => ToSqlOutput::from(*text),
            Self::Bytes(bytes) => ToSqlOutput::from(*bytes),
            Self::Uuid(id) => ToSqlOutput::Borrowed(ValueRef::Blob(id.as_bytes())),
            Self::Time(time) => ToSqlOutput::from(time.as_micros()),
            Self::Int(number) => ToSqlOutput::from(*number),
            Self::Null => ToSqlOutput::Borrowed(ValueRef::Null),
        })
    }
}

/// A type that a column can be read as.
pub trait Column: Sized {
    /// Reads it from SQLite's form.
    fn from_sqlite(value: ValueRef<'_>) -> Option<Self>;
}

impl Column for String {
    fn from_sqlite(value: ValueRef<'_>) -> Option<Self> {
        value.as_str().ok().map(str::to_owned)
    }
}

impl Column for Vec<u8> {
    fn from_sqlite(value: ValueRef<'_>) -> Option<Self> {
        value.as_blob().ok().map(<[u8]>::to_vec)
    }
}

impl Column for Uuid {
    fn from_sqlite(value: ValueRef<'_>) -> Option<Self> {
        Uuid::from_slice(value.as_blob().ok()?).ok()
    }
}

impl Column for Timestamp {
    fn from_sqlite(value: ValueRef<'_>) -> Option<Self> {
        value.as_i64().ok().map(Timestamp::from_micros)
    }
}

impl Column for i64 {
    fn from_sqlite(value: ValueRef<'_>) -> Option<Self> {
        value.as_i64().ok()
    }
}

/// NULL is `None`.
impl<T: Column> Column for Option<T> {
    fn from_sqlite(value: ValueRef<'_>) -> Option<Self> {
        match value {
            ValueRef::Null => Some(None),
            value => T::from_sqlite(value).map(Some),
        }
    }
}

/// One row of an answer.
#[derive(Debug)]
pub struct Row<'a>(pub(super) &'a rusqlite::Row<'a>);

impl Row<'_> {
    /// The column at `index`, counted from 0 in the order of the SELECT list.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if the stored value is of another type.
    pub fn get<T: Column>(&self, index: usize) -> Result<T, Error> {
        let value = self.0.get_ref(index)?;
        T::from_sqlite(value).ok_or_else(|| {
            let name = self.0.as_ref().column_name(index).unwrap_or("?").to_owned();
            Error::Corrupt(format!("column {name} holds a {}", value.data_type()))
        })
    }
}
