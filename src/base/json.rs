//! JSON from outside, read strictly: one object in which no name stands twice (RFC 8259 §4). Members that
//! nobody asked for are ignored.

use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::fmt;

/// Why bytes are not the object that was asked for. Nothing of them is repeated: it may be a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// No JSON, or none that all readers understand alike.
    #[error("{why}, line {line} column {column}")]
    Text {
        /// What is wrong.
        why: &'static str,
        /// In which line, counted from 1.
        line: usize,
        /// At which byte of it, counted from 1.
        column: usize,
    },
    /// JSON, but no object.
    #[error("it is not a JSON object")]
    NoObject,
    /// A member that is missing or of another type.
    #[error("{name} {detail}")]
    Field {
        /// Its name; with a dot between names where it is deeper.
        name: String,
        /// What to change.
        detail: String,
    },
}

/// Reads bytes as a `T`.
///
/// # Errors
/// [`Invalid`].
pub fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Invalid> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = Strict.deserialize(&mut deserializer).and_then(|value| deserializer.end().map(|()| value));
    let value = value.map_err(|error| {
        let why =
            if error.to_string().starts_with(DUPLICATE) { "a name stands twice" } else { "it is not JSON" };
        Invalid::Text { why, line: error.line(), column: error.column() }
    })?;
    if !value.is_object() {
        return Err(Invalid::NoObject);
    }
    serde_path_to_error::deserialize(value).map_err(|error| field(&error))
}

/// Serde's messages may repeat the value; only its name and what was expected are passed on.
fn field(error: &serde_path_to_error::Error<serde_json::Error>) -> Invalid {
    let text = error.inner().to_string();
    if let Some(name) = text.strip_prefix("missing field `").and_then(|rest| rest.split('`').next()) {
        return Invalid::Field { name: name.to_owned(), detail: "is missing".to_owned() };
    }
    let expected = text.rsplit_once(", expected ").map_or("something else", |(_, expected)| expected);
    Invalid::Field { name: error.path().to_string(), detail: format!("must be {expected}") }
}

const DUPLICATE: &str = "duplicate name";

/// Builds a [`Value`] and refuses a name that stands twice in one object, at any depth.
struct Strict;

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut out = Vec::new();
        while let Some(item) = items.next_element_seed(Strict)? {
            out.push(item);
        }
        Ok(out.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut out = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            if out.insert(name, members.next_value_seed(Strict)?).is_some() {
                return Err(A::Error::custom(DUPLICATE));
            }
        }
        Ok(out.into())
    }
}
