//! `claviger backup`: an installation lives on from its backup, on either engine, and what it means to go back.

use crate::database_copy::{End, ISSUER, goes_on, live};
use crate::harness::{Program, count, database, decode, free_port, on_postgres};
use crate::operators::{Outcome, Town, run};
use age::secrecy::ExposeSecret as _;
use age::x25519::Identity;
use claviger::backup::format::Writer;
use claviger::backup::header::{Header, Told};
use claviger::backup::sealed::Lock;
use claviger::base::time::Timestamp;
use claviger::db::copy::{Held, layout};
use claviger_crypto::seal::MasterKey;
use reqwest::Method;
use serde_json::json;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use uuid::Uuid;

/// Where backups go, with the identity that they are sealed for.
pub struct Vault {
    pub folder: TempDir,
    pub recipient: String,
    pub identity: String,
}

impl Vault {
    pub fn new() -> Self {
        let (folder, key) = (tempfile::tempdir().unwrap(), Identity::generate());
        let identity = folder.path().join("key.txt");
        std::fs::write(&identity, format!("# made for a test\n{}\n", key.to_string().expose_secret()))
            .unwrap();
        let identity = identity.to_str().unwrap().to_owned();
        Self { folder, recipient: key.to_public().to_string(), identity }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Backs up what is in a data folder, under a new name.
    pub fn create(&self, data_dir: &Path, name: &str, more: &[&str]) -> Outcome {
        let path = self.path(name);
        let create = ["backup", "create", path.to_str().unwrap(), "--recipient", &self.recipient];
        run(data_dir, &[&create, more].concat(), "")
    }

    /// The same where it must succeed; where it is.
    #[track_caller]
    pub fn created(&self, data_dir: &Path, name: &str) -> PathBuf {
        let (code, out, err) = self.create(data_dir, name, &[]);
        assert!(code == 0 && err.is_empty() && out.contains("with the master key"), "{out} {err}");
        self.path(name)
    }

    pub fn verify(&self, path: &Path) -> Outcome {
        let nowhere = tempfile::tempdir().unwrap();
        let verify = ["backup", "verify", path.to_str().unwrap(), "--identity", &self.identity];
        crate::harness::keep_inside(nowhere.path());
        run(nowhere.path(), &verify, "")
    }

    /// Restores it into the data folder, and the database that it stands for.
    pub fn restore(&self, path: &Path, data_dir: &Path, more: &[&str]) -> Outcome {
        let restore = ["backup", "restore", path.to_str().unwrap(), "--identity", &self.identity];
        run(data_dir, &[&restore, more].concat(), "")
    }

    #[track_caller]
    pub fn restored(&self, path: &Path, data_dir: &Path) {
        let (code, out, err) = self.restore(path, data_dir, &[]);
        assert!(code == 0 && err.contains("All is restored"), "{out} {err}");
        assert!(out.contains("opens all signing keys") && out.contains("chain whole"), "{out}");
    }
}

/// That nothing is there which a server would take for an installation.
#[track_caller]
pub fn assert_untouched(data_dir: &Path) {
    let names: Vec<_> =
        std::fs::read_dir(data_dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(names.is_empty(), "{names:?}");
}

#[tokio::test]
async fn an_installation_lives_on_from_its_backup() {
    let (vault, first) = (Vault::new(), End::own());
    let mut town = Town::at(first.folder, ISSUER);
    let lived = live(&town).await;
    let path = vault.created(town.folder.path(), "all.age");
    let (code, out, err) = vault.verify(&path);
    assert!(code == 0 && err.is_empty(), "{err}");
    for said in
        ["holds        4 accounts, ", "is in it, and opens all signing keys", "chain whole, 0 not sealed"]
    {
        assert!(out.contains(said), "{out}");
    }
    let events = town.listed(&["audit", "list", "--event", "backup-create"]);
    assert_eq!(events.len(), 1, "{events:?}");
    assert!(events[0]["detail"].as_str().unwrap().ends_with("sealed for 1 recipient, with the master key"));
    town.program.stop();

    for end in [End::own(), End::sqlite()] {
        vault.restored(&path, end.folder.path());
        let again = Town::at(end.folder, ISSUER);
        goes_on(&again, &lived).await;
        let events = again.listed(&["audit", "list", "--event", "backup-restore"]);
        assert!(events.len() == 1 && events[0]["place"].is_i64(), "sealed: {events:?}");
        assert_eq!(again.listed(&["audit", "list", "--event", "backup-create"]).len(), 1, "it holds its own");
    }
}

/// The other direction.
#[tokio::test]
async fn a_backup_of_sqlite_is_restored_into_postgresql() {
    if !on_postgres() {
        return;
    }
    let (vault, first, second) = (Vault::new(), End::sqlite(), End::own());
    let mut town = Town::at(first.folder, ISSUER);
    let lived = live(&town).await;
    let path = vault.created(town.folder.path(), "all.age");
    town.program.stop();
    vault.restored(&path, second.folder.path());
    goes_on(&Town::at(second.folder, ISSUER), &lived).await;
}

#[tokio::test]
async fn what_was_done_after_the_backup_does_no_harm() {
    let (vault, first, second) = (Vault::new(), End::own(), End::own());
    let mut town = Town::at(first.folder, &[ISSUER, &["--limits", "false"]].concat());
    let (alice, bob) = (town.person("alice").await, town.person("bob").await);
    // As if they had last been refreshed long before the backup.
    let past = "UPDATE sessions SET access_expires_at = 1";
    assert_eq!(database(town.folder.path()).execute(past, []), Ok(2));
    let path = vault.created(town.folder.path(), "all.age");
    let refreshed = town.refresh(&alice.refresh_token).await.json();
    let member = |name: &str| refreshed[name].as_str().unwrap().to_owned();
    let carol = town.person("carol").await;
    town.program.stop();

    vault.restored(&path, second.folder.path());
    let town = Town::at(second.folder, ISSUER);
    // The refresh is not known, and is no replay: the session stays, and who has the newest token logs in again.
    town.refresh(&member("refresh_token")).await.oauth_error(400, "invalid_grant");
    assert_eq!(town.profile(&alice.token).await.status, 200);
    // The token of that refresh ends with its session, though the row did not know of it.
    assert_eq!(town.profile(&member("access_token")).await.status, 200);
    let logout = town.request(Method::POST, "/logout").bearer_auth(member("access_token"));
    assert_eq!(logout.send().await.unwrap().status(), 204);
    for token in [member("access_token"), alice.token] {
        town.profile(&token).await.problem(401, "invalid-token");
    }
    assert_eq!(town.profile(&bob.token).await.status, 200, "nobody else is concerned");
    // Nobody gets the place in the status list that Carol's session had.
    let place = |token: &str| {
        let list = &decode(token).1["status"]["status_list"];
        let number = list["uri"].as_str().unwrap().rsplit('/').next().unwrap().parse::<u64>().unwrap();
        number * (1 << 20) + list["idx"].as_u64().unwrap()
    };
    let answer = town.login(&bob, &bob.password).await.json();
    let again = answer["token"].as_str().unwrap();
    assert!(place(again) >= place(&carol.token) + (1 << 20), "{} {}", place(again), place(&carol.token));
    town.refresh(&carol.refresh_token).await.oauth_error(400, "invalid_grant");
    town.login(&carol, &carol.password).await.problem(401, "wrong-credentials");
}

/// A backup with these rows of `accounts`, made at this schema by hand.
fn made_by_hand(vault: &Vault, schema: usize, digest: [u8; 32], known: usize, accounts: u128) -> PathBuf {
    let tables = layout(known).unwrap();
    let counters = [("session_end", 1), ("status_index", 256)];
    let rows = |table: &str| match table {
        "accounts" => u64::try_from(accounts).unwrap(),
        "counters" => 2,
        _ => 0,
    };
    let told = tables.iter().map(|table| Told {
        name: table.name().to_owned(),
        columns: table.columns().map(|(name, kind)| (name.to_owned(), kind)).collect(),
        rows: rows(table.name()),
    });
    let header = Header {
        id: Uuid::from_u128(accounts),
        made_at: Timestamp::from_seconds(1_790_000_000),
        program: "0.0.9".into(),
        engine: "sqlite".into(),
        schema,
        schema_digest: digest,
        master_key: Some(MasterKey::new([7; 32])),
        tables: told.collect(),
    };
    let path = vault.path(&format!("{schema}-{accounts}.age"));
    let lock = Lock::recipients([&vault.recipient]).unwrap();
    let sealing = lock.seal(std::fs::File::create(&path).unwrap()).unwrap();
    let mut writer = Writer::begin(sealing, header).unwrap();
    for table in &tables {
        writer.table().unwrap();
        let text = |text: &str| Held::Text(text.to_owned());
        match table.name() {
            "accounts" => (0..accounts).for_each(|number| {
                let (id, email) =
                    (Held::Uuid(Uuid::from_u128(number)), text(&format!("p{number}@example.org")));
                let row = [id, email.clone(), email, text("P"), Held::Int(1), Held::Null, Held::Null];
                writer.row(&row).unwrap();
            }),
            "counters" => counters.iter().for_each(|(name, next)| {
                writer.row(&[text(name), Held::Int(*next)]).unwrap();
            }),
            _ => {}
        }
    }
    writer.finish().unwrap().0.finish().unwrap().flush().unwrap();
    path
}

#[tokio::test]
async fn the_new_version_backs_up_what_the_old_one_left() {
    let (vault, first, second) = (Vault::new(), End::own(), End::own());
    let mut town = Town::at(first.folder, ISSUER);
    let alice = town.person("alice").await;
    town.program.stop();
    // As the version before the last step left it.
    let held = database(town.folder.path());
    let back =
        "DROP TABLE earlier_ends; DROP TABLE earlier_keys; DELETE FROM schema_history WHERE version >= 11";
    held.execute_batch(back).unwrap();
    let path = vault.created(town.folder.path(), "old.age");
    let steps = || -> i64 {
        held.query_row("SELECT MAX(version) FROM schema_history", [], |row| row.get(0)).unwrap()
    };
    assert_eq!(steps(), 10, "it stays as it was");
    let (code, out, err) = vault.verify(&path);
    assert!(
        code == 0 && out.contains("schema       10\n") && out.contains("chain whole, 0 not"),
        "{out} {err}"
    );
    vault.restored(&path, second.folder.path());
    let again = Town::at(second.folder, ISSUER);
    assert_eq!(again.profile(&alice.token).await.status, 200);
    assert_eq!(again.listed(&["audit", "list", "--event", "backup-create"]).len(), 1);

    // No release had this one.
    held.execute_batch("DELETE FROM schema_history WHERE version = 10").unwrap();
    let (code, out, err) = vault.create(town.folder.path(), "older.age", &[]);
    assert!(code == 1 && out.is_empty() && err.contains("is older than this program"), "{err}");
}

#[test]
fn an_older_schema_is_migrated_and_a_newer_one_refused() {
    let (vault, end, other) = (Vault::new(), End::own(), End::own());
    let newest = claviger::db::newest_schema();
    let digest = |schema| claviger::db::schema_digest(schema).unwrap();
    let old = made_by_hand(&vault, 9, digest(9), 9, 1500);
    let (code, out, err) = vault.restore(&old, end.folder.path(), &[]);
    assert!(code == 0 && out.contains("schema       9\n") && out.contains("1500 accounts"), "{out} {err}");
    let held = database(end.folder.path());
    assert_eq!((count(&held, "accounts"), count(&held, "counters")), (1500, 2));
    let steps: i64 = held.query_row("SELECT MAX(version) FROM schema_history", [], |row| row.get(0)).unwrap();
    assert_eq!(usize::try_from(steps).unwrap(), newest);
    let mut server = Program::serve(end.folder.path(), &["--dev"]);
    server.stop();

    let newer = made_by_hand(&vault, newest + 1, [7; 32], newest, 1);
    let strange = made_by_hand(&vault, newest, [7; 32], newest, 2);
    for (path, why) in
        [(&newer, "a newer version (0.0.9) has made it"), (&strange, "Use the version that made it (0.0.9)")]
    {
        for (code, out, err) in [vault.verify(path), vault.restore(path, other.folder.path(), &[])] {
            assert!(code == 1 && out.is_empty() && err.contains(why), "{err}");
        }
    }
    assert_untouched(other.folder.path());
}

#[tokio::test]
async fn only_an_empty_place_that_nobody_uses_is_taken() {
    let (vault, first, second) = (Vault::new(), End::own(), End::own());
    let town = Town::at(first.folder, &["--dev"]);
    town.person("alice").await;
    let path = vault.created(town.folder.path(), "all.age");
    let said = |data_dir: &Path| {
        let (code, out, err) = vault.restore(&path, data_dir, &[]);
        assert!(code == 1 && out.is_empty(), "{out} {err}");
        err
    };
    let err = said(town.folder.path());
    let in_use = if on_postgres() { "servers use it" } else { "uses the data folder" };
    assert!(err.contains(in_use) && err.to_lowercase().contains("stop"), "{err}");
    drop(town.program);
    let err = said(town.folder.path());
    assert!(err.contains("it is not empty: there are rows in accounts"), "{err}");

    // A folder with something else in it, on SQLite.
    let strange = End::sqlite();
    std::fs::write(strange.folder.path().join("notes.txt"), "mine").unwrap();
    let err = said(strange.folder.path());
    assert!(err.contains("is not empty: it holds notes.txt") && err.contains("--data-dir"), "{err}");
    assert_eq!(std::fs::read_dir(strange.folder.path()).unwrap().count(), 1, "nothing was made");

    // Another master key.
    let other = claviger_crypto::base64url(&[9; 32]);
    std::fs::write(vault.path("other.key"), &other).unwrap();
    let by_file = ["--master-key-file", vault.path("other.key").to_str().unwrap()].map(str::to_owned);
    let by_file: Vec<&str> = by_file.iter().map(String::as_str).collect();
    let (code, _, err) = vault.restore(&path, second.folder.path(), &by_file);
    assert!(code == 1 && err.contains("another master key") && !err.contains(&other), "{err}");
    assert_untouched(second.folder.path());
    vault.restored(&path, second.folder.path());
}

#[tokio::test]
async fn the_master_key_may_be_left_out() {
    let (vault, first, second) = (Vault::new(), End::own(), End::own());
    let town = Town::at(first.folder, ISSUER);
    let alice = town.person("alice").await;
    let (code, out, _) = vault.create(town.folder.path(), "less.age", &["--without-master-key"]);
    assert!(code == 0 && out.contains("without the master key"), "{out}");
    let path = vault.path("less.age");
    let (code, out, _) = vault.verify(&path);
    assert!(code == 0 && out.contains("is not in it: whether the signing keys open was not tried"), "{out}");
    let (code, _, err) = vault.restore(&path, second.folder.path(), &[]);
    assert!(code == 1 && err.contains("made without the master key"), "{err}");
    assert_untouched(second.folder.path());

    let wrong = vault.path("wrong.key");
    std::fs::write(&wrong, claviger_crypto::base64url(&[9; 32])).unwrap();
    let third = End::own();
    let (code, _, err) =
        vault.restore(&path, third.folder.path(), &["--master-key-file", wrong.to_str().unwrap()]);
    assert!(code == 1 && err.contains("this is not the master key of the backup"), "{err}");
    let shut = Program::refusal(Program::command(&[]), third.folder.path(), free_port(), &["--dev"]);
    assert!(shut.0 == 1 && shut.1.contains("not restored to its end"), "{}", shut.1);

    std::fs::copy(town.folder.path().join("master.key"), second.folder.path().join("master.key")).unwrap();
    vault.restored(&path, second.folder.path());
    let again = Town::at(second.folder, ISSUER);
    assert_eq!(again.profile(&alice.token).await.status, 200);
    let body = json!({"email": alice.email, "password": alice.password});
    let login = again.request(Method::POST, "/login").json(&body).send().await.unwrap();
    assert_eq!(login.status(), 200);
}
