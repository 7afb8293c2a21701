//! Making an account with its password, changing the password, and closing the account.

mod decoys;
mod export;
mod import;
mod verify;

pub use decoys::learn_costs;
pub use export::{export_page, note_export};
pub use import::{import, try_import};
pub use verify::{Verified, Who, log_wrong, verify};

use super::{Error, Password, store};
use crate::accounts::{self, Name, NewAccount};
use crate::app::{self, Cx};
use crate::audit::{self, Kind};
use crate::base::email::Email;
use crate::base::id::{self, AccountId, SessionId};
use crate::base::random;
use crate::db::{Lock, Tx};
use crate::guesses;
use crate::metrics::Id;
use crate::metrics::labels::SignUpOutcome;
use crate::sessions::{self, Which};

/// Makes an account that logs in with `password`. The same request with the same `key` makes it once
/// and is answered alike.
///
/// # Errors
/// [`accounts::Error::EmailTaken`], or that there is no capacity now; then nothing was made.
pub async fn sign_up(
    cx: &Cx,
    email: Email,
    name: Name,
    password: Password,
    key: Option<[u8; 32]>,
) -> Result<NewAccount, Error> {
    let id = AccountId(id::uuid_v7(cx.now, random::bytes()));
    let account = NewAccount { id, email, name, created_at: cx.now, disabled_at: None, idempotency_key: key };
    let done = match (create(cx, &account, &password).await, key) {
        (Err(Error::Account(accounts::Error::EmailTaken)), Some(key)) => {
            repeat(cx, account, password, key).await
        }
        (result, _) => result.map(|()| account),
    };
    cx.app.metrics.count(Id::SignUps, &[outcome(&done).at()]);
    done
}

fn outcome(done: &Result<NewAccount, Error>) -> SignUpOutcome {
    match done {
        Ok(_) => SignUpOutcome::Success,
        Err(Error::Account(accounts::Error::EmailTaken)) => SignUpOutcome::Taken,
        Err(Error::Account(accounts::Error::KeyReused)) => SignUpOutcome::KeyReused,
        Err(error) if error.is_throttled() => SignUpOutcome::Throttled,
        Err(error) if error.is_busy() => SignUpOutcome::Busy,
        Err(_) => SignUpOutcome::Failed,
    }
}

async fn create(cx: &Cx, account: &NewAccount, password: &Password) -> Result<(), Error> {
    accounts::flow::expect_free(cx, &account.email).await?;
    let phc = hash(cx, password).await?;
    app::to_its_end(store_account(cx.clone(), account.clone(), phc)).await
}

async fn store_account(cx: Cx, row: NewAccount, phc: String) -> Result<(), Error> {
    let event = cx.event(Kind::SignUp).by_owner(row.id);
    let (noted, asked) = (event.clone(), cx.clone());
    cx.app
        .db
        .write::<_, Error, _>(move |tx| {
            accounts::flow::create(tx, &row)?;
            store::insert(tx, row.id, &phc, row.created_at)?;
            guesses::flow::remember_first_network(tx, &asked, row.id)?;
            Ok(audit::flow::append(tx, &noted)?)
        })
        .await?;
    event.log(&cx.app.metrics);
    Ok(())
}

/// A new hash of `password`.
async fn hash(cx: &Cx, password: &Password) -> Result<String, Error> {
    let (password, salt) = (password.clone(), random::bytes());
    Ok(cx.app.passwords.run(move |hasher| hasher.hash(password.as_bytes(), salt)).await??.to_string())
}

/// The answer to a sign-up that was made before: the same, for who knows the same password.
async fn repeat(
    cx: &Cx,
    account: NewAccount,
    password: Password,
    key: [u8; 32],
) -> Result<NewAccount, Error> {
    let made = accounts::flow::made_before(cx, &account.email, &account.name, key).await?;
    match verify(cx, Who::Identifier(account.email.as_typed()), password).await {
        Ok(verified) if verified.account() == made => Ok(NewAccount { id: made, ..account }),
        Ok(_) | Err(Error::Wrong) => Err(accounts::Error::KeyReused.into()),
        Err(error) => Err(error),
    }
}

/// What happens to the sessions of an account whose password changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sessions {
    /// These are ended.
    End(Which),
    /// They go on.
    Keep,
}

