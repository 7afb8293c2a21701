//! Adding to the trail, sealing it, checking and reading it, and taking out what has to go.

use super::chain::{self, End, Link, Side, Stored};
use super::{Broken, Entry, Error, Event, Filter, Page, Verified, store};
use crate::base::id::AccountId;
use crate::base::time::Timestamp;
use crate::db::{self, Db, Tx};
use claviger_crypto::mac::MacKey;
use uuid::Uuid;

/// Most events that are sealed in one transaction.
const BATCH: usize = 500;

/// Most events that are checked in one read.
const PAGE: usize = 1000;

/// The most events that are erased in one transaction.
const ERASED_AT_ONCE: usize = 500;

/// Adds an event inside the transaction of the change it tells of.
///
/// # Errors
/// If the database fails.
pub fn append(tx: &mut Tx<'_>, event: &Event) -> Result<(), db::Error> {
    let personal =
        serde_json::to_string(&event.personal()).map_err(|e| db::Error::Statement(e.to_string()))?;
    store::insert(tx, event, &personal, chain::commitment(&event.salt, &personal))
}

/// Seals what is new, and says how much that was. Any server may do so at any time: where two do it at once,
/// one of them goes home.
///
/// # Errors
/// [`Error::Broken`] if the head was tampered with: sealing on would prove a head that is not ours.
pub async fn seal(db: &Db, key: &MacKey) -> Result<usize, Error> {
    // Most of the time there is nothing to do, and the writer is not asked.
    if !db.read(store::any_unsealed).await? {
        return Ok(0);
    }
    let mut sealed = 0;
    loop {
        let key = key.clone();
        let batch = db.write::<_, Error, _>(move |tx| seal_batch(tx, &key)).await?;
        sealed += batch;
        if batch < BATCH {
            return Ok(sealed);
        }
    }
}

fn seal_batch(tx: &mut Tx<'_>, key: &MacKey) -> Result<usize, Error> {
    let head = end(tx, key, Side::Head)?;
    let anchored = store::end(tx, Side::Anchor)?.is_some();
    if head.is_none() && (anchored || store::any_sealed(tx)?) {
        // Another server may have made the first one between these looks.
        return match end(tx, key, Side::Head)? {
            Some(_) => Ok(0),
            None => Err(Broken { place: 0, why: "the mark of the last event is gone".into() }.into()),
        };
    }
    let events = store::unsealed(tx, BATCH)?;
    let mut sealed = Vec::with_capacity(events.len());
    let mut last = head.unwrap_or(Link::START);
    for event in &events {
        last = last.seal(key, event);
        sealed.push((event.id, last));
    }
    // The head first: where there was none to hold, whoever makes it is alone from here on.
    if events.is_empty() || !advance(tx, key, Side::Head, head, last)? {
        return Ok(0);
    }
    if store::seal(tx, &sealed)?.contains(&false) {
        return Err(db::Error::Corrupt("an event went away while it was sealed".into()).into());
    }
    Ok(events.len())
}

/// Walks the whole chain and says whether it is whole: nothing changed, taken out, put in or moved.
///
/// It cannot notice what was done to events before they were sealed, a second later at most: those that
/// were put in, changed or taken out until then. Nor that the database, or the end of the chain with its
/// mark, was put back to an older copy of it; that the whole trail was emptied; that the personal part of
/// an event was erased altogether, as a deletion of its account would. The log has a line for every event
/// too: keep it on another machine.
///
/// # Errors
/// If the database fails.
pub async fn verify(db: &Db, key: &MacKey) -> Result<Verified, db::Error> {
    let mut verified = Verified::default();
    let mut at = Link::START;
    // Before all places that there can be, so that what was put in before the first is seen.
    let mut after = i64::MIN;
    loop {
        let walked = match db.read(move |tx| Stretch::read(tx, after)).await {
            Ok(stretch) => walk(key, &stretch, &mut at, &mut verified).map(|()| stretch.next()),
            Err(db::Error::Corrupt(why)) => Err(Broken {
                place: at.place + 1,
                why: format!("a row there or after cannot be read: {why}"),
            }),
            Err(error) => return Err(error),
        };
        match walked {
            Ok(Some(next)) => after = next,
            Ok(None) => return Ok(verified),
            Err(broken) => return Ok(Verified { broken: Some(broken), ..verified }),
        }
    }
}

/// A part of the chain as it stood at one moment.
struct Stretch {
    anchor: Option<End>,
    events: Vec<Stored>,
    /// There are no more events after these.
    last: Option<Last>,
}

/// How the trail stood when its last events were read.
pub(super) struct Last {
    pub(super) head: Option<End>,
    pub(super) events: i64,
    pub(super) sealed: i64,
}

impl Stretch {
    fn read(tx: &mut Tx<'_>, after: i64) -> Result<Self, db::Error> {
        let anchor = store::end(tx, Side::Anchor)?;
        let events = store::sealed_after(tx, after, PAGE)?;
        let last = if events.len() < PAGE { Some(Last::read(tx)?) } else { None };
        Ok(Self { anchor, events, last })
    }

    /// After which place the next one begins.
    fn next(&self) -> Option<i64> {
        if self.last.is_some() { None } else { self.events.last()?.place }
    }
}

impl Last {
    fn read(tx: &mut Tx<'_>) -> Result<Self, db::Error> {
        let (events, sealed) = store::counts(tx)?;
        Ok(Self { head: store::end(tx, Side::Head)?, events, sealed })
    }

