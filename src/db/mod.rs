//! The thin seam over the database: one SQL text for every engine.
//!
//! A transaction is a synchronous closure that runs where the connection lives. It may be run again,
//! so it has no effect but its SQL. What [`Db::write`] has answered is on the disk.

pub mod copy;
mod error;
pub mod examine;
mod folder;
pub mod foreign;
mod migrate;
#[cfg(debug_assertions)]
mod noted;
mod place;
mod postgres;
mod sqlite;
mod tx;
mod value;

pub use error::Error;
pub use folder::{give_to_owner as give_folder_to_owner, prepare as prepare_folder};
pub use migrate::{digest_of as schema_digest, known as schema, newest as newest_schema};
#[cfg(debug_assertions)]
pub use noted::note_statements;
pub use place::Place;
pub use tx::{Lock, Tx};
pub use value::{Cell, Column, Row, Value};

use crate::metrics::labels::Operation;
use crate::metrics::{Id, Metrics};
use crate::traces::{self, Doing, What};
use std::sync::Arc;
use std::time::Duration;

/// A handle on the database; cheap to clone.
#[derive(Clone, Debug)]
pub struct Db {
    engine: Engine,
    metrics: Arc<Metrics>,
}

/// What is asked of the schema of a database that is opened.
type Expect = fn(&mut Tx<'_>) -> Result<(), Error>;

#[derive(Clone, Debug)]
enum Engine {
    Sqlite(sqlite::Sqlite),
    Postgres(postgres::Postgres),
}

impl Db {
    /// Opens the database, or makes it, and brings its schema up to date.
    ///
    /// # Errors
    /// If it cannot be reached or written, another server holds its folder, or its schema is newer than this
    /// program.
    pub fn open<'a>(place: impl Into<Place<'a>>, now: crate::base::time::Timestamp) -> Result<Self, Error> {
        Self::open_counted(place, now, Arc::default())
    }

    /// The same, with what is counted of it.
    ///
    /// # Errors
    /// As of [`Self::open`].
    pub fn open_counted<'a>(
        place: impl Into<Place<'a>>,
        now: crate::base::time::Timestamp,
        metrics: Arc<Metrics>,
    ) -> Result<Self, Error> {
        let Place { data_dir, server } = place.into();
        let engine = match server {
            None => Engine::Sqlite(sqlite::Sqlite::open(data_dir, now, &metrics)?),
            Some(url) => {
                // The master key's. Servers may share it: nobody holds it.
                folder::prepare(data_dir)?;
                Engine::Postgres(postgres::Postgres::open(url, now, &metrics)?)
            }
        };
        Ok(Self { engine, metrics })
    }

    fn traced(&self) -> Doing {
        let engine = if self.is_remote() { "postgresql" } else { "sqlite" };
        traces::begin(What::Write { engine })
    }

    fn uncounted(engine: Engine) -> Self {
        Self { engine, metrics: Arc::default() }
    }

    /// What is counted of the server that has this database.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// Opens an existing database for reading beside a running server.
    ///
    /// # Errors
    /// If there is none, or it cannot be read.
    pub fn open_read_only<'a>(place: impl Into<Place<'a>>) -> Result<Self, Error> {
        let Place { data_dir, server } = place.into();
        let engine = match server {
            None => Engine::Sqlite(sqlite::Sqlite::open_read_only(data_dir)?),
            Some(url) => Engine::Postgres(postgres::Postgres::open_read_only(url)?),
        };
        Ok(Self::uncounted(engine))
    }

    /// Opens an existing database for changes beside a running server, as the commands of an operator do.
    ///
    /// # Errors
    /// If there is none, or its schema is not this program's.
    pub fn open_beside<'a>(place: impl Into<Place<'a>>) -> Result<Self, Error> {
        Self::beside(place.into(), migrate::expect_current)
    }

    /// The same where the schema may be an earlier one, for a backup before an upgrade. Only what was the same then may
    /// be written: the audit trail.
    ///
    /// # Errors
    /// If there is none, or its schema is none that this program knows.
    pub fn open_for_backup<'a>(place: impl Into<Place<'a>>) -> Result<Self, Error> {
        Self::beside(place.into(), migrate::expect_known)
    }

    fn beside(Place { data_dir, server }: Place<'_>, expect: Expect) -> Result<Self, Error> {
        let engine = match server {
            None => Engine::Sqlite(sqlite::Sqlite::open_beside(data_dir, expect)?),
            Some(url) => Engine::Postgres(postgres::Postgres::open_beside(url, expect)?),
        };
        Ok(Self::uncounted(engine))
    }

    /// Whether the database is a server of its own, which may be away while this program is not.
    pub fn is_remote(&self) -> bool {
        matches!(self.engine, Engine::Postgres(_))
    }

    /// Runs `work` in a transaction that commits if it returns `Ok`. Answers when the commit is durable.
    ///
    /// Others may change rows meanwhile, but those that `work` has changed, or read by [`Tx::first_locked`]: what
    /// it decides on has to be one of these, or part of the statement that changes it.
    ///
    /// # Errors
    /// What `work` returns, or the database's own error; then nothing has changed. Only where a server was lost
    /// during the commit is that not known: [`Error::OutcomeUnknown`].
    pub async fn write<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnMut(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        self.written(false, Duration::ZERO, work).await
    }

    /// The same where the caller can wait for so long, because others are known to come: an embedded database puts
    /// them into one commit. A server does that by itself.
    ///
    /// # Errors
    /// As of [`Self::write`].
    pub async fn write_within<T, E, F>(&self, patience: Duration, work: F) -> Result<T, E>
    where
        F: FnMut(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        self.written(false, patience, work).await
    }

    /// `alone` as of [`Self::write_serializable`], `patience` as of [`Self::write_within`].
    async fn written<T, E, F>(&self, alone: bool, patience: Duration, work: F) -> Result<T, E>
    where
        F: FnMut(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let _span = self.traced();
        let started = self.metrics.start();
        let done = match &self.engine {
            Engine::Sqlite(engine) => engine.write(patience, work).await,
            Engine::Postgres(engine) => engine.write(alone, work).await,
        };
        self.metrics.observe_since(Id::DatabaseDuration, &[Operation::Write.at()], started);
        done
    }

    /// The same as [`Self::write`], where one statement mostly does it all: `swap` is that statement, and `work` runs if it gave `None`.
    /// A server takes it in one round trip, with BEGIN and COMMIT in the same message.
    ///
    /// It is a compare-and-swap: after a lost answer it is run again, and gives `None` if it was kept. What `swap`
    /// makes of the answer does not undo it.
    ///
    /// # Errors
    /// As of [`Self::write`].
    pub async fn swap_or_write<T, E, S, F>(&self, mut swap: S, mut work: F) -> Result<T, E>
    where
        S: FnMut(&mut Tx<'_>) -> Result<Option<T>, E> + Send + 'static,
        F: FnMut(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let _span = self.traced();
        let started = self.metrics.start();
        let done = match &self.engine {
            Engine::Sqlite(engine) => {
                engine.write(Duration::ZERO, move |tx| swap(tx)?.map_or_else(|| work(tx), Ok)).await
            }
            Engine::Postgres(engine) => engine.swap_or_write(swap, work).await,
        };
        self.metrics.observe_since(Id::DatabaseDuration, &[Operation::Write.at()], started);
        done
    }

    /// As [`Self::write`], as if it were alone with all others that are written so. It is run again where that was
    /// not so, and not for what happens often.
    ///
    /// # Errors
    /// As of [`Self::write`].
    pub async fn write_serializable<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnMut(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        self.written(true, Duration::ZERO, work).await
    }

    /// Runs `work` on one consistent view of the data. It should read few rows: SQLite runs it in place.
    ///
    /// # Errors
    /// What `work` returns, or the database's own error.
    pub async fn read<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnMut(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let started = self.metrics.start();
        let done = match &self.engine {
            Engine::Sqlite(engine) => engine.read(work),
            Engine::Postgres(engine) => engine.read(work).await,
        };
        self.metrics.observe_since(Id::DatabaseDuration, &[Operation::Read.at()], started);
        done
    }

    /// The same for one statement, which sees one moment by itself: SQLite does without a transaction around it, which
    /// would cost as much as a row.
    ///
    /// # Errors
    /// As of [`Self::read`].
    pub async fn read_once<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnMut(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let started = self.metrics.start();
        let done = match &self.engine {
            Engine::Sqlite(engine) => engine.read_once(work),
            Engine::Postgres(engine) => engine.read(work).await,
        };
        self.metrics.observe_since(Id::DatabaseDuration, &[Operation::Read.at()], started);
        done
    }

    /// The same for the looks at what others have changed: they do not wait behind what this server does.
    ///
    /// # Errors
    /// As of [`Self::read`].
    pub async fn look<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnMut(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let started = self.metrics.start();
        let done = match &self.engine {
            Engine::Sqlite(engine) => engine.read(work),
            Engine::Postgres(engine) => engine.look(work).await,
        };
        self.metrics.observe_since(Id::DatabaseDuration, &[Operation::Look.at()], started);
        done
    }

    /// Runs `work` on one consistent view of the data, for as long as it takes; others go on changing it. What `work`
    /// does beside is done once. The caller waits where he stands.
    ///
    /// # Errors
    /// What `work` returns, or the database's own error.
    pub fn snapshot<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnMut(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        match &self.engine {
            Engine::Sqlite(engine) => engine.read(work),
            Engine::Postgres(engine) => engine.snapshot(work),
        }
    }

    /// Whether the database answers, and has all that this program needs. A newer program may have added to it.
    ///
    /// # Errors
    /// [`Error::Refused`] if it has another schema, or the database's own error.
    pub async fn expect_schema(&self) -> Result<(), Error> {
        self.look(migrate::expect_applied).await
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]
mod tests;
