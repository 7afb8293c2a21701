//! Uses of a session at the same moment as its end, on real threads: whoever comes first, in the end no
//! token of an ended session works anywhere, and no session of a disabled account is live.

use crate::harness::{Account, Answer, Caller as _, TestApp, Tokens, database, send};
use claviger::base::id::AccountId;
use claviger::{admin, jobs};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use tokio::task::JoinSet;

/// A refresh is then one statement.
const QUICK: &[(&str, &str)] =
    &[("dev", "true"), ("hash_memory_kib", "8"), ("hash_passes", "1"), ("audit_refreshes", "false")];
const AUDITED: &[(&str, &str)] = &[("dev", "true"), ("hash_memory_kib", "8"), ("hash_passes", "1")];
const ROUNDS: usize = 12;
const NEW: &str = "a stitch in time saves nine";

/// A client on a thread of its own; all of them note the tokens that they get.
#[derive(Clone)]
struct Racer {
    http: Client,
    url: String,
    seen: Arc<Mutex<Vec<Tokens>>>,
}

impl Racer {
    fn of(app: &TestApp) -> Self {
        Self { http: app.http.clone(), url: app.url.clone(), seen: Arc::default() }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url))
    }

    fn note(&self, answer: &Answer) -> Tokens {
        let tokens = Tokens::of(answer);
        self.seen.lock().unwrap().push(tokens.clone());
        tokens
    }

    /// Refreshes, always with the latest token, until that is refused.
    async fn refresh_until_refused(self, mut token: String) {
        loop {
            let body = format!("grant_type=refresh_token&refresh_token={token}");
            let request = self.request(Method::POST, "/token").body(body);
            let answer = send(request.header("content-type", "application/x-www-form-urlencoded")).await;
            if answer.status != 200 {
                answer.oauth_error(400, "invalid_grant");
                return;
            }
            token = self.note(&answer).refresh;
        }
    }

    /// Logs in `times` times, as far as it is let in.
    async fn log_in(self, body: Value, times: usize) {
        for _ in 0..times {
            let answer = send(self.request(Method::POST, "/login").json(&body)).await;
            if answer.status == 200 {
                self.note(&answer);
            } else {
                answer.problem(401, "wrong-credentials");
            }
        }
    }

    /// Waits until so many tokens were given.
    async fn seen(&self, count: usize) {
        while self.seen.lock().unwrap().len() < count {
            tokio::task::yield_now().await;
        }
    }
}

