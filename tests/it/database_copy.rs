//! `claviger database copy`: an installation that was lived in goes on elsewhere, and nothing is forgotten.

use crate::harness::{
    Database, Program, bare_database, count, database, keep_inside, on_postgres, open_db, stored,
};
use crate::operators::{Outcome, Person, Town};
use claviger::base::time::Timestamp;
use claviger::db::copy;
use rusqlite::types::Value;
use serde_json::json;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;
use tempfile::TempDir;

/// One end of a copy. A server on it has the folder for its data.
pub struct End {
    pub folder: TempDir,
    /// As the command takes it.
    pub place: String,
}

impl End {
    /// SQLite in a folder, whatever engine the tests are for.
    pub fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        keep_inside(folder.path());
        Self { place: format!("sqlite:{}", folder.path().display()), folder }
    }

    /// On the engine that the tests are for, with nothing in it.
    pub fn own() -> Self {
        if !on_postgres() {
            return Self::sqlite();
        }
        let folder = tempfile::tempdir().unwrap();
        Self { place: bare_database(folder.path()), folder }
    }
}

/// Runs `claviger database copy`.
pub fn copy(from: &str, to: &str) -> Outcome {
    let output = Program::command(&["database", "copy", "--from", from, "--to", to]).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// The same where it must succeed; what it said of each table.
#[track_caller]
pub fn copied(from: &str, to: &str) -> String {
    let (code, out, err) = copy(from, to);
    assert!(code == 0 && err.contains("master.key"), "{err}");
    assert_eq!(out.matches(" equal\n").count(), copy::tables().unwrap().len(), "{out}");
    out
}

/// All rows of the tables in a folder's SQLite file.
pub fn rows(folder: &Path) -> BTreeMap<String, Vec<String>> {
    let file = rusqlite::Connection::open(folder.join("claviger.db")).unwrap();
    let of = |table: &str| -> Vec<String> {
        let mut statement = file.prepare(&format!("SELECT * FROM {table}")).unwrap();
        let columns = statement.column_count();
        let row = |row: &rusqlite::Row<'_>| {
            (0..columns).map(|column| row.get::<_, Value>(column)).collect::<Result<Vec<_>, _>>()
        };
        let rows = statement.query_map([], row).unwrap();
        rows.map(|row| format!("{:?}", row.unwrap())).collect()
    };
    copy::tables().unwrap().into_iter().map(|(table, _)| (table.clone(), of(&table))).collect()
}

pub const ISSUER: &[&str] = &["--issuer", "http://127.0.0.1:5000"];

/// What the first server has done and its copies must know.
pub struct Lived {
    pub alice: Person,
    pub bob: Person,
    logged_out: Person,
    disabled: Person,
    deleted: Person,
    key: String,
    revoked: String,
    listed: String,
}

pub async fn live(town: &Town) -> Lived {
    let mut alice = town.person("alice").await;
    let (bob, logged_out) = (town.person("bob").await, town.person("carol").await);
    let (disabled, deleted) = (town.person("dave").await, town.person("eve").await);
    let answer = town.refresh(&alice.refresh_token).await.json();
    alice.refresh_token = answer["refresh_token"].as_str().unwrap().to_owned();
    let by = |person: &Person, method: &str, path: &str| {
        town.request(method.parse().unwrap(), path).bearer_auth(&person.token)
    };
    assert_eq!(by(&logged_out, "POST", "/logout").send().await.unwrap().status(), 204);
    let delete = by(&deleted, "DELETE", "/user").json(&json!({"password": deleted.password}));
    assert_eq!(delete.send().await.unwrap().status(), 204);
    for _ in 0..3 {
        assert_eq!(town.login(&bob, "a wrong one").await.status, 401);
    }
    town.told(&["user", "disable", &disabled.email]);
    let api_key = |name| {
        let said = town.told(&["api-key", "create", "--name", name, "--scope", "introspect"]);
        let line = |start| said.lines().find_map(|line| line.strip_prefix(start)).unwrap().to_owned();
        (line("id   "), line("key  "))
    };
    let ((_, key), (id, revoked)) = (api_key("billing"), api_key("mail"));
    town.told(&["api-key", "revoke", &id]);
    town.told(&["key", "rotate"]);
    let listed = town.told(&["user", "list", "--json"]);
    Lived { alice, bob, logged_out, disabled, deleted, key, revoked, listed }
}

