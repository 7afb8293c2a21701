//! What can be done with accounts.

use super::{Account, Error, Made, Name, NewAccount, REPEATABLE, store};
use crate::app::{self, App, Cx};
use crate::audit::{self, Kind};
use crate::base::email::Email;
use crate::base::id::AccountId;
use crate::base::time::Timestamp;
use crate::db::{self, Tx};
use crate::profiles::Profile;
use std::time::Instant;

/// Adds an account inside a transaction that gives it a credential too.
///
/// # Errors
/// [`Error::EmailTaken`].
pub fn create(tx: &mut Tx<'_>, account: &NewAccount) -> Result<(), Error> {
    if store::insert(tx, account)? { Ok(()) } else { Err(Error::EmailTaken) }
}

/// Adds many accounts likewise, and says what became of each.
///
/// # Errors
/// If the database fails.
pub fn create_each(tx: &mut Tx<'_>, accounts: &[&NewAccount]) -> Result<Vec<Made>, db::Error> {
    let added = store::insert_each(tx, accounts)?;
    let others: Vec<_> =
        accounts.iter().zip(&added).filter(|(_, added)| !**added).map(|(account, _)| *account).collect();
    let mut keys = store::keys_of(tx, &others)?.into_iter();
    let of = |(account, added): (&&NewAccount, bool)| match added {
        true => Made::Now,
        false => of_mailbox(account, keys.next().flatten()).unwrap_or(Made::IdTaken),
    };
    Ok(accounts.iter().zip(added).map(of).collect())
}

/// What [`create_each`] would make of each. Nothing is changed, so of two that meet each other it sees nothing.
///
/// # Errors
/// If the database fails.
pub fn try_create_each(tx: &mut Tx<'_>, accounts: &[&NewAccount]) -> Result<Vec<Made>, db::Error> {
    let keys = store::keys_of(tx, accounts)?;
    let ids = store::are_ids_taken(tx, accounts)?;
    let by_id = |is_taken| if is_taken { Made::IdTaken } else { Made::Now };
    let of = |((account, key), is_taken): ((&&NewAccount, _), _)| {
        of_mailbox(account, key).unwrap_or_else(|| by_id(is_taken))
    };
    Ok(accounts.iter().zip(keys).zip(ids).map(of).collect())
}

/// What the account of its mailbox is to a new one, by the key that it was made with; `None` if there is none.
fn of_mailbox(account: &NewAccount, found: Option<Option<Vec<u8>>>) -> Option<Made> {
    let same = |key: Option<Vec<u8>>| {
        key.is_some() && key.as_deref() == account.idempotency_key.as_ref().map(|key| &key[..])
    };
    found.map(|key| if same(key) { Made::Before } else { Made::EmailTaken })
}

/// Refuses a mailbox that is taken, before work is spent on a new account. [`create`] decides.
///
/// # Errors
/// [`Error::EmailTaken`].
pub async fn expect_free(cx: &Cx, email: &Email) -> Result<(), Error> {
    let key = email.key().to_owned();
    let taken = cx.app.db.read_once::<_, Error, _>(move |tx| Ok(store::is_taken(tx, &key)?)).await?;
    if taken { Err(Error::EmailTaken) } else { Ok(()) }
}

/// The account that an earlier request with this key made, if it was the same request.
///
/// # Errors
/// [`Error::EmailTaken`] if another request made the account of this mailbox, [`Error::KeyReused`] if the
/// key is the same and the rest is not.
pub async fn made_before(cx: &Cx, email: &Email, name: &Name, key: [u8; 32]) -> Result<AccountId, Error> {
    let (email_key, since) = (email.key().to_owned(), cx.now.minus(REPEATABLE));
    let made =
        cx.app.db.read::<_, Error, _>(move |tx| Ok(store::made_with(tx, &email_key, &key, since)?)).await?;
    let (id, shown) = made.ok_or(Error::EmailTaken)?;
    let same = shown.email == email.as_typed() && shown.name == name.as_str();
    if same { Ok(id) } else { Err(Error::KeyReused) }
}

