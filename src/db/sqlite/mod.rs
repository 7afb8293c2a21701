//! SQLite: one writer thread that commits in groups, readers in place.
//!
//! WAL with `synchronous=FULL`: each commit is synced before its callers are answered. A reader runs on the caller's
//! thread: a point read takes microseconds, less than handing it to another thread would.

mod values;
mod writer;

pub(super) use values::cell;

use super::tx::On;
use super::{Error, Expect, Tx, folder, migrate};
use crate::base::time::Timestamp;
use crate::metrics::Metrics;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};
use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use writer::Writer;

const FILE: &str = "claviger.db";

/// What migrations' words mean here.
pub(super) const WORDS: &[(&str, &str)] = &[
    ("@uuid", "BLOB"),
    ("@bytes", "BLOB"),
    ("@time", "INTEGER"),
    ("@int", "INTEGER"),
    ("@json", "TEXT"),
    ("@options", "STRICT, WITHOUT ROWID"),
];

/// Readers are dropped before the writer: the last connection to close tidies the files up.
#[derive(Clone)]
pub(super) struct Sqlite {
    readers: Arc<Readers>,
    /// `None` where the database was opened for reading only.
    writer: Option<Arc<Writer>>,
}

struct Readers {
    path: PathBuf,
    access: OpenFlags,
    idle: Mutex<Vec<Connection>>,
    /// Of the folder, where it is kept from servers while it is read.
    _lock: Option<File>,
}

impl fmt::Debug for Sqlite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sqlite({})", self.readers.path.display())
    }
}

impl Sqlite {
    pub(super) fn open(data_dir: &Path, now: Timestamp, metrics: &Arc<Metrics>) -> Result<Self, Error> {
        Ok(Self::open_by(data_dir, folder::FOR_A_SERVER, metrics, |tx| migrate::run(tx, now))?.0)
    }

