//! PostgreSQL: a few threads, each with a connection of its own, behind a bounded queue.
//!
//! Writes are READ COMMITTED and hold the rows that they decide on; those that cannot are SERIALIZABLE, and who
//! meets another is run again. Reads see one moment. A server that is away is noticed at once or within two
//! seconds, and used again by the first transaction after its return.

mod access;
mod decision;
mod failure;
mod hosts;
mod session;
mod statement;
mod target;
mod tls;
mod values;
mod worker;

pub(super) use session::Session;
pub(super) use values::{WORDS, cell};

use super::{Error, Expect, Tx, migrate};
use crate::base::time::Timestamp;
use crate::config::DatabaseUrl;
use crate::metrics::{Id, Metrics};
use access::Access;
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use decision::Decision;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use target::Target;
use tokio::sync::oneshot;
use worker::Worker;

/// Most transactions waiting for a thread; past that callers are told to come back.
const QUEUE: usize = 1024;

/// Threads for looks at what other servers have changed.
const LOOKERS: usize = 2;

/// How long a server that starts waits for a database that does not answer yet.
const START: Duration = Duration::from_secs(30);

/// How long a transaction may wait for a thread, for a connection, and for its turn among others; and how long
/// its caller waits in all.
const PATIENCE: Duration = Duration::from_millis(1800);

/// The same for an operator's command, which reads more and keeps nobody waiting.
pub(super) const PATIENCE_OF_COMMANDS: Duration = Duration::from_secs(60);

/// The same for migrations: another server may be at them.
const MIGRATIONS: Duration = Duration::from_secs(60);

/// The longest that a backup may take.
const SNAPSHOT: Duration = Duration::from_secs(86_400);

type Task = Box<dyn FnOnce(&mut Worker) + Send>;

/// A handle on the threads. They end when the last handle is dropped.
#[derive(Clone)]
pub(super) struct Postgres {
    pool: Arc<Pool>,
    read_only: bool,
    /// How long the caller of a transaction waits.
    patience: Duration,
}

struct Pool {
    queue: Option<Sender<Task>>,
    /// The way of looks, which must not wait behind changes; a command has none.
    looks: Option<Sender<Task>>,
    threads: Vec<JoinHandle<()>>,
    metrics: Arc<Metrics>,
    shown: String,
}

/// Waits until what was queued is done and the connections are closed.
impl Drop for Pool {
    fn drop(&mut self) {
        drop((self.queue.take(), self.looks.take()));
        // A transaction that held the last handle is dropped on a thread of the pool.
        let own = std::thread::current().id();
        for thread in self.threads.drain(..).filter(|thread| thread.thread().id() != own) {
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Postgres({})", self.pool.shown)
    }
}

impl Postgres {
    pub(super) fn open(url: &DatabaseUrl, now: Timestamp, metrics: &Arc<Metrics>) -> Result<Self, Error> {
        if url.is_open_to_others() {
            tracing::warn!(
                "others may read along on the way to the database: add sslmode=verify-full to its URL"
            );
        }
        let opened = Self::start(url, workers(), false, PATIENCE, metrics)?;
        opened.migrate(now).map_err(|error| opened.placed(error))?;
        Ok(opened)
    }

