//! What happens to signing keys: the schedule, the operator's commands, and the set that each server uses.
//!
//! All servers on a database may do all of this at once. Each looks first and decides; what it writes
//! holds only if the keys are still in the states it saw.

mod master;

pub use master::{expect_opens, expect_same, is_of, not_opened, opens, tag};

use super::schedule::{self, Life, Policy, Step, Turn};
use super::store::{self, Lives, New};
use super::{Error, KeySet, KeyringWriter, Revoked, State, StoredKey, Ticked, earlier};
use crate::audit::{self, Event, Kind, Origin};
use crate::base::time::Timestamp;
use crate::db::{self, Db, Tx};
use claviger_crypto::jws::SigningKey;
use claviger_crypto::seal::MasterKey;
use std::sync::Arc;
use std::time::Duration;

/// Nobody has signed with it so far. Whoever will raises it first, in [`reload`].
const UNUSED: Lives = Lives { token: Duration::ZERO, cache: Duration::ZERO };

/// Stores `key` as the first one, which signs at once: nobody can have cached anything. Says whether it was
/// the first; another server may have been quicker.
///
/// # Errors
/// If the database fails or the key cannot be sealed.
pub async fn adopt_first(
    db: &Db,
    master: &MasterKey,
    policy: &Policy,
    key: &SigningKey,
    origin: &Origin,
    now: Timestamp,
) -> Result<bool, Error> {
    let first =
        New { activated_at: Some(now), lives: lives(policy), ..new(master, key, State::Active, now)? };
    let why = "it is the first one";
    let events =
        [Kind::KeyPublish, Kind::KeyActivate].map(|kind| told(origin, now, kind, &first.public.kid, why));
    record(db, events.to_vec(), move |tx| store::insert(tx, &first)).await
}

/// All stored keys, oldest first.
///
/// # Errors
/// If the database fails.
pub async fn list(db: &Db) -> Result<Vec<StoredKey>, Error> {
    db.read(|tx| Ok(store::all(tx)?)).await
}

/// Puts the stored keys into use if they are not those in use already. A cheap look, several times a second,
/// by which a revoked key is out everywhere within one.
///
/// # Errors
/// [`Error::Master`] if the master key does not open the active one, [`Error::NoneActive`],
/// [`Error::NotReady`] if there are no keys at all. The old set stays in use then.
pub async fn reload(
    db: &Db,
    master: &MasterKey,
    policy: &Policy,
    writer: &KeyringWriter,
) -> Result<bool, Error> {
    let old = writer.current();
    let states = db.look(store::states).await?;
    if old.as_ref().is_some_and(|old| old.made_of() == states) {
        return Ok(false);
    }
    loop {
        let stored = list(db).await?;
        let none = if stored.is_empty() { Error::NotReady } else { Error::NoneActive };
        let active = stored.iter().find(|key| key.life.state == State::Active).ok_or(none)?;
        let known = old.as_ref().map(|old| old.shared_active()).filter(|old| old.public() == &active.public);
        let signing = known.map_or_else(|| open(master, active).map(Arc::new), |known| Ok(known.clone()))?;
        // Before anything is signed with it: its row says for how long it must stay published.
        if raise(db, &active.life, policy).await? {
            let earlier = earlier::flow::list(db).await?;
            writer.replace(KeySet::new(signing, stored, earlier, policy.cache(), old.as_deref())?);
            return Ok(true);
        }
        // It was revoked meanwhile.
    }
}

fn open(master: &MasterKey, key: &StoredKey) -> Result<SigningKey, Error> {
    let pkcs8 = master.open(&purpose(&key.public.kid), &key.sealed_pkcs8).map_err(|_| {
        Error::Master(
            "the master key does not open the signing keys of this database. Restore the master key that it was \
             started with (master.key in the data folder, --master-key-file or CLAVIGER_MASTER_KEY)"
                .into(),
        )
    })?;
    Ok(SigningKey::from_pkcs8(&pkcs8)?)
}

/// Notes how long tokens and JWK sets of this server live, where that is longer than noted so far. Says
/// whether the key is still there.
async fn raise(db: &Db, active: &Life, policy: &Policy) -> Result<bool, Error> {
    let (kid, lives) = (active.kid.clone(), lives(policy));
    if active.token_life >= lives.token && active.cache_life >= lives.cache {
        return Ok(true);
    }
    db.write_serializable(move |tx| Ok(store::raise(tx, &kid, lives)?)).await
}

