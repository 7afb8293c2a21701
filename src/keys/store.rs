//! The rows of `signing_keys`.

use super::schedule::{LONGEST_CACHE, LONGEST_TOKEN_LIFE, Life};
use super::{State, StoredKey};
use crate::base::time::Timestamp;
use crate::db::{Error, Row, Tx};
use claviger_crypto::jwk::PublicJwk;
use std::time::Duration;

/// A key on its way into the table.
#[derive(Clone, Debug)]
pub(crate) struct New {
    pub(crate) public: PublicJwk,
    pub(crate) sealed_pkcs8: Vec<u8>,
    pub(crate) state: State,
    pub(crate) created_at: Timestamp,
    pub(crate) due_at: Option<Timestamp>,
    pub(crate) activated_at: Option<Timestamp>,
    pub(crate) lives: Lives,
}

/// How long the tokens that a key signs may live, and the JWK sets be cached that are fetched meanwhile.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lives {
    pub(crate) token: Duration,
    pub(crate) cache: Duration,
}

/// Stores a key unless there is one in its state already. Says whether it did.
pub(crate) fn insert(tx: &mut Tx<'_>, key: &New) -> Result<bool, Error> {
    let json = serde_json::to_string(&key.public).map_err(|error| Error::Statement(error.to_string()))?;
    let sql = "INSERT INTO signing_keys
        (kid, state, public_jwk, sealed_pkcs8, created_at, due_at, activated_at, token_life, cache_life)
        SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9
        WHERE NOT EXISTS (SELECT 1 FROM signing_keys WHERE state = $2)";
    let values = [
        key.public.kid.as_str().into(),
        key.state.name().into(),
        json.as_str().into(),
        key.sealed_pkcs8.as_slice().into(),
        key.created_at.into(),
        key.due_at.into(),
        key.activated_at.into(),
        seconds(key.lives.token).into(),
        seconds(key.lives.cache).into(),
    ];
    Ok(tx.execute(sql, &values)? == 1)
}

/// Lets a next key sign. Says whether it was one.
pub(crate) fn activate(tx: &mut Tx<'_>, kid: &str, now: Timestamp, lives: Lives) -> Result<bool, Error> {
    let sql = "UPDATE signing_keys SET state = 'active', activated_at = $1, token_life = $2, cache_life = $3
        WHERE kid = $4 AND state = 'next'";
    let values = [now.into(), seconds(lives.token).into(), seconds(lives.cache).into(), kid.into()];
    Ok(tx.execute(sql, &values)? == 1)
}

/// Lets the active key sign no more. Says whether it was the one.
pub(crate) fn retire(tx: &mut Tx<'_>, kid: &str, now: Timestamp) -> Result<bool, Error> {
    let sql = "UPDATE signing_keys SET state = 'retired', retired_at = $1
        WHERE kid = $2 AND state = 'active'";
    Ok(tx.execute(sql, &[now.into(), kid.into()])? == 1)
}

/// Takes a retired key out of the JWK set, but not out of the table. Says whether it was one.
pub(crate) fn keep(tx: &mut Tx<'_>, kid: &str) -> Result<bool, Error> {
    let sql = "UPDATE signing_keys SET state = 'kept' WHERE kid = $1 AND state = 'retired'";
    Ok(tx.execute(sql, &[kid.into()])? == 1)
}

/// Deletes a key if it is in this state. Says whether it was.
pub(crate) fn delete(tx: &mut Tx<'_>, kid: &str, state: State) -> Result<bool, Error> {
    let sql = "DELETE FROM signing_keys WHERE kid = $1 AND state = $2";
    Ok(tx.execute(sql, &[kid.into(), state.name().into()])? == 1)
}

