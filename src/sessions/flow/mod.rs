//! Opening, refreshing, listing and ending sessions.

mod rotation;

pub use rotation::{refresh, settle};

use super::refresh::{SpentTimes, Verdict, judge};
use super::scope::Scope;
use super::tokens::{Tokens, access_expiry, issue};
use super::{DIRECT_CLIENT, Error, Lifetime, MOST, Session, Which, store};
use crate::accounts;
use crate::app::{self, Cx};
use crate::audit::{self, Event, Kind};
use crate::base::id::{self, AccountId, SessionId};
use crate::base::random;
use crate::base::time::Timestamp;
use crate::db::{self, Db, Lock, Tx};
use crate::keys::schedule::LONGEST_TOKEN_LIFE;
use crate::keys::{KeySet, earlier};
use crate::status::{self, Ended};
use claviger_crypto::token::RefreshToken;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// Where many sessions are ended, one that expired no longer ago than this is waited for too: a refresh may be about
/// to renew it.
const JUST_EXPIRED: Duration = Duration::from_secs(60);

/// How many live sessions are counted at a time.
const STRETCH: i64 = 5000;

/// A session that is not stored yet, with its first refresh token.
#[derive(Debug)]
pub struct Opening {
    /// The session.
    pub session: Session,
    refresh: RefreshToken,
    keys: Arc<KeySet>,
}

/// Prepares a session of `account`.
///
/// # Errors
/// If there is no key to sign with, or the database fails.
pub async fn prepare(cx: &Cx, account: AccountId) -> Result<Opening, Error> {
    let keys = cx.app.key_set().await?;
    let id = id::uuid_v7(cx.now, random::bytes());
    let refresh = RefreshToken::first(&cx.app.secrets.refresh, *id.as_bytes(), random::bytes());
    let absolute_expires_at = cx.now.plus(cx.app.config.session_ttl);
    let expires_at = lifetime(cx).expiry(cx.now, absolute_expires_at);
    let session = Session {
        id: SessionId(id),
        account,
        client_id: DIRECT_CLIENT.to_owned(),
        scope: Scope::all(),
        created_at: cx.now,
        last_used_at: cx.now,
        absolute_expires_at,
        expires_at,
        access_expires_at: access_expiry(cx, expires_at),
        ended_at: None,
        generation: 0,
        refresh_digest: refresh.digest(),
        spent: SpentTimes::default(),
        status_index: status::flow::next_index(&cx.app.db, &cx.app.statuses).await?,
        address: address(cx),
        user_agent: cx.user_agent.clone(),
    };
    Ok(Opening { session, refresh, keys })
}

/// Stores a session inside the transaction of its login. Where the account has too many, the oldest end:
/// [`announce`] them after the commit, and log the event.
///
/// # Errors
/// If the database fails.
pub fn open(tx: &mut Tx<'_>, cx: &Cx, session: &Session) -> Result<Option<(Vec<Ended>, Event)>, db::Error> {
    store::insert(tx, session)?;
    if !cx.app.config.limits {
        return Ok(None);
    }
    let (account, id) = (session.account, session.id);
    let Some(oldest) = store::older_than(tx, account, id, MOST - 1, cx.now)? else { return Ok(None) };
    let ended = end_many(tx, account, oldest, id, cx.now)?;
    if ended.is_empty() {
        return Ok(None);
    }
    let detail = format!("{} sessions: the account has more than {MOST}", ended.len());
    let origin = audit::Origin { actor: audit::Actor::System, ..cx.origin.clone() };
    let event = Event::new(Kind::Revoke, origin, cx.now).account(account).detail(detail);
    audit::flow::append(tx, &event)?;
    Ok(Some((ended, event)))
}

impl Opening {
    /// The first tokens of the session, once it is stored.
    ///
    /// # Errors
    /// If they cannot be signed.
    pub fn tokens(&self, cx: &Cx) -> Result<Tokens, Error> {
        let session = &self.session;
        issue(cx, &self.keys, session, session.scope.clone(), session.access_expires_at, &self.refresh)
    }
}

