//! What operators' commands take: pages, the settings that they depend on, and the limits of their arguments.

use crate::harness::database;
use crate::operators::{Town, run};
use serde_json::{Value, json};
use uuid::Uuid;

fn ids(lines: &[Value]) -> Vec<String> {
    lines.iter().map(|line| line["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn accounts_are_listed_page_by_page() {
    let town = Town::start();
    let mut all = vec![town.person("alice").await.id];
    let database = database(town.folder.path());
    let insert = "INSERT INTO accounts (id, email, email_key, name, created_at) VALUES (?1, ?2, ?2, ?2, 0)";
    for number in 0..102_u128 {
        // After hers: the first 48 bits are the time.
        let id = Uuid::from_u128((0xfff << 116) + number);
        database.execute(insert, (id, format!("{number}@example.org"))).unwrap();
        all.push(id.to_string());
    }
    assert_eq!(ids(&town.listed(&["user", "list"])), all[..100]);
    let (mut pages, mut last) = (Vec::new(), None);
    loop {
        let mut arguments = vec!["user", "list", "--limit", "40"];
        arguments.extend(last.iter().flat_map(|id: &String| ["--after", id]));
        let page = ids(&town.listed(&arguments));
        let Some(end) = page.last() else { break };
        last = Some(end.clone());
        pages.push(page);
    }
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [40, 40, 23]);
    assert_eq!(pages.concat(), all);
    // The account that the page before ended with may be gone.
    let between = Uuid::from_u128((0xfff << 116) - 1).to_string();
    assert_eq!(ids(&town.listed(&["user", "list", "--after", &between, "--limit", "1"])), all[1..2]);
    let end = Uuid::max().to_string();
    assert_eq!(town.listed(&["user", "list", "--after", &end]), [json!(null); 0]);
    for after in ["", "x", "alice@example.org", "-1"] {
        let (code, out, err) = town.run(&["user", "list", &format!("--after={after}")]);
        assert!(code == 1 && out.is_empty() && err.contains("--after"), "{after}: {err}");
    }
    for limit in ["", "-1", "x", "4294967296"] {
        let (code, out, err) = town.run(&["user", "list", &format!("--limit={limit}")]);
        assert!(code == 2 && out.is_empty() && err.contains("--limit"), "{limit}: {err}");
    }
}

#[tokio::test]
async fn commands_take_the_master_key_from_where_the_server_takes_it() {
    let elsewhere = tempfile::tempdir().unwrap();
    let file = elsewhere.path().join("key");
    std::fs::write(&file, claviger_crypto::base64url(&[7; 32])).unwrap();
    let named = ["--master-key-file", file.to_str().unwrap()];
    let town = Town::start_with(&named);
    let alice = town.person("alice").await;
    for command in [
        &["user", "list"][..],
        &["user", "show", &alice.email],
        &["user", "disable", &alice.email],
        &["user", "enable", &alice.email],
        &["user", "set-password", &alice.email],
        &["session", "list", &alice.email],
        &["session", "revoke", "--user", &alice.email],
        &["api-key", "create", "--name", "x", "--scope", "revoke"],
        &["api-key", "list"],
        &["audit", "verify"],
        &["user", "delete", "--yes", &alice.email],
    ] {
        let (code, _, err) = run(town.folder.path(), command, "a stitch in time\n");
        assert!(code == 1 && err.contains("master key"), "{command:?} without it: {err}");
        let (code, _, err) = run(town.folder.path(), &[command, &named].concat(), "a stitch in time\n");
        assert_eq!((code, err.as_str()), (0, ""), "{command:?}");
    }
}

#[tokio::test]
async fn a_password_that_is_set_obeys_the_settings() {
    let town = Town::start();
    let alice = town.person("alice").await;
    let set = |settings: &[&str], input: &str| {
        let command = ["user", "set-password", alice.email.as_str()];
        run(town.folder.path(), &[&command, settings].concat(), input)
    };
    let phc = || {
        let sql = "SELECT phc FROM passwords";
        database(town.folder.path()).query_row(sql, [], |row| row.get::<_, String>(0)).unwrap()
    };
    let before = phc();
    let (code, out, err) = set(&["--password-min-length", "20"], "a stitch in time\n");
    assert!(code == 1 && out.is_empty() && err.starts_with("error: the password "), "{err}");
    assert_eq!(phc(), before);
    let costs = ["--hash-memory-kib", "12288", "--hash-passes", "3"];
    assert_eq!(set(&costs, "a stitch in time\n").0, 0);
    assert!(phc().starts_with("$argon2id$v=19$m=12288,t=3,p=1$"), "{}", phc());
    assert_eq!(town.login(&alice, "a stitch in time").await.status, 200);
    let file = "password_min_length = 20\nhash_memory_kib = 12288\nhash_passes = 4\n";
    std::fs::write(town.folder.path().join("claviger.toml"), file).unwrap();
    assert_eq!(set(&[], "a stitch in time\n").0, 1);
    assert_eq!(set(&[], "a stitch in time saves nine\n").0, 0);
    assert!(phc().starts_with("$argon2id$v=19$m=12288,t=4,p=1$"), "{}", phc());
}

#[tokio::test]
async fn an_api_key_has_a_name_each_scope_once_and_a_life_that_ends_if_at_all() {
    let town = Town::start();
    let make = |name: &str, scope: &str, more: &[&str]| {
        town.run(&[&["api-key", "create", "--name", name, "--scope", scope], more].concat())
    };
    for name in ["", " ", "\t", "\u{7}\n", "\u{9b} "] {
        let (code, out, err) = make(name, "revoke", &[]);
        assert!(code == 1 && out.is_empty() && err.contains("name"), "{name:?}: {err}");
    }
    for expires in ["36501d", "3153600001s", "18446744073709551615s", "0d", "-1d", ""] {
        let (code, out, err) = make("x", "revoke", &[&format!("--expires={expires}")]);
        assert!(code == 1 && out.is_empty() && err.contains("--expires"), "{expires}: {err}");
    }
    assert_eq!(town.listed(&["api-key", "list"]), [json!(null); 0], "nothing was made");
    assert_eq!(make("billing", "revoke,introspect, revoke,revoke", &["--expires", "36500d"]).0, 0);
    assert_eq!(make(&"é".repeat(200), "revoke", &["--expires=1s"]).0, 0);
    let listed = town.listed(&["api-key", "list"]);
    assert_eq!((&listed[0]["name"], &listed[0]["scope"]), (&json!("billing"), &json!("introspect,revoke")));
    assert!(listed[0]["expires_at"].as_str().is_some_and(|at| at.starts_with("21")), "{listed:?}");
    assert_eq!(listed[1]["name"].as_str().unwrap().chars().count(), 100);
}
