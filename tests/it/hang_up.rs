//! Who hangs up before the answer undoes nothing and hides nothing: what was done is in the log.

use crate::harness::{Program, Tokens, database, send};
use reqwest::Client;
use serde_json::json;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::TcpStream;

const QUICK: &[&str] = &["--dev", "--hash-memory-kib", "64", "--hash-passes", "1", "--limits", "false"];

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn checklist_90_what_was_done_for_a_caller_who_hung_up_is_in_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let mut program = Program::serve(folder.path(), QUICK);
    let http = Client::builder().no_proxy().build().unwrap();
    let post = |path: &str| http.post(format!("{}{path}", program.url));
    let body = json!({"email": "a@example.org", "name": "a", "password": "a walk along the river"});
    assert_eq!(send(post("/user").json(&body)).await.status, 201);
    for _ in 0..40 {
        let Tokens { access, .. } = Tokens::of(&send(post("/login").json(&body)).await);
        let request = format!("POST /logout HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {access}\r\n\r\n");
        let mut stream = TcpStream::connect(program.address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
    }
    let last = Tokens::of(&send(post("/login").json(&body)).await);
    assert_eq!(send(post("/logout").bearer_auth(&last.access)).await.status, 204);

    let log = program.stop();
    let told = log.iter().filter(|line| line.contains("event=\"logout\"")).count();
    let sql = "SELECT count(*) FROM audit_events WHERE event = 'logout'";
    let done: i64 = database(folder.path()).query_row(sql, [], |row| row.get(0)).unwrap();
    assert!(done > 1, "some were taken up");
    assert_eq!(told, usize::try_from(done).unwrap(), "logouts in the log, and those that were done");
}

/// How often the log tells that something of each kind was done.
fn told(log: &[String]) -> BTreeMap<String, i64> {
    let mut told = BTreeMap::new();
    for line in log.iter().filter(|line| line.contains("outcome=\"success\"")) {
        if let Some((_, rest)) = line.split_once("event=\"") {
            let (event, _) = rest.split_once('"').unwrap();
            *told.entry(event.to_owned()).or_default() += 1;
        }
    }
    told
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn checklist_90_the_log_and_the_trail_agree_whatever_was_asked_for_by_who_hung_up() {
    let folder = tempfile::tempdir().unwrap();
    let mut program = Program::serve(folder.path(), QUICK);
    let http = Client::builder().no_proxy().build().unwrap();
    let post = |path: &str| http.post(format!("{}{path}", program.url));
    let hang_up = |method: &str, path: &str, access: &str, kind: &str, body: &str| {
        let head = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {access}\r\n");
        let length = body.len();
        let request = format!("{head}Content-Type: {kind}\r\nContent-Length: {length}\r\n\r\n{body}");
        TcpStream::connect(program.address).unwrap().write_all(request.as_bytes()).unwrap();
    };
    let (json, form) = ("application/json", "application/x-www-form-urlencoded");
    for number in 0..12 {
        let email = format!("a{number}@example.org");
        let body = json!({"email": email, "name": "a", "password": "a walk along the river"});
        assert_eq!(send(post("/user").json(&body)).await.status, 201);
        let other = json!({"email": format!("b{email}"), "name": "b", "password": "a walk along the river"});
        let first = Tokens::of(&send(post("/login").json(&body)).await);
        let second = Tokens::of(&send(post("/login").json(&body)).await);
        hang_up("POST", "/user", "", json, &other.to_string());
        hang_up("POST", "/login", "", json, &body.to_string());
        let refresh = format!("grant_type=refresh_token&refresh_token={}", first.refresh);
        hang_up("POST", "/token", "", form, &refresh);
        hang_up("PATCH", "/user/profile", &first.access, json, r#"{"name":"c"}"#);
        hang_up("POST", "/revoke", "", form, &format!("client_id=claviger&token={}", second.refresh));
        if number % 3 == 0 {
            let change = json!({"current_password": "a walk along the river", "new_password": "a swim"});
            hang_up("PUT", "/user/password", &first.access, json, &change.to_string());
        } else if number % 3 == 1 {
            hang_up("DELETE", "/user", &first.access, json, r#"{"password":"a walk along the river"}"#);
        } else {
            hang_up("DELETE", "/user/sessions?all=true", &first.access, json, "");
        }
    }
    let told = told(&program.stop());
    let database = database(folder.path());
    let sql = "SELECT event, count(*) FROM audit_events WHERE outcome = 'success' GROUP BY event";
    let mut statement = database.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    let done: BTreeMap<String, i64> = rows.map(Result::unwrap).collect();
    assert_eq!(told, done, "the log, and the trail");
    assert!(done.len() > 5, "some of each kind were taken up: {done:?}");
}
