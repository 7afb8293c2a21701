//! What statuses need of `sessions` and `counters`.

use super::Ended;
use crate::base::time::Timestamp;
use crate::db::{Error, Tx};

const COUNTER: &str = "status_index";

/// The number of the last end. Whoever sees it sees all before it.
pub(crate) fn last_end(tx: &mut Tx<'_>) -> Result<i64, Error> {
    next(tx, "session_end")
}

/// The ends after number `last` of sessions that may still have live access tokens.
pub(crate) fn ended_after(tx: &mut Tx<'_>, last: i64, now: Timestamp) -> Result<Vec<Ended>, Error> {
    let sql = "SELECT id, status_index, access_expires_at FROM sessions
        WHERE end_number IS NOT NULL AND end_number > $1 AND access_expires_at > $2";
    tx.all(sql, &[last.into(), now.into()], Ended::read)
}

/// The next index that nobody has taken.
pub(crate) fn allocated(tx: &mut Tx<'_>) -> Result<u64, Error> {
    index(next(tx, COUNTER)?)
}

/// What a counter stands at.
fn next(tx: &mut Tx<'_>, counter: &str) -> Result<i64, Error> {
    let sql = "SELECT next FROM counters WHERE name = $1";
    Ok(tx.first(sql, &[counter.into()], |row| row.get(0))?.unwrap_or(0))
}

/// Takes `count` indices; gives the first after them.
pub(crate) fn reserve(tx: &mut Tx<'_>, count: i64) -> Result<Option<u64>, Error> {
    let sql = "UPDATE counters SET next = next + $1 WHERE name = $2 RETURNING next";
    tx.first(sql, &[count.into(), COUNTER.into()], |row| index(row.get(0)?))
}

fn index(number: i64) -> Result<u64, Error> {
    u64::try_from(number).map_err(|_| Error::Corrupt("a status index is negative".into()))
}
