//! What is done to stored keys, on the real database: each change with its event, and once even if many try.

use super::schedule::{LONGEST_CACHE, LONGEST_TOKEN_LIFE, Life, Policy, Turn};
use super::{Error, KeySet, Keyring, KeyringWriter, Revoked, State, Ticked, flow};
use crate::audit::{Actor, Origin};
use crate::base::time::Timestamp;
use crate::db::{self, Db};
use claviger_crypto::jws::{KeyKind, RsaBits, SigningKey};
use claviger_crypto::seal::MasterKey;
use std::sync::{Arc, Barrier};
use std::time::Duration;
use tempfile::TempDir;

const POLICY: Policy = Policy {
    kind: KeyKind::P256,
    rotation: Duration::from_secs(86400),
    token_life: Duration::from_secs(900),
};
const RSA: Policy = Policy { kind: KeyKind::Rsa(RsaBits::Rsa2048), ..POLICY };
const NONE: Ticked = Ticked { changed: false, needs_key: None };

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

fn made() -> SigningKey {
    SigningKey::generate(KeyKind::P256).unwrap()
}

fn kid(key: &SigningKey) -> String {
    key.public().kid.clone()
}

fn origin() -> Origin {
    Origin { actor: Actor::System, address: None, request_id: uuid::Uuid::nil() }
}

/// A server with its first key, which was made at 0.
struct Server {
    folder: TempDir,
    db: Db,
    master: MasterKey,
    writer: KeyringWriter,
    first: String,
}

impl Server {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let db = Db::open(folder.path(), at(0)).unwrap();
        let (master, (writer, _)) = (MasterKey::new([7; 32]), Keyring::new());
        let first = made();
        assert!(flow::adopt_first(&db, &master, &POLICY, &first, &origin(), at(0)).await.unwrap());
        let server = Self { folder, db, master, writer, first: kid(&first) };
        assert!(server.reload().await);
        server
    }

    async fn reload(&self) -> bool {
        flow::reload(&self.db, &self.master, &POLICY, &self.writer).await.unwrap()
    }

    fn set(&self) -> Arc<KeySet> {
        self.writer.current().unwrap()
    }

    async fn tick(&self, now: i64) -> Ticked {
        flow::tick(&self.db, &POLICY, &origin(), at(now)).await.unwrap()
    }

    async fn publish(&self, key: &SigningKey, now: i64) -> bool {
        flow::publish(&self.db, &self.master, key, &origin(), at(now)).await.unwrap()
    }

    /// With a next key, published at 1.
    async fn with_next() -> (Self, String) {
        let (server, next) = (Self::start().await, made());
        assert!(server.publish(&next, 1).await);
        (server, kid(&next))
    }

    async fn revoke(&self, kid: &str, spare: Option<&SigningKey>) -> Result<Revoked, Error> {
        flow::revoke(&self.db, &self.master, kid, spare, &origin(), at(50)).await
    }

    async fn import(&self, key: &SigningKey, activate: bool) -> Result<Option<Turn>, Error> {
        flow::import(&self.db, &self.master, &POLICY, key, activate, &origin(), at(50)).await
    }

    async fn life(&self, kid: &str) -> Life {
        let keys = flow::list(&self.db).await.unwrap();
        keys.into_iter().find(|key| key.life.kid == kid).unwrap().life
    }

    /// The states of the keys with these ids; `None` for one that is gone.
    async fn states<const N: usize>(&self, kids: [&str; N]) -> [Option<State>; N] {
        let keys = flow::list(&self.db).await.unwrap();
        kids.map(|kid| keys.iter().find(|key| key.life.kid == kid).map(|key| key.life.state))
    }

    /// The events so far, and the start of the ids of their keys.
    async fn events(&self) -> Vec<String> {
        let sql = "SELECT event, detail FROM audit_events ORDER BY happened_at, id";
        let read = |row: &db::Row<'_>| Ok((row.get::<String>(0)?, row.get::<String>(1)?));
        let events = self.db.read::<_, db::Error, _>(move |tx| tx.all(sql, &[], read)).await.unwrap();
        events.into_iter().map(|(event, detail)| format!("{event} {}", &detail[..6])).collect()
    }

    async fn run(&self, sql: &'static str) {
        self.db.write::<_, db::Error, _>(move |tx| tx.execute(sql, &[])).await.unwrap();
    }
}

fn event(event: &str, kid: &str) -> String {
    format!("{event} {}", &kid[..6])
}

