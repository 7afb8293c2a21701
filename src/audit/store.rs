//! The rows of `audit_events` and `audit_chain`.

use super::chain::{End, Link, Side, Stored};
use super::{Event, Filter};
use crate::base::id::{self, AccountId};
use crate::base::time::Timestamp;
use crate::db::{Error, Lock, Row, Tx, Value};
use uuid::Uuid;

/// Adds an event, not yet chained.
pub(crate) fn insert(
    tx: &mut Tx<'_>,
    event: &Event,
    personal: &str,
    commitment: [u8; 32],
) -> Result<(), Error> {
    let sql = "INSERT INTO audit_events
        (id, happened_at, event, outcome, request_id, detail, account_id, personal, salt, commitment)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    let values = [
        event.id.into(),
        event.at.into(),
        event.kind.name().into(),
        event.outcome.name().into(),
        event.origin.request_id.into(),
        event.detail.as_deref().into(),
        event.account.map(|id| id.0).into(),
        personal.into(),
        event.salt.as_slice().into(),
        commitment.as_slice().into(),
    ];
    tx.execute(sql, &values)?;
    Ok(())
}

/// Whether an event waits for its seal.
pub(crate) fn any_unsealed(tx: &mut Tx<'_>) -> Result<bool, Error> {
    let sql = "SELECT id FROM audit_events WHERE place IS NULL LIMIT 1";
    Ok(tx.first(sql, &[], |_| Ok(()))?.is_some())
}

/// Whether an event has its seal.
pub(crate) fn any_sealed(tx: &mut Tx<'_>) -> Result<bool, Error> {
    let sql = "SELECT id FROM audit_events WHERE place IS NOT NULL LIMIT 1";
    Ok(tx.first(sql, &[], |_| Ok(()))?.is_some())
}

/// How many events there are, and how many of them are sealed.
pub(crate) fn counts(tx: &mut Tx<'_>) -> Result<(i64, i64), Error> {
    let sql = "SELECT COUNT(*), COUNT(place) FROM audit_events";
    Ok(tx.first(sql, &[], |row| Ok((row.get(0)?, row.get(1)?)))?.unwrap_or_default())
}

/// The oldest events without a seal.
pub(crate) fn unsealed(tx: &mut Tx<'_>, limit: usize) -> Result<Vec<Stored>, Error> {
    let sql = "SELECT id, happened_at, event, outcome, request_id, detail, account_id, personal, salt,
        commitment, place, mac FROM audit_events WHERE place IS NULL ORDER BY id LIMIT $1";
    tx.all(sql, &[rows(limit)], read)
}

/// The sealed events after a place, in the order of the chain.
pub(crate) fn sealed_after(tx: &mut Tx<'_>, place: i64, limit: usize) -> Result<Vec<Stored>, Error> {
    let sql = "SELECT id, happened_at, event, outcome, request_id, detail, account_id, personal, salt,
        commitment, place, mac FROM audit_events WHERE place > $1 ORDER BY place LIMIT $2";
    tx.all(sql, &[place.into(), rows(limit)], read)
}

