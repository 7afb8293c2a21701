//! An import that is stopped in the middle, and one beside a server that is in use.

use crate::harness::{Database, Program, count, database, sqlite_only};
use crate::import::{PASSWORD, line, sum};
use crate::operators::{Town, run};
use reqwest::Method;
use serde_json::json;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Several transactions' worth.
const LINES: usize = 12_000;

/// A file in the folder of a server, in which every hundredth line is refused.
fn large(town: &Town) -> PathBuf {
    let model = line("NAME", &json!({}));
    let text = |number: usize| match number % 100 {
        0 => "{}\n".to_owned(),
        _ => model.replace("NAME", &format!("person{number}")) + "\n",
    };
    let file = town.folder.path().join("users.jsonl");
    std::fs::write(&file, (0..LINES).map(text).collect::<String>()).unwrap();
    file
}

/// How many accounts the trail tells of.
fn told_of(town: &Town) -> i64 {
    let events = town.listed(&["audit", "list", "--event", "account-import", "--limit", "1000"]);
    let number = |event: &serde_json::Value| -> i64 {
        event["detail"].as_str().unwrap().strip_suffix(" accounts").unwrap().parse().unwrap()
    };
    events.iter().map(number).sum()
}

#[test]
fn a_killed_import_goes_on() {
    let town = Town::start();
    let (file, folder) = (large(&town), town.folder.path());
    let mut command = Program::command(&["import", file.to_str().unwrap()]);
    command.args(["--data-dir", folder.to_str().unwrap()]).envs(Program::database(folder));
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let (database, until) = (database(folder), Instant::now() + Duration::from_secs(60));
    while count(&database, "accounts") == 0 {
        assert!(child.try_wait().unwrap().is_none() && Instant::now() < until, "it does not get there");
    }
    assert!(Command::new("kill").args(["-s", "KILL", &child.id().to_string()]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), None);

    let (there, all) = (count(&database, "accounts"), i64::try_from(LINES - LINES / 100).unwrap());
    assert!(0 < there && there < all, "{there}");
    assert_eq!((count(&database, "passwords"), told_of(&town)), (there, there), "whole transactions");
    let there = usize::try_from(there).unwrap();
    let (code, out, err) = run(folder, &["import", file.to_str().unwrap()], "");
    let refused = LINES / 100;
    assert_eq!((code, out), (3, sum(LINES - refused - there, there, refused)), "{err}");
    assert_eq!((count(&database, "accounts"), count(&database, "passwords")), (all, all));
    assert_eq!(told_of(&town), all);
    assert!(town.told(&["audit", "verify"]).contains("chain whole"));
}

#[tokio::test]
async fn a_server_goes_on_beside_an_import() {
    let town = Town::start();
    let file = large(&town);
    let folder = town.folder.path().to_owned();
    let done = tokio::task::spawn_blocking(move || run(&folder, &["import", file.to_str().unwrap()], ""));
    let (mut served, mut slowest) = (0, Duration::ZERO);
    while !done.is_finished() {
        let name = format!("guest{served}");
        let body = json!({"email": format!("{name}@example.net"), "name": name, "password": PASSWORD});
        let asked = Instant::now();
        let answer = town.request(Method::POST, "/user").json(&body).send().await.unwrap();
        assert_eq!(answer.status(), 201, "{}", answer.text().await.unwrap());
        slowest = slowest.max(asked.elapsed());
        served += 1;
    }
    let (code, out, err) = done.await.unwrap();
    assert_eq!((code, out), (3, sum(LINES - LINES / 100, 0, LINES / 100)), "{err}");
    // Several times what it takes, for slow machines; past 2 s the sign-up would have been refused.
    assert!(served > 2 && slowest < Duration::from_millis(1900), "{served} sign-ups, {slowest:?}");
    let body = json!({"email": "person7@example.org", "password": PASSWORD});
    assert_eq!(town.request(Method::POST, "/login").json(&body).send().await.unwrap().status(), 200);
}

#[test]
fn a_database_that_is_held_for_a_while_is_waited_for() {
    if sqlite_only() {
        return;
    }
    let town = Town::start();
    let folder = town.folder.path();
    let Database::Sqlite(held) = database(folder) else { unreachable!() };
    let report = folder.join("refused.jsonl");
    let mut command = Program::command(&["import", "-", "--report", report.to_str().unwrap()]);
    command.args(["--data-dir", folder.to_str().unwrap()]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    // It has opened the database then, and waits for lines.
    while !report.exists() {
        assert!(child.try_wait().unwrap().is_none());
    }
    held.execute_batch("BEGIN IMMEDIATE").unwrap();
    child.stdin.take().unwrap().write_all(line("alice", &json!({})).as_bytes()).unwrap();
    // Longer than SQLite itself waits.
    std::thread::sleep(Duration::from_millis(2500));
    held.execute_batch("ROLLBACK").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), sum(1, 0, 0));
    assert!(output.status.success());
}
