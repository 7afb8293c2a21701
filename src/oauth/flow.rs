//! What a token that is shown is, for introspection and revocation.

use crate::app::Cx;
use crate::app::extract::{self, Authenticated};
use crate::audit::Kind;
use crate::base::id::{AccountId, SessionId};
use crate::sessions::{self, Error, Session, Which};
use claviger_crypto::jwt::AccessToken;

/// A token that is good now.
#[derive(Debug)]
pub enum Token {
    /// An access token.
    Access(Box<AccessToken>, Authenticated),
    /// A refresh token.
    Refresh(Box<Session>),
}

impl Token {
    /// The session it belongs to, and whose that is.
    pub fn session(&self) -> (AccountId, SessionId) {
        match self {
            Self::Access(_, caller) => (caller.account, caller.session),
            Self::Refresh(session) => (session.account, session.id),
        }
    }
}

/// What `token` is; `None` for what is not good (any more).
///
/// # Errors
/// If it cannot be found out now.
pub async fn look_up(cx: &Cx, token: &str) -> Result<Option<Token>, Error> {
    if let Some(session) = sessions::flow::of_refresh_token(cx, token).await? {
        return Ok(Some(Token::Refresh(Box::new(session))));
    }
    let keys = cx.app.key_set().await?;
    Ok(extract::claims(&cx.app, &keys, token, cx.now)
        .ok()
        .map(|(claims, caller)| Token::Access(Box::new(claims), caller)))
}

/// Ends the session of `token`, with all of its tokens (RFC 7009 §2.1). A token that is not good is no
/// error: it is as the caller wishes (§2.2).
///
/// # Errors
/// If it cannot be done now.
pub async fn revoke(cx: &Cx, token: &str) -> Result<(), Error> {
    let (account, session) = match sessions::flow::of_any_refresh_token(cx, token).await? {
        Some(session) => (session.account, session.id),
        None => match look_up(cx, token).await? {
            Some(found) => found.session(),
            None => return Ok(()),
        },
    };
    match sessions::flow::end(cx, account, Which::One(session), Kind::Revoke).await {
        Ok(_) | Err(Error::Unknown) => Ok(()),
        Err(error) => Err(error),
    }
}
