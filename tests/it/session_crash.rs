//! SIGKILL at any moment, also between a token's being spent and its answer: the retry gets the one
//! successor, no session doubles, and no acknowledged logout is lost.

use crate::harness::{Answer, Program, database, decode, send};
use reqwest::{Client, RequestBuilder};
use serde_json::json;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

const QUICK: &[&str] = &["--dev", "--hash-memory-kib", "64", "--hash-passes", "1", "--limits", "false"];
const PASSWORD: &str = "a walk along the river";
const REFRESHING: usize = 8;

/// The server of one round as its clients know it.
#[derive(Clone)]
struct Remote {
    http: Client,
    url: String,
    /// Answers from now on are lost on their way.
    deaf: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
}

impl Remote {
    fn of(program: &Program) -> Self {
        let http = Client::builder().no_proxy().build().unwrap();
        Self { http, url: program.url.clone(), deaf: Arc::default(), answered: Arc::default() }
    }

    /// The whole answer; `None` if the server ends before it, or the answer is lost.
    async fn ask(&self, request: RequestBuilder) -> Option<Answer> {
        let response = request.send().await.ok()?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = response.bytes().await.ok()?.to_vec();
        (!self.deaf.load(Ordering::SeqCst)).then(|| {
            self.answered.fetch_add(1, Ordering::SeqCst);
            Answer { status, headers, body }
        })
    }

    fn post(&self, path: &str) -> RequestBuilder {
        self.http.post(format!("{}{path}", self.url))
    }

    fn refresh(&self, token: &str) -> RequestBuilder {
        let body = format!("grant_type=refresh_token&refresh_token={token}");
        self.post("/token").header("content-type", "application/x-www-form-urlencoded").body(body)
    }

    fn log_in(&self, email: &str) -> RequestBuilder {
        self.post("/login").json(&json!({"email": email, "password": PASSWORD}))
    }

    async fn sign_up(&self, email: &str) {
        let body = json!({"email": email, "name": "x", "password": PASSWORD});
        assert_eq!(send(self.post("/user").json(&body)).await.status, 201);
    }

    async fn profile(&self, access: &str) -> u16 {
        send(self.http.get(format!("{}/user/profile", self.url)).bearer_auth(access)).await.status
    }
}

fn member(answer: &Answer, name: &str) -> String {
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()[name].as_str().unwrap().to_owned()
}

/// A client that keeps its session alive.
struct Holder {
    email: String,
    sid: String,
    access: String,
    refresh: String,
    /// The token before, spent for certain.
    spent: Option<String>,
    uses: i64,
}

impl Holder {
    async fn begin(remote: &Remote, number: usize) -> Self {
        let email = format!("holder-{number}@example.org");
        remote.sign_up(&email).await;
        let answer = send(remote.log_in(&email)).await;
        let (access, refresh) = (member(&answer, "token"), member(&answer, "refresh_token"));
        let sid = decode(&access).1["sid"].as_str().unwrap().replace('-', "");
        Self { email, sid, access, refresh, spent: None, uses: 0 }
    }

    fn take(&mut self, answer: &Answer) {
        self.access = member(answer, "access_token");
        self.spent = Some(std::mem::replace(&mut self.refresh, member(answer, "refresh_token")));
        self.uses += 1;
    }

    /// Refreshes with the latest token it has seen until there is no answer.
    async fn refresh_until_the_end(mut self, remote: Remote) -> Self {
        while let Some(answer) = remote.ask(remote.refresh(&self.refresh)).await {
            self.take(&answer);
        }
        self
    }

    /// How often its tokens were spent, as the database has it.
    fn generation(&self, folder: &Path) -> i64 {
        let sql = "SELECT generation FROM sessions WHERE hex(id) = upper(?1) AND ended_at IS NULL";
        database(folder).query_row(sql, [&self.sid], |row| row.get(0)).unwrap()
    }

    /// Retries after a kill: the one successor, each time. Says whether an answer had been lost.
    async fn retry(&mut self, remote: &Remote, folder: &Path) -> bool {
        let lost = self.generation(folder) - self.uses;
        assert!([0, 1].contains(&lost), "{}: spent {lost} more than it was used", self.email);
        let first = send(remote.refresh(&self.refresh)).await;
        let again = send(remote.refresh(&self.refresh)).await;
        assert_eq!(member(&first, "refresh_token"), member(&again, "refresh_token"), "{}", self.email);
        self.take(&first);
        assert_eq!(self.generation(folder), self.uses);
        assert_eq!(remote.profile(&self.access).await, 200);
        lost == 1
    }
}

