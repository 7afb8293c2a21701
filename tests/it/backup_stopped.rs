//! Backups under load, and ones that are killed in the middle: nothing acknowledged is missing, and nothing half stays.

use crate::backup::Vault;
use crate::database_copy::End;
use crate::harness::{Database, Program, count, database, free_port, open_db, send};
use crate::operators::{Town, run};
use claviger::base::time::Timestamp;
use reqwest::Method;
use serde_json::json;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// So many that a backup takes a while.
const ACCOUNTS: i64 = 40_000;

fn fill(database: &Database) {
    let id = match database {
        Database::Sqlite(_) => "unhex(printf('%032x', i))",
        Database::Postgres(_) => "lpad(to_hex(i), 32, '0')::uuid",
    };
    database
        .execute_batch(&format!(
            "INSERT INTO accounts (id, email, email_key, name, created_at)
            WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {ACCOUNTS})
            SELECT {id}, 'Person' || i, 'person' || i, 'P', i FROM n"
        ))
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_acknowledged_before_it_began_is_in_it() {
    let (vault, other) = (Vault::new(), End::own());
    let cheap = ["--hash-memory-kib", "8192", "--hash-passes", "1"];
    let town = Arc::new(Town::start_with(&[&["--dev"], &cheap[..]].concat()));
    fill(&database(town.folder.path()));
    let (acknowledged, goes_on) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(true)));
    let load: Vec<_> = (0..3)
        .map(|number| {
            let (town, acknowledged, goes_on) = (town.clone(), acknowledged.clone(), goes_on.clone());
            tokio::spawn(async move {
                for turn in 0.. {
                    if !goes_on.load(Ordering::Relaxed) {
                        return;
                    }
                    let email = format!("load{number}-{turn}@example.org");
                    let body = json!({"email": email, "name": "L", "password": "as good as any"});
                    let made = send(town.request(Method::POST, "/user").json(&body)).await;
                    assert_eq!(made.status, 201);
                    acknowledged.lock().unwrap().push(email);
                }
            })
        })
        .collect();
    while acknowledged.lock().unwrap().len() < 20 {
        tokio::task::yield_now().await;
    }
    let before = acknowledged.lock().unwrap().clone();
    let folder = town.folder.path().to_owned();
    let (vault, path) = tokio::task::spawn_blocking(move || {
        let path = vault.created(&folder, "load.age");
        (vault, path)
    })
    .await
    .unwrap();
    let during = acknowledged.lock().unwrap().len() - before.len();
    goes_on.store(false, Ordering::Relaxed);
    for load in load {
        load.await.unwrap();
    }
    assert!(during > 0, "nobody waits for a backup");

    vault.restored(&path, other.folder.path());
    let held = database(other.folder.path());
    let sql = "SELECT email FROM accounts WHERE name = 'L'";
    let there: BTreeSet<String> = held.query(sql, [], |row| row.get(0)).unwrap().into_iter().collect();
    assert!(before.iter().all(|email| there.contains(email)), "{} of {}", there.len(), before.len());
    let sql = "SELECT COUNT(*) FROM accounts JOIN passwords ON accounts.id = account_id WHERE name = 'L'";
    let whole: i64 = held.query_row(sql, [], |row| row.get(0)).unwrap();
    assert_eq!(usize::try_from(whole).unwrap(), there.len(), "each with its password: it is one moment");
    assert_eq!(count(&held, "accounts"), ACCOUNTS + whole);
}

