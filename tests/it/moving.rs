//! Moving in: what other systems export, each as its maker documents it.

use crate::harness::decode;
use crate::import::{ID, PASSWORD, log_in, sum};
use crate::operators::{Outcome, Town, run};
use serde_json::{Value, json};
use std::path::PathBuf;

fn fixture(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/import").join(name);
    path.to_str().unwrap().to_owned()
}

/// Imports a fixture.
fn import(town: &Town, name: &str, arguments: &[&str]) -> Outcome {
    run(town.folder.path(), &[&["import", &fixture(name)], arguments].concat(), "")
}

/// Asserts what was refused, one line each, after what was said of the format.
#[track_caller]
fn assert_refused(outcome: &Outcome, imported: usize, guessed: &str, refused: &[&str]) {
    let (code, out, err) = outcome;
    assert_eq!((*code, out), (3, &sum(imported, 0, refused.len())), "{err}");
    let mut lines = err.lines();
    let first = lines.next().unwrap();
    assert!(first.ends_with(guessed), "{first}");
    let said: Vec<&str> = lines.collect();
    assert_eq!(said.len(), refused.len(), "{err}");
    for (said, expected) in said.iter().zip(refused) {
        assert!(said.starts_with(expected), "{said}");
    }
    assert!(!err.contains("hunter2"));
}

async fn subject(town: &Town, name: &str) -> String {
    let login = log_in(town, name, PASSWORD).await.unwrap_or_else(|| panic!("{name} cannot log in"));
    decode(login["token"].as_str().unwrap()).1["sub"].as_str().unwrap().to_owned()
}

fn shown(town: &Town, name: &str) -> Value {
    town.listed(&["user", "show", &format!("{name}@example.org")]).remove(0)
}

#[tokio::test]
async fn a_realm_of_keycloak() {
    let town = Town::start();
    let dry = import(&town, "keycloak-realm.json", &["--dry-run"]);
    assert!(dry.0 == 3 && dry.1.starts_with("5 would be imported"), "{dry:?}");
    let outcome = import(&town, "keycloak-realm.json", &[]);
    let refused = [
        "record 6: it has no password; --keep-without-password",
        "record 7: password_hash is a password in plain text",
        "record 8: it is no person's account",
        "record 9: email must have the form",
    ];
    assert_refused(
        &outcome,
        5,
        "is read as keycloak, since it is of a realm; --from says otherwise",
        &refused,
    );
    for (number, name) in [(1, "argon"), (2, "sha256"), (4, "sha1"), (5, "old")] {
        assert_eq!(subject(&town, name).await, format!("0a6b9e5c-6f2b-4c0e-9d6c-00000000000{number}"));
    }
    assert_eq!(shown(&town, "argon")["name"], "argon", "the name by which people log in there");
    assert_eq!(shown(&town, "sha1")["name"], "Sha1 Liddell", "the user name is an address");
    assert_eq!(shown(&town, "argon")["created_at"], "2023-11-14T22:13:20Z");
    assert!(!shown(&town, "sha512")["disabled_at"].is_null());
    town.told(&["user", "enable", "sha512@example.org"]);
    subject(&town, "sha512").await;
    let again = import(&town, "keycloak-realm.json", &["--keep-without-password"]);
    assert!(again.1 == sum(1, 5, 3), "{again:?}");
    assert!(log_in(&town, "social", "!").await.is_none());
    assert_eq!(shown(&town, "social")["id"], "0a6b9e5c-6f2b-4c0e-9d6c-000000000006");
}

