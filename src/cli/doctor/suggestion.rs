//! Which parameters make a hash take a wanted time.

use claviger_crypto::password::Params;
use std::time::Duration;

/// OWASP's least, and what is measured first.
pub(super) const LEAST: Params = Params { memory_kib: 19456, passes: 2, lanes: 1 };

/// The most memory and passes that the settings allow.
const MOST: Params = Params { memory_kib: 1024 * 1024, passes: 64, lanes: 1 };

/// A huge page: memory is a multiple of it.
const STEP_KIB: u32 = 2048;

/// The most memory for one hash, so that those of all threads take no more than a quarter of what there is.
pub(super) fn most_memory(machine_kib: Option<u64>, threads: usize) -> u32 {
    let share = machine_kib.map(|all| all / 4 / u64::try_from(threads).unwrap_or(u64::MAX).max(1));
    let most = share.and_then(|share| u32::try_from(share).ok()).unwrap_or(MOST.memory_kib);
    most.clamp(LEAST.memory_kib, MOST.memory_kib)
}

/// Parameters for a hash of `target`, given that one with `known` takes `each`. All that time allows goes into
/// memory, and what is left then into passes; one lane, since one thread computes a hash.
pub(super) fn suggest(target: Duration, known: Params, each: Duration, most_memory: u32) -> Params {
    let work = u128::from(known.memory_kib) * u128::from(known.passes);
    let work = work * target.as_nanos() / each.as_nanos().max(1);
    let shared = |work: u128, by: u32| u32::try_from(work / u128::from(by)).unwrap_or(u32::MAX);
    let memory = shared(work, LEAST.passes).min(most_memory);
    let memory = (memory / STEP_KIB * STEP_KIB).max(LEAST.memory_kib);
    let passes = shared(work, memory).clamp(LEAST.passes, MOST.passes);
    Params { memory_kib: memory, passes, lanes: 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn for_millis(target: u64, each_micros: u64, most: u32) -> (u32, u32) {
        let of = suggest(Duration::from_millis(target), LEAST, Duration::from_micros(each_micros), most);
        assert!(Params::new(of.memory_kib, of.passes, of.lanes).is_ok_and(|params| params == of));
        (of.memory_kib, of.passes)
    }

    #[test]
    fn time_goes_into_memory_first_and_never_below_owasps_least() {
        let most = MOST.memory_kib;
        assert_eq!(for_millis(10, 10_000, most), (19456, 2), "just as long");
        assert_eq!(for_millis(1, 10_000, most), (19456, 2), "too little time");
        assert_eq!(for_millis(100, 10_000, most), (194_560, 2), "ten times");
        assert_eq!(for_millis(101, 10_000, most), (194_560, 2), "whole huge pages");
        assert_eq!(for_millis(100, 10_000, 65_536), (65_536, 5), "as far as memory goes, then passes");
        assert_eq!(for_millis(2000, 1, most), (1_048_576, 64), "what the settings allow");
        assert_eq!(for_millis(2000, 0, most), (1_048_576, 64));
    }

    #[test]
    fn all_threads_together_take_a_quarter_of_the_memory() {
        assert_eq!(most_memory(Some(8 << 20), 4), 512 << 10);
        assert_eq!(most_memory(Some(64 << 20), 4), MOST.memory_kib);
        assert_eq!(most_memory(Some(1 << 18), 16), LEAST.memory_kib);
        assert_eq!(most_memory(None, 4), MOST.memory_kib);
        assert_eq!(most_memory(Some(u64::MAX), 0), MOST.memory_kib);
    }
}
