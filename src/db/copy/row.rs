//! A row on its way from one engine to the other, and the bytes that stand for it on both.

use crate::db::{Error, Row, Value};
use uuid::Uuid;

/// What a column holds, whatever an engine calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    Text,
    /// Bytes.
    Bytes,
    /// An identifier.
    Uuid,
    /// A whole number, or a moment.
    Int,
}

/// What a row holds in one column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Held {
    /// NULL.
    Null,
    /// Text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// An identifier.
    Uuid(Uuid),
    /// A whole number, or a moment.
    Int(i64),
}

impl Kind {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Bytes => "bytes",
            Self::Uuid => "uuid",
            Self::Int => "int",
        }
    }

    /// Whether a column of this kind can hold it, or nothing.
    pub fn takes(self, held: &Held) -> bool {
        matches!(
            (self, held),
            (_, Held::Null)
                | (Self::Text, Held::Text(_))
                | (Self::Bytes, Held::Bytes(_))
                | (Self::Uuid, Held::Uuid(_))
                | (Self::Int, Held::Int(_))
        )
    }

    /// Reads the column at `index`.
    pub(super) fn read(self, row: &Row<'_>, index: usize) -> Result<Held, Error> {
        let held = match self {
            Self::Text => row.get::<Option<String>>(index)?.map(Held::Text),
            Self::Bytes => row.get::<Option<Vec<u8>>>(index)?.map(Held::Bytes),
            Self::Uuid => row.get::<Option<Uuid>>(index)?.map(Held::Uuid),
            Self::Int => row.get::<Option<i64>>(index)?.map(Held::Int),
        };
        Ok(held.unwrap_or(Held::Null))
    }
}

impl Held {
    /// As a parameter of a statement.
    pub(super) fn as_value(&self) -> Value<'_> {
        match self {
            Self::Null => Value::Null,
            Self::Text(text) => text.as_str().into(),
            Self::Bytes(bytes) => bytes.as_slice().into(),
            Self::Uuid(id) => (*id).into(),
            Self::Int(number) => (*number).into(),
        }
    }

    /// Its kind, its length and its bytes: no two rows have the same ones.
    fn encode(&self, out: &mut Vec<u8>) {
        let mut put = |kind: u8, bytes: &[u8]| {
            out.push(kind);
            out.extend_from_slice(&(bytes.len() as u64).to_be_bytes());
            out.extend_from_slice(bytes);
        };
        match self {
            Self::Null => put(0, &[]),
            Self::Text(text) => put(1, text.as_bytes()),
            Self::Bytes(bytes) => put(2, bytes),
            Self::Uuid(id) => put(3, id.as_bytes()),
            Self::Int(number) => put(4, &number.to_be_bytes()),
        }
    }

    /// The first one in `bytes`, and what follows it.
    fn decode(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (kind, rest) = bytes.split_first()?;
        let (length, rest) = rest.split_first_chunk()?;
        let (held, rest) = rest.split_at_checked(usize::try_from(u64::from_be_bytes(*length)).ok()?)?;
        let held = match kind {
            0 if held.is_empty() => Self::Null,
            1 => Self::Text(String::from_utf8(held.to_vec()).ok()?),
            2 => Self::Bytes(held.to_vec()),
            3 => Self::Uuid(Uuid::from_slice(held).ok()?),
            4 => Self::Int(i64::from_be_bytes(held.try_into().ok()?)),
            _ => return None,
        };
        Some((held, rest))
    }
}

/// The bytes of a row, or of its key: the same on both engines.
pub fn encoded(row: &[Held]) -> Vec<u8> {
    let mut out = Vec::with_capacity(32 * row.len());
    row.iter().for_each(|held| held.encode(&mut out));
    out
}

/// What [`encoded`] was made from.
pub fn decoded(mut bytes: &[u8]) -> Option<Vec<Held>> {
    let mut row = Vec::new();
    while !bytes.is_empty() {
        let (held, rest) = Held::decode(bytes)?;
        row.push(held);
        bytes = rest;
    }
    Some(row)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Vec<Vec<Held>> {
        let (text, bytes) = (|text: &str| Held::Text(text.into()), |bytes: &[u8]| Held::Bytes(bytes.into()));
        vec![
            vec![],
            vec![Held::Null],
            vec![Held::Null, Held::Null],
            vec![text("")],
            vec![bytes(b"")],
            vec![text("ab"), text("c")],
            vec![text("a"), text("bc")],
            vec![bytes(b"ab"), text("c")],
            vec![bytes(&[0; 16])],
            vec![Held::Uuid(Uuid::nil())],
            vec![Held::Int(0)],
            vec![bytes(&[0; 8])],
            vec![Held::Int(-1), text("ü語"), Held::Null],
        ]
    }

    #[test]
    fn every_row_has_bytes_of_its_own_and_comes_back() {
        for (number, row) in rows().iter().enumerate() {
            assert_eq!(decoded(&encoded(row)).as_ref(), Some(row));
            for other in rows().iter().skip(number + 1) {
                assert_ne!(encoded(row), encoded(other), "{row:?} {other:?}");
            }
        }
    }

    #[test]
    fn what_was_never_encoded_is_not_decoded() {
        let whole = encoded(&[Held::Text("abc".into())]);
        for length in 1..whole.len() {
            assert_eq!(decoded(whole.get(..length).unwrap_or_default()), None, "{length}");
        }
        let mut odd = encoded(&[Held::Bytes(vec![255])]);
        for kind in [0, 1, 3, 4, 5] {
            odd.splice(..1, [kind]);
            assert_eq!(decoded(&odd), None, "{kind}");
        }
    }
}