/// That a server on a copy knows all of it.
pub async fn goes_on(town: &Town, lived: &Lived) {
    assert_eq!(town.told(&["user", "list", "--json"]), lived.listed);
    assert!(town.told(&["audit", "verify"]).contains("chain whole"));
    assert_eq!(town.profile(&lived.alice.token).await.status, 200);
    assert_eq!(town.login(&lived.bob, &lived.bob.password).await.status, 200);
    assert_eq!(town.introspect(&lived.key, &lived.bob.token).await["active"], true);
    assert_eq!(town.introspect(&lived.revoked, &lived.bob.token).await["error"], "invalid_client");
    for gone in [&lived.logged_out, &lived.disabled, &lived.deleted] {
        town.profile(&gone.token).await.problem(401, "invalid-token");
        town.refresh(&gone.refresh_token).await.oauth_error(400, "invalid_grant");
    }
    for shut in [&lived.disabled, &lived.deleted] {
        town.login(shut, &shut.password).await.problem(401, "wrong-credentials");
    }
    assert_eq!(town.refresh(&lived.alice.refresh_token).await.status, 200);
}

#[tokio::test]
async fn an_installation_lives_on_where_it_was_copied_to() {
    let (first, second, third) = (End::sqlite(), End::own(), End::sqlite());
    let from = first.place.clone();
    // With limits, or no guess would be counted.
    let mut town = Town::at(first.folder, ISSUER);
    let lived = live(&town).await;
    town.program.stop();

    let there = copied(&from, &second.place);
    let back = copied(&second.place, &third.place);
    assert_eq!(there, back, "the same counts and digests");
    let (before, after) = (rows(town.folder.path()), rows(third.folder.path()));
    assert_eq!(before, after);
    for table in
        ["accounts", "sessions", "guesses", "known_networks", "api_keys", "audit_events", "audit_chain"]
    {
        assert!(!before[table].is_empty(), "{table}");
    }
    assert!(before["signing_keys"].len() > 1 && before["counters"].len() == 2);
    if on_postgres() {
        copied(&second.place, &End::own().place);
    }

    for end in [second, third] {
        std::fs::copy(town.folder.path().join("master.key"), end.folder.path().join("master.key")).unwrap();
        let copy = Town::at(end.folder, ISSUER);
        goes_on(&copy, &lived).await;
    }
}

