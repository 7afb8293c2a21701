//! Every metric there is, declared once: the registry, the page, docs/reference/metrics.md and the tests of the
//! dashboard and of the alerts are made from this table.
//!
//! Names follow Prometheus: base units, `_total` for counters. Those of the process are the ones that all client
//! libraries use.

use super::labels::{
    Engine, EventOutcome, HashRefusal, HttpMethod, Job, KeyState, LimitClass, LoginOutcome, Operation,
    RefreshOutcome, SignUpOutcome, SpanOutcome, StatusClass, SweptTable,
};

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Goes up only.
    Counter,
    /// What is so now, looked at when the page is asked for; missing where it is not known.
    Gauge,
    /// What is so now, counted up and down.
    Level,
    /// How often values fell below each of these bounds, in units of the scale.
    Histogram(&'static [u64]),
}

/// What a cell counts, beside the unit of its metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// The unit itself.
    One,
    /// Billionths of it.
    Nanos,
}

/// A label.
#[derive(Clone, Copy, Debug)]
pub struct Label {
    /// Its name.
    pub name: &'static str,
    /// The values that it can have.
    pub values: Values,
}

/// The values of a label.
#[derive(Clone, Copy, Debug)]
pub enum Values {
    /// These.
    Named(&'static [&'static str]),
    /// The paths of the route table, and `none` for what no route takes.
    Routes,
    /// The kinds of events of the audit trail.
    Events,
}

/// A metric.
#[derive(Clone, Copy, Debug)]
pub struct Family {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// What its cells count.
    pub scale: Scale,
    /// Its labels.
    pub labels: &'static [Label],
    /// What it tells, in a sentence.
    pub help: &'static str,
}

