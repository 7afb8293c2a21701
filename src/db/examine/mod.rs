//! A look at a database that nothing else may open: what schema it has, and how its engine is set up.

mod postgres;
mod sqlite;

use super::{Db, Engine, Error, Place, migrate};
use crate::base::time::Timestamp;
use std::path::Path;
use std::time::Duration;

/// How long a look at a server may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(4);

/// How a database's schema stands to that of this program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Schema {
    /// It is the same.
    Current,
    /// There is none of ours.
    Missing,
    /// It has so many steps, and this program one more at least.
    Older(usize),
    /// It has so many steps, of which this program does not know the last.
    Newer(usize),
    /// This step is another than the one that this program would make.
    Changed(String),
    /// It is half a copy of this database.
    HalfCopied(String),
    /// This backup is not restored to its end.
    HalfRestored(String),
}

/// How an engine is set up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Setup {
    /// SQLite's file.
    Sqlite {
        /// `wal`, but where somebody has changed it.
        journal_mode: String,
    },
    /// A server.
    Postgres(Box<Server>),
}

/// How a PostgreSQL server is set up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// `server_version_num`: 150006 is 15.6.
    pub version: i64,
    /// The time that its clock showed.
    pub clock: Timestamp,
    /// Between which times of ours that was.
    pub asked: (Timestamp, Timestamp),
    /// Whether it is a standby.
    pub is_standby: bool,
    /// Whether the connection is encrypted.
    pub is_encrypted: bool,
    /// `fsync`.
    pub fsync: bool,
    /// `full_page_writes`.
    pub full_page_writes: bool,
    /// `synchronous_commit`.
    pub synchronous_commit: String,
    /// How many connections it takes from those who are no administrators.
    pub most_connections: i64,
    /// How many it has.
    pub connections: i64,
    /// How many of these are of servers of ours on this database.
    pub own_connections: i64,
}

impl Db {
    /// Opens an existing database whatever its schema, to look at it. `alone` says that no server has it: then not
    /// even SQLite's side files are made.
    ///
    /// # Errors
    /// If it cannot be reached.
    pub fn open_to_look<'a>(place: impl Into<Place<'a>>, alone: bool) -> Result<Self, Error> {
        let Place { data_dir, server } = place.into();
        let engine = match server {
            None => Engine::Sqlite(super::sqlite::Sqlite::open_to_look(data_dir, alone)?),
            Some(url) => Engine::Postgres(super::postgres::Postgres::open_to_look(url, PATIENCE)?),
        };
        Ok(Self::uncounted(engine))
    }

    /// How its schema stands to that of this program.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn schema(&self) -> Result<Schema, Error> {
        match self.read(migrate::standing).await {
            Err(Error::Statement(why)) if why.contains("schema_history") => Ok(Schema::Missing),
            standing => standing,
        }
    }

    /// How its engine is set up; `now` tells the time.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn setup(&self, now: impl Fn() -> Timestamp) -> Result<Setup, Error> {
        match &self.engine {
            Engine::Sqlite(_) => self.read_once(sqlite::setup).await,
            Engine::Postgres(_) => {
                // The first statement connects, which takes its time; it is not the one that asks for the time.
                let rest = self.read(postgres::setup).await?;
                let asked = now();
                let clock = self.read(postgres::clock).await?;
                Ok(Setup::Postgres(Box::new(Server { clock, asked: (asked, now()), ..rest })))
            }
        }
    }

    /// What SQLite finds wrong with its file; a server looks after its files itself.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub async fn faults_of_file(&self) -> Result<Option<Vec<String>>, Error> {
        match &self.engine {
            Engine::Sqlite(_) => match self.read_once(sqlite::faults).await {
                // It is damaged where the check begins.
                Err(Error::Corrupt(why)) => Ok(Some(vec![why])),
                faults => faults.map(Some),
            },
            Engine::Postgres(_) => Ok(None),
        }
    }
}

/// What the process that has a data folder wrote of itself, its number, if one has it.
///
/// # Errors
/// If this user may not look.
pub fn holder(data_dir: &Path) -> Result<Option<String>, Error> {
    super::folder::holder(data_dir)
}

/// How many connections a server of ours holds to PostgreSQL on this machine.
pub fn pool_size() -> usize {
    super::postgres::pool_size()
}
