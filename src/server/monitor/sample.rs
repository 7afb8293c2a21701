//! What is looked at when the page is asked for: what is so now, and is counted nowhere.

use super::process;
use crate::app::App;
use crate::base::time::Timestamp;
use crate::keys::State;
use crate::keys::schedule::{self, Life, Policy};
use crate::metrics::labels::{Engine, KeyState};
use crate::metrics::{Id, Metrics};
use std::sync::PoisonError;
use std::time::Instant;

/// Sets all gauges.
pub(super) fn take(app: &App) {
    let (metrics, now) = (&*app.metrics, app.clock.now());
    let set = |id, value: usize| metrics.set(id, &[], i64::try_from(value).ok());
    let (waiting, most) = app.passwords.waiting();
    set(Id::HashQueue, waiting);
    set(Id::HashQueueMax, most);
    set(Id::HashThreads, app.passwords.threads());
    set(Id::ConnectionsMax, app.config.max_connections);
    set(Id::DatabaseUp, app.health.database_answers(Instant::now()).into());
    let engine = if app.db.is_remote() { Engine::Postgres } else { Engine::Sqlite };
    if engine == Engine::Sqlite {
        set(Id::PostgresThreads, 0);
    }
    metrics.set(Id::BuildInfo, &[0, engine.at()], Some(1));
    metrics.set(Id::StartTime, &[], Some(app.started_at.as_micros().saturating_mul(1000)));
    let lives = app.key_lives.lock().unwrap_or_else(PoisonError::into_inner).clone();
    keys(metrics, &lives, &Policy::of(&app.config), now);
    process::take(metrics);
}

fn keys(metrics: &Metrics, lives: &[Life], policy: &Policy, now: Timestamp) {
    for (state, label) in [
        (State::Next, KeyState::Next),
        (State::Active, KeyState::Active),
        (State::Retired, KeyState::Retired),
        (State::Kept, KeyState::Kept),
    ] {
        let of_state = || lives.iter().filter(|life| life.state == state);
        let oldest = of_state().map(|life| life.created_at).min();
        let step = of_state().filter_map(|life| next_step(life, lives, policy)).min();
        let nanos = |micros: i64| micros.saturating_mul(1000);
        let age = oldest.map(|at| nanos(now.as_micros().saturating_sub(at.as_micros())));
        let until = step.map(|at| nanos(at.as_micros().saturating_sub(now.as_micros())));
        metrics.set(Id::Keys, &[label.at()], i64::try_from(of_state().count()).ok());
        metrics.set(Id::KeyAge, &[label.at()], age);
        metrics.set(Id::KeyNextStep, &[label.at()], until);
    }
}

/// When a key's state changes next.
fn next_step(life: &Life, all: &[Life], policy: &Policy) -> Option<Timestamp> {
    let turn = schedule::turn(all, policy);
    match life.state {
        State::Active => Some(turn.map_or(life.activated_at.plus(policy.rotation), |turn| turn.at)),
        State::Next => turn.filter(|turn| turn.kid == life.kid).map(|turn| turn.at),
        State::Retired => Some(life.leaves_at(policy)),
        State::Kept => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Vocabulary;
    use claviger_crypto::jws::KeyKind;
    use std::time::Duration;

    const DAY: i64 = 86_400;

    fn life(kid: &str, state: State, created: i64) -> Life {
        let at = |days: i64| Timestamp::from_seconds(days * DAY);
        Life {
            kid: kid.to_owned(),
            kind: KeyKind::Ed25519,
            state,
            created_at: at(created),
            due_at: None,
            activated_at: at(10),
            retired_at: at(20),
            token_life: Duration::from_secs(900),
            cache_life: Duration::from_secs(300),
        }
    }

    #[test]
    fn keys_are_told_by_state() {
        let day = Duration::from_secs(86_400);
        let policy =
            Policy { kind: KeyKind::Ed25519, rotation: 90 * day, token_life: Duration::from_secs(900) };
        let now = Timestamp::from_seconds(50 * DAY);
        let metrics = Metrics::new(Vocabulary::default());
        let lives = [life("a", State::Active, 5), life("b", State::Next, 40)];
        keys(&metrics, &lives, &policy, now);
        let page = metrics.page();
        let says = |line: &str| assert!(page.lines().any(|said| said == line), "{line} is not in\n{page}");
        says("claviger_signing_keys{state=\"active\"} 1");
        says("claviger_signing_keys{state=\"retired\"} 0");
        says(&format!("claviger_signing_key_age_seconds{{state=\"active\"}} {}", 45 * DAY));
        says(&format!("claviger_signing_key_age_seconds{{state=\"next\"}} {}", 10 * DAY));
        says(&format!("claviger_signing_key_next_step_seconds{{state=\"active\"}} {}", 50 * DAY));
        says(&format!("claviger_signing_key_next_step_seconds{{state=\"next\"}} {}", 50 * DAY));
        assert!(!page.contains("key_age_seconds{state=\"retired\"}"), "there is none");
        // No next key was published in time.
        let late = Timestamp::from_seconds(110 * DAY);
        keys(&metrics, &lives[..1], &policy, late);
        let overdue = format!("claviger_signing_key_next_step_seconds{{state=\"active\"}} {}", -10 * DAY);
        assert!(metrics.page().lines().any(|said| said == overdue));
        assert!(!metrics.page().contains("next_step_seconds{state=\"next\"}"), "what is gone is not told on");
    }
}
