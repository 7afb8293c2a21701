//! Wrong passwords: how many are borne, and how long one waits after too many (NIST SP 800-63B-4 §3.2.2).
//!
//! Failures are counted in the database, so that all servers share them and a restart forgets none: for
//! each account (or unknown identifier) and each network (IPv6 by /64). Networks that an account has
//! logged in from are counted apart, so that strangers cannot lock the owner out. A count is forgiven by
//! time alone: if a success wiped it, an attacker had new guesses whenever the owner logs in.

mod api;
pub mod flow;
pub(crate) mod store;

use crate::base::id::AccountId;
use crate::base::time::Timestamp;
use crate::password_pool;
use claviger_crypto::mac::MacKey;
use std::time::Duration;

/// A count that rests for this long is forgiven whatever its schedule.
pub const MEMORY: Duration = Duration::from_secs(24 * 3600);

/// How long one waits after failures: nothing for the first ones, then twice as long each time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// Failures without a wait.
    pub free: i64,
    /// The longest wait.
    pub longest: Duration,
    /// One failure is forgiven each time so long has passed since the last.
    pub forgives: Duration,
}

/// For one account, from all networks that it does not know.
pub const STRANGERS: Schedule = schedule(5, 120, 300);

/// For one account, from one network that it has logged in from.
pub const FAMILIAR: Schedule = schedule(5, 300, 300);

/// For one account, from all networks that it knows: more than one of them ever reaches by itself, so that
/// a device with an old password at one does not trouble the owner at another.
pub const ALL_FAMILIAR: Schedule = schedule(16, 300, 150);

/// For one account, by who shows a token of it. At [`OWN_MOST`] the session of the token ends.
pub const OWN: Schedule = schedule(5, 300, 300);

/// How many wrong passwords a token is good for.
pub const OWN_MOST: i64 = 10;

/// For one network, at all accounts that know it.
pub const NEIGHBOURS: Schedule = schedule(100, 60, 30);

/// For one network, at all accounts that do not know it.
pub const NETWORK: Schedule = schedule(20, 60, 120);

const fn schedule(free: i64, longest: u64, forgives: u64) -> Schedule {
    Schedule { free, longest: Duration::from_secs(longest), forgives: Duration::from_secs(forgives) }
}

/// The failures counted for one subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    /// How many.
    pub failures: i64,
    /// The last of them.
    pub last_failed_at: Timestamp,
}

impl Schedule {
    /// What is left of a count: time forgives. A clock that was set back counts like one that went on.
    pub fn left(self, count: Count, now: Timestamp) -> i64 {
        let forgiven = now.apart(count.last_failed_at).as_secs() / self.forgives.as_secs().max(1);
        count.failures.saturating_sub(i64::try_from(forgiven).unwrap_or(i64::MAX)).max(0)
    }

    /// The count after one more failure. It stops where the waits get no longer.
    pub fn after(self, count: Option<Count>, now: Timestamp) -> i64 {
        let left = count.map_or(0, |count| self.left(count, now));
        left.saturating_add(1).min(self.free.saturating_add(12))
    }

    /// How long the next guess has to wait; nothing if it may be made now.
    pub fn wait(self, count: Count, now: Timestamp) -> Duration {
        self.delay(self.left(count, now)).saturating_sub(now.apart(count.last_failed_at))
    }