    /// Lets `first` have a look at the database before anything else; what it returns comes back.
    pub(super) fn open_by<T: Send + 'static>(
        url: &DatabaseUrl,
        threads: usize,
        patience: Duration,
        first: impl FnMut(&mut Tx<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Result<(Self, T), Error> {
        let opened = Self::start(url, threads, false, patience, &Arc::default())?;
        match opened.at_once(Access::Migrate, MIGRATIONS, first) {
            Ok(found) => Ok((opened, found)),
            Err(error) => Err(opened.placed(error)),
        }
    }

    /// Brings the schema up to date. A database that is about to start is waited for, as where all starts at once.
    fn migrate(&self, now: Timestamp) -> Result<(), Error> {
        let until = Instant::now() + START;
        let mut said = false;
        loop {
            match self.at_once(Access::Migrate, MIGRATIONS, move |tx| migrate::run(tx, now)) {
                Err(Error::Unavailable(why)) if is_about_to_start(&why) && Instant::now() < until => {
                    if !std::mem::replace(&mut said, true) {
                        let place = &self.pool.shown;
                        tracing::warn!("waiting for the database {place}: {why}");
                    }
                    std::thread::sleep(Duration::from_millis(200));
                }
                done => return done,
            }
        }
    }

    pub(super) fn open_beside(url: &DatabaseUrl, expect: Expect) -> Result<Self, Error> {
        Self::start(url, 1, false, PATIENCE_OF_COMMANDS, &Arc::default())?.with_schema(expect)
    }

    pub(super) fn open_read_only(url: &DatabaseUrl) -> Result<Self, Error> {
        Self::start(url, 1, true, PATIENCE_OF_COMMANDS, &Arc::default())?.with_schema(migrate::expect_current)
    }

    /// Whatever its schema. Nothing takes longer than `patience`.
    pub(super) fn open_to_look(url: &DatabaseUrl, patience: Duration) -> Result<Self, Error> {
        Self::start(url, 1, true, patience, &Arc::default())
    }

    fn with_schema(self, expect: Expect) -> Result<Self, Error> {
        self.at_once(Access::Read, PATIENCE, expect).map_err(|error| match error {
            Error::Statement(why) => Error::Refused(format!("there is no schema of ours: {why}")),
            error => self.placed(error),
        })?;
        Ok(self)
    }

    /// The error of a start, which says where it happened.
    fn placed(&self, error: Error) -> Error {
        let place = &self.pool.shown;
        match error {
            Error::Unavailable(why) => Error::Unavailable(format!("{place}: {why}")),
            // From PostgreSQL 15 on, `public` is no longer everybody's.
            Error::Statement(why) if why.contains("(42501)") => Error::Refused(format!(
                "{place}: {why}. Let its user make tables there: GRANT CREATE ON SCHEMA public TO its user"
            )),
            error => error,
        }
    }

    #[allow(clippy::disallowed_methods)] // The pool is one of the few places that start threads.
    fn start(
        url: &DatabaseUrl,
        threads: usize,
        read_only: bool,
        patience: Duration,
        metrics: &Arc<Metrics>,
    ) -> Result<Self, Error> {
        let target = Target::of(url, read_only, patience)?;
        let (queue, tasks) = bounded::<Task>(QUEUE);
        let (looks, looking) = bounded::<Task>(QUEUE);
        let looks = (threads > 1).then_some(looks);
        let (metrics, shown) = (metrics.clone(), url.to_string());
        let mut pool = Pool { queue: Some(queue), looks, threads: Vec::new(), metrics, shown };
        let lanes = std::iter::repeat_n(tasks, threads);
        let lanes = lanes.chain(std::iter::repeat_n(looking, if threads > 1 { LOOKERS } else { 0 }));
        for (number, tasks) in lanes.enumerate() {
            let counted = pool.metrics.clone();
            let worker = Worker::new(target.clone(), counted.clone());
            let thread = std::thread::Builder::new()
                .name(format!("db-worker-{number}"))
                .spawn(move || serve(worker, &tasks, &counted))
                .map_err(|error| Error::Unavailable(error.to_string()))?;
            pool.threads.push(thread);
        }
        let count = i64::try_from(pool.threads.len()).ok();
        pool.metrics.set(Id::PostgresThreads, &[], count);
        Ok(Self { pool: Arc::new(pool), read_only, patience })
    }

    pub(super) async fn write<T, E, F>(&self, alone: bool, work: F) -> Result<T, E>
    where
        F: FnMut(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        if self.read_only {
            return Err(unavailable("it was opened for reading").into());
        }
        let access = if alone { Access::Serializable } else { Access::Write };
        self.run(self.pool.queue.as_ref(), access, work).await
    }

    pub(super) async fn swap_or_write<T, E, S, F>(&self, mut swap: S, mut work: F) -> Result<T, E>
    where
        S: FnMut(&mut Tx<'_>) -> Result<Option<T>, E> + Send + 'static,
        F: FnMut(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        if self.read_only {
            return Err(unavailable("it was opened for reading").into());
        }
        self.served(self.pool.queue.as_ref(), Access::Swap, move |worker, deadline, decision| {
            worker.swap_or_write(deadline, decision, &mut swap, &mut work)
        })
        .await
    }

    pub(super) async fn read<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnMut(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        self.run(self.pool.queue.as_ref(), Access::Read, work).await
    }

    /// The same on a way of its own.
    pub(super) async fn look<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnMut(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        self.run(self.pool.looks.as_ref().or(self.pool.queue.as_ref()), Access::Read, work).await
    }

    async fn run<T, E, F>(&self, lane: Option<&Sender<Task>>, access: Access, mut work: F) -> Result<T, E>
    where
        F: FnMut(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        self.served(lane, access, move |worker, deadline, decision| {
            worker.transaction(access, deadline, decision, &mut work)
        })
        .await
    }

    async fn served<T, E, F>(&self, lane: Option<&Sender<Task>>, access: Access, service: F) -> Result<T, E>
    where
        F: FnOnce(&mut Worker, Instant, &Decision) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let decision = Decision::default();
        // A caller that has gone away does not undo its change.
        let (patience, given) = (self.patience, decision.clone());
        self.submit(lane, patience, given, service, |outcome| drop(reply.send(outcome)))?;
        match tokio::time::timeout(self.patience, answer).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(unavailable("its threads have stopped").into()),
            // Of a read nothing is kept in any case.
            Err(_) if decision.give_up() || access == Access::Read => {
                Err(unavailable("it does not answer").into())
            }
            Err(_) => Err(Error::OutcomeUnknown("the commit is not answered".to_owned()).into()),
        }
    }

