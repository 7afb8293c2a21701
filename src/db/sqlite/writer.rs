//! The writer: one thread that takes all that is waiting into one transaction, so that many callers share one sync.
//! Where a closure fails that has changed something, the group is run once more with a savepoint for each.

use super::run;
use crate::base::priority::give_way;
use crate::db::tx::On;
use crate::db::{Error, Tx};
use crate::metrics::{Id, Metrics};
use rusqlite::Connection;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Most closures in one commit; bounds how long the first of them waits.
const GROUP: usize = 256;

/// How long the writer waits for others where several came last time: who comes in meanwhile shares the sync.
const GATHER: Duration = Duration::from_micros(500);

/// How much less the thread matters than those that serve (`nice`, 0 to 19): while they have work, they bring more
/// that shares its sync.
const NICE: i32 = 5;

/// Most closures waiting for the writer; past that callers are told to come back.
const QUEUE: usize = 4096;

/// The writer's queue and thread.
pub(super) struct Writer {
    queue: Option<SyncSender<Box<dyn Job>>>,
    metrics: Arc<Metrics>,
    thread: Option<JoinHandle<()>>,
}

/// Waits until what was queued is written and the database is closed.
impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.queue.take());
        // The last handle may be in a closure whose caller has gone; that thread cannot wait for itself, and ends.
        if let Some(thread) = self.thread.take().filter(|it| it.thread().id() != std::thread::current().id())
        {
            // A panic there was logged where it happened.
            let _ = thread.join();
        }
    }
}

impl Writer {
    /// Starts the thread. It keeps the folder's lock until the database is closed.
    #[allow(clippy::disallowed_methods)] // The writer thread is one of the few that this program starts.
    pub(super) fn start(
        connection: Connection,
        lock: Option<File>,
        metrics: Arc<Metrics>,
    ) -> Result<Self, Error> {
        let (sender, queue) = sync_channel(QUEUE);
        let counted = metrics.clone();
        let thread = std::thread::Builder::new()
            .name("db-writer".into())
            .spawn(move || {
                give_way(NICE);
                serve(&connection, &queue, &counted);
                drop((connection, lock));
            })
            .map_err(|error| Error::Unavailable(error.to_string()))?;
        Ok(Self { queue: Some(sender), metrics, thread: Some(thread) })
    }

    /// Runs `work` in the next commit, which may wait so long for others to share its sync.
    pub(super) async fn write<T, E, F>(&self, patience: Duration, work: F) -> Result<T, E>
    where
        F: FnMut(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let due = (!patience.is_zero()).then(|| Instant::now() + patience);
        let job = Box::new(WriteJob { work, outcome: None, reply, due });
        self.send(job)?;
        answer.await.unwrap_or_else(|_| Err(stopped().into()))
    }

    fn send(&self, job: Box<dyn Job>) -> Result<(), Error> {
        // Before it can be taken out again.
        self.metrics.raise(Id::DatabaseQueue);
        self.queue.as_ref().ok_or_else(stopped)?.try_send(job).map_err(|error| {
            self.metrics.lower(Id::DatabaseQueue, 1);
            match error {
                TrySendError::Full(_) => Error::Unavailable("too many changes are waiting".to_owned()),
                TrySendError::Disconnected(_) => stopped(),
            }
        })
    }
}

fn stopped() -> Error {
    Error::Unavailable("the writer has stopped".to_owned())
}

