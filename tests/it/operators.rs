//! What operators do on the command line beside a running server, and that it holds at once.

use crate::harness::{Answer, Program, count, database, decode, send};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;
use tempfile::TempDir;
use url::form_urlencoded::Serializer;

/// Exit code, standard output, standard error.
pub type Outcome = (i32, String, String);

/// Runs a command of the program on a data folder, with `input` at its standard input.
pub fn run(data_dir: &Path, arguments: &[&str], input: &str) -> Outcome {
    let mut command = Program::command(arguments);
    command.args(["--data-dir", data_dir.to_str().unwrap()]).current_dir(data_dir);
    command.envs(Program::database(data_dir));
    let piped = || Stdio::piped();
    let mut child = command.stdin(piped()).stdout(piped()).stderr(piped()).spawn().unwrap();
    // A command that reads nothing may have ended already.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// A running server with its operator.
pub struct Town {
    pub program: Program,
    http: Client,
    pub folder: TempDir,
}

/// A person with an account there, logged in.
pub struct Person {
    pub email: String,
    pub password: String,
    pub id: String,
    pub token: String,
    pub refresh_token: String,
}

impl Town {
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// With more arguments for the server.
    pub fn start_with(arguments: &[&str]) -> Self {
        Self::at(tempfile::tempdir().unwrap(), &[&["--limits", "false"], arguments].concat())
    }

    /// On a folder that may hold something already.
    pub fn at(folder: TempDir, arguments: &[&str]) -> Self {
        let program = Program::serve(folder.path(), arguments);
        Self { program, http: Client::builder().no_proxy().build().unwrap(), folder }
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.program.url))
    }

    pub async fn person(&self, name: &str) -> Person {
        let (email, password) = (format!("{name}@example.org"), format!("{name} likes long walks"));
        let body = json!({"email": email, "name": name, "password": password});
        let made = send(self.request(Method::POST, "/user").json(&body)).await;
        let id = made.json()["user"]["public_id"].as_str().unwrap().to_owned();
        let (token, refresh_token) = (String::new(), String::new());
        self.again(Person { email, password, id, token, refresh_token }).await
    }

    /// The same person in another session.
    async fn again(&self, person: Person) -> Person {
        let said = self.login(&person, &person.password).await.json();
        let member = |name: &str| said[name].as_str().unwrap_or_else(|| panic!("{said}")).to_owned();
        Person { token: member("token"), refresh_token: member("refresh_token"), ..person }
    }

    pub async fn login(&self, person: &Person, password: &str) -> Answer {
        let body = json!({"email": person.email, "password": password});
        send(self.request(Method::POST, "/login").json(&body)).await
    }

    pub async fn profile(&self, token: &str) -> Answer {
        send(self.request(Method::GET, "/user/profile").bearer_auth(token)).await
    }

    fn form(&self, path: &str, fields: &[(&str, &str)]) -> RequestBuilder {
        let body = Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = self.request(Method::POST, path);
        request.header("content-type", "application/x-www-form-urlencoded").body(body)
    }

    pub async fn refresh(&self, token: &str) -> Answer {
        send(self.form("/token", &[("grant_type", "refresh_token"), ("refresh_token", token)])).await
    }

    pub async fn introspect(&self, key: &str, token: &str) -> Value {
        send(self.form("/introspect", &[("token", token)]).bearer_auth(key)).await.json()
    }

    pub fn run(&self, arguments: &[&str]) -> Outcome {
        run(self.folder.path(), arguments, "")
    }

    /// Runs a command that must succeed without a word of complaint.
    #[track_caller]
    pub fn told(&self, arguments: &[&str]) -> String {
        let (code, out, err) = self.run(arguments);
        assert_eq!((code, err.as_str()), (0, ""), "{arguments:?}: {out}");
        out
    }

    /// The JSON lines of a command.
    #[track_caller]
    pub fn listed(&self, arguments: &[&str]) -> Vec<Value> {
        let out = self.told(&[arguments, &["--json"]].concat());
        out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The newest event of the trail, with the account it concerns. Keys, which the server makes by itself,
    /// are left out.
    fn last_event(&self) -> (String, String, Value, Value) {
        let newest = self.listed(&["audit", "list", "--limit", "9"]);
        let by_itself = |event: &Value| {
            event["actor"] == "system" && event["event"].as_str().unwrap().starts_with("key-")
        };
        let event = newest.into_iter().find(|event| !by_itself(event)).unwrap();
        let text = |name: &str| event[name].as_str().unwrap().to_owned();
        (text("event"), text("actor"), event["account"].clone(), event["address"].clone())
    }

    /// The text of a new API key, and all that the command said.
    pub fn api_key(&self, scopes: &str) -> (String, String) {
        let said = self.told(&["api-key", "create", "--name", "billing", "--scope", scopes]);
        let key = said.lines().find_map(|line| line.strip_prefix("key  ")).unwrap().to_owned();
        (key, said)
    }
}

