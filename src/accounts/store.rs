//! The rows of `accounts`.

use super::{Account, NewAccount};
use crate::base::id::AccountId;
use crate::base::time::Timestamp;
use crate::db::{Error, Lock, Row, Tx, Value};
use crate::profiles::Profile;

/// Adds an account unless its mailbox is taken. Says whether it did.
pub(crate) fn insert(tx: &mut Tx<'_>, account: &NewAccount) -> Result<bool, Error> {
    let sql = "INSERT INTO accounts (id, email, email_key, name, created_at, disabled_at, idempotency_key)
        VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (email_key) DO NOTHING";
    Ok(tx.execute(sql, &values(account))? == 1)
}

/// Adds accounts, but for those whose mailbox or id is taken. Says of each whether it did.
pub(crate) fn insert_each(tx: &mut Tx<'_>, accounts: &[&NewAccount]) -> Result<Vec<bool>, Error> {
    let sql = "INSERT INTO accounts (id, email, email_key, name, created_at, disabled_at, idempotency_key)
        VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING";
    let rows: Vec<[Value<'_>; 7]> = accounts.iter().map(|account| values(account)).collect();
    Ok(tx.execute_each(sql, &rows)?.into_iter().map(|changed| changed == 1).collect())
}

fn values(account: &NewAccount) -> [Value<'_>; 7] {
    [
        account.id.0.into(),
        account.email.as_typed().into(),
        account.email.key().into(),
        account.name.as_str().into(),
        account.created_at.into(),
        account.disabled_at.into(),
        account.idempotency_key.as_ref().map(<[u8; 32]>::as_slice).into(),
    ]
}

/// For each of these accounts the key that the one of its mailbox was made with, if there is one.
pub(crate) fn keys_of(
    tx: &mut Tx<'_>,
    accounts: &[&NewAccount],
) -> Result<Vec<Option<Option<Vec<u8>>>>, Error> {
    let sql = "SELECT idempotency_key FROM accounts WHERE email_key = $1";
    let rows: Vec<[Value<'_>; 1]> = accounts.iter().map(|account| [account.email.key().into()]).collect();
    tx.first_each(sql, &rows, |row| row.get(0))
}

/// Of each of these accounts, whether one has its id.
pub(crate) fn are_ids_taken(tx: &mut Tx<'_>, accounts: &[&NewAccount]) -> Result<Vec<bool>, Error> {
    let sql = "SELECT 1 FROM accounts WHERE id = $1";
    let rows: Vec<[Value<'_>; 1]> = accounts.iter().map(|account| [account.id.0.into()]).collect();
    Ok(tx.first_each(sql, &rows, |_| Ok(()))?.iter().map(Option::is_some).collect())
}

/// What an account shows.
pub(crate) fn profile(tx: &mut Tx<'_>, id: AccountId) -> Result<Option<Profile>, Error> {
    let sql = "SELECT email, name FROM accounts WHERE id = $1";
    tx.first(sql, &[id.0.into()], |row| Ok(Profile { email: row.get(0)?, name: row.get(1)? }))
}

/// Whether an account exists and is not disabled.
pub(crate) fn is_active(tx: &mut Tx<'_>, id: AccountId) -> Result<bool, Error> {
    let sql = "SELECT 1 FROM accounts WHERE id = $1 AND disabled_at IS NULL";
    Ok(tx.first(sql, &[id.0.into()], |_| Ok(()))?.is_some())
}

/// Whether an account exists, and goes on to until the end of the transaction.
pub(crate) fn exists(tx: &mut Tx<'_>, id: AccountId) -> Result<bool, Error> {
    let sql = "SELECT 1 FROM accounts WHERE id = $1";
    Ok(tx.first_locked(Lock::Share, sql, &[id.0.into()], |_| Ok(()))?.is_some())
}

/// Gives an account another name. Says whether there is such an account.
pub(crate) fn rename(tx: &mut Tx<'_>, id: AccountId, name: &str) -> Result<bool, Error> {
    let sql = "UPDATE accounts SET name = $1 WHERE id = $2";
    Ok(tx.execute(sql, &[name.into(), id.0.into()])? == 1)
}

/// Disables an account, or enables it with no time. Says whether there is such an account.
pub(crate) fn set_disabled(tx: &mut Tx<'_>, id: AccountId, at: Option<Timestamp>) -> Result<bool, Error> {
    let sql = "UPDATE accounts SET disabled_at = $1 WHERE id = $2";
    Ok(tx.execute(sql, &[at.into(), id.0.into()])? == 1)
}

/// Deletes an account and all that hangs on it. Says whether there was one.
pub(crate) fn delete(tx: &mut Tx<'_>, id: AccountId) -> Result<bool, Error> {
    let sql = "DELETE FROM accounts WHERE id = $1";
    Ok(tx.execute(sql, &[id.0.into()])? == 1)
}

/// An account as an operator sees it.
pub(crate) fn find(tx: &mut Tx<'_>, id: AccountId) -> Result<Option<Account>, Error> {
    let sql = "SELECT id, email, name, created_at, disabled_at FROM accounts WHERE id = $1";
    tx.first(sql, &[id.0.into()], read)
}

/// The account of a mailbox.
pub(crate) fn find_by_email(tx: &mut Tx<'_>, email_key: &str) -> Result<Option<Account>, Error> {
    let sql = "SELECT id, email, name, created_at, disabled_at FROM accounts WHERE email_key = $1";
    tx.first(sql, &[email_key.into()], read)
}

/// Accounts by the order of their ids, from the one after `after` on.
pub(crate) fn page(tx: &mut Tx<'_>, after: AccountId, limit: i64) -> Result<Vec<Account>, Error> {
    let sql = "SELECT id, email, name, created_at, disabled_at FROM accounts
        WHERE id > $1 ORDER BY id LIMIT $2";
    tx.all(sql, &[after.0.into(), limit.into()], read)
}

fn read(row: &Row<'_>) -> Result<Account, Error> {
    Ok(Account {
        id: AccountId(row.get(0)?),
        email: row.get(1)?,
        name: row.get(2)?,
        created_at: row.get(3)?,
        disabled_at: row.get(4)?,
    })
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
