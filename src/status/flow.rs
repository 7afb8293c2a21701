//! Keeping the set of ended sessions fresh, giving out indices, and signing the lists.

use super::{Built, Error, MARGIN, SEEN_AFTER, Statuses, list, store};
use crate::base::time::Timestamp;
use crate::db::{self, Db};
use crate::http::prepared::Prepared;
use crate::keys::schedule::STATUS_LIST_LIFE;
use crate::keys::{self, KeySet};
use claviger_crypto::status::StatusListToken;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

/// How many indices a server takes at once.
const BLOCK: u32 = 256;

/// How long a login may wait for those before it to take more.
const TAKE_WITHIN: Duration = Duration::from_millis(1800);

/// How long a changed list may stay as it was, so that many changes do not cost many signatures.
const REBUILD_AFTER: Duration = Duration::from_secs(5);

/// How long a list is good for in caches, and then once more with the service that fetched it from one. With
/// [`REBUILD_AFTER`] and the time until other servers look it learns of an ended session within a minute.
const TTL: u32 = 20;

/// A list that did not change is signed anew after this time.
const RENEW_AFTER: Duration = Duration::from_secs(60);

/// The content type of a signed list (draft-ietf-oauth-status-list §8.1).
pub const LIST_TYPE: &str = "application/statuslist+jwt";

/// Looks at the database for sessions that were ended since the last look, by whomever; at the first for
/// all. Ends are numbered in the order of their commits, so none is missed, whatever the clocks say. A database
/// that was away may be another one afterwards, a standby that lagged: there it is looked for all again.
///
/// # Errors
/// If the database fails. Then what was known stays known.
pub async fn refresh(db: &Db, statuses: &Statuses, now: Timestamp) -> Result<(), db::Error> {
    let (last, alive) = (statuses.seen.load(Ordering::Relaxed), now.minus(MARGIN));
    let looked = db
        .look::<_, db::Error, _>(move |tx| {
            let newest = store::last_end(tx)?;
            let ended = store::ended_after(tx, if newest < last { 0 } else { last }, alive)?;
            Ok((newest, ended, store::allocated(tx)?))
        })
        .await;
    let (newest, ended, allocated) = looked.inspect_err(|_| statuses.seen.store(0, Ordering::Relaxed))?;
    statuses.add(ended);
    statuses.seen.store(newest, Ordering::Relaxed);
    statuses.allocated.fetch_max(allocated, Ordering::Relaxed);
    Ok(())
}

/// Waits until every server has seen what was ended, where there may be others, and looks itself: who is told of an
/// end finds it everywhere.
///
/// # Errors
/// [`db::Error::OutcomeUnknown`] if the database went away meanwhile, so that they could not look.
pub async fn seen_everywhere(db: &Db, statuses: &Statuses, now: Timestamp) -> Result<(), db::Error> {
    if db.is_remote() {
        tokio::time::sleep(SEEN_AFTER).await;
    }
    let looked = refresh(db, statuses, now).await;
    looked.map_err(|error| db::Error::OutcomeUnknown(format!("other servers may not have seen it: {error}")))
}

/// An index for a new session, never given before.
///
/// # Errors
/// If the database fails.
pub async fn next_index(db: &Db, statuses: &Statuses) -> Result<u64, db::Error> {
    // Where the database is away others wait here for it; nobody waits for all of them.
    let free = tokio::time::timeout(TAKE_WITHIN, statuses.free.lock()).await;
    let late = || db::Error::Unavailable("too many wait for a status index".into());
    let mut free = free.map_err(|_| late())?;
    if let Some(index) = free.next() {
        return Ok(index);
    }
    let end = db.write::<_, db::Error, _>(|tx| store::reserve(tx, BLOCK.into())).await?;
    let end = end.ok_or_else(|| db::Error::Corrupt("there is no counter of status indices".into()))?;
    statuses.allocated.fetch_max(end, Ordering::Relaxed);
    let first = end.saturating_sub(BLOCK.into());
    *free = first.saturating_add(1)..end;
    Ok(first)
}