#[tokio::test]
async fn both_files_of_auth0() {
    let town = Town::start();
    let (code, out, err) = import(&town, "auth0-hashes.jsonl", &[]);
    assert_eq!((code, out), (0, sum(2, 0, 0)), "{err}");
    assert!(err.contains("is read as auth0, since it has passwordHash"), "{err}");
    subject(&town, "ann").await;
    subject(&town, "ben").await;
    assert_eq!(shown(&town, "ann")["name"], "ann", "what stands before the @");

    let outcome = import(&town, "auth0-import.json", &["--report", "refused.jsonl"]);
    let refused = ["record 5: password_hash is of another algorithm", "record 7: it has no password"];
    assert_refused(&outcome, 5, "since it has custom_password_hash; --from says otherwise", &refused);
    let report = std::fs::read_to_string(town.folder.path().join("refused.jsonl")).unwrap();
    assert!(report.starts_with("{\"record\":5,\"why\":\"password_hash is of"), "{report}");
    for name in ["bcrypt", "argon", "pbkdf", "scrypt"] {
        subject(&town, name).await;
    }
    // As it says that passwords were hashed, of which ours are UTF-8.
    let bcrypt: Vec<Value> =
        serde_json::from_str(&std::fs::read_to_string(fixture("auth0-import.json")).unwrap()).unwrap();
    let typed = |encoding: &str| {
        let mut user = bcrypt[0].clone();
        user["email"] = json!(format!("{encoding}@example.org"));
        user["custom_password_hash"]["password"] = json!({"encoding": encoding});
        user
    };
    let users =
        json!(["utf8", "ascii", "utf16le", "ucs2", "latin1", "binary", "base64"].map(typed)).to_string();
    let (code, out, err) = run(town.folder.path(), &["import", "-"], &users);
    assert_eq!((code, out), (3, sum(2, 0, 5)), "{err}");
    let why = "password_hash is of a password in another encoding than UTF-8 and ASCII";
    assert!(
        err.lines()
            .skip(1)
            .zip(3..)
            .all(|(line, number)| line.starts_with(&format!("record {number}: {why}"))),
        "{err}"
    );
    subject(&town, "ascii").await;
    assert!(log_in(&town, "blocked", PASSWORD).await.is_none());
    town.told(&["user", "enable", "blocked@example.org"]);
    subject(&town, "blocked").await;
    assert_eq!(shown(&town, "blocked")["name"], "blocked.user");
}

#[tokio::test]
async fn users_of_firebase() {
    let town = Town::start();
    let needed = "its password needs the project's hash parameters: give them with --firebase-hash";
    let needed = [1, 2].map(|number| format!("record {number}: {needed}"));
    let refused = [needed[0].as_str(), &needed[1], "record 3: it has no password"];
    let guessed = "is read as firebase, since it has users with localId; --from says otherwise";
    assert_refused(&import(&town, "firebase-users.json", &[]), 0, guessed, &refused);

    let parameters = fixture("firebase-hash.txt");
    let arguments = ["--firebase-hash", parameters.as_str()];
    assert_refused(&import(&town, "firebase-users.json", &arguments), 2, guessed, &refused[2..]);
    assert!(log_in(&town, "user1", "user1passwor").await.is_none());
    assert!(log_in(&town, "user1", "user1password").await.is_some());
    let user1 = shown(&town, "user1");
    assert_eq!((&user1["name"], &user1["created_at"]), (&json!("User One"), &json!("2023-11-14T22:13:20Z")));
    assert!(log_in(&town, "user2", "user1password").await.is_none(), "it is disabled");
    town.told(&["user", "enable", "user2@example.org"]);
    assert!(log_in(&town, "user2", "user1password").await.is_some());

    let folder = town.folder.path();
    let text = std::fs::read_to_string(fixture("firebase-hash.txt")).unwrap();
    for (wrong, why) in [
        (text.replace("SCRYPT", "BCRYPT"), "algorithm must be SCRYPT"),
        (text.replace("rounds: 8", "rounds: x"), "rounds is not a number"),
        (text.replace("mem_cost: 14", "mem_cost: 40"), "it asks for more than N * r * p"),
        (text.replace("jxspr8", "!"), "base64_signer_key is not base64"),
        (String::new(), "algorithm is missing"),
    ] {
        std::fs::write(folder.join("wrong.txt"), wrong).unwrap();
        let (code, _, err) = import(&town, "firebase-users.json", &["--firebase-hash", "wrong.txt"]);
        assert!(code == 1 && err.starts_with(&format!("error: --firebase-hash wrong.txt: {why}")), "{err}");
    }
}

#[tokio::test]
async fn users_of_supabase_as_json_and_as_csv() {
    for (name, guessed, unit) in [
        ("supabase-users.json", "since it has encrypted_password; --from says otherwise", "record"),
        ("supabase-users.csv", "since it has a column encrypted_password; --from says otherwise", "line"),
    ] {
        let town = Town::start();
        let at = |number: usize| if unit == "line" { number + 1 } else { number };
        let refused =
            [format!("{unit} {}: it has no password", at(3)), format!("{unit} {}: it was deleted", at(4))];
        assert_refused(&import(&town, name, &[]), 3, guessed, &[&refused[0], &refused[1]]);
        assert_eq!(subject(&town, "ann").await, "3c1f8f9e-7d0a-4b61-9a5e-000000000001");
        assert_eq!(shown(&town, "ann")["name"], "Ann, \"the\" first");
        assert_eq!(shown(&town, "bare")["name"], "bare");
        assert_eq!(shown(&town, "ann")["created_at"], "2023-11-14T22:13:20Z");
        assert!(log_in(&town, "banned", PASSWORD).await.is_none());
        assert!(!shown(&town, "banned")["disabled_at"].is_null());
    }
}

