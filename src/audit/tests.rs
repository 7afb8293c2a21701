//! The trail in honest use: sealing, listing, erasing and expiring, in any order.

use super::*;
use crate::db::copy::layout;
use crate::db::{Db, Tx};
use proptest::prelude::*;

pub(super) const NOW: Timestamp = Timestamp::from_seconds(1_795_435_200);
pub(super) const DAY: std::time::Duration = std::time::Duration::from_secs(86_400);

pub(super) struct Trail {
    pub(super) db: Db,
    pub(super) key: MacKey,
    folder: tempfile::TempDir,
}

pub(super) fn account(number: u8) -> AccountId {
    AccountId(Uuid::from_bytes([number; 16]))
}

pub(super) fn event(kind: Kind, owner: u8, at: Timestamp) -> Event {
    let (actor, address) = (Actor::Account(account(owner)), "192.0.2.1".parse().ok());
    Event::new(kind, Origin { actor, address, request_id: Uuid::from_bytes([9; 16]) }, at)
}

impl Trail {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let db = Db::open(folder.path(), NOW).unwrap();
        Self { db, key: key(&MasterKey::new([7; 32])), folder }
    }

    pub(super) async fn append(&self, event: Event) {
        self.db.write(move |tx| flow::append(tx, &event)).await.unwrap();
    }

    pub(super) async fn seal(&self) -> usize {
        flow::seal(&self.db, &self.key).await.unwrap()
    }

    pub(super) async fn expire(&self, before: Timestamp) -> usize {
        flow::expire(&self.db, &self.key, before, 2).await.unwrap()
    }

    pub(super) async fn erase(&self, owner: u8) {
        self.db
            .write(move |tx| {
                flow::erase(tx, account(owner))?;
                flow::note_rest(tx, account(owner))
            })
            .await
            .unwrap();
    }

    pub(super) async fn verify(&self) -> Verified {
        let verified = flow::verify(&self.db, &self.key).await.unwrap();
        self.expect_walked_alike(&verified);
        verified
    }

    /// That a walk in the order of the ids, as through a backup, comes to the same.
    fn expect_walked_alike(&self, verified: &Verified) {
        let tables = layout(crate::db::newest_schema()).unwrap();
        let key = self.key.clone();
        let walked = self.db.snapshot::<_, crate::db::Error, _>(move |tx| {
            let mut walk = Walk::new(key.clone());
            for table in &tables {
                let names: Vec<&str> = table.columns().map(|(name, _)| name).collect();
                let is_chain = table.name() == "audit_chain";
                if !is_chain && table.name() != "audit_events" {
                    continue;
                }
                table.pages::<crate::db::Error>(tx, |rows| {
                    for row in rows {
                        let column = |name: &str| row.get(names.iter().position(|own| *own == name)?);
                        if is_chain { walk.end(column) } else { walk.event(column) }
                    }
                    Ok(())
                })?;
            }
            Ok(walk.finish().unwrap())
        });
        match walked {
            Ok(walked) if verified.broken.is_none() => assert_eq!(walked, *verified),
            Ok(walked) => assert!(walked.broken.is_some(), "{verified:?}"),
            // What no backup can be made of.
            Err(error) => assert!(verified.broken.is_some(), "{error}"),
        }
    }

    pub(super) async fn list(&self, filter: Filter, page: Page) -> Vec<Entry> {
        flow::list(&self.db, filter, page).await.unwrap()
    }
}

pub(super) const ALL: Page = Page { before: None, limit: 100 };

#[tokio::test]
async fn an_empty_trail_is_whole_and_events_are_sealed_once() {
    let trail = Trail::new();
    assert_eq!(trail.verify().await, Verified::default());
    assert_eq!(trail.seal().await, 0);
    for _ in 0..3 {
        trail.append(event(Kind::Login, 1, NOW)).await;
    }
    assert_eq!(trail.verify().await, Verified { events: 0, unsealed: 3, broken: None });
    assert_eq!((trail.seal().await, trail.seal().await), (3, 0));
    assert_eq!(trail.verify().await, Verified { events: 3, unsealed: 0, broken: None });
    let other = flow::verify(&trail.db, &key(&MasterKey::new([8; 32]))).await.unwrap().broken.unwrap();
    assert!(other.place == 1 && other.why.contains("another master key"), "{other}");
}

