//! How handlers get their [`Cx`] and who the caller is.

use super::{App, Cx};
use crate::base::id::AccountId;
use crate::http::bearer;
use crate::http::edge::Arrival;
use crate::http::problem::{INVALID_TOKEN, Problem};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use claviger_crypto::jwt::{AccessToken, Expected};
use std::sync::Arc;

impl FromRequestParts<Arc<App>> for Cx {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let arrival = parts.extensions.get::<Arrival>();
        let arrival = arrival.ok_or_else(|| Problem::internal("the route is not inside the edge layer"))?;
        Ok(Self { app: app.clone(), now: arrival.now, address: arrival.address, request_id: arrival.id })
    }
}

/// A caller whose access token verifies. The one gate of every route that needs a token.
#[derive(Clone, Copy, Debug)]
pub struct Authenticated {
    /// The account that the token was issued to.
    pub account: AccountId,
}

impl FromRequestParts<Arc<App>> for Authenticated {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let cx = Cx::from_request_parts(parts, app).await?;
        let token = bearer::token(&parts.headers)?;
        let keys = app.key_set().await?;
        let expected =
            Expected { issuer: &app.config.issuer, audience: &app.config.audience, now: cx.now.as_seconds() };
        let claims =
            AccessToken::verify(token, expected, |kid| keys.find(kid)).map_err(|why| refused(&why))?;
        let account = AccountId::parse(&claims.sub).ok_or_else(|| refused(&"its subject is no account"))?;
        Ok(Self { account })
    }
}

/// The answer to a token that is no good.
pub fn refused(why: &dyn std::fmt::Display) -> Problem {
    INVALID_TOKEN
        .because(format!("The token is refused: {why}. Log in again."))
        .challenge(bearer::CHALLENGE_INVALID)
}
