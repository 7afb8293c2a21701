//! Accounts with the hashes of other systems: they log in with what they had, and are hashed anew then.

use crate::harness::{database, send};
use crate::import::{log_in, phc, sum};
use crate::operators::{Town, run};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Made by real libraries; `make.py` beside it says how.
const VECTORS: &str = include_str!("../../crates/crypto/test-hashes/vectors.txt");

const OWN: &str = "$argon2id$v=19$m=19456,t=2,p=1$";

/// One hash of each maker: the account's name, the password, and the hash.
fn people() -> Vec<(String, String, &'static str)> {
    let mut of_maker = BTreeMap::new();
    for line in VECTORS.lines() {
        let parts: Vec<&str> = line.split('\t').collect();
        of_maker.entry(parts[0]).or_insert((parts[1], parts[2]));
    }
    let name = |number: usize| format!("p{number}");
    let people = of_maker.into_values().enumerate();
    people
        .map(|(number, (password, hash))| (name(number), serde_json::from_str(password).unwrap(), hash))
        .collect()
}

fn lines(people: &[(String, String, &str)], members: &Value) -> String {
    let line = |(name, _, hash): &(String, String, &str)| {
        let mut line = json!({"email": format!("{name}@example.org"), "name": name, "password_hash": hash});
        for (name, value) in members.as_object().unwrap() {
            line[name] = value.clone();
        }
        format!("{line}\n")
    };
    people.iter().map(line).collect()
}

#[tokio::test]
async fn checklist_8_every_format_logs_in_and_is_hashed_anew() {
    let town = Town::start();
    let people = people();
    assert!(people.len() > 25);
    let outcome = run(town.folder.path(), &["import", "-"], &lines(&people, &json!({})));
    assert_eq!(outcome, (0, sum(people.len(), 0, 0), String::new()));
    let database = database(town.folder.path());
    for (name, password, hash) in &people {
        let email = format!("{name}@example.org");
        let stored = phc(&database, &email);
        assert!(log_in(&town, name, &format!("{password}!")).await.is_none(), "{hash}");
        assert_eq!(phc(&database, &email), stored, "a wrong password renews nothing");
        let basic = town.request(Method::GET, "/login").basic_auth(&email, Some(password));
        assert_eq!(send(basic).await.status, 200, "{hash}");
        let renewed = phc(&database, &email);
        assert!(renewed.starts_with(OWN) && !stored.starts_with(OWN), "{stored} {renewed}");
        assert!(log_in(&town, name, password).await.is_some(), "by the new hash");
        assert!(log_in(&town, name, &format!("{password}!")).await.is_none());
        assert_eq!(phc(&database, &email), renewed, "once is enough");
    }
}

#[tokio::test]
async fn a_changed_password_and_a_disabled_account() {
    let town = Town::start();
    let mut people = people();
    people.truncate(3);
    run(town.folder.path(), &["import", "-"], &lines(&people[..2], &json!({})));
    run(town.folder.path(), &["import", "-"], &lines(&people[2..], &json!({"disabled": true})));
    let database = database(town.folder.path());
    let (name, password, _) = &people[0];
    let login = log_in(&town, name, password).await.unwrap();
    let body = json!({"current_password": password, "new_password": "another one by far"});
    let change = town.request(Method::PUT, "/user/password").bearer_auth(login["token"].as_str().unwrap());
    assert_eq!(send(change.json(&body)).await.status, 204);
    assert!(log_in(&town, name, password).await.is_none());
    assert!(log_in(&town, name, "another one by far").await.is_some());

    // An operator's change needs no old one.
    let (code, _, err) =
        run(town.folder.path(), &["user", "set-password", "p1@example.org"], "walks by the sea\n");
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(log_in(&town, "p1", &people[1].1).await.is_none());
    assert!(log_in(&town, "p1", "walks by the sea").await.is_some());

    let (name, password, _) = &people[2];
    let stored = phc(&database, "p2@example.org");
    assert!(log_in(&town, name, password).await.is_none(), "it was brought in disabled");
    assert_eq!(phc(&database, "p2@example.org"), stored);
    town.told(&["user", "enable", "p2@example.org"]);
    assert!(log_in(&town, name, password).await.is_some());
    assert!(phc(&database, "p2@example.org").starts_with(OWN));
}

#[tokio::test]
async fn a_locked_account_opens_to_nothing_until_it_has_a_password() {
    let town = Town::start();
    let person = ("alice".to_owned(), String::new(), "!");
    run(town.folder.path(), &["import", "-"], &lines(&[person], &json!({})));
    for password in ["!", "", "x"] {
        assert!(log_in(&town, "alice", password).await.is_none());
    }
    run(town.folder.path(), &["user", "set-password", "alice@example.org"], "walks by the sea\n");
    assert!(log_in(&town, "alice", "walks by the sea").await.is_some());
}

#[tokio::test]
async fn a_password_of_another_unicode_form_is_right_as_it_was_typed() {
    let town = Town::start();
    // Salted SHA-256 of "cafe" with a combining accent, as a keyboard may compose it: Unicode's form D.
    let typed = "cafe\u{301} au lait";
    let hash = "sha256$salt$41d0ee043eeb136df0b10dd3dd9b73d76ef38e4b19c48d9ab6a9edcbb44f850c";
    let people = [("alice".to_owned(), typed.to_owned(), hash)];
    run(town.folder.path(), &["import", "-"], &lines(&people, &json!({})));
    assert!(
        log_in(&town, "alice", "caf\u{e9} au lait").await.is_none(),
        "nobody knows how it was typed there"
    );
    assert!(log_in(&town, "alice", typed).await.is_some());
    assert!(log_in(&town, "alice", "caf\u{e9} au lait").await.is_some(), "from now on in either form");
}
