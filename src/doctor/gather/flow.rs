//! The database: how it stands, and what is in it.

use super::store;
use crate::base::time::Clock;
use crate::config::Config;
use crate::db::examine::Schema;
use crate::db::{self, Db, Place};
use crate::doctor::facts::{Database, Held, Looked};
use crate::doctor::rules::settings::COUNTED;
use crate::{audit, keys};
use claviger_crypto::seal::MasterKey;

/// Of how many sessions the addresses are looked at.
const NEWEST: i64 = 50;

/// Looks, where it stands: SQLite reads on the caller's thread.
pub(super) fn look(
    config: &Config,
    is_held: bool,
    master: Option<&MasterKey>,
    deep: bool,
    clock: &Clock,
) -> Looked<Database> {
    let db = Db::open_to_look(Place::from(config), !is_held).map_err(said)?;
    let looked = tokio::runtime::Handle::current().block_on(looked(&db, master, deep, clock));
    // Its threads may still wait for an answer, and nobody waits for them.
    std::mem::forget(db);
    looked
}

async fn looked(db: &Db, master: Option<&MasterKey>, deep: bool, clock: &Clock) -> Looked<Database> {
    let schema = db.schema().await.map_err(said)?;
    let setup = db.setup(|| clock.now()).await.map_err(said);
    let is_ours = schema == Schema::Current;
    let held =
        if is_ours { held(db, master).await } else { Err("the schema is not this program's".to_owned()) };
    let faults = if deep { Some(db.faults_of_file().await.map_err(said)) } else { None };
    let trail = match (deep, master) {
        (false, _) => None,
        (true, Some(master)) if is_ours => {
            Some(audit::flow::verify(db, &audit::key(master)).await.map_err(said))
        }
        (true, Some(_)) => Some(Err("the schema is not this program's".to_owned())),
        (true, None) => Some(Err("its key comes from the master key, which is missing".to_owned())),
    };
    Ok(Database { schema, setup, held, faults, trail })
}

async fn held(db: &Db, master: Option<&MasterKey>) -> Looked<Held> {
    let (is_ours, not_opened) = match master {
        Some(master) => (
            keys::flow::is_of(db, master).await.map_err(said)?,
            keys::flow::not_opened(db, master).await.map_err(said)?,
        ),
        None => (None, Vec::new()),
    };
    let stored = keys::flow::list(db).await.map_err(said)?;
    let earlier = keys::earlier::flow::list(db).await.map_err(said)?;
    let most = i64::try_from(COUNTED).unwrap_or(i64::MAX);
    let rows = db.read::<_, db::Error, _>(move |tx| {
        Ok((store::latest(tx)?, store::sessions(tx, most)?, store::addresses(tx, NEWEST)?))
    });
    let (latest, sessions, addresses) = rows.await.map_err(said)?;
    Ok(Held {
        latest,
        keys: stored.into_iter().map(|key| (key.public, key.life)).collect(),
        earlier,
        is_ours,
        not_opened,
        sessions: u64::try_from(sessions).unwrap_or(0),
        addresses: addresses.into_iter().flatten().collect(),
    })
}

fn said(error: impl std::fmt::Display) -> String {
    error.to_string()
}
