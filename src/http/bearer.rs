//! Tokens in requests: `Authorization: Bearer` (RFC 6750 §2.1), or the starting API's `x-access-token`
//! and `token` headers. Never the query.

use crate::http::problem::{CREDENTIALS_REQUIRED, MALFORMED_CREDENTIALS, Problem};
use axum::http::{HeaderMap, HeaderValue, header};

/// The challenge where no token was sent (RFC 6750 §3).
pub const CHALLENGE: &str = r#"Bearer realm="claviger""#;

/// The challenge where the token is refused (RFC 6750 §3.1).
pub const CHALLENGE_INVALID: &str = r#"Bearer realm="claviger", error="invalid_token""#;

/// The challenge where the token's scope is too small (RFC 6750 §3.1).
pub const CHALLENGE_SCOPE: &str = r#"Bearer realm="claviger", error="insufficient_scope", scope="account""#;

/// The one token of a request.
///
/// # Errors
/// 401 without a token, 400 with more than one or one that cannot be read (RFC 6750 §2).
pub fn token(headers: &HeaderMap) -> Result<&str, Problem> {
    let own = ["x-access-token", "token"].into_iter().flat_map(|name| headers.get_all(name)).map(text);
    let mut tokens = headers.get_all(header::AUTHORIZATION).iter().filter_map(bearer).chain(own);
    match (tokens.next(), tokens.next()) {
        (None, _) => Err(CREDENTIALS_REQUIRED
            .because("Log in and send the token as `Authorization: Bearer TOKEN`.")
            .challenge(CHALLENGE)),
        (Some(token), None) => token.ok_or_else(|| malformed("The token is not ASCII.")),
        (Some(_), Some(_)) => Err(malformed("Send one token, in one header.")),
    }
}

/// `None` for another scheme, `Some(None)` for a value that cannot be read.
fn bearer(value: &HeaderValue) -> Option<Option<&str>> {
    let Ok(text) = value.to_str() else { return Some(None) };
    let (scheme, token) = text.split_once(' ').unwrap_or((text, ""));
    scheme.eq_ignore_ascii_case("bearer").then_some(Some(token.trim()))
}

fn text(value: &HeaderValue) -> Option<&str> {
    value.to_str().ok().map(str::trim)
}

fn malformed(why: &'static str) -> Problem {
    MALFORMED_CREDENTIALS.because(why)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn of(headers: &[(&'static str, &'static str)]) -> Result<String, &'static str> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_static(value));
        }
        token(&map).map(str::to_owned).map_err(|problem| problem.kind().name)
    }

    #[test]
    fn one_token_in_one_of_three_headers() {
        for headers in [
            ("authorization", "Bearer a.b.c"),
            ("authorization", "bEARER a.b.c"),
            ("x-access-token", "a.b.c"),
            ("token", " a.b.c "),
        ] {
            assert_eq!(of(&[headers]).unwrap(), "a.b.c");
        }
        assert_eq!(of(&[]), Err("credentials-required"));
        assert_eq!(of(&[("authorization", "Basic YTpi")]), Err("credentials-required"));
        assert_eq!(of(&[("authorization", "Bearer")]).unwrap(), "", "refused later, as no token");
        assert_eq!(of(&[("token", "a"), ("x-access-token", "a")]), Err("malformed-credentials"));
        assert_eq!(of(&[("token", "a"), ("token", "b")]), Err("malformed-credentials"));
        assert_eq!(of(&[("authorization", "Bearer a"), ("token", "a")]), Err("malformed-credentials"));
    }
}
