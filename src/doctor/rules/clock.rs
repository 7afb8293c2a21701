//! Whether the clock is right, by those that can be asked.

use super::{ahead, time};
use crate::base::time::Timestamp;
use crate::db::examine::Setup;
use crate::doctor::facts::Facts;
use crate::doctor::{Finding, Level, Outcome, finding, run};
use std::time::Duration;

/// Beyond this, servers of one database no longer do as one.
const NOTABLE: Duration = Duration::from_secs(3);

/// `Date` has whole seconds, and an answer takes its time.
const NOTABLE_BY_DATE: Duration = Duration::from_secs(5);

/// Beyond this, verifiers refuse tokens.
const BAD: Duration = Duration::from_secs(60);

const WHY: &str = "tokens, sessions, windows of refresh tokens and key rotation go by each server's clock. A token of \
    a clock that is ahead is refused elsewhere as not valid yet, and servers that differ by seconds rotate keys at \
    different times";

/// How far `ours` may be off: it was read between two looks at the other clock, or the other way round.
fn off(ours: (Timestamp, Timestamp), theirs: Timestamp) -> Duration {
    if theirs < ours.0 { ours.0.since(theirs) } else { theirs.since(ours.1) }
}

fn judged(whose: &str, ours: (Timestamp, Timestamp), theirs: Timestamp, notable: Duration) -> Vec<Finding> {
    let off = off(ours, theirs);
    let level = match off {
        off if off > BAD => Level::Error,
        off if off > notable => Level::Warning,
        _ => return Vec::new(),
    };
    let what = format!(
        "this machine's clock is {} {} {whose}",
        time(off),
        ahead(ours.0, theirs).replace("ahead", "ahead of")
    );
    let mend = run("timedatectl set-ntp true").after("Let NTP keep the clocks of both machines");
    vec![finding(level, what, WHY, mend)]
}

pub(crate) fn database(facts: &Facts) -> Outcome {
    match facts.setup() {
        Err(why) => Outcome::Unknown(why),
        Ok(Setup::Sqlite { .. }) => Outcome::Skipped("SQLite has no clock of its own".into()),
        Ok(Setup::Postgres(server)) => {
            let fine = format!("they differ by {}", time(off(server.asked, server.clock)));
            Outcome::of(judged("the database server's", server.asked, server.clock, NOTABLE), fine)
        }
    }
}

pub(crate) fn issuer(facts: &Facts) -> Outcome {
    let Ok(answer) = &facts.issuer.jwk_set else {
        return Outcome::Skipped("nobody answers for the issuer".into());
    };
    let date = answer.header("date").and_then(crate::base::time::Timestamp::parse_http_date);
    let (Some(date), Some(at)) = (date, answer.at) else {
        return Outcome::Skipped("the issuer's answer has no Date".into());
    };
    let ours = (at.minus(Duration::from_secs(1)), at);
    Outcome::of(
        judged("the issuer's", ours, date, NOTABLE_BY_DATE),
        format!("they differ by {}", time(off(ours, date))),
    )
}

pub(crate) fn set_back(facts: &Facts) -> Outcome {
    let held = match facts.held() {
        Ok(held) => held,
        Err(why) => return Outcome::Unknown(why),
    };
    let ahead = held.latest.iter().filter(|(_, at)| at.since(facts.now) > NOTABLE);
    let findings = ahead.max_by_key(|(_, at)| *at).map(|(of, at)| {
        let what = format!("{of} is of {at}, {} in the future", time(at.since(facts.now)));
        let level = if at.since(facts.now) > BAD { Level::Error } else { Level::Warning };
        let why = "the clock was set back, or was ahead for a while: sessions live too long, rotation waits, and \
            the audit trail tells wrong times";
        let mend = run("timedatectl status")
            .after("See whether the clock is right now, and let NTP keep it. What is stored comes right when that time has come");
        finding(level, what, why, mend)
    });
    Outcome::of(findings.into_iter().collect(), "the latest moment stored is not in the future")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_off_is_found_from_some_seconds_on() {
        let mut facts = Facts::healthy_on_postgres();
        let now = facts.now;
        for (off, level) in [
            (-90, Some(Level::Error)),
            (-5, Some(Level::Warning)),
            (-2, None),
            (2, None),
            (4, Some(Level::Warning)),
            (61, Some(Level::Error)),
        ] {
            facts.server_mut().clock = Timestamp::from_micros(now.as_micros() + off * 1_000_000);
            match (database(&facts), level) {
                (Outcome::Fine(_), None) => {}
                (Outcome::Found(found), Some(level)) => {
                    assert_eq!(found.first().unwrap().level, level, "{off}")
                }
                (other, _) => panic!("{off}: {other:?}"),
            }
        }
        facts.server_mut().clock = now.plus(Duration::from_secs(120));
        let Outcome::Found(found) = database(&facts) else { panic!("not found") };
        assert_eq!(
            found.first().unwrap().what,
            "this machine's clock is 2 minutes behind the database server's"
        );
    }

    #[test]
    fn the_time_of_a_slow_answer_does_not_count() {
        let mut facts = Facts::healthy_on_postgres();
        let now = facts.now;
        facts.server_mut().asked = (now, now.plus(Duration::from_secs(30)));
        facts.server_mut().clock = now.plus(Duration::from_secs(15));
        assert!(matches!(database(&facts), Outcome::Fine(_)));
    }

    #[test]
    fn the_latest_moment_in_the_future_is_told() {
        let mut facts = Facts::healthy();
        let later = facts.now.plus(Duration::from_secs(7200));
        facts.held_mut().latest = vec![("an event", facts.now), ("a session", later)];
        let Outcome::Found(found) = set_back(&facts) else { panic!("not found") };
        assert!(found.first().unwrap().what.starts_with("a session is of "), "{found:?}");
        assert_eq!(found.first().unwrap().level, Level::Error);
    }
}
