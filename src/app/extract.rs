//! How handlers get their [`Cx`] and who the caller is.

use super::{App, Cx};
use crate::audit::{Actor, Origin};
use crate::base::id::{AccountId, SessionId};
use crate::base::text;
use crate::base::time::Timestamp;
use crate::http::bearer;
use crate::http::edge::Arrival;
use crate::http::problem::{INSUFFICIENT_SCOPE, INVALID_TOKEN, Problem};
use crate::keys::{KeySet, Known, earlier};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use claviger_crypto::earlier::EarlierToken;
use claviger_crypto::jwt::{self, AccessToken, Expected};
use std::fmt::Display;
use std::sync::Arc;

/// The scope that changing the account needs.
pub const ACCOUNT_SCOPE: &str = "account";

/// The longest user agent that is remembered, in characters.
const MAX_USER_AGENT: usize = 256;

impl FromRequestParts<Arc<App>> for Cx {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let arrival = parts.extensions.get::<Arrival>();
        let arrival = arrival.ok_or_else(|| Problem::internal("the route is not inside the edge layer"))?;
        let origin =
            Origin { actor: Actor::Anonymous, address: Some(arrival.address), request_id: arrival.id };
        Ok(Self { app: app.clone(), now: arrival.now, origin, user_agent: user_agent(&parts.headers) })
    }
}

/// What the client calls itself, without control characters, cut to a length.
fn user_agent(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(header::USER_AGENT)?.to_str().ok()?;
    Some(text::shown(text, MAX_USER_AGENT)).filter(|kept| !kept.is_empty())
}

impl Cx {
    /// The request as the caller's own.
    #[must_use]
    pub fn by(mut self, caller: &Authenticated) -> Self {
        self.origin.actor = Actor::Account(caller.account);
        self
    }
}

/// A caller whose access token is good. The one gate of every route that needs a token.
#[derive(Clone, Copy, Debug)]
pub struct Authenticated {
    /// The account that the token was issued to.
    pub account: AccountId,
    /// The session that it was issued in.
    pub session: SessionId,
    may_change: bool,
}

impl Authenticated {
    /// Asks once more, after the reading of a body, whether the session goes on.
    ///
    /// # Errors
    /// 401 if it has ended.
    pub fn expect_live(&self, app: &App) -> Result<(), Problem> {
        if app.statuses.has_ended(self.session) { Err(refused(&"its session has ended")) } else { Ok(()) }
    }
}

/// A caller whose access token also allows to change the account.
#[derive(Clone, Copy, Debug)]
pub struct Owner(pub Authenticated);

/// Who may look at an account: a caller with an access token, or with one of the server that was here before.
#[derive(Clone, Copy, Debug)]
pub struct Viewer(pub AccountId);

impl FromRequestParts<Arc<App>> for Authenticated {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let (token, keys, now) = shown(parts, app).await?;
        authenticate(app, &keys, token, now)
    }
}

impl FromRequestParts<Arc<App>> for Viewer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let (token, keys, now) = shown(parts, app).await?;
        match authenticate(app, &keys, token, now) {
            Ok(caller) => Ok(Self(caller.account)),
            Err(refused) => match keys.earlier(token, now) {
                Some(earlier) => by_earlier(app, earlier).await,
                None => Err(refused),
            },
        }
    }
}

/// The token of a request, the keys to hold it against, and the time.
async fn shown<'a>(parts: &'a Parts, app: &App) -> Result<(&'a str, Arc<KeySet>, Timestamp), Problem> {
    let arrival = parts.extensions.get::<Arrival>();
    let now = arrival.ok_or_else(|| Problem::internal("the route is not inside the edge layer"))?.now;
    Ok((bearer::token(&parts.headers)?, app.key_set().await?, now))
}

/// Whose a token of an earlier server is, if the account has not ended it with its sessions.
async fn by_earlier(app: &App, verified: Result<EarlierToken, jwt::Error>) -> Result<Viewer, Problem> {
    let token = verified.map_err(|why| refused(&why))?;
    let account = AccountId::parse(&token.subject).ok_or_else(|| refused(&"its subject is no account"))?;
    if earlier::flow::is_live(&app.db, account).await? {
        Ok(Viewer(account))
    } else {
        Err(refused(&"its account is gone, or has ended its sessions"))
    }
}

impl FromRequestParts<Arc<App>> for Owner {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let caller = Authenticated::from_request_parts(parts, app).await?;
        if !caller.may_change {
            return Err(INSUFFICIENT_SCOPE
                .because("The token may only read. Refresh without a scope for one that may change things.")
                .challenge(bearer::CHALLENGE_SCOPE));
        }
        Ok(Self(caller))
    }
}

/// Whose an access token is that is good now. Touches no database.
///
/// # Errors
/// 401, saying why.
fn authenticate(app: &App, keys: &KeySet, token: &str, now: Timestamp) -> Result<Authenticated, Problem> {
    let digest = claviger_crypto::sha256(token.as_bytes());
    let known = match keys.seen().recall(&digest) {
        Some(known) => {
            known.lifetime.check(now.as_seconds()).map_err(|why| refused(&why))?;
            known
        }
        None => {
            let (_, known) = verify(app, keys, token, now)?;
            keys.seen().remember(digest, known);
            known
        }
    };
    caller(app, known)
}

/// The claims of an access token that is good now, and whose it is. Touches no database.
///
/// # Errors
/// 401, saying why.
pub fn claims(
    app: &App,
    keys: &KeySet,
    token: &str,
    now: Timestamp,
) -> Result<(AccessToken, Authenticated), Problem> {
    let (claims, known) = verify(app, keys, token, now)?;
    Ok((claims, caller(app, known)?))
}

/// Verifies a token but for its session, which may end at any time.
fn verify(app: &App, keys: &KeySet, token: &str, now: Timestamp) -> Result<(AccessToken, Known), Problem> {
    let expected =
        Expected { issuer: &app.config.issuer, audience: &app.config.audience, now: now.as_seconds() };
    let claims = AccessToken::verify(token, expected, |kid| keys.find(kid)).map_err(|why| refused(&why))?;
    let account = AccountId::parse(&claims.sub).ok_or_else(|| refused(&"its subject is no account"))?;
    let session = SessionId::parse(&claims.sid).ok_or_else(|| refused(&"its session is none"))?;
    let may_change = claims.scope.split(' ').any(|scope| scope == ACCOUNT_SCOPE);
    let known = Known { account, session, may_change, lifetime: claims.lifetime() };
    Ok((claims, known))
}

/// Whose a verified token is, if its session goes on.
fn caller(app: &App, Known { account, session, may_change, .. }: Known) -> Result<Authenticated, Problem> {
    let caller = Authenticated { account, session, may_change };
    caller.expect_live(app)?;
    Ok(caller)
}

/// The answer to a token that is no good.
pub fn refused(why: &dyn Display) -> Problem {
    INVALID_TOKEN
        .because(format!("The token is refused: {why}. Log in again."))
        .challenge(bearer::CHALLENGE_INVALID)
}
