//! The rows of `earlier_keys` and `earlier_ends`.

use super::EarlierKey;
use crate::base::id::AccountId;
use crate::db::{Error, Tx};

/// Adds a key unless there is one of its id. Says whether it did.
pub(super) fn insert(tx: &mut Tx<'_>, key: &EarlierKey) -> Result<bool, Error> {
    let json = serde_json::to_string(&key.public).map_err(|error| Error::Statement(error.to_string()))?;
    let sql = "INSERT INTO earlier_keys (kid, public_jwk, created_at, verify_until)
        SELECT $1, $2, $3, $4 WHERE NOT EXISTS (SELECT 1 FROM signing_keys WHERE kid = $1)
        ON CONFLICT (kid) DO NOTHING";
    let values = [
        key.public.kid.as_str().into(),
        json.as_str().into(),
        key.created_at.into(),
        key.verify_until.into(),
    ];
    Ok(tx.execute(sql, &values)? == 1)
}

/// All of them, oldest first.
pub(super) fn all(tx: &mut Tx<'_>) -> Result<Vec<EarlierKey>, Error> {
    let sql = "SELECT public_jwk, created_at, verify_until FROM earlier_keys ORDER BY created_at, kid";
    tx.all(sql, &[], |row| {
        let jwk: String = row.get(0)?;
        let public =
            serde_json::from_str(&jwk).map_err(|error| Error::Corrupt(format!("public_jwk: {error}")))?;
        Ok(EarlierKey { public, created_at: row.get(1)?, verify_until: row.get(2)? })
    })
}

/// Deletes a key. Says whether it was there.
pub(super) fn delete(tx: &mut Tx<'_>, kid: &str) -> Result<bool, Error> {
    let sql = "DELETE FROM earlier_keys WHERE kid = $1";
    Ok(tx.execute(sql, &[kid.into()])? == 1)
}

/// Notes that the tokens of an account are over, as long as there may be any.
pub(super) fn end(tx: &mut Tx<'_>, account: AccountId) -> Result<(), Error> {
    let sql = "INSERT INTO earlier_ends (account_id)
        SELECT id FROM accounts WHERE id = $1 AND EXISTS (SELECT 1 FROM earlier_keys)
        ON CONFLICT (account_id) DO NOTHING";
    tx.execute(sql, &[account.0.into()]).map(drop)
}

/// Forgets all of that where there is no key any more.
pub(super) fn forget_ends(tx: &mut Tx<'_>) -> Result<(), Error> {
    let sql = "DELETE FROM earlier_ends WHERE NOT EXISTS (SELECT 1 FROM earlier_keys)";
    tx.execute(sql, &[]).map(drop)
}

/// Whether an account is active and has not ended its tokens.
pub(super) fn is_live(tx: &mut Tx<'_>, account: AccountId) -> Result<bool, Error> {
    let sql = "SELECT 1 FROM accounts WHERE id = $1 AND disabled_at IS NULL
        AND NOT EXISTS (SELECT 1 FROM earlier_ends WHERE account_id = $1)";
    Ok(tx.first(sql, &[account.0.into()], |_| Ok(()))?.is_some())
}
