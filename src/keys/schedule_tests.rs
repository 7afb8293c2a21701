//! The promises of the schedule, on random histories: servers with settings of their own that come and go,
//! verifiers that cache as they are told, tokens that live as long as they say.

use super::*;
use claviger_crypto::jws::RsaBits;
use proptest::prelude::*;

const RSA: KeyKind = KeyKind::Rsa(RsaBits::Rsa2048);
const KINDS: [KeyKind; 4] = [RSA, KeyKind::Rsa(RsaBits::Rsa3072), KeyKind::P256, KeyKind::Ed25519];

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn policy(kind: KeyKind, rotation: u64, token_life: u64) -> Policy {
    Policy { kind, rotation: secs(rotation), token_life: secs(token_life) }
}

fn life(kid: &str, state: State, created_at: i64) -> Life {
    let created_at = at(created_at);
    Life {
        kid: kid.to_owned(),
        kind: RSA,
        state,
        created_at,
        due_at: None,
        activated_at: created_at,
        retired_at: created_at,
        token_life: secs(900),
        cache_life: secs(300),
    }
}

fn activate(steps: &[Step]) -> Option<&str> {
    steps.iter().find_map(|step| match step {
        Step::Activate { kid, .. } => Some(kid.as_str()),
        _ => None,
    })
}

#[test]
fn caches_keep_a_fifth_of_a_keys_time_and_five_minutes_at_most() {
    for (rotation, cache) in [(5, 1), (7, 1), (10, 2), (60, 12), (1500, 300), (90 * 86400, 300)] {
        assert_eq!(policy(RSA, rotation, 900).cache(), secs(cache), "{rotation}");
    }
}

#[test]
fn nothing_is_planned_before_the_first_key() {
    assert_eq!(plan(&[], &policy(RSA, 5, 900), at(0)), []);
}

#[test]
fn a_key_signs_when_the_time_of_the_last_one_is_over() {
    let policy = policy(RSA, 86400, 900);
    let mut keys = vec![life("a", State::Active, 0)];
    assert_eq!(plan(&keys, &policy, at(1)), [Step::Publish(RSA)]);
    keys.push(life("b", State::Next, 10));
    assert_eq!(plan(&keys, &policy, at(86399)), []);
    let steps = plan(&keys, &policy, at(86400));
    assert_eq!(steps[0], Step::Publish(RSA), "there is always a next one");
    assert_eq!(activate(&steps), Some("b"));
    // Published late.
    keys[1].created_at = at(86390);
    assert_eq!(activate(&plan(&keys, &policy, at(86390 + 301))), None);
    assert_eq!(activate(&plan(&keys, &policy, at(86390 + 302))), Some("b"));
}

#[test]
fn an_operators_wish_waits_for_the_caches_alone() {
    let policy = policy(RSA, 86400, 900);
    let mut keys = vec![life("a", State::Active, 0), life("b", State::Next, 10)];
    keys[1].due_at = Some(at(20));
    assert_eq!(turn(&keys, &policy).unwrap().at, at(312));
    keys[1].due_at = Some(at(1000));
    let turn = turn(&keys, &policy).unwrap();
    assert_eq!((turn.kid.as_str(), turn.at), ("b", at(1000)));
}

#[test]
fn another_kind_replaces_the_next_key_and_then_the_active_one() {
    let policy = policy(KeyKind::P256, 86400, 900);
    let mut keys = vec![life("a", State::Active, 0), life("b", State::Next, 10)];
    let steps = plan(&keys, &policy, at(500));
    assert_eq!(steps, [Step::Discard { kid: "b".into() }, Step::Publish(KeyKind::P256)]);
    keys[1] = Life { kind: KeyKind::P256, ..life("c", State::Next, 500) };
    assert_eq!(plan(&keys, &policy, at(801)), []);
    assert_eq!(activate(&plan(&keys, &policy, at(802))), Some("c"));
}

#[test]
fn sets_that_were_fetched_under_other_settings_are_waited_for() {
    // It signed while sets could be cached for 300 s, until the settings changed and it retired at once.
    let policy = policy(RSA, 5, 900);
    let mut keys =
        vec![life("a", State::Retired, 0), life("b", State::Active, 50), life("c", State::Next, 101)];
    keys[0].retired_at = at(100);
    keys[1] = Life { activated_at: at(100), cache_life: secs(1), ..keys[1].clone() };
    assert_eq!(turn(&keys, &policy).unwrap().at, at(402));
    keys[0].cache_life = secs(1);
    assert_eq!(turn(&keys, &policy).unwrap().at, at(105));
}