/// The system's user who runs the tests.
fn operator() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("Uid:")).unwrap();
    format!("operator:uid {}", line.split_whitespace().nth(1).unwrap())
}

#[tokio::test]
async fn checklist_23_and_38_a_disabled_account_is_refused_on_every_path_at_once() {
    let town = Town::start();
    let (alice, bob) = (town.person("alice").await, town.person("bob").await);
    let (key, _) = town.api_key("introspect");
    assert_eq!(town.introspect(&key, &alice.token).await["active"], true);
    let said = town.told(&["user", "disable", &alice.email]);
    assert_eq!(said, format!("{} is disabled; 1 sessions were ended.\n", alice.id));

    town.profile(&alice.token).await.problem(401, "invalid-token");
    town.refresh(&alice.refresh_token).await.oauth_error(400, "invalid_grant");
    let wrong = town.login(&alice, "a wrong one").await;
    assert_eq!(town.login(&alice, &alice.password).await.essence(), wrong.essence());
    wrong.problem(401, "wrong-credentials");
    let basic = town.request(Method::GET, "/login").basic_auth(&alice.email, Some(&alice.password));
    send(basic).await.problem(401, "wrong-credentials");
    let change = json!({"current_password": alice.password, "new_password": "a stitch in time"});
    let by = |method, path: &str| town.request(method, path).bearer_auth(&alice.token);
    for request in [
        by(Method::PUT, "/user/password").json(&change),
        by(Method::DELETE, "/user").json(&json!({"password": alice.password})),
        by(Method::PATCH, "/user/profile").json(&json!({"name": "Eve"})),
        by(Method::GET, "/user/sessions"),
        by(Method::DELETE, "/user/sessions"),
        by(Method::DELETE, &format!("/user/sessions/{}", decode(&alice.token).1["sid"].as_str().unwrap())),
        by(Method::POST, "/logout"),
        by(Method::GET, "/jwks"),
    ] {
        send(request).await.problem(401, "invalid-token");
    }
    for token in [&alice.token, &alice.refresh_token] {
        assert_eq!(town.introspect(&key, token).await, json!({"active": false}));
    }
    assert_eq!(town.last_event(), ("account-disable".into(), operator(), json!(alice.id), Value::Null));
    assert_eq!(town.profile(&bob.token).await.status, 200, "nobody else is concerned");

    assert_eq!(town.told(&["user", "enable", &alice.id]), format!("{} is enabled.\n", alice.id));
    assert_eq!(town.last_event().0, "account-enable");
    town.profile(&alice.token).await.problem(401, "invalid-token");
    town.refresh(&alice.refresh_token).await.oauth_error(400, "invalid_grant");
    let alice = town.again(alice).await;
    assert_eq!(town.profile(&alice.token).await.status, 200);
}

#[tokio::test]
async fn accounts_are_listed_and_shown() {
    let town = Town::start();
    let (alice, bob) = (town.person("alice").await, town.person("bob").await);
    let bob = town.again(bob).await;
    town.told(&["user", "disable", &alice.id]);
    let listed = town.listed(&["user", "list"]);
    let of = |name: &str| listed.iter().map(|line| line[name].as_str().unwrap()).collect::<Vec<_>>();
    assert_eq!(of("id"), [&alice.id, &bob.id]);
    assert_eq!(of("email"), [&alice.email, &bob.email]);
    assert_eq!((of("name"), of("state")), (vec!["alice", "bob"], vec!["disabled", "active"]));
    assert!(of("created_at").iter().all(|at| at.starts_with("20") && at.ends_with('Z')));
    assert_eq!(town.listed(&["user", "list", "--limit", "1"]).len(), 1);
    let table = town.told(&["user", "list"]);
    assert_eq!(table.lines().count(), 3, "{table}");
    assert!(table.starts_with("ID ") && table.contains("CREATED AT"), "{table}");

    // By id, and by the e-mail address in any spelling.
    for who in [bob.id.as_str(), "bob@example.org", "BOB@Example.ORG"] {
        let shown = town.listed(&["user", "show", who]).remove(0);
        assert_eq!((&shown["id"], &shown["sessions"]), (&json!(bob.id), &json!("2")), "{who}");
        assert_eq!(shown["disabled_at"], Value::Null);
    }
    let shown = town.listed(&["user", "show", &alice.email]).remove(0);
    assert!(shown["disabled_at"].as_str().is_some_and(|at| at.starts_with("20")), "{shown}");
    assert_eq!(shown["sessions"], "0");
}