type Ended = Arc<Mutex<Vec<(String, String)>>>;

/// Logs in and out until there is no answer; notes the tokens of acknowledged logouts.
async fn log_in_and_out(remote: Remote, ended: Ended) {
    while let Some(answer) = remote.ask(remote.log_in("visitor@example.org")).await {
        let (access, refresh) = (member(&answer, "token"), member(&answer, "refresh_token"));
        let Some(done) = remote.ask(remote.post("/logout").bearer_auth(&access)).await else { return };
        assert_eq!(done.status, 204);
        ended.lock().unwrap().push((access, refresh));
    }
}

/// Lets the clients work for a while and kills the server under them. Gives back the clients.
async fn kill_under_load(
    program: &mut Program,
    holders: Vec<Holder>,
    ended: &Ended,
    round: u32,
) -> Vec<Holder> {
    let remote = Remote::of(program);
    let (mut clients, mut visitors) = (JoinSet::new(), JoinSet::new());
    for holder in holders {
        clients.spawn(holder.refresh_until_the_end(remote.clone()));
    }
    for _ in 0..3 {
        visitors.spawn(log_in_and_out(remote.clone(), ended.clone()));
    }
    while remote.answered.load(Ordering::SeqCst) < 80 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    // In every other round nothing but the kill itself loses answers.
    if round.is_multiple_of(2) {
        remote.deaf.store(true, Ordering::SeqCst);
    }
    tokio::time::sleep(Duration::from_micros(u64::from(round) * 700)).await;
    program.signal("KILL");
    program.wait(Duration::from_secs(10));
    visitors.join_all().await;
    clients.join_all().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn checklist_41_to_47_sigkill_between_spending_and_answering() {
    let folder = tempfile::tempdir().unwrap();
    let mut program = Program::serve(folder.path(), QUICK);
    let first = Remote::of(&program);
    first.sign_up("visitor@example.org").await;
    let mut holders = Vec::new();
    for number in 0..REFRESHING {
        holders.push(Holder::begin(&first, number).await);
    }
    let mut lost = 0;
    for round in 0..10 {
        let ended = Ended::default();
        holders = kill_under_load(&mut program, holders, &ended, round).await;
        let killed = Instant::now();
        program = Program::serve(folder.path(), QUICK);
        let remote = Remote::of(&program);
        for holder in &mut holders {
            lost += usize::from(holder.retry(&remote, folder.path()).await);
        }
        assert!(killed.elapsed() < Duration::from_secs(10), "the machine was too slow for the window");
        let ended = std::mem::take(&mut *ended.lock().unwrap());
        for (access, refresh) in ended.iter().rev().take(10) {
            assert_eq!(remote.profile(access).await, 401, "round {round}: a logout is lost");
            send(remote.refresh(refresh)).await.oauth_error(400, "invalid_grant");
        }
    }
    assert!(lost > 0, "no answer was ever lost: nothing was tried");
    let families = "SELECT count(*) FROM sessions JOIN accounts ON accounts.id = account_id
        WHERE email LIKE 'holder-%' AND ended_at IS NULL";
    let families: i64 = database(folder.path()).query_row(families, [], |row| row.get(0)).unwrap();
    assert_eq!(families, i64::try_from(REFRESHING).unwrap(), "as many sessions as logins");

    holders = kill_under_load(&mut program, holders, &Ended::default(), 0).await;
    program = Program::serve(folder.path(), QUICK);
    let remote = Remote::of(&program);
    // The one wait that nothing can announce: the window of the real clock.
    tokio::time::sleep(Duration::from_millis(10_500)).await;
    for holder in &holders {
        let was_lost = holder.generation(folder.path()) > holder.uses;
        let late = if was_lost { &holder.refresh } else { holder.spent.as_ref().unwrap() };
        send(remote.refresh(late)).await.oauth_error(400, "invalid_grant");
        send(remote.refresh(&holder.refresh)).await.oauth_error(400, "invalid_grant");
        assert_eq!(remote.profile(&holder.access).await, 401, "{}", holder.email);
        assert_eq!(send(remote.log_in(&holder.email)).await.status, 200, "a login goes on");
    }
}
