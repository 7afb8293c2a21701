//! HTTP/2 (RFC 9113) on a connection, under the limits that HTTP/1.1 has, and some that only it needs: many requests
//! share a connection, and a client can take one back at no cost.
//!
//! hyper has no time limits for it but the ping. So that the end of a connection can be decided on, each request is
//! counted while its answer is made, and while the client has not let all of it be sent.

use axum::body::Body;
use axum::response::Response;
use hyper::body::{Body as HttpBody, Bytes, Frame, SizeHint};
use hyper::server::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use hyper_util::server::graceful::GracefulConnection;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, MissedTickBehavior, interval};

/// Requests of a connection at once. What is more is refused so that it may be sent again (RFC 9113 §5.1.2).
const MAX_STREAMS: u32 = 100;

/// Requests that a client took back before they were answered, after which it is asked to come back on a new
/// connection; after twice as many it is cut off. Otherwise it could have work done at no cost (CVE-2023-44487).
const MAX_TAKEN_BACK: u32 = 100;

/// The same, of those that were taken back before hyper saw them.
const MAX_UNSEEN: usize = 20;

/// Faults of a client that end a stream; more end the connection (RUSTSEC-2024-0003).
const MAX_FAULTS: usize = 100;

/// What a client may send of one body, and of all, before it is read. Bodies have 64 kB at most.
const STREAM_WINDOW: u32 = 64 * 1024;
const CONNECTION_WINDOW: u32 = 256 * 1024;

/// How much of an answer is handed on at once, and may wait to be sent. As the next piece is asked for, the client has
/// let the one before be sent: a slow reader is told by that from one who reads nothing.
const PIECE: usize = 4 * 1024;
const SEND_BUFFER: usize = 4 * PIECE;

/// When a client is asked whether it is still there, after it has sent nothing, and how long it has to say so.
const PING_AFTER: Duration = Duration::from_secs(5);
const PING_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a connection is kept without a request, from its beginning or after the last answer.
const IDLE_TIMEOUT: Duration = super::accept::HEADER_TIMEOUT;

/// How long nothing at all may happen while the client leaves an answer unread.
const READ_TIMEOUT: Duration = super::accept::WRITE_TIMEOUT;

/// The same for one that has not asked for anything.
const SILENT_TIMEOUT: Duration = Duration::from_secs(1);

/// How long a client that was asked to go may stay, whatever it does.
const FAREWELL: Duration = Duration::from_secs(30);

/// How often it is looked whether a time is over.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// HTTP/2 within its limits.
pub(super) fn builder() -> http2::Builder<TokioExecutor> {
    let mut http = http2::Builder::new(TokioExecutor::new());
    http.timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(u32::try_from(super::accept::MAX_HEADER_BYTES).unwrap_or(u32::MAX))
        .max_pending_accept_reset_streams(MAX_UNSEEN)
        .max_local_error_reset_streams(MAX_FAULTS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .keep_alive_interval(PING_AFTER)
        .keep_alive_timeout(PING_TIMEOUT);
    http
}

/// The requests of one connection.
#[derive(Clone, Debug)]
pub(super) struct Requests(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    counts: Mutex<Counts>,
    /// Too many were taken back.
    too_many: Notify,
}

/// How many requests there are, and when something happened last.
#[derive(Clone, Copy, Debug)]
struct Counts {
    /// Since the connection began.
    begun: u32,
    /// Of which the answer is being made.
    at_work: u32,
    /// Of which the answer is made and not all sent.
    unsent: u32,
    /// Which the client took back before they were answered.
    taken_back: u32,
    last: Instant,
}

/// What to do with a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Keep,
    /// Ask the client to send what is new on another connection, and finish the rest.
    Farewell,
    /// End it at once.
    Cut,
}