/// Salted SHA-256 by Werkzeug 2.2, of "correct horse".
const HASH: &str = include_str!("../../crates/crypto/test-hashes/vectors.txt");

fn sha256() -> &'static str {
    HASH.lines().find(|line| line.contains("2.2 sha256")).unwrap().split('\t').nth(2).unwrap()
}

#[tokio::test]
async fn a_table_in_use_by_a_flask_server() {
    let town = Town::start();
    let path = town.folder.path().join("app.db");
    let flask = rusqlite::Connection::open(&path).unwrap();
    flask
        .execute_batch(
            "PRAGMA journal_mode = WAL;
            CREATE TABLE user (id INTEGER PRIMARY KEY, public_id VARCHAR(50), name VARCHAR(50), email VARCHAR(70),
                password VARCHAR(80), is_active BOOLEAN, created_at DATETIME);
            CREATE TABLE post (id INTEGER PRIMARY KEY, email TEXT)",
        )
        .unwrap();
    let insert = "INSERT INTO user (public_id, name, email, password, is_active, created_at)
        VALUES (?1, ?2, ?3, ?4, ?5, '2023-11-14 22:13:20.000001')";
    let other = ID.replace('-', "");
    let upper = ID.to_uppercase();
    for (id, name, active) in [
        (Some(ID), "alice", Some(1)),
        (None, "bob", None),
        (Some(&*other), "carol", Some(1)),
        (Some(&*upper), "dave", Some(1)),
        (Some("6f0c8b1e-9d8a-4c57-8f6e-0a1b2c3d4e50"), "erin", Some(0)),
        (Some(ID), "frank", Some(1)),
    ] {
        flask.execute(insert, (id, name, format!("{name}@example.org"), sha256(), active)).unwrap();
    }
    flask.execute("UPDATE user SET password = CAST(password AS BLOB) WHERE name = 'bob'", []).unwrap();
    flask.execute("DELETE FROM user WHERE id = 0", []).unwrap();
    flask.execute_batch("CREATE TABLE keyed (email TEXT PRIMARY KEY, password TEXT) WITHOUT ROWID").unwrap();
    let (code, _, err) = run(town.folder.path(), &["import", "app.db", "--table", "keyed"], "");
    assert!(code == 1 && err.contains("error: app.db: table keyed is WITHOUT ROWID"), "{err}");
    flask.execute_batch("DROP TABLE keyed").unwrap();
    // Its own transaction is under way.
    flask.execute_batch("BEGIN IMMEDIATE").unwrap();
    let outcome = run(town.folder.path(), &["import", "app.db"], "");
    flask.execute_batch("COMMIT").unwrap();
    let (code, out, err) = outcome;
    assert_eq!((code, out), (3, sum(3, 0, 3)), "{err}");
    let told: Vec<&str> = err.lines().collect();
    assert_eq!(told[0], "app.db is read as flask, since it is a SQLite file; --from says otherwise");
    let found = "app.db: table user, email=email, name=name, password_hash=password, public_id=public_id, created_at=created_at, active=is_active";
    assert_eq!(told[1], found);
    assert!(told[2].starts_with("row 3: public_id must be a UUID, in lower case and with hyphens"), "{err}");
    assert!(told[3].starts_with("row 4: public_id must be a UUID"), "{err}");
    assert_eq!(told[4], "row 6: an account with this public_id exists, with another e-mail address");
    let login = log_in(&town, "alice", "correct horse").await.unwrap();
    assert_eq!(decode(login["token"].as_str().unwrap()).1["sub"], ID);
    assert!(log_in(&town, "bob", "correct horse").await.is_some());
    assert!(log_in(&town, "erin", "correct horse").await.is_none(), "nobody may log in there either");
    assert_eq!(shown(&town, "alice")["created_at"], "2023-11-14T22:13:20Z");
    assert_eq!(run(town.folder.path(), &["import", "app.db"], "").1, sum(0, 3, 3), "known again");

    // What a server writes that is nine hours east of Greenwich, what is still to come anywhere, and what is no hash.
    flask
        .execute_batch(
            "CREATE TABLE east (email TEXT, password TEXT, created_at DATETIME);
            INSERT INTO east SELECT 'east@example.org', password, datetime('now', '+9 hours') FROM user WHERE id = 1;
            INSERT INTO east SELECT 'west@example.org', password, datetime('now', '+15 hours') FROM user WHERE id = 1;
            INSERT INTO east SELECT 'long@example.org', zeroblob(50000000), NULL",
        )
        .unwrap();
    let east = || run(town.folder.path(), &["import", "app.db", "--table", "east"], "");
    let (code, out, err) = east();
    assert_eq!((code, out), (3, sum(1, 0, 2)), "{err}");
    let told: Vec<&str> = err.lines().skip(2).collect();
    assert_eq!(told, ["row 2: created_at is still to come", "row 3: password_hash has more than 8192 bytes"]);
    assert_eq!(east().1, sum(0, 1, 2), "known again");
    flask.execute_batch("DROP TABLE east").unwrap();

    flask
        .execute_batch("ALTER TABLE user RENAME TO member; ALTER TABLE member RENAME email TO contact")
        .unwrap();
    let try_again =
        |arguments: &[&str]| run(town.folder.path(), &[&["import", "app.db"], arguments].concat(), "");
    for (arguments, code, why) in [
        (&[][..], 1, "no table has columns for an e-mail address and a password"),
        (&["--table", "users"][..], 1, "there is no table users, but member, post"),
        (
            &["--table", "member"][..],
            1,
            "has no column that is known as the email: name it with --column email=…",
        ),
        (&["--table", "member", "--column", "email=mail"][..], 1, "table member has no column mail"),
        (&["--column", "contact"][..], 2, "it takes NAME=COLUMN"),
        (&["--column", "mail=contact"][..], 2, "it takes NAME=COLUMN"),
        (&["--from", "django"][..], 2, "invalid value 'django'"),
    ] {
        let outcome = try_again(arguments);
        assert!(outcome.0 == code && outcome.2.contains(why), "{arguments:?}: {outcome:?}");
    }
    assert_eq!(try_again(&["--column", "email=contact"]).1, sum(0, 3, 3));
    // Without their ids, those that were refused get new ones.
    let all = try_again(&["--column", "email=contact", "--column", "public_id="]);
    assert_eq!(all.1, sum(3, 1, 2), "{all:?}");
    let input = std::fs::read(&path).unwrap();
    let input = String::from_utf8_lossy(&input[..16]).into_owned();
    let (code, _, err) = run(town.folder.path(), &["import", "-"], &input);
    assert!(code == 1 && err.ends_with("a SQLite file cannot come from standard input: name it\n"), "{err}");
}

