//! The rows of `passwords`, and whom they belong to.

use crate::base::id::AccountId;
use crate::base::time::Timestamp;
use crate::db::{Error, Lock, Row, Tx, Value};

/// An account and its stored hash.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) account: AccountId,
    pub(crate) phc: String,
    /// Which of the account's passwords this is.
    pub(crate) version: i64,
    /// Whether the account is not disabled.
    pub(crate) active: bool,
}

/// Stores an account's first hash.
pub(crate) fn insert(tx: &mut Tx<'_>, account: AccountId, phc: &str, now: Timestamp) -> Result<(), Error> {
    let sql = "INSERT INTO passwords (account_id, phc, updated_at) VALUES ($1, $2, $3)";
    tx.execute(sql, &[account.0.into(), phc.into(), now.into()])?;
    Ok(())
}

/// Stores the first hashes of several accounts.
pub(crate) fn insert_each(
    tx: &mut Tx<'_>,
    hashes: &[(AccountId, &str)],
    now: Timestamp,
) -> Result<(), Error> {
    let sql = "INSERT INTO passwords (account_id, phc, updated_at) VALUES ($1, $2, $3)";
    let rows: Vec<[Value<'_>; 3]> =
        hashes.iter().map(|(account, phc)| [account.0.into(), (*phc).into(), now.into()]).collect();
    tx.execute_each(sql, &rows).map(drop)
}

/// The account of a mailbox.
pub(crate) fn by_email(tx: &mut Tx<'_>, email_key: &str) -> Result<Option<Stored>, Error> {
    let sql = "SELECT accounts.id, passwords.phc, passwords.version, accounts.disabled_at FROM accounts
        JOIN passwords ON passwords.account_id = accounts.id WHERE accounts.email_key = $1";
    tx.first(sql, &[email_key.into()], read)
}

/// The accounts that bear a name, two at most: more make no difference.
pub(crate) fn by_name(tx: &mut Tx<'_>, name: &str) -> Result<Vec<Stored>, Error> {
    let sql = "SELECT accounts.id, passwords.phc, passwords.version, accounts.disabled_at FROM accounts
        JOIN passwords ON passwords.account_id = accounts.id WHERE accounts.name = $1 LIMIT 2";
    tx.all(sql, &[name.into()], read)
}

/// An account by its id.
pub(crate) fn by_id(tx: &mut Tx<'_>, account: AccountId) -> Result<Option<Stored>, Error> {
    let sql = "SELECT accounts.id, passwords.phc, passwords.version, accounts.disabled_at FROM accounts
        JOIN passwords ON passwords.account_id = accounts.id WHERE accounts.id = $1";
    tx.first(sql, &[account.0.into()], read)
}

/// Whether an account is active and its password still the one that was checked.
pub(crate) fn is_current(tx: &mut Tx<'_>, stored: &Stored, lock: Lock) -> Result<bool, Error> {
    let sql = "SELECT 1 FROM accounts JOIN passwords ON passwords.account_id = accounts.id
        WHERE accounts.id = $1 AND accounts.disabled_at IS NULL AND passwords.version = $2";
    let values = [stored.account.0.into(), stored.version.into()];
    Ok(tx.first_locked(lock, sql, &values, |_| Ok(()))?.is_some())
}

/// Replaces a hash by another of the same password, if it is still there. Says whether it was.
pub(crate) fn renew(tx: &mut Tx<'_>, stored: &Stored, phc: &str) -> Result<bool, Error> {
    let sql = "UPDATE passwords SET phc = $1 WHERE account_id = $2 AND phc = $3";
    Ok(tx.execute(sql, &[phc.into(), stored.account.0.into(), stored.phc.as_str().into()])? == 1)
}

/// Gives an account another password, whatever it was. Says whether there is such an account.
pub(crate) fn set(tx: &mut Tx<'_>, account: AccountId, phc: &str, now: Timestamp) -> Result<bool, Error> {
    let sql = "UPDATE passwords SET phc = $1, version = version + 1, updated_at = $2 WHERE account_id = $3";
    Ok(tx.execute(sql, &[phc.into(), now.into(), account.0.into()])? == 1)
}

/// The next accounts that have a password, at most so many, in the order of their ids.
pub(crate) fn ids_after(tx: &mut Tx<'_>, after: AccountId, most: usize) -> Result<Vec<AccountId>, Error> {
    let sql = "SELECT account_id FROM passwords WHERE account_id > $1 ORDER BY account_id LIMIT $2";
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    tx.all(sql, &[after.0.into(), most.into()], |row| Ok(AccountId(row.get(0)?)))
}

/// The hash of each of these accounts, if it has one.
pub(crate) fn hashes_of(tx: &mut Tx<'_>, ids: &[AccountId]) -> Result<Vec<Option<String>>, Error> {
    let sql = "SELECT phc FROM passwords WHERE account_id = $1";
    let rows: Vec<[Value<'_>; 1]> = ids.iter().map(|id| [id.0.into()]).collect();
    tx.first_each(sql, &rows, phc)
}

fn read(row: &Row<'_>) -> Result<Stored, Error> {
    let account = AccountId(row.get(0)?);
    let disabled_at: Option<Timestamp> = row.get(3)?;
    Ok(Stored { account, phc: text(row, 1)?, version: row.get(2)?, active: disabled_at.is_none() })
}

fn phc(row: &Row<'_>) -> Result<String, Error> {
    text(row, 0)
}

/// What is not even text is a damaged hash like any other: it opens nothing.
fn text(row: &Row<'_>, column: usize) -> Result<String, Error> {
    match row.get(column) {
        Err(Error::Corrupt(_)) => Ok(String::new()),
        read => read,
    }
}
