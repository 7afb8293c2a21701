//! What a PostgreSQL server says of itself. Nothing here needs more rights than connecting does.

use super::Server;
use crate::base::time::Timestamp;
use crate::db::{Error, Tx};

const SETUP: &str = "SELECT
    current_setting('server_version_num')::bigint,
    pg_is_in_recovery(),
    coalesce((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false),
    current_setting('fsync') = 'on',
    current_setting('full_page_writes') = 'on',
    current_setting('synchronous_commit'),
    current_setting('max_connections')::bigint - current_setting('superuser_reserved_connections')::bigint,
    (SELECT count(*) FROM pg_stat_activity WHERE datname IS NOT NULL),
    (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'claviger')";

/// All but the clock.
pub(super) fn setup(tx: &mut Tx<'_>) -> Result<Server, Error> {
    let is = |number: i64| number != 0;
    let server = tx.first(SETUP, &[], |row| {
        Ok(Server {
            version: row.get(0)?,
            clock: Timestamp::MIN,
            asked: (Timestamp::MIN, Timestamp::MIN),
            is_standby: is(row.get(1)?),
            is_encrypted: is(row.get(2)?),
            fsync: is(row.get(3)?),
            full_page_writes: is(row.get(4)?),
            synchronous_commit: row.get(5)?,
            most_connections: row.get(6)?,
            connections: row.get(7)?,
            own_connections: row.get(8)?,
        })
    })?;
    server.ok_or_else(nothing)
}

/// What its clock shows.
pub(super) fn clock(tx: &mut Tx<'_>) -> Result<Timestamp, Error> {
    let micros = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint";
    tx.first(micros, &[], |row| row.get(0))?.ok_or_else(nothing)
}

fn nothing() -> Error {
    Error::Corrupt("the server says nothing of itself".into())
}
