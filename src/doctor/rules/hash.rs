//! The password hash: dear enough, and quick enough for those who wait.

use super::{set, size};
use crate::config::{Hash, is_weak};
use crate::doctor::facts::Facts;
use crate::doctor::rate::Rate;
use crate::doctor::{Finding, Level, Outcome, finding, run};
use crate::password_pool::PATIENCE;

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
        let mend = run(facts.command("serve --hash-memory-kib 19456 --hash-passes 2"))
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
    let Hash { queue, .. } = facts.config.hash;
    let per_second = match &facts.rate {
        Ok(Rate { per_second, .. }) => *per_second,
        Err(why) => {
            let reason = "nobody can log in";
            let mend = run(facts.command("doctor hash"))
                .after("Lower the cost; this measures and suggests parameters");
            return Outcome::Found(vec![finding(
                Level::Error,
                format!("the hash cannot be computed: {why}"),
                reason,
                mend,
            )]);
        }
    };
    let wait = queue_seconds(queue, per_second);
    let fine = format!("{per_second:.0} logins/s at most, a full queue waits {wait:.1} s");
    if wait <= PATIENCE.as_secs_f64() {
        return Outcome::Fine(fine);
    }
    let what = format!(
        "this machine hashes {per_second:.0} passwords a second: the last of {queue} in a full hash_queue waits {wait:.0} s"
    );
    let why = "who waits 5 s gets 503 all the same, so that under a flood of logins work is done for callers that \
        have gone, and nobody is told early to come back";
    let fit = fitting_queue(per_second);
    let mend = set(facts, "hash_queue", &fit.to_string())
        .after(format!("If that is so too when the machine is not busy (claviger doctor hash), set hash_queue = {fit} and start the server again"));
    Outcome::Found(vec![finding(Level::Warning, what, why, mend)])
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

    #[test]
    fn a_queue_that_is_too_long_gets_one_that_fits() {
        let mut facts = Facts::healthy();
        facts.rate.as_mut().unwrap().per_second = 51.2;
        assert!(matches!(rate(&facts), Outcome::Fine(_)), "256 of them in 5 s");
        facts.rate.as_mut().unwrap().per_second = 30.0;
        let Outcome::Found(found) = rate(&facts) else { panic!("not found") };
        let command = found.first().unwrap().mend.command.clone().unwrap();
        assert!(command.starts_with("claviger serve --hash-queue 120"), "{command}");
        facts.rate = Err("one hash takes longer than the 5 s that a login waits".into());
        assert!(
            matches!(rate(&facts), Outcome::Found(found) if found.first().unwrap().level == Level::Error)
        );
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
