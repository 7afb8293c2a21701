//! The few rows that the doctor looks at, each found by an index or within a bound.

use crate::base::time::Timestamp;
use crate::db::{Error, Row, Tx};

/// How many of the latest sessions are looked at.
const LATEST: i64 = 10_000;

/// The latest moments, and what they are of. Ids begin with their time, so the last one is of the latest; a session that
/// was used when the clock was ahead ends late.
pub(super) fn latest(tx: &mut Tx<'_>) -> Result<Vec<(&'static str, Timestamp)>, Error> {
    let mut found = Vec::new();
    let mut note = |of, at: Option<Option<Timestamp>>| found.extend(at.flatten().map(|at| (of, at)));
    let sql = "SELECT happened_at FROM audit_events ORDER BY id DESC LIMIT 1";
    note("the newest audit event", tx.first(sql, &[], |row| row.get(0))?);
    let moments = |row: &Row<'_>| Ok([row.get(0)?, row.get(1)?]);
    let sql = "SELECT MAX(created_at), MAX(last_used_at)
        FROM (SELECT created_at, last_used_at FROM sessions ORDER BY id DESC LIMIT $1) AS latest";
    let newest: Option<[Option<Timestamp>; 2]> = tx.first(sql, &[LATEST.into()], moments)?;
    let sql = "SELECT MAX(created_at), MAX(last_used_at)
        FROM (SELECT created_at, last_used_at FROM sessions ORDER BY expires_at DESC LIMIT $1) AS latest";
    let longest: Option<[Option<Timestamp>; 2]> = tx.first(sql, &[LATEST.into()], moments)?;
    for [created, used] in [newest, longest].into_iter().flatten() {
        note("the newest session", Some(created));
        note("the last use of a session", Some(used));
    }
    let sql = "SELECT MAX(last_failed_at) FROM guesses";
    note("the last wrong password", tx.first(sql, &[], |row| row.get(0))?);
    let sql = "SELECT MAX(last_used_at) FROM known_networks";
    note("the last login", tx.first(sql, &[], |row| row.get(0))?);
    let sql = "SELECT MAX(created_at) FROM signing_keys";
    note("the newest signing key", tx.first(sql, &[], |row| row.get(0))?);
    Ok(found)
}

/// How many sessions there are, up to `most`.
pub(super) fn sessions(tx: &mut Tx<'_>, most: i64) -> Result<i64, Error> {
    let sql = "SELECT COUNT(*) FROM (SELECT 1 AS one FROM sessions LIMIT $1) AS counted";
    Ok(tx.first(sql, &[most.into()], |row| row.get(0))?.unwrap_or(0))
}

/// Where the newest sessions were opened from.
pub(super) fn addresses(tx: &mut Tx<'_>, most: i64) -> Result<Vec<Option<String>>, Error> {
    let sql = "SELECT address FROM sessions ORDER BY id DESC LIMIT $1";
    tx.all(sql, &[most.into()], |row| row.get(0))
}
