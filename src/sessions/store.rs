//! The rows of `sessions`.

use super::refresh::SpentTimes;
use super::scope::Scope;
use super::{Advance, Session};
use crate::base::id::{AccountId, SessionId};
use crate::base::time::Timestamp;
use crate::db::{Error, Lock, Row, Tx};
use crate::status::Ended;

/// Adds a session.
pub(crate) fn insert(tx: &mut Tx<'_>, session: &Session) -> Result<(), Error> {
    let sql = "INSERT INTO sessions (id, account_id, client_id, scope, created_at, last_used_at,
            absolute_expires_at, expires_at, access_expires_at, generation, refresh_digest, spent_at,
            status_index, address, user_agent)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)";
    let (scope, spent) = (session.scope.to_string(), session.spent.to_bytes());
    let values = [
        session.id.0.into(),
        session.account.0.into(),
        session.client_id.as_str().into(),
        scope.as_str().into(),
        session.created_at.into(),
        session.last_used_at.into(),
        session.absolute_expires_at.into(),
        session.expires_at.into(),
        session.access_expires_at.into(),
        i64::from(session.generation).into(),
        session.refresh_digest.as_slice().into(),
        spent.as_slice().into(),
        number(session.status_index).into(),
        session.address.as_deref().into(),
        session.user_agent.as_deref().into(),
    ];
    tx.execute(sql, &values)?;
    Ok(())
}

/// A session by its id; with a lock as it stays until the end of the transaction.
pub(crate) fn find(tx: &mut Tx<'_>, id: SessionId, lock: Option<Lock>) -> Result<Option<Session>, Error> {
    let sql = "SELECT id, account_id, client_id, scope, created_at, last_used_at, absolute_expires_at,
            expires_at, access_expires_at, ended_at, generation, refresh_digest, spent_at, status_index,
            address, user_agent
        FROM sessions WHERE id = $1";
    tx.first_locked(lock, sql, &[id.0.into()], read)
}

/// Live sessions of an account, the newest first, from the one before `before` on.
pub(crate) fn live(
    tx: &mut Tx<'_>,
    account: AccountId,
    now: Timestamp,
    before: SessionId,
    limit: i64,
) -> Result<Vec<Session>, Error> {
    let sql = "SELECT id, account_id, client_id, scope, created_at, last_used_at, absolute_expires_at,
            expires_at, access_expires_at, ended_at, generation, refresh_digest, spent_at, status_index,
            address, user_agent
        FROM sessions
        WHERE account_id = $1 AND ended_at IS NULL AND expires_at > $2 AND id < $3
        ORDER BY id DESC LIMIT $4";
    tx.all(sql, &[account.0.into(), now.into(), before.0.into(), limit.into()], read)
}

/// Stores a used session if its refresh token is still the one of `generation` and it has not ended.
/// Says whether it did.
pub(crate) fn rotate(tx: &mut Tx<'_>, used: &Session, generation: u32) -> Result<bool, Error> {
    let sql = "UPDATE sessions SET last_used_at = $1, expires_at = $2, access_expires_at = $3,
            generation = $4, refresh_digest = $5, spent_at = $6, address = $7, user_agent = $8
        WHERE id = $9 AND generation = $10 AND ended_at IS NULL";
    let spent = used.spent.to_bytes();
    let values = [
        used.last_used_at.into(),
        used.expires_at.into(),
        used.access_expires_at.into(),
        i64::from(used.generation).into(),
        used.refresh_digest.as_slice().into(),
        spent.as_slice().into(),
        used.address.as_deref().into(),
        used.user_agent.as_deref().into(),
        used.id.0.into(),
        i64::from(generation).into(),
    ];
    Ok(tx.execute(sql, &values)? == 1)
}

