//! The chain against whoever can write to the database but has not the key.

use super::tests::{ALL, DAY, NOW, Trail, event};
use super::*;
use crate::db::Tx;

impl Trail {
    /// Five sealed events in the chain, the first of them without its personal part and two older ones gone;
    /// and an event that is not sealed.
    async fn used() -> Self {
        let trail = Self::new();
        // Ids of one millisecond are in no order.
        let later = |millis| NOW.plus(std::time::Duration::from_millis(millis));
        for old in 0..2 {
            trail.append(event(Kind::SignUp, old, NOW.minus(DAY))).await;
        }
        trail.append(event(Kind::Login, 1, NOW)).await;
        trail.append(event(Kind::Login, 2, later(1)).detail("pwd")).await;
        trail.append(event(Kind::Logout, 3, later(2)).refused()).await;
        trail.seal().await;
        let system = Origin { actor: Actor::System, address: None, request_id: Uuid::nil() };
        trail.append(Event::new(Kind::KeyPublish, system, later(3))).await;
        trail.append(event(Kind::Login, 2, later(4))).await;
        trail.seal().await;
        assert_eq!(trail.expire(NOW).await, 2);
        trail.erase(1).await;
        trail.append(event(Kind::Login, 3, NOW)).await;
        assert_eq!(trail.verify().await, Verified { events: 5, unsealed: 1, broken: None });
        trail
    }

    async fn broken(&self) -> Option<(i64, String)> {
        self.verify().await.broken.map(|broken| (broken.place, broken.why))
    }

    /// Runs a statement as an attacker would; how many rows it changed.
    async fn tamper(&self, sql: &str) -> usize {
        let sql: &'static str = Box::leak(sql.to_owned().into_boxed_str());
        self.db.write::<_, crate::db::Error, _>(move |tx| tx.execute(sql, &[])).await.unwrap()
    }

    async fn save(&self) {
        self.tamper("CREATE TABLE kept_events AS SELECT * FROM audit_events").await;
        self.tamper("CREATE TABLE kept_chain AS SELECT * FROM audit_chain").await;
    }

    async fn restore(&self) {
        for table in ["events", "chain"] {
            self.tamper(&format!("DELETE FROM audit_{table}")).await;
            self.tamper(&format!("INSERT INTO audit_{table} SELECT * FROM kept_{table}")).await;
        }
    }
}

/// Every column of every sealed event and of both ends, changed alone.
#[tokio::test]
async fn any_changed_column_is_noticed() {
    let trail = Trail::used().await;
    trail.save().await;
    let changes = [
        ("id", &["x'00000000000000000000000000000000'", "x'00'"][..]),
        ("happened_at", &["happened_at + 1", "0"]),
        ("event", &["event || 'x'", "''", "CAST(x'ff' AS TEXT)"]),
        ("outcome", &["CASE outcome WHEN 'success' THEN 'refused' ELSE 'success' END"]),
        ("request_id", &["x'01010101010101010101010101010101'"]),
        ("detail", &["NULL", "''", "'pwd '"]),
        (
            "account_id",
            &["NULL", "x'00000000000000000000000000000000'", "x'02020202020202020202020202020202'"],
        ),
        (
            "personal",
            &[
                "NULL",
                "'{}'",
                "personal || ' '",
                "'{\"actor\":\"system\"}'",
                "replace(personal, '192', '193')",
            ],
        ),
        ("salt", &["NULL", "zeroblob(16)", "x''"]),
        ("commitment", &["zeroblob(32)", "x''"]),
        ("place", &["NULL", "-place", "0", "place + 100", "-9223372036854775807", "9223372036854775807"]),
        ("mac", &["NULL", "zeroblob(32)", "CAST(mac || x'00' AS BLOB)"]),
    ];
    let mut tried = 0;
    for place in 3..=7 {
        for (column, values) in changes {
            for value in values {
                let changed = trail
                    .tamper(&format!(
                        "UPDATE audit_events SET {column} = {value} WHERE place = {place} AND {column} IS NOT {value}"
                    ))
                    .await;
                let broken = trail.broken().await;
                assert_eq!(broken.is_some(), changed == 1, "{column} = {value} at {place}: {broken:?}");
                tried += changed;
                if changed == 1 {
                    trail.restore().await;
                }
            }
        }
    }
    assert!(tried > 120, "{tried}");
    let ends = ["place = place + 1", "place = place - 1", "place = 0", "mac = zeroblob(64)", "mac = x''"];
    for end in ["head", "anchor"] {
        for change in ends {
            assert_eq!(
                trail.tamper(&format!("UPDATE audit_chain SET {change} WHERE name = '{end}'")).await,
                1
            );
            assert!(trail.broken().await.is_some(), "{end}: {change}");
            trail.restore().await;
        }
        assert_eq!(trail.tamper(&format!("DELETE FROM audit_chain WHERE name = '{end}'")).await, 1);
        assert!(trail.broken().await.is_some(), "{end} is gone");
        trail.restore().await;
    }
    assert_eq!(trail.verify().await, Verified { events: 5, unsealed: 1, broken: None });
}

