//! Answers whose bytes are made once and sent many times, with `ETag` and 304 (RFC 9110 §13.1.2).

use axum::body::{Body, Bytes};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;

/// The bytes and the headers of an answer.
#[derive(Clone, Debug)]
pub struct Prepared {
    body: Bytes,
    content_type: HeaderValue,
    cache_control: HeaderValue,
    etag: HeaderValue,
}

impl Prepared {
    /// An answer of `content_type` that caches may keep for `max_age` seconds.
    pub fn new(body: Vec<u8>, content_type: &'static str, max_age: u32) -> Self {
        let digest = claviger_crypto::base64url(&claviger_crypto::sha256(&body));
        let header =
            |text: String| HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("no-store"));
        Self {
            body: body.into(),
            content_type: HeaderValue::from_static(content_type),
            cache_control: header(format!("public, max-age={max_age}")),
            etag: header(format!("\"{digest}\"")),
        }
    }

    /// The answer to a request with these headers: the bytes, or 304 where the caller has them.
    pub fn answer(&self, request: &HeaderMap) -> Response {
        let known = request.get_all(IF_NONE_MATCH).iter().any(|value| self.is_in(value));
        let mut response = Response::new(if known { Body::empty() } else { Body::from(self.body.clone()) });
        if known {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        }
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, self.content_type.clone());
        headers.insert(CACHE_CONTROL, self.cache_control.clone());
        headers.insert(ETAG, self.etag.clone());
        response
    }

    fn is_in(&self, list: &HeaderValue) -> bool {
        let tags = list.to_str().unwrap_or_default().split(',').map(str::trim);
        tags.map(|tag| tag.strip_prefix("W/").unwrap_or(tag)).any(|tag| tag == "*" || self.etag == tag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_304_to_who_has_it() {
        let prepared = Prepared::new(b"{}".to_vec(), "application/json", 60);
        let status = |tag: &str| {
            let mut request = HeaderMap::new();
            request.insert(IF_NONE_MATCH, HeaderValue::try_from(tag).unwrap_or(HeaderValue::from_static("")));
            prepared.answer(&request).status().as_u16()
        };
        let tag = prepared.etag.to_str().unwrap_or_default();
        assert_eq!(status("\"other\""), 200);
        assert_eq!(status(tag), 304);
        assert_eq!(status(&format!("\"other\", W/{tag}")), 304);
        assert_eq!(status("*"), 304);
        assert_eq!(prepared.answer(&HeaderMap::new()).status(), 200);
    }
}
