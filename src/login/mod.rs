//! Logging in: a checked password becomes an access token (RFC 9068).

pub mod api;
pub mod flow;

use crate::app::Cx;
use crate::base::id::AccountId;
use crate::{credentials, keys};
use claviger_crypto::jwt::AccessToken;
use claviger_crypto::status::StatusClaim;
use std::time::Duration;
use uuid::Uuid;

/// `client_id` of tokens that an account gets for itself, without an OAuth client between.
pub const DIRECT_CLIENT: &str = "claviger";

/// What a login gives.
#[derive(Debug)]
pub struct Login {
    /// The signed access token.
    pub token: String,
    /// How long it is good for.
    pub expires_in: Duration,
}

/// What can go wrong in a login.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The password.
    #[error(transparent)]
    Credentials(#[from] credentials::Error),
    /// The signature.
    #[error(transparent)]
    Keys(#[from] keys::Error),
}

/// The claims of a new access token.
fn claims(cx: &Cx, account: AccountId, id: Uuid) -> AccessToken {
    let config = &cx.app.config;
    let iat = cx.now.as_seconds();
    let ttl = i64::try_from(config.access_token_ttl.as_secs()).unwrap_or(0);
    AccessToken {
        iss: config.issuer.clone(),
        sub: account.to_string(),
        aud: config.audience.clone(),
        exp: iat.saturating_add(ttl),
        iat,
        nbf: None,
        jti: id.to_string(),
        client_id: DIRECT_CLIENT.to_owned(),
        // Placeholders until sessions and status lists exist.
        sid: id.to_string(),
        scope: String::new(),
        status: StatusClaim::new(0, String::new()),
        public_id: account.to_string(),
    }
}
