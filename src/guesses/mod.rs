//! Wrong passwords: how many are borne, and how long one waits after too many (NIST SP 800-63B-4 §3.2.2).
//!
//! Failures are counted in the database, so that all servers share them and a restart forgets none: for
//! each account (or unknown identifier) and each network (IPv6 by /64). An address that an account has
//! logged in from is counted apart, so that strangers cannot lock the owner out. No success wipes a count:
//! that would give an attacker new guesses whenever the owner logs in.

mod api;
pub mod flow;
pub(crate) mod store;

use crate::base::id::AccountId;
use crate::base::time::Timestamp;
use crate::password_pool;
use std::time::Duration;

/// A count that rests for this long is forgotten.
pub const MEMORY: Duration = Duration::from_secs(3600);

/// How long one waits after failures: nothing for the first ones, then twice as long each time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// Failures without a wait.
    pub free: i64,
    /// The longest wait.
    pub longest: Duration,
}

/// For one account, from everywhere it is not known at.
pub const STRANGERS: Schedule = Schedule { free: 5, longest: Duration::from_secs(120) };

/// For one account, from networks that it has logged in from.
pub const FAMILIAR: Schedule = Schedule { free: 5, longest: Duration::from_secs(300) };

/// For one network, at all accounts that do not know it.
pub const NETWORK: Schedule = Schedule { free: 20, longest: Duration::from_secs(60) };

/// The failures counted for one subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    /// How many.
    pub failures: i64,
    /// The last of them.
    pub last_failed_at: Timestamp,
}

impl Schedule {
    /// How long the next guess has to wait; nothing if it may be made now.
    pub fn wait(self, count: Count, now: Timestamp) -> Duration {
        self.delay(count.failures).saturating_sub(now.since(count.last_failed_at))
    }

    /// Whether so many failures cost a wait: then one guess at a time is made, counted before its hash.
    pub fn is_strict(self, count: Count) -> bool {
        count.failures >= self.free
    }

    fn delay(self, failures: i64) -> Duration {
        let over = failures.saturating_sub(self.free);
        if over < 0 {
            return Duration::ZERO;
        }
        let doublings = u32::try_from(over).unwrap_or(u32::MAX).saturating_add(1);
        Duration::from_secs(2_u64.saturating_pow(doublings)).min(self.longest)
    }
}

/// What failures are counted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subject {
    /// What is stored in place of it: nobody reads from the table who was attacked.
    pub digest: [u8; 32],
    /// Its schedule.
    pub schedule: Schedule,
}

/// Whom a guess is aimed at.
#[derive(Clone, Copy, Debug)]
pub enum Target<'a> {
    /// An account, from a network that it knows.
    Familiar(AccountId),
    /// An account.
    Account(AccountId),
    /// What belongs to no account; treated like one.
    Unknown(&'a str),
}

/// The subjects that a guess at `target` from `network` is counted for.
pub fn subjects(target: Target<'_>, network: &str) -> Vec<Subject> {
    let subject = |kind: &str, who: &str, schedule| {
        // The NUL keeps kind and name apart.
        Subject { digest: claviger_crypto::sha256(format!("{kind}\0{who}").as_bytes()), schedule }
    };
    let network = subject("network", network, NETWORK);
    match target {
        Target::Familiar(id) => vec![subject("familiar", &id.to_string(), FAMILIAR)],
        Target::Account(id) => vec![subject("account", &id.to_string(), STRANGERS), network],
        Target::Unknown(identifier) => vec![subject("identifier", identifier, STRANGERS), network],
    }
}

/// Why a guess is not made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Too many were wrong; how long to wait.
    #[error("too many wrong passwords: the next one in {} s", .0.as_secs())]
    TooMany(Duration),
    /// Too many at this account are being checked.
    #[error(transparent)]
    Pool(#[from] password_pool::Error),
    /// The database failed.
    #[error(transparent)]
    Db(#[from] crate::db::Error),
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn second(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    #[test]
    fn the_first_are_free_and_then_each_wait_is_twice_as_long() {
        let wait = |failures| STRANGERS.delay(failures).as_secs();
        assert_eq!((0..=12).map(wait).collect::<Vec<_>>(), [0, 0, 0, 0, 0, 2, 4, 8, 16, 32, 64, 120, 120]);
        assert_eq!((wait(i64::MAX), wait(i64::MIN)), (120, 0));
        let count = Count { failures: 7, last_failed_at: second(100) };
        assert_eq!(STRANGERS.wait(count, second(105)).as_secs(), 3);
        assert_eq!(STRANGERS.wait(count, second(108)).as_secs(), 0);
        assert_eq!(STRANGERS.wait(count, second(50)).as_secs(), 8, "a clock that went back");
    }

    /// The guesses that can be made at times chosen by an attacker, by the plain rule.
    fn made(schedule: Schedule, pauses: impl IntoIterator<Item = i64>) -> Vec<i64> {
        let (mut now, mut count, mut made) = (0, None::<Count>, Vec::new());
        for pause in pauses {
            now += pause;
            let live = count.filter(|count| second(now).since(count.last_failed_at) < MEMORY);
            if live.is_some_and(|count| !schedule.wait(count, second(now)).is_zero()) {
                continue;
            }
            let failures = live.map_or(0, |count| count.failures) + 1;
            count = Some(Count { failures, last_failed_at: second(now) });
            made.push(now);
        }
        made
    }

    fn most_in_an_hour(made: &[i64]) -> usize {
        (0..made.len())
            .map(|from| made[from..].iter().take_while(|at| **at < made[from] + 3600).count())
            .max()
            .unwrap_or(0)
    }

    #[test]
    fn checklist_14_an_hour_of_trying_every_second() {
        let strangers = most_in_an_hour(&made(STRANGERS, vec![1; 20_000]));
        let familiar = most_in_an_hour(&made(FAMILIAR, vec![1; 20_000]));
        // Beside these, each server checks four at a time while the first ones are free.
        assert!(strangers + familiar <= 70, "{strangers} {familiar}");
        assert!(strangers >= 30, "an owner who mistypes is not locked out");
    }

    proptest! {
        #[test]
        fn no_rhythm_gives_more(pauses in proptest::collection::vec(prop_oneof![0..5_i64, 0..200_i64, 3590..3610_i64], 0..400)) {
            let both = most_in_an_hour(&made(STRANGERS, pauses.clone())) + most_in_an_hour(&made(FAMILIAR, pauses));
            prop_assert!(both <= 75, "{}", both);
        }
    }
}
