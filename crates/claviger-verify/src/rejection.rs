//! The answer to a request whose token is missing, refused or too small (RFC 6750 §3), and how a token stands in a
//! request.

use crate::claims::Claims;
use crate::error::Error;
use crate::verifier::Verifier;
use http::header::{AUTHORIZATION, CACHE_CONTROL, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Response, StatusCode};

/// Why a request goes no further.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Rejection {
    /// No token was sent: 401.
    #[error("there is no token in the request")]
    NoToken,
    /// More than one `Authorization`, or one that cannot be read: 400.
    #[error("the request has no single readable Authorization header")]
    Malformed,
    /// The token is refused: 401; or nobody can tell: 503.
    #[error(transparent)]
    Refused(#[from] Error),
    /// The token does not allow this scope: 403.
    #[error("the token lacks the scope {0}")]
    InsufficientScope(String),
}

impl Rejection {
    /// The status code of the answer.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Malformed => StatusCode::BAD_REQUEST,
            Self::Refused(error) if !error.is_of_the_token() => StatusCode::SERVICE_UNAVAILABLE,
            Self::NoToken | Self::Refused(_) => StatusCode::UNAUTHORIZED,
            Self::InsufficientScope(_) => StatusCode::FORBIDDEN,
        }
    }

    /// `WWW-Authenticate` of the answer (RFC 6750 §3). Which rule a token breaks goes to the log, not to the caller.
    pub fn challenge(&self) -> Option<HeaderValue> {
        match self {
            Self::NoToken => Some(HeaderValue::from_static("Bearer realm=\"claviger\"")),
            Self::Malformed => {
                Some(HeaderValue::from_static("Bearer realm=\"claviger\", error=\"invalid_request\""))
            }
            Self::Refused(error) if error.is_of_the_token() => {
                Some(HeaderValue::from_static("Bearer realm=\"claviger\", error=\"invalid_token\""))
            }
            Self::Refused(_) => None,
            Self::InsufficientScope(scope) => {
                // What no scope may hold (RFC 6749 §3.3) is left out, so that it ends no quotation.
                let scope: String =
                    scope.chars().filter(|c| c.is_ascii_graphic() && !r#""\"#.contains(*c)).collect();
                let text = format!(r#"Bearer realm="claviger", error="insufficient_scope", scope="{scope}""#);
                HeaderValue::try_from(text).ok()
            }
        }
    }

    /// The answer, with an empty body.
    pub fn response<B: Default>(&self) -> Response<B> {
        let mut response = Response::new(B::default());
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(challenge) = self.challenge() {
            headers.insert(WWW_AUTHENTICATE, challenge);
        }
        if self.status() == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("5"));
        }
        response
    }
}

impl Claims {
    /// Fails where the token does not allow `scope`.
    ///
    /// # Errors
    /// [`Rejection::InsufficientScope`].
    pub fn require_scope(&self, scope: &str) -> Result<(), Rejection> {
        if self.has_scope(scope) { Ok(()) } else { Err(Rejection::InsufficientScope(scope.to_owned())) }
    }
}

impl Verifier {
    /// Verifies the token of a request, which stands in `Authorization: Bearer` and nowhere else (RFC 6750 §2.1).
    ///
    /// # Errors
    /// [`Rejection`]; its cause is logged.
    pub async fn verify_headers(&self, headers: &HeaderMap) -> Result<Claims, Rejection> {
        let token = bearer(headers)?;
        self.verify(token).await.map_err(|error| {
            match error.is_of_the_token() {
                true => tracing::debug!(%error, "a request is refused"),
                false => tracing::warn!(%error, "a request cannot be judged"),
            }
            Rejection::Refused(error)
        })
    }
}

/// The one token of a request. The scheme's name may be written in any case (RFC 9110 §11.1).
fn bearer(headers: &HeaderMap) -> Result<&str, Rejection> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = match (values.next(), values.next()) {
        (None, _) => return Err(Rejection::NoToken),
        (Some(value), None) => value.to_str().map_err(|_| Rejection::Malformed)?,
        (Some(_), Some(_)) => return Err(Rejection::Malformed),
    };
    let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Rejection::NoToken);
    }
    let token = token.trim_matches(' ');
    if token.is_empty() || token.contains([' ', ',', '\t']) { Err(Rejection::Malformed) } else { Ok(token) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::fetch::FetchError;
    use claviger_crypto::jwt;

    #[test]
    fn checklist_37_one_token_by_any_spelling_of_bearer() {
        let of = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(AUTHORIZATION, HeaderValue::from_bytes(value.as_bytes()).unwrap());
            }
            bearer(&headers).map(str::to_owned).map_err(|rejection| rejection.status().as_u16())
        };
        for good in ["Bearer a.b.c", "bEARER a.b.c", "Bearer   a.b.c "] {
            assert_eq!(of(&[good]).unwrap(), "a.b.c");
        }
        for none in ["Basic YTpi", "Bearera.b.c", "a.b.c", ""] {
            assert_eq!(of(&[none]), Err(401), "{none}");
        }
        assert_eq!(of(&[]), Err(401));
        for odd in ["Bearer", "Bearer  ", "Bearer a b", "Bearer a.b.c, Basic YTpi", "Bearer \u{e4}"] {
            assert_eq!(of(&[odd]), Err(400), "{odd}");
        }
        assert_eq!(of(&["Bearer a", "Bearer a"]), Err(400));
        assert_eq!(of(&["Basic YTpi", "Bearer a"]), Err(400));
    }

    #[test]
    fn answers_as_rfc_6750_asks() {
        let said = |rejection: &Rejection| {
            let response = rejection.response::<()>();
            let header = |name| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
            (response.status().as_u16(), header(WWW_AUTHENTICATE), header(RETRY_AFTER))
        };
        let challenge = |error: &str| Some(format!(r#"Bearer realm="claviger"{error}"#));
        assert_eq!(said(&Rejection::NoToken), (401, challenge(""), None), "§3.1: no error without a token");
        assert_eq!(said(&Rejection::Malformed), (400, challenge(r#", error="invalid_request""#), None));
        let invalid = challenge(r#", error="invalid_token""#);
        assert_eq!(said(&Error::Token(jwt::Error::Expired).into()), (401, invalid.clone(), None));
        assert_eq!(said(&Error::SessionEnded.into()), (401, invalid, None));
        let away = Error::NoKeys(FetchError::new("away"));
        assert_eq!(said(&away.into()), (503, None, Some("5".to_owned())));
        let lacks = |scope: &str| said(&Rejection::InsufficientScope(scope.to_owned()));
        let insufficient = challenge(r#", error="insufficient_scope", scope="a:b""#);
        assert_eq!(lacks("a:b"), (403, insufficient.clone(), None));
        assert_eq!(lacks("a\":\r\nb\\"), (403, insufficient, None));
    }
}
