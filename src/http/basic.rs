//! HTTP Basic credentials (RFC 7617), in UTF-8.

use crate::http::problem::{CREDENTIALS_REQUIRED, MALFORMED_CREDENTIALS, Problem};
use axum::extract::FromRequestParts;
use axum::http::{HeaderMap, header, request::Parts};
use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use secrecy::SecretString;
use zeroize::Zeroizing;

/// The challenge of a 401 on the login.
pub const CHALLENGE: &str = r#"Basic realm="claviger", charset="UTF-8""#;

/// Some clients leave the padding out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A user name and a password.
#[derive(Debug)]
pub struct Basic {
    /// What stands before the first colon: an e-mail address or a name.
    pub username: String,
    /// All that stands after it.
    pub password: SecretString,
}

impl<S: Sync> FromRequestParts<S> for Basic {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        read(&parts.headers)
    }
}

/// The credentials of a request with these headers.
///
/// # Errors
/// 401 without Basic credentials, 400 where they cannot be read.
pub fn read(headers: &HeaderMap) -> Result<Basic, Problem> {
    let required = || {
        CREDENTIALS_REQUIRED
            .because("Send your e-mail address and password by HTTP Basic.")
            .challenge(CHALLENGE)
    };
    let value = headers.get(header::AUTHORIZATION).ok_or_else(required)?;
    let text = value.to_str().map_err(|_| malformed("The Authorization header is not ASCII."))?;
    let (scheme, encoded) = text.split_once(' ').unwrap_or((text, ""));
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(required());
    }
    let decoded = BASE64.decode(encoded.trim()).map(Zeroizing::new);
    let decoded = decoded.map_err(|_| malformed("The Basic credentials are not base64."))?;
    let text = str::from_utf8(&decoded).map_err(|_| malformed("The Basic credentials are not UTF-8."))?;
    let Some((username, password)) = text.split_once(':') else {
        return Err(malformed("The Basic credentials lack the colon between name and password."));
    };
    if crate::base::text::has_control(text) {
        return Err(malformed("The Basic credentials hold a control character."));
    }
    Ok(Basic { username: username.to_owned(), password: password.into() })
}

fn malformed(why: &'static str) -> Problem {
    MALFORMED_CREDENTIALS.because(why)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;
    use proptest::prelude::*;
    use secrecy::ExposeSecret as _;

    fn of(value: &[u8]) -> Result<Basic, Problem> {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, HeaderValue::from_bytes(value).unwrap());
        read(&headers)
    }

    #[test]
    fn rfc7617_examples() {
        let basic = of(b"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==").unwrap();
        assert_eq!((basic.username.as_str(), basic.password.expose_secret()), ("Aladdin", "open sesame"));
        let basic = of(b"basic dGVzdDoxMjPCow==").unwrap();
        assert_eq!((basic.username.as_str(), basic.password.expose_secret()), ("test", "123£"));
        assert_eq!(of(b"Basic dGVzdDoxMjPCow").unwrap().username, "test", "without padding");
    }

    #[test]
    fn a_password_may_hold_colons_and_be_empty() {
        let encode = |text: &str| format!("Basic {}", BASE64.encode(text));
        assert_eq!(of(encode("a:b:c").as_bytes()).unwrap().password.expose_secret(), "b:c");
        assert_eq!(of(encode("a:").as_bytes()).unwrap().password.expose_secret(), "");
        for text in ["no colon", "a\0:b", "a:b\u{7f}", "a\r\n:b"] {
            assert_eq!(of(encode(text).as_bytes()).unwrap_err().kind(), &MALFORMED_CREDENTIALS, "{text:?}");
        }
    }

    #[test]
    fn other_schemes_are_challenged_and_bad_forms_refused() {
        assert_eq!(of(b"Bearer x").unwrap_err().kind(), &CREDENTIALS_REQUIRED);
        assert_eq!(read(&HeaderMap::new()).unwrap_err().kind(), &CREDENTIALS_REQUIRED);
        for value in [
            &b"Basic"[..],
            b"Basic *",
            b"Basic =",
            b"Basic YQ",
            b"Basic /w==",
            b"Basic \xc3\xa9",
            b"Basic YTo=YTo=",
        ] {
            assert_eq!(of(value).unwrap_err().kind(), &MALFORMED_CREDENTIALS, "{value:?}");
        }
    }

    proptest! {
        #[test]
        fn any_header_is_read_or_refused(text in "[ -~]{0,60}", bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = of(text.as_bytes());
            let _ = of(format!("Basic {}", BASE64.encode(bytes)).as_bytes());
        }
    }
}
