//! Making, using and taking back API keys.

use super::{Error, KeyScope, StoredKey, store};
use crate::app::Cx;
use crate::audit::{self, Kind};
use crate::base::{id, random};
use crate::db;
use claviger_crypto::token::ApiKey;
use std::time::Duration;
use uuid::Uuid;

/// How exactly the last use is known: no write for each use.
const TOUCH_AFTER: Duration = Duration::from_secs(3600);

/// How long an expired key is still listed.
const KEPT: Duration = Duration::from_secs(30 * 86_400);

/// Makes a key. Its text is seen here and never again.
///
/// # Errors
/// If the database fails.
pub async fn create(
    cx: &Cx,
    name: String,
    mut scopes: Vec<KeyScope>,
    life: Option<Duration>,
) -> Result<(StoredKey, ApiKey), Error> {
    let key = ApiKey::new(random::bytes());
    scopes.sort_by_key(|scope| scope.name());
    scopes.dedup();
    let stored = StoredKey {
        id: id::uuid_v7(cx.now, random::bytes()),
        name,
        scopes,
        created_at: cx.now,
        expires_at: life.map(|life| cx.now.plus(life)),
        last_used_at: None,
    };
    let event = cx.event(Kind::ApiKeyCreate).detail(stored.id.to_string());
    let (row, digest, noted) = (stored.clone(), key.digest(), event.clone());
    cx.app
        .db
        .write::<_, Error, _>(move |tx| {
            store::insert(tx, &row, &digest)?;
            Ok(audit::flow::append(tx, &noted)?)
        })
        .await?;
    event.log(&cx.app.metrics);
    Ok((stored, key))
}

/// All keys, oldest first.
///
/// # Errors
/// If the database fails.
pub async fn list(cx: &Cx) -> Result<Vec<StoredKey>, Error> {
    cx.app.db.read(|tx| Ok(store::all(tx)?)).await
}

/// Takes a key back: it is refused from now on.
///
/// # Errors
/// [`Error::Unknown`].
pub async fn revoke(cx: &Cx, id: Uuid) -> Result<(), Error> {
    let event = cx.event(Kind::ApiKeyRevoke).detail(id.to_string());
    let noted = event.clone();
    cx.app
        .db
        .write::<_, Error, _>(move |tx| {
            if !store::delete(tx, id)? {
                return Err(Error::Unknown);
            }
            Ok(audit::flow::append(tx, &noted)?)
        })
        .await?;
    event.log(&cx.app.metrics);
    Ok(())
}

/// The key that has this text, if it is good now and allows `scope`.
///
/// # Errors
/// [`Error::Unknown`], [`Error::Scope`].
pub async fn authenticate(cx: &Cx, text: &str, scope: KeyScope) -> Result<StoredKey, Error> {
    let digest = ApiKey::parse(text).ok_or(Error::Unknown)?.digest();
    let found = cx.app.db.read::<_, Error, _>(move |tx| Ok(store::by_digest(tx, &digest)?)).await?;
    let key = found.filter(|key| key.expires_at.is_none_or(|end| cx.now < end)).ok_or(Error::Unknown)?;
    if !key.scopes.contains(&scope) {
        return Err(Error::Scope(scope));
    }
    if key.last_used_at.is_none_or(|used| cx.now.since(used) >= TOUCH_AFTER) {
        let (id, now) = (key.id, cx.now);
        // It is for operators to look at; the service gets its answer in any case.
        if let Err(error) = cx.app.db.write::<_, Error, _>(move |tx| Ok(store::touch(tx, id, now)?)).await {
            tracing::warn!(%error, "the last use of an API key was not noted");
        }
    }
    Ok(key)
}

/// Deletes up to `limit` keys that expired long ago. Says how many.
///
/// # Errors
/// If the database fails.
pub async fn sweep(cx: &Cx, limit: u32) -> Result<usize, db::Error> {
    let before = cx.now.minus(KEPT);
    cx.app.db.write(move |tx| store::sweep(tx, before, limit.into())).await
}
