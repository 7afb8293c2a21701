//! The database file, opened beside the server as an operator or an attacker would.

use rusqlite::Connection;
use std::path::Path;
use std::time::Duration;

/// The database of a data folder, for reading and writing.
pub fn database(data_dir: &Path) -> Connection {
    let connection = Connection::open(data_dir.join("claviger.db")).unwrap();
    connection.busy_timeout(Duration::from_secs(5)).unwrap();
    connection
}

/// How many rows a table has.
pub fn count(database: &Connection, table: &str) -> i64 {
    database.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
}
