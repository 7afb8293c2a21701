//! Whether a transaction may still commit: its caller may give up waiting, and is then told the truth.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

const OPEN: u8 = 0;
const COMMITTING: u8 = 1;
const GIVEN_UP: u8 = 2;

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
        self.change(OPEN, COMMITTING)
    }

    /// The commit was refused; the transaction is tried again.
    pub(super) fn reopen(&self) {
        self.change(COMMITTING, OPEN);
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
}
