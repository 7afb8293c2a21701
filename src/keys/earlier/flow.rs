//! Importing keys of an earlier server, asking whether their tokens are good, ending them.

use super::store;
use super::{EarlierKey, MOST};
use crate::audit::{Kind, Origin};
use crate::base::id::AccountId;
use crate::base::time::Timestamp;
use crate::db::{self, Db, Tx};
use crate::keys::Error;
use crate::keys::flow::{record, told};
use claviger_crypto::jwk::PublicJwk;

/// Takes a key in: what it signed is good until then.
///
/// # Errors
/// [`Error::Exists`], [`Error::TooMany`].
pub async fn import(
    db: &Db,
    public: PublicJwk,
    verify_until: Timestamp,
    origin: &Origin,
    now: Timestamp,
) -> Result<(), Error> {
    let kid = public.kid.clone();
    if list(db).await?.len() >= MOST {
        return Err(Error::TooMany);
    }
    let why = format!("tokens of an earlier server are good until {verify_until}");
    let event = told(origin, now, Kind::KeyImport, &kid, &why);
    let key = EarlierKey { public, created_at: now, verify_until };
    if record(db, vec![event], move |tx| store::insert(tx, &key)).await? {
        Ok(())
    } else {
        Err(Error::Exists(kid))
    }
}

/// All of them, oldest first.
///
/// # Errors
/// If the database fails.
pub async fn list(db: &Db) -> Result<Vec<EarlierKey>, Error> {
    db.read(|tx| Ok(store::all(tx)?)).await
}

/// Takes a key out. Says whether it was there.
///
/// # Errors
/// If the database fails.
pub async fn revoke(db: &Db, kid: &str, origin: &Origin, now: Timestamp) -> Result<bool, Error> {
    remove(db, kid.to_owned(), Kind::KeyRevoke, "it was of an earlier server", origin, now).await
}

/// Takes those out whose time is over. Says whether there were any.
///
/// # Errors
/// If the database fails.
pub async fn sweep(db: &Db, origin: &Origin, now: Timestamp) -> Result<bool, Error> {
    let mut swept = false;
    for key in list(db).await?.into_iter().filter(|key| key.verify_until <= now) {
        let why = "the time of its tokens is over";
        swept |= remove(db, key.public.kid, Kind::KeyRemove, why, origin, now).await?;
    }
    Ok(swept)
}

async fn remove(
    db: &Db,
    kid: String,
    kind: Kind,
    why: &str,
    origin: &Origin,
    now: Timestamp,
) -> Result<bool, Error> {
    let event = told(origin, now, kind, &kid, why);
    record(db, vec![event], move |tx| {
        let was_there = store::delete(tx, &kid)?;
        store::forget_ends(tx)?;
        Ok(was_there)
    })
    .await
}

/// Ends the tokens of an account, inside the transaction that ends its sessions and before these.
///
/// # Errors
/// If the database fails.
pub fn end(tx: &mut Tx<'_>, account: AccountId) -> Result<(), db::Error> {
    store::end(tx, account)
}

/// Whether tokens of an account are good still: it is active, and has not ended its sessions since.
///
/// # Errors
/// If the database fails.
pub async fn is_live(db: &Db, account: AccountId) -> Result<bool, db::Error> {
    db.read_once(move |tx| store::is_live(tx, account)).await
}