/// Does what the schedule asks for at this time. Any server may, as often as it likes.
///
/// # Errors
/// If the database fails.
pub async fn tick(db: &Db, policy: &Policy, origin: &Origin, now: Timestamp) -> Result<Ticked, Error> {
    let mut ticked = Ticked { changed: earlier::flow::sweep(db, origin, now).await?, needs_key: None };
    for step in schedule::plan(&look(db).await?, policy, now) {
        let told = |kind, kid: &str, why| vec![told(origin, now, kind, kid, why)];
        ticked.changed |= match step {
            Step::Publish(kind) => {
                ticked.needs_key = Some(kind);
                false
            }
            Step::Discard { kid } => {
                let events = told(Kind::KeyRemove, &kid, "it never signed, and another kind is wanted");
                record(db, events, move |tx| store::delete(tx, &kid, State::Next)).await?
            }
            Step::Activate { kid, retire, why } => {
                let (events, lives) = (told(Kind::KeyActivate, &kid, why), lives(policy));
                record(db, events, move |tx| {
                    Ok(store::retire(tx, &retire, now)? && store::activate(tx, &kid, now, lives)?)
                })
                .await?
            }
            Step::Remove { kid, state } => {
                let events = told(Kind::KeyRemove, &kid, "its last token has ended");
                record(db, events, move |tx| store::delete(tx, &kid, state)).await?
            }
            Step::Keep { kid } => {
                let events = told(Kind::KeyRemove, &kid, "its last token has ended; GET /jwks keeps it");
                record(db, events, move |tx| store::keep(tx, &kid)).await?
            }
        };
    }
    Ok(ticked)
}

/// Publishes a new key as the next one, unless there is one already. Says whether it did.
///
/// # Errors
/// [`Error::NotReady`] as long as there is no active key.
pub async fn publish(
    db: &Db,
    master: &MasterKey,
    key: &SigningKey,
    origin: &Origin,
    now: Timestamp,
) -> Result<bool, Error> {
    schedule::active(&look(db).await?).ok_or(Error::NotReady)?;
    let next = new(master, key, State::Next, now)?;
    let event = told(origin, now, Kind::KeyPublish, &next.public.kid, "it is the next one");
    record(db, vec![event], move |tx| store::insert(tx, &next)).await
}

/// Asks that the next key sign as soon as verifiers know it, and says when that is. `None` if there is no
/// next key of the configured kind yet: it has to be published first; then nothing was asked.
///
/// # Errors
/// If the database fails.
pub async fn rotate(
    db: &Db,
    policy: &Policy,
    origin: &Origin,
    now: Timestamp,
) -> Result<Option<Turn>, Error> {
    let Some(turn) = schedule::turn(&look(db).await?, policy) else { return Ok(None) };
    let (kid, why) = (turn.kid, "it is to sign as soon as it may");
    let event = told(origin, now, Kind::KeyRotate, &kid, why);
    record(db, vec![event], move |tx| store::ask(tx, &kid, now)).await?;
    Ok(schedule::turn(&look(db).await?, policy))
}

/// Makes a key from elsewhere the next one, in place of the present one; with `activate`, it signs as soon as
/// verifiers know it. Says when that is; `None` if at once, there being no active key.
///
/// A key of another kind than the configured one is refused: the schedule would replace it at once.
///
/// # Errors
/// [`Error::OtherKind`], [`Error::Exists`].
pub async fn import(
    db: &Db,
    master: &MasterKey,
    policy: &Policy,
    key: &SigningKey,
    activate: bool,
    origin: &Origin,
    now: Timestamp,
) -> Result<Option<Turn>, Error> {
    if key.kind() != policy.kind {
        return Err(Error::OtherKind(key.kind(), policy.kind));
    }
    let kid = &key.public().kid;
    loop {
        let keys = look(db).await?;
        if keys.iter().any(|key| key.kid == *kid) {
            return Err(Error::Exists(kid.clone()));
        }
        let mut events = vec![told(origin, now, Kind::KeyImport, kid, "it was made elsewhere")];
        let imported = if schedule::active(&keys).is_some() {
            New { due_at: activate.then_some(now), ..new(master, key, State::Next, now)? }
        } else {
            events.push(told(origin, now, Kind::KeyActivate, kid, "it is the first one"));
            New { activated_at: Some(now), ..new(master, key, State::Active, now)? }
        };
        let replaced: Vec<String> = of_state(&keys, State::Next).map(|key| key.kid.clone()).collect();
        let why = "it never signed; an imported one replaces it";
        events.extend(replaced.iter().map(|kid| told(origin, now, Kind::KeyRemove, kid, why)));
        let work = move |tx: &mut Tx<'_>| {
            for kid in &replaced {
                if !store::delete(tx, kid, State::Next)? {
                    return Ok(false);
                }
            }
            store::insert(tx, &imported)
        };
        if record(db, events, work).await? {
            return Ok(schedule::turn(&look(db).await?, policy));
        }
    }
}

