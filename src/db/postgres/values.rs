//! Values in PostgreSQL's binary form, and back.

use super::failure::Failure;
use crate::db::value::Cell;
use crate::db::{Error, Value};
use bytes::BytesMut;
use tokio_postgres::types::{FromSql, IsNull, Kind, ToSql, Type, to_sql_checked};
use uuid::Uuid;

type AnyError = Box<dyn std::error::Error + Sync + Send>;

/// What migrations' words mean here. Moments stay numbers, so that they compare as they do on SQLite, and JSON
/// stays the text that the audit trail's digests cover.
pub(in crate::db) const WORDS: &[(&str, &str)] = &[
    ("@uuid", "UUID"),
    ("@bytes", "BYTEA"),
    ("@time", "BIGINT"),
    ("@int", "BIGINT"),
    ("@json", "TEXT"),
    (" @options", ""),
];

/// Values for a prepared statement.
pub(super) fn as_parameters<'a>(values: &'a [Value<'_>]) -> Vec<&'a (dyn ToSql + Sync)> {
    values.iter().map(|value| value as &(dyn ToSql + Sync)).collect()
}

/// Values for a statement that is not prepared.
pub(super) fn as_typed<'a>(values: &'a [Value<'_>]) -> Vec<(&'a (dyn ToSql + Sync), Type)> {
    values.iter().map(|value| (value as &(dyn ToSql + Sync), type_of(value))).collect()
}

/// Whether a statement takes these values. Asked before anything is sent: what then fails is the connection.
pub(super) fn check(types: &[Type], values: &[Value<'_>]) -> Result<(), Failure> {
    if types.len() != values.len() {
        let (wanted, given) = (types.len(), values.len());
        return Err(Failure::statement(format!("it takes {wanted} values, not {given}")));
    }
    for (number, (wanted, value)) in types.iter().zip(values).enumerate() {
        let fits = match (value, wanted) {
            (Value::Null, _) => true,
            (Value::Text(_), &Type::TEXT | &Type::VARCHAR)
            | (Value::Bytes(_), &Type::BYTEA)
            | (Value::Uuid(_), &Type::UUID) => true,
            (Value::Time(_) | Value::Int(_), &Type::INT8) => true,
            (Value::Int(number), &Type::INT4) => i32::try_from(*number).is_ok(),
            _ => false,
        };
        if !fits {
            return Err(Failure::statement(format!("value {} is not for {wanted}", number + 1)));
        }
    }
    Ok(())
}

/// What a value is sent as where no statement has been prepared that would say; 0 leaves it to the server.
pub(super) fn type_of(value: &Value<'_>) -> Type {
    match value {
        Value::Text(_) => Type::TEXT,
        Value::Bytes(_) => Type::BYTEA,
        Value::Uuid(_) => Type::UUID,
        Value::Time(_) | Value::Int(_) => Type::INT8,
        Value::Null => Type::new("unspecified".into(), 0, Kind::Pseudo, "pg_catalog".into()),
    }
}

impl ToSql for Value<'_> {
    fn to_sql(&self, wanted: &Type, out: &mut BytesMut) -> Result<IsNull, AnyError> {
        match self {
            Self::Text(text) => out.extend_from_slice(text.as_bytes()),
            Self::Bytes(bytes) => out.extend_from_slice(bytes),
            Self::Uuid(id) => out.extend_from_slice(id.as_bytes()),
            Self::Time(time) => out.extend_from_slice(&time.as_micros().to_be_bytes()),
            Self::Int(number) if *wanted == Type::INT4 => {
                out.extend_from_slice(&i32::try_from(*number)?.to_be_bytes());
            }
            Self::Int(number) => out.extend_from_slice(&number.to_be_bytes()),
            Self::Null => return Ok(IsNull::Yes),
        }
        Ok(IsNull::No)
    }

    // `check` has looked.
    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// A column as it came.
struct Read<'a>(Cell<'a>);

impl<'a> FromSql<'a> for Read<'a> {
    fn from_sql(held: &Type, raw: &'a [u8]) -> Result<Self, AnyError> {
        Ok(Self(match *held {
            Type::TEXT | Type::VARCHAR => Cell::Text(std::str::from_utf8(raw)?),
            Type::BYTEA => Cell::Bytes(raw),
            Type::UUID => Cell::Uuid(Uuid::from_slice(raw)?),
            Type::INT8 => Cell::Int(i64::from_be_bytes(raw.try_into()?)),
            Type::INT4 => Cell::Int(i32::from_be_bytes(raw.try_into()?).into()),
            Type::BOOL => Cell::Int(i64::from(raw != [0])),
            _ => return Err(format!("{held} is not read here").into()),
        }))
    }

    fn from_sql_null(_: &Type) -> Result<Self, AnyError> {
        Ok(Self(Cell::Null))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// What a row holds at `index`.
pub(in crate::db) fn cell(row: &tokio_postgres::Row, index: usize) -> Result<Cell<'_>, Error> {
    let read: Result<Read<'_>, _> = row.try_get(index);
    read.map(|read| read.0).map_err(|error| Error::Statement(super::failure::chain(&error)))
}