/// Changes the password of who knows the present one.
///
/// # Errors
/// [`Error::Wrong`], [`Error::Guesses`], or that there is no capacity now; then nothing was changed.
pub async fn change_password(
    cx: &Cx,
    (account, session): (AccountId, SessionId),
    current: Password,
    new: Password,
    sessions: Sessions,
) -> Result<(), Error> {
    let verified = verify(cx, Who::Account(account, session), current).await?;
    let phc = hash(cx, &new).await?;
    let now = cx.now;
    let change = move |tx: &mut Tx<'_>| {
        let holds = verified.still_holds(tx, Lock::Update)?;
        if !sessions::flow::is_live(tx, session, now)? {
            return Err(Error::SessionEnded);
        }
        let changed = holds && store::set(tx, account, &phc, now)?;
        if changed { Ok(()) } else { Err(Error::Wrong) }
    };
    app::to_its_end(store_password(cx.clone(), account, sessions, change)).await
}

/// Sets a password without knowing the present one: the operator's way.
///
/// # Errors
/// [`accounts::Error::Unknown`], or that there is no capacity now; then nothing was changed.
pub async fn set_password(
    cx: &Cx,
    account: AccountId,
    new: Password,
    sessions: Sessions,
) -> Result<(), Error> {
    let (phc, now) = (hash(cx, &new).await?, cx.now);
    let change = move |tx: &mut Tx<'_>| {
        if store::set(tx, account, &phc, now)? { Ok(()) } else { Err(accounts::Error::Unknown.into()) }
    };
    store_password(cx.clone(), account, sessions, change).await
}

async fn store_password(
    cx: Cx,
    account: AccountId,
    sessions: Sessions,
    mut change: impl FnMut(&mut Tx<'_>) -> Result<(), Error> + Send + 'static,
) -> Result<(), Error> {
    let event = cx.event(Kind::PasswordChange).account(account);
    let (noted, asked, now) = (event.clone(), cx.clone(), cx.app.clock.now());
    let ended = cx
        .app
        .db
        .write::<_, Error, _>(move |tx| {
            change(tx)?;
            guesses::flow::forget_networks(tx, &asked, account)?;
            let ended = match sessions {
                Sessions::End(which) => sessions::flow::end_in(tx, account, which, now)?,
                Sessions::Keep => Vec::new(),
            };
            audit::flow::append(tx, &noted)?;
            Ok(ended)
        })
        .await?;
    sessions::flow::announce(&cx, &ended);
    event.log(&cx.app.metrics);
    if !ended.is_empty() {
        sessions::flow::seen_everywhere(&cx).await?;
    }
    Ok(())
}

/// Deletes the account of who knows its password. Its personal data goes, its id is never given again.
///
/// # Errors
/// [`Error::Wrong`], [`Error::Guesses`], or that there is no capacity now; then nothing was changed.
pub async fn close_account(
    cx: &Cx,
    (account, session): (AccountId, SessionId),
    password: Password,
) -> Result<(), Error> {
    let verified = verify(cx, Who::Account(account, session), password).await?;
    app::to_its_end(remove(cx.clone(), account, Some((verified, session)))).await
}

/// Deletes an account without knowing its password: the operator's way.
///
/// # Errors
/// [`accounts::Error::Unknown`].
pub async fn delete_account(cx: &Cx, account: AccountId) -> Result<(), Error> {
    remove(cx.clone(), account, None).await
}

async fn remove(cx: Cx, account: AccountId, by_owner: Option<(Verified, SessionId)>) -> Result<(), Error> {
    // What stays in the trail tells that an account was deleted, not whose.
    let event = cx.event(Kind::AccountDelete).unlinked();
    let (noted, now) = (event.clone(), cx.app.clock.now());
    let ended = cx
        .app
        .db
        .write::<_, Error, _>(move |tx| {
            if let Some((verified, session)) = &by_owner {
                let holds = verified.still_holds(tx, Lock::Update)?;
                if !sessions::flow::is_live(tx, *session, now)? {
                    return Err(Error::SessionEnded);
                }
                if !holds {
                    return Err(Error::Wrong);
                }
            }
            accounts::flow::delete(tx, account)?;
            sessions::flow::erase_in(tx, account)?;
            audit::flow::erase(tx, account)?;
            let ended = sessions::flow::end_in(tx, account, Which::All, now)?;
            audit::flow::note_rest(tx, account)?;
            audit::flow::append(tx, &noted)?;
            Ok(ended)
        })
        .await?;
    cx.app.profiles.forget(account);
    sessions::flow::announce(&cx, &ended);
    event.log(&cx.app.metrics);
    Ok(sessions::flow::seen_everywhere(&cx).await?)
}
