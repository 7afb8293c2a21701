//! The database itself, opened beside the server as an operator or an attacker would, on either engine.
//!
//! It is called as rusqlite is. Of SQLite's own words PostgreSQL understands `?1` here, and those that
//! `postgres.rs` teaches it.

use super::postgres::{note_statements, settings, url_of, with_client};
use claviger::base::time::Timestamp;
use claviger::db::{Db, Value};
use rusqlite::params_from_iter;
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;
use tokio_postgres::types::{FromSqlOwned, ToSql};
use uuid::Uuid;

/// A database, for reading and writing.
pub enum Database {
    Sqlite(rusqlite::Connection),
    Postgres(String),
}

/// Why a statement failed.
#[derive(Debug, PartialEq, Eq)]
pub struct Failed(String);

impl From<rusqlite::Error> for Failed {
    fn from(error: rusqlite::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<tokio_postgres::Error> for Failed {
    fn from(error: tokio_postgres::Error) -> Self {
        Self(format!("{error:?}"))
    }
}

/// The database of a data folder.
pub fn database(data_dir: &Path) -> Database {
    match url_of(data_dir) {
        Some(url) => Database::Postgres(url),
        None => {
            let connection = rusqlite::Connection::open(data_dir.join("claviger.db")).unwrap();
            connection.busy_timeout(Duration::from_secs(5)).unwrap();
            Database::Sqlite(connection)
        }
    }
}

/// The same through the server's own seam.
pub fn open_db(data_dir: &Path, now: Timestamp) -> Db {
    note_statements();
    Db::open(&settings(data_dir, url_of(data_dir).as_deref()), now).unwrap()
}

/// A new one, with the folder that it is of.
pub fn new_db() -> (TempDir, Db) {
    let folder = tempfile::tempdir().unwrap();
    let db = open_db(folder.path(), Timestamp::from_seconds(0));
    (folder, db)
}

/// The database at a URL, opened as a server with this data folder would.
pub fn open_at(data_dir: &Path, url: &str, now: Timestamp) -> Result<Db, claviger::db::Error> {
    Db::open(&settings(data_dir, Some(url)), now)
}

/// All that is stored of a data folder: the bytes of each of SQLite's files, or of each of PostgreSQL's tables.
pub fn stored(data_dir: &Path) -> Vec<(String, Vec<u8>)> {
    let database = database(data_dir);
    if let Database::Sqlite(_) = database {
        let files = std::fs::read_dir(data_dir).unwrap().map(|entry| entry.unwrap().path());
        let named = files.map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), path));
        let of_database = named.filter(|(name, _)| name.contains("claviger.db"));
        return of_database.map(|(name, path)| (name, std::fs::read(path).unwrap())).collect();
    }
    let tables = "SELECT table_name::text FROM information_schema.tables WHERE table_schema = 'public'";
    let tables: Vec<String> = database.query(tables, [], |row| row.get(0)).unwrap();
    let rows = |table: &String| {
        database.query(&format!("SELECT * FROM {table}"), [], |row| Ok(row.bytes())).unwrap().concat()
    };
    tables.iter().map(|table| (table.clone(), rows(table))).collect()
}

/// How many rows a table has.
pub fn count(database: &Database, table: &str) -> i64 {
    database.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
}

impl Database {
    /// Has PostgreSQL do `body` at each commit that changed the counters.
    pub fn at_commit(&self, body: &str) {
        let sql = format!(
            "CREATE SEQUENCE commits;
            CREATE FUNCTION at_commit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} RETURN NULL; END $$;
            CREATE CONSTRAINT TRIGGER at_commit AFTER UPDATE ON counters DEFERRABLE INITIALLY DEFERRED
                FOR EACH ROW EXECUTE FUNCTION at_commit()"
        );
        self.execute_batch(&sql).unwrap();
    }

    /// Ends the connections of servers to PostgreSQL; how many there were.
    pub fn cut_servers(&self) -> i64 {
        let sql = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
            WHERE application_name = 'claviger' AND datname = current_database()";
        self.query_row(sql, [], |row| row.get(0)).unwrap()
    }

    /// Runs a statement; how many rows it changed.
    pub fn execute(&self, sql: &str, values: impl Values) -> Result<usize, Failed> {
        let values = values.values();
        let values: Vec<Value<'_>> = values.iter().map(Given::as_value).collect();
        match self {
            Self::Sqlite(connection) => Ok(connection.execute(sql, params_from_iter(values))?),
            Self::Postgres(url) => with_client(url, async |client| {
                let changed = client.execute(&translated(sql), &parameters(&values)).await?;
                Ok(usize::try_from(changed).unwrap())
            }),
        }
    }

    /// A statement, for later.
    pub fn prepare(&self, sql: &str) -> Result<Prepared<'_>, Failed> {
        Ok(Prepared { database: self, sql: sql.to_owned() })
    }

    /// Runs several statements.
    pub fn execute_batch(&self, sql: &str) -> Result<(), Failed> {
        match self {
            Self::Sqlite(connection) => Ok(connection.execute_batch(sql)?),
            Self::Postgres(url) => with_client(url, async |client| Ok(client.batch_execute(sql).await?)),
        }
    }

    /// The first row of an answer.
    pub fn query_row<T>(
        &self,
        sql: &str,
        values: impl Values,
        read: impl FnMut(&Row<'_>) -> Result<T, Failed>,
    ) -> Result<T, Failed> {
        let rows = self.query(sql, values, read)?;
        rows.into_iter().next().ok_or_else(|| Failed("no row".into()))
    }

    /// All rows of an answer.
    pub fn query<T>(
        &self,
        sql: &str,
        values: impl Values,
        mut read: impl FnMut(&Row<'_>) -> Result<T, Failed>,
    ) -> Result<Vec<T>, Failed> {
        let values = values.values();
        let values: Vec<Value<'_>> = values.iter().map(Given::as_value).collect();
        match self {
            Self::Sqlite(connection) => {
                let mut statement = connection.prepare(sql)?;
                let mut rows = statement.query(params_from_iter(values))?;
                let mut out = Vec::new();
                while let Some(row) = rows.next()? {
                    out.push(read(&Row::Sqlite(row))?);
                }
                Ok(out)
            }
            Self::Postgres(url) => {
                let rows = with_client(url, async |client| {
                    client.query(&translated(sql), &parameters(&values)).await
                })?;
                rows.iter().map(|row| read(&Row::Postgres(row))).collect()
            }
        }
    }
}

/// A statement to be run.
pub struct Prepared<'a> {
    database: &'a Database,
    sql: String,
}

