//! What a refresh token that is shown deserves: the rule of rotation (RFC 9700 §4.14.2).
//!
//! Each token is good once. For [`WINDOW`] after that it still gets the same successor, byte for byte, so
//! that a lost answer logs nobody out; later it is a replay, and the session ends.

use crate::base::time::Timestamp;
use std::time::Duration;

/// How long after its first use a spent token still gets its successor.
pub const WINDOW: Duration = Duration::from_secs(10);

/// How often a session may be refreshed at once. Then, on average, ten times in the life of an access token.
const BURST: u32 = 1000;

/// The most spent tokens whose time is remembered; more within one window are replays.
const REMEMBERED: usize = 64;

/// When the tokens before the present one were spent, the last first; only those still in the window count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpentTimes(Vec<Timestamp>);

impl SpentTimes {
    /// With the present token spent `now`; what has left the window is forgotten.
    #[must_use]
    pub fn with(&self, now: Timestamp) -> Self {
        let recent = self.0.iter().copied().take_while(|spent| now.apart(*spent) <= WINDOW);
        Self(std::iter::once(now).chain(recent).take(REMEMBERED).collect())
    }

    /// With the last one spent `now`, if it was spent at `then`.
    pub fn renewed(mut self, then: Timestamp, now: Timestamp) -> Option<Self> {
        let last = self.0.first_mut().filter(|last| **last == then)?;
        *last = now;
        Some(self)
    }

    /// As it is stored: 8 bytes each, big-endian.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|time| time.as_micros().to_be_bytes()).collect()
    }

    /// The reverse; `None` for bytes that are none.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (times, rest) = bytes.as_chunks::<8>();
        let times = times.iter().map(|time| Timestamp::from_micros(i64::from_be_bytes(*time))).collect();
        rest.is_empty().then_some(Self(times))
    }
}

/// What the stored form of times that have all left the window is below, byte by byte. With any others it is not,
/// nor with a last one that is still to come. `None` within ten seconds of 1970, where bytes do not tell.
pub fn left_the_window(now: Timestamp) -> Option<[u8; 8]> {
    let begin = now.minus(WINDOW).as_micros();
    (begin >= 0).then_some(begin.to_be_bytes())
}

/// When a session has to have been opened at the latest, to have been refreshed as often by `now` as a client may
/// need. It bounds what one session can write.
pub fn opened_by(generation: u32, now: Timestamp, token_life: Duration) -> Timestamp {
    let pace = (token_life.as_secs() / 10).max(1);
    match generation.saturating_add(1).saturating_sub(BURST) {
        0 => Timestamp::MAX,
        more => now.minus(Duration::from_secs(pace.saturating_mul(more.into()))),
    }
}

/// What is known of a session's tokens.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// The present generation.
    pub generation: u32,
    /// The digest of the present token.
    pub digest: &'a [u8; 32],
    /// When the ones before were spent.
    pub spent: &'a SpentTimes,
}

/// What a token deserves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is the present one: it is spent and its successor issued.
    Rotate,
    /// It was spent within the window: it gets the same successor again.
    Repeat,
    /// It was spent before: someone has it who should not.
    Reuse,
    /// The session has never had it; a database put back to an earlier state may be the cause.
    Unknown,
}

