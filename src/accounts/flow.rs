//! What can be done with accounts.

use super::{Error, NewAccount, Profile, store};
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
    match cx.app.db.read::<_, Error, _>(|tx| Ok(store::is_taken(tx, email.key())?)).await? {
        true => Err(Error::EmailTaken),
        false => Ok(()),
    }
}

/// What the account shows of itself.
///
/// # Errors
/// [`Error::Unknown`] if it is gone.
pub async fn profile(cx: &Cx, id: AccountId) -> Result<Profile, Error> {
    cx.app.db.read(|tx| store::profile(tx, id)?.ok_or(Error::Unknown)).await
}