#[test]
fn a_retired_key_stays_for_the_longest_token_that_it_signed() {
    let policy = policy(RSA, 86400, 60);
    let mut keys = vec![life("a", State::Retired, 0), life("b", State::Active, 0), life("c", State::Next, 0)];
    keys[0] = Life { retired_at: at(1000), token_life: secs(3600), ..keys[0].clone() };
    let leaves = 1000 + 3600 + 300 + 120;
    assert_eq!(plan(&keys, &policy, at(leaves - 1)), []);
    let removed = Step::Remove { kid: "a".into(), state: State::Retired };
    assert_eq!(plan(&keys, &policy, at(leaves)), [removed]);
}

#[test]
fn the_last_rsa_key_is_kept_until_there_is_a_younger_one() {
    let policy = policy(KeyKind::P256, 86400, 60);
    let mut keys = vec![life("a", State::Retired, 0), life("b", State::Active, 1), life("c", State::Next, 2)];
    keys[1].kind = KeyKind::P256;
    keys[2].kind = KeyKind::P256;
    assert_eq!(plan(&keys, &policy, at(5000)), [Step::Keep { kid: "a".into() }]);
    keys[0].state = State::Kept;
    assert_eq!(plan(&keys, &policy, at(5000)), []);
    keys.push(life("d", State::Retired, 3));
    assert_eq!(latest_rsa(&keys).unwrap().kid, "d");
    let removed = Step::Remove { kid: "a".into(), state: State::Kept };
    assert_eq!(plan(&keys, &policy, at(300)), [removed]);
}

/// What happens next to the servers.
#[derive(Clone, Copy, Debug)]
enum Happening {
    /// A server has its turn.
    Tick(usize),
    /// An operator asks for a rotation.
    Ask,
    /// A server starts with other settings.
    Restart(usize, Policy),
}

fn policies() -> impl Strategy<Value = Policy> {
    let rotation = prop_oneof![5..30u64, 30..5000u64, Just(90 * 86400)];
    (prop::sample::select(KINDS.to_vec()), rotation, prop_oneof![1..100u64, 100..86400u64])
        .prop_map(|(kind, rotation, token_life)| policy(kind, rotation, token_life))
}

/// After so many milliseconds, this.
fn happenings() -> impl Strategy<Value = Vec<(u64, Happening)>> {
    let pause = prop_oneof![6 => 1..1000u64, 3 => 1000..20_000u64, 2 => 20_000..400_000u64, 1 => 400_000..4_000_000u64];
    let happening = prop_oneof![
        20 => (0..2usize).prop_map(Happening::Tick),
        1 => Just(Happening::Ask),
        1 => (0..2usize, policies()).prop_map(|(server, policy)| Happening::Restart(server, policy)),
    ];
    prop::collection::vec((pause, happening), 1..250)
}

/// A world in which the database is a list.
struct World {
    now: Timestamp,
    keys: Vec<Life>,
    servers: [Policy; 2],
    made: usize,
    /// Who cached the set: until when, and what is in it.
    cached: Vec<(Timestamp, Vec<String>)>,
    /// By which key, and until when.
    tokens: Vec<(String, Timestamp)>,
}

impl World {
    fn new(servers: [Policy; 2]) -> Self {
        let first = servers[0];
        let lives =
            Life { token_life: first.token_life, cache_life: first.cache(), ..life("0", State::Active, 0) };
        let keys = vec![Life { kind: first.kind, ..lives }];
        Self { now: at(0), keys, servers, made: 0, cached: Vec::new(), tokens: Vec::new() }
    }

    fn key(&mut self, kid: &str) -> &mut Life {
        self.keys.iter_mut().find(|key| key.kid == kid).unwrap()
    }