/// Starts clients that refresh the sessions, two for each, of which each may get the other's successor.
fn refreshing(racer: &Racer, sessions: &[&Account<'_>]) -> JoinSet<()> {
    let mut clients = JoinSet::new();
    for session in sessions {
        for _ in 0..2 {
            clients.spawn(racer.clone().refresh_until_refused(session.refresh_token.clone()));
        }
    }
    clients
}

/// Asserts that none of these tokens works anywhere.
async fn assert_over(app: &TestApp, tokens: &[Tokens]) {
    assert!(!tokens.is_empty());
    for Tokens { access, refresh } in tokens {
        let profile = app.anonymous().request(Method::GET, "/user/profile").bearer_auth(access);
        send(profile).await.problem(401, "invalid-token");
        crate::harness::refresh(app, refresh).await.oauth_error(400, "invalid_grant");
    }
}

/// How many live sessions the database has of an account.
fn live(app: &TestApp, public_id: &str) -> i64 {
    let sql = "SELECT count(*) FROM sessions WHERE hex(account_id) = upper(?1) AND ended_at IS NULL";
    database(app.data_dir()).query_row(sql, [public_id.replace('-', "")], |row| row.get(0)).unwrap()
}

fn id(account: &Account<'_>) -> AccountId {
    AccountId::parse(&account.public_id).unwrap()
}

/// All that was given in all rounds is still refused after a restart.
async fn assert_over_after_restart(app: TestApp, all: Vec<Tokens>) {
    let app = app.restart().await;
    assert_over(&app, &all).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn checklist_42_and_49_refreshing_against_a_logout() {
    let (app, mut all) = (TestApp::with(QUICK).await, Vec::new());
    for round in 0..ROUNDS {
        let alice = app.account(&format!("alice{round}")).await;
        let racer = Racer::of(&app);
        let clients = refreshing(&racer, &[&alice]);
        racer.seen(round).await;
        // Several at once: all of them are told that it is over.
        for answer in
            crate::harness::all_at_once((0..3).map(|_| alice.request(Method::POST, "/logout"))).await
        {
            assert!([204, 401].contains(&answer.status), "{}", answer.text());
        }
        let given = racer.seen.lock().unwrap().clone();
        for Tokens { access, .. } in given.iter().rev().take(3) {
            let profile = app.anonymous().request(Method::GET, "/user/profile").bearer_auth(access);
            send(profile).await.problem(401, "invalid-token");
        }
        clients.join_all().await;
        all.push(Tokens::from(&alice));
        all.append(&mut racer.seen.lock().unwrap());
        assert_over(&app, &all[all.len().saturating_sub(30)..]).await;
        assert_eq!(live(&app, &alice.public_id), 0);
    }
    assert!(all.len() > ROUNDS * 2, "refreshes took place: {}", all.len());
    assert_over_after_restart(app, all).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn checklist_38_and_46_refreshing_and_logging_in_against_disabling() {
    let (app, mut all) = (TestApp::with(QUICK).await, Vec::new());
    for round in 0..ROUNDS {
        let alice = app.account(&format!("alice{round}")).await;
        let (second, racer) = (alice.elsewhere().await, Racer::of(&app));
        let mut clients = refreshing(&racer, &[&alice, &second]);
        let login = json!({"email": alice.email, "password": alice.password});
        for _ in 0..4 {
            clients.spawn(racer.clone().log_in(login.clone(), 5));
        }
        racer.seen(round).await;
        admin::flow::disable(&jobs::system(app.app()), id(&alice)).await.unwrap();
        clients.join_all().await;
        all.extend([Tokens::from(&alice), Tokens::from(&second)]);
        all.append(&mut racer.seen.lock().unwrap());
        assert_over(&app, &all[all.len().saturating_sub(40)..]).await;
        assert_eq!(live(&app, &alice.public_id), 0, "a login or a refresh came through");

        admin::flow::enable(&jobs::system(app.app()), id(&alice)).await.unwrap();
        assert_over(&app, &all[all.len().saturating_sub(10)..]).await;
        let again = alice.elsewhere().await;
        assert_eq!(again.get("/user/profile").await.status, 200);
    }
    assert_over_after_restart(app, all).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn checklist_10_and_42_refreshing_and_logging_in_against_a_new_password() {
    let (app, mut all) = (TestApp::with(QUICK).await, Vec::new());
    for round in 0..ROUNDS {
        let owner = app.account(&format!("alice{round}")).await;
        let (stolen, racer) = (owner.elsewhere().await, Racer::of(&app));
        let mut clients = refreshing(&racer, &[&stolen]);
        let login = json!({"email": owner.email, "password": owner.password});
        for _ in 0..4 {
            clients.spawn(racer.clone().log_in(login.clone(), 5));
        }
        racer.seen(round).await;
        let change = json!({"current_password": owner.password, "new_password": NEW});
        assert_eq!(owner.send_json(Method::PUT, "/user/password", &change).await.status, 204);
        clients.join_all().await;
        all.push(Tokens::from(&stolen));
        all.append(&mut racer.seen.lock().unwrap());
        assert_over(&app, &all[all.len().saturating_sub(40)..]).await;
        assert_eq!(live(&app, &owner.public_id), 1, "the owner's own alone");
        assert_eq!((owner.get("/user/profile").await.status, owner.refresh().await.status), (200, 200));
    }
    assert_over_after_restart(app, all).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn checklist_25_and_38_refreshing_and_logging_in_against_the_deletion() {
    for settings in [QUICK, AUDITED] {
        against_the_deletion(settings).await;
    }
}

async fn against_the_deletion(settings: &[(&'static str, &str)]) {
    let (app, mut all) = (TestApp::with(settings).await, Vec::new());
    for round in 0..ROUNDS {
        let alice = app.account(&format!("alice{round}")).await;
        let (second, racer) = (alice.elsewhere().await, Racer::of(&app));
        let mut clients = refreshing(&racer, &[&second]);
        let login = json!({"email": alice.email, "password": alice.password});
        for _ in 0..4 {
            clients.spawn(racer.clone().log_in(login.clone(), 5));
        }
        racer.seen(round).await;
        let body = json!({"password": alice.password});
        assert_eq!(alice.send_json(Method::DELETE, "/user", &body).await.status, 204);
        clients.join_all().await;
        all.extend([Tokens::from(&alice), Tokens::from(&second)]);
        all.append(&mut racer.seen.lock().unwrap());
        assert_over(&app, &all[all.len().saturating_sub(40)..]).await;
        assert_eq!(live(&app, &alice.public_id), 0);
        let traces =
            "SELECT count(*) FROM sessions WHERE hex(account_id) = upper(?1) AND address IS NOT NULL";
        let key = [alice.public_id.replace('-', "")];
        let traces: i64 = database(app.data_dir()).query_row(traces, key, |row| row.get(0)).unwrap();
        assert_eq!(traces, 0, "a session that was opened or used at the last moment says nothing either");
    }
    let database = database(app.data_dir());
    let left = "SELECT count(*) FROM audit_events WHERE account_id IS NOT NULL OR personal LIKE '%account:%'";
    assert_eq!(
        database.query_row(left, [], |row| row.get::<_, i64>(0)).unwrap(),
        0,
        "in the trail of the deleted"
    );
    drop(database);
    assert_over_after_restart(app, all).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn checklist_10_and_42_of_two_new_passwords_at_once_one_holds() {
    let app = TestApp::with(QUICK).await;
    for round in 0..ROUNDS {
        let alice = app.account(&format!("alice{round}")).await;
        let mut sessions = vec![alice.elsewhere().await];
        for _ in 0..5 {
            sessions.push(alice.elsewhere().await);
        }
        let requests = sessions.iter().enumerate().map(|(number, session)| {
            let new = format!("{NEW} {number}");
            let body = json!({"current_password": alice.password, "new_password": new});
            session.request(Method::PUT, "/user/password").json(&body)
        });
        let answers = crate::harness::all_at_once(requests).await;
        let changed = answers.iter().filter(|answer| answer.status == 204).count();
        assert!(answers.iter().all(|answer| [204, 401, 403].contains(&answer.status)));
        assert_eq!((changed, live(&app, &alice.public_id)), (1, 1), "round {round}");
        let mut good = 0;
        for number in 0..sessions.len() {
            let login = json!({"email": alice.email, "password": format!("{NEW} {number}")});
            good += usize::from(app.anonymous().post("/login", &login).await.status == 200);
        }
        assert_eq!(good, 1);
    }
}
