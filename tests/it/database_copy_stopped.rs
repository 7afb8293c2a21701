//! A copy that is stopped in the middle: nothing uses what there is of it, it goes on, and what was changed
//! meanwhile on either side is noticed.

use crate::database_copy::{End, copied, copy, rows};
use crate::harness::{Database, Program, count, database, free_port};
use crate::operators::run;
use claviger::base::time::Timestamp;
use claviger::db::Db;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// So many that a copy takes a while.
const ACCOUNTS: i64 = 40_000;

/// More than a page, under one account; digits, letters of both cases and others sort differently by collation.
const NETWORKS: &str = "INSERT INTO known_networks (account_id, network, last_used_at)
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2500)
    SELECT unhex(printf('%032x', 1 + i % 2)), char(33 + i * 7 % 90, 65 + i % 50, 192 + i % 300, 42) || i, i FROM n";

/// What is at the edge of each type.
const ODD: &str = "INSERT INTO guesses (subject, failures, last_failed_at) VALUES
        (x'', 9223372036854775807, -9223372036854775807 - 1), (x'00', 0, -1), (x'00ff', -1, 1);
    UPDATE accounts SET name = '', idempotency_key = x'' WHERE id = unhex(printf('%032x', 7));
    UPDATE accounts SET name = char(1, 10, 127, 8238, 65279, 128512), disabled_at = 0 WHERE id = unhex(printf('%032x', 8));
    UPDATE counters SET next = 77 WHERE name = 'status_index'";

fn large() -> End {
    let end = End::sqlite();
    drop(Db::open(end.folder.path(), Timestamp::from_seconds(1)).unwrap());
    opened(&end).execute_batch(&format!(
        "BEGIN; INSERT INTO accounts (id, email, email_key, name, created_at)
        WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {ACCOUNTS})
        SELECT unhex(printf('%032x', i)), 'Person' || i, 'person' || i, 'P', i FROM n; {NETWORKS}; {ODD}; COMMIT"
    ))
    .unwrap();
    end
}

fn opened(end: &End) -> Database {
    database(end.folder.path())
}

/// Starts a copy and sends it a signal when some of it is done; how it ended and what it said.
fn stop_in_the_middle(from: &str, to: &End, signal: &str) -> (Option<i32>, String) {
    let mut command = Program::command(&["database", "copy", "--from", from, "--to", &to.place]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let copied = || -> Option<i64> {
        let sql = "SELECT copied FROM database_copy";
        // Until the program has made it there is nothing to be opened.
        let is_there = !to.place.starts_with("sqlite:") || to.folder.path().join("claviger.db").exists();
        is_there.then(|| opened(to).query_row(sql, [], |row| row.get(0)).ok()).flatten()
    };
    let until = Instant::now() + Duration::from_secs(30);
    while copied().is_none_or(|rows| rows < 2000) {
        assert!(child.try_wait().unwrap().is_none() && Instant::now() < until, "it does not get there");
    }
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-s", signal, &pid]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    let left = ACCOUNTS - count(&opened(to), "accounts");
    assert!(left > 0, "it was through already");
    assert_eq!(copied(), Some(ACCOUNTS - left), "rows and their mark come together");
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

/// Refused by a server and by commands that read or change, each of which says what to do.
fn assert_shut(end: &End) {
    let folder = end.folder.path();
    let (code, said) = Program::refusal(Program::command(&[]), folder, free_port(), &[]);
    assert!(code == 1 && said.contains("unfinished copy"), "{said}");
    for command in [&["user", "list"][..], &["user", "disable", "person1"], &["key", "list"]] {
        let (code, out, err) = run(folder, command, "");
        assert!(code == 1 && out.is_empty(), "{command:?}: {out}");
        assert!(err.contains("unfinished copy of sqlite:"), "{command:?}: {err}");
        assert!(err.contains("claviger database copy"), "{command:?}: {err}");
    }
}

#[test]
fn a_killed_copy_goes_on_and_notices_what_was_changed_meanwhile() {
    let (source, target) = (large(), End::own());
    let (code, _) = stop_in_the_middle(&source.place, &target, "KILL");
    assert_eq!(code, None);
    assert_shut(&target);
    let (code, _, err) = copy(&target.place, &End::sqlite().place);
    assert!(code == 1 && err.contains("unfinished copy"), "half a database is no source: {err}");
    let other = End::sqlite();
    drop(Db::open(other.folder.path(), Timestamp::from_seconds(2)).unwrap());
    let (code, _, err) = copy(&other.place, &target.place);
    assert!(code == 1 && err.contains("unfinished copy of another database, sqlite:"), "{err}");

    // One that was copied already.
    let rename = |database: &Database, name: &str| {
        let renamed =
            database.execute("UPDATE accounts SET name = $1 WHERE email_key = $2", [name, "person1"]);
        assert_eq!(renamed, Ok(1));
    };
    for changed in [&opened(&target), &opened(&source)] {
        rename(changed, "Eve");
        let (code, out, err) = copy(&source.place, &target.place);
        assert!(code == 1 && err.contains("differs from its source in accounts:"), "{err}");
        assert!(err.contains("an interrupted copy goes on") && err.contains("empty the copy"), "{err}");
        let line = out.lines().find(|line| line.starts_with("accounts ")).unwrap();
        assert!(line.contains(&format!("{ACCOUNTS} rows, ")) && out.contains(" equal\n"), "{out}");
        assert_shut(&target);
        rename(changed, "P");
    }

    copied(&source.place, &target.place);
    assert_eq!(run(target.folder.path(), &["key", "list"], "").0, 0, "it is open now");
    let back = End::sqlite();
    copied(&target.place, &back.place);
    assert!(rows(source.folder.path()) == rows(back.folder.path()), "row by row");
    let (code, _, err) = copy(&source.place, &target.place);
    assert!(code == 1 && err.contains("not empty"), "once is enough: {err}");
}

#[test]
fn an_interrupt_ends_it_between_two_pages() {
    let (source, target) = (large(), End::own());
    let (code, said) = stop_in_the_middle(&source.place, &target, "INT");
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("error: interrupted. The same command goes on from here"), "{said}");
    copied(&source.place, &target.place);
}
