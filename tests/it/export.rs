//! `claviger export`, and that an import of it makes the same accounts.

use crate::harness::database;
use crate::import::{ID, PASSWORD, line, log_in, sum};
use crate::operators::{Town, run};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt as _;

/// A server with several kinds of accounts.
async fn town() -> Town {
    let town = Town::start();
    let bcrypt = "$2b$04$4h2ggbSZngsjtAZOvgHA9OS6zBW670e8s8LQgexnPyqoYU3wr3Q7y";
    let lines = [
        line("alice", &json!({"public_id": ID, "created_at": "2019-03-01T12:00:00.123456Z"})),
        line("bob", &json!({"name": "Bob, \"the\" ‘second’", "disabled": true})),
        line("carol", &json!({"password_hash": "!"})),
        line("dave", &json!({"password_hash": bcrypt})),
    ];
    assert_eq!(run(town.folder.path(), &["import", "-"], &lines.join("\n")).1, sum(4, 0, 0));
    town.person("erin").await;
    town
}

/// The rows of accounts and passwords, but for when they came here and by what they are known again.
fn rows(town: &Town) -> Vec<Vec<String>> {
    let sql = "SELECT CAST(email AS TEXT), CAST(name AS TEXT), CAST(created_at AS TEXT),
        CASE WHEN disabled_at IS NULL THEN '' ELSE 'x' END, CAST(phc AS TEXT)
        FROM accounts JOIN passwords ON account_id = accounts.id ORDER BY email";
    let database = database(town.folder.path());
    database.query(sql, [], |row| (0..5).map(|column| row.get(column)).collect()).unwrap()
}

#[tokio::test]
async fn what_is_exported_is_imported_the_same() {
    let town = town().await;
    for format in ["jsonl", "csv"] {
        let file = town.folder.path().join(format!("accounts.{format}"));
        let name = file.to_str().unwrap();
        let told = town.told(&["export", name, "--with-password-hashes", "--format", format]);
        assert_eq!(told, "5 accounts exported\n");
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);

        let other = Town::start();
        let (code, out, err) = run(other.folder.path(), &["import", name], "");
        assert_eq!((code, out), (0, sum(5, 0, 0)), "{err}");
        assert_eq!(rows(&other), rows(&town), "{format}");
        let ids = |town: &Town| -> Vec<Value> {
            town.listed(&["user", "list"]).iter().map(|account| account["id"].clone()).collect()
        };
        assert_eq!(ids(&other), ids(&town));
        assert!(log_in(&other, "alice", PASSWORD).await.is_some());
        assert!(log_in(&other, "dave", PASSWORD).await.is_some());
        assert!(log_in(&other, "bob", PASSWORD).await.is_none(), "it is disabled there too");
        assert!(log_in(&other, "carol", "!").await.is_none());
        assert!(log_in(&other, "erin", "erin likes long walks").await.is_some());
        let again = run(other.folder.path(), &["import", name], "");
        assert_eq!(again.1, sum(0, 5, 0), "{again:?}");
    }
    let events = town.listed(&["audit", "list", "--event", "account-export"]);
    assert_eq!(events.len(), 2);
    assert_eq!(events[0]["detail"], "with password hashes");
}

#[tokio::test]
async fn hashes_are_written_only_if_they_are_asked_for() {
    let town = town().await;
    for format in ["jsonl", "csv"] {
        let (code, out, err) = town.run(&["export", "-", "--format", format]);
        assert_eq!((code, err.as_str()), (0, "5 accounts exported, without the hashes of their passwords\n"));
        assert!(!out.contains('$') && !out.contains("password_hash") && out.contains(ID), "{out}");
        let other = Town::start();
        let given = ["import", "-", "--from", format, "--keep-without-password"];
        assert_eq!(run(other.folder.path(), &given, &out).1, sum(5, 0, 0));
        assert!(log_in(&other, "alice", PASSWORD).await.is_none());
        let (code, sum_up, err) = run(Town::start().folder.path(), &given[..4], &out);
        assert!(code != 0 && !sum_up.starts_with('5'), "{err}");
    }
    let lines = town.run(&["export", "-"]).1;
    let first: Value = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .find(|line: &Value| line["name"] == "alice")
        .unwrap();
    assert_eq!(
        first,
        json!({"email": "alice@example.org", "name": "alice", "public_id": ID, "created_at": "2019-03-01T12:00:00.123456Z"})
    );
    assert_eq!(
        town.listed(&["audit", "list", "--event", "account-export"])[0]["detail"],
        "without password hashes"
    );
}

/// The forms that docs/import.md describes for those who leave.
#[test]
fn forms_that_are_nobodys_standard_are_as_described() {
    let town = Town::start();
    let forms = [
        ("!", "!"),
        (
            "sha256$salt$41d0ee043eeb136df0b10dd3dd9b73d76ef38e4b19c48d9ab6a9edcbb44f850c",
            "$hmac-sha256$c2FsdA$QdDuBD7rE23wsQ3T3Ztz127zjksZxI2atqnty7RPhQw",
        ),
        (
            "pbkdf2:sha256$salt$412c3426505a21bd667641ad2946c772c4f32c3e7c145c3e6179c8a69ddc674b",
            "$pbkdf2-sha256$i=0$c2FsdA$QSw0JlBaIb1mdkGtKUbHcsTzLD58FFw+YXnIpp3cZ0s",
        ),
    ];
    for (number, (given, _)) in forms.iter().enumerate() {
        let line = line(&format!("p{number}"), &json!({"password_hash": given}));
        assert_eq!(run(town.folder.path(), &["import", "-"], &line).1, sum(1, 0, 0));
    }
    let out = town.run(&["export", "-", "--with-password-hashes"]).1;
    let lines: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for (number, (_, stored)) in forms.iter().enumerate() {
        let line = lines.iter().find(|line| line["name"] == format!("p{number}")).unwrap();
        assert_eq!(line["password_hash"], *stored);
    }
}

#[test]
fn no_file_is_overwritten_and_none_is_left_behind() {
    let town = Town::start();
    let file = town.folder.path().join("mine");
    std::fs::write(&file, "mine").unwrap();
    let (code, _, err) = town.run(&["export", file.to_str().unwrap()]);
    assert!(code == 1 && err.contains("File exists"), "{err}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine");
    assert_eq!(town.run(&["export", "/nowhere/file"]).0, 1);
    assert_eq!(town.run(&["export", "x", "--format", "xml"]).0, 2);
    assert!(!town.folder.path().join("x").exists());
}

#[tokio::test]
async fn all_pages_are_written() {
    let town = Town::start();
    let model = line("NAME", &json!({}));
    let lines: String = (0..2500).map(|number| model.replace("NAME", &format!("p{number}")) + "\n").collect();
    assert_eq!(run(town.folder.path(), &["import", "-"], &lines).1, sum(2500, 0, 0));
    let out = town.run(&["export", "-", "--with-password-hashes"]).1;
    assert_eq!(out.lines().count(), 2500);
    let other = Town::start();
    assert_eq!(run(other.folder.path(), &["import", "-"], &out).1, sum(2500, 0, 0));
}
