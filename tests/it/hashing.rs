//! Stored password hashes: their form, renewal, damage, and the bounded queue in front of them.

use crate::harness::{
    Account, Answer, Caller as _, TestApp, all_at_once, count, database, on_postgres, send,
};
use reqwest::{Method, RequestBuilder};
use serde_json::json;
use std::collections::BTreeSet;

const DEFAULT: &str = "$argon2id$v=19$m=19456,t=2,p=1$";

fn login(account: &Account<'_>, password: &str) -> RequestBuilder {
    let body = json!({"email": account.email, "password": password});
    account.app.anonymous().request(Method::POST, "/login").json(&body)
}

async fn log_in(account: &Account<'_>) -> Answer {
    send(login(account, &account.password)).await
}

/// The stored hash of an account.
fn stored(app: &TestApp, email: &str) -> String {
    let sql = "SELECT phc FROM passwords JOIN accounts ON accounts.id = account_id WHERE email = $1";
    database(app.data_dir()).query_row(sql, [email], |row| row.get(0)).unwrap()
}

/// Writes an SQL value in the place of an account's hash.
fn damage(app: &TestApp, email: &str, value: &str) {
    let sql = format!(
        "UPDATE passwords SET phc = {value} WHERE account_id = (SELECT id FROM accounts WHERE email = $1)"
    );
    assert_eq!(database(app.data_dir()).execute(&sql, [email]).unwrap(), 1);
}

#[tokio::test]
async fn checklist_7_hashes_are_argon2id_with_salts_of_their_own() {
    let app = TestApp::start().await;
    let mut salts = BTreeSet::new();
    for number in 0..5 {
        let email = format!("p{number}@example.org");
        let body = json!({"email": email, "name": "p", "password": "the same for all"});
        assert_eq!(app.anonymous().post("/user", &body).await.status, 201);
        let phc = stored(&app, &email);
        let (salt, tag) = phc.strip_prefix(DEFAULT).expect(&phc).split_once('$').unwrap();
        assert_eq!((salt.len(), tag.len()), (22, 43), "16 and 32 bytes in base64");
        salts.insert(salt.to_owned());
    }
    assert_eq!(salts.len(), 5);
}

#[tokio::test]
async fn checklist_8_a_login_renews_a_hash_of_other_cost() {
    let others: &[(&[(&str, &str)], &str)] = &[
        (&[("hash_passes", "3")], "$argon2id$v=19$m=19456,t=3,p=1$"),
        (&[("hash_memory_kib", "12288"), ("hash_passes", "3")], "$argon2id$v=19$m=12288,t=3,p=1$"),
        (&[("hash_lanes", "2")], "$argon2id$v=19$m=19456,t=2,p=2$"),
        (&[("dev", "true"), ("hash_memory_kib", "64")], "$argon2id$v=19$m=64,t=2,p=1$"),
    ];
    for (settings, cost) in others {
        let app = TestApp::with(settings).await;
        app.account("alice").await;
        let old = stored(&app, "alice@example.org");
        assert!(old.starts_with(cost), "{old}");

        let app = app.restart_with(&[]).await;
        let alice = app.person("alice");
        send(login(&alice, "a wrong password")).await.problem(401, "wrong-credentials");
        assert_eq!(stored(&app, &alice.email), old, "a wrong password renews nothing");
        assert_eq!(log_in(&alice).await.status, 200);
        let new = stored(&app, &alice.email);
        assert!(new.starts_with(DEFAULT), "{new}");
        assert_ne!(new.split('$').nth(4), old.split('$').nth(4), "with a salt of its own");
        assert_eq!(log_in(&alice).await.status, 200, "by the new hash");
        assert_eq!(stored(&app, &alice.email), new, "once is enough");
        send(login(&alice, "a wrong password")).await.problem(401, "wrong-credentials");
    }
}

