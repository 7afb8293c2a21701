//! Opening, refreshing, listing and ending sessions.

use super::refresh::{Known, SpentTimes, Verdict, judge};
use super::scope::Scope;
use super::tokens::{Tokens, access_expiry, issue};
use super::{DIRECT_CLIENT, Error, Lifetime, Session, Which, store};
use crate::accounts;
use crate::app::Cx;
use crate::audit::{self, Event, Kind};
use crate::base::id::{self, AccountId, SessionId};
use crate::base::random;
use crate::base::time::Timestamp;
use crate::db::{self, Tx};
use crate::keys::KeySet;
use crate::status;
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

/// Stores a session inside the transaction of its login.
///
/// # Errors
/// If the database fails.
pub fn open(tx: &mut Tx<'_>, session: &Session) -> Result<(), db::Error> {
    store::insert(tx, session)
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
    Refreshed { session: Box<Session>, until: Timestamp },
    Reused { ended: Vec<Session>, event: Event },
}

/// Exchanges a refresh token for its successor and a new access token (RFC 6749 §6). A scope may be asked
/// for that is less than what was granted; it holds for the access token alone.
///
/// # Errors
/// [`Error::Refused`], [`Error::Scope`], or that it cannot be done now; then the token is not spent.
pub async fn refresh(cx: &Cx, token: &str, scope: Option<Scope>) -> Result<Tokens, Error> {
    let key = &cx.app.secrets.refresh;
    let shown = RefreshToken::parse(key, token).ok_or(Error::Refused("it is none of ours"))?;
    let successor = shown.successor(key).ok_or(Error::Refused("its session had too many"))?;
    let keys = cx.app.key_set().await?;
    let rotation = Rotation {
        session: SessionId(Uuid::from_bytes(shown.session())),
        generation: shown.generation(),
        digest: shown.digest(),
        successor: successor.digest(),
        scope: scope.clone(),
        cx: cx.clone(),
    };
    match cx.app.db.write(move |tx| rotation.run(tx)).await? {
        Outcome::Refreshed { session, until } => {
            let scope = scope.unwrap_or_else(|| session.scope.clone());
            issue(cx, &keys, &session, scope, until, &successor)
        }
        Outcome::Reused { ended, event } => {
            tracing::warn!(event = event.kind.name(), request_id = %cx.origin.request_id, "a spent refresh token came again: its session was ended");
            event.log();
            cx.app.statuses.add(ended.iter().map(Session::as_ended));
            Err(Error::Refused("it was spent before; its session was ended"))
        }
    }
}

/// A refresh on its way through a transaction.
struct Rotation {
    session: SessionId,
    generation: u32,
    digest: [u8; 32],
    successor: [u8; 32],
    scope: Option<Scope>,
    cx: Cx,
}

impl Rotation {
    fn run(&self, tx: &mut Tx<'_>) -> Result<Outcome, Error> {
        // Where transactions overlap, another caller may be quicker between the look and the change; then
        // the second look finds the token spent.
        for _ in 0..2 {
            if let Some(outcome) = self.attempt(tx)? {
                return Ok(outcome);
            }
        }
        Err(db::Error::Unavailable("a session is being changed by others".into()).into())
    }

    fn attempt(&self, tx: &mut Tx<'_>) -> Result<Option<Outcome>, Error> {
        let session = store::find(tx, self.session)?.ok_or(Error::Refused("its session is gone"))?;
        if !session.is_live(self.cx.now) {
            return Err(Error::Refused("its session has ended"));
        }
        if !accounts::flow::is_active(tx, session.account)? {
            return Err(Error::Refused("its account is disabled or gone"));
        }
        let known =
            Known { generation: session.generation, digest: &session.refresh_digest, spent: &session.spent };
        match judge(known, self.generation, &self.digest, self.cx.now) {
            Verdict::Reuse => self.end_for_reuse(tx, &session).map(Some),
            Verdict::Unknown => Err(Error::Refused("its session does not know it")),
            Verdict::Rotate | Verdict::Repeat if !self.may_have_scope(&session) => Err(Error::Scope),
            Verdict::Rotate => self.rotate(tx, session),
            Verdict::Repeat => self.repeat(tx, session).map(Some),
        }
    }

