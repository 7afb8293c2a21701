//! Disabling and enabling accounts, and ending sessions that are not one's own.

use crate::accounts::{self, Error};
use crate::app::Cx;
use crate::audit::{self, Kind};
use crate::base::id::{AccountId, SessionId};
use crate::sessions::{self, Which};
use crate::status::Ended;

/// Disables an account: it is refused on every path from now on, its sessions end.
///
/// # Errors
/// [`Error::Unknown`].
pub async fn disable(cx: &Cx, account: AccountId) -> Result<usize, Error> {
    set_disabled(cx, account, true).await
}

/// Enables an account again. Its sessions do not come back.
///
/// # Errors
/// [`Error::Unknown`].
pub async fn enable(cx: &Cx, account: AccountId) -> Result<(), Error> {
    set_disabled(cx, account, false).await.map(drop)
}

async fn set_disabled(cx: &Cx, account: AccountId, disabled: bool) -> Result<usize, Error> {
    let kind = if disabled { Kind::AccountDisable } else { Kind::AccountEnable };
    let event = cx.event(kind).account(account);
    let (noted, now) = (event.clone(), cx.now);
    let ended: Vec<Ended> = cx
        .app
        .db
        .write::<_, Error, _>(move |tx| {
            accounts::flow::set_disabled(tx, account, disabled.then_some(now))?;
            audit::flow::append(tx, &noted)?;
            let which = if disabled { Some(Which::All) } else { None };
            Ok(which
                .map(|which| sessions::flow::end_in(tx, account, which, now))
                .transpose()?
                .unwrap_or_default())
        })
        .await?;
    sessions::flow::announce(cx, &ended);
    event.log(&cx.app.metrics);
    Ok(ended.len())
}

/// Ends a session, whosever it is.
///
/// # Errors
/// [`sessions::Error::Unknown`].
pub async fn end_session(cx: &Cx, id: SessionId) -> Result<(), sessions::Error> {
    let session = sessions::flow::find(cx, id).await?.ok_or(sessions::Error::Unknown)?;
    sessions::flow::end(cx, session.account, Which::One(id), Kind::Revoke).await.map(drop)
}
