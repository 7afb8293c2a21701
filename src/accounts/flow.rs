//! What can be done with accounts.

use super::{Error, Name, NewAccount, Profile, REPEATABLE, store};
use crate::app::Cx;
use crate::base::email::Email;
use crate::base::id::AccountId;
use crate::db::Tx;

/// Adds an account inside a transaction that gives it a credential too.
///
/// # Errors
/// [`Error::EmailTaken`].
pub fn create(tx: &mut Tx<'_>, account: &NewAccount) -> Result<(), Error> {
    if store::insert(tx, account)? { Ok(()) } else { Err(Error::EmailTaken) }
}

/// Refuses a mailbox that is taken, before work is spent on a new account. [`create`] decides.
///
/// # Errors
/// [`Error::EmailTaken`].
pub async fn expect_free(cx: &Cx, email: &Email) -> Result<(), Error> {
    let key = email.key().to_owned();
    let taken = cx.app.db.read::<_, Error, _>(move |tx| Ok(store::is_taken(tx, &key)?)).await?;
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

/// What the account shows of itself.
///
/// # Errors
/// [`Error::Unknown`] if it is gone.
pub async fn profile(cx: &Cx, id: AccountId) -> Result<Profile, Error> {
    cx.app.db.read(move |tx| store::profile(tx, id)?.ok_or(Error::Unknown)).await
}
