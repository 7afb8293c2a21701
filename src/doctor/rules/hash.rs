//! The password hash: dear enough, and quick enough for those who wait.

use super::{set, size, start};
use crate::config::{Hash, is_weak};
use crate::doctor::facts::Facts;
use crate::doctor::rate::{Hashing, Rate};
use crate::doctor::{Finding, Level, Outcome, finding, run};
use crate::password_pool::PATIENCE;

/// How much better than guessed it may be.
const ROUGH: f64 = 2.0;

pub(crate) fn cost(facts: &Facts) -> Outcome {
    let Hash { params, threads, .. } = facts.config.hash;
    let mut findings: Vec<Finding> = Vec::new();
    if is_weak(params) {
        let what = format!(
            "passwords are hashed with m={},t={},p={}, weaker than OWASP's least",
            params.memory_kib, params.passes, params.lanes
        );
        // Only in dev are such settings taken at all.
        let level = if facts.config.dev { Level::Warning } else { Level::Error };
        let why = "whoever gets the database guesses that much cheaper";
        let mend = start(facts, "--hash-memory-kib 19456 --hash-passes 2")
            .after("Set hash_memory_kib = 19456 and hash_passes = 2, or more, and start the server again");
        findings.push(finding(level, what, why, mend));
    }
    let taken = u64::from(params.memory_kib) * u64::try_from(threads).unwrap_or(u64::MAX);
    if let Some(machine) = facts.machine_kib.filter(|machine| taken > machine / 2) {
        let what = format!(
            "hashing takes {} on {threads} threads, of {} that there are",
            size(taken << 10),
            size(machine << 10)
        );
        let why = "when many log in at once the system ends the server for want of memory";
        let fit = (machine / 4 / u64::from(params.memory_kib).max(1)).max(1);
        findings.push(finding(Level::Warning, what, why, set(facts, "hash_threads", &fit.to_string())));
    }
    Outcome::of(
        findings,
        format!("m={},t={},p={} on {threads} threads", params.memory_kib, params.passes, params.lanes),
    )
}

pub(crate) fn rate(facts: &Facts) -> Outcome {
    let Hashing { rate, at_rest, is_busy } = match &facts.hashing {
        Ok(hashing) => hashing,
        Err(why) => return Outcome::Unknown(why.clone()),
    };
    let Rate { per_second, .. } = match rate {
        Ok(rate) => rate,
        Err(why) => return Outcome::Found(vec![not_computed(facts, why, *is_busy)]),
    };
    let queue = facts.config.hash.queue;
    let (wait, patience) = (queue_seconds(queue, *per_second), PATIENCE.as_secs_f64());
    let busy = if *is_busy { ", as measured while this machine was busy" } else { "" };
    if wait <= patience {
        let fine = format!("{per_second:.0} logins/s at most, a full queue waits {wait:.1} s{busy}");
        return Outcome::Fine(fine);
    }
    // What other programs take for a moment is no fault of the setting, and what is guessed from a share is rough.
    let is_momentary = *is_busy && queue_seconds(queue, *at_rest * ROUGH) <= patience;
    let level = if is_momentary { Level::Info } else { Level::Warning };
    let what = format!(
        "this machine hashes {per_second:.0} passwords a second{busy}: the last of {queue} in a full hash_queue waits {wait:.0} s"
    );
    let why = "who waits 5 s gets 503 all the same, so that under a flood of logins work is done for callers that \
        have gone, and nobody is told early to come back";
    let fit = fitting_queue(*at_rest);
    let mend = if is_momentary {
        run(facts.command("doctor hash")).after("Measure again when nothing else runs here")
    } else {
        set(facts, "hash_queue", &fit.to_string())
    };
    Outcome::Found(vec![finding(level, what, why, mend)])
}

fn not_computed(facts: &Facts, why: &str, is_busy: bool) -> Finding {
    let (level, when) = if is_busy {
        (Level::Warning, ", while this machine was busy with other things")
    } else {
        (Level::Error, "")
    };
    let mend =
        run(facts.command("doctor hash")).after("Lower the cost; this measures and suggests parameters");
    finding(level, format!("the hash cannot be computed: {why}{when}"), "nobody can log in", mend)
}

