//! The real program: the first five minutes, its data folder, and who else may use that and its address.

use crate::harness::{Answer, Program, count, database, free_port, on_postgres, send, sqlite_only};
use reqwest::Client;
use serde_json::json;
use std::fs::Permissions;
use std::io::Read as _;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

fn client() -> Client {
    Client::builder().no_proxy().build().unwrap()
}

async fn sign_up(program: &Program, email: &str) -> Answer {
    let body = json!({"email": email, "name": "a", "password": "a walk along the river"});
    send(client().post(format!("{}/user", program.url)).json(&body)).await
}

/// What it wrote to standard output, after its end.
fn output(program: &mut Program) -> String {
    let mut text = String::new();
    program.child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    text
}

#[tokio::test]
async fn the_first_five_minutes() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().join("data");
    let mut program = Program::serve(&data_dir, &["--dev"]);
    let url = |path: &str| format!("{}{path}", program.url);
    let body = json!({"email":"test1@eamil.com","name":"test1","password":"test1"});
    assert_eq!(send(client().post(url("/user")).json(&body)).await.status, 201);
    for username in ["test1@eamil.com", "test1"] {
        let login = send(client().get(url("/login")).basic_auth(username, Some("test1"))).await;
        let token = login.json()["token"].as_str().unwrap().to_owned();
        for request in [
            client().get(url("/user/profile")).bearer_auth(&token),
            client().get(url("/user/profile")).header("x-access-token", &token),
            client().get(url("/user/profile")).header("token", &token),
        ] {
            let profile = send(request).await;
            assert_eq!(profile.text(), r#"{"user":{"email":"test1@eamil.com","name":"test1"}}"#);
        }
        let key = send(client().get(url("/jwks")).header("token", &token)).await;
        assert_eq!(key.json()["keys"]["kty"], "RSA");
    }
    program.stop();
    let banner = output(&mut program);
    for words in [
        &program.url,
        data_dir.to_str().unwrap(),
        &format!("curl {}/user ", program.url),
        "Not for production",
    ] {
        assert!(banner.contains(words), "{words}: {banner}");
    }
}

