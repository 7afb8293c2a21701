//! The tokens that a session gives to its client: an access token (RFC 9068) and a refresh token.

use super::scope::Scope;
use super::{Error, Session};
use crate::app::Cx;
use crate::base::time::Timestamp;
use crate::base::{id, random};
use crate::keys::{self, KeySet};
use crate::status;
use crate::traces::{self, What};
use claviger_crypto::jwt::AccessToken;
use claviger_crypto::token::RefreshToken;
use secrecy::SecretString;

/// What a login or a refresh gives.
#[derive(Debug)]
pub struct Tokens {
    /// The signed access token.
    pub access_token: String,
    /// The refresh token, good once.
    pub refresh_token: SecretString,
    /// Seconds until the access token expires.
    pub expires_in: u64,
    /// What the access token may be used for.
    pub scope: Scope,
}

/// When an access token ends that is issued now: never later than its session, in whole seconds.
pub(super) fn access_expiry(cx: &Cx, session_expires_at: Timestamp) -> Timestamp {
    let end = cx.now.plus(cx.app.config.access_token_ttl).min(session_expires_at);
    Timestamp::from_seconds(end.as_seconds())
}

/// Signs an access token of `session` that ends at `expires_at`, beside its refresh token.
pub(super) fn issue(
    cx: &Cx,
    keys: &KeySet,
    session: &Session,
    scope: Scope,
    expires_at: Timestamp,
    refresh: &RefreshToken,
) -> Result<Tokens, Error> {
    let _span = traces::begin(What::Sign);
    let config = &cx.app.config;
    let (iat, exp) = (cx.now.as_seconds(), expires_at.as_seconds());
    let claims = AccessToken {
        iss: config.issuer.clone(),
        sub: session.account.to_string(),
        aud: config.audience.clone(),
        exp,
        iat,
        nbf: None,
        jti: id::uuid_v7(cx.now, random::bytes()).to_string(),
        client_id: session.client_id.clone(),
        sid: session.id.to_string(),
        scope: scope.to_string(),
        status: status::claim(&config.issuer, session.status_index),
        public_id: session.account.to_string(),
    };
    Ok(Tokens {
        access_token: claims.sign(keys.active()).map_err(keys::Error::from)?,
        refresh_token: refresh.to_text().as_str().into(),
        expires_in: u64::try_from(exp.saturating_sub(iat)).unwrap_or(0),
        scope,
    })
}
