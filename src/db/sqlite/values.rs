//! Values in SQLite's form, and back.

use crate::db::value::Cell;
use crate::db::{Error, Value};
use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};

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

/// What a row holds at `index`.
pub(in crate::db) fn cell<'a>(row: &'a rusqlite::Row<'_>, index: usize) -> Result<Cell<'a>, Error> {
    let corrupt = |what: &str| Error::Corrupt(format!("column {} of an answer holds {what}", index + 1));
    Ok(match row.get_ref(index)? {
        ValueRef::Null => Cell::Null,
        ValueRef::Integer(number) => Cell::Int(number),
        ValueRef::Blob(bytes) => Cell::Bytes(bytes),
        ValueRef::Text(text) => {
            Cell::Text(std::str::from_utf8(text).map_err(|_| corrupt("text that is not UTF-8"))?)
        }
        ValueRef::Real(_) => return Err(corrupt("a fraction")),
    })
}