/// What the account shows of itself; what it showed last while a database server is away.
///
/// # Errors
/// [`Error::Unknown`] if it is gone.
pub async fn profile(app: &App, id: AccountId) -> Result<Profile, Error> {
    let App { db, health, profiles, .. } = app;
    if !db.is_remote() {
        return db.read_once(move |tx| store::profile(tx, id)?.ok_or(Error::Unknown)).await;
    }
    let recalled = if health.database_answers(Instant::now()) { None } else { profiles.recall(id) };
    if let Some(profile) = recalled {
        return Ok(profile);
    }
    let read = db.read(move |tx| store::profile(tx, id)?.ok_or(Error::Unknown)).await;
    match &read {
        Ok(profile) => profiles.remember(id, profile),
        Err(Error::Unknown) => profiles.forget(id),
        Err(Error::Db(db::Error::Unavailable(_))) => return profiles.recall(id).map_or(read, Ok),
        Err(_) => {}
    }
    read
}

/// Whether an account exists and is not disabled: what every use of a session asks inside its transaction, which
/// holds the session. Who disables the account comes to that afterwards.
///
/// # Errors
/// If the database fails.
pub fn is_active(tx: &mut Tx<'_>, id: AccountId) -> Result<bool, db::Error> {
    store::is_active(tx, id)
}

/// Whether an account exists, disabled or not, and goes on to until the end of the transaction.
///
/// # Errors
/// If the database fails.
pub fn exists(tx: &mut Tx<'_>, id: AccountId) -> Result<bool, db::Error> {
    store::exists(tx, id)
}

/// Gives the account another name, and shows it then.
///
/// # Errors
/// [`Error::Unknown`] if it is gone.
pub async fn rename(cx: &Cx, id: AccountId, name: Name) -> Result<Profile, Error> {
    let cx = cx.clone();
    app::to_its_end(async move {
        let event = cx.event(Kind::ProfileChange).account(id).detail("name");
        let noted = event.clone();
        let profile = cx
            .app
            .db
            .write::<_, Error, _>(move |tx| {
                if !store::rename(tx, id, name.as_str())? {
                    return Err(Error::Unknown);
                }
                audit::flow::append(tx, &noted)?;
                store::profile(tx, id)?.ok_or(Error::Unknown)
            })
            .await?;
        event.log(&cx.app.metrics);
        Ok(profile)
    })
    .await
}

/// Disables or enables an account inside the transaction of an operator's change.
///
/// # Errors
/// [`Error::Unknown`].
pub fn set_disabled(tx: &mut Tx<'_>, id: AccountId, at: Option<Timestamp>) -> Result<(), Error> {
    if store::set_disabled(tx, id, at)? { Ok(()) } else { Err(Error::Unknown) }
}

/// Deletes an account inside the transaction that ends all that was its.
///
/// # Errors
/// [`Error::Unknown`].
pub fn delete(tx: &mut Tx<'_>, id: AccountId) -> Result<(), Error> {
    if store::delete(tx, id)? { Ok(()) } else { Err(Error::Unknown) }
}

/// An account by its id or e-mail address, for operators.
///
/// # Errors
/// [`Error::Unknown`].
pub async fn find(cx: &Cx, id_or_email: &str) -> Result<Account, Error> {
    let (id, email) = (AccountId::parse(id_or_email), Email::parse(id_or_email));
    cx.app
        .db
        .read(move |tx| {
            let found = match (&id, &email) {
                (Some(id), _) => store::find(tx, *id)?,
                (None, Ok(email)) => store::find_by_email(tx, email.key())?,
                (None, Err(_)) => None,
            };
            found.ok_or(Error::Unknown)
        })
        .await
}

/// Accounts in the order of their ids, which is that of their making but for imported ids: at most `limit`, from the
/// one after `after` on.
///
/// # Errors
/// If the database fails.
pub async fn page(cx: &Cx, after: Option<AccountId>, limit: u32) -> Result<Vec<Account>, Error> {
    cx.app.db.read(move |tx| Ok(page_in(tx, after, limit)?)).await
}

/// The same, inside a transaction that reads more of them.
///
/// # Errors
/// If the database fails.
pub fn page_in(tx: &mut Tx<'_>, after: Option<AccountId>, limit: u32) -> Result<Vec<Account>, db::Error> {
    store::page(tx, after.unwrap_or(AccountId(uuid::Uuid::nil())), limit.into())
}
