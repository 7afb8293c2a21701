//! One connection, driven by the thread that owns it, with its prepared statements.
//!
//! Whatever the transaction at work makes of an error, the session remembers the first one: PostgreSQL takes
//! no more statements then, and would answer a COMMIT with a quiet rollback.

use super::failure::{Failure, chain};
use super::values::check;
use crate::db::{Error, Value};
use std::collections::HashMap;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Config, Row, SimpleQueryMessage, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;

/// The longest that a statement may run, by the server's watch.
const STATEMENT: Duration = Duration::from_secs(5);

/// The longest that a step of a migration may run, and wait for another server's.
const MIGRATION: Duration = Duration::from_secs(300);

/// How much longer than that an answer may take until the connection counts as lost.
const GRACE: Duration = Duration::from_secs(1);

/// How long saying goodbye may take.
const GOODBYE: Duration = Duration::from_millis(200);

/// Where to connect.
#[derive(Clone)]
pub(super) struct Target {
    pub(super) config: Config,
    pub(super) tls: MakeRustlsConnect,
    /// How long connecting may take in all, where the operator has said so.
    pub(super) patience: Option<Duration>,
}

/// What a transaction is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// Reads one moment.
    Read,
    /// Changes as if it were alone.
    Write,
    /// The same, while all other changes wait, on every server: after it has met others too often.
    Alone,
    /// The same as `Write`, with time to change the schema.
    Migrate,
}

/// An open connection.
pub(in crate::db) struct Session {
    client: Client,
    statements: HashMap<&'static str, Statement>,
    /// The first failure of the transaction at work.
    failure: Option<Failure>,
    /// The longest that an answer may take now.
    limit: Duration,
    /// Whether the server's settings would answer a commit before it is on the disk.
    forgetful: bool,
    connection: JoinHandle<()>,
    runtime: Runtime,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Session({} statements)", self.statements.len())
    }
}

