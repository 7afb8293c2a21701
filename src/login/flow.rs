//! The login itself.

use super::Error;
use crate::app::{self, Cx};
use crate::audit::{self, Kind};
use crate::credentials::flow::{Verified, Who, log_wrong, verify};
use crate::credentials::{self, Password};
use crate::db::Lock;
use crate::guesses;
use crate::metrics::Id;
use crate::metrics::labels::LoginOutcome;
use crate::sessions::{self, Session, Tokens};
use std::time::Duration;

/// How long a login waits for others to share its commit, for each password that waits for its hash: theirs are next,
/// and the last of them waits several times as long for that.
const SHARED: Duration = Duration::from_millis(1);

/// The longest that it waits for them.
const MOST_SHARED: Duration = Duration::from_millis(100);

/// Checks a password and opens a session.
///
/// # Errors
/// [`credentials::Error::Wrong`], also for a disabled account; too many guesses; or that there is no
/// capacity now.
pub async fn log_in(cx: &Cx, identifier: &str, password: Password) -> Result<Tokens, Error> {
    let done = checked_and_opened(cx, identifier, password).await;
    cx.app.metrics.count(Id::Logins, &[outcome(&done).at()]);
    done
}

fn outcome(done: &Result<Tokens, Error>) -> LoginOutcome {
    match done {
        Ok(_) => LoginOutcome::Success,
        Err(Error::Credentials(credentials::Error::Wrong)) => LoginOutcome::Wrong,
        Err(Error::Credentials(error)) if error.is_throttled() => LoginOutcome::Throttled,
        Err(Error::Credentials(error)) if error.is_busy() => LoginOutcome::Busy,
        Err(_) => LoginOutcome::Failed,
    }
}

async fn checked_and_opened(cx: &Cx, identifier: &str, password: Password) -> Result<Tokens, Error> {
    let verified = verify(cx, Who::Identifier(identifier), password).await?;
    let account = verified.account();
    let opening = sessions::flow::prepare(cx, account).await?;
    if !app::to_its_end(open(cx.clone(), verified, opening.session.clone())).await? {
        log_wrong(cx, Who::Identifier(identifier), Some(account));
        return Err(credentials::Error::Wrong.into());
    }
    Ok(opening.tokens(cx)?)
}

fn patience(waiting: usize) -> Duration {
    u32::try_from(waiting).map_or(MOST_SHARED, |waiting| MOST_SHARED.min(SHARED * waiting))
}

/// Stores the session, unless the password was changed or the account disabled meanwhile. Says whether it did.
async fn open(cx: Cx, verified: Verified, session: Session) -> Result<bool, Error> {
    let account = verified.account();
    let event = cx.event(Kind::Login).by_owner(account).session(session.id);
    let (noted, asked) = (event.clone(), cx.clone());
    let patience = patience(cx.app.passwords.waiting().0);
    let opened = cx
        .app
        .db
        .write_within::<_, Error, _>(patience, move |tx| {
            if !verified.still_holds(tx, Lock::Share)? {
                return Ok(None);
            }
            let too_many = sessions::flow::open(tx, &asked, &session)?;
            guesses::flow::remember_network(tx, &asked, account)?;
            audit::flow::append(tx, &noted)?;
            Ok(Some(too_many))
        })
        .await?;
    let Some(too_many) = opened else { return Ok(false) };
    if let Some((ended, event)) = too_many {
        sessions::flow::announce(&cx, &ended);
        event.log(&cx.app.metrics);
    }
    event.log(&cx.app.metrics);
    Ok(true)
}