#[tokio::test]
async fn what_others_have_typed_does_nothing_to_the_terminal() {
    let town = Town::start();
    let alice = town.person("alice").await;
    let name = "\u{1b}[2J\u{9b}1m\u{202e}\u{7}\r\neve";
    let update = "UPDATE accounts SET name = $1 WHERE email_key = 'alice@example.org'";
    assert_eq!(database(town.folder.path()).execute(update, [name]), Ok(1));
    for arguments in [&["user", "list"][..], &["user", "show", &alice.id]] {
        let said = town.told(arguments);
        assert!(said.contains("\\u{1b}[2J\\u{9b}1m\\u{202e}\\u{7}\\r\\neve"), "{said:?}");
        assert!(said.chars().all(|c| c == '\n' || c == ' ' || c.is_ascii_graphic()), "{said:?}");
        let json = town.told(&[arguments, &["--json"]].concat());
        assert!(json.chars().all(|c| c == '\n' || c == ' ' || c.is_ascii_graphic()), "{json:?}");
        let line: Value = serde_json::from_str(json.trim_end()).unwrap();
        assert_eq!(line["name"], name);
    }
}

#[tokio::test]
async fn checklist_38_a_deleted_account_is_gone_at_once() {
    let town = Town::start();
    let (alice, bob) = (town.person("alice").await, town.person("bob").await);
    for input in ["", "no\n", "YES\n", "y\n"] {
        let (code, _, err) = run(town.folder.path(), &["user", "delete", &alice.email], input);
        assert_eq!((code, err.as_str()), (1, "error: nothing was deleted\n"), "{input:?}");
    }
    assert_eq!(town.profile(&alice.token).await.status, 200);
    let (code, out, _) = run(town.folder.path(), &["user", "delete", &bob.email], "yes\n");
    assert_eq!((code, out), (0, format!("{} is deleted.\n", bob.id)));
    assert_eq!(town.told(&["user", "delete", &alice.email, "--yes"]), format!("{} is deleted.\n", alice.id));
    for person in [&alice, &bob] {
        town.profile(&person.token).await.problem(401, "invalid-token");
        town.refresh(&person.refresh_token).await.oauth_error(400, "invalid_grant");
        town.login(person, &person.password).await.problem(401, "wrong-credentials");
    }
    assert_eq!(town.last_event(), ("account-delete".into(), operator(), Value::Null, Value::Null));
    assert_eq!(count(&database(town.folder.path()), "accounts"), 0);
    let said = town.told(&["audit", "verify"]);
    assert!(said.contains("chain whole"), "{said}");
    assert_ne!(town.person("alice").await.id, alice.id, "the address is free, the id is not");
}

#[tokio::test]
async fn a_password_is_set_from_standard_input_alone() {
    let town = Town::start();
    let alice = town.person("alice").await;
    let set = |more: &[&str], input: &str| {
        run(town.folder.path(), &[&["user", "set-password", alice.email.as_str()], more].concat(), input)
    };
    for input in ["", "\n", "short\n", "12345678\n", "alice@example.org\n", "nul\0 in the middle\n"] {
        let (code, out, err) = set(&[], input);
        assert_eq!((code, out.as_str()), (1, ""), "{input:?}");
        assert!(err.starts_with("error: the password "), "{input:?}: {err}");
    }
    let (code, ..) = set(&["a stitch in time"], "");
    assert_eq!(code, 2, "others can read a command line");
    assert_eq!(town.profile(&alice.token).await.status, 200, "nothing was changed");

    let said = format!("{} has a new password.\n", alice.id);
    assert_eq!(set(&["--keep-sessions"], "a stitch in time\n"), (0, said.clone(), String::new()));
    assert_eq!(town.profile(&alice.token).await.status, 200);
    town.login(&alice, &alice.password).await.problem(401, "wrong-credentials");
    assert_eq!(town.login(&alice, "a stitch in time").await.status, 200);
    assert_eq!(town.last_event().0, "login");

    assert_eq!(set(&[], "saves nine, they say\r\nand more"), (0, said, String::new()));
    assert_eq!(town.last_event(), ("password-change".into(), operator(), json!(alice.id), Value::Null));
    town.profile(&alice.token).await.problem(401, "invalid-token");
    town.refresh(&alice.refresh_token).await.oauth_error(400, "invalid_grant");
    town.login(&alice, "a stitch in time").await.problem(401, "wrong-credentials");
    assert_eq!(town.login(&alice, "saves nine, they say").await.status, 200);
}