/// Takes a key out at once: what it signed is refused, even if verifiers must look again for that. If it is
/// the active one, the next one signs from now on, known everywhere or not, or else `spare`.
///
/// # Errors
/// [`Error::Unknown`].
pub async fn revoke(
    db: &Db,
    master: &MasterKey,
    kid: &str,
    spare: Option<&SigningKey>,
    origin: &Origin,
    now: Timestamp,
) -> Result<Revoked, Error> {
    loop {
        let keys = look(db).await?;
        let revoked = keys.iter().find(|key| key.kid == kid).ok_or_else(|| Error::Unknown(kid.to_owned()))?;
        let told = |kind, kid: &str, why: &str| told(origin, now, kind, kid, why);
        let mut events = vec![told(Kind::KeyRevoke, kid, &format!("it was {}", revoked.state.name()))];
        // JWK sets that were fetched under it may be cached all the same.
        let lives = Lives { cache: revoked.cache_life, ..UNUSED };
        let heir = match (revoked.state, of_state(&keys, State::Next).next(), spare) {
            (State::Active, Some(next), _) => Heir::Next(next.kid.clone()),
            (State::Active, None, Some(spare)) => {
                events.push(told(Kind::KeyPublish, &spare.public().kid, "there was no next one"));
                let spare = new(master, spare, State::Active, now)?;
                Heir::Spare(New { activated_at: Some(now), lives, ..spare })
            }
            (State::Active, None, None) => return Ok(Revoked::NeedsKey),
            (State::Next | State::Retired | State::Kept, ..) => Heir::None,
        };
        let signs = heir.kid();
        let why = "the active one was revoked";
        events.extend(signs.iter().map(|kid| told(Kind::KeyActivate, kid, why)));
        let (kid, state) = (kid.to_owned(), revoked.state);
        let work = move |tx: &mut Tx<'_>| {
            Ok(store::delete(tx, &kid, state)?
                && match &heir {
                    Heir::Next(next) => store::activate(tx, next, now, lives)?,
                    Heir::Spare(spare) => store::insert(tx, spare)?,
                    Heir::None => true,
                })
        };
        if record(db, events, work).await? {
            return Ok(Revoked::Done(signs));
        }
    }
}

/// Who signs when the active key is revoked.
enum Heir {
    Next(String),
    Spare(New),
    None,
}

impl Heir {
    fn kid(&self) -> Option<String> {
        match self {
            Self::Next(kid) => Some(kid.clone()),
            Self::Spare(key) => Some(key.public.kid.clone()),
            Self::None => None,
        }
    }
}

/// The lives of all stored keys.
///
/// # Errors
/// If the database fails.
pub async fn look(db: &Db) -> Result<Vec<Life>, Error> {
    Ok(list(db).await?.into_iter().map(|key| key.life).collect())
}

fn of_state(keys: &[Life], state: State) -> impl Iterator<Item = &Life> {
    keys.iter().filter(move |key| key.state == state)
}

fn lives(policy: &Policy) -> Lives {
    Lives { token: policy.token_life, cache: policy.cache() }
}

/// A key as it is stored.
fn new(master: &MasterKey, key: &SigningKey, state: State, now: Timestamp) -> Result<New, Error> {
    let public = key.public().clone();
    let sealed_pkcs8 = master
        .seal(&purpose(&public.kid), &key.to_pkcs8()?)
        .map_err(|_| Error::Master("the key could not be sealed: no randomness".into()))?;
    Ok(New { public, sealed_pkcs8, state, created_at: now, due_at: None, activated_at: None, lives: UNUSED })
}

/// What a sealed key is bound to, so that one cannot be put in another's place.
fn purpose(kid: &str) -> String {
    format!("signing-key/{kid}")
}

/// What an event tells of a key.
pub(super) fn told(origin: &Origin, now: Timestamp, kind: Kind, kid: &str, why: &str) -> Event {
    Event::new(kind, origin.clone(), now).detail(format!("{kid}: {why}"))
}

/// Why a transaction was taken back.
enum Undone {
    /// The keys are not in the states any more that it was decided on.
    Overtaken,
    Db(db::Error),
}

impl From<db::Error> for Undone {
    fn from(error: db::Error) -> Self {
        Self::Db(error)
    }
}

/// Does `work` and adds its events to the audit trail, in one transaction. `false` if `work` says that it
/// could not: someone else was quicker, and nothing has changed.
pub(super) async fn record<F>(db: &Db, events: Vec<Event>, mut work: F) -> Result<bool, Error>
where
    F: FnMut(&mut Tx<'_>) -> Result<bool, db::Error> + Send + 'static,
{
    let added = events.clone();
    let done = db.write_serializable(move |tx| {
        if !work(tx)? {
            return Err(Undone::Overtaken);
        }
        Ok(added.iter().try_for_each(|event| audit::flow::append(tx, event))?)
    });
    match done.await {
        Ok(()) => {
            events.iter().for_each(|event| event.log(db.metrics()));
            Ok(true)
        }
        Err(Undone::Overtaken) => Ok(false),
        Err(Undone::Db(error)) => Err(error.into()),
    }
}
