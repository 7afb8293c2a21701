//! The login itself.

use super::{Error, Login, claims};
use crate::app::Cx;
use crate::base::{id, random};
use crate::credentials::{self, Password};
use crate::keys;

/// Checks a password and issues an access token.
///
/// # Errors
/// [`credentials::Error::Wrong`], or that there is no capacity now.
pub async fn log_in(cx: &Cx, identifier: &str, password: Password) -> Result<Login, Error> {
    let account = credentials::flow::verify(cx, identifier, password).await?;
    let keys = cx.app.key_set().await?;
    let claims = claims(cx, account, id::uuid_v7(cx.now, random::bytes()));
    let token = claims.sign(keys.active()).map_err(keys::Error::from)?;
    tracing::info!(event = "login", outcome = "success", %account, address = %cx.address, request_id = %cx.request_id);
    Ok(Login { token, expires_in: cx.app.config.access_token_ttl })
}