/// Notes that a next key shall sign as soon as it may. Says whether it is one.
pub(crate) fn ask(tx: &mut Tx<'_>, kid: &str, now: Timestamp) -> Result<bool, Error> {
    let sql = "UPDATE signing_keys SET due_at = CASE WHEN due_at < $1 THEN due_at ELSE $1 END
        WHERE kid = $2 AND state = 'next'";
    Ok(tx.execute(sql, &[now.into(), kid.into()])? == 1)
}

/// Raises what is noted of a key, in whatever state it is by now. Says whether it is there at all.
pub(crate) fn raise(tx: &mut Tx<'_>, kid: &str, lives: Lives) -> Result<bool, Error> {
    let sql = "UPDATE signing_keys SET
        token_life = CASE WHEN token_life < $1 THEN $1 ELSE token_life END,
        cache_life = CASE WHEN cache_life < $2 THEN $2 ELSE cache_life END
        WHERE kid = $3";
    Ok(tx.execute(sql, &[seconds(lives.token).into(), seconds(lives.cache).into(), kid.into()])? == 1)
}

/// The tag of the master key that the database was begun with: this one, if there is none yet.
pub(crate) fn master_tag(tx: &mut Tx<'_>, tag: &[u8]) -> Result<Vec<u8>, Error> {
    let sql = "INSERT INTO master_key (name, tag) VALUES ('own', $1) ON CONFLICT (name) DO NOTHING";
    tx.execute(sql, &[tag.into()])?;
    stored_master_tag(tx)?.ok_or_else(|| Error::Corrupt("the tag of the master key went away".into()))
}

/// The same, if there is one.
pub(crate) fn stored_master_tag(tx: &mut Tx<'_>) -> Result<Option<Vec<u8>>, Error> {
    let sql = "SELECT tag FROM master_key WHERE name = 'own'";
    tx.first(sql, &[], |row| row.get(0))
}

/// The id and state of every key, those of earlier servers too, in the order of their ids' bytes: a database may have
/// another of its own.
pub(crate) fn states(tx: &mut Tx<'_>) -> Result<Vec<(String, String)>, Error> {
    let sql = "SELECT kid, state FROM signing_keys UNION ALL SELECT kid, 'earlier' FROM earlier_keys";
    let mut states = tx.all(sql, &[], |row| Ok((row.get(0)?, row.get(1)?)))?;
    states.sort_unstable();
    Ok(states)
}

/// All keys, oldest first.
pub(crate) fn all(tx: &mut Tx<'_>) -> Result<Vec<StoredKey>, Error> {
    let sql = "SELECT public_jwk, sealed_pkcs8, state, created_at, due_at, activated_at, retired_at,
        token_life, cache_life FROM signing_keys ORDER BY created_at, kid";
    tx.all(sql, &[], read)
}

fn read(row: &Row<'_>) -> Result<StoredKey, Error> {
    let jwk: String = row.get(0)?;
    let public: PublicJwk =
        serde_json::from_str(&jwk).map_err(|error| Error::Corrupt(format!("public_jwk: {error}")))?;
    let created_at: Timestamp = row.get(3)?;
    let life = Life {
        kid: public.kid.clone(),
        kind: public.kind(),
        state: state(&row.get::<String>(2)?)?,
        created_at,
        due_at: row.get(4)?,
        // What is NULL is of before it was written down, when no key was ever retired.
        activated_at: row.get::<Option<_>>(5)?.unwrap_or(created_at),
        retired_at: row.get::<Option<_>>(6)?.unwrap_or(created_at),
        token_life: duration(row.get(7)?).unwrap_or(LONGEST_TOKEN_LIFE),
        cache_life: duration(row.get(8)?).unwrap_or(LONGEST_CACHE),
    };
    Ok(StoredKey { public, life, sealed_pkcs8: row.get(1)? })
}

fn state(name: &str) -> Result<State, Error> {
    State::from_name(name).ok_or_else(|| Error::Corrupt(format!("key state {name}")))
}

fn duration(seconds: Option<i64>) -> Option<Duration> {
    Some(Duration::from_secs(u64::try_from(seconds?).ok()?))
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}
