//! Gathering the facts: all at once, each within its time, and nothing is changed.

mod flow;
mod folder;
mod issuer;
pub(super) mod own;
mod process;
mod store;
mod systemd;
mod tls;
mod web;

pub(super) use issuer::no_address;

use super::call::Call;
use super::facts::{Database, Facts, Looked};
use super::rate::{best, machine_kib};
use crate::base::time::Clock;
use crate::config::{Config, MasterKeySource};
use crate::db::examine::Schema;
use crate::keys;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How long the folder may take; a file system of the network may never answer.
const FOLDER: Duration = Duration::from_secs(2);

/// How long each of the others may take.
const REST: Duration = Duration::from_secs(7);

/// The same of the database where all of it is read.
const DEEP: Duration = Duration::from_secs(600);

/// Looks at an installation. `call` is what other commands need to find it; `deep` reads the whole database.
///
/// # Errors
/// If there is no installation, or this user may not look at it.
pub async fn gather(config: Config, call: Call, deep: bool, clock: Clock) -> Result<Facts, String> {
    let config = Arc::new(config);
    let own = config.clone();
    let looked = within(FOLDER, aside(move || Ok((folder::look(&own)?, process::look(&own)?)))).await;
    let (folder, process) = looked?;
    let none_yet = || none_yet(&config, &call);
    let folder = folder.ok_or_else(none_yet)?;
    if config.database_url.is_none() && !process.is_held && folder.is_unused(&config) {
        return Err(none_yet());
    }
    let paths: Vec<&Path> = call.file.as_deref().into_iter().chain([config.data_dir.as_path()]).collect();
    let unit = systemd::unit(process.id, &paths);
    let (own, is_held) = (config.clone(), process.is_held);
    let master =
        aside(move || keys::master::obtain(&own.master_key, false).map_err(|error| error.to_string()));
    let master = within(FOLDER, master).await;
    let (key, own, told) = (master.as_ref().ok().cloned(), config.clone(), clock.clone());
    let database = aside(move || flow::look(&own, is_held, key.as_ref(), deep, &told));
    let hash = config.hash;
    let hashing = within(REST, aside(move || Ok(best(hash))));
    let rest = Box::pin(async {
        let limit = if deep { DEEP } else { REST };
        tokio::join!(within(limit, database), issuer::look(&config, &clock))
    });
    // To read all of a database is work too, beside which hashing is slower than it is.
    let (hashing, (database, (listener, issuer))) =
        if deep { (hashing.await, rest.await) } else { tokio::join!(hashing, rest) };
    let is_empty = matches!(&database, Ok(Database { schema: Schema::Missing, .. }));
    if is_empty && folder.is_unused(&config) && matches!(config.master_key, MasterKeySource::Own(_)) {
        return Err(none_yet());
    }
    let now = clock.now();
    let (master, machine_kib) = (master.map(drop), machine_kib());
    Ok(Facts {
        now,
        config,
        call,
        unit,
        folder,
        process,
        master,
        database,
        listener,
        issuer,
        hashing,
        machine_kib,
    })
}

/// What is said where no server has ever run.
fn none_yet(config: &Config, call: &Call) -> String {
    format!(
        "there is no installation in {} yet. A server makes one: {}. If there is one elsewhere, name its folder with \
        --data-dir",
        config.data_dir.display(),
        call.command("serve", "")
    )
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
