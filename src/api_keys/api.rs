//! How a service shows its API key: as a Bearer token (RFC 6750 §2.1), or as a client's id and secret by
//! HTTP Basic or in the form (RFC 6749 §2.3.1), as ready-made clients do.

use super::{Error, KeyScope, flow};
use crate::app::Cx;
use crate::audit::Actor;
use crate::http::form::Form;
use crate::http::oauth::OauthError;
use crate::http::problem::{INSUFFICIENT_SCOPE, INVALID_CLIENT, INVALID_REQUEST, Problem};
use crate::http::{basic, bearer};
use crate::sessions::DIRECT_CLIENT;
use axum::http::{HeaderMap, header};
use secrecy::ExposeSecret as _;

/// What was shown: the key, and the id it was shown for.
struct Shown {
    id: Option<String>,
    key: String,
}

/// The request as the service's whose API key allows `scope`.
///
/// # Errors
/// `invalid_client` (401) without a good key, 403 where it does not allow this.
pub async fn authenticated(
    cx: Cx,
    headers: &HeaderMap,
    form: &Form,
    scope: KeyScope,
) -> Result<Cx, OauthError> {
    let shown = shown(headers, form)?;
    let key = flow::authenticate(&cx, &shown.key, scope).await?;
    if shown.id.is_some_and(|id| id != key.id.to_string()) {
        return Err(Error::Unknown.into());
    }
    let mut cx = cx;
    cx.origin.actor = Actor::ApiKey(key.id);
    Ok(cx)
}

fn shown(headers: &HeaderMap, form: &Form) -> Result<Shown, OauthError> {
    let by_form = form.get("client_secret");
    if !headers.contains_key(header::AUTHORIZATION) {
        let key = by_form.ok_or_else(required)?.to_owned();
        return Ok(Shown { id: form.get("client_id").map(str::to_owned), key });
    }
    if by_form.is_some() {
        return Err(INVALID_REQUEST.because("Show the API key in one way.").into());
    }
    if let Ok(basic) = basic::read(headers) {
        let id = decoded(&basic.username);
        if form.get("client_id").is_some_and(|other| other != id) {
            return Err(INVALID_REQUEST.because("The client's two ids differ.").into());
        }
        return Ok(Shown { id: Some(id), key: decoded(basic.password.expose_secret()) });
    }
    let key = bearer::token(headers).map_err(|_| required())?.to_owned();
    // Who has a key is more than the public client, whatever else it says.
    let id = form.get("client_id").filter(|id| *id != DIRECT_CLIENT).map(str::to_owned);
    Ok(Shown { id, key })
}

/// Clients write id and secret as in a form before they put them together (RFC 6749 §2.3.1).
fn decoded(text: &str) -> String {
    let pair = format!("={text}").replace(['&', ';'], "");
    url::form_urlencoded::parse(pair.as_bytes())
        .map(|(_, value)| value.into_owned())
        .next()
        .unwrap_or_default()
}

fn required() -> OauthError {
    Error::Unknown.into()
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::Unknown => INVALID_CLIENT
                .because("This needs an API key. Operators make one with: claviger api-key create")
                .challenge(basic::CHALLENGE),
            Error::Scope(scope) => {
                INSUFFICIENT_SCOPE.because(format!("The API key has not the scope {}.", scope.name()))
            }
            Error::Db(error) => error.into(),
        }
    }
}
