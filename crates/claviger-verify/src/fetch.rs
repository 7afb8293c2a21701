//! Getting a file from the server: the trait, what is asked, and what of the answer counts.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use url::{Host, Url};

/// A fetch that failed. Says why; there is nothing secret in keys and lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchError(Arc<str>);

impl FetchError {
    /// With a reason for the log.
    pub fn new(why: impl fmt::Display) -> Self {
        Self(why.to_string().into())
    }
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for FetchError {}

/// What is to be fetched by GET.
#[derive(Clone, Debug)]
pub struct Request {
    /// The address: https, or http on loopback.
    pub url: Url,
    /// For `Accept`.
    pub accept: &'static str,
    /// For `If-None-Match`: the tag of the copy that is there.
    pub etag: Option<String>,
    /// The answer's greatest length, bytes. Stop reading there.
    pub limit: usize,
}

/// The server's answer.
#[derive(Clone, Debug, Default)]
pub struct Response {
    /// The status code. Redirects are not followed: they end as failures.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
    /// `ETag`.
    pub etag: Option<String>,
    /// `Cache-Control`.
    pub cache_control: Option<String>,
    /// `Age`, if a cache has added it.
    pub age: Option<String>,
}

/// The future of a fetch.
pub type Fetching<'a> = Pin<Box<dyn Future<Output = Result<Response, FetchError>> + Send + 'a>>;

/// Fetches by GET. Follow no redirects, and keep no copies: both is the verifier's business. It also ends a fetch that
/// takes too long, by dropping it.
pub trait Fetch: Send + Sync + 'static {
    /// Fetches one file.
    fn get(&self, request: Request) -> Fetching<'_>;
}

impl Response {
    /// For how long the copy may still be kept by its `Cache-Control` and `Age` (RFC 9111 §4.2); `None` if they do not
    /// say.
    pub(crate) fn fresh_for(&self) -> Option<Duration> {
        let directives = self.cache_control.as_deref()?.split(',').map(str::trim);
        let mut most = None;
        for directive in directives {
            let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
            match name.to_ascii_lowercase().as_str() {
                "no-store" | "no-cache" => return Some(Duration::ZERO),
                "max-age" => most = seconds(value.trim_matches('"')),
                _ => {}
            }
        }
        let age = self.age.as_deref().and_then(|age| seconds(age.trim())).unwrap_or_default();
        most.map(|most| most.saturating_sub(age))
    }
}

fn seconds(text: &str) -> Option<Duration> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    // More than fits counts as the most there is (RFC 9111 §1.2.2).
    is_number.then(|| Duration::from_secs(text.parse().unwrap_or(u64::MAX)))
}

/// Whether nobody can change what comes from there: TLS, or the same machine.
pub(crate) fn is_safe(url: &Url) -> bool {
    let is_plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    let is_loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => return false,
    };
    is_plain && (url.scheme() == "https" || (url.scheme() == "http" && is_loopback))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn fresh(cache_control: &str, age: &str) -> Option<u64> {
        let age = (!age.is_empty()).then(|| age.to_owned());
        let response = Response { cache_control: Some(cache_control.to_owned()), age, ..Response::default() };
        response.fresh_for().map(|time| time.as_secs())
    }

    #[test]
    fn cache_control_is_read_as_rfc_9111_has_it() {
        assert_eq!(fresh("public, max-age=300", ""), Some(300));
        assert_eq!(fresh("Max-Age=\"300\" , public", ""), Some(300));
        assert_eq!(fresh("max-age=300", "100"), Some(200));
        assert_eq!(fresh("max-age=300", "301"), Some(0));
        assert_eq!(fresh("max-age=300", "-1"), Some(300));
        assert_eq!(fresh("max-age=300, no-store", ""), Some(0));
        assert_eq!(fresh("no-cache", ""), Some(0));
        assert_eq!(fresh("max-age=99999999999999999999999", ""), Some(u64::MAX));
        for silent in ["", "public", "max-age", "max-age=", "max-age=-1", "max-age=1e3", "s-maxage=5", "=,="]
        {
            assert_eq!(fresh(silent, "5"), None, "{silent}");
        }
        assert_eq!(Response::default().fresh_for(), None);
    }

    #[test]
    fn plain_http_is_for_loopback_alone() {
        for (url, safe) in [
            ("https://auth.example.com/", true),
            ("http://127.0.0.1:5000/", true),
            ("http://[::1]:5000/", true),
            ("http://localhost:5000/", true),
            ("http://auth.example.com/", false),
            ("http://10.0.0.1/", false),
            ("http://localhost.example.com/", false),
            ("https://me:secret@auth.example.com/", false),
            ("https://auth.example.com/#a", false),
            ("file:///etc/passwd", false),
            ("ftp://127.0.0.1/", false),
        ] {
            assert_eq!(is_safe(&Url::parse(url).unwrap()), safe, "{url}");
        }
    }
}
