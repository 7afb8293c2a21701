//! One connection, driven by the thread that owns it, with its prepared statements.
//!
//! A pooler may put another connection to the server behind ours with each transaction. A prepared statement of
//! that one could have our name and other words, so that none is used any more once that is noticed.
//!
//! Whatever the transaction at work makes of an error, the session remembers the first one: PostgreSQL takes
//! no more statements then, and would answer a COMMIT with a quiet rollback.

use super::access::Access;
use super::failure::{Failure, Then, chain};
use super::statement::{answered, changed, guarded, locking};
use super::target::Target;
use super::values::check;
use crate::db::{Error, Lock, Value};
use futures_util::future::{join3, try_join_all};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio_postgres::{Client, Config, Row, SimpleQueryMessage, Statement};

/// How much longer than a statement may run an answer may take, until the connection counts as lost.
const GRACE: Duration = Duration::from_millis(500);

/// How long saying goodbye may take.
const GOODBYE: Duration = Duration::from_millis(200);

/// How far the transaction at work is.
enum Stage {
    /// The server has its beginning.
    Open,
    /// Nothing was sent: its beginning and its end go with its one statement.
    Unsent(String),
    /// The server has its end too.
    Ended,
}

/// An open connection.
pub(in crate::db) struct Session {
    client: Client,
    statements: HashMap<(&'static str, Option<Lock>), Statement>,
    /// The first failure of the transaction at work.
    failure: Option<Failure>,
    /// The longest that an answer may take now.
    limit: Duration,
    /// The longest that a statement may run.
    statement: Duration,
    stage: Stage,
    /// What serves the connection, by its number on the server.
    backend: Option<i64>,
    pooled: Arc<AtomicBool>,
    /// Whether the server's settings would answer a commit before it is on the disk, here and at a standby.
    forgetful: bool,
    /// Whether it is PostgreSQL itself, and not an engine that speaks as it does.
    genuine: bool,
    connection: JoinHandle<()>,
    runtime: Runtime,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Session({} statements)", self.statements.len())
    }
}

impl Session {
    /// Connects to the first server that is there and takes changes, within `limit`. Each has its share of it, so
    /// that one that says nothing leaves time for the next.
    pub(super) fn connect(target: &Target, limit: Duration) -> Result<Self, Failure> {
        let count = target.hosts.len();
        let share = target.patience.unwrap_or(limit / u32::try_from(count).unwrap_or(1).max(1));
        let first = target.last.load(Ordering::Relaxed);
        let mut failed = Failure::lost("the URL names no host");
        for number in (0..count).map(|turn| (first + turn) % count) {
            let Some(host) = target.hosts.get(number) else { continue };
            match Self::connect_to(host, target, share) {
                Ok(session) => {
                    target.last.store(number, Ordering::Relaxed);
                    return Ok(session);
                }
                Err(failure) => failed = failure,
            }
        }
        Err(failed)
    }

