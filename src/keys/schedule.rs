//! When a key is published, signs, stops and goes: pure rules, with the time as an argument.
//!
//! The promise: a verifier that obeys the cache headers of the JWK set knows every key that signs, and
//! no key leaves the set while a token that it signed lives. Servers may follow a few seconds late.

use super::State;
use crate::base::time::Timestamp;
use crate::config::Config;
use claviger_crypto::jws::KeyKind;
use std::time::Duration;

/// Other servers look at the database several times a second; until then they publish the old set.
const LAG: Duration = Duration::from_secs(2);

/// What clocks may differ by, and verifiers allow for, before a retired key goes.
const MARGIN: Duration = Duration::from_secs(120);

/// How long a signed status list may be relied upon.
pub const STATUS_LIST_LIFE: Duration = Duration::from_secs(600);

/// The longest life that `access_token_ttl` allows: for keys of before it was written down.
pub const LONGEST_TOKEN_LIFE: Duration = Duration::from_secs(24 * 3600);

/// The longest that the JWK set may be cached: for keys of before it was written down.
pub const LONGEST_CACHE: Duration = Duration::from_secs(300);

/// What the settings ask for.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// The kind of new keys.
    pub kind: KeyKind,
    /// How long a key signs.
    pub rotation: Duration,
    /// How long an access token lives.
    pub token_life: Duration,
}

impl Policy {
    /// That of a configuration.
    pub fn of(config: &Config) -> Self {
        Self { kind: config.key_kind(), rotation: config.key_rotation, token_life: config.access_token_ttl }
    }

    /// How long verifiers may cache the JWK set, in whole seconds: so much less than a key signs that the
    /// next one is known everywhere before its turn.
    pub fn cache(&self) -> Duration {
        Duration::from_secs((self.rotation.as_secs() / 5).clamp(1, LONGEST_CACHE.as_secs()))
    }
}

/// Where a key stands in its life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Life {
    /// Its id.
    pub kid: String,
    /// Its kind.
    pub kind: KeyKind,
    /// Its state.
    pub state: State,
    /// When it was published.
    pub created_at: Timestamp,
    /// When an operator asked that it sign; the rules of publication hold all the same.
    pub due_at: Option<Timestamp>,
    /// When it began to sign, if it did.
    pub activated_at: Timestamp,
    /// When it signed no more, if it is so far.
    pub retired_at: Timestamp,
    /// The longest life of a token that it signed.
    pub token_life: Duration,
    /// The longest time for which a JWK set may be cached that was fetched while it signed.
    pub cache_life: Duration,
}

impl Life {
    fn has_signed(&self) -> bool {
        self.state != State::Next
    }

    /// When a retired key leaves the JWK set.
    pub fn leaves_at(&self, policy: &Policy) -> Timestamp {
        // A signed status list is good for so long.
        let life = self.token_life.max(STATUS_LIST_LIFE);
        self.retired_at.plus(life).plus(self.cache_life.max(policy.cache())).plus(MARGIN)
    }
}

/// One thing that is to be done. Each is done only if its keys are still in the states it was decided on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A next key is to be made and published.
    Publish(KeyKind),
    /// A next key that never signed and shall not is to be deleted.
    Discard {
        /// Which.
        kid: String,
    },
    /// The next key begins to sign, and the active one retires.
    Activate {
        /// The next one.
        kid: String,
        /// The active one.
        retire: String,
        /// For the audit trail.
        why: &'static str,
    },
    /// A key whose last token has ended is to be deleted.
    Remove {
        /// Which.
        kid: String,
        /// Its state.
        state: State,
    },
    /// The same, but `GET /jwks` still answers with it: it leaves the JWK set alone.
    Keep {
        /// Which.
        kid: String,
    },
}

/// The next key's turn to sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// Its id.
    pub kid: String,
    /// When it begins.
    pub at: Timestamp,
    /// For the audit trail.
    pub why: &'static str,
}

/// The key that signs. There is none until the first one is made, which signs at once.
pub fn active(keys: &[Life]) -> Option<&Life> {
    keys.iter().find(|key| key.state == State::Active)
}

/// The one that `GET /jwks` answers with: the RSA key that signs or did so last.
pub fn latest_rsa(keys: &[Life]) -> Option<&Life> {
    let rsa = keys.iter().filter(|key| key.has_signed() && matches!(key.kind, KeyKind::Rsa(_)));
    rsa.max_by_key(|key| (key.state == State::Active, key.activated_at, key.created_at, &key.kid))
}

/// When the next key begins to sign; `None` as long as there is none of the configured kind.
pub fn turn(keys: &[Life], policy: &Policy) -> Option<Turn> {
    let (active, next) = (active(keys)?, next(keys, policy)?);
    let ripe = ripe_at(next, keys, policy);
    let over = active.activated_at.plus(policy.rotation);
    let (wanted, why) = match next.due_at {
        _ if active.kind != policy.kind => (ripe, "the settings ask for another kind of key"),
        Some(due) if due < over => (due, "an operator asked for it"),
        _ => (over, "the time of the last one is over"),
    };
    Some(Turn { kid: next.kid.clone(), at: ripe.max(wanted), why })
}

/// The oldest next key of the configured kind. Any other is replaced: it never signed.
fn next<'a>(keys: &'a [Life], policy: &Policy) -> Option<&'a Life> {
    let next = keys.iter().filter(|key| key.state == State::Next && key.kind == policy.kind);
    next.min_by_key(|key| (key.created_at, &key.kid))
}

/// When nobody can have cached a JWK set any more in which this next key is missing. Such sets were fetched
/// before it was published, under what was then the active key, and perhaps under other settings.
fn ripe_at(next: &Life, keys: &[Life], policy: &Policy) -> Timestamp {
    let expired = keys.iter().filter(|key| key.has_signed()).map(|key| {
        let signs = key.state == State::Active;
        let fetched = if signs { next.created_at } else { key.retired_at.min(next.created_at) };
        fetched.plus(key.cache_life)
    });
    expired.fold(next.created_at.plus(policy.cache()), Timestamp::max).plus(LAG)
}

/// What is to be done now.
pub fn plan(keys: &[Life], policy: &Policy, now: Timestamp) -> Vec<Step> {
    let Some(active) = active(keys) else { return Vec::new() };
    let mut steps = Vec::new();
    let next = next(keys, policy);
    let unwanted = keys.iter().filter(|key| key.state == State::Next && Some(*key) != next);
    steps.extend(unwanted.map(|key| Step::Discard { kid: key.kid.clone() }));
    let turn = turn(keys, policy);
    let begins = turn.as_ref().is_some_and(|turn| turn.at <= now);
    // There is always a next key, so that one is known everywhere when the active one has to be revoked.
    if begins || turn.is_none() {
        steps.push(Step::Publish(policy.kind));
    }
    if let Some(Turn { kid, why, .. }) = turn.filter(|_| begins) {
        steps.push(Step::Activate { kid, retire: active.kid.clone(), why });
    }
    let latest_rsa = latest_rsa(keys);
    let gone = keys.iter().filter_map(|key| {
        let (kid, state) = (key.kid.clone(), key.state);
        let has_ended = match state {
            State::Retired => key.leaves_at(policy) <= now,
            State::Kept => true,
            State::Next | State::Active => false,
        };
        match (has_ended, Some(key) == latest_rsa) {
            (true, false) => Some(Step::Remove { kid, state }),
            (true, true) if state == State::Retired => Some(Step::Keep { kid }),
            _ => None,
        }
    });
    steps.extend(gone);
    steps
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
#[path = "schedule_tests.rs"]
mod tests;
