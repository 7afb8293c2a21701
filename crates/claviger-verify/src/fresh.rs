//! A copy of a file of the server that a task of its own keeps fresh.
//!
//! All fetches of a file are that task's: however many callers wish for a newer copy, there is one fetch at a time, and a
//! caller who hangs up ends none. The task ends with the last handle.

use crate::fetch::{Fetch, FetchError, Request, Response};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, timeout, timeout_at};
use url::Url;

/// A file, and how it is read.
pub(crate) trait File: Send + Sync + 'static {
    /// What it is read as.
    type Value: Send + Sync + 'static;
    /// What is asked for.
    const ACCEPT: &'static str;
    /// Its greatest length, bytes.
    const LIMIT: usize;

    /// Where it is.
    fn url(&self) -> &Url;

    /// Reads it.
    fn read(&self, response: &Response) -> impl Future<Output = Result<Self::Value, FetchError>> + Send;

    /// Whether a copy is good still, so that it may be said again that it has not changed.
    fn is_good(&self, _: &Self::Value) -> bool {
        true
    }

    /// Whether it is older than the copy that is held, which stays then: servers beside each other each have their own.
    fn is_older(&self, _: &Self::Value, _held: &Self::Value) -> bool {
        false
    }

    /// For how long it may be kept.
    fn fresh_for(&self, value: &Self::Value, response: &Response) -> Duration;
}

/// How files are fetched.
#[derive(Clone)]
pub(crate) struct Manner {
    /// By whom.
    pub(crate) fetch: Arc<dyn Fetch>,
    /// How long one fetch may take.
    pub(crate) time_limit: Duration,
    /// The least time between two fetches of a file.
    pub(crate) pause: Duration,
}

/// The shortest time between two fetches that nobody wished for.
const SHORTEST_WAIT: Duration = Duration::from_millis(500);

/// The longest time between two tries while the server is away.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// What is known of a file.
pub(crate) struct State<T> {
    /// The last copy that was good.
    pub(crate) value: Option<Arc<T>>,
    /// When the fetch of it began.
    pub(crate) as_of: Option<Instant>,
    /// When the first try began.
    pub(crate) since: Instant,
    /// When the last try ended.
    tried_at: Option<Instant>,
    tries: u64,
    /// Why the last try failed, if it did.
    pub(crate) failure: Option<FetchError>,
}

impl<T> Clone for State<T> {
    fn clone(&self) -> Self {
        Self { value: self.value.clone(), failure: self.failure.clone(), ..*self }
    }
}

impl<T> State<T> {
    /// Why there is no copy, or no newer one.
    pub(crate) fn failure(&self) -> FetchError {
        self.failure.clone().unwrap_or_else(|| FetchError::new("it has not been fetched yet"))
    }
}

enum Wish {
    /// Fetch it, if the last try is long enough ago.
    Newer,
    /// Fetch it in any case, and tell.
    Now(oneshot::Sender<()>),
}

/// A handle on the copy.
pub(crate) struct Copy<T> {
    state: watch::Receiver<State<T>>,
    wishes: mpsc::Sender<Wish>,
    manner: Manner,
}

impl<T: Send + Sync + 'static> Copy<T> {
    /// Starts the task, which begins by fetching the file.
    #[allow(clippy::disallowed_methods, reason = "the one place of this crate that starts tasks")]
    pub(crate) fn start<F: File<Value = T>>(
        file: F,
        manner: Manner,
        runtime: &tokio::runtime::Handle,
    ) -> Self {
        let none = State {
            value: None,
            as_of: None,
            since: Instant::now(),
            tried_at: None,
            tries: 0,
            failure: None,
        };
        let (sender, state) = watch::channel(none);
        let (wishes, wished) = mpsc::channel(16);
        let task = Task { file, manner: manner.clone(), state: sender, wished, etag: None, failures: 0 };
        drop(runtime.spawn(task.run()));
        Self { state, wishes, manner }
    }

    /// What is known now.
    pub(crate) fn state(&self) -> State<T> {
        self.state.borrow().clone()
    }

    /// What is known after a try that ends from now on, if the last one is long enough ago.
    pub(crate) async fn newer(&self) -> State<T> {
        let mut state = self.state.clone();
        let (tries, tried_at) = {
            let now = state.borrow();
            (now.tries, now.tried_at)
        };
        if tried_at.is_none_or(|tried_at| tried_at.elapsed() >= self.manner.pause) {
            // A full queue holds wishes enough.
            let _ = self.wishes.try_send(Wish::Newer);
            // The present fetch, or the next one.
            let patience = self.manner.time_limit.saturating_add(Duration::from_millis(500));
            let _ = timeout(patience, state.wait_for(|state| state.tries > tries)).await;
        }
        self.state()
    }

    /// What is known after the first try.
    pub(crate) async fn first(&self) -> State<T> {
        let now = self.state();
        if now.tries == 0 { self.newer().await } else { now }
    }

    /// What is known after a try that begins from now on.
    pub(crate) async fn now(&self) -> State<T> {
        let (tell, told) = oneshot::channel();
        if self.wishes.send(Wish::Now(tell)).await.is_ok() {
            let _ = told.await;
        }
        self.state()
    }
}

