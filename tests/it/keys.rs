//! Signing keys: how they are published, kept over restarts, and sealed at rest.

use crate::harness::{
    Account, Caller as _, Program, TestApp, all_at_once, count, database, decode, free_port, sqlite_only,
};
use claviger_crypto::{base64url, from_base64url, sha256};
use reqwest::Method;
use serde_json::{Value, json};
use std::path::Path;
use tempfile::TempDir;

const JWK_SET: &str = "/.well-known/jwks.json";

/// The key that signs; the next one stands behind it as soon as it is made.
async fn active_key(app: &TestApp) -> Value {
    app.anonymous().get(JWK_SET).await.json()["keys"][0].clone()
}

fn modulus(key: &Value) -> Vec<u8> {
    from_base64url(key["n"].as_str().unwrap()).unwrap()
}

#[tokio::test]
async fn checklist_56_the_set_holds_public_members_alone() {
    let app = TestApp::start().await;
    let answer = app.anonymous().get(JWK_SET).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), "application/jwk-set+json");
    assert!(answer.header("cache-control").contains("max-age="), "{}", answer.header("cache-control"));
    let set = answer.json();
    assert_eq!(set.as_object().unwrap().keys().collect::<Vec<_>>(), ["keys"]);

    let key = active_key(&app).await;
    let members: Vec<&str> = key.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(members, ["alg", "e", "kid", "kty", "n", "use"]);
    let fixed = ["alg", "e", "kty", "use"].map(|member| key[member].as_str().unwrap());
    assert_eq!(fixed, ["RS256", "AQAB", "RSA", "sig"]);
    assert_eq!(modulus(&key).len(), 256);
    assert!(modulus(&key)[0] >= 0x80, "2048 bits in full, without a leading zero");
}