const fn label(name: &'static str, values: &'static [&'static str]) -> Label {
    Label { name, values: Values::Named(values) }
}

/// The method of a request.
pub const METHOD: Label = label("method", HttpMethod::NAMES);
/// The template of its route, never its path.
pub const ROUTE: Label = Label { name: "route", values: Values::Routes };
const STATE: Label = label("state", KeyState::NAMES);

const MICROSECOND: u64 = 1_000;
const MILLISECOND: u64 = 1_000_000;
const SECOND: u64 = 1_000_000_000;

/// From what memory answers to what a client gives up on.
const ANSWERS: &[u64] = &[
    100 * MICROSECOND,
    250 * MICROSECOND,
    500 * MICROSECOND,
    MILLISECOND,
    5 * MILLISECOND / 2,
    5 * MILLISECOND,
    10 * MILLISECOND,
    25 * MILLISECOND,
    50 * MILLISECOND,
    100 * MILLISECOND,
    250 * MILLISECOND,
    500 * MILLISECOND,
    SECOND,
    5 * SECOND / 2,
    5 * SECOND,
];

/// From a read of SQLite in place to PostgreSQL's limit of 1.8 s.
const TRANSACTIONS: &[u64] = &[
    10 * MICROSECOND,
    25 * MICROSECOND,
    50 * MICROSECOND,
    100 * MICROSECOND,
    250 * MICROSECOND,
    500 * MICROSECOND,
    MILLISECOND,
    5 * MILLISECOND / 2,
    5 * MILLISECOND,
    10 * MILLISECOND,
    25 * MILLISECOND,
    50 * MILLISECOND,
    100 * MILLISECOND,
    500 * MILLISECOND,
    2 * SECOND,
];

/// Of hashes and of waiting for them; nobody waits for longer than 5 s.
const HASHES: &[u64] = &[
    MILLISECOND,
    5 * MILLISECOND,
    10 * MILLISECOND,
    25 * MILLISECOND,
    50 * MILLISECOND,
    100 * MILLISECOND,
    250 * MILLISECOND,
    500 * MILLISECOND,
    SECOND,
    5 * SECOND / 2,
    5 * SECOND,
];

/// The writer takes 256 at most.
const GROUPS: &[u64] = &[1, 2, 4, 8, 16, 32, 64, 128, 256];

macro_rules! families {
    ($($id:ident: $kind:expr, $scale:ident, $name:literal, [$($label:expr),*], $help:literal;)*) => {
        /// Names a metric, by its place in [`FAMILIES`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Id { $(#[doc = $help] $id),* }

        /// All metrics, in the order of the page.
        pub const FAMILIES: &[Family] = &[$(Family {
            name: $name,
            kind: $kind,
            scale: Scale::$scale,
            labels: &[$($label),*],
            help: $help,
        }),*];
    };
}

use Kind::{Counter, Gauge, Histogram, Level};

families! {
    Requests: Counter, One, "claviger_http_requests_total", [METHOD, ROUTE, label("status", StatusClass::NAMES)],
        "Requests by method, route and class of the answer's status; `none` where the caller hung up.";
    RequestDuration: Histogram(ANSWERS), Nanos, "claviger_http_request_duration_seconds", [METHOD, ROUTE],
        "How long requests took, from their headers to the answer's.";
    RequestsInFlight: Level, One, "claviger_http_requests_in_flight", [],
        "Requests that are being answered.";
    RequestsLimited: Counter, One, "claviger_http_requests_limited_total", [label("limit", LimitClass::NAMES)],
        "Requests refused because their network sent too many, by limit.";
    ConnectionsOpen: Level, One, "claviger_http_connections_open", [],
        "Connections that are open.";
    ConnectionsMax: Gauge, One, "claviger_http_connections_max", [],
        "Most connections at once (max_connections).";
    ConnectionsAccepted: Counter, One, "claviger_http_connections_total", [],
        "Connections that were accepted.";
    Logins: Counter, One, "claviger_logins_total", [label("outcome", LoginOutcome::NAMES)],
        "Logins by outcome.";
    SignUps: Counter, One, "claviger_sign_ups_total", [label("outcome", SignUpOutcome::NAMES)],
        "Sign-ups by outcome.";
    Refreshes: Counter, One, "claviger_refreshes_total", [label("outcome", RefreshOutcome::NAMES)],
        "Refreshes by outcome.";
    GuessesRefused: Counter, One, "claviger_guesses_refused_total", [],
        "Passwords that were not looked at, because too many before them were wrong.";
    AuditEvents: Counter, One, "claviger_audit_events_total",
        [Label { name: "event", values: Values::Events }, label("outcome", EventOutcome::NAMES)],
        "Events by kind and outcome: those of this server in the audit trail, wrong passwords, and refreshes even where `audit_refreshes` is off.";
    HashQueue: Gauge, One, "claviger_hash_queue_length", [],
        "Passwords that wait for a thread.";
    HashQueueMax: Gauge, One, "claviger_hash_queue_max", [],
        "Most passwords that may wait (hash_queue).";
    HashWait: Histogram(HASHES), Nanos, "claviger_hash_wait_seconds", [],
        "How long passwords waited for a thread.";
    HashDuration: Histogram(HASHES), Nanos, "claviger_hash_duration_seconds", [],
        "How long threads were busy with a password.";
    HashThreads: Gauge, One, "claviger_hash_threads", [],
        "Threads that hash passwords.";
    HashThreadsBusy: Level, One, "claviger_hash_threads_busy", [],
        "Threads that are hashing a password.";
    HashRefused: Counter, One, "claviger_hash_refused_total", [label("reason", HashRefusal::NAMES)],
        "Passwords that were not hashed: the queue was full, or their turn did not come in time.";
    DatabaseUp: Gauge, One, "claviger_database_up", [],
        "Whether the database answered lately.";
    DatabaseDuration: Histogram(TRANSACTIONS), Nanos, "claviger_database_duration_seconds",
        [label("operation", Operation::NAMES)],
        "How long transactions took, waiting included: reads, writes up to their commit, looks for others' changes.";
    DatabaseQueue: Level, One, "claviger_database_queue_length", [],
        "Transactions that wait for the writer (SQLite) or for a connection (PostgreSQL).";
    SqliteGroup: Histogram(GROUPS), One, "claviger_sqlite_group_size", [],
        "How many transactions shared a commit. Empty on PostgreSQL.";
    PostgresThreads: Gauge, One, "claviger_postgres_connections_max", [],
        "Most connections to PostgreSQL, those for looks included; 0 on SQLite.";
    PostgresThreadsBusy: Level, One, "claviger_postgres_connections_busy", [],
        "Connections to PostgreSQL that are inside a transaction.";
    PostgresRetries: Counter, One, "claviger_postgres_retries_total", [],
        "Transactions that PostgreSQL refused or lost and that were run again.";
    SessionsLive: Gauge, One, "claviger_sessions_live", [],
        "Sessions that are live, in the whole installation; counted each minute.";
    Keys: Gauge, One, "claviger_signing_keys", [STATE],
        "Signing keys by state.";
    KeyAge: Gauge, Nanos, "claviger_signing_key_age_seconds", [STATE],
        "How long ago the oldest key of each state was made.";
    KeyNextStep: Gauge, Nanos, "claviger_signing_key_next_step_seconds", [STATE],
        "Time until the first key of each state takes its next step: the active one retires, the next one begins to sign, a retired one leaves the JWK set. Negative if that is overdue.";
    RowsSwept: Counter, One, "claviger_rows_swept_total", [label("table", SweptTable::NAMES)],
        "Rows that this server deleted because they were over, by table.";
    JobFailures: Counter, One, "claviger_job_failures_total", [label("task", Job::NAMES)],
        "Runs of the server's own jobs that failed.";
    Spans: Counter, One, "claviger_trace_spans_total", [label("outcome", SpanOutcome::NAMES)],
        "Spans by what became of them. 0 unless traces are on.";
    BuildInfo: Gauge, One, "claviger_build_info",
        [label("version", &[env!("CARGO_PKG_VERSION")]), label("database", Engine::NAMES)],
        "Always 1, with the version of the program and the engine of its database.";
    StartTime: Gauge, Nanos, "process_start_time_seconds", [],
        "When the server started, in seconds since 1970.";
    CpuSeconds: Counter, Nanos, "process_cpu_seconds_total", [],
        "Time of processors that the process took. Linux only.";
    ResidentMemory: Gauge, One, "process_resident_memory_bytes", [],
        "Memory that the process holds. Linux only.";
    OpenFiles: Gauge, One, "process_open_fds", [],
        "Files and connections that the process has open. Linux only.";
    MaxFiles: Gauge, One, "process_max_fds", [],
        "Most files and connections that it may have open. Linux only.";
}
