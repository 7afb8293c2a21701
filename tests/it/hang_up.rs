//! Who hangs up before the answer undoes nothing and hides nothing: what was done is in the log.

use crate::harness::{Program, Tokens, database, send};
use reqwest::Client;
use serde_json::json;
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
