//! The rows of `accounts`.

use super::{NewAccount, Profile};
use crate::base::id::AccountId;
use crate::base::time::Timestamp;
use crate::db::{Error, Tx};

/// Adds an account unless its mailbox is taken. Says whether it did.
pub(crate) fn insert(tx: &mut Tx<'_>, account: &NewAccount) -> Result<bool, Error> {
    let sql = "INSERT INTO accounts (id, email, email_key, name, created_at, idempotency_key)
        VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (email_key) DO NOTHING";
    let values = [
        account.id.0.into(),
        account.email.as_typed().into(),
        account.email.key().into(),
        account.name.as_str().into(),
        account.created_at.into(),
        account.idempotency_key.as_ref().map(<[u8; 32]>::as_slice).into(),
    ];
    Ok(tx.execute(sql, &values)? == 1)
}

/// What an account shows.
pub(crate) fn profile(tx: &mut Tx<'_>, id: AccountId) -> Result<Option<Profile>, Error> {
    let sql = "SELECT email, name FROM accounts WHERE id = $1";
    tx.first(sql, &[id.0.into()], |row| Ok(Profile { email: row.get(0)?, name: row.get(1)? }))
}

/// Whether a mailbox has an account.
pub(crate) fn is_taken(tx: &mut Tx<'_>, email_key: &str) -> Result<bool, Error> {
    let sql = "SELECT 1 FROM accounts WHERE email_key = $1";
    Ok(tx.first(sql, &[email_key.into()], |_| Ok(()))?.is_some())
}

/// The account of a mailbox if it was made with this key since `since`: its id and what it shows.
pub(crate) fn made_with(
    tx: &mut Tx<'_>,
    email_key: &str,
    key: &[u8],
    since: Timestamp,
) -> Result<Option<(AccountId, Profile)>, Error> {
    let sql = "SELECT id, email, name FROM accounts
        WHERE email_key = $1 AND idempotency_key = $2 AND created_at >= $3";
    tx.first(sql, &[email_key.into(), key.into(), since.into()], |row| {
        Ok((AccountId(row.get(0)?), Profile { email: row.get(1)?, name: row.get(2)? }))
    })
}