impl Counts {
    /// Judges a connection; `leaving` says whether this server is about to stop, `since` when its client was asked to
    /// go.
    fn judge(&self, now: Instant, leaving: bool, since: Option<Instant>) -> Verdict {
        let silence = now.saturating_duration_since(self.last);
        let is_idle = self.at_work == 0 && self.unsent == 0;
        let patience = if self.begun == 0 { SILENT_TIMEOUT } else { READ_TIMEOUT };
        let is_stuck = self.at_work == 0 && (self.unsent > 0 || since.is_some()) && silence >= patience;
        let is_overdue = since.is_some_and(|since| now.saturating_duration_since(since) >= FAREWELL);
        if is_stuck || is_overdue || self.taken_back >= 2 * MAX_TAKEN_BACK {
            return Verdict::Cut;
        }
        let is_over = (is_idle && silence >= IDLE_TIMEOUT)
            || (leaving && self.begun > self.at_work)
            || self.taken_back >= MAX_TAKEN_BACK;
        if is_over && since.is_none() { Verdict::Farewell } else { Verdict::Keep }
    }
}

impl Requests {
    /// None so far.
    pub(super) fn new() -> Self {
        let counts = Counts { begun: 0, at_work: 0, unsent: 0, taken_back: 0, last: Instant::now() };
        Self(Arc::new(Shared { counts: Mutex::new(counts), too_many: Notify::new() }))
    }

    /// One more, to be answered.
    pub(super) fn begin(&self) -> AtWork {
        self.change(|counts| {
            counts.begun = counts.begun.saturating_add(1);
            counts.at_work += 1;
        });
        AtWork { requests: self.clone(), is_answered: false }
    }

    fn change(&self, change: impl FnOnce(&mut Counts)) {
        let mut counts = self.counts();
        change(&mut counts);
        counts.last = Instant::now();
        if counts.taken_back >= MAX_TAKEN_BACK {
            self.0.too_many.notify_one();
        }
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Serves the connection to its end, which is by itself or when `stopped` says so, and sooner where it is idle,
    /// stuck or abused.
    pub(super) async fn serve<C: GracefulConnection<Error = hyper::Error>>(
        self,
        connection: C,
        leaving: &AtomicBool,
        stopped: impl Future<Output = ()>,
    ) -> Result<(), Ended> {
        let (mut connection, mut stopped) = (pin!(connection), pin!(stopped));
        let (mut since, mut is_stopped) = (None, false);
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                ended = &mut connection => return ended.map_err(Ended::Itself),
                () = &mut stopped, if !is_stopped => {
                    is_stopped = true;
                    since.get_or_insert_with(Instant::now);
                    connection.as_mut().graceful_shutdown();
                }
                () = self.0.too_many.notified() => {}
                _ = looks.tick() => {}
            }
            let counts = *self.counts();
            match counts.judge(Instant::now(), leaving.load(Ordering::Relaxed), since) {
                Verdict::Keep => {}
                Verdict::Farewell => {
                    since = Some(Instant::now());
                    connection.as_mut().graceful_shutdown();
                }
                Verdict::Cut => {
                    return Err(Ended::Cut { taken_back: counts.taken_back, unsent: counts.unsent });
                }
            }
        }
    }
}

/// Why a connection ended before its client wanted it to.
#[derive(Debug, thiserror::Error)]
pub(super) enum Ended {
    /// The client's fault, as HTTP has it.
    #[error(transparent)]
    Itself(hyper::Error),
    /// It was of no use any more.
    #[error("it was cut: {taken_back} requests taken back, {unsent} answers unread")]
    Cut {
        /// Requests that the client took back.
        taken_back: u32,
        /// Answers that it did not read.
        unsent: u32,
    },
}

/// A request whose answer is being made. Dropped without one, it was taken back.
#[derive(Debug)]
pub(super) struct AtWork {
    requests: Requests,
    is_answered: bool,
}

