//! Faults planted beside a running server, one after the other: `claviger doctor` finds each, it alone, and names what
//! mends it. What is mended is found no more.

use crate::doctor_health::{Clinic, folder, private};
use crate::harness::{Program, database, free_port, on_postgres, sqlite_only};
use serde_json::json;
use std::path::Path;

#[tokio::test]
async fn modes_that_let_others_look() {
    let clinic = Clinic::open().await;
    let dir = clinic.folder.path();
    private(dir, 0o755);
    let mend = clinic.look(&[]).mended_by("folder-access", "error");
    assert_eq!(mend, format!("chmod 700 {}", dir.display()));
    mended(&mend);
    private(&clinic.key(), 0o644);
    let mend = clinic.look(&[]).mended_by("master-key", "error");
    assert_eq!(mend, format!("chmod 600 {}", clinic.key().display()));
    mended(&mend);
    if !on_postgres() {
        private(&dir.join("claviger.db"), 0o640);
        let mend = clinic.look(&[]).mended_by("folder-access", "error");
        assert_eq!(mend, format!("chmod 600 {}", dir.join("claviger.db").display()));
        mended(&mend);
    }
    assert_eq!(clinic.look(&[]).faults(), [""; 0]);
}

/// Runs a command that mends something, as the operator would.
#[track_caller]
fn mended(command: &str) {
    let done = std::process::Command::new("sh").args(["-c", command]).status().unwrap();
    assert!(done.success(), "{command}");
}

#[tokio::test]
async fn files_of_another_user() {
    let clinic = Clinic::open().await;
    let lock = clinic.folder.path().join("claviger.db");
    if sqlite_only() || std::os::unix::fs::chown(&lock, Some(12345), None).is_err() {
        return;
    }
    let mend = clinic.look(&[]).mended_by("folder-owner", "error");
    assert!(mend.starts_with("chown --reference="), "{mend}");
    mended(&mend);
    // Whoever opens the file as root gives SQLite's side files the file's owner.
    let told = clinic.look(&[]);
    if !told.faults().is_empty() {
        mended(&told.mended_by("folder-owner", "error"));
    }
    assert_eq!(clinic.look(&[]).faults(), [""; 0]);
}

#[tokio::test]
async fn master_keys_that_are_another_broken_or_gone() {
    let clinic = Clinic::open().await;
    let file = |name: &str, text: &str| {
        let path = clinic.keys.path().join(name);
        std::fs::write(&path, text).unwrap();
        private(&path, 0o600);
        path.display().to_string()
    };
    let other = file("other", &claviger_crypto::base64url(&[8; 32]));
    let told = clinic.look(&["--master-key-file", &other]);
    assert!(told.mended_by("master-key-same", "error").contains(" claviger backup restore BACKUP.age "));
    let broken = file("broken", "half a secret");
    let told = clinic.look(&["--master-key-file", &broken]);
    assert!(told.mended_by("master-key", "error").contains(" claviger backup restore BACKUP.age "));
    assert!(!told.report.to_string().contains("half a secret"), "what is in the file is not told");
    let told = clinic.look(&["--master-key-file", "/nowhere/key"]);
    assert!(told.only("master-key", "error")["what"].as_str().unwrap().contains("/nowhere/key"));
}