/// Uses a session of an active account in the ordinary way. `None` where it is not that, and nothing has changed.
pub(crate) fn advance(tx: &mut Tx<'_>, by: &Advance) -> Result<Option<Session>, Error> {
    let sql = "UPDATE sessions SET last_used_at = $1,
            expires_at = CASE WHEN absolute_expires_at < $2 THEN absolute_expires_at ELSE $2 END,
            access_expires_at = CASE WHEN access_expires_at < $3 THEN $3 ELSE access_expires_at END,
            generation = generation + 1, refresh_digest = $4, spent_at = $5, address = $6, user_agent = $7
        WHERE id = $8 AND generation = $9 AND refresh_digest = $10 AND spent_at < $11 AND ended_at IS NULL
            AND expires_at > $12 AND absolute_expires_at >= $13 AND created_at <= $14
            AND EXISTS (SELECT 1 FROM accounts
                WHERE accounts.id = sessions.account_id AND accounts.disabled_at IS NULL)
        RETURNING id, account_id, client_id, scope, created_at, last_used_at, absolute_expires_at,
            expires_at, access_expires_at, ended_at, generation, refresh_digest, spent_at, status_index,
            address, user_agent";
    let spent = SpentTimes::default().with(by.now).to_bytes();
    let values = [
        by.now.into(),
        by.expires_at.into(),
        by.access_expires_at.into(),
        by.successor.as_slice().into(),
        spent.as_slice().into(),
        by.address.as_deref().into(),
        by.user_agent.as_deref().into(),
        by.session.0.into(),
        i64::from(by.generation).into(),
        by.digest.as_slice().into(),
        by.spent_below.as_slice().into(),
        by.live_at.into(),
        by.bound_from.into(),
        by.opened_by.into(),
    ];
    tx.first(sql, &values, read)
}

/// Says anew when the tokens before the present one of a held session were spent.
pub(crate) fn set_spent(tx: &mut Tx<'_>, id: SessionId, spent: &SpentTimes) -> Result<(), Error> {
    let sql = "UPDATE sessions SET spent_at = $1 WHERE id = $2";
    tx.execute(sql, &[spent.to_bytes().as_slice().into(), id.0.into()])?;
    Ok(())
}

/// Notes that an access token ends at `until`, unless the session has ended. Says whether it did.
pub(crate) fn extend_access(tx: &mut Tx<'_>, id: SessionId, until: Timestamp) -> Result<bool, Error> {
    let sql = "UPDATE sessions
        SET access_expires_at = CASE WHEN access_expires_at < $1 THEN $1 ELSE access_expires_at END
        WHERE id = $2 AND ended_at IS NULL";
    Ok(tx.execute(sql, &[until.into(), id.0.into()])? == 1)
}

/// Holds the sessions of an account that were live `since` then, with ids up to `last`, but for `but`. Says whether
/// there are any.
pub(crate) fn hold_live(
    tx: &mut Tx<'_>,
    account: AccountId,
    last: SessionId,
    but: SessionId,
    since: Timestamp,
) -> Result<bool, Error> {
    let sql = "SELECT id FROM sessions
        WHERE account_id = $1 AND id <= $2 AND id <> $3 AND ended_at IS NULL AND expires_at > $4
        ORDER BY id";
    let values = [account.0.into(), last.0.into(), but.0.into(), since.into()];
    Ok(!tx.all_locked(Lock::Update, sql, &values, |_| Ok(()))?.is_empty())
}

/// Takes the next number for ends. Everybody waits for who holds the last one, so it is taken late. Whoever takes
/// one later commits later.
pub(crate) fn next_end(tx: &mut Tx<'_>) -> Result<i64, Error> {
    let sql = "UPDATE counters SET next = next + 1 WHERE name = 'session_end' RETURNING next";
    let next = tx.first(sql, &[], |row| row.get(0))?;
    next.ok_or_else(|| Error::Corrupt("there is no counter of session ends".into()))
}

/// Ends one live session of an account.
pub(crate) fn end_one(
    tx: &mut Tx<'_>,
    account: AccountId,
    id: SessionId,
    number: i64,
    now: Timestamp,
) -> Result<Option<Ended>, Error> {
    let sql = "UPDATE sessions SET ended_at = $1, expires_at = $1, end_number = $2
        WHERE id = $3 AND account_id = $4 AND ended_at IS NULL AND expires_at > $1
        RETURNING id, status_index, access_expires_at";
    tx.first(sql, &[now.into(), number.into(), id.0.into(), account.0.into()], Ended::read)
}

/// Ends live sessions of an account: those with ids up to `last`, but for `but`.
pub(crate) fn end_many(
    tx: &mut Tx<'_>,
    account: AccountId,
    last: SessionId,
    but: SessionId,
    number: i64,
    now: Timestamp,
) -> Result<Vec<Ended>, Error> {
    let sql = "UPDATE sessions SET ended_at = $1, expires_at = $1, end_number = $2
        WHERE account_id = $3 AND id <= $4 AND id <> $5 AND ended_at IS NULL AND expires_at > $1
        RETURNING id, status_index, access_expires_at";
    let values = [now.into(), number.into(), account.0.into(), last.0.into(), but.0.into()];
    tx.all(sql, &values, Ended::read)
}