    fn connect_to(host: &Config, target: &Target, limit: Duration) -> Result<Self, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Failure::lost(&error.to_string()))?;
        let connecting = host.connect(target.tls.clone());
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
        let mut session = Self {
            client,
            statements: HashMap::new(),
            failure: None,
            limit,
            statement: target.statement,
            stage: Stage::Ended,
            backend: None,
            pooled: target.pooled.clone(),
            forgetful: false,
            genuine: false,
            connection,
            runtime,
        };
        match session.look_at_settings() {
            Ok(()) => Ok(session),
            Err(failure) => {
                session.close();
                Err(failure)
            }
        }
    }

    fn look_at_settings(&mut self) -> Result<(), Failure> {
        let encoding = self.ask("SHOW server_encoding")?;
        if !encoding.is_some_and(|encoding| encoding.eq_ignore_ascii_case("utf8")) {
            let why = "the database is not in UTF-8. Make one with: CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0";
            return Err(Failure { error: Error::Refused(why.into()), ..Failure::lost("") });
        }
        let version = self.ask("SELECT version()")?.unwrap_or_default();
        self.genuine = version.starts_with("PostgreSQL") && !version.contains("-YB-");
        self.forgetful =
            self.genuine && matches!(self.ask("SHOW synchronous_commit")?.as_deref(), Some("off" | "local"));
        Ok(())
    }

    /// The first column of the first row that several statements answer.
    fn ask(&self, sql: &str) -> Result<Option<String>, Failure> {
        let answer = self.run(self.client.simple_query(sql))?;
        Ok(answer.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        }))
    }

    /// Opens a transaction, within `limit`: nothing is lost yet if the connection turns out to be dead. Of a swap
    /// nothing is sent before its statement.
    pub(super) fn begin(&mut self, access: Access, limit: Duration) -> Result<(), Failure> {
        let opening = access.opening(self.statement, self.forgetful, self.genuine);
        (self.failure, self.limit) = (None, limit);
        if access == Access::Swap {
            self.stage = Stage::Unsent(opening);
            return Ok(());
        }
        self.open(&opening, access.most(self.statement))
    }

    fn open(&mut self, opening: &str, most: Duration) -> Result<(), Failure> {
        self.stage = Stage::Open;
        let backend = self.ask(&format!("{opening}; SELECT pg_backend_pid()"))?;
        let backend = backend.and_then(|number| number.parse().ok());
        self.limit = most + GRACE;
        if self.backend.is_some() && self.backend != backend {
            self.pooled.store(true, Ordering::Relaxed);
        }
        self.backend = backend;
        Ok(())
    }

    /// Commits. After [`Then::Reconnect`](super::failure::Then) nobody knows whether it did.
    pub(super) fn commit(&mut self) -> Result<(), Failure> {
        self.end("COMMIT")
    }

    /// Takes all back.
    pub(super) fn roll_back(&mut self) -> Result<(), Failure> {
        self.end("ROLLBACK")
    }

    fn end(&mut self, how: &str) -> Result<(), Failure> {
        match std::mem::replace(&mut self.stage, Stage::Ended) {
            Stage::Open => self.run(self.client.batch_execute(how)),
            Stage::Unsent(_) | Stage::Ended => Ok(()),
        }
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
            let statement = session.prepared(sql, None, values)?;
            session.run(changed(&session.client, statement.as_ref(), sql, values))
        })
    }

    pub(in crate::db) fn query(
        &mut self,
        sql: &'static str,
        lock: Option<Lock>,
        values: &[Value<'_>],
    ) -> Result<Vec<Row>, Error> {
        if let Stage::Unsent(opening) = &self.stage {
            let opening = opening.clone();
            return self.noting(|session| session.swap(&opening, sql, values));
        }
        self.remember(|session| {
            let statement = session.prepared(sql, lock, values)?;
            session.run(answered(&session.client, statement.as_ref(), &locking(sql, lock), values))
        })
    }

    /// The one statement of a swap, with BEGIN and COMMIT in the same message. The first time on this connection
    /// it is prepared inside the transaction, step by step.
    fn swap(&mut self, opening: &str, sql: &'static str, values: &[Value<'_>]) -> Result<Vec<Row>, Failure> {
        let opening = match self.backend {
            _ if self.pooled.load(Ordering::Relaxed) => Some(opening.to_owned()),
            Some(backend) if self.statements.contains_key(&(sql, None)) => Some(guarded(opening, backend)),
            _ => self.open(opening, self.statement).map(|()| None)?,
        };
        let statement = self.prepared(sql, None, values)?;
        (self.stage, self.limit) = (Stage::Ended, self.statement + GRACE);
        let client = &self.client;
        let begin = async {
            match &opening {
                Some(opening) => client.batch_execute(opening).await,
                None => Ok(()),
            }
        };
        let rows = answered(client, statement.as_ref(), sql, values);
        self.run(async {
            // Sent in this order. Where one fails, PostgreSQL refuses the rest, and its COMMIT rolls back.
            let (begun, rows, committed) = join3(begin, rows, client.batch_execute("COMMIT")).await;
            begun.and(rows).and_then(|rows| committed.map(|()| rows))
        })
    }

    /// One statement for many rows, all sent before the first answer is there.
    pub(in crate::db) fn execute_each<'v>(
        &mut self,
        sql: &'static str,
        rows: &[impl AsRef<[Value<'v>]>],
    ) -> Result<Vec<usize>, Error> {
        self.remember(|session| {
            let statement = session.prepared_for_each(sql, rows)?;
            let (client, statement) = (&session.client, statement.as_ref());
            let sent = rows.iter().map(|values| changed(client, statement, sql, values.as_ref()));
            session.run(try_join_all(sent))
        })
    }

    /// The rows that one statement answers for each of many rows of values, likewise.
    pub(in crate::db) fn query_each<'v>(
        &mut self,
        sql: &'static str,
        rows: &[impl AsRef<[Value<'v>]>],
    ) -> Result<Vec<Vec<Row>>, Error> {
        self.remember(|session| {
            let statement = session.prepared_for_each(sql, rows)?;
            let (client, statement) = (&session.client, statement.as_ref());
            let sent = rows.iter().map(|values| answered(client, statement, sql, values.as_ref()));
            session.run(try_join_all(sent))
        })
    }

    pub(in crate::db) fn batch(&mut self, sql: &str) -> Result<(), Error> {
        self.remember(|session| session.run(session.client.batch_execute(sql)))
    }

    /// A statement, prepared at its first use on this connection; none behind a pooler.
    fn prepared(
        &mut self,
        sql: &'static str,
        lock: Option<Lock>,
        values: &[Value<'_>],
    ) -> Result<Option<Statement>, Failure> {
        if self.pooled.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let statement = match self.statements.get(&(sql, lock)) {
            Some(statement) => statement.clone(),
            None => {
                let statement = self.run(self.client.prepare(&locking(sql, lock)))?;
                self.statements.insert((sql, lock), statement.clone());
                statement
            }
        };
        check(statement.params(), values)?;
        Ok(Some(statement))
    }

    /// The same for many rows of values, all of which it must take.
    fn prepared_for_each<'v>(
        &mut self,
        sql: &'static str,
        rows: &[impl AsRef<[Value<'v>]>],
    ) -> Result<Option<Statement>, Failure> {
        rows.iter().try_fold(None, |_, values| self.prepared(sql, None, values.as_ref()))
    }

    /// Runs a step of the transaction unless an earlier one has failed.
    fn remember<T>(&mut self, step: impl FnOnce(&mut Self) -> Result<T, Failure>) -> Result<T, Error> {
        if let Some(failure) = &self.failure {
            return Err(failure.error.clone());
        }
        self.noting(|session| match session.stage {
            Stage::Open => step(session),
            Stage::Unsent(_) | Stage::Ended => {
                Err(Failure::statement("a swap is one statement, read by `first` or `all`".into()))
            }
        })
    }

    fn noting<T>(&mut self, step: impl FnOnce(&mut Self) -> Result<T, Failure>) -> Result<T, Error> {
        step(self).map_err(|failure| {
            if failure.then == Then::Unprepared {
                self.pooled.store(true, Ordering::Relaxed);
            }
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
