//! `claviger audit`: listing and verifying the trail beside a running server and without it.

use crate::harness::{Program, count, database, open_db, sqlite_only};
use claviger::audit::{self, Actor, Event, Kind, Origin, flow};
use claviger::base::id::AccountId;
use claviger::base::time::{Clock, Timestamp};
use claviger::config::MasterKeySource;
use claviger::db::{self, Db};
use claviger::keys::master;
use serde_json::Value;
use std::path::Path;
use std::time::Duration;
use uuid::Uuid;

fn run(data_dir: &Path, arguments: &[&str]) -> (i32, String, String) {
    let mut command = Program::command(&[&["audit"], arguments].concat());
    command.envs(Program::database(data_dir));
    let output = command.args(["--data-dir", data_dir.to_str().unwrap()]).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// The details of the listed events, in their order.
fn listed(data_dir: &Path, arguments: &[&str]) -> Vec<String> {
    let (code, out, err) = run(data_dir, &[&["list", "--json"], arguments].concat());
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    let detail = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        line["detail"].as_str().unwrap().to_owned()
    };
    out.lines().map(detail).collect()
}

fn account(number: u8) -> AccountId {
    AccountId(Uuid::from_bytes([number; 16]))
}

fn event(kind: Kind, owner: u8, at: Timestamp, detail: &str) -> Event {
    let actor = Actor::Account(account(owner));
    let origin = Origin { actor, address: "192.0.2.7".parse().ok(), request_id: Uuid::from_bytes([4; 16]) };
    Event::new(kind, origin, at).detail(detail)
}

async fn append(db: &Db, event: Event) {
    db.write::<_, db::Error, _>(move |tx| flow::append(tx, &event)).await.unwrap();
}

/// A data folder with three sealed events and one that is not sealed.
async fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let now = Clock::System.now();
    let db = open_db(folder.path(), now);
    let master = master::obtain(&MasterKeySource::Own(folder.path().join("master.key")), true).unwrap();
    let old = now.minus(Duration::from_secs(7200));
    append(&db, event(Kind::SignUp, 1, old, "old")).await;
    append(&db, event(Kind::Login, 2, now, "refused").refused()).await;
    append(&db, event(Kind::Login, 1, now.plus(Duration::from_millis(2)), RED)).await;
    flow::seal(&db, &audit::key(&master)).await.unwrap();
    append(&db, event(Kind::Logout, 1, now.plus(Duration::from_millis(4)), "new")).await;
    folder
}

/// What a terminal would act on.
const RED: &str = "\u{1b}[31mred";

#[tokio::test]
async fn events_are_listed_as_a_table_and_as_json() {
    let folder = folder().await;
    let dir = folder.path();
    let (code, out, err) = run(dir, &["list"]);
    assert_eq!((code, err.as_str()), (0, ""));
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines.len(), 5, "{out}");
    let words: Vec<&str> = lines[2].split_whitespace().collect();
    let (id, actor) = (account(1).to_string(), format!("account:{}", account(1)));
    assert_eq!(words[1..], ["login", "success", &actor, &id, "192.0.2.7", "\\u{1b}[31mred"], "{out}");
    let aligned = |line: &&str| line.find("192.0.2.7") == lines[0].find("ADDRESS");
    assert!(lines[1..].iter().all(aligned), "{out}");

    assert_eq!(listed(dir, &[]), ["new", RED, "refused", "old"]);
    assert_eq!(listed(dir, &["--limit", "2"]), ["new", RED]);
    assert_eq!(listed(dir, &["--event", "login"]), [RED, "refused"]);
    assert_eq!(listed(dir, &["--account", &id]), ["new", RED, "old"]);
    assert_eq!(listed(dir, &["--since", "1h"]).len(), 3);
    assert_eq!(listed(dir, &["--since", "2000-01-01T00:00:00+01:00", "--event", "sign-up"]), ["old"]);
    assert_eq!(listed(dir, &["--since", "2200-01-01T00:00:00Z"]), [""; 0]);

    let (_, out, _) = run(dir, &["list", "--json", "--event", "login", "--limit", "1"]);
    let line: Value = serde_json::from_str(out.trim()).unwrap();
    assert_eq!(line["account"], id);
    assert_eq!((&line["place"], &line["erased"], &line["session"]), (&3.into(), &false.into(), &Value::Null));
    assert!(!out.contains('\u{1b}'), "{out}");
}

#[tokio::test]
async fn verify_says_whether_the_chain_is_whole() {
    let folder = folder().await;
    let dir = folder.path();
    let (code, out, err) = run(dir, &["verify"]);
    assert_eq!((code, out.as_str(), err.as_str()), (0, "3 events, chain whole, 1 not sealed yet\n", ""));
    let changed = database(dir).execute("UPDATE audit_events SET outcome = 'success' WHERE place = 2", []);
    assert_eq!(changed, Ok(1));
    let (code, out, _) = run(dir, &["verify"]);
    assert_eq!(code, 1);
    assert!(out.starts_with("the audit chain is broken at place 2: the event was changed"), "{out}");
    assert!(out.ends_with("Whole before that: 1 event\n"), "{out}");
}

#[tokio::test]
async fn both_work_beside_a_running_server() {
    let folder = folder().await;
    let _program = Program::serve(folder.path(), &[]);
    assert_eq!(listed(folder.path(), &["--account", &account(1).to_string()]), ["new", RED, "old"]);
    let (code, out, err) = run(folder.path(), &["verify"]);
    assert!(code == 0 && out.contains(" events, chain whole, "), "{out}{err}");
}

#[tokio::test]
async fn what_cannot_be_read_is_said() {
    if sqlite_only() {
        return;
    }
    let nowhere = tempfile::tempdir().unwrap();
    let (code, _, err) = run(nowhere.path(), &["list"]);
    assert!(code == 1 && err.contains("--data-dir"), "{err}");
    let (code, _, err) = run(nowhere.path(), &["verify"]);
    assert!(code == 1 && err.contains("master key"), "{err}");
    assert_eq!(std::fs::read_dir(nowhere.path()).unwrap().count(), 0, "nothing was made there");
    for (arguments, hint) in [
        (["--since", "yesterday"], "24h"),
        (["--account", "alice"], "UUID"),
        (["--event", "lgoin"], "login"),
        (["--limit", "many"], "--limit"),
    ] {
        let (code, _, err) = run(nowhere.path(), &[&["list"], &arguments[..]].concat());
        assert!(code == 2 && err.contains(hint), "{arguments:?}: {err}");
    }
}

#[tokio::test]
async fn very_many_events_of_a_deleted_account_are_erased_in_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let db = open_db(folder.path(), Timestamp::from_seconds(0));
    let many: Vec<Event> = (0..1100)
        .map(|second| event(Kind::Refresh, 1, Timestamp::from_seconds(1_795_435_200 + second), ""))
        .collect();
    let all = move |tx: &mut db::Tx<'_>| many.iter().try_for_each(|event| flow::append(tx, event));
    db.write(all).await.unwrap();
    let deleted = |tx: &mut db::Tx<'_>| {
        flow::erase(tx, account(1))?;
        flow::note_rest(tx, account(1))
    };
    db.write::<_, db::Error, _>(deleted).await.unwrap();
    while flow::go_on_erasing(&db).await.unwrap() {}
    let database = database(folder.path());
    assert_eq!(count(&database, "audit_events WHERE personal IS NOT NULL OR account_id IS NOT NULL"), 0);
    assert_eq!(count(&database, "audit_erasures"), 0);
}