#[tokio::test]
async fn checklist_56_kid_is_the_thumbprint_of_rfc_7638_and_names_the_key_of_a_token() {
    let app = TestApp::start().await;
    let key = active_key(&app).await;
    let required = format!(r#"{{"e":{},"kty":{},"n":{}}}"#, key["e"], key["kty"], key["n"]);
    assert_eq!(key["kid"], base64url(&sha256(required.as_bytes())));
    let alice = app.account("alice").await;
    assert_eq!(decode(&alice.token).0["kid"], key["kid"]);
}

#[tokio::test]
async fn the_starting_form_of_the_key_is_one_object() {
    let app = TestApp::start().await;
    app.anonymous().get("/jwks").await.problem(401, "credentials-required");
    let alice = app.account("alice").await;
    let key = active_key(&app).await;
    for header in ["authorization", "x-access-token", "token"] {
        let answer = alice.by_token(header).get("/jwks").await;
        assert_eq!(answer.status, 200);
        let of = |member: &str| key[member].as_str().unwrap();
        let expected = format!(
            r#"{{"keys":{{"alg":"RS256","e":"AQAB","kid":"{}","kty":"RSA","n":"{}","use":"sig"}}}}"#,
            of("kid"),
            of("n")
        );
        assert_eq!(answer.text(), expected, "{header}");
    }
}

#[tokio::test]
async fn checklist_47_a_restart_keeps_the_key_and_yesterdays_tokens() {
    let app = TestApp::with(&[("access_token_ttl", "24h")]).await;
    let alice = app.account("alice").await;
    let before = active_key(&app).await;
    let token = alice.token.clone();
    app.advance(std::time::Duration::from_secs(23 * 3600));

    let app = app.restart().await;
    assert_eq!(active_key(&app).await, before);
    let again = Account { token, ..app.person("alice") };
    assert_eq!(again.get("/user/profile").await.json()["user"]["email"], again.email);
    let fresh = again.by_password().get("/login").await.json();
    assert_eq!(decode(fresh["token"].as_str().unwrap()).0["kid"], decode(&again.token).0["kid"]);

    let app = app.restart_with(&[("rsa_bits", "3072")]).await;
    assert_eq!(active_key(&app).await, before, "the size is for new keys");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn checklist_57_larger_keys_and_the_first_requests_wait_for_the_key() {
    let app = TestApp::with(&[("rsa_bits", "3072")]).await;
    let anonymous = app.anonymous();
    let body = json!({"email": "a@example.org", "name": "a", "password": "a walk along the river"});
    let first = [
        anonymous.request(Method::GET, JWK_SET),
        anonymous.request(Method::POST, "/user").json(&body),
        anonymous.request(Method::GET, JWK_SET),
        anonymous.request(Method::GET, "/docs"),
    ];
    let statuses: Vec<u16> = all_at_once(first).await.iter().map(|answer| answer.status).collect();
    assert!(statuses.iter().all(|status| [200, 201].contains(status)), "{statuses:?}");
    let login = anonymous.post("/login", &body).await;
    assert_eq!(login.status, 200, "{}", login.text());
    assert_eq!(modulus(&active_key(&app).await).len(), 384);
    let token = login.json()["token"].as_str().unwrap().to_owned();
    assert_eq!(from_base64url(token.rsplit('.').next().unwrap()).unwrap().len(), 384);
}

#[tokio::test]
async fn the_first_login_of_all_waits_for_the_key() {
    let app = TestApp::with(&[("rsa_bits", "3072"), ("dev", "true"), ("hash_memory_kib", "64")]).await;
    let alice = app.account("alice").await;
    assert_eq!(alice.get("/user/profile").await.status, 200);
    assert_eq!(count(&database(app.data_dir()), "signing_keys WHERE state = 'active'"), 1);
}

/// A folder in which a server has made its key.
struct Used {
    folder: TempDir,
    key: Value,
}

async fn used(arguments: &[&str]) -> Used {
    let folder = tempfile::tempdir().unwrap();
    let key = jwk_set(folder.path(), arguments).await["keys"][0].clone();
    Used { folder, key }
}

/// Starts a server on the folder, reads the set that it publishes, and stops it.
async fn jwk_set(folder: &Path, arguments: &[&str]) -> Value {
    let mut program = Program::serve(folder, arguments);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = client.get(format!("{}{JWK_SET}", program.url)).send().await.unwrap();
    let set = answer.json().await.unwrap();
    program.stop();
    set
}

/// Asserts that no server starts on the folder, and that it says which key must come back.
#[track_caller]
fn assert_refused(folder: &Path, arguments: &[&str], why: &str) {
    let (code, text) = Program::refusal(Program::command(&[]), folder, free_port(), arguments);
    assert_eq!(code, 1, "{why}: {text}");
    assert!(text.contains("master key") && text.contains("Restore"), "{why}: {text}");
}

#[tokio::test]
async fn checklist_59_another_master_key_is_refused_and_the_right_one_goes_on() {
    let used = used(&[]).await;
    let folder = used.folder.path();
    let elsewhere = tempfile::tempdir().unwrap();
    let (own, other) = (folder.join("master.key"), elsewhere.path().join("master.key"));
    // A copy first: it must be as private as the own one to be read at all.
    std::fs::copy(&own, &other).unwrap();
    std::fs::write(&other, "A".repeat(43)).unwrap();
    assert_refused(folder, &["--master-key-file", other.to_str().unwrap()], "another file");

    let mut command = Program::command(&[]);
    command.env("CLAVIGER_MASTER_KEY", "A".repeat(43));
    let (code, text) = Program::refusal(command, folder, free_port(), &[]);
    assert!(code == 1 && text.contains("Restore"), "another key as a variable: {text}");

    assert_eq!(jwk_set(folder, &[]).await["keys"][0], used.key);
}

#[tokio::test]
async fn checklist_59_a_lost_master_key_is_asked_for_and_not_replaced() {
    let used = used(&[]).await;
    let folder = used.folder.path();
    let (own, kept) = (folder.join("master.key"), folder.join("kept.key"));
    std::fs::rename(&own, &kept).unwrap();
    assert_refused(folder, &[], "the key is lost");
    assert!(!own.exists(), "a new key in its place would hide that it is lost");
    std::fs::rename(&kept, &own).unwrap();
    assert_eq!(jwk_set(folder, &[]).await["keys"][0], used.key);
}

#[tokio::test]
async fn checklist_59_damaged_sealed_keys_are_refused() {
    let used = used(&[]).await;
    let folder = used.folder.path();
    let read = "SELECT sealed_pkcs8 FROM signing_keys WHERE state = 'active'";
    let sealed: Vec<u8> = database(folder).query_row(read, [], |row| row.get(0)).unwrap();
    let write = |value: &[u8]| {
        let sql = "UPDATE signing_keys SET sealed_pkcs8 = $1 WHERE state = 'active'";
        assert_eq!(database(folder).execute(sql, [value]).unwrap(), 1);
    };
    let flipped = |place: usize| {
        let mut value = sealed.clone();
        value[place] ^= 1;
        value
    };
    for (value, why) in [
        (Vec::new(), "empty"),
        (sealed[..40].to_vec(), "cut off"),
        (flipped(0), "another version"),
        (flipped(5), "another nonce"),
        (flipped(100), "other contents"),
        (flipped(sealed.len() - 1), "another tag"),
    ] {
        write(&value);
        assert_refused(folder, &[], why);
    }
    write(&sealed);
    assert_eq!(jwk_set(folder, &[]).await["keys"][0], used.key);
}

#[tokio::test]
async fn checklist_59_a_sealed_key_opens_in_its_own_row_only() {
    let keys = tempfile::tempdir().unwrap();
    let file = keys.path().join("shared.key");
    let donor = used(&[]).await;
    std::fs::copy(donor.folder.path().join("master.key"), &file).unwrap();
    let same = ["--master-key-file", file.to_str().unwrap()];
    let used = used(&same).await;
    let folder = used.folder.path();

    let (theirs, database) = (database(donor.folder.path()), database(folder));
    let read = "SELECT kid, public_jwk, sealed_pkcs8 FROM signing_keys WHERE state = 'active'";
    let (kid, jwk, sealed): (String, String, Vec<u8>) =
        theirs.query_row(read, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
    let copy = format!(
        "INSERT INTO signing_keys (kid, state, public_jwk, sealed_pkcs8, created_at)
        VALUES ('{kid}', 'retired', $1, $2, 0)"
    );
    assert_eq!(database.execute(&copy, (jwk, sealed)).unwrap(), 1);
    let set = jwk_set(folder, &same).await;
    assert!(set["keys"].as_array().unwrap().contains(&donor.key), "a retired key stays published");

    let value = |state: &str| -> Vec<u8> {
        let read = "SELECT sealed_pkcs8 FROM signing_keys WHERE state = $1";
        database.query_row(read, [state], |row| row.get(0)).unwrap()
    };
    let (active, retired) = (value("active"), value("retired"));
    for (state, sealed) in [("active", retired), ("retired", active)] {
        let write = "UPDATE signing_keys SET sealed_pkcs8 = $1 WHERE state = $2";
        assert_eq!(database.execute(write, (sealed, state)).unwrap(), 1);
    }
    drop(database);
    assert_refused(folder, &same, "swapped between two rows of one master key");
}

/// The bytes of every file in the folder, and of the log.
fn everything(folder: &Path, log: &[String]) -> Vec<(String, Vec<u8>)> {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut all: Vec<_> =
        files.map(|path| (path.display().to_string(), std::fs::read(path).unwrap())).collect();
    all.push(("the log".to_owned(), log.join("\n").into_bytes()));
    all
}

fn holds(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

#[tokio::test]
async fn checklist_59_private_keys_are_nowhere_in_clear() {
    if sqlite_only() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut program = Program::serve(folder.path(), &["--log-level", "trace"]);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("{}{JWK_SET}", program.url);
    let set: Value = client.get(url).send().await.unwrap().json().await.unwrap();
    let key = &set["keys"][0];
    // While it runs the key may stand in the write-ahead log alone.
    let running = everything(folder.path(), &program.log());
    let stopped = everything(folder.path(), &program.stop());
    // A row may be spread over pages, so pieces are looked for. Every form of the private key holds the modulus.
    let text = key["n"].as_str().unwrap();
    let modulus = modulus(key);
    let marks =
        modulus.chunks(16).chain([&b"PRIVATE KEY"[..], b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01", b"\"dp\""]);
    for (files, when) in [(running, "running"), (stopped, "stopped")] {
        let public =
            files.iter().any(|(_, bytes)| text.as_bytes().chunks(16).any(|piece| holds(bytes, piece)));
        assert!(public, "{when}: the public half is found by this search");
        for mark in marks.clone() {
            let found = files.iter().find(|(_, bytes)| holds(bytes, mark));
            assert!(found.is_none(), "{when}: {} holds a private key", found.unwrap().0);
        }
    }
}
