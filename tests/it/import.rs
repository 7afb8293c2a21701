//! `claviger import`: accounts from another system, who log in with the passwords they have.

use crate::harness::{Database, count, database, decode};
use crate::operators::{Outcome, Town, run};
use claviger_crypto::password::{Engine, Hasher, Params};
use reqwest::Method;
use serde_json::{Value, json};
use std::path::Path;

pub const PASSWORD: &str = "as it was before";

/// A line for an account with cheap hashes of another system.
pub fn line(name: &str, members: &Value) -> String {
    let mut hasher = Hasher::new(Engine::Fast, Params::new(64, 1, 2).unwrap()).unwrap();
    let hash = hasher.hash(PASSWORD.as_bytes(), *b"saltsaltsaltsalt").unwrap().to_string();
    let mut line = json!({"email": format!("{name}@example.org"), "name": name, "password_hash": hash});
    for (name, value) in members.as_object().unwrap() {
        line[name] = value.clone();
    }
    line.to_string()
}

fn plain(name: &str) -> String {
    line(name, &json!({}))
}

/// Imports from standard input.
fn import(folder: &Path, lines: &[String], arguments: &[&str]) -> Outcome {
    run(folder, &[&["import", "-"], arguments].concat(), &(lines.join("\n") + "\n"))
}

/// What a command that imports says on standard output.
pub fn sum(imported: usize, already_there: usize, refused: usize) -> String {
    format!("{imported} imported, {already_there} already there, {refused} refused\n")
}

pub fn phc(database: &Database, email: &str) -> String {
    let sql = "SELECT phc FROM passwords JOIN accounts ON accounts.id = account_id WHERE email_key = $1";
    database.query_row(sql, [email], |row| row.get(0)).unwrap()
}

pub async fn log_in(town: &Town, name: &str, password: &str) -> Option<Value> {
    let body = json!({"email": format!("{name}@example.org"), "password": password});
    let answer = town.request(Method::POST, "/login").json(&body).send().await.unwrap();
    if answer.status() == 200 { Some(answer.json().await.unwrap()) } else { None }
}

pub const ID: &str = "6f0c8b1e-9d8a-4c57-8f6e-0a1b2c3d4e5f";

