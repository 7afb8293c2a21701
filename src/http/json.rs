//! JSON request bodies: what `base/json.rs` reads, and what is said of anything else.

use crate::base::json::{self, Invalid};
use crate::http::body;
use crate::http::problem::{FieldError, MALFORMED_JSON, Problem};
use axum::extract::{FromRequest, Request};
use serde::de::DeserializeOwned;

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
    json::read(bytes).map_err(|invalid| match invalid {
        Invalid::Text { why, line, column } => {
            MALFORMED_JSON.because(format!("{why}, line {line} column {column}."))
        }
        Invalid::NoObject => MALFORMED_JSON.because("The body must be a JSON object."),
        Invalid::Field { name, detail } => {
            let pointer = format!("/{}", name.replace('.', "/"));
            Problem::fields(vec![FieldError { pointer: pointer.into(), detail: detail.into() }])
        }
    })
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