#[tokio::test]
async fn settings_that_are_seldom_meant() {
    let clinic = Clinic::open().await;
    let port = clinic.listen.rsplit_once(':').unwrap().1.to_owned();
    for (arguments, check, level, mend) in [
        (
            &["--access-token-ttl", "2h"][..],
            "settings-lives",
            "warning",
            "claviger serve --access-token-ttl 15m",
        ),
        (&["--limits", "false"], "settings-limits", "warning", "claviger serve --limits true"),
        (&["--hash-queue", "100000"], "hash-rate", "warning", "claviger serve --hash-queue "),
        (&["--max-connections", "1000000"], "settings-files", "warning", "claviger serve --max-connections "),
        (
            &["--dev", "--hash-memory-kib", "64"],
            "hash-cost",
            "warning",
            "claviger serve --hash-memory-kib 19456",
        ),
        (
            &["--dev", "--listen", &format!("0.0.0.0:{port}")],
            "settings-dev",
            "error",
            &format!("claviger serve --listen {} --issuer http://127.0.0.1:", clinic.listen),
        ),
    ] {
        let told = clinic.look(arguments);
        if check == "settings-files" && told.of(check).is_empty() {
            // This machine allows that many.
            continue;
        }
        let command = told.mended_by(check, level);
        assert!(command.starts_with(mend), "{command}");
    }
}

#[tokio::test]
async fn another_server_at_the_issuer_and_nobody() {
    let (clinic, stranger) = (Clinic::open().await, Clinic::open().await);
    let told = clinic.look(&["--issuer", &format!("http://{}", stranger.listen)]);
    let found = told.only("issuer-keys", "error");
    assert!(found["mend"]["text"].as_str().unwrap().contains("another server answers there"), "{found:#}");
    assert!(found["mend"]["command"].as_str().unwrap().starts_with("curl -i http://127.0.0.1:"));
    let nobody = format!("http://127.0.0.1:{}", free_port());
    let told = clinic.look(&["--issuer", &nobody]);
    assert!(told.mended_by("issuer-reachable", "error").contains(&nobody));
}

#[tokio::test]
async fn a_server_that_is_not_where_the_settings_say() {
    let (clinic, stranger) = (Clinic::open().await, Clinic::open().await);
    let issuer = format!("http://{}", clinic.listen);
    if sqlite_only() {
        return;
    }
    let nowhere = format!("127.0.0.1:{}", free_port());
    let told = clinic.look(&["--listen", &nowhere, "--issuer", &issuer]);
    assert!(told.mended_by("server-running", "warning").starts_with("claviger config show"));
    // A folder whose server is stopped, and the address of another's.
    let mut stopped = Clinic::open().await;
    let own = format!("http://{}", stopped.listen);
    stopped.stop();
    let told = stopped.look(&["--listen", &stranger.listen, "--issuer", &own, "--skip", "issuer-reachable"]);
    assert!(told.mended_by("server-running", "error").starts_with("claviger config show"));
}

#[tokio::test]
async fn a_program_that_was_replaced() {
    if sqlite_only() {
        return;
    }
    // The same file under a name of its own, which goes.
    let programs = folder();
    let program = programs.path().join("claviger");
    if std::fs::hard_link(env!("CARGO_BIN_EXE_claviger"), &program).is_err() {
        std::fs::copy(env!("CARGO_BIN_EXE_claviger"), &program).unwrap();
    }
    let mut clinic = Clinic::open().await;
    clinic.stop();
    let key = clinic.key().display().to_string();
    let mut command = std::process::Command::new(&program);
    command.env_clear();
    let server = Program::serve_by(command, clinic.folder.path(), &["--master-key-file", &key]);
    clinic.listen = server.address.to_string();
    assert_eq!(clinic.look(&[]).faults(), [""; 0]);
    std::fs::remove_file(&program).unwrap();
    // It is no service here, so it is started again as it was: with the flags that the doctor has.
    let mend = clinic.look(&[]).mended_by("server-version", "warning");
    let dir = clinic.folder.path().display();
    assert!(mend.starts_with(&format!("claviger serve --data-dir {dir} --master-key-file {key} ")), "{mend}");
    assert!(mend.contains(&format!(" --listen {}", clinic.listen)), "{mend}");
}

