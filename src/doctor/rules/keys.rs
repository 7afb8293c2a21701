//! The signing keys: that there are some, rotated in time, and long enough.

use super::{start, time};
use crate::doctor::facts::{Facts, Held};
use crate::doctor::{Finding, Level, Outcome, finding, run, shell_word};
use crate::keys::State;
use crate::keys::schedule::{self, Life, Policy, Step};
use claviger_crypto::jwk::PublicJwk;
use std::time::Duration;

/// How late a server may be with what is to be done: it looks each second.
const LATE: Duration = Duration::from_secs(3600);

/// How old a database may be in which there is no next key yet.
const NEW: Duration = Duration::from_secs(60);

/// The longest that a key of an earlier server verifies without a word here.
const LONG: Duration = Duration::from_secs(90 * 86400);

/// NIST SP 800-131A, RFC 7518 §3.3.
const LEAST_RSA_BITS: usize = 2048;

fn lives(held: &Held) -> Vec<Life> {
    held.keys.iter().map(|(_, life)| life.clone()).collect()
}

pub(crate) fn active(facts: &Facts) -> Outcome {
    let held = match facts.held() {
        Ok(held) => held,
        Err(why) => return Outcome::Unknown(why),
    };
    if let Some((_, active)) = held.keys.iter().find(|(_, life)| life.state == State::Active) {
        return Outcome::Fine(format!("{} signs since {}", active.kid, active.activated_at));
    }
    let (what, mend) = if held.keys.is_empty() {
        ("there is no signing key", start(facts, "").after("Start the server: it makes the first one"))
    } else {
        let mend = run(facts.command("key list"))
            .after("Restore the table signing_keys from a backup: nothing of this program leaves it so");
        ("none of the stored signing keys is active", mend)
    };
    let why = "nobody can log in or refresh without a key that signs";
    Outcome::Found(vec![finding(Level::Error, what, why, mend)])
}

pub(crate) fn schedule(facts: &Facts) -> Outcome {
    let held = match facts.held() {
        Ok(held) => held,
        Err(why) => return Outcome::Unknown(why),
    };
    let (lives, policy) = (lives(held), Policy::of(&facts.config));
    let Some(active) = schedule::active(&lives) else {
        return Outcome::Skipped("no key signs".into());
    };
    let mut findings: Vec<Finding> = Vec::new();
    let due = schedule::plan(&lives, &policy, facts.now.minus(LATE));
    if due.iter().any(|step| matches!(step, Step::Activate { .. })) {
        let signs = time(facts.now.since(active.activated_at));
        let asked = time(policy.rotation);
        let what = format!("the key {} signs for {signs}, and key_rotation asks for {asked}", active.kid);
        findings.push(late(facts, what, "a key that signs for long is worth more to whoever steals it"));
    }
    let gone: Vec<&str> = due.iter().filter_map(leaving).collect();
    if !gone.is_empty() {
        let what = format!("the time of {} is over, and in the JWK set it still is", gone.join(", "));
        findings.push(late(facts, what, "verifiers go on believing a key that should be gone"));
    }
    let is_new = facts.now.since(active.created_at) < NEW;
    if schedule::turn(&lives, &policy).is_none() && !is_new {
        let what = "no next key of the configured kind is published";
        findings.push(late(
            facts,
            what,
            "if the active key has to be revoked, verifiers do not know the one that follows",
        ));
    }
    let signs = format!("{} signs for {}", active.kid, time(facts.now.since(active.activated_at)));
    Outcome::of(findings, signs)
}

fn leaving(step: &Step) -> Option<&str> {
    match step {
        Step::Remove { kid, .. } | Step::Keep { kid } => Some(kid),
        Step::Publish(_) | Step::Discard { .. } | Step::Activate { .. } => None,
    }
}

/// What a server would have done.
fn late(facts: &Facts, what: impl Into<String>, why: &'static str) -> Finding {
    if facts.is_served() {
        let mend = run(facts.command("key list"))
            .after("The running server does that within a second: see its log, and whether it has these settings and this database");
        return finding(Level::Error, what, why, mend);
    }
    let mend = start(facts, "").after("No server runs here: start it, and it is done within a second");
    finding(Level::Warning, what, why, mend)
}

pub(crate) fn strength(facts: &Facts) -> Outcome {
    let published = match facts.published() {
        Ok(published) => published,
        Err(why) => return Outcome::Unknown(why),
    };
    let weak = published
        .into_iter()
        .filter_map(|key| Some((key, rsa_bits(key)?)))
        .filter(|(_, bits)| *bits < LEAST_RSA_BITS);
    let findings = weak.map(|(key, bits)| {
        let what = format!("the published key {} is RSA of {bits} bits", key.kid);
        let why = "RSA below 2048 bits is within reach of those who can spend for it, and JOSE forbids it (RFC 7518 §3.3)";
        finding(Level::Error, what, why, run(facts.command(&format!("key revoke {}", shell_word(&key.kid)))))
    });
    Outcome::of(findings.collect(), "none is too short")
}

