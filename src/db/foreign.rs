//! The SQLite file of another system, which may be in use: it is only read, and never held for long.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, params};
use std::path::Path;
use std::time::Duration;

/// How long another's writing is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// The longest of a cell, in bytes: several times what an account's name, address or hash may have.
pub const MOST: u32 = 8192;

/// Another system's SQLite file.
#[derive(Debug)]
pub struct ForeignFile(Connection);

/// A table of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// The names of its columns, and the types that they were declared with.
    pub columns: Vec<(String, String)>,
}

/// What a column of a row holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell {
    /// Nothing.
    Null,
    /// Text, or a number as text.
    Text(String),
    /// Bytes that are not text.
    Bytes(Vec<u8>),
    /// More than [`MOST`] bytes, which were not read.
    TooLong,
}

/// A row's number and what its columns hold.
pub type Numbered = (i64, Vec<Cell>);

impl ForeignFile {
    /// Opens a file, for reading alone.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn open(path: &Path) -> Result<Self, String> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let open = || {
            let connection = Connection::open_with_flags(path, flags)?;
            connection.busy_timeout(PATIENCE)?;
            connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
            Ok(Self(connection))
        };
        open().map_err(|error: rusqlite::Error| error.to_string())
    }

    /// Its tables; no virtual ones, whose modules may not be here.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn tables(&self) -> Result<Vec<Table>, String> {
        let read = || {
            let mut tables: Vec<Table> = Vec::new();
            let mut statement = self.0.prepare(
                "SELECT t.name, c.name, c.type FROM sqlite_schema t JOIN pragma_table_info(t.name) c
                WHERE t.type = 'table' AND t.rootpage > 0 AND t.name NOT LIKE 'sqlite!_%' ESCAPE '!'
                ORDER BY t.name, c.cid",
            )?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let (name, column): (String, (String, String)) = (row.get(0)?, (row.get(1)?, row.get(2)?));
                match tables.last_mut().filter(|table| table.name == name) {
                    Some(table) => table.columns.push(column),
                    None => tables.push(Table { name, columns: vec![column] }),
                }
            }
            Ok(tables)
        };
        read().map_err(|error: rusqlite::Error| error.to_string())
    }

    /// How many rows a table has.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn count(&self, table: &str) -> Result<u64, String> {
        let sql = format!("SELECT count(*) FROM {}", quoted(table));
        let count = self.0.query_row(&sql, [], |row| row.get::<_, i64>(0));
        count.map(i64::unsigned_abs).map_err(|error| error.to_string())
    }

    /// Whether SQLite numbers the rows of a table, as it does those of all that are not `WITHOUT ROWID`.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn is_numbered(&self, table: &str) -> Result<bool, String> {
        let sql = "SELECT wr FROM pragma_table_list WHERE schema = 'main' AND name = ?1";
        self.0.query_row(sql, [table], |row| Ok(!row.get::<_, bool>(0)?)).map_err(|error| error.to_string())
    }

    /// At most `limit` rows of a table in the order of SQLite's own numbers, from the one after `after` on.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn page(
        &self,
        table: &str,
        columns: &[String],
        after: i64,
        limit: u32,
    ) -> Result<Vec<Numbered>, String> {
        // With the table's name before it SQLite takes none of them for a text. It knows a length without reading what
        // is that long; of that nothing is read, but that it is.
        let list = columns.iter().map(|column| {
            let column = format!("t.{}", quoted(column));
            let length = format!("octet_length({column})");
            format!(", {length} > {MOST}, CASE WHEN {length} <= {MOST} THEN {column} END")
        });
        let sql = format!(
            "SELECT t._rowid_{} FROM {} t WHERE t._rowid_ > ?1 ORDER BY t._rowid_ LIMIT ?2",
            list.collect::<String>(),
            quoted(table)
        );
        let read = || {
            let mut statement = self.0.prepare_cached(&sql)?;
            let mut rows = statement.query(params![after, limit])?;
            let mut found = Vec::new();
            loop {
                let row = match rows.next() {
                    Ok(Some(row)) => row,
                    // The rows before a damaged one are whole; the next page begins with it.
                    Err(_) if !found.is_empty() => break,
                    ended => match ended? {
                        Some(row) => row,
                        None => break,
                    },
                };
                let cells = (0..columns.len()).map(|column| match row.get(2 * column + 1)? {
                    Some(true) => Ok(Cell::TooLong),
                    _ => Ok(cell(row.get_ref(2 * column + 2)?)),
                });
                found.push((row.get(0)?, cells.collect::<Result<_, rusqlite::Error>>()?));
            }
            Ok(found)
        };
        read().map_err(|error: rusqlite::Error| error.to_string())
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn cell(value: ValueRef<'_>) -> Cell {
    match value {
        ValueRef::Null => Cell::Null,
        ValueRef::Integer(number) => Cell::Text(number.to_string()),
        ValueRef::Real(number) => Cell::Text(number.to_string()),
        ValueRef::Text(bytes) => std::str::from_utf8(bytes)
            .map_or_else(|_| Cell::Bytes(bytes.to_vec()), |text| Cell::Text(text.to_owned())),
        ValueRef::Blob(bytes) => Cell::Bytes(bytes.to_vec()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    #[test]
    fn a_file_in_use_is_read_page_by_page() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users.db");
        let writer = Connection::open(&path).unwrap();
        writer
            .execute_batch(
                "PRAGMA journal_mode = WAL;
                CREATE TABLE \"a \"\"table\" (id INTEGER PRIMARY KEY, \"select\" VARCHAR(9), more BLOB, real REAL);
                INSERT INTO \"a \"\"table\" VALUES (3, 'x', x'61', 0.5), (5, NULL, x'ff', NULL), (9, 'z', 7, NULL);
                BEGIN IMMEDIATE",
            )
            .unwrap();
        let file = ForeignFile::open(&path).unwrap();
        let columns = [("id", "INTEGER"), ("select", "VARCHAR(9)"), ("more", "BLOB"), ("real", "REAL")];
        let columns = columns.map(|(name, declared)| (name.to_owned(), declared.to_owned())).to_vec();
        assert_eq!(file.tables().unwrap(), [Table { name: "a \"table".to_owned(), columns }]);
        assert_eq!(file.count("a \"table"), Ok(3));
        let wanted = ["select", "more", "real"].map(str::to_owned);
        let text = |text: &str| Cell::Text(text.to_owned());
        let first = [
            (3, vec![text("x"), Cell::Bytes(b"a".to_vec()), text("0.5")]),
            (5, vec![Cell::Null, Cell::Bytes(vec![255]), Cell::Null]),
        ];
        assert_eq!(file.page("a \"table", &wanted, 0, 2).unwrap(), first);
        assert_eq!(
            file.page("a \"table", &wanted, 5, 2).unwrap(),
            [(9, vec![text("z"), text("7"), Cell::Null])]
        );
        assert!(file.page("a \"table", &["none".to_owned()], 0, 2).is_err());
        assert!(file.0.execute_batch("CREATE TABLE other (id)").is_err(), "it is only read");
    }

    #[test]
    fn what_is_too_long_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users.db");
        let writer = Connection::open(&path).unwrap();
        writer.execute_batch("CREATE TABLE user (id INTEGER PRIMARY KEY, a TEXT, b BLOB, c)").unwrap();
        let insert = "INSERT INTO user (a, b, c) VALUES (?1, ?2, ?3)";
        let most = MOST as usize;
        let (fits, long) = ("x".repeat(most), "x".repeat(most + 1));
        writer.execute(insert, params![fits, vec![255u8; most], 1]).unwrap();
        writer.execute(insert, params![long, vec![255u8; most + 1], 2]).unwrap();
        // Characters are not bytes.
        writer.execute(insert, params!["é".repeat(most / 2 + 1), "", 3]).unwrap();
        writer.execute_batch("INSERT INTO user (a, b, c) VALUES ('y', zeroblob(100000000), 4)").unwrap();
        let file = ForeignFile::open(&path).unwrap();
        let wanted = ["a", "b", "c"].map(str::to_owned);
        let text = |text: &str| Cell::Text(text.to_owned());
        let rows: Vec<Vec<Cell>> =
            file.page("user", &wanted, 0, 9).unwrap().into_iter().map(|(_, cells)| cells).collect();
        assert_eq!(rows[0], [text(&fits), Cell::Bytes(vec![255; most]), text("1")]);
        assert_eq!(rows[1], [Cell::TooLong, Cell::TooLong, text("2")]);
        assert_eq!(rows[2], [Cell::TooLong, text(""), text("3")]);
        assert_eq!(rows[3], [text("y"), Cell::TooLong, text("4")]);
    }

    #[test]
    fn rows_before_a_damaged_page_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users.db");
        let writer = Connection::open(&path).unwrap();
        writer
            .execute_batch("PRAGMA page_size = 512; CREATE TABLE user (id INTEGER PRIMARY KEY, a TEXT)")
            .unwrap();
        for number in 1..=100 {
            writer.execute("INSERT INTO user VALUES (?1, ?2)", params![number, "x".repeat(100)]).unwrap();
        }
        drop(writer);
        let mut bytes = std::fs::read(&path).unwrap();
        let end = bytes.len() - 512;
        bytes[end..].fill(0xff);
        std::fs::write(&path, bytes).unwrap();
        let file = ForeignFile::open(&path).unwrap();
        let read = file.page("user", &["a".to_owned()], 0, 200).unwrap();
        let last = read.last().unwrap().0;
        assert!((90..100).contains(&last) && read.len() as i64 == last, "{last}");
        assert!(file.page("user", &["a".to_owned()], last, 200).unwrap_err().contains("malformed"));
    }

    #[test]
    fn a_virtual_table_whose_module_is_not_here_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users.db");
        let writer = Connection::open(&path).unwrap();
        writer
            .execute_batch(
                "CREATE TABLE user (id INTEGER PRIMARY KEY, email TEXT);
                PRAGMA writable_schema = ON;
                INSERT INTO sqlite_schema (type, name, tbl_name, rootpage, sql)
                VALUES ('table', 'found', 'found', 0, 'CREATE VIRTUAL TABLE found USING absent(title)')",
            )
            .unwrap();
        drop(writer);
        let file = ForeignFile::open(&path).unwrap();
        let names: Vec<String> = file.tables().unwrap().into_iter().map(|table| table.name).collect();
        assert_eq!((names, file.is_numbered("user")), (vec!["user".to_owned()], Ok(true)));
    }

    #[test]
    fn what_is_no_database_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users.db");
        assert!(ForeignFile::open(&path).is_err() && !path.exists());
        std::fs::write(&path, "SQLite format 3, or not".repeat(99)).unwrap();
        assert!(ForeignFile::open(&path).is_err());
    }
}
