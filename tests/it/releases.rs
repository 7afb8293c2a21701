//! What every release left behind is opened, brought up to date and honoured: accounts, sessions, tokens and keys.

use crate::backup::Vault;
use crate::harness::{Answer, ByToken, Caller as _, Program, TestApp, refresh, sqlite_only};
use crate::operators::run;
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// The folders of the releases, by their versions.
fn releases() -> Vec<PathBuf> {
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/releases");
    let folders = std::fs::read_dir(all).unwrap().map(|entry| entry.unwrap().path());
    let folders: Vec<PathBuf> = folders.filter(|path| path.is_dir()).collect();
    assert!(folders.iter().any(|path| path.ends_with("0.1.0")), "the first one is kept");
    folders
}

/// A copy of a release's data folder, with the modes that it had, and what is true of it.
fn copied(release: &Path) -> (TempDir, Value) {
    let folder = tempfile::tempdir().unwrap();
    for name in ["claviger.db", "master.key"] {
        let copy = folder.path().join(name);
        std::fs::copy(release.join(name), &copy).unwrap();
        std::fs::set_permissions(&copy, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    let facts = std::fs::read(release.join("facts.json")).unwrap();
    (folder, serde_json::from_slice(&facts).unwrap())
}

fn text<'a>(facts: &'a Value, name: &str) -> &'a str {
    facts[name].as_str().unwrap_or_else(|| panic!("facts.json has no {name}"))
}

async fn log_in(app: &TestApp, name: &str, password: &str) -> Answer {
    let body = json!({"email": format!("{name}@example.org"), "password": password});
    app.anonymous().post("/login", &body).await
}

async fn profile(app: &TestApp, token: &str) -> Answer {
    ByToken { app, token: token.to_owned(), header: "authorization" }.get("/user/profile").await
}

#[tokio::test]
async fn people_notice_nothing_of_the_upgrade() {
    if sqlite_only() {
        return;
    }
    for release in releases() {
        let (folder, facts) = copied(&release);
        let app = TestApp::on(folder, facts["made_at"].as_i64().unwrap() + 60).await;
        let set = app.anonymous().get("/.well-known/jwks.json").await.json();
        let published: Vec<&Value> = set["keys"].as_array().unwrap().iter().map(|key| &key["kid"]).collect();
        for kid in facts["key_ids"].as_array().unwrap() {
            assert!(published.contains(&kid), "{kid} of {} went away", release.display());
        }

        let alice = profile(&app, text(&facts, "token")).await;
        assert_eq!(alice.json(), json!({"user": {"email": "alice@example.org", "name": "alice"}}));
        assert_eq!(profile(&app, text(&facts, "earlier_token")).await.json(), alice.json());
        assert_eq!(refresh(&app, text(&facts, "refresh_token")).await.status, 200);
        for (name, password) in [("alice", "password"), ("bob", "password"), ("carol", "changed_password")] {
            let login = log_in(&app, name, text(&facts, password)).await;
            assert_eq!(login.status, 200, "{name}: {}", login.text());
            let token = login.json()["token"].as_str().unwrap().to_owned();
            assert_eq!(crate::harness::decode(&token).1["public_id"], facts["ids"][name]);
        }

        profile(&app, text(&facts, "ended_token")).await.problem(401, "invalid-token");
        refresh(&app, text(&facts, "ended_refresh_token")).await.oauth_error(400, "invalid_grant");
        for (name, password) in [("carol", "password"), ("dave", "password")] {
            log_in(&app, name, text(&facts, password)).await.problem(401, "wrong-credentials");
        }
        // A spent refresh token that comes back ends its session.
        refresh(&app, text(&facts, "spent_refresh_token")).await.oauth_error(400, "invalid_grant");
        refresh(&app, text(&facts, "its_successor")).await.oauth_error(400, "invalid_grant");

        let introspect = app.anonymous().form("/introspect", &[("token", text(&facts, "token"))]);
        let said = crate::harness::send(introspect.bearer_auth(text(&facts, "api_key"))).await;
        assert_eq!((said.status, &said.json()["active"]), (200, &json!(true)));
    }
}

/// The new program makes the backup before the upgrade.
#[test]
fn what_a_release_left_is_backed_up_before_a_server_starts_on_it() {
    if sqlite_only() {
        return;
    }
    let vault = Vault::new();
    for release in releases() {
        let ((folder, facts), target) = (copied(&release), tempfile::tempdir().unwrap());
        let name = format!("{}.age", release.file_name().unwrap().display());
        let path = vault.created(folder.path(), &name);
        vault.restored(&path, target.path());
        drop(Program::serve(target.path(), &[]));
        let (_, listed, _) = run(target.path(), &["user", "list"], "");
        for id in facts["ids"].as_object().unwrap().values() {
            assert!(listed.contains(id.as_str().unwrap()), "{listed}");
        }
    }
}

#[tokio::test]
async fn operators_find_all_that_was_done() {
    if sqlite_only() {
        return;
    }
    for release in releases() {
        let (folder, facts) = copied(&release);
        drop(Program::serve(folder.path(), &[]));
        let (code, out, err) = run(folder.path(), &["audit", "verify"], "");
        assert!(code == 0 && out.contains("chain whole"), "{out}{err}");
        let (_, listed, _) = run(folder.path(), &["user", "list"], "");
        for id in facts["ids"].as_object().unwrap().values() {
            assert!(listed.contains(id.as_str().unwrap()), "{listed}");
        }
        let dave = listed.lines().find(|line| line.contains("dave@example.org")).unwrap();
        assert!(dave.contains("disabled"), "{dave}");
    }
}