/// A table or column that only one side has would be forgotten.
#[test]
fn every_table_and_column_is_copied() {
    let folder = tempfile::tempdir().unwrap();
    drop(open_db(folder.path(), Timestamp::from_seconds(0)));
    let database = database(folder.path());
    let sql = match database {
        Database::Sqlite(_) => {
            "SELECT t.name, c.name FROM sqlite_schema AS t, pragma_table_info(t.name) AS c
            WHERE t.type = 'table' ORDER BY t.name, c.cid"
        }
        Database::Postgres(_) => {
            "SELECT table_name::text, column_name::text FROM information_schema.columns
            WHERE table_schema = 'public' ORDER BY table_name, ordinal_position"
        }
    };
    let mut held: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (table, column) in database.query(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap() {
        held.entry(table).or_default().push(column);
    }
    // Each database keeps its own of these.
    assert!(held.remove("schema_history").is_some() && held.remove("database_copy").is_some());
    assert!(held.len() > 5);
    assert_eq!(copy::tables().unwrap().into_iter().collect::<BTreeMap<_, _>>(), held);
}

#[tokio::test]
async fn a_database_in_use_or_not_empty_is_refused() {
    let (source, target, other) = (End::sqlite(), End::own(), End::own());
    let from = source.place;
    let mut town = Town::at(source.folder, &[]);
    town.person("alice").await;
    let (code, out, err) = copy(&from, &target.place);
    let process = format!("(process {})", town.program.child.id());
    assert!(code == 1 && out.is_empty() && err.contains(&process) && err.contains("Stop it first"), "{err}");
    assert!(!target.folder.path().join("claviger.db").exists(), "nothing was made");
    town.program.stop();

    let to = other.place;
    let mut second = Town::at(other.folder, &[]);
    second.person("bob").await;
    second.program.stop();
    let before = stored(second.folder.path());
    let (code, out, err) = copy(&from, &to);
    assert!(code == 1 && out.is_empty(), "{err}");
    assert!(err.contains("it is not empty: there are rows in accounts. Name an empty database"), "{err}");
    assert!(before == stored(second.folder.path()), "it is as it was");

    // Tables of something else, under a name of ours.
    let stranger = End::own();
    let held = database(stranger.folder.path());
    held.execute_batch("CREATE TABLE accounts (number INTEGER)").unwrap();
    let (code, _, err) = copy(&from, &stranger.place);
    assert!(code == 1 && err.contains("holds something else") && err.contains("empty database"), "{err}");
    assert!(held.query("SELECT 1 FROM schema_history", [], |_| Ok(())).is_err(), "nothing was made");
}

#[test]
fn wrong_ends_are_refused_and_no_password_is_repeated() {
    let (source, nowhere) = (End::sqlite(), tempfile::tempdir().unwrap().path().join("nowhere"));
    drop(claviger::db::Db::open(source.folder.path(), Timestamp::from_seconds(0)).unwrap());
    let missing = format!("sqlite:{}", nowhere.display());
    for (from, to, code, why) in [
        (source.place.as_str(), "postgres:/u:hunter2@h/d", 2, "error: --to: it begins with neither"),
        (&source.place, "mysql://u:hunter2@h/d", 2, "error: --to: it does not begin with postgres://"),
        ("u:hunter2@h", &missing, 2, "error: --from: "),
        (&source.place, "postgres://u:hunter2@127.0.0.1:1/d", 1, "postgres://u:***@127.0.0.1:1/d"),
        ("postgres://u:hunter2@127.0.0.1:1/d", &missing, 1, "postgres://u:***@127.0.0.1:1/d"),
        (&source.place, &source.place, 1, "the same database"),
        (&missing, &source.place, 1, "there is no "),
    ] {
        let (got, out, err) = copy(from, to);
        assert!(got == code && out.is_empty() && err.contains(why), "{from} {to}: {got} {err}");
        assert!(!err.contains("hunter2"), "{err}");
    }
    assert!(!nowhere.exists(), "nothing was made");
    let twin = End::sqlite();
    std::fs::copy(source.folder.path().join("claviger.db"), twin.folder.path().join("claviger.db")).unwrap();
    let (code, _, err) = copy(&source.place, &twin.place);
    assert!(code == 1 && err.contains("made from it"), "{err}");
    assert_eq!(count(&database(twin.folder.path()), "counters"), 2, "it is as it was");
}

#[test]
fn an_end_is_read_from_standard_input() {
    let (source, target) = (End::sqlite(), End::own());
    drop(claviger::db::Db::open(source.folder.path(), Timestamp::from_seconds(0)).unwrap());
    let mut command = Program::command(&["database", "copy", "--from", &source.place, "--to", "-"]);
    let mut child =
        command.stdin(Stdio::piped()).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(format!("{}\n", target.place).as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        output.status.success() && said.contains(&format!("All is copied to {}", target.place)),
        "{said}"
    );
    assert!(said.contains(&format!("go on with backups of {}", source.place)), "{said}");
    let setting = if on_postgres() { "CLAVIGER_DATABASE_URL=postgres://" } else { "CLAVIGER_DATA_DIR=/" };
    assert!(said.contains(setting) && said.contains("/claviger.db*"), "{said}");
    assert_eq!(count(&database(target.folder.path()), "counters"), 2);
}

#[tokio::test]
async fn a_database_server_that_servers_are_connected_to_is_refused() {
    if !on_postgres() {
        return;
    }
    let (from, to) = (End::own(), End::sqlite());
    let server = Program::serve_by(Program::command(&[]), from.folder.path(), &["--dev"]);
    let (code, _, err) = copy(&from.place, &to.place);
    assert!(code == 1 && err.contains("Stop them all first"), "{err}");
    drop(server);
    copied(&from.place, &to.place);
}
