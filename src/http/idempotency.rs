//! `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header): a creation whose answer was lost can be
//! sent again and gets the same answer.

use crate::http::problem::{MALFORMED_REQUEST, Problem};
use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::request::Parts;

/// The name of the header.
pub const HEADER: &str = "Idempotency-Key";

/// The digest of a request's key, if it has one: what is stored and compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdempotencyKey(pub Option<[u8; 32]>);

impl<S: Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        read(&parts.headers).map(Self)
    }
}

fn read(headers: &HeaderMap) -> Result<Option<[u8; 32]>, Problem> {
    let mut values = headers.get_all(HEADER).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let key = value.to_str().unwrap_or_default().trim();
    // The draft writes it as a quoted string; most clients leave the quotes out.
    let key = key.strip_prefix('"').and_then(|key| key.strip_suffix('"')).unwrap_or(key);
    if values.next().is_some() || !(1..=255).contains(&key.len()) {
        return Err(
            MALFORMED_REQUEST.because("Send one Idempotency-Key of 1 to 255 characters, such as a UUID.")
        );
    }
    Ok(Some(claviger_crypto::sha256(key.as_bytes())))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn of(values: &[&str]) -> Result<Option<[u8; 32]>, Problem> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(HEADER, HeaderValue::from_str(value).unwrap());
        }
        read(&headers)
    }

    #[test]
    fn one_key_with_or_without_quotes() {
        assert_eq!(of(&[]).unwrap(), None);
        assert_eq!(of(&["\"a-b\""]).unwrap(), of(&["a-b"]).unwrap());
        assert_ne!(of(&["a-b"]).unwrap(), of(&["a-c"]).unwrap());
        for bad in [&[""][..], &["\"\""], &["a", "b"], &["é"], &[&*"a".repeat(256)]] {
            assert!(of(bad).is_err(), "{bad:?}");
        }
    }
}