    fn apply(&mut self, step: Step, policy: &Policy) {
        let now = self.now;
        match step {
            Step::Publish(kind) => {
                // The store refuses a second one.
                if self.keys.iter().all(|key| key.state != State::Next) {
                    self.made += 1;
                    let new = life(&self.made.to_string(), State::Next, 0);
                    self.keys.push(Life { kind, created_at: now, ..new });
                }
            }
            Step::Discard { kid } | Step::Remove { kid, .. } => self.keys.retain(|key| key.kid != kid),
            Step::Keep { kid } => self.key(&kid).state = State::Kept,
            Step::Activate { kid, retire, .. } => {
                // (b) Nobody holds a set any more in which it is missing.
                for (until, kids) in &self.cached {
                    assert!(
                        *until <= now || kids.contains(&kid),
                        "{kid} signs at {now:?}, but {kids:?} until {until:?}"
                    );
                }
                let old = self.key(&retire);
                (old.state, old.retired_at) = (State::Retired, now);
                let (token_life, cache_life) = (policy.token_life, policy.cache());
                let new = self.key(&kid);
                *new =
                    Life { state: State::Active, activated_at: now, token_life, cache_life, ..new.clone() };
            }
        }
    }

    /// Each server looks at the keys, signs, and is asked for the set.
    fn serve(&mut self) {
        for policy in self.servers {
            let active = self.keys.iter_mut().find(|key| key.state == State::Active).unwrap();
            active.token_life = active.token_life.max(policy.token_life);
            active.cache_life = active.cache_life.max(policy.cache());
            self.tokens.push((active.kid.clone(), self.now.plus(policy.token_life)));
            let published =
                self.keys.iter().filter(|key| key.state != State::Kept).map(|key| key.kid.clone());
            self.cached.push((self.now.plus(policy.cache()), published.collect()));
        }
    }

    fn check(&mut self) {
        let now = self.now;
        let of = |state: State| self.keys.iter().filter(move |key| key.state == state).count();
        // (a)
        assert_eq!(of(State::Active), 1);
        assert!(of(State::Next) <= 1 && of(State::Kept) <= 2);
        // (c)
        self.tokens.retain(|(_, until)| *until > now);
        for (kid, until) in &self.tokens {
            let key = self.keys.iter().find(|key| key.kid == *kid);
            assert!(
                key.is_some_and(|key| key.state != State::Kept),
                "{kid} is gone, its token lives until {until:?}"
            );
        }
        self.cached.retain(|(until, _)| *until > now);
    }

    fn tick(&mut self, server: usize) {
        let policy = self.servers[server];
        let (publish, rest): (Vec<_>, Vec<_>) = plan(&self.keys, &policy, self.now)
            .into_iter()
            .partition(|step| matches!(step, Step::Publish(_)));
        // A key takes its time to be made.
        rest.into_iter().chain(publish).for_each(|step| self.apply(step, &policy));
    }

    fn happen(&mut self, pause: u64, happening: Happening) {
        self.now = self.now.plus(Duration::from_millis(pause));
        match happening {
            Happening::Tick(server) => self.tick(server),
            Happening::Ask => {
                let now = self.now;
                let next = self.keys.iter_mut().filter(|key| key.state == State::Next);
                next.for_each(|key| key.due_at = Some(now));
            }
            Happening::Restart(server, policy) => self.servers[server] = policy,
        }
        self.serve();
        self.check();
    }
}

proptest! {
    #[test]
    fn the_promises_hold(servers in [policies(), policies()], happenings in happenings()) {
        let mut world = World::new(servers);
        world.serve();
        for (pause, happening) in happenings {
            world.happen(pause, happening);
        }
        // (d) Once the settings rest, rotation goes on, with as many keys as the lives of tokens need.
        let policy = Policy { rotation: world.servers[0].rotation.min(secs(86400)), ..world.servers[0] };
        world.servers = [policy; 2];
        for pause in [400, 400, 400, 2 * 86400] {
            world.happen(pause * 1000, Happening::Tick(0));
        }
        let before = active(&world.keys).unwrap().kid.clone();
        for _ in 0..8 {
            world.happen(policy.rotation.as_secs() * 1000, Happening::Tick(1));
        }
        prop_assert!(before != active(&world.keys).unwrap().kid);
        let life = policy.token_life.max(STATUS_LIST_LIFE);
        let stay = (life + policy.cache() + MARGIN).as_secs() / policy.rotation.as_secs();
        prop_assert!(world.keys.len() as u64 <= 5 + stay, "{} keys", world.keys.len());
        let mut published = world.keys.iter().filter(|key| key.state != State::Kept);
        prop_assert!(published.all(|key| key.kind == policy.kind));
    }
}
