//! Form bodies of OAuth's routes (RFC 6749 appendix B), read strictly: no parameter stands twice, and one
//! without a value counts as omitted (§3.2). Parameters that nobody asked for are ignored.

use crate::base::text::has_control;
use crate::http::body;
use crate::http::oauth::OauthError;
use crate::http::problem::{INVALID_REQUEST, Problem};
use axum::extract::{FromRequest, Request};
use std::collections::BTreeMap;
use std::fmt;
use zeroize::Zeroizing;

/// The content type.
pub const TYPE: &str = "application/x-www-form-urlencoded";

/// A body that was read as a form.
#[derive(Debug)]
pub struct FormBody(pub Form);

/// The parameters of a form. Their values may be secret: they are wiped when dropped, and never shown.
#[derive(Default)]
pub struct Form {
    values: BTreeMap<String, Zeroizing<String>>,
}

impl Form {
    /// The value of a parameter that was sent with one.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(|value| value.as_str()).filter(|value| !value.is_empty())
    }
}

/// Names only.
impl fmt::Debug for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.values.keys()).finish()
    }
}

impl<S: Send + Sync> FromRequest<S> for FormBody {
    type Rejection = OauthError;

    async fn from_request(request: Request, _: &S) -> Result<Self, OauthError> {
        let bytes = body::read(request, TYPE, &INVALID_REQUEST).await?;
        Ok(Self(read(&bytes)?))
    }
}

/// Reads a body's bytes.
///
/// # Errors
/// A problem that does not repeat what was sent: it may be a secret.
pub fn read(bytes: &[u8]) -> Result<Form, Problem> {
    let mut form = Form::default();
    for pair in bytes.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
        let middle = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
        let (name, value) = pair.split_at_checked(middle).unwrap_or((pair, &[]));
        let name = decoded(name)?;
        if name.is_empty() || has_control(&name) {
            return Err(INVALID_REQUEST.because("A parameter's name is empty or holds a control character."));
        }
        let value = decoded(value.strip_prefix(b"=").unwrap_or_default())?;
        if form.values.insert(name.to_string(), value).is_some() {
            return Err(INVALID_REQUEST.because("A parameter stands twice. Send each once."));
        }
    }
    Ok(form)
}

/// Undoes `+` and `%41`. A `%` without two digits behind it, and what is not UTF-8, is refused.
fn decoded(bytes: &[u8]) -> Result<Zeroizing<String>, Problem> {
    let refused = || INVALID_REQUEST.because("The body is not a form: percent-encoded UTF-8.");
    let mut out = Zeroizing::new(Vec::with_capacity(bytes.len()));
    let mut bytes = bytes.iter();
    while let Some(&byte) = bytes.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || char::from(*bytes.next()?).to_digit(16);
                let code = digit().zip(digit()).and_then(|(high, low)| u8::try_from(high * 16 + low).ok());
                code.ok_or_else(refused)?
            }
            other => other,
        });
    }
    let text = str::from_utf8(&out).map_err(|_| refused())?;
    Ok(Zeroizing::new(text.to_owned()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use url::form_urlencoded::Serializer;

    #[test]
    fn reads_the_example_of_rfc6749_appendix_b() {
        let form = read(b"+%25%26%2B%C2%A3%E2%82%AC=+%25%26%2B%C2%A3%E2%82%AC").unwrap();
        assert_eq!(form.get(" %&+£€"), Some(" %&+£€"));
    }

    #[test]
    fn a_parameter_without_a_value_counts_as_omitted() {
        let form = read(b"&a=&b&c=d=e&&x=1&").unwrap();
        assert_eq!(
            (form.get("a"), form.get("b"), form.get("c"), form.get("d")),
            (None, None, Some("d=e"), None)
        );
        assert_eq!(read(b"").unwrap().get(""), None);
    }

    #[test]
    fn checklist_67_refuses_what_can_be_read_in_two_ways() {
        for body in [
            &b"token=s3cret&token=s3cret"[..],
            b"token=&token=s3cret",
            b"token&t%6Fken=s3cret",
            b"token=s3cret%",
            b"token=s3cret%4",
            b"token=s3cret%4g",
            b"token=s3cret%+1",
            b"token=s3cret%ff",
            b"token=s3cret\xff",
            b"=s3cret",
            b"tok%00en=s3cret",
            b"tok\nen=s3cret",
        ] {
            let problem = read(body).unwrap_err();
            assert_eq!(problem.kind(), &INVALID_REQUEST, "{body:?}");
            assert!(!format!("{problem:?}").contains("s3cret"));
        }
        assert_eq!(format!("{:?}", read(b"token=s3cret").unwrap()), r#"{"token"}"#);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&bytes);
        }

        #[test]
        fn what_is_encoded_is_read(value in "\\PC{1,30}", other in "[a-z]{2,9}") {
            let body = Serializer::new(String::new()).append_pair("a", &value).append_pair(&other, "").finish();
            let form = read(body.as_bytes()).unwrap();
            prop_assert_eq!(form.get("a"), Some(value.as_str()));
        }
    }
}