/// The length of an RSA key's modulus.
fn rsa_bits(key: &PublicJwk) -> Option<usize> {
    let members = serde_json::to_value(key).ok()?;
    let modulus = claviger_crypto::from_base64url(members.get("n")?.as_str()?)?;
    let first = modulus.first()?;
    Some(modulus.len() * 8 - usize::try_from(first.leading_zeros()).unwrap_or(0))
}

pub(crate) fn earlier(facts: &Facts) -> Outcome {
    let held = match facts.held() {
        Ok(held) => held,
        Err(why) => return Outcome::Unknown(why),
    };
    let mut findings = Vec::new();
    for key in &held.earlier {
        let (kid, until) = (&key.public.kid, key.verify_until);
        if until.since(facts.now) > LONG {
            let what = format!("the key {kid} of an earlier server verifies until {until}");
            let why =
                "who has its private half, as everybody may who had that server, can make tokens until then";
            let mend = run(facts.command(&format!("key revoke {}", shell_word(kid))))
                .after("End it once the tokens of that server are out, or import it again for less: claviger key import --verify-until");
            findings.push(finding(Level::Warning, what, why, mend));
        } else if until < facts.now.minus(LATE) {
            let what =
                format!("the key {kid} of an earlier server was good until {until}, and is there still");
            findings.push(late(
                facts,
                what,
                "it is of no use, and services that verify offline still take its tokens",
            ));
        }
    }
    Outcome::of(findings, if held.earlier.is_empty() { "there are none" } else { "they end soon" })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::doctor::facts::of_tests::found;
    use crate::keys::earlier::EarlierKey;

    #[test]
    fn without_a_key_that_signs_nothing_works() {
        let mut facts = Facts::healthy();
        facts.held_mut().keys.iter_mut().for_each(|(_, life)| life.state = State::Next);
        assert!(found(active(&facts)).first().unwrap().1.contains("none of the stored"));
        facts.held_mut().keys.clear();
        assert!(found(active(&facts)).first().unwrap().1.contains("no signing key"));
    }

    #[test]
    fn an_overdue_rotation_is_worse_under_a_running_server() {
        let mut facts = Facts::healthy();
        facts.held_mut().keys.iter_mut().for_each(|(_, life)| {
            let ago = Duration::from_secs(91 * 86400);
            (life.created_at, life.activated_at) = (life.created_at.minus(ago), life.activated_at.minus(ago));
        });
        let overdue = found(schedule(&facts));
        assert!(overdue.len() == 1 && overdue.first().unwrap().0 == Level::Error, "{overdue:?}");
        facts.stop();
        assert_eq!(found(schedule(&facts)).first().unwrap().0, Level::Warning);
    }

    #[test]
    fn a_missing_next_key_is_found_once_it_should_be_there() {
        let mut facts = Facts::healthy();
        facts.held_mut().keys.retain(|(_, life)| life.state == State::Active);
        assert!(found(schedule(&facts)).first().unwrap().1.contains("no next key"));
        let now = facts.now;
        facts
            .held_mut()
            .keys
            .iter_mut()
            .for_each(|(_, life)| life.created_at = now.minus(Duration::from_secs(5)));
        assert_eq!(found(schedule(&facts)), []);
    }

    #[test]
    fn a_retired_key_that_stays_is_found() {
        let mut facts = Facts::healthy();
        let now = facts.now;
        let (jwk, mut life) = facts.held().unwrap().keys.first().unwrap().clone();
        (life.kid, life.state) = ("old".into(), State::Retired);
        (life.activated_at, life.retired_at) = (now.minus(LONG), now.minus(Duration::from_secs(9 * 3600)));
        life.created_at = life.activated_at;
        facts.held_mut().keys.push((jwk, life));
        assert!(found(schedule(&facts)).first().unwrap().1.contains("the time of old is over"));
    }

    #[test]
    fn short_and_long_lived_keys_are_found() {
        let mut facts = Facts::healthy();
        let key = |bits: usize| PublicJwk::rsa(&vec![0xff; bits / 8], &[1, 0, 1]);
        assert_eq!(rsa_bits(&key(2048)), Some(2048));
        assert_eq!(rsa_bits(&PublicJwk::ed25519(&[0; 32])), None);
        let earlier = |days: u64, bits| EarlierKey {
            public: key(bits),
            created_at: facts.now,
            verify_until: facts.now.plus(Duration::from_secs(days * 86400)),
        };
        let (short, long) = (earlier(30, 1024), earlier(91, 2048));
        facts.held_mut().earlier = vec![short, long];
        assert!(found(strength(&facts)).first().unwrap().1.ends_with("RSA of 1024 bits"));
        let lasting = found(super::earlier(&facts));
        assert!(lasting.len() == 1 && lasting.first().unwrap().0 == Level::Warning, "{lasting:?}");
        facts.held_mut().earlier.iter_mut().for_each(|key| key.verify_until = key.created_at.minus(LATE * 2));
        assert_eq!(found(super::earlier(&facts)).len(), 2);
    }
}
