//! Exchanging a refresh token for its successor, inside the rule of `refresh.rs`.

use super::{JUST_EXPIRED, address, announce, end_in, lifetime, session_of};
use crate::accounts;
use crate::app::{self, App, Cx};
use crate::audit::{self, Event, Kind};
use crate::base::id::SessionId;
use crate::base::time::Timestamp;
use crate::db::{self, Lock, Tx};
use crate::metrics::Id;
use crate::metrics::labels::RefreshOutcome;
use crate::sessions::refresh::{self, Verdict, judge};
use crate::sessions::scope::Scope;
use crate::sessions::tokens::{Tokens, access_expiry, issue};
use crate::sessions::{Advance, Error, Session, Which, store};
use crate::status::Ended;
use claviger_crypto::token::RefreshToken;

/// Why a spent token is refused after its window.
const REUSED: &str = "it was spent before; its session was ended";

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
    let done = exchange(cx, token, scope).await;
    cx.app.metrics.count(Id::Refreshes, &[outcome_of(&done).at()]);
    done
}

fn outcome_of(done: &Result<Tokens, Error>) -> RefreshOutcome {
    match done {
        Ok(_) => RefreshOutcome::Success,
        Err(Error::Refused(REUSED)) => RefreshOutcome::Reuse,
        Err(Error::Refused(_)) => RefreshOutcome::Refused,
        Err(Error::Scope) => RefreshOutcome::Scope,
        Err(Error::TooOften) => RefreshOutcome::TooOften,
        Err(_) => RefreshOutcome::Failed,
    }
}