#[tokio::test]
async fn more_than_one_batch_and_one_page_go_through() {
    let trail = Trail::new();
    let many = |tx: &mut Tx<'_>| {
        (0..2001).try_for_each(|number| flow::append(tx, &event(Kind::Login, 1, NOW.plus(DAY * number))))
    };
    trail.db.write::<_, crate::db::Error, _>(many).await.unwrap();
    assert_eq!(trail.seal().await, 2001);
    assert_eq!(trail.verify().await.events, 2001);
    assert_eq!(trail.expire(NOW.plus(DAY * 1501)).await, 1501);
    assert_eq!(trail.verify().await, Verified { events: 500, unsealed: 0, broken: None });
    assert_eq!(trail.expire(NOW.plus(DAY * 9999)).await, 500);
    assert_eq!(trail.verify().await, Verified::default());
    trail.append(event(Kind::Login, 1, NOW)).await;
    assert_eq!(trail.seal().await, 1);
    assert_eq!(trail.verify().await, Verified { events: 1, unsealed: 0, broken: None });
    assert_eq!(trail.list(Filter::default(), ALL).await[0].place, Some(2002));
}

#[tokio::test]
async fn two_servers_seal_side_by_side() {
    let trail = Trail::new();
    let beside = Db::open_beside(trail.folder.path()).unwrap();
    let mut sealed = 0;
    for number in 0..20 {
        trail.append(event(Kind::Login, number, NOW)).await;
        let (one, other) = tokio::join!(trail.seal(), flow::seal(&beside, &trail.key));
        sealed += one + other.unwrap();
    }
    assert_eq!(sealed, 20);
    assert_eq!(trail.verify().await, Verified { events: 20, unsealed: 0, broken: None });
}

/// A walk takes several reads, between which the chain may lose its beginning and grow at its end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[allow(clippy::disallowed_methods)]
async fn a_walk_is_not_confused_by_what_goes_on_beside_it() {
    let trail = Trail::new();
    let many = |tx: &mut Tx<'_>| (0..2500).try_for_each(|_| flow::append(tx, &event(Kind::Login, 1, NOW)));
    for _ in 0..5 {
        trail.db.write::<_, crate::db::Error, _>(many).await.unwrap();
        let (db, key) = (trail.db.clone(), trail.key.clone());
        let beside = tokio::spawn(async move {
            let sealed = flow::seal(&db, &key).await.unwrap();
            (sealed, flow::expire(&db, &key, NOW.plus(DAY), sealed).await.unwrap())
        });
        while !beside.is_finished() {
            assert_eq!(flow::verify(&trail.db, &trail.key).await.unwrap().broken, None);
        }
        assert_eq!(beside.await.unwrap(), (2500, 2500));
    }
    assert_eq!(trail.verify().await, Verified::default());
}

#[tokio::test]
async fn very_many_events_are_erased_in_batches_and_all_in_the_end() {
    let trail = Trail::new();
    let many: Vec<Event> =
        (0..1234).map(|second| event(Kind::Refresh, 1, NOW.plus(DAY / 86400 * second))).collect();
    let others = event(Kind::Login, 2, NOW);
    let all = move |tx: &mut Tx<'_>| many.iter().try_for_each(|event| flow::append(tx, event));
    trail.db.write(all).await.unwrap();
    trail.append(others).await;
    while trail.seal().await > 0 {}
    trail.erase(1).await;
    let left = async || {
        let filter = Filter { account: Some(account(1)), ..Filter::default() };
        trail.list(filter, Page { before: None, limit: 5000 }).await.len()
    };
    assert_eq!(left().await, 734, "one batch with the deletion");
    assert!(flow::go_on_erasing(&trail.db).await.unwrap());
    assert_eq!(left().await, 234);
    assert!(flow::go_on_erasing(&trail.db).await.unwrap());
    assert_eq!(left().await, 0);
    assert!(!flow::go_on_erasing(&trail.db).await.unwrap());
    let all = trail.list(Filter::default(), Page { before: None, limit: 5000 }).await;
    assert_eq!(all.iter().filter(|entry| entry.personal.is_some()).count(), 1, "the other account's");
    assert_eq!(trail.verify().await, Verified { events: 1235, unsealed: 0, broken: None });
}