/// Judges a genuine token (its tag fits) of this generation and digest.
pub fn judge(known: Known<'_>, generation: u32, digest: &[u8; 32], now: Timestamp) -> Verdict {
    let Some(behind) = known.generation.checked_sub(generation) else { return Verdict::Unknown };
    let Some(spent_before) = behind.checked_sub(1) else {
        return if digest == known.digest { Verdict::Rotate } else { Verdict::Unknown };
    };
    let spent = usize::try_from(spent_before).ok().and_then(|place| known.spent.0.get(place));
    match spent {
        Some(spent) if now.apart(*spent) <= WINDOW => Verdict::Repeat,
        _ => Verdict::Reuse,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn second(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    #[test]
    fn checklist_41_and_43_once_then_the_same_for_ten_seconds_then_reuse() {
        let spent = SpentTimes::default().with(second(100)).with(second(103));
        let known = Known { generation: 2, digest: &[2; 32], spent: &spent };
        let of = |generation, now| judge(known, generation, &[2; 32], second(now));
        assert_eq!(of(2, 103), Verdict::Rotate);
        assert_eq!(of(2, 1_000_000), Verdict::Rotate, "time is the session's business");
        assert_eq!((of(1, 113), of(1, 114)), (Verdict::Repeat, Verdict::Reuse));
        assert_eq!((of(0, 110), of(0, 111)), (Verdict::Repeat, Verdict::Reuse));
        assert_eq!(of(3, 103), Verdict::Unknown);
        assert_eq!(judge(known, 2, &[9; 32], second(103)), Verdict::Unknown);
    }

    #[test]
    fn a_clock_that_is_set_back_makes_the_window_no_longer() {
        let spent = SpentTimes::default().with(second(100));
        let known = Known { generation: 1, digest: &[2; 32], spent: &spent };
        assert_eq!(judge(known, 0, &[1; 32], second(91)), Verdict::Repeat);
        assert_eq!(judge(known, 0, &[1; 32], second(89)), Verdict::Reuse);
    }

    #[test]
    fn a_session_is_not_refreshed_without_end() {
        let is_too_often =
            |generation, age: i64| second(-age) > opened_by(generation, second(0), Duration::from_secs(900));
        assert!(!is_too_often(999, 0) && is_too_often(1000, 89));
        assert!(!is_too_often(1000, 90) && !is_too_often(1039, 3600));
        assert!(is_too_often(1040, 3600) && !is_too_often(999, -10) && is_too_often(1000, -10));
    }

    #[test]
    fn what_left_the_window_is_forgotten() {
        let spent = SpentTimes::default().with(second(0)).with(second(5)).with(second(16));
        assert_eq!(spent, SpentTimes(vec![second(16)]));
        let many = (0..200).fold(SpentTimes::default(), |spent, _| spent.with(second(1)));
        assert_eq!(many.0.len(), REMEMBERED);
    }

    proptest! {
        #[test]
        fn times_go_both_ways(times in proptest::collection::vec(any::<i64>(), 0..70)) {
            let spent = SpentTimes(times.into_iter().map(Timestamp::from_micros).collect());
            prop_assert_eq!(SpentTimes::from_bytes(&spent.to_bytes()), Some(spent));
        }

        /// What the one statement of a refresh takes for granted.
        #[test]
        fn bytes_tell_whether_the_last_has_left_the_window(
            now in prop_oneof![0..30_i64, 1_000_000..1_000_030_i64],
            times in proptest::collection::vec(prop_oneof![-20..50_i64, 999_960..1_000_050_i64], 0..4),
            micros in -1..=1_i64,
        ) {
            let times = times.into_iter().map(|time| Timestamp::from_micros(time * 1_000_000 + micros));
            let (spent, now) = (SpentTimes(times.collect()), second(now));
            let left = left_the_window(now).is_some_and(|bound| spent.to_bytes().as_slice() < &bound[..]);
            let before = spent.0.first().is_none_or(|last| *last < now && now.apart(*last) > WINDOW);
            let after_1970 = spent.0.first().is_none_or(|last| last.as_micros() >= 0);
            prop_assert!(!left || (before && spent.with(now) == SpentTimes(vec![now])));
            prop_assert!(left || !before || !after_1970 || now.as_micros() < 10_000_000);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            prop_assert_eq!(SpentTimes::from_bytes(&bytes).is_some(), bytes.len() % 8 == 0);
        }

        /// Against the plain rule: every token with the time it was first used.
        #[test]
        fn agrees_with_a_plain_model(steps in proptest::collection::vec((0..6_i64, 0..4_u32), 1..60)) {
            let (mut now, mut generation, mut spent) = (0, 0_u32, SpentTimes::default());
            let mut first_use: Vec<i64> = Vec::new();
            for (pause, back) in steps {
                now += pause;
                let shown = generation.saturating_sub(back);
                let verdict = judge(
                    Known { generation, digest: &[0; 32], spent: &spent }, shown, &[0; 32], second(now),
                );
                let expected = match first_use.get(shown as usize) {
                    None => Verdict::Rotate,
                    Some(used) if now - used <= 10 => Verdict::Repeat,
                    Some(_) => Verdict::Reuse,
                };
                prop_assert_eq!(verdict, expected);
                if verdict == Verdict::Rotate {
                    first_use.push(now);
                    spent = spent.with(second(now));
                    generation += 1;
                }
            }
        }
    }
}
