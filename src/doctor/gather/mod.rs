//! Gathering the facts: all at once, each within its time, and nothing is changed.

mod flow;
mod folder;
mod issuer;
pub(super) mod own;
mod process;
mod store;
mod tls;
mod web;

use super::facts::{Facts, Looked};
use super::rate::{Rate, machine_kib, measure};
use crate::base::time::Clock;
use crate::config::{Config, Hash};
use crate::keys;
use std::sync::Arc;
use std::time::Duration;

/// How long the folder may take; a file system of the network may never answer.
const FOLDER: Duration = Duration::from_secs(2);

/// How long each of the others may take.
const REST: Duration = Duration::from_secs(7);

/// How often the hash is measured, unless it is slow.
const ROUNDS: usize = 3;

/// A hash that takes so long is measured once.
const SLOW: Duration = Duration::from_millis(500);

/// The same of the database where all of it is read.
const DEEP: Duration = Duration::from_secs(600);

/// Looks at an installation. `flags` are those that other commands need to find it; `deep` reads the whole database.
///
/// # Errors
/// If there is no installation, or this user may not look at it.
pub async fn gather(config: Config, flags: Vec<String>, deep: bool, clock: Clock) -> Result<Facts, String> {
    let config = Arc::new(config);
    let own = config.clone();
    let looked = within(FOLDER, aside(move || Ok((folder::look(&own)?, process::look(&own)?)))).await;
    let (folder, process) = looked?;
    let (own, is_held) = (config.clone(), process.is_held);
    let master =
        aside(move || keys::master::obtain(&own.master_key, false).map_err(|error| error.to_string()));
    let master = within(FOLDER, master).await;
    let (key, own, told) = (master.as_ref().ok().cloned(), config.clone(), clock.clone());
    let database = aside(move || flow::look(&own, is_held, key.as_ref(), deep, &told));
    let hash = config.hash;
    let rate = aside(move || rate(hash));
    let (database, rate, (listener, issuer)) = tokio::join!(
        within(if deep { DEEP } else { REST }, database),
        within(REST, rate),
        issuer::look(&config, &clock),
    );
    let now = clock.now();
    let (master, machine_kib) = (master.map(drop), machine_kib());
    Ok(Facts { now, config, flags, folder, process, master, database, listener, issuer, rate, machine_kib })
}

/// The best of a few measurements, since all else on the machine only slows; of one that is slow there is but one.
fn rate(hash: Hash) -> Looked<Rate> {
    let measured = || measure(hash).map_err(|error| error.to_string());
    let mut best = measured()?;
    for _ in 1..ROUNDS {
        if best.each < SLOW {
            let next = measured()?;
            best = if next.per_second > best.per_second { next } else { best };
        }
    }
    Ok(best)
}

/// Runs what may block on a thread of its own; whoever does not wait for it any more lets it be.
#[allow(clippy::disallowed_methods)] // A look may hang for ever, and nothing waits for it at the end.
async fn aside<T: Send + 'static>(look: impl FnOnce() -> Looked<T> + Send + 'static) -> Looked<T> {
    tokio::task::spawn_blocking(look)
        .await
        .unwrap_or_else(|_| Err("the look at it failed: a defect, please report it".into()))
}

async fn within<T>(limit: Duration, look: impl Future<Output = Looked<T>>) -> Looked<T> {
    let late = |_| Err(format!("it took longer than {} s", limit.as_secs()));
    tokio::time::timeout(limit, look).await.unwrap_or_else(late)
}