#[tokio::test]
async fn imported_accounts_log_in_and_are_hashed_anew() {
    let town = Town::start();
    let lines = [
        line("alice", &json!({"public_id": ID, "created_at": "2019-03-01T12:00:00Z", "role": "admin"})),
        String::new(),
        line("bob", &json!({"email": " Bob@Example.org ", "name": "Bob O\u{301}"})),
    ];
    let file = town.folder.path().join("users.jsonl");
    std::fs::write(&file, lines.join("\r\n")).unwrap();
    assert_eq!(town.told(&["import", file.to_str().unwrap()]), sum(2, 0, 0));

    let database = database(town.folder.path());
    let before = phc(&database, "alice@example.org");
    assert!(before.starts_with("$argon2id$v=19$m=64,t=1,p=2$"), "{before}");
    assert!(log_in(&town, "alice", "a wrong one").await.is_none());
    assert_eq!(phc(&database, "alice@example.org"), before);
    for _ in 0..2 {
        let login = log_in(&town, "alice", PASSWORD).await.expect("the password that she has");
        let token = login["token"].as_str().unwrap();
        assert_eq!(decode(token).1["sub"], ID);
        assert_eq!(town.profile(token).await.json()["user"]["name"], "alice");
        let after = phc(&database, "alice@example.org");
        assert!(after.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{after}");
    }
    let bob = log_in(&town, "bob", PASSWORD).await.unwrap();
    let profile = town.profile(bob["token"].as_str().unwrap()).await.json();
    assert_eq!(profile, json!({"user": {"email": "Bob@Example.org", "name": "Bob Ó"}}));

    let shown = town.listed(&["user", "show", "alice@example.org"]).remove(0);
    assert_eq!((&shown["id"], &shown["created_at"]), (&json!(ID), &json!("2019-03-01T12:00:00Z")));
    assert_eq!(town.listed(&["user", "list"]).len(), 2);
    let events = town.listed(&["audit", "list", "--event", "account-import"]);
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!((&events[0]["detail"], &events[0]["account"]), (&json!("2 accounts"), &Value::Null));
    assert!(events[0]["actor"].as_str().unwrap().starts_with("operator:uid "), "{events:?}");
    assert!(events[0]["place"].is_i64(), "it is sealed when the command ends");
    assert!(town.told(&["audit", "verify"]).contains("chain whole"));
}

#[tokio::test]
async fn a_refused_line_is_told_and_stops_no_other() {
    let town = Town::start();
    town.person("taken").await;
    let lines = [
        plain("alice"),
        "hunter2".to_owned(),
        plain("alice").replace("alice@example.org", "ALICE@example.org"),
        plain("taken"),
        line("bob", &json!({"public_id": ID})),
        line("carol", &json!({"public_id": ID})),
        line("dave", &json!({"password_hash": "$2b$12$hunter2"})),
        "\t".to_owned(),
        line("erin", &json!({"more": "x".repeat(65536)})),
        plain("frank"),
    ];
    let exists = "an account with this e-mail address exists, and was not made from this line";
    let refused = [
        (2, "it is not JSON, column 1"),
        (3, exists),
        (4, exists),
        (6, "an account with this public_id exists, with another e-mail address"),
        (7, "password_hash looks like bcrypt, but is damaged or cut off"),
        (9, "it has more than 65536 bytes"),
    ];
    let (code, out, err) = import(town.folder.path(), &lines, &["--report", "refused.jsonl"]);
    assert_eq!((code, out), (3, sum(3, 0, 6)), "{err}");
    let told: String = refused.iter().map(|(line, why)| format!("line {line}: {why}\n")).collect();
    assert_eq!(err, told);
    let report = std::fs::read_to_string(town.folder.path().join("refused.jsonl")).unwrap();
    let report: Vec<Value> = report.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(report, refused.map(|(line, why)| json!({"line": line, "why": why})));
    for name in ["alice", "bob", "frank"] {
        assert!(log_in(&town, name, PASSWORD).await.is_some(), "{name}");
    }
    assert!(log_in(&town, "taken", PASSWORD).await.is_none(), "who signed up keeps the account");
    assert!(log_in(&town, "taken", "taken likes long walks").await.is_some());
    assert_eq!(count(&database(town.folder.path()), "accounts"), 4);
}

#[tokio::test]
async fn lines_are_known_again() {
    let town = Town::start();
    let lines = [plain("alice"), line("bob", &json!({"public_id": ID})), plain("carol")];
    let folder = town.folder.path();
    assert_eq!(import(folder, &lines, &[]), (0, sum(3, 0, 0), String::new()));
    let events = || town.listed(&["audit", "list", "--event", "account-import"]).len();
    assert_eq!((import(folder, &lines, &[]), events()), ((0, sum(0, 3, 0), String::new()), 1));

    // Whatever has become of them here.
    let login = log_in(&town, "alice", PASSWORD).await.unwrap();
    let rename = town.request(Method::PATCH, "/user/profile").json(&json!({"name": "Alice Liddell"}));
    let renamed = rename.bearer_auth(login["token"].as_str().unwrap()).send().await.unwrap();
    assert_eq!(renamed.status(), 200);
    town.told(&["user", "disable", "bob@example.org"]);
    assert_eq!(import(folder, &lines, &[]), (0, sum(0, 3, 0), String::new()));
    assert!(log_in(&town, "bob", PASSWORD).await.is_none(), "and nothing is undone");

    // But not what the other system has changed, or somebody else has made.
    town.told(&["user", "delete", "carol@example.org", "--yes"]);
    town.person("dave").await;
    let changed = [line("alice", &json!({"name": "Alice L."})), lines[2].clone(), plain("dave")];
    let (code, out, err) = import(folder, &changed, &[]);
    assert_eq!((code, out), (3, sum(1, 0, 2)), "{err}");
    assert!(err.starts_with("line 1: an account with this e-mail address exists"), "{err}");
    assert!(log_in(&town, "carol", PASSWORD).await.is_some(), "a deleted one is made again");
}

#[tokio::test]
async fn a_dry_run_says_the_same_and_writes_nothing() {
    let town = Town::start();
    town.person("taken").await;
    let folder = town.folder.path();
    import(folder, &[plain("before"), line("bob", &json!({"public_id": ID}))], &[]);
    let lines = [
        plain("alice"),
        plain("before"),
        plain("taken"),
        line("carol", &json!({"public_id": ID})),
        "{}".to_owned(),
        plain("alice"),
        line("alice", &json!({"name": "another"})),
        line("dave", &json!({"public_id": ID.replace('6', "7")})),
        line("erin", &json!({"public_id": ID.replace('6', "7")})),
    ];
    let database = database(folder);
    let events = || {
        let sql = "SELECT count(*) FROM audit_events WHERE event NOT LIKE 'key-%'";
        database.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap()
    };
    let before = (count(&database, "accounts"), count(&database, "passwords"), events());
    let (code, out, told) = import(folder, &lines, &["--dry-run"]);
    assert_eq!(out, "2 would be imported, 2 are there already, 5 would be refused\n");
    assert_eq!((code, told.lines().count()), (3, 5), "{told}");
    assert_eq!((count(&database, "accounts"), count(&database, "passwords"), events()), before);
    assert_eq!(import(folder, &lines, &[]), (3, sum(2, 2, 5), told), "so it is");
    let (code, out, err) = import(folder, &lines[..2], &["--dry-run"]);
    let said = "0 would be imported, 2 are there already, 0 would be refused\n";
    assert_eq!((code, out.as_str(), err.as_str()), (0, said, ""));
}

#[test]
fn a_hundred_refused_lines_are_shown_and_all_are_reported() {
    let town = Town::start();
    let wrong: Vec<String> = (0..123).map(|number| format!("{{\"email\":{number}}}")).collect();
    // The same command again takes the place of what it reported before.
    import(town.folder.path(), &wrong[..1], &["--report", "refused.jsonl"]);
    let (code, out, err) = import(town.folder.path(), &wrong, &["--report", "refused.jsonl"]);
    assert_eq!((code, out), (3, sum(0, 0, 123)));
    let told: Vec<&str> = err.lines().collect();
    assert_eq!((told.len(), told[99], told[100]), (101, "line 100: email must be a string", "and 23 more"));
    let report = std::fs::read_to_string(town.folder.path().join("refused.jsonl")).unwrap();
    assert_eq!(report.lines().count(), 123);
    assert_eq!(report.lines().last(), Some(r#"{"line":123,"why":"email must be a string"}"#));
    assert_eq!(town.listed(&["audit", "list", "--event", "account-import"]), [json!(null); 0]);
}

#[test]
fn a_file_that_cannot_be_read_or_written_is_said_first() {
    let town = Town::start();
    let folder = town.folder.path().to_str().unwrap();
    for (arguments, why) in [
        (&["no-such-file"][..], "error: no-such-file: No such file"),
        (&[folder], "error: the file: Is a directory"),
        (&["-", "--report", "/nowhere/report"], "error: --report /nowhere/report: No such file"),
        (&["-", "--report", "claviger.toml"], "error: --report claviger.toml: File exists"),
    ] {
        std::fs::write(town.folder.path().join("claviger.toml"), "# none\n").unwrap();
        let (code, _, err) = run(town.folder.path(), &[&["import"], arguments].concat(), &plain("alice"));
        assert!(code == 1 && err.starts_with(why), "{arguments:?}: {err}");
    }
    assert_eq!(town.run(&["import"]).0, 2);
    assert_eq!(count(&database(town.folder.path()), "accounts"), 0);
}