#[tokio::test]
async fn columns_of_a_csv_file() {
    let town = Town::start();
    let hash = sha256();
    let text = format!(
        "\u{feff}name,\"email\",password_hash,public_id,created_at,disabled,more\r\n\
        \"Alice, the\nfirst\",alice@example.org,{hash},{ID},2023-11-14T22:13:20Z,,x\r\n\
        Bob,bob@example.org,{hash},,,true,\r\n\
        ,carol@example.org,{hash},,,no,\r\n\
        Dave,dave@example.org\r\n\
        Erin,erin@example.org,,,,,\r\n\
        \r\n\r\n\
        Frank,frank@example.org,{hash},,,perhaps,\r\n\
        \"Grace,grace@example.org,{hash},,,,\r\nHeidi,heidi@example.org,{hash},,,,\r\n"
    );
    let (code, out, err) = run(town.folder.path(), &["import", "-"], &text);
    assert_eq!((code, out), (3, sum(2, 0, 5)), "{err}");
    let told: Vec<&str> = err.lines().collect();
    assert_eq!(told[0], "- is read as csv, since its first line names columns; --from says otherwise");
    assert_eq!(told[1], "line 2: name must not hold control characters");
    assert_eq!(told[2], "line 6: it has 2 columns, and the first line names 7");
    assert!(told[3].starts_with("line 7: it has no password"), "{err}");
    assert_eq!(told[4], "line 10: disabled must be true or false");
    assert_eq!(
        told[5],
        "line 11: it has 1 columns, the first line names 7, and it goes on to line 12: is a quote left open?"
    );
    assert!(log_in(&town, "carol", "correct horse").await.is_some());
    assert!(log_in(&town, "bob", "correct horse").await.is_none(), "it is disabled");

    let other = format!("mail,secret,user\nzoe@example.org,{hash},Zoe\n");
    let columns =
        ["--from", "csv", "--column", "email=mail", "--column", "password=secret", "--column", "name=user"];
    let import = |arguments: &[&str], text: &str| {
        run(town.folder.path(), &[&["import", "-"], arguments].concat(), text)
    };
    assert_eq!(import(&columns, &other), (0, sum(1, 0, 0), String::new()));
    assert_eq!(shown(&town, "zoe")["name"], "Zoe");
    for (arguments, text, why) in [
        (&["--from", "csv"][..], other.clone(), "its first line names no column email"),
        (&columns[..6], "mail,mail\n".to_owned(), "its first line names column mail twice"),
        (&columns[..6], format!("mail,secret\n\"{}", "x".repeat(2 << 20)), "as where a quote is left open"),
    ] {
        let (code, _, err) = import(arguments, &text);
        assert!(code == 1 && err.contains(why), "{err}");
    }
}