impl Prepared<'_> {
    /// All rows of an answer, each read by `read`.
    pub fn query_map<T>(
        &mut self,
        values: impl Values,
        read: impl FnMut(&Row<'_>) -> Result<T, Failed>,
    ) -> Result<impl Iterator<Item = Result<T, Failed>>, Failed> {
        Ok(self.database.query(&self.sql, values, read)?.into_iter().map(Ok))
    }
}

/// One row of an answer.
pub enum Row<'a> {
    Sqlite(&'a rusqlite::Row<'a>),
    Postgres(&'a tokio_postgres::Row),
}

impl Row<'_> {
    /// A column. Its index is generic as rusqlite's is.
    pub fn get<I, T>(&self, index: I) -> Result<T, Failed>
    where
        I: Into<u8>,
        T: rusqlite::types::FromSql + FromSqlOwned,
    {
        let index = usize::from(index.into());
        match self {
            Self::Sqlite(row) => Ok(row.get(index)?),
            Self::Postgres(row) => Ok(row.try_get(index)?),
        }
    }

    /// The bytes of all columns that hold text, bytes or an identifier.
    pub fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Sqlite(row) => {
                let bytes = |column| match row.get_ref(column).unwrap() {
                    rusqlite::types::ValueRef::Text(bytes) | rusqlite::types::ValueRef::Blob(bytes) => {
                        bytes.to_vec()
                    }
                    _ => Vec::new(),
                };
                (0..row.as_ref().column_count()).flat_map(bytes).collect()
            }
            Self::Postgres(row) => (0..row.len())
                .flat_map(|column| row.get::<_, Option<Raw>>(column).unwrap_or_default().0)
                .collect(),
        }
    }
}

/// What came over the wire.
#[derive(Default)]
struct Raw(Vec<u8>);

impl tokio_postgres::types::FromSql<'_> for Raw {
    fn from_sql(
        _: &tokio_postgres::types::Type,
        raw: &[u8],
    ) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(raw.to_vec()))
    }

    fn accepts(_: &tokio_postgres::types::Type) -> bool {
        true
    }
}

fn translated(sql: &str) -> String {
    sql.replace('?', "$")
}

fn parameters<'a>(values: &'a [Value<'_>]) -> Vec<&'a (dyn ToSql + Sync)> {
    values.iter().map(|value| value as &(dyn ToSql + Sync)).collect()
}

/// A value, held for as long as a statement runs.
pub enum Given {
    Text(String),
    Bytes(Vec<u8>),
    Int(i64),
    Uuid(Uuid),
}

impl Given {
    fn as_value(&self) -> Value<'_> {
        match self {
            Self::Text(text) => text.as_str().into(),
            Self::Bytes(bytes) => bytes.as_slice().into(),
            Self::Int(number) => (*number).into(),
            Self::Uuid(id) => (*id).into(),
        }
    }
}

impl From<&str> for Given {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<&String> for Given {
    fn from(text: &String) -> Self {
        Self::Text(text.clone())
    }
}

impl From<String> for Given {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&[u8]> for Given {
    fn from(bytes: &[u8]) -> Self {
        Self::Bytes(bytes.to_vec())
    }
}

impl From<Vec<u8>> for Given {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<i64> for Given {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<Uuid> for Given {
    fn from(id: Uuid) -> Self {
        Self::Uuid(id)
    }
}

/// The values of a statement: an array or a pair.
pub trait Values {
    fn values(self) -> Vec<Given>;
}

/// For `[]` to have a type.
impl Values for [&dyn Send; 0] {
    fn values(self) -> Vec<Given> {
        Vec::new()
    }
}

impl<T: Into<Given>> Values for [T; 1] {
    fn values(self) -> Vec<Given> {
        self.map(Into::into).into()
    }
}

impl<T: Into<Given>> Values for [T; 2] {
    fn values(self) -> Vec<Given> {
        self.map(Into::into).into()
    }
}

impl<A: Into<Given>, B: Into<Given>> Values for (A, B) {
    fn values(self) -> Vec<Given> {
        vec![self.0.into(), self.1.into()]
    }
}