#[tokio::test]
async fn checklist_8_either_engine_verifies_what_the_other_made() {
    for (one, other) in [("fast", "plain"), ("plain", "fast")] {
        let app = TestApp::with(&[("hash_engine", one)]).await;
        app.account("alice").await;
        let old = stored(&app, "alice@example.org");
        let app = app.restart_with(&[("hash_engine", other)]).await;
        let alice = app.person("alice");
        assert_eq!(log_in(&alice).await.status, 200, "{one} to {other}");
        assert_eq!(stored(&app, &alice.email), old, "the cost is the same, so the hash stays");
        send(login(&alice, "a wrong password")).await.problem(401, "wrong-credentials");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn checklist_8_logins_at_once_all_succeed_while_one_renews() {
    let app = TestApp::with(&[("hash_passes", "3")]).await;
    app.account("alice").await;
    let app = app.restart_with(&[]).await;
    let alice = app.person("alice");
    let answers = all_at_once((0..8).map(|_| login(&alice, &alice.password))).await;
    assert!(answers.iter().all(|answer| answer.status == 200));
    assert!(stored(&app, &alice.email).starts_with(DEFAULT));
    assert_eq!(log_in(&alice).await.status, 200);
}

#[tokio::test]
async fn checklist_9_a_damaged_hash_refuses_its_account_alone() {
    let app = TestApp::start().await;
    let (alice, bob) = (app.account("alice").await, app.account("bob").await);
    let whole = stored(&app, &alice.email);
    let text = |text: &str| format!("'{text}'");
    let damaged = [
        text(""),
        text("garbage"),
        text("$"),
        text("héßø🙂"),
        text(&whole[..whole.len() - 1]),
        text(&whole.replace("m=19456", "m=4294967295")),
        text(&whole.replace("m=19456", "m=99999999999999999999")),
        text(&whole.replace("t=2", "t=0")),
        text(&whole.replace("p=1", "p=-1")),
        text(&whole.replace("argon2id", "argon2x")),
        text("$2x$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW"),
        text("plain text"),
        "'a nul' || char(0) || 'inside'".to_owned(),
    ];
    for value in damaged.into_iter().filter(|value| !(on_postgres() && value.contains("char(0)"))) {
        damage(&app, &alice.email, &value);
        for password in [alice.password.as_str(), "plain text", ""] {
            let refused = send(login(&alice, password)).await;
            assert_eq!(refused.status, 401, "{value}: {}", refused.text());
            refused.problem(401, "wrong-credentials");
        }
        assert_eq!(log_in(&bob).await.status, 200, "{value}");
    }
    let body = json!({"email": alice.email, "name": "a", "password": "takes it over"});
    app.anonymous().post("/user", &body).await.problem(409, "email-taken");
    assert_eq!(alice.get("/user/profile").await.status, 200, "her token is not concerned");
}

#[tokio::test]
async fn checklist_9_a_hash_that_is_not_even_text_refuses_its_account_alone() {
    let app = TestApp::start().await;
    let (alice, bob) = (app.account("alice").await, app.account("bob").await);
    damage(&app, &alice.email, "CAST(x'24ff0080' AS TEXT)");
    assert_eq!(log_in(&bob).await.status, 200);
    log_in(&alice).await.problem(401, "wrong-credentials");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn checklist_14_a_full_queue_says_busy_and_token_checks_go_on() {
    let app = TestApp::with(&[("hash_threads", "1"), ("hash_queue", "1")]).await;
    let alice = app.account("alice").await;
    let logins = (0..64).map(|_| login(&alice, &alice.password));
    let checks = (0..64).map(|_| alice.request(Method::GET, "/user/profile"));
    let (logins, checks) = tokio::join!(all_at_once(logins), all_at_once(checks));
    assert!(checks.iter().all(|answer| answer.status == 200));
    let (done, busy): (Vec<_>, Vec<_>) = logins.iter().partition(|answer| answer.status == 200);
    assert!(!done.is_empty() && !busy.is_empty(), "{} and {}", done.len(), busy.len());
    for answer in busy {
        answer.problem(503, "busy");
        assert!(answer.header("retry-after").parse::<u32>().unwrap() >= 1);
        assert_eq!(answer.header("www-authenticate"), "");
    }
    assert_eq!(log_in(&alice).await.status, 200, "and then there is room again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_busy_sign_up_makes_nothing() {
    let app = TestApp::with(&[("hash_threads", "1"), ("hash_queue", "1")]).await;
    let body =
        |number| json!({"email": format!("p{number}@example.org"), "name": "p", "password": "a long walk"});
    let request = |number| app.anonymous().request(Method::POST, "/user").json(&body(number));
    let answers = all_at_once((0..24).map(request)).await;
    let made = answers.iter().filter(|answer| answer.status == 201).count();
    let busy = answers.iter().filter(|answer| answer.status == 503).count();
    assert!(made > 0 && busy > 0 && made + busy == 24, "{made} and {busy}");
    let database = database(app.data_dir());
    let rows = (count(&database, "accounts"), count(&database, "passwords"));
    assert_eq!(rows, (made as i64, made as i64));
}
