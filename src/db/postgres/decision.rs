//! Whether a transaction may still commit: its caller may give up waiting, and is then told the truth.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

const OPEN: u8 = 0;
const COMMITTING: u8 = 1;
const GIVEN_UP: u8 = 2;
const IN_DOUBT: u8 = 3;

/// What the caller of a transaction and the thread that runs it have decided; cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Decision(Arc<AtomicU8>);

impl Decision {
    /// The caller waits no more. True if the transaction will not be kept.
    pub(super) fn give_up(&self) -> bool {
        self.change(OPEN, GIVEN_UP)
    }

    /// The thread is about to commit. False if nobody waits for it, so that it must not.
    pub(super) fn commit(&self) -> bool {
        self.change(OPEN, COMMITTING) || self.is_wanted()
    }

    /// Nothing was kept; the caller may give up again, unless an earlier try is in doubt.
    pub(super) fn reopen(&self) {
        self.change(COMMITTING, OPEN);
    }

    /// The commit was sent and not answered: from now on nobody can say that nothing was kept.
    pub(super) fn doubt(&self) {
        self.change(COMMITTING, IN_DOUBT);
    }

    /// Whether a try may have been kept that was not answered.
    pub(super) fn is_in_doubt(&self) -> bool {
        self.0.load(Ordering::SeqCst) == IN_DOUBT
    }

    /// Whether the caller still waits, or may have been told that its change is kept.
    pub(super) fn is_wanted(&self) -> bool {
        self.0.load(Ordering::SeqCst) != GIVEN_UP
    }

    fn change(&self, from: u8, to: u8) -> bool {
        self.0.compare_exchange(from, to, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_of_the_two_decides() {
        let impatient = Decision::default();
        assert!(impatient.give_up() && !impatient.commit() && !impatient.is_wanted());
        let committed = Decision::default();
        assert!(committed.commit() && !committed.give_up() && committed.is_wanted());
        committed.reopen();
        assert!(committed.give_up() && !committed.commit());
    }

    #[test]
    fn what_is_in_doubt_stays_so() {
        let lost = Decision::default();
        lost.doubt();
        assert!(!lost.is_in_doubt(), "nothing was sent");
        assert!(lost.commit());
        lost.doubt();
        lost.reopen();
        assert!(lost.is_in_doubt() && lost.commit() && !lost.give_up() && lost.is_wanted());
    }
}
