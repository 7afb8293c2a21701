//! Operators' commands that are refused or must not be, and what none of them says.

use crate::harness::{count, database, sqlite_only};
use crate::operators::{Town, run};
use claviger::api_keys::KeyScope;

#[tokio::test]
async fn who_or_what_is_not_there_is_said() {
    let town = Town::start();
    town.person("alice").await;
    let nobody = "019ab3c4-0000-7000-8000-000000000000";
    // The server makes keys by itself.
    let done = || {
        let sql = "SELECT count(*) FROM audit_events WHERE event NOT LIKE 'key-%'";
        database(town.folder.path()).query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap()
    };
    let before = done();
    for who in ["nobody@example.org", nobody, "alice", "", "' OR 1=1 --", "\u{1b}[2J"] {
        for command in [
            &["user", "show"][..],
            &["user", "disable"],
            &["user", "enable"],
            &["user", "delete", "--yes"],
            &["user", "set-password"],
            &["session", "list"],
            &["session", "revoke", "--user"],
        ] {
            let said = town.run(&[command, &[who]].concat());
            assert_eq!(
                said,
                (1, String::new(), "error: there is no such account\n".into()),
                "{command:?} {who}"
            );
        }
    }
    for (command, hint) in [
        (["session", "revoke", nobody], "session"),
        (["session", "revoke", "x"], "claviger session list"),
        (["api-key", "revoke", nobody], "error: there is no such API key"),
        (["api-key", "revoke", "x"], "claviger api-key list"),
    ] {
        let (code, out, err) = town.run(&command);
        assert!(code == 1 && out.is_empty() && err.contains(hint), "{command:?}: {err}");
    }
    assert_eq!(done(), before, "nothing was done");
}

/// Commands of every kind.
const EACH: [&[&str]; 7] = [
    &["user", "list"],
    &["user", "disable", "alice@example.org"],
    &["session", "list", "alice@example.org"],
    &["session", "revoke", "--user", "alice@example.org"],
    &["api-key", "list"],
    &["api-key", "create", "--name", "x", "--scope", "revoke"],
    &["import", "-"],
];

#[tokio::test]
async fn a_folder_without_a_database_or_with_a_newer_one_is_left_alone() {
    if sqlite_only() {
        return;
    }
    let nowhere = tempfile::tempdir().unwrap();
    for command in EACH {
        let (code, out, err) = run(nowhere.path(), command, "");
        assert!(code == 1 && out.is_empty() && err.contains("--data-dir"), "{command:?}: {err}");
        assert!(err.contains(nowhere.path().to_str().unwrap()), "{command:?}: {err}");
    }
    assert_eq!(std::fs::read_dir(nowhere.path()).unwrap().count(), 0, "nothing was made there");

    let mut town = Town::start();
    town.person("alice").await;
    town.program.stop();
    assert_eq!(town.listed(EACH[0]).len(), 1, "no server is needed");
    let newer = "INSERT INTO schema_history (version, name, digest, applied_at) VALUES (99, 'x', x'00', 0)";
    let newer = newer.replace("x'00'", &format!("x'{}'", "00".repeat(32)));
    database(town.folder.path()).execute(&newer, []).unwrap();
    for command in EACH {
        let (code, out, err) = run(town.folder.path(), command, "");
        assert!(code == 1 && out.is_empty() && err.contains("newer version"), "{command:?}: {err}");
    }
    assert_eq!(count(&database(town.folder.path()), "api_keys"), 0);
}

#[tokio::test]
async fn checklist_90_no_command_says_a_secret() {
    let mut town = Town::start();
    let alice = town.person("alice").await;
    let (key, _) = town.api_key(&KeyScope::ALL.map(KeyScope::name).join(","));
    let mut said = String::new();
    let mut hear = |arguments: &[&str], input: &str| {
        let (_, out, err) = run(town.folder.path(), arguments, input);
        said.push_str(&out);
        said.push_str(&err);
    };
    for arguments in [
        &["user", "list", "--json"][..],
        &["user", "show", &alice.email, "--json"],
        &["session", "list", &alice.email, "--json"],
        &["api-key", "list", "--json"],
        &["user", "set-password", "nobody@example.org"],
        &["user", "set-password", &alice.email, "--keep-sessions"],
        &["audit", "list", "--json"],
        &["config", "show"],
    ] {
        hear(arguments, "a stitch in time\n");
    }
    hear(&["user", "set-password", &alice.email], "stitch\n");
    assert!(said.contains(&alice.email) && said.contains("billing"), "{said}");
    said.push_str(&town.program.stop().join("\n"));
    let master = std::fs::read_to_string(town.folder.path().join("master.key")).unwrap();
    let words = [&key, &alice.password, &alice.token, &alice.refresh_token];
    for secret in words.into_iter().map(String::as_str).chain([master.trim(), "stitch", "cvk_", "argon2id$"])
    {
        assert!(!said.contains(secret), "{secret}");
    }
}