#[tokio::test]
async fn the_first_key_signs_at_once_and_there_is_one() {
    let server = Server::start().await;
    let Server { db, master, first, .. } = &server;
    let life = server.life(first).await;
    assert_eq!((life.state, life.activated_at, life.token_life), (State::Active, at(0), POLICY.token_life));
    assert!(!flow::adopt_first(db, master, &POLICY, &made(), &origin(), at(0)).await.unwrap());
    let mut events = server.events().await;
    events.sort();
    assert_eq!(events, [event("key-activate", first), event("key-publish", first)]);
}

#[tokio::test]
async fn a_key_is_published_signs_retires_and_goes() {
    let server = Server::start().await;
    let first = server.first.as_str();
    assert_eq!(server.tick(1).await, Ticked { changed: false, needs_key: Some(KeyKind::P256) });
    let (next, third) = (made(), made());
    assert!(server.publish(&next, 1).await && !server.publish(&made(), 1).await, "one next key");
    assert_eq!((server.tick(2).await, server.tick(86399).await), (NONE, NONE));
    let rotated = Ticked { changed: true, needs_key: Some(KeyKind::P256) };
    assert_eq!(server.tick(86400).await, rotated);
    assert!(server.publish(&third, 86401).await);
    let (next, third) = (kid(&next), kid(&third));
    let states = server.states([first, &next, &third]).await;
    assert_eq!(states, [Some(State::Retired), Some(State::Active), Some(State::Next)]);
    assert_eq!(
        (server.life(first).await.retired_at, server.life(&next).await.activated_at),
        (at(86400), at(86400))
    );
    let gone = 86400 + 900 + 300 + 120;
    assert_eq!(server.tick(gone - 1).await, NONE);
    assert!(server.tick(gone).await.changed);
    assert_eq!(server.states([first]).await, [None]);
    let told = [
        ("key-publish", &next),
        ("key-activate", &next),
        ("key-publish", &third),
        ("key-remove", &server.first),
    ];
    assert_eq!(server.events().await[2..], told.map(|(kind, kid)| event(kind, kid)));
}

#[tokio::test]
async fn a_change_without_its_event_is_none() {
    let (server, next) = Server::with_next().await;
    server.run("DROP TABLE audit_events").await;
    assert!(flow::tick(&server.db, &POLICY, &origin(), at(86400)).await.is_err());
    assert!(flow::revoke(&server.db, &server.master, &next, None, &origin(), at(9)).await.is_err());
    assert_eq!(server.states([&server.first, &next]).await, [Some(State::Active), Some(State::Next)]);
}

#[tokio::test]
async fn the_set_follows_the_stored_keys() {
    let (server, next) = Server::with_next().await;
    let old = server.set();
    assert!(old.find(&next).is_none());
    assert!(server.reload().await && !server.reload().await, "there is nothing new the second time");
    let set = server.set();
    assert!(set.find(&next).is_some() && set.find(&server.first).is_some() && set.find("x").is_none());
    assert!(Arc::ptr_eq(set.shared_active(), old.shared_active()), "parsed once");
    assert!(Arc::ptr_eq(&set.find(&server.first).unwrap(), &old.find(&server.first).unwrap()));
    server.tick(86400).await;
    assert!(server.reload().await);
    assert_eq!(server.set().active().public().kid, next);
    assert!(server.set().find(&server.first).is_some(), "its tokens live");
    assert!(server.set().rsa().is_none());
}

#[tokio::test]
async fn the_row_says_how_long_tokens_live_before_one_is_signed() {
    let (server, next) = Server::with_next().await;
    let longer = Policy { token_life: Duration::from_secs(7200), ..POLICY };
    let (writer, _) = Keyring::new();
    flow::reload(&server.db, &server.master, &longer, &writer).await.unwrap();
    assert_eq!(server.life(&server.first).await.token_life, longer.token_life);
    let (writer, _) = Keyring::new();
    flow::reload(&server.db, &server.master, &POLICY, &writer).await.unwrap();
    assert_eq!(server.life(&server.first).await.token_life, longer.token_life, "it is never lowered");
    server.tick(86400).await;
    assert_eq!(server.life(&next).await.token_life, POLICY.token_life);
    flow::reload(&server.db, &server.master, &longer, &writer).await.unwrap();
    assert_eq!(server.life(&next).await.token_life, longer.token_life, "the other server's, at its turn");
}

#[tokio::test]
async fn rows_of_before_count_as_the_longest_lived() {
    let server = Server::start().await;
    server.run("UPDATE signing_keys SET activated_at = NULL, token_life = NULL, cache_life = NULL").await;
    let (writer, _) = Keyring::new();
    assert!(flow::reload(&server.db, &server.master, &POLICY, &writer).await.unwrap());
    let life = server.life(&server.first).await;
    assert_eq!(
        (life.activated_at, life.token_life, life.cache_life),
        (at(0), LONGEST_TOKEN_LIFE, LONGEST_CACHE)
    );
}

