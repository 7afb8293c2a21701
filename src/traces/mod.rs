//! Spans of requests for OpenTelemetry: one for each, with those of hashes, writes and signatures inside.
//!
//! Ours rather than the official crates: those read the environment and draw randomness by themselves, bring a thread
//! and sixteen packages, need an HTTP client all the same, and do not tell what they dropped.
//!
//! A request's span lives in its task. Where nothing is traced there is none, and nothing is looked at but that.

pub mod context;
pub mod otlp;
mod sampler;

use crate::base::random;
use crate::base::time::Timestamp;
use crate::config::Sampler;
use crate::metrics::labels::{HttpMethod, SpanOutcome};
use crate::metrics::{Id, Metrics, nanos};
use context::{Remote, SpanId, TraceId};
use futures_util::future::Either;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use tokio::sync::mpsc;
use tokio::task::futures::TaskLocalFuture;

/// The most spans inside that of a request.
const MOST_CHILDREN: usize = 64;

/// What a span is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpanKind {
    /// Something inside the program.
    Internal = 1,
    /// A request that was answered.
    Server = 2,
    /// Something asked of another, as of the database.
    Client = 3,
}

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A text.
    Text(String),
    /// A number.
    Number(i64),
}

/// A span that is over.
#[derive(Clone, Debug)]
pub struct Span {
    /// Its trace.
    pub trace: TraceId,
    /// Its own id.
    pub id: SpanId,
    /// The span that it is inside of.
    pub parent: Option<SpanId>,
    /// Whether that is another program's.
    pub parent_is_remote: bool,
    /// `tracestate`.
    pub state: String,
    /// What it is called: never a path or anything else of the caller's.
    pub name: String,
    /// What it is of.
    pub kind: SpanKind,
    /// When it began, in nanoseconds since 1970.
    pub began: u64,
    /// When it ended.
    pub ended: u64,
    /// What is said of it.
    pub attributes: Vec<(&'static str, Value)>,
    /// Whether it failed.
    pub failed: bool,
}

/// Begins the spans of requests and passes those on that are over. It never waits: where too many wait to be sent,
/// spans are dropped and counted.
#[derive(Debug)]
pub struct Tracer {
    sampler: Sampler,
    queue: mpsc::Sender<Vec<Span>>,
    metrics: Arc<Metrics>,
    /// What requests come by: never what a client says of that.
    scheme: &'static str,
}

/// The span of a request that is under way. Sent when the last who works for the request lets go of it.
#[derive(Debug)]
pub struct RequestSpan {
    tracer: Arc<Tracer>,
    trace: TraceId,
    id: SpanId,
    parent: Option<Remote>,
    sampled: bool,
    /// The same moment by both clocks.
    began: (Timestamp, Instant),
    spans: Mutex<Vec<Span>>,
}

/// How a request ended.
#[derive(Clone, Copy, Debug)]
pub struct Ending<'a> {
    /// Its method.
    pub method: &'a str,
    /// The template of its route, if one took it.
    pub route: Option<&'a str>,
    /// The status of the answer, unless the caller hung up before.
    pub status: Option<u16>,
    /// Its id in the log.
    pub request_id: uuid::Uuid,
}

tokio::task_local! {
    static CURRENT: Arc<RequestSpan>;
}

impl Tracer {
    /// One that keeps at most `queue` requests in wait, and the end that they come out of. `over_tls` is how the server
    /// speaks with everybody.
    pub fn new(
        sampler: Sampler,
        queue: usize,
        metrics: Arc<Metrics>,
        over_tls: bool,
    ) -> (Self, mpsc::Receiver<Vec<Span>>) {
        let (sender, receiver) = mpsc::channel(queue.max(1));
        let scheme = if over_tls { "https" } else { "http" };
        (Self { sampler, queue: sender, metrics, scheme }, receiver)
    }

    /// Begins the span of a request that came now.
    pub fn begin(self: &Arc<Self>, parent: Option<Remote>, now: Timestamp) -> Arc<RequestSpan> {
        let trace = parent.as_ref().map_or_else(|| TraceId::of(random::bytes()), |parent| parent.trace);
        Arc::new(RequestSpan {
            tracer: self.clone(),
            trace,
            id: SpanId::of(random::bytes()),
            sampled: self.sampler.keeps(parent.as_ref(), trace),
            parent,
            began: (now, Instant::now()),
            spans: Mutex::default(),
        })
    }
}

impl RequestSpan {
    /// The trace's id, for the log.
    pub fn trace_id(&self) -> TraceId {
        self.trace
    }

    /// Its own id, for the log.
    pub fn span_id(&self) -> SpanId {
        self.id
    }

