//! The life of signing keys as operators and clients see it: all kinds of keys, and the commands.

use crate::harness::{Caller as _, Program, TestApp, count, database, decode, send};
use serde_json::{Value, json};
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;

const JWK_SET: &str = "/.well-known/jwks.json";
const RSA_PEM: &str = include_str!("../../crates/crypto/test-keys/test-only-rsa-pkcs8.pem");
const P256_PEM: &str = include_str!("../../crates/crypto/test-keys/test-only-p256-pkcs8.pem");

#[tokio::test]
async fn every_algorithm_signs_and_is_published_as_its_rfc_says() {
    let of = |alg| match alg {
        "RS256" => ("RSA", None, vec!["alg", "e", "kid", "kty", "n", "use"]),
        "ES256" => ("EC", Some("P-256"), vec!["alg", "crv", "kid", "kty", "use", "x", "y"]),
        _ => ("OKP", Some("Ed25519"), vec!["alg", "crv", "kid", "kty", "use", "x"]),
    };
    for alg in ["RS256", "ES256", "EdDSA"] {
        let app = TestApp::with(&[("signing_alg", alg)]).await;
        let alice = app.account("alice").await;
        assert_eq!(alice.get("/user/profile").await.status, 200, "{alg}");
        let set = app.anonymous().get(JWK_SET).await.json();
        let key = &set["keys"][0];
        let header = decode(&alice.token).0;
        assert_eq!((&header["alg"], &header["kid"]), (&json!(alg), &key["kid"]));
        let (kty, crv, members) = of(alg);
        assert_eq!(
            (key["kty"].as_str(), key["crv"].as_str(), key["alg"].as_str()),
            (Some(kty), crv, Some(alg))
        );
        assert_eq!(key.as_object().unwrap().keys().collect::<Vec<_>>(), members);
    }
}

#[tokio::test]
async fn the_starting_form_knows_rsa_keys_alone() {
    let app = TestApp::with(&[("signing_alg", "EdDSA")]).await;
    let alice = app.account("alice").await;
    let document = alice.get("/jwks").await.problem(404, "not-found");
    assert!(document["detail"].as_str().unwrap().contains(JWK_SET), "{document}");

    let app = TestApp::start().await;
    let alice = app.account("alice").await;
    let before = alice.get("/jwks").await;
    let (token, app) = (alice.token.clone(), app.restart_with(&[("signing_alg", "EdDSA")]).await);
    let request = app.http.get(format!("{}/jwks", app.url)).bearer_auth(token);
    assert_eq!(send(request).await.body, before.body, "the last RSA key");
}

#[tokio::test]
async fn the_last_rsa_key_is_kept_for_the_starting_form_alone() {
    let app = TestApp::with(&[("key_rotation", "1d")]).await;
    let before = app.account("alice").await.get("/jwks").await;
    let app = app.restart_with(&[("signing_alg", "EdDSA"), ("key_rotation", "1d")]).await;
    let mut tries = 0;
    loop {
        app.advance(Duration::from_secs(86_400));
        tokio::time::sleep(Duration::from_millis(300)).await;
        let set = app.anonymous().get(JWK_SET).await.json();
        if set["keys"].as_array().unwrap().iter().all(|key| key["kty"] == "OKP") {
            break;
        }
        tries += 1;
        assert!(tries < 60, "the RSA key is still in the set: {set}");
    }
    assert_eq!(count(&database(app.data_dir()), "signing_keys WHERE state = 'kept'"), 1);
    let (token, _) = app.tokens("alice@example.org", "alice likes long walks").await;
    let request = app.http.get(format!("{}/jwks", app.url)).bearer_auth(token);
    assert_eq!(send(request).await.body, before.body);
}

#[tokio::test]
async fn the_set_may_be_cached_for_a_fifth_of_a_keys_time() {
    for (rotation, max_age) in [("5s", 1), ("10m", 120), ("90d", 300)] {
        let app = TestApp::with(&[("key_rotation", rotation)]).await;
        let answer = app.anonymous().get(JWK_SET).await;
        assert_eq!(answer.header("cache-control"), format!("public, max-age={max_age}"), "{rotation}");
    }
}

/// A data folder whose server has signed a token and stopped.
struct Stopped {
    folder: TempDir,
    token: String,
    kid: String,
}

