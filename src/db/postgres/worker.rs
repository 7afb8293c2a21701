//! A thread with a connection of its own: takes transactions from the queue and sees each to its end.
//!
//! A transaction that met another's is tried again, and so is one whose connection went away before its
//! COMMIT was sent. After that nobody knows whether it was kept, so its caller is told to look again. A swap is
//! run again even then: it changes nothing if it was kept.

use super::access::Access;
use super::decision::Decision;
use super::failure::{Failure, Then};
use super::session::Session;
use super::target::Target;
use crate::base::random;
use crate::db::tx::On;
use crate::db::{Error, Tx};
use crate::metrics::{Id, Metrics};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The most tries of one transaction.
const TRIES: u32 = 10;

/// The most tries where a key was there already: that is rarely a matter of time.
const TRIES_OF_A_DUPLICATE: u32 = 3;

/// How long the server has for the first answer at least, however long connecting took.
const LEAST: Duration = Duration::from_millis(500);

/// A thread's connection, if it has one now.
pub(super) struct Worker {
    target: Target,
    session: Option<Session>,
    metrics: Arc<Metrics>,
}

/// How one try ended.
enum Tried<T, E> {
    /// With this answer.
    Done(Result<T, E>),
    /// Not well. It can be tried so often in all; this is the answer if it was.
    Failed(E, u32),
}

impl Worker {
    pub(super) fn new(target: Target, metrics: Arc<Metrics>) -> Self {
        Self { target, session: None, metrics }
    }