/// A closure on its way through the writer.
trait Job: Send {
    /// Until when it may wait for others; `None` if it is not to wait.
    fn due(&self) -> Option<Instant>;
    /// Runs it; says whether its changes are to be kept.
    fn run(&mut self, tx: &mut Tx<'_>) -> bool;
    /// Answers the caller, once the group is durable or has failed.
    fn finish(self: Box<Self>, failure: Option<Error>);
}

struct WriteJob<T, E, F> {
    work: F,
    outcome: Option<Result<T, E>>,
    reply: oneshot::Sender<Result<T, E>>,
    due: Option<Instant>,
}

impl<T, E, F> Job for WriteJob<T, E, F>
where
    F: FnMut(&mut Tx<'_>) -> Result<T, E> + Send,
    T: Send,
    E: From<Error> + Send,
{
    fn due(&self) -> Option<Instant> {
        self.due
    }

    fn run(&mut self, tx: &mut Tx<'_>) -> bool {
        let outcome = catch_unwind(AssertUnwindSafe(|| (self.work)(tx)))
            .unwrap_or_else(|_| Err(Error::Statement("a transaction panicked".into()).into()));
        let keep = outcome.is_ok();
        self.outcome = Some(outcome);
        keep
    }

    fn finish(self: Box<Self>, failure: Option<Error>) {
        let Self { work, outcome, reply, .. } = *self;
        // Who is answered may let go of the database, and wait for it to be closed: the closure must not hold it.
        drop(work);
        let lost = || Error::Statement("a transaction was not run".into());
        let answer = match failure {
            Some(error) => Err(error.into()),
            None => outcome.unwrap_or_else(|| Err(lost().into())),
        };
        // A caller that has gone away does not undo its change.
        let _ = reply.send(answer);
    }
}

fn serve(connection: &Connection, queue: &Receiver<Box<dyn Job>>, metrics: &Metrics) {
    let mut several = false;
    while let Ok(first) = queue.recv() {
        let mut group = gather(queue, first, several);
        metrics.lower(Id::DatabaseQueue, group.len());
        metrics.observe(Id::SqliteGroup, &[], u64::try_from(group.len()).unwrap_or(u64::MAX));
        several = group.iter().filter(|job| job.due().is_none()).count() > 1;
        let failure = commit_group(connection, &mut group).err();
        if failure.is_some() && !connection.is_autocommit() {
            let _ = connection.execute_batch("ROLLBACK");
        }
        for job in group {
            job.finish(failure.clone());
        }
    }
}

/// The next group. Where all of it may wait, others are waited for until the first is due or one comes that may not.
fn gather(queue: &Receiver<Box<dyn Job>>, first: Box<dyn Job>, several: bool) -> Vec<Box<dyn Job>> {
    let mut due = first.due();
    let mut group = vec![first];
    while let Some(until) = due.filter(|_| group.len() < GROUP) {
        let Ok(job) = queue.recv_timeout(until.saturating_duration_since(Instant::now())) else { break };
        due = job.due().map(|due| due.min(until));
        group.push(job);
    }
    if several && due.is_none() {
        std::thread::sleep(GATHER);
    }
    group.extend(queue.try_iter().take(GROUP - group.len()));
    group
}

/// One durable commit for the whole group. On an error nobody's change is kept.
fn commit_group(connection: &Connection, group: &mut [Box<dyn Job>]) -> Result<(), Error> {
    run(connection, "BEGIN IMMEDIATE")?;
    if !run_together(connection, group)? {
        run(connection, "ROLLBACK")?;
        run(connection, "BEGIN IMMEDIATE")?;
        run_apart(connection, group)?;
    }
    run(connection, "COMMIT")
}

/// Runs the group without savepoints, which would have SQLite copy each page that changes. Says whether all changes
/// can stay: not, if one that is not to be kept had changed a row. Changes of the schema count as none, but come with a
/// row of its history.
fn run_together(connection: &Connection, group: &mut [Box<dyn Job>]) -> Result<bool, Error> {
    for job in group {
        let before = connection.total_changes();
        let keep = run_job(connection, job)?;
        if !keep && connection.total_changes() != before {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Runs each of the group in a savepoint of its own.
fn run_apart(connection: &Connection, group: &mut [Box<dyn Job>]) -> Result<(), Error> {
    for job in group {
        run(connection, "SAVEPOINT job")?;
        if !run_job(connection, job)? {
            run(connection, "ROLLBACK TO job")?;
        }
        run(connection, "RELEASE job")?;
    }
    Ok(())
}

fn run_job(connection: &Connection, job: &mut Box<dyn Job>) -> Result<bool, Error> {
    let keep = job.run(&mut Tx(On::Sqlite(connection)));
    // SQLite itself rolls all back where it can no longer write: disk full, I/O error, no memory.
    if connection.is_autocommit() {
        return Err(Error::Unavailable("the disk is full or cannot be written".into()));
    }
    Ok(keep)
}
