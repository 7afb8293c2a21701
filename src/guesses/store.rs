//! The rows of `guesses` and `known_networks`.

use super::Count;
use crate::base::id::AccountId;
use crate::base::time::Timestamp;
use crate::db::{Error, Row, Tx};

/// The failures of a subject.
pub(crate) fn count(tx: &mut Tx<'_>, subject: &[u8]) -> Result<Option<Count>, Error> {
    let sql = "SELECT failures, last_failed_at FROM guesses WHERE subject = $1";
    tx.first(sql, &[subject.into()], read)
}

/// The failures of a subject, none where there were none, held until the end of the transaction.
pub(crate) fn hold(tx: &mut Tx<'_>, subject: &[u8], now: Timestamp) -> Result<Option<Count>, Error> {
    let sql = "INSERT INTO guesses (subject, failures, last_failed_at) VALUES ($1, 0, $2)
        ON CONFLICT (subject) DO UPDATE SET failures = guesses.failures
        RETURNING failures, last_failed_at";
    Ok(tx.first(sql, &[subject.into(), now.into()], read)?.filter(|count| count.failures > 0))
}

/// Sets a count that is held.
pub(crate) fn set(tx: &mut Tx<'_>, subject: &[u8], count: Count) -> Result<(), Error> {
    let sql = "UPDATE guesses SET failures = $1, last_failed_at = $2 WHERE subject = $3";
    tx.execute(sql, &[count.failures.into(), count.last_failed_at.into(), subject.into()])?;
    Ok(())
}

/// Replaces a count if it is still the one that was seen. Says whether it was.
pub(crate) fn replace(tx: &mut Tx<'_>, subject: &[u8], seen: Count, new: Count) -> Result<bool, Error> {
    let sql = "UPDATE guesses SET failures = $1, last_failed_at = $2
        WHERE subject = $3 AND failures = $4 AND last_failed_at = $5";
    let values = [
        new.failures.into(),
        new.last_failed_at.into(),
        subject.into(),
        seen.failures.into(),
        seen.last_failed_at.into(),
    ];
    Ok(tx.execute(sql, &values)? == 1)
}

/// Whether an account has logged in from a network since `since`.
pub(crate) fn is_known(
    tx: &mut Tx<'_>,
    account: AccountId,
    network: &str,
    since: Timestamp,
) -> Result<bool, Error> {
    let sql = "SELECT 1 FROM known_networks WHERE account_id = $1 AND network = $2 AND last_used_at > $3";
    Ok(tx.first(sql, &[account.0.into(), network.into(), since.into()], |_| Ok(()))?.is_some())
}

/// Notes that an account has logged in from a network.
pub(crate) fn remember(
    tx: &mut Tx<'_>,
    account: AccountId,
    network: &str,
    now: Timestamp,
) -> Result<(), Error> {
    let sql = "INSERT INTO known_networks (account_id, network, last_used_at) VALUES ($1, $2, $3)
        ON CONFLICT (account_id, network) DO UPDATE SET last_used_at = excluded.last_used_at";
    tx.execute(sql, &[account.0.into(), network.into(), now.into()])?;
    Ok(())
}

/// Forgets all but `network` and the `others` that an account used last.
pub(crate) fn forget_oldest(
    tx: &mut Tx<'_>,
    account: AccountId,
    network: &str,
    others: i64,
) -> Result<(), Error> {
    let sql = "DELETE FROM known_networks WHERE account_id = $1 AND network <> $2 AND network NOT IN
        (SELECT network FROM known_networks WHERE account_id = $1 AND network <> $2
            ORDER BY last_used_at DESC, network LIMIT $3)";
    tx.execute(sql, &[account.0.into(), network.into(), others.into()])?;
    Ok(())
}

/// Forgets the networks that an account knows, but for one.
pub(crate) fn forget_but(tx: &mut Tx<'_>, account: AccountId, network: &str) -> Result<(), Error> {
    let sql = "DELETE FROM known_networks WHERE account_id = $1 AND network <> $2";
    tx.execute(sql, &[account.0.into(), network.into()])?;
    Ok(())
}

/// Deletes up to `limit` counts that rest since before `before`.
pub(crate) fn sweep(tx: &mut Tx<'_>, before: Timestamp, limit: i64) -> Result<usize, Error> {
    let sql = "DELETE FROM guesses WHERE subject IN
        (SELECT subject FROM guesses WHERE last_failed_at <= $1 LIMIT $2) AND last_failed_at <= $1";
    tx.execute(sql, &[before.into(), limit.into()])
}

/// Deletes up to `limit` networks that were not used since before `before`.
pub(crate) fn sweep_networks(tx: &mut Tx<'_>, before: Timestamp, limit: i64) -> Result<usize, Error> {
    let sql = "DELETE FROM known_networks WHERE (account_id, network) IN
        (SELECT account_id, network FROM known_networks WHERE last_used_at <= $1 LIMIT $2)
        AND last_used_at <= $1";
    tx.execute(sql, &[before.into(), limit.into()])
}

fn read(row: &Row<'_>) -> Result<Count, Error> {
    Ok(Count { failures: row.get(0)?, last_failed_at: row.get(1)? })
}