/// The session of any refresh token of ours, however long it is spent: what its holder may end.
///
/// # Errors
/// If the database fails.
pub async fn of_any_refresh_token(cx: &Cx, token: &str) -> Result<Option<Session>, Error> {
    match RefreshToken::parse(&cx.app.secrets.refresh, token) {
        Some(shown) => find(cx, session_of(&shown)).await,
        None => Ok(None),
    }
}

/// The session of a refresh token that could be used now or within its window, for introspection.
///
/// # Errors
/// If the database fails.
pub async fn of_refresh_token(cx: &Cx, token: &str) -> Result<Option<Session>, Error> {
    let Some(shown) = RefreshToken::parse(&cx.app.secrets.refresh, token) else { return Ok(None) };
    let (id, generation, digest) = (session_of(&shown), shown.generation(), shown.digest());
    let now = cx.now;
    cx.app
        .db
        .read(move |tx| {
            let Some(session) = store::find(tx, id, None)?.filter(|session| session.is_live(now)) else {
                return Ok(None);
            };
            let verdict = judge(session.known(), generation, &digest, now);
            let good = matches!(verdict, Verdict::Rotate | Verdict::Repeat);
            let active = accounts::flow::is_active(tx, session.account)?;
            Ok((good && active).then_some(session))
        })
        .await
}

/// A session by its id.
///
/// # Errors
/// If the database fails.
pub async fn find(cx: &Cx, id: SessionId) -> Result<Option<Session>, Error> {
    cx.app.db.read(move |tx| Ok(store::find(tx, id, None)?)).await
}

/// Live sessions of an account, the newest first: at most `limit`, from the one before `before` on.
///
/// # Errors
/// If the database fails.
pub async fn list(
    cx: &Cx,
    account: AccountId,
    before: Option<SessionId>,
    limit: u32,
) -> Result<Vec<Session>, Error> {
    let (now, before) = (cx.now, before.unwrap_or(SessionId(Uuid::max())));
    cx.app.db.read(move |tx| Ok(store::live(tx, account, now, before, limit.into())?)).await
}

/// Ends sessions of an account. Says how many.
///
/// # Errors
/// [`Error::Unknown`] if the one that is named is not a live session of this account.
pub async fn end(cx: &Cx, account: AccountId, which: Which, kind: Kind) -> Result<usize, Error> {
    let cx = cx.clone();
    app::to_its_end(async move {
        let ended = end_now(&cx, account, which, kind).await;
        // What another server has ended a moment ago is over too for who is told so here.
        if matches!(ended, Ok(_) | Err(Error::Unknown)) {
            seen_everywhere(&cx).await?;
        }
        ended
    })
    .await
}

async fn end_now(cx: &Cx, account: AccountId, which: Which, kind: Kind) -> Result<usize, Error> {
    let (asked, now) = (cx.clone(), cx.app.clock.now());
    let (ended, events) = cx
        .app
        .db
        .write::<_, Error, _>(move |tx| {
            if !matches!(which, Which::One(_)) {
                // Who changes the account takes it before its sessions, too.
                accounts::flow::exists(tx, account)?;
            }
            let ended = end_in(tx, account, which, now)?;
            if ended.is_empty() && matches!(which, Which::One(_)) {
                return Err(Error::Unknown);
            }
            let event = |ended: &Ended| asked.event(kind).account(account).session(ended.session);
            let events: Vec<Event> = ended.iter().map(event).collect();
            for event in &events {
                audit::flow::append(tx, event)?;
            }
            Ok((ended, events))
        })
        .await?;
    announce(cx, &ended);
    events.iter().for_each(|event| event.log(&cx.app.metrics));
    Ok(ended.len())
}

/// Ends sessions inside another change's transaction; [`announce`] them after its commit.
///
/// # Errors
/// If the database fails.
pub fn end_in(
    tx: &mut Tx<'_>,
    account: AccountId,
    which: Which,
    now: Timestamp,
) -> Result<Vec<Ended>, db::Error> {
    let (last, none) = (SessionId(Uuid::max()), SessionId(Uuid::nil()));
    if !matches!(which, Which::One(_)) {
        earlier::flow::end(tx, account)?;
    }
    match which {
        Which::All => end_many(tx, account, last, none, now),
        Which::AllBut(id) => end_many(tx, account, last, id, now),
        Which::One(id) => end_one(tx, account, id, now),
    }
}