/// The ids of the keys in the set of a server.
async fn published(program: &Program) -> Vec<String> {
    let set: Value = send(client().get(format!("{}{JWK_SET}", program.url))).await.json();
    set["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

async fn signed(program: &Program) -> String {
    let body = json!({"email": "a@example.org", "name": "a", "password": "a"});
    send(client().post(format!("{}/user", program.url)).json(&body)).await;
    let login = send(client().post(format!("{}/login", program.url)).json(&body)).await;
    login.json()["token"].as_str().unwrap().to_owned()
}

impl Stopped {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut program = serve(folder.path());
        let token = signed(&program).await;
        program.stop();
        let kid = decode(&token).0["kid"].as_str().unwrap().to_owned();
        Self { folder, token, kid }
    }

    fn start(&self) -> Program {
        serve(self.folder.path())
    }

    /// Whether a server takes the token of before.
    async fn is_taken(&self, program: &Program) -> bool {
        let request = client().get(format!("{}/user/profile", program.url)).bearer_auth(&self.token);
        send(request).await.status == 200
    }

    fn key(&self, arguments: &[&str]) -> (i32, String) {
        self.key_with(arguments, "")
    }

    /// Exit code and all that is said by `claviger key` with this standard input.
    fn key_with(&self, arguments: &[&str], input: &str) -> (i32, String) {
        let mut command = Program::command(&["key"]);
        command.args(arguments).args(["--data-dir", self.folder.path().to_str().unwrap()]);
        command.envs(Program::database(self.folder.path()));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // One that fails early reads nothing.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let output = child.wait_with_output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code().unwrap(), String::from_utf8(said).unwrap())
    }

    #[track_caller]
    fn done(&self, arguments: &[&str]) -> String {
        let (code, said) = self.key(arguments);
        assert_eq!(code, 0, "{said}");
        said
    }

    /// The line of `key list` on the key in this state.
    #[track_caller]
    fn listed(&self, state: &str) -> Vec<String> {
        let list = self.done(&["list"]);
        let mut lines =
            list.lines().map(|line| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
        lines.find(|words| words[1] == state).unwrap_or_else(|| panic!("{state}: {list}"))
    }
}

/// A server whose issuer does not change with its port.
fn serve(folder: &Path) -> Program {
    Program::serve(folder, &["--dev", "--issuer", "http://claviger.test"])
}

#[tokio::test]
async fn key_rotate_says_when_the_next_key_signs() {
    let stopped = Stopped::new().await;
    let said = stopped.done(&["rotate"]);
    let next = stopped.listed("next");
    assert_eq!((next[2].as_str(), &next[4..6]), ("RS256", &["signs".to_owned(), "from".to_owned()][..]));
    assert!(said.contains(&next[0]) && said.contains(&next[6]), "{said}");
    assert_eq!(stopped.listed("active")[6], next[6], "it takes over from the active one");
    let again = stopped.done(&["rotate"]);
    assert!(again.contains(&next[0]), "the same: {again}");
    let program = stopped.start();
    assert_eq!(published(&program).await, [stopped.kid.as_str(), &next[0]]);
    assert!(stopped.is_taken(&program).await);
    assert_eq!(
        decode(&signed(&program).await).0["kid"],
        stopped.kid,
        "not before verifiers know the next one"
    );
}

#[tokio::test]
async fn key_rotate_works_beside_a_running_server() {
    let stopped = Stopped::new().await;
    let program = stopped.start();
    stopped.done(&["rotate"]);
    stopped.listed("next");
    assert!(stopped.is_taken(&program).await);
}

#[tokio::test]
async fn key_revoke_ends_what_the_key_signed() {
    let stopped = Stopped::new().await;
    let said = stopped.done(&["revoke", &stopped.kid]);
    let active = stopped.listed("active")[0].clone();
    assert!(active != stopped.kid && said.contains(&active) && said.contains(&stopped.kid), "{said}");
    let program = stopped.start();
    assert!(!published(&program).await.contains(&stopped.kid));
    assert!(!stopped.is_taken(&program).await);
    let token = signed(&program).await;
    assert_eq!(decode(&token).0["kid"], active);
    let key = send(client().get(format!("{}/jwks", program.url)).bearer_auth(token)).await.json();
    assert_eq!(key["keys"]["kid"], active);

    for kid in [stopped.kid.as_str(), "-hnothing", "--nothing"] {
        let (code, said) = stopped.key(&["revoke", kid]);
        assert!(code == 1 && said.contains(kid) && said.contains("key list"), "{said}");
    }
}

#[tokio::test]
async fn key_import_takes_a_key_from_elsewhere() {
    let stopped = Stopped::new().await;
    let file = stopped.folder.path().join("other.pem");
    std::fs::write(&file, RSA_PEM).unwrap();
    let file = file.to_str().unwrap();
    let said = stopped.done(&["import", file, "--activate"]);
    let next = stopped.listed("next");
    assert!(said.contains(&next[0]) && said.contains(&next[6]), "{said}");
    assert_eq!(published(&stopped.start()).await, [stopped.kid.as_str(), &next[0]]);
    let (code, said) = stopped.key(&["import", file]);
    assert!(code == 1 && said.contains("already"), "{said}");
    // Revoking the active one lets it sign.
    stopped.done(&["revoke", &stopped.kid]);
    let program = stopped.start();
    assert_eq!(decode(&signed(&program).await).0["kid"], next[0]);
}

#[tokio::test]
async fn key_import_reads_standard_input_and_refuses_what_does_not_fit() {
    let stopped = Stopped::new().await;
    let (code, said) = stopped.key_with(&["import", "-"], P256_PEM);
    assert!(code == 1 && said.contains("signing_alg"), "another kind: {said}");
    let (code, said) = stopped.key_with(&["import", "-", "--signing-alg", "ES256"], P256_PEM);
    assert_eq!(code, 0, "{said}");
    for (input, why) in [("", "PEM"), ("{}", "Key"), (&"x".repeat(70_000), "16 kB")] {
        let (code, said) = stopped.key_with(&["import", "-"], input);
        assert!(code == 1 && said.contains(why), "{said}");
    }
    let (code, said) = stopped.key(&["import", "/nowhere/key.pem"]);
    assert!(code == 1 && said.contains("/nowhere/key.pem"), "{said}");
}

#[tokio::test]
async fn the_commands_leave_their_events() {
    let stopped = Stopped::new().await;
    stopped.done(&["rotate"]);
    stopped.done(&["revoke", &stopped.kid]);
    let database = database(stopped.folder.path());
    let mut statement = database.prepare("SELECT event, detail, personal FROM audit_events").unwrap();
    let events: Vec<(String, Option<String>, String)> = statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let by = |actor: &str, event: &str| {
        events.iter().filter(|(kind, _, personal)| kind == event && personal.contains(actor)).count()
    };
    assert_eq!(by("operator:uid ", "key-revoke"), 1, "{events:?}");
    assert_eq!(by("operator:uid ", "key-activate"), 1, "{events:?}");
    assert!(by("system", "key-activate") >= 1, "{events:?}");
    assert_eq!(by("operator:uid ", "key-rotate"), 1, "who asked: {events:?}");
    // No server runs that would chain them.
    let unsealed = "SELECT count(*) FROM audit_events WHERE place IS NULL";
    let unsealed: i64 = database.query_row(unsealed, [], |row| row.get(0)).unwrap();
    assert_eq!(unsealed, 0);
    let revoked = events.iter().find(|(event, ..)| event == "key-revoke").unwrap();
    assert!(revoked.1.as_ref().is_some_and(|detail| detail.starts_with(&stopped.kid)), "{events:?}");
}

#[tokio::test]
async fn the_commands_need_a_database_and_its_master_key() {
    let empty = tempfile::tempdir().unwrap();
    let said = |arguments: &[&str]| {
        let mut command = Program::command(&["key"]);
        let output =
            command.args(arguments).args(["--data-dir", empty.path().to_str().unwrap()]).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(said(&["rotate"]).contains("--data-dir"));
    assert!(said(&["revoke", "x"]).contains("--data-dir"));
    assert_eq!(std::fs::read_dir(empty.path()).unwrap().count(), 0, "nothing was made there");
    let stopped = Stopped::new().await;
    let path = stopped.folder.path().join("master.key");
    let own = std::fs::read_to_string(&path).unwrap();
    // What another master key seals would stop the server at its next start.
    std::fs::write(&path, "A".repeat(43)).unwrap();
    let keys = || count(&database(stopped.folder.path()), "signing_keys");
    let before = keys();
    for arguments in [&["rotate"][..], &["revoke", &stopped.kid]] {
        let (code, said) = stopped.key(arguments);
        assert!(code == 1 && said.contains("the master key does not open the signing keys"), "{said}");
    }
    assert_eq!(keys(), before);
    std::fs::write(&path, own).unwrap();
    stopped.done(&["rotate"]);
    std::fs::remove_file(&path).unwrap();
    let (code, said) = stopped.key(&["rotate"]);
    assert!(code == 1 && said.contains("master key"), "{said}");
    assert!(!stopped.folder.path().join("master.key").exists());
}