#[tokio::test]
async fn sessions_are_listed_and_ended() {
    let town = Town::start();
    let alice = town.person("alice").await;
    let bob = town.person("bob").await;
    let first = alice.token.clone();
    let alice = town.again(alice).await;
    let sid = |token: &str| decode(token).1["sid"].as_str().unwrap().to_owned();
    let listed = |who: &str| {
        let lines = town.listed(&["session", "list", who]);
        assert!(lines.iter().all(|line| line["address"] == "127.0.0.1"), "{lines:?}");
        lines.iter().map(|line| line["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let mut both = [sid(&alice.token), sid(&first)];
    both.sort_by(|one, other| other.cmp(one));
    assert_eq!(listed(&alice.email), both, "newest first");

    assert_eq!(town.told(&["session", "revoke", &sid(&first)]), format!("{} was ended.\n", sid(&first)));
    assert_eq!(town.last_event(), ("revoke".into(), operator(), json!(alice.id), Value::Null));
    town.profile(&first).await.problem(401, "invalid-token");
    assert_eq!(town.profile(&alice.token).await.status, 200);
    assert_eq!(listed(&alice.id), [sid(&alice.token)]);
    let (code, _, err) = town.run(&["session", "revoke", &sid(&first)]);
    assert!(code == 1 && err.starts_with("error: ") && err.contains("session"), "{err}");

    let alice = town.again(alice).await;
    assert_eq!(town.told(&["session", "revoke", "--user", &alice.email]), "2 sessions were ended.\n");
    town.profile(&alice.token).await.problem(401, "invalid-token");
    town.refresh(&alice.refresh_token).await.oauth_error(400, "invalid_grant");
    assert_eq!(listed(&alice.email), [""; 0]);
    assert_eq!(town.told(&["session", "revoke", "--user", &alice.email]), "0 sessions were ended.\n");
    assert_eq!(town.profile(&bob.token).await.status, 200, "nobody else is concerned");
    assert_eq!(town.login(&alice, &alice.password).await.status, 200, "the account may log in again");
}

#[tokio::test]
async fn checklist_90_api_keys_are_made_shown_once_and_taken_back() {
    let town = Town::start();
    let alice = town.person("alice").await;
    let (key, said) = town.api_key("introspect, revoke");
    let (asks, _) = town.api_key("introspect");
    assert_eq!(said.matches(&key).count(), 1, "{said}");
    let listed = town.listed(&["api-key", "list"]);
    let id = listed[0]["id"].as_str().unwrap();
    assert!(said.starts_with(&format!("id   {id}\nkey  cvk_")), "{said}");
    let (event, actor, ..) = town.last_event();
    assert_eq!((event.as_str(), actor), ("api-key-create", operator()));
    assert_eq!((&listed[0]["name"], &listed[0]["scope"]), (&json!("billing"), &json!("introspect,revoke")));
    assert_eq!((&listed[0]["expires_at"], &listed[0]["last_used_at"]), (&Value::Null, &Value::Null));

    assert_eq!(town.introspect(&asks, &alice.token).await["active"], true);
    send(town.form("/revoke", &[("token", "x")]).bearer_auth(&asks))
        .await
        .oauth_error(403, "insufficient_scope");
    assert_eq!(send(town.form("/revoke", &[("token", "x")]).bearer_auth(&key)).await.status, 200);
    assert!(town.listed(&["api-key", "list"])[0]["last_used_at"].is_string());

    assert_eq!(town.told(&["api-key", "revoke", id]), format!("{id} is taken back.\n"));
    assert_eq!(town.introspect(&key, &alice.token).await["error"], "invalid_client");
    assert_eq!(town.last_event().0, "api-key-revoke");
    assert_eq!(town.listed(&["api-key", "list"]).len(), 1);

    let name = "\u{1b}[2Jci\u{202e}";
    town.told(&["api-key", "create", "--name", name, "--scope", "revoke", "--expires", "90d"]);
    let table = town.told(&["api-key", "list"]);
    assert!(table.contains("[2Jci\\u{202e}") && !table.contains(['\u{1b}', '\u{202e}']), "{table:?}");
    assert!(town.listed(&["api-key", "list"])[1]["expires_at"].is_string());

    for (arguments, hint) in [
        (["--scope", "introspct", "--expires", "1d"], "introspect, revoke"),
        (["--scope", "", "--expires", "1d"], "introspect, revoke"),
        (["--scope", "introspect,", "--expires", "1d"], "introspect, revoke"),
        (["--scope", "revoke", "--expires", "soon"], "90d"),
        (["--scope", "revoke", "--expires", "0s"], "90d"),
    ] {
        let (code, out, err) = town.run(&[&["api-key", "create", "--name", "x"], &arguments[..]].concat());
        assert!(code == 1 && out.is_empty() && err.contains(hint), "{arguments:?}: {err}");
    }
    assert_eq!(town.listed(&["api-key", "list"]).len(), 2, "nothing was made");
}
