//! Opening, refreshing, listing and ending sessions.

use super::refresh::{self, SpentTimes, Verdict, judge};
use super::scope::Scope;
use super::tokens::{Tokens, access_expiry, issue};
use super::{DIRECT_CLIENT, Error, Lifetime, MOST, Session, Which, store};
use crate::accounts;
use crate::app::{self, Cx};
use crate::audit::{self, Event, Kind};
use crate::base::id::{self, AccountId, SessionId};
use crate::base::random;
use crate::base::time::Timestamp;
use crate::db::{self, Lock, Tx};
use crate::keys::KeySet;
use crate::status::{self, Ended};
use claviger_crypto::token::RefreshToken;
use std::sync::Arc;
use uuid::Uuid;

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

/// What became of a refresh, inside its transaction.
enum Outcome {
    Refreshed { session: Box<Session>, until: Timestamp, event: Option<Event> },
    Reused { ended: Vec<Ended>, event: Event },
}

/// Exchanges a refresh token for its successor and a new access token (RFC 6749 §6). A scope may be asked
/// for that is less than what was granted; it holds for the access token alone. `Some(None)` is one that
/// there is not: it is refused, but only to who shows a good token.
///
/// # Errors
/// [`Error::Refused`], [`Error::Scope`], [`Error::TooOften`], or that it cannot be done now. Then the token is
/// not spent, or can be shown again for a while.
pub async fn refresh(cx: &Cx, token: &str, scope: Option<Option<Scope>>) -> Result<Tokens, Error> {
    let key = &cx.app.secrets.refresh;
    let shown = RefreshToken::parse(key, token).ok_or(Error::Refused("it is none of ours"))?;
    let successor = shown.successor(key).ok_or(Error::Refused("its session had too many"))?;
    let keys = cx.app.key_set().await?;
    settle(cx, Some(session_of(&shown))).await?;
    let rotation = Rotation {
        session: session_of(&shown),
        generation: shown.generation(),
        digest: shown.digest(),
        successor: successor.digest(),
        scope: scope.clone(),
        cx: cx.clone(),
    };
    let (session, until) = app::to_its_end(rotation.carry_out()).await?;
    let scope = scope.flatten().unwrap_or_else(|| session.scope.clone());
    issue(cx, &keys, &session, scope, until, &successor)
}

/// A refresh on its way through a transaction.
struct Rotation {
    session: SessionId,
    generation: u32,
    digest: [u8; 32],
    successor: [u8; 32],
    scope: Option<Option<Scope>>,
    cx: Cx,
}

impl Rotation {
    /// The session, and when the access token ends that it gives now.
    async fn carry_out(self) -> Result<(Session, Timestamp), Error> {
        let cx = self.cx.clone();
        let (session, generation) = (self.session, self.generation);
        let outcome = cx.app.db.write(move |tx| self.run(tx)).await.inspect_err(|error| {
            if matches!(error, Error::Db(db::Error::OutcomeUnknown(_))) {
                cx.app.statuses.unsettle(session, generation);
            }
        });
        match outcome? {
            Outcome::Refreshed { session, until, event } => {
                event.inspect(Event::log);
                Ok((*session, until))
            }
            Outcome::Reused { ended, event } => {
                announce(&cx, &ended);
                event.log();
                Err(Error::Refused("it was spent before; its session was ended"))
            }
        }
    }

    fn run(&self, tx: &mut Tx<'_>) -> Result<Outcome, Error> {
        let session = store::find(tx, self.session, Some(Lock::Update))?;
        let session = session.ok_or(Error::Refused("its session is gone"))?;
        if !session.is_live(self.cx.now) {
            return Err(Error::Refused("its session has ended"));
        }
        if !accounts::flow::is_active(tx, session.account)? {
            return Err(Error::Refused("its account is disabled or gone"));
        }
        match judge(session.known(), self.generation, &self.digest, self.cx.now) {
            Verdict::Reuse => self.end_for_reuse(tx, &session),
            Verdict::Unknown => Err(Error::Refused("its session does not know it")),
            Verdict::Rotate | Verdict::Repeat if !self.may_have_scope(&session) => Err(Error::Scope),
            Verdict::Rotate if self.is_too_often(&session) => Err(Error::TooOften),
            Verdict::Rotate => self.rotate(tx, session),
            Verdict::Repeat => self.repeat(tx, session),
        }
    }