    /// Reads one moment for as long as it takes.
    pub(super) fn snapshot<T: Send + 'static, E: From<Error> + Send + 'static>(
        &self,
        work: impl FnMut(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E> {
        self.at_once(Access::Snapshot, SNAPSHOT, work)
    }

    /// Changes the schema and what else `work` does, in one transaction.
    pub(super) fn migrate_by<T: Send + 'static>(
        &self,
        work: impl FnMut(&mut Tx<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.at_once(Access::Migrate, MIGRATIONS, work)
    }

    /// The same for a caller that is no task: it waits where it stands.
    fn at_once<T: Send + 'static, E: From<Error> + Send + 'static>(
        &self,
        access: Access,
        patience: Duration,
        mut work: impl FnMut(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E> {
        let (reply, answer) = mpsc::channel();
        let service = move |worker: &mut Worker, deadline: Instant, decision: &Decision| {
            worker.transaction(access, deadline, decision, &mut work)
        };
        let (lane, decision) = (self.pool.queue.as_ref(), Decision::default());
        self.submit(lane, patience, decision, service, move |outcome| drop(reply.send(outcome)))?;
        answer.recv().unwrap_or_else(|_| Err(unavailable("its threads have stopped").into()))
    }

    fn submit<T, E: From<Error>>(
        &self,
        lane: Option<&Sender<Task>>,
        patience: Duration,
        decision: Decision,
        service: impl FnOnce(&mut Worker, Instant, &Decision) -> Result<T, E> + Send + 'static,
        reply: impl FnOnce(Result<T, E>) + Send + 'static,
    ) -> Result<(), Error> {
        let deadline = Instant::now() + patience;
        let task: Task = Box::new(move |worker| {
            reply(if Instant::now() < deadline {
                service(worker, deadline, &decision)
            } else {
                Err(unavailable("too many transactions are waiting").into())
            });
        });
        let lane = lane.ok_or_else(|| unavailable("it is closed"))?;
        let metrics = &self.pool.metrics;
        // Before it can be taken out again.
        metrics.raise(Id::DatabaseQueue);
        lane.try_send(task).map_err(|error| {
            metrics.lower(Id::DatabaseQueue, 1);
            match error {
                TrySendError::Full(_) => unavailable("too many transactions are waiting"),
                TrySendError::Disconnected(_) => unavailable("its threads have stopped"),
            }
        })
    }
}

/// How many threads a server has for its transactions, each with a connection.
fn workers() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    (4 * cores).clamp(4, 32)
}

/// How many connections a server has.
pub(super) fn pool_size() -> usize {
    workers() + LOOKERS
}

/// Whether an error will most likely pass: nobody listens yet, or the server is about to let callers in.
fn is_about_to_start(why: &str) -> bool {
    ["Connection refused", "No such file or directory", "failed to lookup", "(57P03)"]
        .iter()
        .any(|sign| why.contains(sign))
}

fn unavailable(why: &str) -> Error {
    Error::Unavailable(why.to_owned())
}

fn serve(mut worker: Worker, tasks: &Receiver<Task>, metrics: &Metrics) {
    while let Ok(task) = tasks.recv() {
        metrics.lower(Id::DatabaseQueue, 1);
        metrics.raise(Id::PostgresThreadsBusy);
        // What a task drops may panic too; the thread is needed for the next one.
        let _ = catch_unwind(AssertUnwindSafe(|| task(&mut worker)));
        metrics.lower(Id::PostgresThreadsBusy, 1);
    }
    worker.end();
}