/// The sessions first, then the number: in this order everybody takes them, so that nobody waits in a circle.
fn end_many(
    tx: &mut Tx<'_>,
    account: AccountId,
    last: SessionId,
    but: SessionId,
    now: Timestamp,
) -> Result<Vec<Ended>, db::Error> {
    if !store::hold_live(tx, account, last, but, now.minus(JUST_EXPIRED))? {
        return Ok(Vec::new());
    }
    let number = store::next_end(tx)?;
    store::end_many(tx, account, last, but, number, now)
}

fn end_one(
    tx: &mut Tx<'_>,
    account: AccountId,
    id: SessionId,
    now: Timestamp,
) -> Result<Vec<Ended>, db::Error> {
    let held = store::find(tx, id, Some(Lock::Update))?;
    if !held.is_some_and(|session| session.account == account && session.is_live(now)) {
        return Ok(Vec::new());
    }
    let number = store::next_end(tx)?;
    Ok(store::end_one(tx, account, id, number, now)?.into_iter().collect())
}

/// Whether a session is live, and goes on to until the end of the transaction: what a change asks, long after its
/// token was checked. Who needs the account too has to hold that first.
///
/// # Errors
/// If the database fails.
pub fn is_live(tx: &mut Tx<'_>, id: SessionId, now: Timestamp) -> Result<bool, db::Error> {
    Ok(store::find(tx, id, Some(Lock::Update))?.is_some_and(|session| session.is_live(now)))
}

/// How many live sessions an account has.
///
/// # Errors
/// If the database fails.
pub async fn count(cx: &Cx, account: AccountId) -> Result<i64, Error> {
    let now = cx.now;
    cx.app.db.read(move |tx| Ok(store::count_live(tx, account, now)?)).await
}

/// How many live sessions of all accounts expire after `after`, up to some thousand of them, and after which moment
/// the next ones do. By stretches of an index, so that a million costs a millisecond at a time.
///
/// # Errors
/// If the database fails.
pub async fn count_after(db: &Db, after: Timestamp) -> Result<(i64, Option<Timestamp>), db::Error> {
    db.read(move |tx| {
        let last = store::expiry_after(tx, after, STRETCH)?;
        Ok((store::count_between(tx, after, last.unwrap_or(Timestamp::MAX))?, last))
    })
    .await
}

/// Takes out what sessions say of a person, inside the transaction that deletes the account.
///
/// # Errors
/// If the database fails.
pub fn erase_in(tx: &mut Tx<'_>, account: AccountId) -> Result<(), db::Error> {
    store::erase(tx, account)
}

/// Waits until every server refuses the access tokens of sessions that have ended: what is told as ended is so.
///
/// # Errors
/// If the database went away meanwhile.
pub async fn seen_everywhere(cx: &Cx) -> Result<(), db::Error> {
    status::flow::seen_everywhere(&cx.app.db, &cx.app.statuses, cx.app.clock.now()).await
}

/// Has this server refuse the access tokens of sessions that have ended, at once.
pub fn announce(cx: &Cx, ended: &[Ended]) {
    cx.app.statuses.add(ended.iter().copied());
}

/// Deletes up to `limit` sessions that nothing depends on any more. Says how many.
///
/// # Errors
/// If the database fails.
pub async fn sweep(cx: &Cx, limit: u32) -> Result<usize, db::Error> {
    let before = cx.now.minus(status::MARGIN);
    cx.app.db.write(move |tx| store::sweep(tx, before, limit.into())).await
}

/// What a restore does to sessions, in its transaction. They may have been refreshed after the backup was made, so each
/// may have an access token that its row does not know of: one that is ended is to be told of until that has ended.
///
/// # Errors
/// If the database fails.
pub fn restored(tx: &mut Tx<'_>, now: Timestamp) -> Result<(), db::Error> {
    store::extend_all(tx, now.plus(LONGEST_TOKEN_LIFE))
}

fn session_of(token: &RefreshToken) -> SessionId {
    SessionId(Uuid::from_bytes(token.session()))
}

fn lifetime(cx: &Cx) -> Lifetime {
    Lifetime { idle: cx.app.config.session_idle_ttl, absolute: cx.app.config.session_ttl }
}

fn address(cx: &Cx) -> Option<String> {
    cx.origin.address.map(|address| address.to_string())
}
