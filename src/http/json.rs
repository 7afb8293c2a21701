//! JSON request bodies, read strictly: one value in which no name stands twice (RFC 8259 §4). Members
//! that nobody asked for are ignored.

use crate::http::body;
use crate::http::problem::{FieldError, MALFORMED_JSON, Problem};
use axum::extract::{FromRequest, Request};
use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::fmt;

/// The content type.
pub const TYPE: &str = "application/json";

/// A body that was read as a `T`.
#[derive(Debug)]
pub struct JsonBody<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        read(&body::read(request, TYPE, &MALFORMED_JSON).await?).map(Self)
    }
}

/// Reads a body's bytes as a `T`.
///
/// # Errors
/// A problem that says what to change, without repeating what was sent: it may be a password.
pub fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = Strict.deserialize(&mut deserializer).and_then(|value| deserializer.end().map(|()| value));
    let value = value.map_err(|error| {
        let why =
            if error.to_string().starts_with(DUPLICATE) { "a name stands twice" } else { "it is not JSON" };
        MALFORMED_JSON.because(format!("{why}, line {} column {}.", error.line(), error.column()))
    })?;
    if !value.is_object() {
        return Err(MALFORMED_JSON.because("The body must be a JSON object."));
    }
    serde_path_to_error::deserialize(value).map_err(|error| Problem::fields(vec![field_error(&error)]))
}

/// Serde's messages may repeat the value; only its name and what was expected are passed on.
fn field_error(error: &serde_path_to_error::Error<serde_json::Error>) -> FieldError {
    let text = error.inner().to_string();
    if let Some(name) = text.strip_prefix("missing field `").and_then(|rest| rest.split('`').next()) {
        return FieldError { pointer: format!("/{name}").into(), detail: "is missing".into() };
    }
    let expected = text.rsplit_once(", expected ").map_or("something else", |(_, expected)| expected);
    let pointer = error.path().to_string().replace('.', "/");
    FieldError { pointer: format!("/{pointer}").into(), detail: format!("must be {expected}").into() }
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    struct Login {
        email: String,
        #[allow(dead_code)]
        password: String,
    }

    fn kind(body: &str) -> &'static str {
        read::<Login>(body.as_bytes()).unwrap_err().kind().name
    }

    #[test]
    fn reads_an_object_and_ignores_other_members() {
        let login: Login =
            read(br#" {"email":"a","password":"b","role":"admin","n":[1,2.5,null,{"x":true}]} "#).unwrap();
        assert_eq!(login.email, "a");
    }

    #[test]
    fn refuses_what_is_not_one_strict_json_object() {
        for body in [
            "",
            "{",
            "nul",
            "[]",
            "\"x\"",
            "1",
            "null",
            "{} {}",
            "{}x",
            "{'a':1}",
            "{\"a\":1,}",
            "\u{feff}{}",
            r#"{"email":"a","email":"b","password":"c"}"#,
            r#"{"x":{"y":1,"y":2}}"#,
            r#"{"email":"\ud800"}"#,
            r#"{"email":"\udc00\ud800"}"#,
            "{\"email\":\"a\u{1}\"}",
            r#"{"x":1e999}"#,
            r#"{"a":01}"#,
            &format!("{}{}", "[".repeat(5000), "]".repeat(5000)),
            &format!("{{\"x\":{}{}}}", "[".repeat(5000), "]".repeat(5000)),
        ] {
            assert_eq!(kind(body), "malformed-json", "{body:.60}");
        }
        assert!(read::<Login>(b"{\"email\":\"\xff\",\"password\":\"b\"}").is_err(), "not UTF-8");
    }

    #[test]
    fn names_the_field_without_repeating_its_value() {
        for (body, pointer, detail) in [
            (r#"{"email":"a"}"#, "/password", "is missing"),
            (r#"{"email":"a","password":["hunter2"]}"#, "/password", "must be a string"),
            (r#"{"email":{"a":1},"password":"hunter2"}"#, "/email", "must be a string"),
            (r#"{"email":null,"password":"hunter2"}"#, "/email", "must be a string"),
        ] {
            let problem = read::<Login>(body.as_bytes()).unwrap_err();
            let expected = FieldError { pointer: pointer.into(), detail: detail.into() };
            assert!(format!("{problem:?}").contains(&format!("{expected:?}")), "{problem:?}");
            assert!(!format!("{problem:?}").contains("hunter2"));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read::<Login>(&bytes);
        }
    }
}