/// Sends a signal as soon as `is_there`; how the program ended, and what it said.
fn stop(mut child: Child, signal: &str, is_there: impl Fn() -> bool) -> (Option<i32>, String) {
    let until = Instant::now() + Duration::from_secs(30);
    while !is_there() {
        assert!(child.try_wait().unwrap().is_none() && Instant::now() < until, "it does not get there");
    }
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-s", signal, &pid]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

fn spawn(folder: &Path, arguments: &[&str]) -> Child {
    let mut command = Program::command(arguments);
    command.args(["--data-dir", folder.to_str().unwrap()]).envs(Program::database(folder));
    command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

fn lived() -> End {
    let end = End::own();
    Program::serve(end.folder.path(), &["--dev"]).stop();
    fill(&database(end.folder.path()));
    end
}

#[test]
fn a_backup_that_is_killed_leaves_no_file_of_its_name() {
    let (vault, end) = (Vault::new(), lived());
    let path = vault.path("b.age");
    let unfinished = || {
        let entries = std::fs::read_dir(vault.folder.path()).unwrap().map(|entry| entry.unwrap());
        entries
            .filter(|entry| entry.file_name().to_str().unwrap().ends_with(".unfinished"))
            .collect::<Vec<_>>()
    };
    let create = ["backup", "create", path.to_str().unwrap(), "--recipient", &vault.recipient];
    let half = || unfinished().iter().any(|entry| entry.metadata().is_ok_and(|data| data.len() > 500_000));
    let (code, _) = stop(spawn(end.folder.path(), &create), "KILL", half);
    assert!(code.is_none() && !path.exists() && unfinished().len() == 1);
    let left = unfinished()[0].path();
    for signal in ["INT", "TERM"] {
        // The one that was left is cleared up first.
        let is_half = || !left.exists() && half();
        let (code, said) = stop(spawn(end.folder.path(), &create), signal, is_half);
        assert!(code == Some(1) && said == "error: interrupted\n", "{signal}: {said}");
        assert!(!path.exists() && unfinished().is_empty(), "{signal}");
    }
    vault.created(end.folder.path(), "b.age");
    assert_eq!(vault.verify(&path).0, 0);
    assert!(unfinished().is_empty());
}

#[test]
fn a_restore_that_is_killed_lets_no_server_start_and_goes_on() {
    let (vault, source, target) = (Vault::new(), lived(), End::own());
    let path = vault.created(source.folder.path(), "b.age");
    let restore = ["backup", "restore", path.to_str().unwrap(), "--identity", &vault.identity];
    let folder = target.folder.path();
    let sqlite = target.place.starts_with("sqlite:");
    let begun = || -> Option<i64> {
        let sql = "SELECT copied FROM database_copy";
        let is_there = !sqlite || folder.join("claviger.db").exists();
        is_there.then(|| database(folder).query_row(sql, [], |row| row.get(0)).ok()).flatten()
    };
    for (signal, rows) in [("KILL", 2000), ("INT", 8000)] {
        let (code, said) =
            stop(spawn(folder, &restore), signal, || begun().is_some_and(|copied| copied >= rows));
        assert_eq!(code, if signal == "KILL" { None } else { Some(1) }, "{said}");
        let (code, said) = Program::refusal(Program::command(&[]), folder, free_port(), &["--dev"]);
        assert!(code == 1 && said.contains("is not restored to its end"), "{said}");
        let (code, _, err) = run(folder, &["user", "list"], "");
        assert!(code == 1 && err.contains("claviger backup restore"), "{err}");
        assert_eq!(begun(), Some(count(&database(folder), "accounts")), "rows and their mark come together");
    }
    // Another one has no business there.
    let second = vault.created(source.folder.path(), "second.age");
    let (code, _, err) = vault.restore(&second, folder, &[]);
    assert!(code == 1 && err.contains("it holds another backup, "), "{err}");
    // What somebody has changed in it is noticed.
    let rename = |name: &str| {
        let renamed =
            database(folder).execute("UPDATE accounts SET name = $1 WHERE email_key = 'person1'", [name]);
        assert_eq!(renamed, Ok(1));
    };
    rename("Eve");
    let (code, _, err) = vault.restore(&path, folder, &[]);
    assert!(code == 1 && err.contains("differs from the backup in accounts"), "{err}");
    assert!(!folder.join("master.key").exists());
    rename("P");
    vault.restored(&path, folder);
    assert_eq!(count(&database(folder), "accounts"), ACCOUNTS);
    let (code, _, err) = vault.restore(&path, folder, &[]);
    assert!(code == 1 && err.contains("it is not empty"), "{err}");
    drop(open_db(folder, Timestamp::from_seconds(0)));
    Program::serve(folder, &["--dev"]).stop();
}