impl AtWork {
    /// The answer, whose sending is watched.
    pub(super) fn answered(mut self, answer: Response) -> hyper::Response<Watched> {
        self.is_answered = true;
        self.requests.change(|counts| counts.unsent += 1);
        let requests = self.requests.clone();
        answer.map(|body| Watched { is_begun: body.is_end_stream(), body, rest: Bytes::new(), requests })
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        self.requests.change(|counts| {
            counts.at_work -= 1;
            counts.taken_back += u32::from(!self.is_answered);
        });
    }
}

/// The body of an answer, which is dropped when the client has let all of it be sent.
#[derive(Debug)]
pub(super) struct Watched {
    body: Body,
    /// What the body has given and was not handed on yet.
    rest: Bytes,
    /// Whether the client still wanted it when it was there. A handler that waits for a body may give its answer only
    /// because the client has taken the request back.
    is_begun: bool,
    requests: Requests,
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.requests.change(|counts| {
            counts.unsent -= 1;
            counts.taken_back += u32::from(!self.is_begun);
        });
    }
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.is_begun = true;
        // What was handed on before is sent, or as good as that.
        self.requests.change(|_| {});
        if self.rest.is_empty() {
            match ready!(Pin::new(&mut self.body).poll_frame(cx)).map(|frame| frame.map(Frame::into_data)) {
                Some(Ok(Ok(data))) => self.rest = data,
                Some(Ok(Err(trailers))) => return Poll::Ready(Some(Ok(trailers))),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
        let piece = self.rest.len().min(PIECE);
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(piece)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (rest, body) = (self.rest.len() as u64, self.body.size_hint());
        let mut hint = SizeHint::new();
        hint.set_lower(body.lower().saturating_add(rest));
        if let Some(upper) = body.upper() {
            hint.set_upper(upper.saturating_add(rest));
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(begun: u32, at_work: u32, unsent: u32, taken_back: u32) -> Counts {
        Counts { begun, at_work, unsent, taken_back, last: Instant::now() }
    }

    #[test]
    fn a_connection_is_judged_by_what_happens_on_it() {
        use Verdict::{Cut, Farewell, Keep};
        for (what, counts, silent, asked_to_go, leaving, verdict) in [
            ("new", counts(0, 0, 0, 0), 4, None, false, Keep),
            ("nothing was asked", counts(0, 0, 0, 0), 5, None, false, Farewell),
            ("nor will be", counts(0, 0, 0, 0), 6, Some(1), false, Cut),
            ("idle for a moment", counts(7, 0, 0, 0), 4, None, false, Keep),
            ("idle", counts(7, 0, 0, 0), 5, None, false, Farewell),
            ("idle, on its way out", counts(7, 0, 0, 0), 9, Some(4), false, Keep),
            ("idle, but not gone", counts(7, 0, 0, 0), 10, Some(5), false, Cut),
            ("a long hash", counts(7, 1, 0, 0), 29, None, false, Keep),
            ("a long hash at a stop", counts(7, 1, 0, 0), 29, Some(29), false, Keep),
            ("longer than any", counts(7, 1, 0, 0), 30, Some(30), false, Cut),
            ("an answer half read", counts(7, 0, 1, 0), 9, None, false, Keep),
            ("an answer unread", counts(7, 0, 1, 0), 10, None, false, Cut),
            ("some taken back", counts(900, 1, 0, 99), 0, None, false, Keep),
            ("many taken back", counts(900, 1, 0, 100), 0, None, false, Farewell),
            ("many more", counts(900, 1, 0, 200), 0, Some(0), false, Cut),
            ("leaving, nothing answered yet", counts(1, 1, 0, 0), 0, None, true, Keep),
            ("leaving", counts(2, 1, 0, 0), 0, None, true, Farewell),
            ("leaving, and it was said", counts(2, 1, 0, 0), 0, Some(0), true, Keep),
        ] {
            let after = |seconds| counts.last + Duration::from_secs(seconds);
            let since = asked_to_go.map(|ago: u64| after(silent) - Duration::from_secs(ago));
            assert_eq!(counts.judge(after(silent), leaving, since), verdict, "{what}");
        }
    }
}