    /// Whether the chain ends at `at`, and has nothing beside what was walked.
    pub(super) fn check(&self, key: &MacKey, anchor: Link, at: Link) -> Result<(), Broken> {
        let head = checked(key, Side::Head, self.head.as_ref())?.unwrap_or(Link::START);
        let broken = |place, why: String| Err(Broken { place, why });
        match head.place - at.place {
            0 if head != at => broken(at.place, "the mark of the last event is of another event".into()),
            0 if self.sealed != at.place - anchor.place => {
                broken(at.place, format!("up to it there are {} sealed events, not one a place", self.sealed))
            }
            0 => Ok(()),
            ..0 => {
                broken(head.place + 1, "the mark of the last event is gone, or older than the chain".into())
            }
            1 => broken(head.place, "the last event is missing".into()),
            missing => broken(at.place + 1, format!("the last {missing} events are missing")),
        }
    }
}

/// Follows the chain from `at` through a stretch of it.
fn walk(key: &MacKey, stretch: &Stretch, at: &mut Link, verified: &mut Verified) -> Result<(), Broken> {
    let anchor = checked(key, Side::Anchor, stretch.anchor.as_ref())?.unwrap_or(Link::START);
    // At the beginning, and where the oldest events went by age while this walk was under way.
    if anchor.place > at.place {
        *at = anchor;
    }
    for event in &stretch.events {
        *at = at.follow(key, event)?;
        verified.events += 1;
    }
    let Some(last) = &stretch.last else { return Ok(()) };
    verified.unsealed = u64::try_from(last.events - last.sealed).unwrap_or(0);
    last.check(key, anchor, *at)
}

/// Events that fit, newest first.
///
/// # Errors
/// If the database fails.
pub async fn list(db: &Db, filter: Filter, page: Page) -> Result<Vec<Entry>, db::Error> {
    let before = page.before.unwrap_or(Uuid::max());
    let events = db.read::<_, db::Error, _>(move |tx| store::newest(tx, &filter, before, page.limit)).await?;
    events.into_iter().map(Stored::entry).collect()
}

/// Takes the personal part out of the events of an account, in the transaction that deletes it. Of very many,
/// which would hold others up, [`go_on_erasing`] takes the rest, once [`note_rest`] has seen them.
///
/// # Errors
/// If the database fails.
pub fn erase(tx: &mut Tx<'_>, account: AccountId) -> Result<(), db::Error> {
    store::erase(tx, account, ERASED_AT_ONCE)
}

/// Notes whether events of a deleted account are left, when no more can come. What has still to be said of the
/// deletion is appended as [`Event::unlinked`].
///
/// # Errors
/// If the database fails.
pub fn note_rest(tx: &mut Tx<'_>, account: AccountId) -> Result<(), db::Error> {
    if store::any_of(tx, account)? { store::begin_erasure(tx, account) } else { Ok(()) }
}

/// Erases one more batch of the events of a deleted account. Says whether there was anything to do.
///
/// # Errors
/// If the database fails.
pub async fn go_on_erasing(db: &Db) -> Result<bool, db::Error> {
    if db.read::<_, db::Error, _>(store::erasure).await?.is_none() {
        return Ok(false);
    }
    db.write(|tx| {
        let Some(account) = store::erasure(tx)? else { return Ok(false) };
        store::erase(tx, account, ERASED_AT_ONCE)?;
        if !store::any_of(tx, account)? {
            store::end_erasure(tx, account)?;
        }
        Ok(true)
    })
    .await
}

/// Deletes what happened before that time, from the beginning of the chain, so many at once. It stops at the
/// first event that is younger or not sealed. Says how many went.
///
/// # Errors
/// [`Error::Broken`] if what would go does not verify: deleting it would hide that.
pub async fn expire(db: &Db, key: &MacKey, before: Timestamp, batch: usize) -> Result<usize, Error> {
    let batch = batch.max(1);
    let mut expired = 0;
    loop {
        let key = key.clone();
        let gone = db.write::<_, Error, _>(move |tx| expire_batch(tx, &key, before, batch)).await?;
        expired += gone;
        if gone < batch {
            return Ok(expired);
        }
    }
}

fn expire_batch(tx: &mut Tx<'_>, key: &MacKey, before: Timestamp, batch: usize) -> Result<usize, Error> {
    // One server at a time: both ends and what is between are looked at one after the other.
    end(tx, key, Side::Head)?;
    let anchor = end(tx, key, Side::Anchor)?;
    let mut last = anchor.unwrap_or(Link::START);
    let mut old = 0;
    for event in store::sealed_after(tx, i64::MIN, batch)?.iter().take_while(|event| event.at < before) {
        last = last.follow(key, event)?;
        old += 1;
    }
    if old == 0 || !advance(tx, key, Side::Anchor, anchor, last)? {
        return Ok(0);
    }
    let gone = store::delete_up_to(tx, last.place)?;
    if gone == old {
        Ok(gone)
    } else {
        Err(db::Error::Corrupt(format!("{gone} events would have gone by age instead of {old}")).into())
    }
}

/// An end of the chain, proven to be ours, and held.
fn end(tx: &mut Tx<'_>, key: &MacKey, side: Side) -> Result<Option<Link>, Error> {
    Ok(checked(key, side, store::hold_end(tx, side)?.as_ref())?)
}

pub(super) fn checked(key: &MacKey, side: Side, end: Option<&End>) -> Result<Option<Link>, Broken> {
    end.map(|end| Link::from_end(key, side, end)).transpose()
}

/// Moves an end of the chain on, unless another server has moved it meanwhile.
fn advance(
    tx: &mut Tx<'_>,
    key: &MacKey,
    side: Side,
    from: Option<Link>,
    to: Link,
) -> Result<bool, db::Error> {
    let to = to.as_end(key, side);
    match from {
        None => store::set_end(tx, side, &to),
        Some(from) => store::move_end(tx, side, from.place, &to),
    }
}
