//! Two servers on one PostgreSQL: what one does holds at the other within a second, and what both do at once
//! has one outcome.

use crate::harness::{
    Account, Caller as _, Program, TestApp, Tokens, count, database, free_port, on_postgres, refreshing, send,
};
use claviger::base::id::AccountId;
use claviger::{admin, jobs};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::process::Stdio;
use std::time::{Duration, Instant};

const JWK_SET: &str = "/.well-known/jwks.json";

/// Two servers of one installation, settled; `None` where there is no engine that serves two.
async fn two(settings: &[(&'static str, &str)]) -> Option<(TestApp, TestApp)> {
    if !on_postgres() {
        return None;
    }
    let first = TestApp::with(settings).await.settled().await;
    let second = first.beside().await;
    Some((first, second))
}

/// Waits until `account`'s token is refused; it must be within a second.
async fn refused_within_a_second(account: &Account<'_>, what: &str) {
    let started = Instant::now();
    while account.get("/user/profile").await.status != 401 {
        assert!(started.elapsed() < Duration::from_secs(1), "{what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    account.refresh().await.oauth_error(400, "invalid_grant");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_ends_the_other_refuses() {
    let Some((one, other)) = two(&[]).await else { return };
    let ends = ["logout", "revoke", "new password", "disable", "delete"];
    for (number, end) in ends.into_iter().enumerate() {
        let ann = one.account(&format!("ann{number}")).await;
        let there = ann.at(&other);
        assert_eq!(there.get("/user/profile").await.status, 200, "the other's tokens are good");
        let status = match end {
            "logout" => ann.post("/logout", &json!(null)).await.status,
            "revoke" => {
                let fields = [("token", ann.refresh_token.as_str()), ("client_id", "claviger")];
                one.anonymous().post_form("/revoke", &fields).await.status
            }
            "new password" => {
                let body = json!({"current_password": ann.password, "new_password": "a stitch in time"});
                // At another device, since the one that changes it stays logged in.
                let elsewhere = ann.elsewhere().await;
                send(elsewhere.request(Method::PUT, "/user/password").json(&body)).await.status
            }
            "disable" => {
                let id = AccountId::parse(&ann.public_id).unwrap();
                admin::flow::disable(&jobs::system(one.app()), id).await.unwrap();
                204
            }
            _ => {
                let body = json!({"password": ann.password});
                send(ann.request(Method::DELETE, "/user").json(&body)).await.status
            }
        };
        assert!([200, 204].contains(&status), "{end}: {status}");
        assert_eq!(ann.get("/user/profile").await.status, 401, "{end}: here at once");
        refused_within_a_second(&there, end).await;
    }
}

/// A client that got no answer asks the other server again: what that one says holds there at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_ends_again_what_the_other_has_ended_is_told_no_lie() {
    let Some((one, other)) = two(&[]).await else { return };
    for round in 0..10 {
        let ann = one.account(&format!("ann{round}")).await;
        let second = ann.elsewhere().await;
        assert_eq!(ann.post("/logout", &json!(null)).await.status, 204);
        let status = if round % 2 == 0 {
            let fields = [("token", ann.refresh_token.as_str()), ("client_id", "claviger")];
            other.anonymous().post_form("/revoke", &fields).await.status
        } else {
            send(second.at(&other).request(Method::DELETE, "/user/sessions")).await.status
        };
        assert_eq!(status, 200);
        assert_eq!(ann.at(&other).get("/user/profile").await.status, 401, "round {round}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_status_list_of_one_tells_of_the_others_ends() {
    let Some((one, other)) = two(&[]).await else { return };
    let ann = one.account("ann").await;
    let list = |app: &TestApp| {
        let (http, url) = (app.http.clone(), format!("{}/status/0", app.url));
        async move { crate::harness::decode(&send(http.get(url)).await.text()).1["status_list"].clone() }
    };
    let before = list(&other).await;
    assert_eq!(ann.post("/logout", &json!(null)).await.status, 204);
    refused_within_a_second(&ann.at(&other), "logout").await;
    one.advance(Duration::from_secs(5));
    assert_ne!(list(&other).await, before);
    assert_eq!(list(&other).await, list(&one).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refresh_at_both_at_once_has_one_successor_and_a_replay_ends_it_everywhere() {
    let Some((one, other)) = two(&[]).await else { return };
    let ann = one.account("ann").await;
    let mut tokens = Tokens::from(&ann);
    let first = tokens.refresh.clone();
    for _ in 0..5 {
        let mut callers = tokio::task::JoinSet::new();
        for number in 0..24 {
            let app = if number % 2 == 0 { &one } else { &other };
            callers.spawn(send(refreshing(app, &tokens.refresh)));
        }
        let answers = callers.join_all().await;
        let given: Vec<Tokens> = answers.iter().map(Tokens::of).collect();
        let successors: HashSet<&str> = given.iter().map(|tokens| tokens.refresh.as_str()).collect();
        assert_eq!(successors.len(), 1, "one successor");
        tokens = given[0].clone();
        one.advance(Duration::from_secs(60));
    }
    refreshing_is_refused(&other, &first).await;
    refused_within_a_second(
        &Account { token: tokens.access, refresh_token: tokens.refresh, ..ann },
        "replay",
    )
    .await;
}

async fn refreshing_is_refused(app: &TestApp, token: &str) {
    send(refreshing(app, token)).await.oauth_error(400, "invalid_grant");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn checklist_14_wrong_passwords_count_wherever_they_are_tried() {
    let Some((one, other)) = two(&[("limits", "true")]).await else { return };
    let ann = one.account("ann").await;
    let body = json!({"email": ann.email, "password": "wrong"});
    let mut checked = 0;
    for number in 0..20 {
        let app = if number % 2 == 0 { &one } else { &other };
        checked += usize::from(app.anonymous().post("/login", &body).await.status == 401);
    }
    assert_eq!(checked, 5, "as many as at one");
}

async fn kids(app: &TestApp) -> Vec<String> {
    let set = app.anonymous().get(JWK_SET).await.json();
    let mut kids: Vec<String> =
        set["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect();
    kids.sort();
    kids
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_rotate_at_once_and_sign_with_the_same_keys() {
    let settings = [("key_rotation", "1d"), ("signing_alg", "ES256"), ("access_token_ttl", "1h")];
    let Some((one, other)) = two(&settings).await else { return };
    let keys = |state| count(&database(one.data_dir()), &format!("signing_keys WHERE state = '{state}'"));
    for day in 1..=5 {
        one.advance(Duration::from_secs(86_400));
        let (ann, bob) = (one.account(&format!("ann{day}")).await, other.account(&format!("bob{day}")).await);
        // Whatever either is doing to the keys, each takes what the other has signed.
        let started = Instant::now();
        while started.elapsed() < Duration::from_millis(2500) {
            for (account, app) in [(&ann, &other), (&bob, &one)] {
                assert_eq!(account.at(app).get("/user/profile").await.status, 200, "day {day}");
            }
            assert_eq!(keys("active"), 1);
            assert!(keys("next") <= 1);
        }
        assert_eq!(kids(&one).await, kids(&other).await, "day {day}");
    }
    assert!(count(&database(one.data_dir()), "audit_events WHERE event = 'key-activate'") >= 5);
    let odd = "audit_events a, audit_events b WHERE a.event = 'key-activate' AND b.event = 'key-activate'
        AND a.detail = b.detail AND a.id <> b.id";
    assert_eq!(count(&database(one.data_dir()), odd), 0, "no key was activated twice");
}

/// Two programs at once on an empty database, each with a master key of its own: one of them goes home.
#[test]
fn of_two_with_different_master_keys_one_is_refused() {
    if !on_postgres() {
        return;
    }
    for _ in 0..3 {
        let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let url = crate::harness::bare_database(folder.path());
        let mut started = [folder.path(), other.path()].map(|folder| {
            let listen = format!("127.0.0.1:{}", free_port());
            let mut command = Program::command(&["serve", "--dev", "--issuer", "http://a.test"]);
            command.args(["--listen", &listen, "--database-url", &url, "--data-dir"]).arg(folder);
            command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap()
        });
        let until = Instant::now() + Duration::from_secs(10);
        let refused = loop {
            if let Some(number) = started.iter_mut().position(|one| one.try_wait().unwrap().is_some()) {
                break number;
            }
            assert!(Instant::now() < until, "both go on");
            std::thread::sleep(Duration::from_millis(20));
        };
        std::thread::sleep(Duration::from_millis(1500));
        assert!(started[1 - refused].try_wait().unwrap().is_none(), "the other goes on");
        started[1 - refused].kill().unwrap();
        let said = started.map(|one| one.wait_with_output().unwrap());
        let why = String::from_utf8(said[refused].stderr.clone()).unwrap();
        assert!(why.contains("begun with another master key"), "{why}");
        assert_eq!(said[refused].status.code(), Some(1));
        let right = [folder.path(), other.path()][1 - refused];
        let mut verify = Program::command(&["audit", "verify", "--database-url", &url, "--data-dir"]);
        let verified = verify.arg(right).output().unwrap();
        assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
    }
}

/// Two programs at once on an empty database, with one master key: one schema, one first key.
#[test]
fn two_that_start_at_once_on_nothing_become_one_installation() {
    if !on_postgres() {
        return;
    }
    for _ in 0..2 {
        let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let url = crate::harness::bare_database(folder.path());
        let key = folder.path().join("shared.key");
        std::fs::write(&key, "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWY").unwrap();
        let arguments = [
            "--dev",
            "--issuer",
            "http://a.test",
            "--master-key-file",
            key.to_str().unwrap(),
            "--database-url",
            &url,
        ];
        let programs = std::thread::scope(|scope| {
            let start = |folder| scope.spawn(move || Program::serve(folder, &arguments));
            [start(folder.path()), start(other.path())].map(|thread| thread.join().unwrap())
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let sets: HashSet<String> = programs
            .iter()
            .map(|program| {
                let http = reqwest::Client::builder().no_proxy().build().unwrap();
                let answer = runtime.block_on(send(http.get(format!("{}{JWK_SET}", program.url))));
                let set: Value = answer.json();
                set["keys"][0]["kid"].as_str().unwrap().to_owned()
            })
            .collect();
        assert_eq!(sets.len(), 1, "one key signs");
    }
}