async fn exchange(cx: &Cx, token: &str, scope: Option<Option<Scope>>) -> Result<Tokens, Error> {
    let key = &cx.app.secrets.refresh;
    let shown = RefreshToken::parse(key, token).ok_or(Error::Refused("it is none of ours"))?;
    let successor = shown.successor(key).ok_or(Error::Refused("its session had too many"))?;
    let keys = cx.app.key_set().await?;
    // A thousand requests for one session must not keep all others from the database.
    let session = session_of(&shown);
    let turn = cx.app.refreshes.wait(usize::from(session.0.as_bytes()[15])).await;
    let _turn = turn.map_err(|_| db::Error::Unavailable("too many refreshes of one session".into()))?;
    settle(cx, Some(session)).await?;
    let rotation = Rotation {
        session,
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
#[derive(Clone)]
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
        let session = self.session;
        let outcome = self.written().await.inspect_err(|error| {
            if matches!(error, Error::Db(db::Error::OutcomeUnknown(_))) {
                cx.app.statuses.unsettle(session, cx.now);
            }
        });
        match outcome? {
            Outcome::Refreshed { session, until, event } => {
                event.inspect(|event| event.log(&cx.app.metrics));
                Ok((*session, until))
            }
            Outcome::Reused { ended, event } => {
                announce(&cx, &ended);
                event.log(&cx.app.metrics);
                Err(Error::Refused(REUSED))
            }
        }
    }

    /// Whoever asks for a scope may ask for too much, and an event is a statement of its own.
    async fn written(self) -> Result<Outcome, Error> {
        let App { db, config, .. } = &*self.cx.app.clone();
        let again = self.clone();
        if self.scope.is_some() {
            db.write(move |tx| self.decide(tx)).await
        } else if config.audit_refreshes {
            db.write(move |tx| self.advance(tx)?.map_or_else(|| self.decide(tx), Ok)).await
        } else {
            db.swap_or_write(move |tx| self.advance(tx), move |tx| again.decide(tx)).await
        }
    }

    /// The ordinary case in one statement, exactly as [`Self::decide`] would have it. `None` where it is not that, or
    /// perhaps not.
    fn advance(&self, tx: &mut Tx<'_>) -> Result<Option<Outcome>, Error> {
        let cx = &self.cx;
        let Some(spent_below) = refresh::left_the_window(cx.now) else { return Ok(None) };
        let expires_at = cx.now.plus(lifetime(cx).idle);
        let by = Advance {
            session: self.session,
            generation: self.generation,
            digest: self.digest,
            // Longer than the statement may wait: nobody has taken it for expired in the meantime.
            live_at: cx.app.clock.now().plus(JUST_EXPIRED),
            bound_from: cx.now.plus(cx.app.config.access_token_ttl).min(expires_at),
            opened_by: self.opened_by(),
            spent_below,
            now: cx.now,
            expires_at,
            access_expires_at: access_expiry(cx, expires_at),
            successor: self.successor,
            address: address(cx),
            user_agent: cx.user_agent.clone(),
        };
        let Some(used) = store::advance(tx, &by)? else { return Ok(None) };
        self.used(tx, used, by.access_expires_at).map(Some)
    }

    fn decide(&self, tx: &mut Tx<'_>) -> Result<Outcome, Error> {
        let session = store::find(tx, self.session, Some(Lock::Update))?;
        let session = session.ok_or(Error::Refused("its session is gone"))?;
        // Now, since it may have had to be waited for: who ended all others in the meantime took it for expired.
        if !session.is_live(self.cx.app.clock.now()) {
            return Err(Error::Refused("its session has ended"));
        }
        if !accounts::flow::is_active(tx, session.account)? {
            return Err(Error::Refused("its account is disabled or gone"));
        }
        match judge(session.known(), self.generation, &self.digest, self.cx.now) {
            Verdict::Reuse => self.end_for_reuse(tx, &session),
            Verdict::Unknown => Err(Error::Refused("its session does not know it")),
            Verdict::Rotate | Verdict::Repeat if !self.may_have_scope(&session) => Err(Error::Scope),
            Verdict::Rotate if session.created_at > self.opened_by() => Err(Error::TooOften),
            Verdict::Rotate => self.rotate(tx, session),
            Verdict::Repeat => self.repeat(tx, session),
        }
    }

    fn may_have_scope(&self, session: &Session) -> bool {
        let asked = self.scope.clone();
        asked.is_none_or(|scope| scope.is_some_and(|scope| scope.within(&session.scope).is_some()))
    }

    fn opened_by(&self) -> Timestamp {
        let config = &self.cx.app.config;
        if !config.limits {
            return Timestamp::MAX;
        }
        refresh::opened_by(self.generation, self.cx.now, config.access_token_ttl)
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
        self.used(tx, used, until)
    }

    fn used(&self, tx: &mut Tx<'_>, session: Session, until: Timestamp) -> Result<Outcome, Error> {
        let event = self.cx.event(Kind::Refresh).by_owner(session.account).session(session.id);
        if self.cx.app.config.audit_refreshes {
            audit::flow::append(tx, &event)?;
        }
        Ok(Outcome::Refreshed { session: Box::new(session), until, event: Some(event) })
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
/// back: its client could not have the answer before. That it was this one and no other its time tells. One that
/// was not kept may still be on its way: it is looked at again when its window is over.
///
/// # Errors
/// If the database is still away.
pub async fn settle(cx: &Cx, of: Option<SessionId>) -> Result<(), db::Error> {
    for (id, at) in cx.app.statuses.unsettled(of, cx.now) {
        let now = cx.now;
        let kept = cx
            .app
            .db
            .write::<_, db::Error, _>(move |tx| {
                let session = store::find(tx, id, Some(Lock::Update))?;
                let spent = session.and_then(|session| session.spent.renewed(at, now));
                spent.map_or(Ok(false), |spent| store::set_spent(tx, id, &spent).map(|()| true))
            })
            .await?;
        if kept || now.apart(at) > refresh::WINDOW {
            cx.app.statuses.settle(id, at);
        } else {
            cx.app.statuses.look_again(id, at, at.plus(refresh::WINDOW));
        }
    }
    Ok(())
}