#[tokio::test]
async fn another_master_key_leaves_the_old_set_in_use() {
    let (server, next) = Server::with_next().await;
    server.tick(86400).await;
    let other = MasterKey::new([8; 32]);
    let refused = flow::reload(&server.db, &other, &POLICY, &server.writer).await;
    assert!(matches!(refused, Err(Error::Master(_))), "{refused:?}");
    assert_eq!(server.set().active().public().kid, server.first);
    assert!(server.reload().await);
    assert_eq!(server.set().active().public().kid, next);
}

#[tokio::test]
async fn a_database_without_keys_waits_for_the_first_one() {
    let folder = tempfile::tempdir().unwrap();
    let db = Db::open(folder.path(), at(0)).unwrap();
    let (master, (writer, _)) = (MasterKey::new([7; 32]), Keyring::new());
    assert_eq!(flow::tick(&db, &POLICY, &origin(), at(0)).await.unwrap(), NONE);
    let reloaded = flow::reload(&db, &master, &POLICY, &writer).await;
    assert!(matches!(reloaded, Err(Error::NotReady)), "{reloaded:?}");
    let published = flow::publish(&db, &master, &made(), &origin(), at(0)).await;
    assert!(matches!(published, Err(Error::NotReady)), "{published:?}");
    let turn = flow::import(&db, &master, &POLICY, &made(), false, &origin(), at(0)).await.unwrap();
    assert_eq!(turn, None, "an imported one may be the first, and signs at once");
    assert!(flow::reload(&db, &master, &POLICY, &writer).await.unwrap());
}

#[tokio::test]
async fn a_revoked_key_is_out_and_the_next_one_signs() {
    let (server, next) = Server::with_next().await;
    server.reload().await;
    assert_eq!(server.revoke(&server.first, None).await.unwrap(), Revoked::Done(Some(next.clone())));
    assert!(server.reload().await);
    assert!(server.set().find(&server.first).is_none());
    assert_eq!(server.set().active().public().kid, next);
    assert_eq!(server.states([&server.first, &next]).await, [None, Some(State::Active)]);
    let mut events = server.events().await.split_off(3);
    events.sort();
    assert_eq!(events, [event("key-activate", &next), event("key-revoke", &server.first)]);
    let again = server.revoke(&server.first, None).await;
    assert!(matches!(again, Err(Error::Unknown(_))), "{again:?}");
}

#[tokio::test]
async fn the_only_key_is_revoked_for_a_spare_one() {
    let server = Server::start().await;
    assert_eq!(server.revoke(&server.first, None).await.unwrap(), Revoked::NeedsKey);
    assert_eq!(server.states([&server.first]).await, [Some(State::Active)], "nothing was done");
    let spare = made();
    assert_eq!(server.revoke(&server.first, Some(&spare)).await.unwrap(), Revoked::Done(Some(kid(&spare))));
    let life = server.life(&kid(&spare)).await;
    assert_eq!((life.state, life.activated_at, life.cache_life), (State::Active, at(50), POLICY.cache()));
    assert!(server.reload().await);
}

#[tokio::test]
async fn a_next_or_retired_key_is_revoked_alone() {
    let (server, next) = Server::with_next().await;
    assert_eq!(server.revoke(&next, None).await.unwrap(), Revoked::Done(None));
    assert_eq!(server.states([&server.first, &next]).await, [Some(State::Active), None]);
    let next = made();
    server.publish(&next, 60).await;
    server.tick(86400).await;
    assert_eq!(server.revoke(&server.first, None).await.unwrap(), Revoked::Done(None));
    assert_eq!(server.states([&server.first, &kid(&next)]).await, [None, Some(State::Active)]);
}

#[tokio::test]
async fn a_rotation_is_asked_for() {
    let server = Server::start().await;
    let ask = async |now| flow::rotate(&server.db, &POLICY, &origin(), at(now)).await.unwrap();
    assert_eq!(ask(10).await, None, "there is no next key");
    let next = made();
    server.publish(&next, 10).await;
    assert_eq!(ask(20).await.unwrap().at, at(312));
    assert_eq!(ask(30).await.unwrap().at, at(312));
    assert!(!server.tick(311).await.changed && server.tick(312).await.changed);
    assert_eq!(server.states([&kid(&next)]).await, [Some(State::Active)]);
}