/// The live session of an account, other than `but`, that has `count` younger ones.
pub(crate) fn older_than(
    tx: &mut Tx<'_>,
    account: AccountId,
    but: SessionId,
    count: i64,
    now: Timestamp,
) -> Result<Option<SessionId>, Error> {
    let sql = "SELECT id FROM sessions
        WHERE account_id = $1 AND id <> $2 AND ended_at IS NULL AND expires_at > $3
        ORDER BY id DESC LIMIT 1 OFFSET $4";
    let values = [account.0.into(), but.0.into(), now.into(), count.into()];
    tx.first(sql, &values, |row| Ok(SessionId(row.get(0)?)))
}

/// How many live sessions an account has.
pub(crate) fn count_live(tx: &mut Tx<'_>, account: AccountId, now: Timestamp) -> Result<i64, Error> {
    let sql = "SELECT COUNT(*) FROM sessions WHERE account_id = $1 AND ended_at IS NULL AND expires_at > $2";
    Ok(tx.first(sql, &[account.0.into(), now.into()], |row| row.get(0))?.unwrap_or(0))
}

/// When the session expires that is the `place`th after `after`; `None` where there are fewer.
pub(crate) fn expiry_after(
    tx: &mut Tx<'_>,
    after: Timestamp,
    place: i64,
) -> Result<Option<Timestamp>, Error> {
    let sql = "SELECT expires_at FROM sessions WHERE expires_at > $1 ORDER BY expires_at LIMIT 1 OFFSET $2";
    tx.first(sql, &[after.into(), place.into()], |row| row.get(0))
}

/// How many sessions expire after `after`, and not after `last`.
pub(crate) fn count_between(tx: &mut Tx<'_>, after: Timestamp, last: Timestamp) -> Result<i64, Error> {
    let sql = "SELECT COUNT(*) FROM sessions WHERE expires_at > $1 AND expires_at <= $2";
    Ok(tx.first(sql, &[after.into(), last.into()], |row| row.get(0))?.unwrap_or(0))
}

/// Takes out what says where and with what an account's sessions were used.
pub(crate) fn erase(tx: &mut Tx<'_>, account: AccountId) -> Result<(), Error> {
    let sql = "UPDATE sessions SET address = NULL, user_agent = NULL WHERE account_id = $1";
    tx.execute(sql, &[account.0.into()])?;
    Ok(())
}

/// Deletes up to `limit` sessions that were over before `before`, as were their access tokens. Says how many.
pub(crate) fn sweep(tx: &mut Tx<'_>, before: Timestamp, limit: i64) -> Result<usize, Error> {
    let sql = "DELETE FROM sessions WHERE id IN
        (SELECT id FROM sessions WHERE expires_at <= $1 AND access_expires_at <= $1 LIMIT $2)
        AND expires_at <= $1 AND access_expires_at <= $1";
    tx.execute(sql, &[before.into(), limit.into()])
}

/// Takes it that all sessions that have not ended may have access tokens until `until`.
pub(crate) fn extend_all(tx: &mut Tx<'_>, until: Timestamp) -> Result<(), Error> {
    let sql = "UPDATE sessions SET access_expires_at = $1 WHERE ended_at IS NULL AND access_expires_at < $1";
    tx.execute(sql, &[until.into()]).map(drop)
}

fn read(row: &Row<'_>) -> Result<Session, Error> {
    let corrupt = |what: &str| Error::Corrupt(format!("sessions.{what}"));
    let scope: String = row.get(3)?;
    let generation: i64 = row.get(10)?;
    let digest: Vec<u8> = row.get(11)?;
    let spent: Vec<u8> = row.get(12)?;
    let index: i64 = row.get(13)?;
    Ok(Session {
        id: SessionId(row.get(0)?),
        account: AccountId(row.get(1)?),
        client_id: row.get(2)?,
        scope: Scope::parse(&scope).ok_or_else(|| corrupt("scope"))?,
        created_at: row.get(4)?,
        last_used_at: row.get(5)?,
        absolute_expires_at: row.get(6)?,
        expires_at: row.get(7)?,
        access_expires_at: row.get(8)?,
        ended_at: row.get(9)?,
        generation: u32::try_from(generation).map_err(|_| corrupt("generation"))?,
        refresh_digest: digest.try_into().map_err(|_| corrupt("refresh_digest"))?,
        spent: SpentTimes::from_bytes(&spent).ok_or_else(|| corrupt("spent_at"))?,
        status_index: u64::try_from(index).map_err(|_| corrupt("status_index"))?,
        address: row.get(14)?,
        user_agent: row.get(15)?,
    })
}

fn number(index: u64) -> i64 {
    i64::try_from(index).unwrap_or(i64::MAX)
}