struct Task<F: File> {
    file: F,
    manner: Manner,
    state: watch::Sender<State<F::Value>>,
    wished: mpsc::Receiver<Wish>,
    etag: Option<String>,
    failures: u32,
}

impl<F: File> Task<F> {
    async fn run(mut self) {
        let mut waiting: Vec<oneshot::Sender<()>> = Vec::new();
        loop {
            let began = Instant::now();
            let fetched = timeout(self.manner.time_limit, self.fetch()).await;
            let fetched = fetched.unwrap_or_else(|_| Err(FetchError::new("it takes too long")));
            let next = self.note(began, fetched);
            for tell in waiting.drain(..) {
                // Who has hung up needs no word.
                let _ = tell.send(());
            }
            let due = Instant::now().checked_add(next);
            let due = due.unwrap_or_else(|| Instant::now() + LONGEST_WAIT);
            let ended = Instant::now();
            loop {
                match timeout_at(due, self.wished.recv()).await {
                    Err(_) => break,
                    Ok(None) => return,
                    Ok(Some(Wish::Newer)) if ended.elapsed() < self.manner.pause => {}
                    Ok(Some(Wish::Newer)) => break,
                    Ok(Some(Wish::Now(tell))) => {
                        waiting.push(tell);
                        break;
                    }
                }
            }
        }
    }

    /// A new copy and for how long it may be kept.
    async fn fetch(&mut self) -> Result<(Arc<F::Value>, Duration), FetchError> {
        let held = self.state.borrow().value.clone();
        let known = held.clone().filter(|known| self.file.is_good(known));
        let request = Request {
            url: self.file.url().clone(),
            accept: F::ACCEPT,
            etag: self.etag.clone().filter(|_| known.is_some()),
            limit: F::LIMIT,
        };
        let response = self.manner.fetch.get(request).await?;
        let value = match (response.status, known) {
            (304, Some(known)) => known,
            (200, _) if response.body.len() > F::LIMIT => {
                return Err(FetchError::new(format_args!("it is longer than {} bytes", F::LIMIT)));
            }
            (200, known) => {
                let value = Arc::new(self.file.read(&response).await?);
                if held.is_some_and(|held| self.file.is_older(&value, &held)) {
                    let older = "it is older than the one that was fetched before";
                    known.ok_or_else(|| FetchError::new(older))?
                } else {
                    self.etag.clone_from(&response.etag);
                    value
                }
            }
            (301 | 302 | 303 | 307 | 308, _) => {
                return Err(FetchError::new("the server sends us elsewhere; that is not followed"));
            }
            (status, _) => return Err(FetchError::new(format_args!("the server answers {status}"))),
        };
        let fresh_for = self.file.fresh_for(&value, &response);
        Ok((value, fresh_for))
    }

    /// Notes what came of a try; gives the time until the next one.
    fn note(&mut self, began: Instant, fetched: Result<(Arc<F::Value>, Duration), FetchError>) -> Duration {
        let url = self.file.url().as_str();
        let (next, outcome) = match fetched {
            Ok((value, fresh_for)) => {
                if self.failures > 0 {
                    tracing::info!(url, "it is fetched again");
                }
                self.failures = 0;
                // Half of the time is left for tries that fail. A server that forbids keeping is asked now and then.
                let next =
                    if fresh_for.is_zero() { self.manner.pause } else { (fresh_for / 2).max(SHORTEST_WAIT) };
                (next, Ok(value))
            }
            Err(error) => {
                if self.failures == 0 {
                    tracing::warn!(url, %error, "it cannot be fetched; this is tried again and again");
                }
                let factor = 2_u32.saturating_pow(self.failures.min(8));
                self.failures = self.failures.saturating_add(1);
                let wait = self.manner.pause.saturating_mul(factor);
                (wait.min(LONGEST_WAIT.max(self.manner.pause)), Err(error))
            }
        };
        self.state.send_modify(|state| {
            state.tries += 1;
            state.tried_at = Some(Instant::now());
            match outcome {
                Ok(value) => {
                    (state.value, state.as_of, state.failure) = (Some(value), Some(began), None);
                }
                Err(error) => state.failure = Some(error),
            }
        });
        next
    }
}
