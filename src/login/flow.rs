//! The login itself.

use super::Error;
use crate::app::Cx;
use crate::audit::{self, Kind};
use crate::credentials::flow::{Who, log_wrong, verify};
use crate::credentials::{self, Password};
use crate::guesses;
use crate::sessions::{self, Tokens};

/// Checks a password and opens a session.
///
/// # Errors
/// [`credentials::Error::Wrong`], also for a disabled account; too many guesses; or that there is no
/// capacity now.
pub async fn log_in(cx: &Cx, identifier: &str, password: Password) -> Result<Tokens, Error> {
    let verified = verify(cx, Who::Identifier(identifier), password).await?;
    let account = verified.account();
    let opening = sessions::flow::prepare(cx, account).await?;
    let event = cx.event(Kind::Login).by_owner(account).session(opening.session.id);
    let (session, noted, asked) = (opening.session.clone(), event.clone(), cx.clone());
    let opened = cx
        .app
        .db
        .write::<_, Error, _>(move |tx| {
            if !verified.still_holds(tx)? {
                return Ok(None);
            }
            let ended = sessions::flow::open(tx, &asked, &session)?;
            guesses::flow::remember_network(tx, &asked, account)?;
            audit::flow::append(tx, &noted)?;
            Ok(Some(ended))
        })
        .await?;
    let Some(ended) = opened else {
        log_wrong(cx, Who::Identifier(identifier), Some(account));
        return Err(credentials::Error::Wrong.into());
    };
    sessions::flow::announce(cx, &ended);
    event.log();
    Ok(opening.tokens(cx)?)
}
