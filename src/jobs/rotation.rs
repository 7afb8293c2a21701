//! Looking after the signing keys: making the first one, following what others change, and rotating.

use super::system;
use crate::app::App;
use crate::keys::schedule::Policy;
use crate::keys::{self, Error, KeyringWriter};
use claviger_crypto::jws::{KeyKind, SigningKey};
use claviger_crypto::seal::MasterKey;
use std::sync::Arc;
use std::time::Duration;

/// How long after a failure the first key is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// What the jobs need that requests must not have.
#[derive(Debug)]
pub struct Keys {
    /// Puts another key set into use.
    pub writer: KeyringWriter,
    /// Seals and opens private keys.
    pub master: MasterKey,
    /// What the settings ask for.
    pub policy: Policy,
}

/// Makes the first key, if there is none; what needs it waits, all else is served meanwhile.
pub(super) async fn first(app: Arc<App>, keys: Arc<Keys>) {
    while let Err(error) = make_first(&app, &keys).await {
        tracing::error!(%error, "the first signing key could not be made; trying again");
        tokio::time::sleep(RETRY).await;
    }
}

async fn make_first(app: &Arc<App>, keys: &Keys) -> Result<(), Error> {
    if !keys::flow::list(&app.db).await?.is_empty() {
        return Ok(());
    }
    let key = generate(keys.policy.kind).await?;
    let cx = system(app.clone());
    keys::flow::adopt_first(&app.db, &keys.master, &keys.policy, &key, &cx.origin, cx.now).await?;
    keys::flow::reload(&app.db, &keys.master, &keys.policy, &keys.writer).await.map(drop)
}

/// Takes over what this or another server, or a command, has changed.
pub(super) async fn look(app: Arc<App>, keys: Arc<Keys>) -> Result<(), Error> {
    match keys::flow::reload(&app.db, &keys.master, &keys.policy, &keys.writer).await {
        Ok(_) | Err(Error::NotReady) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Does what the schedule asks for now.
pub(super) async fn tick(app: Arc<App>, keys: Arc<Keys>) -> Result<(), Error> {
    let cx = system(app);
    let ticked = keys::flow::tick(&cx.app.db, &keys.policy, &cx.origin, cx.now).await?;
    if let Some(kind) = ticked.needs_key {
        let key = generate(kind).await?;
        let now = cx.app.clock.now();
        keys::flow::publish(&cx.app.db, &keys.master, &key, &cx.origin, now).await?;
    }
    Ok(())
}

/// A new key, made where it holds nobody up.
#[allow(clippy::disallowed_methods)]
async fn generate(kind: KeyKind) -> Result<SigningKey, Error> {
    let made = tokio::task::spawn_blocking(move || SigningKey::generate(kind)).await;
    Ok(made.map_err(|_| Error::NotReady)??)
}