    fn may_have_scope(&self, session: &Session) -> bool {
        let asked = self.scope.clone();
        asked.is_none_or(|scope| scope.is_some_and(|scope| scope.within(&session.scope).is_some()))
    }

    fn is_too_often(&self, session: &Session) -> bool {
        let age = self.cx.now.since(session.created_at);
        let config = &self.cx.app.config;
        config.limits && refresh::is_too_often(session.generation, age, config.access_token_ttl)
    }

    fn rotate(&self, tx: &mut Tx<'_>, session: Session) -> Result<Outcome, Error> {
        let cx = &self.cx;
        let expires_at = lifetime(cx).expiry(cx.now, session.absolute_expires_at);
        let until = access_expiry(cx, expires_at);
        let used = Session {
            last_used_at: cx.now,
            expires_at,
            access_expires_at: until.max(session.access_expires_at),
            generation: self.generation.saturating_add(1),
            refresh_digest: self.successor,
            spent: session.spent.with(cx.now),
            address: address(cx),
            user_agent: cx.user_agent.clone(),
            ..session
        };
        if !store::rotate(tx, &used, self.generation)? {
            return Err(db::Error::Corrupt("a session changed while it was held".into()).into());
        }
        let event = cx.event(Kind::Refresh).by_owner(used.account).session(used.id);
        if cx.app.config.audit_refreshes {
            audit::flow::append(tx, &event)?;
        }
        Ok(Outcome::Refreshed { session: Box::new(used), until, event: Some(event) })
    }

    /// The same successor again; the session is not used by it, but gives one more access token.
    fn repeat(&self, tx: &mut Tx<'_>, session: Session) -> Result<Outcome, Error> {
        let until = access_expiry(&self.cx, session.expires_at);
        if !store::extend_access(tx, session.id, until)? {
            return Err(Error::Refused("its session has ended"));
        }
        Ok(Outcome::Refreshed { session: Box::new(session), until, event: None })
    }

    fn end_for_reuse(&self, tx: &mut Tx<'_>, session: &Session) -> Result<Outcome, Error> {
        let ended = end_in(tx, session.account, Which::One(session.id), self.cx.now)?;
        // Whoever did it: the owner or a thief.
        let event = self.cx.event(Kind::RefreshReuse).refused().account(session.account).session(session.id);
        audit::flow::append(tx, &event)?;
        Ok(Outcome::Reused { ended, event })
    }
}

/// Where the database went away while a refresh was saved, and kept it, its window begins when the database is
/// back: its client could not have the answer before.
///
/// # Errors
/// If the database is still away.
pub async fn settle(cx: &Cx, of: Option<SessionId>) -> Result<(), db::Error> {
    for (id, generation) in cx.app.statuses.unsettled(of) {
        let (now, next) = (cx.now, generation.saturating_add(1));
        cx.app
            .db
            .write::<_, db::Error, _>(move |tx| match store::find(tx, id, Some(Lock::Update))? {
                Some(session) if session.generation == next => {
                    store::set_spent(tx, id, next, &session.spent.renewed(now))
                }
                _ => Ok(()),
            })
            .await?;
        cx.app.statuses.settle(id);
    }
    Ok(())
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
        if matches!((&ended, which), (Err(Error::Unknown), _) | (Ok(_), Which::All | Which::AllBut(_))) {
            status::flow::refresh(&cx.app.db, &cx.app.statuses, cx.app.clock.now()).await?;
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
    events.iter().for_each(Event::log);
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
    if !store::hold_live(tx, account, last, but, now)? {
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

/// Takes out what sessions say of a person, inside the transaction that deletes the account.
///
/// # Errors
/// If the database fails.
pub fn erase_in(tx: &mut Tx<'_>, account: AccountId) -> Result<(), db::Error> {
    store::erase(tx, account)
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

fn session_of(token: &RefreshToken) -> SessionId {
    SessionId(Uuid::from_bytes(token.session()))
}

fn lifetime(cx: &Cx) -> Lifetime {
    Lifetime { idle: cx.app.config.session_idle_ttl, absolute: cx.app.config.session_ttl }
}

fn address(cx: &Cx) -> Option<String> {
    cx.origin.address.map(|address| address.to_string())
}