    /// Ends it.
    pub fn end(&self, Ending { method, route, status, request_id }: Ending<'_>) {
        if !self.sampled {
            return;
        }
        let known = HttpMethod::of(method) != HttpMethod::Other;
        let method = if known { method } else { "_OTHER" };
        let text = |text: &str| Value::Text(text.to_owned());
        let mut attributes = vec![
            ("http.request.method", text(method)),
            ("url.scheme", text(self.tracer.scheme)),
            ("claviger.request_id", Value::Text(request_id.to_string())),
        ];
        attributes.extend(route.map(|route| ("http.route", text(route))));
        attributes.extend(status.map(|status| ("http.response.status_code", Value::Number(status.into()))));
        let error = match status {
            None => Some("abandoned".to_owned()),
            Some(500..) => status.map(|status| status.to_string()),
            Some(_) => None,
        };
        let failed = error.is_some();
        attributes.extend(error.map(|error| ("error.type", Value::Text(error))));
        let method = if known { method } else { "HTTP" };
        let name = route.map_or_else(|| method.to_owned(), |route| format!("{method} {route}"));
        let span = Span {
            id: self.id,
            parent: self.parent.as_ref().map(|parent| parent.span),
            parent_is_remote: self.parent.is_some(),
            name,
            kind: SpanKind::Server,
            attributes,
            failed,
            ..self.span(self.began.1, Instant::now())
        };
        // However many are inside it.
        self.spans.lock().unwrap_or_else(PoisonError::into_inner).push(span);
    }

    /// One inside it, without a name yet.
    fn span(&self, from: Instant, to: Instant) -> Span {
        let at = |moment: Instant| {
            let began = u64::try_from(self.began.0.as_micros()).unwrap_or(0).saturating_mul(1000);
            began.saturating_add(nanos(moment.saturating_duration_since(self.began.1)))
        };
        Span {
            trace: self.trace,
            id: SpanId::of(random::bytes()),
            parent: Some(self.id),
            parent_is_remote: false,
            state: self.parent.as_ref().map(|parent| parent.state.clone()).unwrap_or_default(),
            name: String::new(),
            kind: SpanKind::Internal,
            began: at(from),
            ended: at(to),
            attributes: Vec::new(),
            failed: false,
        }
    }

    /// Notes what was done inside it.
    pub fn note(&self, what: What, from: Instant, to: Instant) {
        let mut spans = self.spans.lock().unwrap_or_else(PoisonError::into_inner);
        if spans.len() >= MOST_CHILDREN {
            self.tracer.count(SpanOutcome::Dropped, 1);
            return;
        }
        spans.push(what.named(self.span(from, to)));
    }
}

/// `traceresponse` (W3C Trace Context, the editor's draft of its next level): which span the answer comes from.
impl fmt::Display for RequestSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{}-0{}", self.trace, self.id, u8::from(self.sampled))
    }
}

impl Drop for RequestSpan {
    fn drop(&mut self) {
        let spans = std::mem::take(self.spans.get_mut().unwrap_or_else(PoisonError::into_inner));
        let count = spans.len();
        if count > 0 && self.tracer.queue.try_send(spans).is_err() {
            self.tracer.count(SpanOutcome::Dropped, count);
        }
    }
}

impl Tracer {
    fn count(&self, outcome: SpanOutcome, spans: usize) {
        self.metrics.count_many(Id::Spans, &[outcome.at()], spans);
    }
}

/// What is done inside a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// A password waits for a thread.
    HashWait,
    /// A thread hashes it.
    Hash,
    /// A transaction that writes.
    Write {
        /// `db.system.name`, as OpenTelemetry calls the engine.
        engine: &'static str,
    },
    /// A token is signed.
    Sign,
}

impl What {
    fn named(self, span: Span) -> Span {
        match self {
            Self::HashWait => Span { name: "password.wait".to_owned(), ..span },
            Self::Hash => Span { name: "password.hash".to_owned(), ..span },
            Self::Write { engine } => Span {
                name: "database.write".to_owned(),
                kind: SpanKind::Client,
                attributes: vec![("db.system.name", Value::Text(engine.to_owned()))],
                ..span
            },
            Self::Sign => Span { name: "token.sign".to_owned(), ..span },
        }
    }
}

/// The span of the request that this task works for, if it is kept.
pub fn current() -> Option<Arc<RequestSpan>> {
    CURRENT.try_with(|span| span.sampled.then(|| span.clone())).ok().flatten()
}

/// The trace of the request that this task works for, for its lines in the log.
pub fn trace_id() -> Option<TraceId> {
    CURRENT.try_with(|span| span.trace).ok()
}

/// Something that is being done inside the present request; noted when this is dropped.
#[derive(Debug)]
pub struct Doing(Option<(Arc<RequestSpan>, What, Instant)>);

/// Begins something inside the present request, if there is one that is kept.
pub fn begin(what: What) -> Doing {
    Doing(current().map(|span| (span, what, Instant::now())))
}

impl Drop for Doing {
    fn drop(&mut self) {
        if let Some((span, what, from)) = self.0.take() {
            span.note(what, from, Instant::now());
        }
    }
}

/// `work`, perhaps inside a span.
pub type Within<F> = Either<F, Pin<Box<TaskLocalFuture<Arc<RequestSpan>, F>>>>;

/// Does `work` inside this span, if there is one. Without one it is as large as before: futures are copied on their way.
pub fn within<F: Future>(span: Option<Arc<RequestSpan>>, work: F) -> Within<F> {
    match span {
        Some(span) => Either::Right(Box::pin(CURRENT.scope(span, work))),
        None => Either::Left(work),
    }
}

/// Has `work` take the present request's span along, into a task of its own.
pub fn carried<F: Future>(work: F) -> Within<F> {
    within(CURRENT.try_with(Clone::clone).ok(), work)
}