#[tokio::test]
async fn events_are_listed_newest_first_by_page_and_filter() {
    let trail = Trail::new();
    for number in 0..6_u8 {
        let kind = if number < 3 { Kind::Login } else { Kind::Logout };
        trail
            .append(event(kind, number % 2, NOW.plus(DAY * u32::from(number))).detail(number.to_string()))
            .await;
    }
    trail.erase(1).await;
    let shown =
        |entries: &[Entry]| -> String { entries.iter().map(|entry| entry.detail.clone().unwrap()).collect() };
    let all = trail.list(Filter::default(), ALL).await;
    assert_eq!(shown(&all), "543210");
    let next = trail.list(Filter::default(), Page { before: Some(all[1].id), limit: 3 }).await;
    assert_eq!(shown(&next), "321");
    let (any, since) = (Filter::default(), Some(NOW.plus(DAY * 2)));
    let after = Some(NOW.plus(DAY * 2 + std::time::Duration::from_micros(1)));
    for (filter, expected) in [
        (Filter { account: Some(account(0)), ..any }, "420"),
        (Filter { account: Some(account(1)), ..any }, ""),
        (Filter { event: Some(Kind::Logout), ..any }, "543"),
        (Filter { since, ..any }, "5432"),
        (Filter { since: after, ..any }, "543"),
        (Filter { since, event: Some(Kind::Login), account: Some(account(0)) }, "2"),
    ] {
        assert_eq!(shown(&trail.list(filter, ALL).await), expected, "{filter:?}");
    }

    let personal = all[1].personal.as_ref().unwrap();
    assert_eq!(personal.account, Some(account(0).to_string()));
    assert_eq!((personal.address.as_deref(), all[1].at), (Some("192.0.2.1"), NOW.plus(DAY * 4)));
    assert_eq!((all[0].personal.as_ref(), all[0].event.as_str()), (None, "logout"));
}

#[tokio::test]
async fn nothing_of_an_erased_account_is_left() {
    let trail = Trail::new();
    let session = SessionId(Uuid::from_bytes([5; 16]));
    let deletion = event(Kind::AccountDelete, 1, NOW).session(session).detail("by its owner");
    trail.append(event(Kind::Login, 1, NOW).session(session)).await;
    trail.seal().await;
    let last = deletion.clone().unlinked();
    let delete = move |tx: &mut Tx<'_>| flow::erase(tx, account(1)).and_then(|()| flow::append(tx, &last));
    trail.db.write::<_, crate::db::Error, _>(delete).await.unwrap();
    trail.seal().await;
    let left = trail.list(Filter::default(), ALL).await;
    let nobody = Personal { actor: "anonymous".into(), account: None, session: None, address: None };
    let personal: Vec<_> = left.iter().map(|entry| entry.personal.clone()).collect();
    assert!(personal.contains(&None) && personal.contains(&Some(nobody)), "{personal:?}");
    assert_eq!(trail.verify().await, Verified { events: 2, unsealed: 0, broken: None });
    assert_eq!(left.iter().filter_map(|entry| entry.detail.as_deref()).collect::<Vec<_>>(), ["by its owner"]);
}

#[tokio::test]
async fn only_the_beginning_of_the_chain_goes_by_age() {
    let trail = Trail::new();
    for age in [2, 0, 2] {
        trail.append(event(Kind::Login, 1, NOW.minus(DAY * age))).await;
        trail.seal().await;
    }
    trail.append(event(Kind::Login, 1, NOW.minus(DAY * 9))).await;
    assert_eq!(trail.expire(NOW.minus(DAY)).await, 1, "a younger one holds what is behind it");
    assert_eq!(trail.verify().await, Verified { events: 2, unsealed: 1, broken: None });
}

#[derive(Clone, Debug)]
enum Step {
    Append(u8, i64),
    Seal,
    Erase(u8),
    Expire(i64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        5 => (0..3_u8, 0..60_i64).prop_map(|(owner, second)| Step::Append(owner, second)),
        3 => Just(Step::Seal),
        1 => (0..3_u8).prop_map(Step::Erase),
        1 => (0..60_i64).prop_map(Step::Expire),
    ];
    proptest::collection::vec(step, 0..24)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn honest_use_in_any_order_leaves_the_chain_whole(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let trail = Trail::new();
            let (mut appended, mut sealed, mut expired) = (0, 0, 0);
            for step in steps {
                match step {
                    Step::Append(owner, second) => {
                        trail.append(event(Kind::Login, owner, Timestamp::from_seconds(second))).await;
                        appended += 1;
                    }
                    Step::Seal => sealed += trail.seal().await,
                    Step::Erase(owner) => trail.erase(owner).await,
                    Step::Expire(second) => expired += trail.expire(Timestamp::from_seconds(second)).await,
                }
                let Verified { events, unsealed, broken } = trail.verify().await;
                assert_eq!(broken, None);
                assert_eq!((events, unsealed), ((sealed - expired) as u64, (appended - sealed) as u64));
            }
        });
    }
}