const CHANGED: &str = "the event was changed";
const PERSONAL: &str = "the personal part of the event was changed";
const HEAD: &str = "the mark of the last event was changed";
const ANCHOR: &str = "the mark of what was removed by age was changed";
const PUT_IN: &str = "an event was put in before it";

/// What is done, and what is said of it. `SWAP x` gives the events at 4 and 7 one another's column x, `COPY n`
/// puts the last event in again at place n.
const ATTACKS: &[(&str, &str)] = &[
    // Taking out: in the middle, at the beginning, at the end.
    ("DELETE FROM audit_events WHERE place = 5", "an event is missing"),
    ("DELETE FROM audit_events WHERE place IN (4, 5)", "2 events are missing"),
    ("DELETE FROM audit_events WHERE place = 3", "an event is missing"),
    ("DELETE FROM audit_events WHERE place = 7", "the last event is missing"),
    ("DELETE FROM audit_events WHERE place > 5", "the last 2 events are missing"),
    ("DELETE FROM audit_events", "the last 5 events are missing"),
    // Taking out, and saying that the chain ends or begins elsewhere.
    ("DELETE FROM audit_chain WHERE name = 'head'", "the mark of the last event is gone"),
    ("DELETE FROM audit_chain; DELETE FROM audit_events WHERE place > 3", "2 events are missing"),
    (
        "UPDATE audit_chain SET place = 5, mac = (SELECT mac FROM audit_events WHERE place = 5) WHERE name = 'head';
        DELETE FROM audit_events WHERE place > 5",
        HEAD,
    ),
    (
        "UPDATE audit_chain SET place = 5, mac = CAST((SELECT mac FROM audit_events WHERE place = 5)
            || substr(mac, 33) AS BLOB) WHERE name = 'head'; DELETE FROM audit_events WHERE place > 5",
        HEAD,
    ),
    (
        "UPDATE audit_chain SET (place, mac) = (SELECT place, mac FROM kept_chain WHERE name = 'head')
            WHERE name = 'anchor'; DELETE FROM audit_events WHERE place <= 7",
        ANCHOR,
    ),
    (
        "UPDATE audit_chain SET place = 5 WHERE name = 'anchor'; DELETE FROM audit_events WHERE place <= 5",
        ANCHOR,
    ),
    // Changing places, whole or in parts.
    (
        "UPDATE audit_events SET place = 99 WHERE place = 4; UPDATE audit_events SET place = 4 WHERE place = 7;
        UPDATE audit_events SET place = 7 WHERE place = 99",
        CHANGED,
    ),
    ("SWAP personal; SWAP salt; SWAP account_id", PERSONAL),
    ("SWAP personal; SWAP salt", PERSONAL),
    ("SWAP personal; SWAP salt; SWAP account_id; SWAP commitment", CHANGED),
    ("UPDATE audit_events SET place = NULL, mac = NULL WHERE place = 6", "an event is missing"),
    // Personal parts: half erased, made up, and with the same digest by moving the border behind the salt.
    ("UPDATE audit_events SET personal = NULL, salt = NULL WHERE place = 4", "half erased"),
    ("UPDATE audit_events SET personal = '{}', salt = zeroblob(16) WHERE place = 3", PERSONAL),
    (
        "UPDATE audit_events SET salt = CAST(salt || substr(personal, 1, 1) AS BLOB),
            personal = substr(personal, 2) WHERE place = 4",
        PERSONAL,
    ),
    // Putting in: before the beginning, and after the end.
    ("COPY -1", PUT_IN),
    ("COPY 2", PUT_IN),
    ("COPY 8", CHANGED),
    ("COPY 10", "2 events are missing"),
    // What is made to look old, so that the server itself would take it away.
    ("UPDATE audit_events SET happened_at = 0 WHERE place = 3", CHANGED),
    (
        "DELETE FROM audit_events WHERE place = 3; UPDATE audit_events SET happened_at = 0 WHERE place = 4",
        "an event is missing",
    ),
];