impl Session {
    /// Connects, within `limit`.
    pub(super) fn connect(target: &Target, limit: Duration) -> Result<Self, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Failure::lost(&error.to_string()))?;
        let connecting = target.config.connect(target.tls.clone());
        let connected = runtime.block_on(async { tokio::time::timeout(limit, connecting).await });
        let (client, connection) = match connected {
            Ok(Ok(connected)) => connected,
            failed => {
                // A name server may keep a thread of the runtime for longer.
                runtime.shutdown_background();
                let failed = failed.map(Result::err);
                return Err(Failure::lost(&match failed {
                    Ok(Some(error)) => chain(&error),
                    _ => "the server does not answer".to_owned(),
                }));
            }
        };
        // Errors of the connection reach the caller of the statement that they hit.
        let connection = runtime.spawn(async move { drop(connection.await) });
        let (statements, failure, limit) = (HashMap::new(), None, STATEMENT + GRACE);
        let mut session = Self { client, statements, failure, limit, forgetful: false, connection, runtime };
        match session.look_at_settings() {
            Ok(()) => Ok(session),
            Err(failure) => {
                session.close();
                Err(failure)
            }
        }
    }

    fn look_at_settings(&mut self) -> Result<(), Failure> {
        let sql = "SELECT current_setting('server_encoding'), current_setting('synchronous_commit')";
        let answer = self.run(self.client.simple_query(sql))?;
        let row = answer.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some((row.get(0), row.get(1))),
            _ => None,
        });
        let (encoding, commit) = row.unwrap_or_default();
        if encoding != Some("UTF8") {
            let why = "the database is not in UTF-8. Make one with: CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0";
            return Err(Failure { error: Error::Refused(why.into()), ..Failure::lost("") });
        }
        self.forgetful = commit == Some("off");
        Ok(())
    }

    /// Opens a transaction, within `limit`: nothing is lost yet if the connection turns out to be dead.
    pub(super) fn begin(&mut self, access: Access, limit: Duration) -> Result<(), Failure> {
        let (mode, most) = match access {
            Access::Read => ("ISOLATION LEVEL REPEATABLE READ READ ONLY", STATEMENT),
            Access::Write | Access::Alone => ("ISOLATION LEVEL SERIALIZABLE READ WRITE", STATEMENT),
            Access::Migrate => ("ISOLATION LEVEL SERIALIZABLE READ WRITE", MIGRATION),
        };
        self.failure = None;
        let milliseconds = most.as_millis();
        // For this transaction alone, since a pooler gives the connection to others afterwards. An index scan
        // locks what it read and a scan of the table all of it, so that transactions would fail for nothing.
        let mut sql = format!(
            "BEGIN {mode}; SET LOCAL statement_timeout = {milliseconds}; \
            SET LOCAL idle_in_transaction_session_timeout = {milliseconds}; SET LOCAL enable_seqscan = off"
        );
        if self.forgetful && access != Access::Read {
            sql.push_str("; SET LOCAL synchronous_commit = on");
        }
        // All changes share a lock that one can have for itself. It is taken before the first look at the data,
        // so that what it waited for is seen.
        match access {
            Access::Write => sql.push_str("; LOCK TABLE schema_history IN ROW SHARE MODE"),
            Access::Alone => sql.push_str("; LOCK TABLE schema_history IN EXCLUSIVE MODE"),
            Access::Read | Access::Migrate => {}
        }
        self.limit = limit;
        self.run(self.client.batch_execute(&sql))?;
        self.limit = most + GRACE;
        Ok(())
    }

    /// Commits. After [`Then::Reconnect`](super::failure::Then) nobody knows whether it did.
    pub(super) fn commit(&mut self) -> Result<(), Failure> {
        self.run(self.client.batch_execute("COMMIT"))
    }

    /// Takes all back.
    pub(super) fn roll_back(&mut self) -> Result<(), Failure> {
        self.run(self.client.batch_execute("ROLLBACK"))
    }

    /// The first failure since the transaction began.
    pub(super) fn take_failure(&mut self) -> Option<Failure> {
        self.failure.take()
    }

    /// Says goodbye to the server.
    pub(super) fn close(self) {
        let Self { client, connection, runtime, .. } = self;
        drop(client);
        let _ = runtime.block_on(async { tokio::time::timeout(GOODBYE, connection).await });
        runtime.shutdown_background();
    }

    pub(in crate::db) fn execute(&mut self, sql: &'static str, values: &[Value<'_>]) -> Result<usize, Error> {
        self.remember(|session| {
            let statement = session.prepared(sql, values)?;
            let changed = session.run(session.client.execute(&statement, &as_parameters(values)))?;
            Ok(usize::try_from(changed).unwrap_or(usize::MAX))
        })
    }

    pub(in crate::db) fn query(
        &mut self,
        sql: &'static str,
        values: &[Value<'_>],
    ) -> Result<Vec<Row>, Error> {
        self.remember(|session| {
            let statement = session.prepared(sql, values)?;
            session.run(session.client.query(&statement, &as_parameters(values)))
        })
    }

    pub(in crate::db) fn batch(&mut self, sql: &str) -> Result<(), Error> {
        self.remember(|session| session.run(session.client.batch_execute(sql)))
    }

    /// A statement, prepared at its first use on this connection.
    fn prepared(&mut self, sql: &'static str, values: &[Value<'_>]) -> Result<Statement, Failure> {
        let statement = match self.statements.get(sql) {
            Some(statement) => statement.clone(),
            None => {
                let statement = self.run(self.client.prepare(sql))?;
                self.statements.insert(sql, statement.clone());
                statement
            }
        };
        check(statement.params(), values)?;
        Ok(statement)
    }

    /// Runs a step of the transaction unless an earlier one has failed.
    fn remember<T>(&mut self, step: impl FnOnce(&mut Self) -> Result<T, Failure>) -> Result<T, Error> {
        if let Some(failure) = &self.failure {
            return Err(failure.error.clone());
        }
        step(self).map_err(|failure| {
            let error = failure.error.clone();
            self.failure = Some(failure);
            error
        })
    }

    fn run<T>(&self, step: impl Future<Output = Result<T, tokio_postgres::Error>>) -> Result<T, Failure> {
        let answer = self.runtime.block_on(async { tokio::time::timeout(self.limit, step).await });
        match answer {
            Ok(answer) => answer.map_err(|error| Failure::of(&error)),
            Err(_) => Err(Failure::lost("the server does not answer")),
        }
    }
}

fn as_parameters<'a>(values: &'a [Value<'_>]) -> Vec<&'a (dyn ToSql + Sync)> {
    values.iter().map(|value| value as &(dyn ToSql + Sync)).collect()
}
