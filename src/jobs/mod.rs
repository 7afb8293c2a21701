//! What the server does by itself: looks for changes of others several times a second, chains the audit
//! trail, rotates the signing keys, and deletes what is over.
//!
//! Every server of an installation runs all jobs; each is safe beside its twins.

mod measure;
mod rotation;
mod sweep;

pub use rotation::Keys;

use crate::app::{App, Cx};
use crate::audit::{Actor, Origin};
use crate::base::{id, random};
use crate::metrics::Id;
use crate::metrics::labels::Job;
use crate::status::LOOK_EVERY;
use crate::{audit, credentials, db, keys, sessions, status};
use futures_util::FutureExt as _;
use std::convert::Infallible;
use std::fmt::Display;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{self, Duration};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};

/// How often it is asked whether the database is there.
const HEALTH_EVERY: Duration = Duration::from_millis(500);

/// How long it may take to answer then.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// How often it is asked whether a key's time has come.
const ROTATE_EVERY: Duration = Duration::from_secs(1);

/// How often new events are chained, and those of deleted accounts erased.
const SEAL_EVERY: Duration = Duration::from_secs(1);

/// How often it is looked at what checking a password costs; where there are many accounts, a look takes longer.
const LEARN_EVERY: Duration = Duration::from_secs(10);

/// Between the parts of such a look: four minutes for a million accounts, in which it takes little of the database.
const LEARN_PAUSE: Duration = Duration::from_millis(250);

/// The same after a start, where nothing is known yet.
const FIRST_LEARN_PAUSE: Duration = Duration::from_millis(4);

/// How often rows that are over are deleted.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// How often metrics look at the signing keys.
const MEASURE_EVERY: Duration = Duration::from_secs(2);

/// How often they count the live sessions.
const COUNT_EVERY: Duration = Duration::from_secs(60);

/// How often it is said that a job goes on failing.
const SAY_AGAIN: Duration = Duration::from_secs(600);

/// Running jobs; they end when this is dropped.
#[derive(Debug)]
pub struct Jobs(JoinSet<()>);

impl Jobs {
    /// Ends the jobs, and waits until they hold nothing any more.
    pub async fn stop(mut self) {
        self.0.shutdown().await;
    }
}

/// Starts the jobs of a server.
#[allow(clippy::disallowed_methods)] // Jobs are the tasks that this program starts by itself.
pub fn start(app: &Arc<App>, keys: Keys) -> Jobs {
    let keys = Arc::new(keys);
    let (known, rotated) = (keys.clone(), keys.clone());
    let mut jobs = JoinSet::new();
    jobs.spawn(rotation::first(app.clone(), keys));
    jobs.spawn(every(LOOK_EVERY, Job::Look, app.clone(), look));
    jobs.spawn(every(LOOK_EVERY, Job::LookAtKeys, app.clone(), move |app| {
        rotation::look(app, known.clone())
    }));
    jobs.spawn(every(HEALTH_EVERY, Job::Health, app.clone(), health));
    jobs.spawn(every(ROTATE_EVERY, Job::Rotate, app.clone(), move |app| {
        rotation::tick(app, rotated.clone())
    }));
    jobs.spawn(every(SEAL_EVERY, Job::Seal, app.clone(), seal));
    jobs.spawn(learn_first(app.clone()));
    jobs.spawn(every(LEARN_EVERY, Job::LearnCosts, app.clone(), learn));
    jobs.spawn(every(SWEEP_EVERY, Job::Sweep, app.clone(), sweep));
    if app.metrics.is_on() {
        jobs.spawn(every(MEASURE_EVERY, Job::Measure, app.clone(), measure::keys));
        jobs.spawn(every(COUNT_EVERY, Job::Measure, app.clone(), measure::sessions));
        let first = app.clone();
        // What fails now is tried again at its turn.
        jobs.spawn(async move { drop(measure(first).await) });
    }
    Jobs(jobs)
}

/// Runs `job` again and again. What fails is logged and tried again at the next turn; a panic is a failure.
async fn every<E, F>(period: Duration, name: Job, app: Arc<App>, job: impl Fn(Arc<App>) -> F + Send)
where
    E: Display,
    F: Future<Output = Result<(), E>> + Send,
{
    // Not at once: a start has better things to do, and what it needs it has looked at.
    let mut turns = tokio::time::interval_at(Instant::now() + period, period);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut said: Option<Instant> = None;
    loop {
        turns.tick().await;
        let error = match AssertUnwindSafe(job(app.clone())).catch_unwind().await {
            Ok(Ok(())) => {
                said = None;
                continue;
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => "it panicked".to_owned(),
        };
        app.metrics.count(Id::JobFailures, &[name.at()]);
        // Not at each turn, but again and again.
        if said.is_none_or(|said| said.elapsed() >= SAY_AGAIN) {
            said = Some(Instant::now());
            tracing::error!(job = name.name(), error, "a job fails; it is tried again");
        }
    }
}

/// The view of a job's run.
pub fn system(app: Arc<App>) -> Cx {
    let now = app.clock.now();
    let request_id = id::uuid_v7(now, random::bytes());
    let origin = Origin { actor: Actor::System, address: None, request_id };
    Cx { app, now, origin, user_agent: None }
}

async fn look(app: Arc<App>) -> Result<(), db::Error> {
    status::flow::refresh(&app.db, &app.statuses, app.clock.now()).await?;
    sessions::flow::settle(&system(app), None).await
}

/// Says once when the database goes, and when it is back.
async fn health(app: Arc<App>) -> Result<(), Infallible> {
    let looked = tokio::time::timeout(ANSWER_WITHIN, app.db.expect_schema()).await;
    let late = db::Error::Unavailable("it does not answer".to_owned());
    let looked = looked.unwrap_or(Err(late));
    if app.health.note(&looked, time::Instant::now()) {
        match looked {
            Ok(()) => tracing::info!("the database is back"),
            Err(error) => tracing::error!(%error, "not ready: the database is away"),
        }
    }
    Ok(())
}

async fn seal(app: Arc<App>) -> Result<(), audit::Error> {
    while audit::flow::go_on_erasing(&app.db).await? {}
    audit::flow::seal(&app.db, &app.secrets.audit).await.map(drop)
}

/// Looks at all that metrics show of the database. Also what a test may call.
///
/// # Errors
/// If the database fails.
pub async fn measure(app: Arc<App>) -> Result<(), keys::Error> {
    measure::keys(app.clone()).await?;
    Ok(measure::sessions(app).await?)
}

async fn learn(app: Arc<App>) -> Result<(), db::Error> {
    credentials::flow::learn_costs(&app, LEARN_PAUSE).await
}

/// From a start on, and quickly. What fails is said when the job's turn comes.
async fn learn_first(app: Arc<App>) {
    let _ = credentials::flow::learn_costs(&app, FIRST_LEARN_PAUSE).await;
}

/// Deletes all that is over. Also what an operator's test of the whole may call.
///
/// # Errors
/// If the database fails.
pub async fn sweep(app: Arc<App>) -> Result<(), audit::Error> {
    sweep::all(&system(app)).await
}