/// Leaves out so many indices, in the transaction of a restore.
///
/// # Errors
/// If the database fails.
pub fn skip(tx: &mut db::Tx<'_>, count: u64) -> Result<(), db::Error> {
    let skipped = store::reserve(tx, i64::try_from(count).unwrap_or(i64::MAX))?;
    skipped.map(drop).ok_or_else(|| db::Error::Corrupt("there is no counter of status indices".into()))
}

/// The signed list as it is sent.
///
/// # Errors
/// [`Error::NoSuchList`], or if it cannot be signed.
pub fn signed(
    statuses: &Statuses,
    keys: &KeySet,
    issuer: &str,
    list: u64,
    now: Timestamp,
) -> Result<Arc<Prepared>, Error> {
    if list::range(list).start >= statuses.allocated.load(Ordering::Relaxed).max(1) {
        return Err(Error::NoSuchList);
    }
    let (version, kid) = (statuses.version.load(Ordering::Relaxed), &keys.active().public().kid);
    let mut built = statuses.built.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = built.get(&list)
        && known.kid == *kid
        && known.made_at <= now
        && now.since(known.made_at) < if known.version == version { RENEW_AFTER } else { REBUILD_AFTER }
    {
        return Ok(known.answer.clone());
    }
    let answer = Arc::new(sign(statuses, keys, issuer, list, now)?);
    built.insert(list, Built { answer: answer.clone(), made_at: now, version, kid: kid.clone() });
    Ok(answer)
}

fn sign(
    statuses: &Statuses,
    keys: &KeySet,
    issuer: &str,
    list: u64,
    now: Timestamp,
) -> Result<Prepared, Error> {
    let iat = now.as_seconds();
    let token = StatusListToken {
        sub: list::uri(issuer, list),
        iss: Some(issuer.to_owned()),
        iat,
        exp: now.plus(STATUS_LIST_LIFE).as_seconds(),
        ttl: TTL.into(),
        status_list: list::encode(statuses.in_list(list)),
    };
    let signed = token.sign(keys.active()).map_err(keys::Error::from)?;
    Ok(Prepared::new(signed.into_bytes(), LIST_TYPE, TTL))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::base::id::SessionId;
    use crate::status::Ended;
    use claviger_crypto::jws::{KeyKind, RsaBits, SigningKey};
    use uuid::Uuid;

    #[test]
    fn a_list_is_signed_anew_when_it_must_be_and_not_more_often() {
        let key = SigningKey::generate(KeyKind::Rsa(RsaBits::Rsa2048)).unwrap();
        let keys =
            KeySet::new(Arc::new(key), Vec::new(), Vec::new(), Duration::from_secs(300), None).unwrap();
        let statuses = Statuses::default();
        let at = |seconds| signed(&statuses, &keys, "http://a", 0, Timestamp::from_seconds(seconds)).unwrap();
        let first = at(0);
        assert!(Arc::ptr_eq(&first, &at(59)), "nothing has changed");
        let until = Timestamp::from_seconds(100);
        statuses.add([Ended { session: SessionId(Uuid::nil()), index: 3, until }]);
        assert!(Arc::ptr_eq(&first, &at(4)));
        let second = at(5);
        assert!(!Arc::ptr_eq(&first, &second), "a change is out after 5 seconds");
        assert!(Arc::ptr_eq(&second, &at(64)));
        assert!(!Arc::ptr_eq(&second, &at(65)), "its times are renewed");
        assert!(matches!(
            signed(&statuses, &keys, "http://a", 1, Timestamp::from_seconds(0)),
            Err(Error::NoSuchList)
        ));
    }

    #[test]
    fn is_forgotten_with_its_last_token() {
        let statuses = Statuses::default();
        let session = SessionId(Uuid::nil());
        statuses.add([Ended { session, index: 3, until: Timestamp::from_seconds(100) }]);
        statuses.forget(Timestamp::from_seconds(699));
        assert!(statuses.has_ended(session), "a clock may be set back");
        statuses.forget(Timestamp::from_seconds(700));
        assert!(!statuses.has_ended(session) && statuses.is_empty());
    }
}