    /// Takes the folder and lets `first` have a look at the database before anything else; what it returns comes
    /// back. `mend` says what to do where another has the folder.
    pub(super) fn open_by<T>(
        data_dir: &Path,
        mend: &str,
        metrics: &Arc<Metrics>,
        first: impl FnOnce(&mut Tx<'_>) -> Result<T, Error>,
    ) -> Result<(Self, T), Error> {
        folder::prepare(data_dir)?;
        let lock = folder::lock(data_dir, mend)?;
        let path = data_dir.join(FILE);
        make_private(&path)?;
        let mut connection = connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        connection.pragma_update(None, "journal_mode", "wal")?;
        connection.pragma_update(None, "synchronous", "full")?;
        let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let found = first(&mut Tx(On::Sqlite(&tx)))?;
        tx.commit()?;
        Ok((Self::with_writer(path, connection, Some(lock), metrics)?, found))
    }

    /// SQLite's own locks keep the two writers apart; the folder stays the server's.
    pub(super) fn open_beside(data_dir: &Path, expect: Expect) -> Result<Self, Error> {
        let path = data_dir.join(FILE);
        let connection = connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        connection.pragma_update(None, "synchronous", "full")?;
        // An import changes thousands of pages at once: each is read once and written once then. In KiB.
        connection.pragma_update(None, "cache_size", -65536)?;
        expect(&mut Tx(On::Sqlite(&connection)))?;
        Self::with_writer(path, connection, None, &Arc::default())
    }

    fn with_writer(
        path: PathBuf,
        connection: Connection,
        lock: Option<File>,
        metrics: &Arc<Metrics>,
    ) -> Result<Self, Error> {
        let writer = Writer::start(connection, lock, metrics.clone())?;
        let access = OpenFlags::SQLITE_OPEN_READ_ONLY;
        let readers = Readers { path, access, idle: Mutex::default(), _lock: None };
        Ok(Self { readers: Arc::new(readers), writer: Some(Arc::new(writer)) })
    }

    pub(super) fn open_read_only(data_dir: &Path) -> Result<Self, Error> {
        Self::with_readers(data_dir, None)
    }

    /// For reading while no server may have it.
    pub(super) fn open_alone(data_dir: &Path) -> Result<Self, Error> {
        // Nothing is made in a folder that was named by mistake.
        let path = data_dir.join(FILE);
        if !path.is_file() {
            return Err(Error::Refused(format!("there is no {}", path.display())));
        }
        Self::with_readers(data_dir, Some(folder::lock(data_dir, folder::FOR_A_COPY)?))
    }

    fn with_readers(data_dir: &Path, lock: Option<File>) -> Result<Self, Error> {
        let reader = Self::reading(data_dir.join(FILE), OpenFlags::SQLITE_OPEN_READ_ONLY, lock)?;
        reader.read_once(migrate::expect_current)?;
        Ok(reader)
    }

    /// Whatever its schema. Where `alone`, the file is taken as one that nobody changes, and no side files are made,
    /// unless there is a WAL that has to be read too.
    pub(super) fn open_to_look(data_dir: &Path, alone: bool) -> Result<Self, Error> {
        let path = data_dir.join(FILE);
        if !path.is_file() {
            return Err(Error::Refused(format!("there is no {}", path.display())));
        }
        let wal = data_dir.join(format!("{FILE}-wal")).metadata();
        if !alone || wal.is_ok_and(|wal| wal.len() > 0) {
            return Self::reading(path, OpenFlags::SQLITE_OPEN_READ_ONLY, None);
        }
        let path = std::path::absolute(&path).map_err(|error| Error::Unavailable(error.to_string()))?;
        let mut url = url::Url::from_file_path(&path)
            .map_err(|()| Error::Unavailable(format!("{} has no URL", path.display())))?;
        url.set_query(Some("immutable=1"));
        let access = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
        Self::reading(PathBuf::from(url.as_str()), access, None)
    }

    fn reading(path: PathBuf, access: OpenFlags, lock: Option<File>) -> Result<Self, Error> {
        let first = connect(&path, access)?;
        let readers = Readers { path, access, idle: Mutex::new(vec![first]), _lock: lock };
        Ok(Self { readers: Arc::new(readers), writer: None })
    }

    pub(super) async fn write<T, E, F>(&self, patience: Duration, work: F) -> Result<T, E>
    where
        F: FnMut(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let read_only = || Error::Unavailable("it was opened for reading".to_owned());
        self.writer.as_ref().ok_or_else(read_only)?.write(patience, work).await
    }

    pub(super) fn read<T, E: From<Error>>(
        &self,
        mut work: impl FnMut(&mut Tx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let connection = self.readers.take()?;
        let result = in_snapshot(&connection, &mut work);
        self.readers.give_back(connection);
        result
    }

    pub(super) fn read_once<T, E: From<Error>>(
        &self,
        mut work: impl FnMut(&mut Tx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let connection = self.readers.take()?;
        let result = work(&mut Tx(On::Sqlite(&connection)));
        self.readers.give_back(connection);
        result
    }
}

impl Readers {
    /// An idle connection or a new one. No more are open than threads read at once.
    fn take(&self) -> Result<Connection, Error> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        idle.map_or_else(|| connect(&self.path, self.access), Ok)
    }

    fn give_back(&self, connection: Connection) {
        // A connection still inside a transaction would show its next user old data.
        if connection.is_autocommit() {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        }
    }
}

fn in_snapshot<T, E: From<Error>>(
    connection: &Connection,
    work: &mut impl FnMut(&mut Tx<'_>) -> Result<T, E>,
) -> Result<T, E> {
    run(connection, "BEGIN")?;
    let result = work(&mut Tx(On::Sqlite(connection)));
    run(connection, "COMMIT")?;
    result
}

fn run(connection: &Connection, sql: &str) -> Result<(), Error> {
    connection.prepare_cached(sql)?.execute([])?;
    Ok(())
}

fn connect(path: &Path, access: OpenFlags) -> Result<Connection, Error> {
    let connection = Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(Duration::from_secs(2))?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // What is deleted is overwritten: a deleted account's data does not linger in free pages.
    connection.pragma_update(None, "secure_delete", true)?;
    connection.set_prepared_statement_cache_capacity(128);
    // Otherwise statements are planned anew for other values, which takes longer than to run them.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(connection)
}

/// Makes the database file readable by its owner alone; SQLite gives its side files the same mode.
fn make_private(path: &Path) -> Result<(), Error> {
    use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
    let mut options = std::fs::OpenOptions::new();
    let file = options.create(true).append(true).mode(0o600).open(path);
    file.and_then(|file| file.set_permissions(std::fs::Permissions::from_mode(0o600)))
        .map_err(|error| Error::Unavailable(format!("{}: {error}", path.display())))
}