    /// Whether so many failures cost a wait: then one guess at a time is made, counted before its hash.
    pub fn is_strict(self, count: Count, now: Timestamp) -> bool {
        self.left(count, now) >= self.free
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
    /// What is stored in place of it: nobody reads from the table who was attacked, or from where.
    pub digest: [u8; 32],
    /// Its schedule.
    pub schedule: Schedule,
}

/// Whom a guess is aimed at.
#[derive(Clone, Copy, Debug)]
pub enum Target<'a> {
    /// An account, from a network that it knows.
    Familiar(AccountId),
    /// An account, by who shows a token of it.
    Own(AccountId),
    /// An account.
    Account(AccountId),
    /// What belongs to no account; treated like one.
    Unknown(&'a str),
}

/// The subjects that a guess at `target` from the network `here` is counted for.
pub fn subjects(key: &MacKey, target: Target<'_>, here: &str) -> Vec<Subject> {
    let subject = |kind: &str, who: &str, schedule| Subject {
        digest: key.tag(&[kind.as_bytes(), who.as_bytes()]),
        schedule,
    };
    let network = subject("network", here, NETWORK);
    match target {
        Target::Familiar(id) => vec![
            subject("familiar", &format!("{id}\0{here}"), FAMILIAR),
            subject("all-familiar", &id.to_string(), ALL_FAMILIAR),
            subject("neighbours", here, NEIGHBOURS),
        ],
        Target::Own(id) => vec![subject("own", &id.to_string(), OWN)],
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
    }

    #[test]
    fn time_forgives_whichever_way_the_clock_goes() {
        let count = Count { failures: 7, last_failed_at: second(100_000) };
        let left = |seconds: i64| STRANGERS.left(count, second(100_000 + seconds));
        assert_eq!([0, 299, 300, 2100, 9000].map(left), [7, 7, 6, 0, 0]);
        assert_eq!([-1, -300, -9000].map(left), [7, 6, 0]);
        assert_eq!(STRANGERS.after(None, second(0)), 1);
        assert_eq!(STRANGERS.after(Some(count), second(100_300)), 7);
        let full = Count { failures: 17, ..count };
        assert_eq!(STRANGERS.after(Some(full), second(100_000)), 17, "a flood is forgiven in time too");
    }

    /// The guesses that are let through at times chosen by an attacker, each subject to all schedules.
    fn made(schedules: &[Schedule], pauses: impl IntoIterator<Item = i64>) -> Vec<i64> {
        let (mut now, mut counts, mut made) = (0, vec![None::<Count>; schedules.len()], Vec::new());
        for pause in pauses {
            now += pause;
            let waits = |(schedule, count): (&Schedule, &Option<Count>)| {
                count.is_some_and(|count| !schedule.wait(count, second(now)).is_zero())
            };
            if schedules.iter().zip(&counts).any(waits) {
                continue;
            }
            for (schedule, count) in schedules.iter().zip(&mut counts) {
                let failures = schedule.after(*count, second(now));
                *count = Some(Count { failures, last_failed_at: second(now) });
            }
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
    fn checklist_14_hours_of_trying_every_second() {
        let strangers = most_in_an_hour(&made(&[STRANGERS], vec![1; 20_000]));
        // As if every familiar network were fresh: only what holds for all of them together counts.
        let familiar = most_in_an_hour(&made(&[ALL_FAMILIAR], vec![1; 20_000]));
        // Beside these, each server checks four at a time while the first ones are free.
        assert!(strangers + familiar <= 85, "{strangers} {familiar}");
        assert!(strangers >= 30, "an owner who mistypes is not locked out");
    }

    #[test]
    fn a_device_with_an_old_password_troubles_its_own_network_alone() {
        for every in [60, 300, 900] {
            let pauses = vec![every; 86_400 / usize::try_from(every).unwrap()];
            let made = made(&[FAMILIAR, ALL_FAMILIAR], pauses);
            let count = made.iter().fold(None, |count, at| {
                let failures = ALL_FAMILIAR.after(count, second(*at));
                Some(Count { failures, last_failed_at: second(*at) })
            });
            assert!(count.unwrap().failures < ALL_FAMILIAR.free, "every {every} s: {count:?}");
        }
    }

    proptest! {
        #[test]
        fn no_rhythm_gives_more(pauses in proptest::collection::vec(
            prop_oneof![0..5_i64, 0..200_i64, 140..160_i64, 290..310_i64, 3590..3610_i64], 0..400,
        )) {
            let strangers = most_in_an_hour(&made(&[STRANGERS], pauses.clone()));
            let familiar = most_in_an_hour(&made(&[ALL_FAMILIAR], pauses));
            prop_assert!(strangers + familiar <= 90, "{} {}", strangers, familiar);
        }
    }
}