#[tokio::test]
async fn the_lines_of_the_banner_work_as_they_stand() {
    if Command::new("curl").arg("--version").output().is_err() {
        return; // A machine without curl cannot try them.
    }
    let folder = tempfile::tempdir().unwrap();
    let mut program = Program::serve(folder.path(), &["--dev"]);
    let mut banner = String::new();
    let mut out = program.child.stdout.take().unwrap();
    while !banner.contains("/login -u") || !banner.ends_with('\n') {
        let mut bytes = [0; 1024];
        let count = out.read(&mut bytes).unwrap();
        assert!(count > 0, "{banner}");
        banner.push_str(str::from_utf8(&bytes[..count]).unwrap());
    }
    let script = &banner[banner.find("curl ").unwrap()..];
    let ran = Command::new("sh").args(["-ec", script]).env("no_proxy", "*").output().unwrap();
    let said = String::from_utf8(ran.stdout).unwrap();
    assert!(ran.status.success() && said.contains("public_id") && said.contains(r#""token":"ey"#), "{said}");
    program.stop();
}

#[tokio::test]
async fn production_prints_no_banner() {
    let folder = tempfile::tempdir().unwrap();
    let mut program = Program::serve(folder.path(), &[]);
    assert_eq!(sign_up(&program, "a@example.org").await.status, 201);
    let log = program.stop();
    assert_eq!(output(&mut program), "");
    assert!(log.iter().any(|line| line.contains("listening") && line.contains(&program.address.to_string())));
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

#[track_caller]
fn assert_private(folder: &Path) {
    assert_eq!(mode(folder), 0o700, "the folder");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}

#[tokio::test]
async fn checklist_59_the_data_folder_is_private_under_any_umask() {
    let parent = tempfile::tempdir().unwrap();
    for umask in ["000", "022", "077"] {
        let folder = parent.path().join(umask).join("data");
        let mut command = Command::new("sh");
        let script = format!("umask {umask}; exec \"$0\" \"$@\"");
        command.args(["-c", &script, Program::command(&[]).get_program().to_str().unwrap()]);
        let mut program = Program::serve_by(command, &folder, &[]);
        assert_eq!(sign_up(&program, "a@example.org").await.status, 201);
        assert_private(&folder);
        let names = std::fs::read_dir(&folder).unwrap().count();
        let least = if on_postgres() { 1 } else { 4 };
        assert!(names >= least, "database, log, lock and master key: {names}");
        program.stop();
        assert_private(&folder);
    }
}

#[tokio::test]
async fn a_folder_or_database_that_others_can_read_is_noticed() {
    if sqlite_only() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut program = Program::serve(folder.path(), &[]);
    assert_eq!(sign_up(&program, "a@example.org").await.status, 201);
    program.stop();
    std::fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    std::fs::set_permissions(folder.path().join("claviger.db"), Permissions::from_mode(0o644)).unwrap();
    let mut program = Program::serve(folder.path(), &[]);
    assert_eq!(sign_up(&program, "a@example.org").await.status, 409);
    let log = program.stop();
    assert!(log.iter().any(|line| line.contains("chmod 700")), "{log:?}");
    assert_eq!(mode(&folder.path().join("claviger.db")), 0o600);

    std::fs::set_permissions(folder.path().join("master.key"), Permissions::from_mode(0o644)).unwrap();
    let (code, text) = Program::refusal(Program::command(&[]), folder.path(), free_port(), &[]);
    assert!(code == 1 && text.contains("chmod 600"), "{text}");
}

#[tokio::test]
async fn a_second_server_on_one_folder_is_refused() {
    if sqlite_only() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut first = Program::serve(folder.path(), &[]);
    let (code, text) = Program::refusal(Program::command(&[]), folder.path(), free_port(), &[]);
    assert_eq!(code, 1, "{text}");
    let holder = first.child.id().to_string();
    for words in [folder.path().to_str().unwrap(), "another server", "--data-dir", &holder] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert_eq!(sign_up(&first, "a@example.org").await.status, 201, "the first goes on");
    first.stop();
    let second = Program::serve(folder.path(), &[]);
    assert_eq!(sign_up(&second, "a@example.org").await.status, 409);
}

#[test]
fn a_taken_address_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let data_dir = folder.path().join("data");
    let (code, text) = Program::refusal(Program::command(&[]), &data_dir, port, &[]);
    assert_eq!(code, 1, "{text}");
    for words in [&format!("127.0.0.1:{port}"), "--listen"] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert!(!data_dir.exists(), "nothing was made");
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a-file");
    std::fs::write(&file, "").unwrap();
    let data_dir = file.join("data");
    let (code, text) = Program::refusal(Program::command(&[]), &data_dir, free_port(), &[]);
    assert!(code == 1 && text.contains(data_dir.to_str().unwrap()), "{text}");
}

#[tokio::test]
async fn checklist_47_a_restart_goes_on_where_it_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["--issuer", "http://127.0.0.1:5000"];
    let mut program = Program::serve(folder.path(), &arguments);
    assert_eq!(sign_up(&program, "a@example.org").await.status, 201);
    let body = json!({"email": "a@example.org", "password": "a walk along the river"});
    let login = send(client().post(format!("{}/login", program.url)).json(&body)).await;
    let token = login.json()["token"].as_str().unwrap().to_owned();
    program.signal("INT");
    assert!(program.wait(Duration::from_secs(10)).success(), "SIGINT stops it as SIGTERM does");

    let program = Program::serve(folder.path(), &arguments);
    let profile = send(client().get(format!("{}/user/profile", program.url)).bearer_auth(&token)).await;
    assert_eq!(profile.json()["user"]["email"], "a@example.org");
    assert_eq!(sign_up(&program, "a@example.org").await.status, 409);
}

#[tokio::test]
async fn a_stop_leaves_everything_in_the_database_file() {
    if sqlite_only() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for number in 0..3 {
        let mut program = Program::serve(folder.path(), &[]);
        assert_eq!(sign_up(&program, &format!("a{number}@example.org")).await.status, 201);
        program.stop();
        assert!(!folder.path().join("claviger.db-wal").exists());
        assert_eq!(count(&database(folder.path()), "accounts"), number + 1);
    }
}

#[tokio::test]
async fn a_database_whose_keys_are_all_retired_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut program = Program::serve(folder.path(), &[]);
    // Answered once the first key is made.
    assert_eq!(send(client().get(format!("{}/.well-known/jwks.json", program.url))).await.status, 200);
    program.stop();
    database(folder.path()).execute("UPDATE signing_keys SET state = 'retired'", []).unwrap();
    let (code, said) = Program::refusal(Program::command(&[]), folder.path(), free_port(), &[]);
    assert_eq!(code, 1);
    assert!(said.contains("none of the stored signing keys is active"), "{said}");
}