#[tokio::test]
async fn a_reader_that_holds_the_wal() {
    if sqlite_only() {
        return;
    }
    let clinic = Clinic::open().await;
    let open = || rusqlite::Connection::open(clinic.folder.path().join("claviger.db")).unwrap();
    let (reader, writer) = (open(), open());
    reader.execute_batch("BEGIN; SELECT count(*) FROM accounts").unwrap();
    writer.busy_timeout(std::time::Duration::from_secs(5)).unwrap();
    writer
        .execute_batch("CREATE TABLE ballast (bytes BLOB); INSERT INTO ballast VALUES (randomblob(20000000))")
        .unwrap();
    let mend = clinic.look(&[]).mended_by("wal", "warning");
    assert!(mend.starts_with("fuser -v "), "{mend}");
    drop(reader);
    writer.execute_batch("PRAGMA wal_checkpoint(PASSIVE)").unwrap();
    assert_eq!(clinic.look(&[]).faults(), [""; 0]);
}

#[tokio::test]
async fn moments_in_the_future() {
    let clinic = Clinic::open().await;
    let sql = "INSERT INTO guesses (subject, failures, last_failed_at) VALUES (?1, 1, 4000000000000000)";
    database(clinic.folder.path()).execute(sql, [vec![7_u8; 32]]).unwrap();
    let found = clinic.look(&[]).only("clock-set-back", "error");
    assert!(found["what"].as_str().unwrap().starts_with("the last wrong password is of 2096-"), "{found:#}");
    assert_eq!(found["mend"]["command"], "timedatectl status");
}

#[tokio::test]
async fn sessions_of_the_future() {
    const FUTURE: &str = "4000000000000000";
    let clinic = Clinic::open().await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let person = json!({"email": "ann@example.org", "name": "Ann", "password": "a walk along the river"});
    for (path, status) in [("/user", 201), ("/login", 200), ("/login", 200)] {
        let url = format!("http://{}{path}", clinic.listen);
        assert_eq!(http.post(url).json(&person).send().await.unwrap().status().as_u16(), status);
    }
    assert_eq!(clinic.look(&[]).faults(), [""; 0]);
    // Whichever it is, and not the newest by its id alone.
    let first = "id = (SELECT id FROM sessions ORDER BY id LIMIT 1)";
    for (column, said) in
        [("created_at", "the newest session"), ("last_used_at", "the last use of a session")]
    {
        let database = database(clinic.folder.path());
        let change = |to: &str| format!("UPDATE sessions SET {column} = {to} WHERE {first}");
        database.execute_batch(&change(FUTURE)).unwrap();
        let found = clinic.look(&[]).only("clock-set-back", "error");
        assert!(found["what"].as_str().unwrap().starts_with(&format!("{said} is of 2096-")), "{found:#}");
        database.execute_batch(&change("access_expires_at - 900000000")).unwrap();
    }
    assert_eq!(clinic.look(&[]).faults(), [""; 0]);
}

#[tokio::test]
async fn a_folder_in_memory() {
    if sqlite_only() || !Path::new("/dev/shm").is_dir() {
        return;
    }
    let mut clinic = Clinic::open().await;
    clinic.stop();
    let memory = tempfile::tempdir_in("/dev/shm").unwrap();
    std::fs::copy(clinic.folder.path().join("claviger.db"), memory.path().join("claviger.db")).unwrap();
    private(memory.path(), 0o700);
    clinic.folder = memory;
    let found = clinic.look(&[]).only("folder-place", "error");
    assert!(found["what"].as_str().unwrap().ends_with("is in memory (tmpfs)"), "{found:#}");
}

#[tokio::test]
async fn a_database_file_that_is_elsewhere() {
    if sqlite_only() {
        return;
    }
    let mut clinic = Clinic::open().await;
    clinic.stop();
    let (elsewhere, here) = (folder(), clinic.folder.path().join("claviger.db"));
    let there = elsewhere.path().join("claviger.db");
    std::fs::rename(&here, &there).unwrap();
    std::os::unix::fs::symlink(&there, &here).unwrap();
    let found = clinic.look(&[]).only("folder-place", "warning");
    assert!(found["what"].as_str().unwrap().contains("is a symbolic link to "), "{found:#}");
}