/// Writes the seals of events. Says of each whether it had none.
pub(crate) fn seal(tx: &mut Tx<'_>, sealed: &[(Uuid, Link)]) -> Result<Vec<bool>, Error> {
    let sql = "UPDATE audit_events SET place = $1, mac = $2 WHERE id = $3 AND place IS NULL";
    let rows: Vec<[Value<'_>; 3]> = sealed
        .iter()
        .map(|(id, link)| [link.place.into(), link.mac.as_slice().into(), (*id).into()])
        .collect();
    Ok(tx.execute_each(sql, &rows)?.into_iter().map(|changed| changed == 1).collect())
}

/// Deletes the sealed events up to a place. Says how many they were.
pub(crate) fn delete_up_to(tx: &mut Tx<'_>, place: i64) -> Result<usize, Error> {
    let sql = "DELETE FROM audit_events WHERE place <= $1";
    tx.execute(sql, &[place.into()])
}

/// Takes the personal part out of up to `limit` events of an account, the oldest first, as all take them.
pub(crate) fn erase(tx: &mut Tx<'_>, account: AccountId, limit: usize) -> Result<(), Error> {
    let sql = "SELECT id FROM audit_events WHERE account_id = $1 ORDER BY id LIMIT $2";
    let held = tx.all_locked(Lock::Update, sql, &[account.0.into(), rows(limit)], |row| row.get(0))?;
    let values: Vec<[Value<'_>; 1]> = held.into_iter().map(|id: Uuid| [id.into()]).collect();
    let sql = "UPDATE audit_events SET personal = NULL, salt = NULL, account_id = NULL WHERE id = $1";
    tx.execute_each(sql, &values).map(drop)
}

/// Whether there is an event that leads to an account.
pub(crate) fn any_of(tx: &mut Tx<'_>, account: AccountId) -> Result<bool, Error> {
    let sql = "SELECT id FROM audit_events WHERE account_id = $1 LIMIT 1";
    Ok(tx.first(sql, &[account.0.into()], |_| Ok(()))?.is_some())
}

/// Notes that events of an account are still to be erased.
pub(crate) fn begin_erasure(tx: &mut Tx<'_>, account: AccountId) -> Result<(), Error> {
    let sql = "INSERT INTO audit_erasures (account_id) VALUES ($1) ON CONFLICT (account_id) DO NOTHING";
    tx.execute(sql, &[account.0.into()])?;
    Ok(())
}

/// An account whose events are still to be erased.
pub(crate) fn erasure(tx: &mut Tx<'_>) -> Result<Option<AccountId>, Error> {
    let sql = "SELECT account_id FROM audit_erasures ORDER BY account_id LIMIT 1";
    tx.first(sql, &[], |row| Ok(AccountId(row.get(0)?)))
}

/// Notes that no event of an account is left to be erased.
pub(crate) fn end_erasure(tx: &mut Tx<'_>, account: AccountId) -> Result<(), Error> {
    let sql = "DELETE FROM audit_erasures WHERE account_id = $1";
    tx.execute(sql, &[account.0.into()])?;
    Ok(())
}

/// An end of the chain, held until the end of the transaction.
pub(crate) fn hold_end(tx: &mut Tx<'_>, side: Side) -> Result<Option<End>, Error> {
    let sql = "SELECT place, mac FROM audit_chain WHERE name = $1";
    tx.first_locked(Lock::Update, sql, &[side.name().into()], read_end)
}

/// An end of the chain.
pub(crate) fn end(tx: &mut Tx<'_>, side: Side) -> Result<Option<End>, Error> {
    let sql = "SELECT place, mac FROM audit_chain WHERE name = $1";
    tx.first(sql, &[side.name().into()], read_end)
}

fn read_end(row: &Row<'_>) -> Result<End, Error> {
    Ok(End { place: row.get(0)?, mac: row.get(1)? })
}

/// Sets an end that there was not. Says whether it did; not, if another was quicker.
pub(crate) fn set_end(tx: &mut Tx<'_>, side: Side, to: &End) -> Result<bool, Error> {
    let sql = "INSERT INTO audit_chain (name, place, mac) VALUES ($1, $2, $3) ON CONFLICT (name) DO NOTHING";
    Ok(tx.execute(sql, &[side.name().into(), to.place.into(), to.mac.as_slice().into()])? == 1)
}

/// Moves an end on from a place. Says whether it did; not, if another was quicker.
pub(crate) fn move_end(tx: &mut Tx<'_>, side: Side, from: i64, to: &End) -> Result<bool, Error> {
    let sql = "UPDATE audit_chain SET place = $1, mac = $2 WHERE name = $3 AND place = $4";
    let values = [to.place.into(), to.mac.as_slice().into(), side.name().into(), from.into()];
    Ok(tx.execute(sql, &values)? == 1)
}

/// Events that fit the filter and come before an id, newest first.
pub(crate) fn newest(
    tx: &mut Tx<'_>,
    filter: &Filter,
    before: Uuid,
    limit: usize,
) -> Result<Vec<Stored>, Error> {
    let (since, event) = (filter.since, filter.event.map(super::Kind::name));
    let first = first_id(since);
    let Some(account) = filter.account else {
        let sql = "SELECT id, happened_at, event, outcome, request_id, detail, account_id, personal, salt,
            commitment, place, mac FROM audit_events WHERE id < $1 AND id >= $2
            AND (happened_at >= $3 OR $3 IS NULL) AND (event = $4 OR $4 IS NULL) ORDER BY id DESC LIMIT $5";
        let values = [before.into(), first.into(), since.into(), event.into(), rows(limit)];
        return tx.all(sql, &values, read);
    };
    let sql = "SELECT id, happened_at, event, outcome, request_id, detail, account_id, personal, salt,
        commitment, place, mac FROM audit_events WHERE account_id = $1 AND id < $2 AND id >= $3
        AND (happened_at >= $4 OR $4 IS NULL) AND (event = $5 OR $5 IS NULL) ORDER BY id DESC LIMIT $6";
    let values = [account.0.into(), before.into(), first.into(), since.into(), event.into(), rows(limit)];
    tx.all(sql, &values, read)
}

/// The least id that an event of that moment or later can have, so that older rows are not looked at.
fn first_id(since: Option<Timestamp>) -> Uuid {
    since.map_or(Uuid::nil(), |since| id::uuid_v7(since, [0; 10]))
}

fn rows(limit: usize) -> crate::db::Value<'static> {
    i64::try_from(limit).unwrap_or(i64::MAX).into()
}

fn read(row: &Row<'_>) -> Result<Stored, Error> {
    Ok(Stored {
        id: row.get(0)?,
        at: row.get(1)?,
        event: row.get(2)?,
        outcome: row.get(3)?,
        request_id: row.get(4)?,
        detail: row.get(5)?,
        account: row.get(6)?,
        personal: row.get(7)?,
        salt: row.get(8)?,
        commitment: row.get(9)?,
        place: row.get(10)?,
        mac: row.get(11)?,
    })
}