#[allow(clippy::cast_precision_loss)] // A queue has at most 100,000 places.
fn queue_seconds(queue: usize, per_second: f64) -> f64 {
    queue as f64 / per_second
}

/// As many as are done in four of the five seconds.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Saturating, and within the setting's bounds.
fn fitting_queue(per_second: f64) -> usize {
    ((per_second * 4.0) as usize).clamp(1, 100_000)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    /// What is found where so many are hashed a second, and so many could be.
    fn told(per_second: f64, at_rest: f64, is_busy: bool) -> Option<Finding> {
        let mut facts = Facts::healthy();
        let hashing = facts.hashing.as_mut().unwrap();
        hashing.rate.as_mut().unwrap().per_second = per_second;
        (hashing.at_rest, hashing.is_busy) = (at_rest, is_busy);
        match rate(&facts) {
            Outcome::Found(found) => found.into_iter().next(),
            Outcome::Fine(_) => None,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_queue_that_is_too_long_gets_one_that_fits() {
        assert!(told(51.2, 51.2, false).is_none(), "256 of them in 5 s");
        let found = told(30.0, 30.0, false).unwrap();
        assert_eq!(found.level, Level::Warning);
        assert_eq!(found.mend.command.unwrap(), "claviger serve --hash-queue 120");
    }

    #[test]
    fn what_is_slow_for_a_moment_is_no_fault() {
        let found = told(3.0, 30.0, true).unwrap();
        assert!(found.level == Level::Info && found.what.contains("this machine was busy"), "{found:?}");
        assert!(found.mend.command.unwrap().starts_with("claviger doctor hash"));
        let found = told(3.0, 10.0, true).unwrap();
        assert!(found.level == Level::Warning && found.what.contains("this machine was busy"), "{found:?}");
        assert_eq!(found.mend.command.unwrap(), "claviger serve --hash-queue 40", "what fits at rest");
        let mut facts = Facts::healthy();
        let hashing = facts.hashing.as_mut().unwrap();
        hashing.rate = Err("one hash takes longer than the 5 s that a login waits".into());
        let level = |facts: &Facts| match rate(facts) {
            Outcome::Found(found) => found.first().unwrap().level,
            other => panic!("{other:?}"),
        };
        assert_eq!(level(&facts), Level::Error);
        facts.hashing.as_mut().unwrap().is_busy = true;
        assert_eq!(level(&facts), Level::Warning);
        facts.hashing = Err("it took longer than 7 s".into());
        assert!(matches!(rate(&facts), Outcome::Unknown(_)));
    }

    #[test]
    fn weak_parameters_are_an_error_outside_of_dev() {
        let weak = [("dev", "true"), ("hash_memory_kib", "4096")];
        let Outcome::Found(found) = cost(&Facts::healthy_with(&weak)) else { panic!("not found") };
        assert_eq!(found.first().unwrap().level, Level::Warning);
        let mut facts = Facts::healthy();
        std::sync::Arc::get_mut(&mut facts.config).unwrap().hash.params.memory_kib = 4096;
        let Outcome::Found(found) = cost(&facts) else { panic!("not found") };
        assert_eq!(found.first().unwrap().level, Level::Error);
    }

    #[test]
    fn memory_that_there_is_not_is_found() {
        let mut facts = Facts::healthy_with(&[("hash_threads", "16")]);
        facts.machine_kib = Some(19456 * 31);
        let Outcome::Found(found) = cost(&facts) else { panic!("not found") };
        assert!(
            found.first().unwrap().mend.command.as_deref().unwrap().contains("--hash-threads 7"),
            "{found:?}"
        );
        facts.machine_kib = Some(19456 * 32);
        assert!(matches!(cost(&facts), Outcome::Fine(_)));
        facts.machine_kib = None;
        assert!(matches!(cost(&facts), Outcome::Fine(_)));
    }
}