    /// Runs a transaction that is one statement, and where that gives `None` another; no try begins after `deadline`.
    pub(super) fn swap_or_write<T, E: From<Error>>(
        &mut self,
        deadline: Instant,
        decision: &Decision,
        swap: &mut impl FnMut(&mut Tx<'_>) -> Result<Option<T>, E>,
        work: &mut impl FnMut(&mut Tx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        if let Some(value) = self.transaction(Access::Swap, deadline, decision, swap)? {
            return Ok(value);
        }
        decision.reopen();
        self.transaction(Access::Write, deadline, decision, work)
    }

    /// Runs a transaction; no try begins after `deadline`.
    pub(super) fn transaction<T, E: From<Error>>(
        &mut self,
        access: Access,
        deadline: Instant,
        decision: &Decision,
        work: &mut impl FnMut(&mut Tx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut number = 0;
        loop {
            number += 1;
            let (error, most) = match self.attempt(access, deadline, decision, work) {
                Tried::Done(answer) => return answer,
                Tried::Failed(error, most) => (error, most),
            };
            let pause = pause(number, random::bytes());
            // What a backup has written out is not taken back.
            let most = if access == Access::Snapshot { 1 } else { most };
            if number >= most || Instant::now() + pause >= deadline || !decision.is_wanted() {
                let unknown = || Error::OutcomeUnknown("its connection was lost as it was saved".into());
                return Err(if decision.is_in_doubt() { unknown().into() } else { error });
            }
            self.metrics.count(Id::PostgresRetries, &[]);
            tracing::debug!(number, ?access, "a transaction is tried again");
            std::thread::sleep(pause);
        }
    }

    fn attempt<T, E: From<Error>>(
        &mut self,
        access: Access,
        deadline: Instant,
        decision: &Decision,
        work: &mut impl FnMut(&mut Tx<'_>) -> Result<T, E>,
    ) -> Tried<T, E> {
        let left = || deadline.saturating_duration_since(Instant::now());
        let connected = match self.session.take() {
            Some(session) => Ok(session),
            None => Session::connect(&self.target, left()),
        };
        let mut session = match connected {
            Ok(session) => session,
            // Nothing to wait for; a caller who comes back finds out as soon.
            Err(failure) => return Tried::Failed(failure.error.into(), 0),
        };
        // That an idle connection is dead is found out here.
        if let Err(failure) = session.begin(access, left().max(LEAST)) {
            return self.after(session, access, failure, None);
        }
        // The COMMIT of a swap goes with its statement.
        if access == Access::Swap && !decision.commit() {
            return self.unwanted(session);
        }
        let outcome = catch_unwind(AssertUnwindSafe(|| work(&mut Tx(On::Postgres(&mut session)))))
            .unwrap_or_else(|_| Err(Error::Statement("a transaction panicked".into()).into()));
        match (session.take_failure(), outcome) {
            (None, Ok(value)) => self.commit(session, access, decision, value),
            (None, Err(error)) => {
                self.give_back(session, true);
                Tried::Done(Err(error))
            }
            (Some(failure), outcome) => {
                if failure.then == Then::Reconnect {
                    decision.doubt();
                }
                decision.reopen();
                self.after(session, access, failure, outcome.err())
            }
        }
    }

    fn commit<T, E: From<Error>>(
        &mut self,
        mut session: Session,
        access: Access,
        decision: &Decision,
        value: T,
    ) -> Tried<T, E> {
        if !decision.commit() {
            return self.unwanted(session);
        }
        match session.commit() {
            Ok(()) => {
                self.give_back(session, false);
                Tried::Done(Ok(value))
            }
            Err(failure)
                if failure.then == Then::Reconnect && !matches!(access, Access::Read | Access::Snapshot) =>
            {
                session.close();
                Tried::Done(Err(Error::OutcomeUnknown(failure.error.to_string()).into()))
            }
            Err(failure) => {
                decision.reopen();
                self.after(session, access, failure, None)
            }
        }
    }

    fn unwanted<T, E: From<Error>>(&mut self, session: Session) -> Tried<T, E> {
        self.give_back(session, true);
        Tried::Failed(Error::Unavailable("nobody waits for it any more".into()).into(), 0)
    }

    /// What is left of a try that was not kept, or whose answer was lost. Where it failed for good, `said` is the
    /// answer: what the closure made of the failure.
    fn after<T, E: From<Error>>(
        &mut self,
        session: Session,
        access: Access,
        failure: Failure,
        said: Option<E>,
    ) -> Tried<T, E> {
        let Failure { error: own, then } = failure;
        let said = |error: Error| said.unwrap_or_else(|| error.into());
        match then {
            Then::GiveUp => {
                self.give_back(session, true);
                Tried::Failed(said(own), 0)
            }
            Then::ReadOnly if matches!(access, Access::Read | Access::Snapshot) => {
                self.give_back(session, true);
                Tried::Failed(said(own), 0)
            }
            Then::ReadOnly | Then::Reconnect | Then::Unprepared => {
                session.close();
                Tried::Failed(own.into(), TRIES)
            }
            Then::TryAgain => {
                self.give_back(session, true);
                Tried::Failed(own.into(), TRIES)
            }
            Then::TryOnceMore => {
                self.give_back(session, true);
                Tried::Failed(said(own), TRIES_OF_A_DUPLICATE)
            }
        }
    }

    fn give_back(&mut self, mut session: Session, roll_back: bool) {
        if roll_back && session.roll_back().is_err() {
            return session.close();
        }
        self.session = Some(session);
    }

    /// Closes the connection.
    pub(super) fn end(self) {
        if let Some(session) = self.session {
            session.close();
        }
    }
}

/// How long to wait before the next try: any time up to 2 ms, 4 ms and so on, so that those who met once do not
/// meet again.
fn pause(number: u32, random: [u8; 2]) -> Duration {
    let most = Duration::from_millis(1 << number.min(7));
    most * u32::from(u16::from_be_bytes(random)) / u32::from(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_are_bounded() {
        let longest = |number| pause(number, [255, 255]).as_millis();
        assert_eq!([1, 2, 3, 7, 8, 40].map(longest), [2, 4, 8, 128, 128, 128]);
        assert_eq!(pause(5, [0, 0]), Duration::ZERO);
    }
}
