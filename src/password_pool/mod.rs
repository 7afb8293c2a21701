//! The threads that hash passwords: as many as cores, behind a bounded queue.
//!
//! Each keeps its Argon2 memory, wiped after each hash, while there is work, and gives it back after 3 s without.
//! They run at a lower priority than the server's threads, so that token checks never wait for them.
//! A full queue refuses at once; nobody waits without a bound.

mod decoys;
mod turns;

use crate::base::priority::give_way;
use crate::config::Hash;
use crate::metrics::labels::HashRefusal;
use crate::metrics::{Id, Metrics};
use crate::traces::{self, What};
use claviger_crypto::password::{Hasher, Params};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError, bounded};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{SemaphorePermit, oneshot};

pub use decoys::Decoys;
pub use turns::Turns;

/// How long a thread keeps its memory without work.
const IDLE: Duration = Duration::from_secs(3);

/// The longest a caller waits for its turn and its hash.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// How much less the threads matter than others (`nice`, 0 to 19).
const NICE: i32 = 10;

type Task = Box<dyn FnOnce(&mut Hasher) + Send>;

/// A handle on the threads. They end when the last handle is dropped.
#[derive(Clone, Debug)]
pub struct PasswordPool {
    queue: Sender<Task>,
    turns: Arc<Turns>,
    metrics: Arc<Metrics>,
    threads: usize,
    decoys: Arc<Decoys>,
    params: Params,
}

/// Why a hash was not computed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The queue is full, or does not get to this one within 5 seconds.
    #[error("too many passwords are waiting to be hashed")]
    Busy,
    /// A thread failed while it worked on this.
    #[error("a password thread failed")]
    Failed,
}

impl PasswordPool {
    /// Starts the threads.
    ///
    /// # Errors
    /// If the system refuses a thread.
    pub fn start(hash: Hash) -> std::io::Result<Self> {
        Self::start_with(hash, IDLE, Arc::default())
    }

    /// The same, with what is counted of it.
    ///
    /// # Errors
    /// As of [`Self::start`].
    pub fn start_counted(hash: Hash, metrics: Arc<Metrics>) -> std::io::Result<Self> {
        Self::start_with(hash, IDLE, metrics)
    }

    #[allow(clippy::disallowed_methods)] // The pool is one of the few places that start threads.
    fn start_with(hash: Hash, idle: Duration, metrics: Arc<Metrics>) -> std::io::Result<Self> {
        let (queue, tasks) = bounded::<Task>(hash.queue);
        for number in 0..hash.threads {
            let tasks = tasks.clone();
            let hasher = Hasher::new(hash.engine, hash.params).map_err(std::io::Error::other)?;
            std::thread::Builder::new()
                .name(format!("password-{number}"))
                .spawn(move || work(hasher, &tasks, idle))?;
        }
        let (turns, decoys) = (Arc::default(), Arc::default());
        Ok(Self { queue, turns, metrics, threads: hash.threads, decoys, params: hash.params })
    }

    /// The cost of new hashes.
    pub fn params(&self) -> Params {
        self.params
    }

    /// How many threads there are.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// How many wait for a thread, and how many may.
    pub fn waiting(&self) -> (usize, usize) {
        (self.queue.len(), self.queue.capacity().unwrap_or(usize::MAX))
    }

    /// What checking costs for the accounts that there are.
    pub fn decoys(&self) -> &Decoys {
        &self.decoys
    }

    /// Waits for one's turn among those that check a password of the same account, named by a digest.
    ///
    /// # Errors
    /// [`Error::Busy`] if it does not come within 5 seconds.
    pub async fn turn(&self, account: &[u8; 32]) -> Result<SemaphorePermit<'_>, Error> {
        self.turns.wait(usize::from(account[0])).await
    }

    /// Runs `task` on one of the threads. A task whose caller has gone away is skipped.
    ///
    /// # Errors
    /// [`Error::Busy`] at once if the queue is full, or after 5 seconds; then `task` is not run, or
    /// its result is lost.
    pub async fn run<T, F>(&self, task: F) -> Result<T, Error>
    where
        F: FnOnce(&mut Hasher) -> T + Send + 'static,
        T: Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let (queued, metrics) = (self.metrics.start(), self.metrics.clone());
        let span = traces::current().map(|span| (span, Instant::now()));
        let task: Task = Box::new(move |hasher| {
            if reply.is_closed() {
                return;
            }
            metrics.observe_since(Id::HashWait, &[], queued);
            let span = span.map(|(span, from)| {
                let now = Instant::now();
                span.note(What::HashWait, from, now);
                (span, now)
            });
            let busy = Busy::begin(&metrics);
            let done = task(hasher);
            // Who is answered finds it counted.
            drop(busy);
            if let Some((span, from)) = span {
                span.note(What::Hash, from, Instant::now());
            }
            let _ = reply.send(done);
        });
        self.queue.try_send(task).map_err(|error| match error {
            TrySendError::Full(_) => self.busy(HashRefusal::Full),
            TrySendError::Disconnected(_) => Error::Failed,
        })?;
        match tokio::time::timeout(PATIENCE, answer).await {
            Ok(answer) => answer.map_err(|_| Error::Failed),
            Err(_) => Err(self.busy(HashRefusal::Late)),
        }
    }

    fn busy(&self, why: HashRefusal) -> Error {
        self.metrics.count(Id::HashRefused, &[why.at()]);
        Error::Busy
    }
}

