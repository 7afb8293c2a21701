//! The rows of `api_keys`.

use super::{KeyScope, StoredKey};
use crate::base::time::Timestamp;
use crate::db::{Error, Row, Tx};
use uuid::Uuid;

/// Adds a key.
pub(crate) fn insert(tx: &mut Tx<'_>, key: &StoredKey, digest: &[u8]) -> Result<(), Error> {
    let sql = "INSERT INTO api_keys (id, digest, name, scope, created_at, expires_at)
        VALUES ($1, $2, $3, $4, $5, $6)";
    let scope = key.scopes.iter().map(|scope| scope.name()).collect::<Vec<_>>().join(" ");
    let values = [
        key.id.into(),
        digest.into(),
        key.name.as_str().into(),
        scope.as_str().into(),
        key.created_at.into(),
        key.expires_at.into(),
    ];
    tx.execute(sql, &values)?;
    Ok(())
}

/// The key of a digest.
pub(crate) fn by_digest(tx: &mut Tx<'_>, digest: &[u8]) -> Result<Option<StoredKey>, Error> {
    let sql = "SELECT id, name, scope, created_at, expires_at, last_used_at FROM api_keys WHERE digest = $1";
    tx.first(sql, &[digest.into()], read)
}

/// All keys, oldest first.
pub(crate) fn all(tx: &mut Tx<'_>) -> Result<Vec<StoredKey>, Error> {
    let sql = "SELECT id, name, scope, created_at, expires_at, last_used_at FROM api_keys ORDER BY id";
    tx.all(sql, &[], read)
}

/// Notes that a key was used.
pub(crate) fn touch(tx: &mut Tx<'_>, id: Uuid, now: Timestamp) -> Result<(), Error> {
    let sql = "UPDATE api_keys SET last_used_at = $1 WHERE id = $2";
    tx.execute(sql, &[now.into(), id.into()])?;
    Ok(())
}

/// Deletes a key. Says whether there was one.
pub(crate) fn delete(tx: &mut Tx<'_>, id: Uuid) -> Result<bool, Error> {
    let sql = "DELETE FROM api_keys WHERE id = $1";
    Ok(tx.execute(sql, &[id.into()])? == 1)
}

/// Deletes up to `limit` keys that expired before `before`.
pub(crate) fn sweep(tx: &mut Tx<'_>, before: Timestamp, limit: i64) -> Result<usize, Error> {
    let sql = "DELETE FROM api_keys WHERE id IN (SELECT id FROM api_keys WHERE expires_at <= $1 LIMIT $2)
        AND expires_at <= $1";
    tx.execute(sql, &[before.into(), limit.into()])
}

fn read(row: &Row<'_>) -> Result<StoredKey, Error> {
    let scope: String = row.get(2)?;
    Ok(StoredKey {
        id: row.get(0)?,
        name: row.get(1)?,
        scopes: scope.split(' ').filter_map(KeyScope::from_name).collect(),
        created_at: row.get(3)?,
        expires_at: row.get(4)?,
        last_used_at: row.get(5)?,
    })
}