    fn may_have_scope(&self, session: &Session) -> bool {
        self.scope.clone().is_none_or(|scope| scope.within(&session.scope).is_some())
    }

    /// `None` if another caller was quicker.
    fn rotate(&self, tx: &mut Tx<'_>, session: Session) -> Result<Option<Outcome>, Error> {
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
            return Ok(None);
        }
        if cx.app.config.audit_refreshes {
            let event = cx.event(Kind::Refresh).by_owner(used.account).session(used.id);
            audit::flow::append(tx, &event)?;
        }
        Ok(Some(Outcome::Refreshed { session: Box::new(used), until }))
    }

    /// The same successor again; the session is not used by it, but gives one more access token.
    fn repeat(&self, tx: &mut Tx<'_>, session: Session) -> Result<Outcome, Error> {
        let until = access_expiry(&self.cx, session.expires_at);
        if !store::extend_access(tx, session.id, until)? {
            return Err(Error::Refused("its session has ended"));
        }
        Ok(Outcome::Refreshed { session: Box::new(session), until })
    }

    fn end_for_reuse(&self, tx: &mut Tx<'_>, session: &Session) -> Result<Outcome, Error> {
        let ended = store::end(tx, session.account, Which::One(session.id), self.cx.now)?;
        // Whoever did it: the owner or a thief.
        let event = self.cx.event(Kind::RefreshReuse).refused().account(session.account).session(session.id);
        audit::flow::append(tx, &event)?;
        Ok(Outcome::Reused { ended, event })
    }
}

/// The session of a refresh token that could be used now or within its window, for introspection and
/// revocation.
///
/// # Errors
/// If the database fails.
pub async fn of_refresh_token(cx: &Cx, token: &str) -> Result<Option<Session>, Error> {
    let Some(shown) = RefreshToken::parse(&cx.app.secrets.refresh, token) else { return Ok(None) };
    let (id, generation, digest) =
        (SessionId(Uuid::from_bytes(shown.session())), shown.generation(), shown.digest());
    let now = cx.now;
    cx.app
        .db
        .read(move |tx| {
            let Some(session) = store::find(tx, id)?.filter(|session| session.is_live(now)) else {
                return Ok(None);
            };
            let known = Known {
                generation: session.generation,
                digest: &session.refresh_digest,
                spent: &session.spent,
            };
            let good = matches!(judge(known, generation, &digest, now), Verdict::Rotate | Verdict::Repeat);
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
    cx.app.db.read(move |tx| Ok(store::find(tx, id)?)).await
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
    let cx_in = cx.clone();
    let (ended, events) = cx
        .app
        .db
        .write::<_, Error, _>(move |tx| {
            let ended = end_in(tx, account, which, cx_in.now)?;
            if ended.is_empty() && matches!(which, Which::One(_)) {
                return Err(Error::Unknown);
            }
            let event = |session: &Session| cx_in.event(kind).account(account).session(session.id);
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
) -> Result<Vec<Session>, db::Error> {
    store::end(tx, account, which, now)
}

/// Takes out what sessions say of a person, inside the transaction that deletes the account.
///
/// # Errors
/// If the database fails.
pub fn erase_in(tx: &mut Tx<'_>, account: AccountId) -> Result<(), db::Error> {
    store::erase(tx, account)
}

/// Has this server refuse the access tokens of sessions that have ended, at once.
pub fn announce(cx: &Cx, ended: &[Session]) {
    cx.app.statuses.add(ended.iter().map(Session::as_ended));
}

/// Deletes up to `limit` sessions that nothing depends on any more. Says how many.
///
/// # Errors
/// If the database fails.
pub async fn sweep(cx: &Cx, limit: u32) -> Result<usize, db::Error> {
    let now = cx.now;
    cx.app.db.write(move |tx| store::sweep(tx, now, limit.into())).await
}

fn lifetime(cx: &Cx) -> Lifetime {
    Lifetime { idle: cx.app.config.session_idle_ttl, absolute: cx.app.config.session_ttl }
}

fn address(cx: &Cx) -> Option<String> {
    cx.origin.address.map(|address| address.to_string())
}