/// A thread that is busy, until this is dropped; also by a panic.
struct Busy<'a> {
    metrics: &'a Metrics,
    started: Option<Instant>,
}

impl<'a> Busy<'a> {
    fn begin(metrics: &'a Metrics) -> Self {
        metrics.raise(Id::HashThreadsBusy);
        Self { metrics, started: metrics.start() }
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.metrics.lower(Id::HashThreadsBusy, 1);
        self.metrics.observe_since(Id::HashDuration, &[], self.started);
    }
}

fn work(mut hasher: Hasher, tasks: &Receiver<Task>, idle: Duration) {
    give_way(NICE);
    let mut wait = None;
    loop {
        let next = match wait {
            Some(limit) => tasks.recv_timeout(limit),
            None => tasks.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match next {
            Ok(task) => {
                let run = std::panic::AssertUnwindSafe(|| task(&mut hasher));
                if std::panic::catch_unwind(run).is_err() {
                    hasher.release_memory();
                }
                wait = Some(idle);
            }
            Err(RecvTimeoutError::Timeout) => {
                hasher.release_memory();
                wait = None;
            }
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]
mod tests {
    use super::*;
    use claviger_crypto::password::Engine;

    fn pool(queue: usize) -> PasswordPool {
        pool_with(Params::new(64, 1, 1).unwrap(), queue, IDLE)
    }

    fn pool_with(params: Params, queue: usize, idle: Duration) -> PasswordPool {
        let hash = Hash { params, engine: Engine::Fast, threads: 1, queue };
        PasswordPool::start_with(hash, idle, Arc::default()).unwrap()
    }

    #[tokio::test]
    async fn a_full_queue_refuses_at_once() {
        let pool = pool(1);
        let (release, blocked) = std::sync::mpsc::channel::<()>();
        let (started, wait) = oneshot::channel();
        let busy = pool.clone();
        let first = tokio::spawn(async move {
            busy.run(move |_| {
                let _ = started.send(());
                let _ = blocked.recv();
            })
            .await
        });
        wait.await.unwrap();
        let waiting = pool.clone();
        let second = tokio::spawn(async move { waiting.run(|_| 2).await });
        while pool.queue.is_empty() {
            tokio::task::yield_now().await;
        }
        assert_eq!(pool.run(|_| 3).await, Err(Error::Busy));
        release.send(()).unwrap();
        assert_eq!(first.await.unwrap(), Ok(()));
        assert_eq!(second.await.unwrap(), Ok(2));
    }

    #[tokio::test]
    async fn a_panic_ends_one_task_only() {
        let pool = pool(4);
        assert_eq!(pool.run(|_| -> u8 { panic!("on purpose") }).await, Err(Error::Failed));
        assert_eq!(pool.run(|_| 1).await, Ok(1));
    }

    /// A field of this thread's own line at the kernel, by its number in `man proc_pid_stat`.
    #[cfg(target_os = "linux")]
    fn of_this_thread(field: usize) -> i64 {
        let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
        stat.rsplit_once(") ").unwrap().1.split(' ').nth(field - 3).unwrap().parse().unwrap()
    }

    /// The pages that one hash uses for the first time.
    #[cfg(target_os = "linux")]
    async fn pages_of_a_hash(pool: &PasswordPool) -> i64 {
        let count = |hasher: &mut Hasher| {
            let before = of_this_thread(10);
            hasher.hash(b"password", [0; 16]).unwrap();
            of_this_thread(10) - before
        };
        pool.run(count).await.unwrap()
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_thread_keeps_its_memory_while_there_is_work_and_then_gives_it_back() {
        let params = Params::new(19456, 1, 1).unwrap();
        let busy = pool_with(params, 4, Duration::from_secs(3600));
        let taken = pages_of_a_hash(&busy).await;
        for _ in 0..5 {
            let more = pages_of_a_hash(&busy).await;
            assert!(more * 4 < taken, "{taken} pages, and {more} again");
        }
        let idle = pool_with(params, 4, Duration::from_millis(1));
        pages_of_a_hash(&idle).await;
        loop {
            tokio::time::sleep(Duration::from_millis(2)).await;
            if pages_of_a_hash(&idle).await * 2 > taken {
                break;
            }
        }
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_thread_gives_way_to_those_of_the_server() {
        let own = of_this_thread(19);
        let of_pool = pool(4).run(|_| of_this_thread(19)).await.unwrap();
        assert_eq!(of_pool, (own + i64::from(NICE)).min(19));
    }
}