#[tokio::test]
async fn an_imported_key_is_the_next_one() {
    let (server, replaced) = Server::with_next().await;
    let other = SigningKey::generate(KeyKind::Ed25519).unwrap();
    let refused = server.import(&other, false).await.unwrap_err();
    assert!(
        matches!(refused, Error::OtherKind(..)) && refused.to_string().contains("signing_alg"),
        "{refused}"
    );
    let key = made();
    let imported = kid(&key);
    assert_eq!(server.import(&key, true).await.unwrap().unwrap().at, at(50 + 302));
    let again = server.import(&key, false).await;
    assert!(matches!(again, Err(Error::Exists(_))), "{again:?}");
    let states = server.states([&server.first, &replaced, &imported]).await;
    assert_eq!(states, [Some(State::Active), None, Some(State::Next)]);
    let mut events = server.events().await.split_off(3);
    events.sort();
    assert_eq!(events, [event("key-import", &imported), event("key-remove", &replaced)]);
    assert!(server.tick(352).await.changed);
    assert!(server.reload().await, "its private half is the one that was imported");
    assert_eq!(server.set().active().public().kid, imported);
}

#[tokio::test]
async fn the_rsa_key_of_before_is_kept_and_told_but_verifies_no_more() {
    let (server, _) = Server::with_next().await;
    let rsa = SigningKey::generate(RSA.kind).unwrap();
    let tick = async |policy: Policy, now| flow::tick(&server.db, &policy, &origin(), at(now)).await.unwrap();
    assert_eq!(tick(RSA, 10).await, Ticked { changed: true, needs_key: Some(RSA.kind) });
    server.publish(&rsa, 10).await;
    assert!(tick(RSA, 312).await.changed);
    server.reload().await;
    assert_eq!(server.set().rsa(), Some(rsa.public()));
    let next = made();
    server.publish(&next, 400).await;
    assert!(server.tick(702).await.changed);
    server.reload().await;
    assert_eq!(server.set().rsa(), Some(rsa.public()));
    assert!(server.set().find(&kid(&rsa)).is_some());
    while server.tick(10_000).await.changed {}
    assert_eq!(server.states([&kid(&rsa), &server.first]).await, [Some(State::Kept), None]);
    server.reload().await;
    assert_eq!(server.set().rsa(), Some(rsa.public()));
    assert!(server.set().find(&kid(&rsa)).is_none());
    assert_eq!(server.revoke(&kid(&rsa), None).await.unwrap(), Revoked::Done(None));
    server.reload().await;
    assert_eq!(server.set().rsa(), None);
}

/// Runs `act` on four threads at once, each with a connection of its own, and gives what they say.
fn at_once<T: Send>(server: &Server, act: impl Fn(&Db) -> T + Sync) -> Vec<T> {
    let barrier = Barrier::new(4);
    std::thread::scope(|scope| {
        let run = || {
            let db = Db::open_beside(server.folder.path()).unwrap();
            barrier.wait();
            act(&db)
        };
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(run)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

#[test]
fn servers_that_act_at_once_come_to_one_outcome() {
    let server = wait(Server::start());
    let keys: [SigningKey; 8] = std::array::from_fn(|_| made());
    for (round, key) in (1..).zip(&keys) {
        let now = round * 100_000;
        let published = at_once(&server, |db| {
            let key = made();
            wait(flow::publish(db, &server.master, &key, &origin(), at(now))).unwrap()
        });
        assert_eq!(published.iter().filter(|done| **done).count(), 1, "{published:?}");
        let ticked = at_once(&server, |db| wait(flow::tick(db, &POLICY, &origin(), at(now + 400))).unwrap());
        assert!(ticked.iter().any(|ticked| ticked.changed), "{ticked:?}");
        let keys = wait(flow::list(&server.db)).unwrap();
        let active = keys.iter().find(|key| key.life.state == State::Active).unwrap();
        assert_eq!(keys.iter().filter(|key| key.life.state == State::Active).count(), 1);
        // All of them want it out, none waits for the others, and there is a key to sign.
        let revoked = at_once(&server, |db| {
            let kid = &active.life.kid;
            wait(flow::revoke(db, &server.master, kid, Some(key), &origin(), at(now + 500))).is_ok()
        });
        assert_eq!(revoked.iter().filter(|done| **done).count(), 1, "{revoked:?}");
        assert!(wait(server.reload()));
        // The first key, then each round the published one and its spare.
        for (event, count) in
            [("key-activate", 1 + 2 * round), ("key-publish", 1 + 2 * round), ("key-revoke", round)]
        {
            let told = wait(server.events()).iter().filter(|told| told.starts_with(event)).count();
            assert_eq!(told as i64, count, "{event}");
        }
    }
}