fn statement(attack: &str) -> String {
    match attack.trim().split_once(' ') {
        Some(("SWAP", column)) => format!(
            "UPDATE audit_events AS e SET {column} =
            (SELECT {column} FROM kept_events AS k WHERE k.place = 11 - e.place) WHERE place IN (4, 7)"
        ),
        Some(("COPY", place)) => format!(
            "INSERT INTO audit_events SELECT x'00000000000000000000000000000001', happened_at, event, outcome,
            request_id, detail, account_id, personal, salt, commitment, {place}, mac FROM audit_events WHERE place = 7"
        ),
        _ => attack.to_owned(),
    }
}

/// That the server goes on sealing and expiring afterwards must not heal it.
#[tokio::test]
async fn what_an_attacker_does_is_noticed_and_stays_so() {
    let trail = Trail::used().await;
    trail.save().await;
    for (attack, why) in ATTACKS {
        for sql in attack.split(';') {
            assert!(trail.tamper(&statement(sql)).await > 0, "{sql}");
        }
        let (_, found) = trail.broken().await.unwrap_or_else(|| panic!("not noticed: {attack}"));
        assert!(found.contains(why), "{found}, not {why}: {attack}");
        trail.append(event(Kind::Login, 4, NOW)).await;
        let _ = flow::seal(&trail.db, &trail.key).await;
        let _ = flow::expire(&trail.db, &trail.key, NOW, 2).await;
        assert!(trail.broken().await.is_some(), "healed: {attack}");
        trail.restore().await;
    }
}

/// Parts of a history that a restored backup made undone, genuine as they are, do not fit into the other.
#[tokio::test]
async fn an_event_of_another_history_is_noticed() {
    let trail = Trail::new();
    let append_and_seal = async |kind: Kind| {
        trail.append(event(kind, 1, NOW)).await;
        trail.seal().await;
    };
    append_and_seal(Kind::SignUp).await;
    trail.save().await;
    append_and_seal(Kind::Login).await;
    trail.tamper("CREATE TABLE undone AS SELECT * FROM audit_events WHERE place = 2").await;
    trail.restore().await;
    append_and_seal(Kind::Logout).await;
    let replace = async || {
        trail.tamper("DELETE FROM audit_events WHERE place = 2").await;
        trail.tamper("INSERT INTO audit_events SELECT * FROM undone").await;
        trail.broken().await.unwrap()
    };
    let (place, why) = replace().await;
    assert!(place == 2 && why == "the mark of the last event is of another event", "{place}: {why}");
    append_and_seal(Kind::Login).await;
    let (place, why) = replace().await;
    assert!(place == 3 && why.contains(CHANGED), "{place}: {why}");
}

#[tokio::test]
async fn a_second_event_at_one_place_is_counted() {
    let trail = Trail::new();
    let many = |tx: &mut Tx<'_>| (0..1000).try_for_each(|_| flow::append(tx, &event(Kind::Login, 1, NOW)));
    trail.db.write::<_, crate::db::Error, _>(many).await.unwrap();
    trail.seal().await;
    trail.tamper("DROP INDEX audit_events_by_place").await;
    trail.tamper("CREATE INDEX audit_events_by_place ON audit_events (place, id)").await;
    let last = "INSERT INTO audit_events SELECT x'ff000000000000000000000000000001', happened_at, event, outcome,
        request_id, detail, account_id, personal, salt, commitment, place, mac FROM audit_events WHERE place = 1000";
    assert_eq!(trail.tamper(last).await, 1);
    let (_, why) = trail.broken().await.unwrap();
    assert!(why.contains("1001 sealed events"), "{why}");
}

#[tokio::test]
async fn after_tampering_the_chain_is_neither_made_longer_nor_cut() {
    let trail = Trail::used().await;
    trail.tamper("UPDATE audit_chain SET place = 5 WHERE name = 'head'").await;
    assert!(matches!(flow::seal(&trail.db, &trail.key).await, Err(Error::Broken(_))));
    trail.tamper("DELETE FROM audit_chain WHERE name = 'head'").await;
    assert!(matches!(flow::seal(&trail.db, &trail.key).await, Err(Error::Broken(_))));
    trail.save().await;
    trail.tamper("DELETE FROM audit_events WHERE place IS NOT NULL").await;
    assert!(matches!(flow::seal(&trail.db, &trail.key).await, Err(Error::Broken(_))), "an anchor is left");
    trail.restore().await;
    trail.tamper("UPDATE audit_events SET detail = 'x' WHERE place = 4").await;
    let expired = flow::expire(&trail.db, &trail.key, NOW.plus(DAY), 10).await;
    assert!(matches!(expired, Err(Error::Broken(Broken { place: 4, .. }))), "{expired:?}");
    assert_eq!(trail.list(Filter::default(), ALL).await.len(), 6);
}
