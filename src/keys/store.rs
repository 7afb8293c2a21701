//! The rows of `signing_keys`.

use super::{State, StoredKey};
use crate::base::time::Timestamp;
use crate::db::{Error, Row, Tx};
use claviger_crypto::jwk::PublicJwk;

/// Stores an active key unless there is one already. Says whether it did.
pub(crate) fn insert_first(
    tx: &mut Tx<'_>,
    jwk: &PublicJwk,
    sealed_pkcs8: &[u8],
    now: Timestamp,
) -> Result<bool, Error> {
    let json = serde_json::to_string(jwk).map_err(|error| Error::Statement(error.to_string()))?;
    let sql = "INSERT INTO signing_keys (kid, state, public_jwk, sealed_pkcs8, created_at)
        SELECT $1, $2, $3, $4, $5 WHERE NOT EXISTS (SELECT 1 FROM signing_keys)";
    let active = State::Active.name();
    let values =
        [jwk.kid.as_str().into(), active.into(), json.as_str().into(), sealed_pkcs8.into(), now.into()];
    Ok(tx.execute(sql, &values)? == 1)
}

/// All keys, oldest first.
pub(crate) fn all(tx: &mut Tx<'_>) -> Result<Vec<StoredKey>, Error> {
    let sql = "SELECT state, public_jwk, sealed_pkcs8, created_at FROM signing_keys ORDER BY created_at, kid";
    tx.all(sql, &[], read)
}

fn read(row: &Row<'_>) -> Result<StoredKey, Error> {
    let state: String = row.get(0)?;
    let jwk: String = row.get(1)?;
    Ok(StoredKey {
        state: State::from_name(&state).ok_or_else(|| Error::Corrupt(format!("key state {state}")))?,
        public: serde_json::from_str(&jwk).map_err(|error| Error::Corrupt(format!("public_jwk: {error}")))?,
        sealed_pkcs8: row.get(2)?,
        created_at: row.get(3)?,
    })
}
