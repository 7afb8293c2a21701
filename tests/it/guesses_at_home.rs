//! Wrong passwords where an account is at home: its networks are counted apart, so that no stranger keeps the
//! owner out, and together, so that they are no way around.

use crate::guesses::{
    SETTINGS, STRANGER, from_home, guess, login, one_of_many, told_to_wait, ways_with_a_token,
};
use crate::harness::{Account, Caller as _, TestApp, all_at_once, database, send};
use claviger::base::id::AccountId;
use claviger::credentials::flow::{Sessions, set_password};
use claviger::credentials::{Password, Policy};
use claviger::jobs;
use claviger::sessions::Which;
use reqwest::Method;
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(86_400);

/// The right password from there.
async fn right(alice: &Account<'_>, address: &str) -> u16 {
    send(login(alice.app, address, &alice.email, &alice.password)).await.status
}

/// Guesses at an account until strangers have to wait.
async fn strangers_wait(alice: &Account<'_>) {
    for number in 0..5 {
        guess(alice.app, &one_of_many(number), &alice.email).await.problem(401, "wrong-credentials");
    }
    told_to_wait(&guess(alice.app, &one_of_many(5), &alice.email).await);
}

/// All counts, as they are stored.
fn counts(app: &TestApp) -> BTreeSet<(Vec<u8>, i64, i64)> {
    let database = database(app.data_dir());
    let mut statement = database.prepare("SELECT subject, failures, last_failed_at FROM guesses").unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
    rows.map(Result::unwrap).collect()
}

#[tokio::test]
async fn checklist_15_the_owner_gets_in_from_where_he_was_before_and_a_stranger_waits() {
    let app = TestApp::with(&SETTINGS).await;
    let alice = app.account("alice").await;
    for number in 0..200 {
        let answer = guess(&app, &one_of_many(number), &alice.email).await;
        assert_eq!(answer.status, if number < 5 { 401 } else { 429 }, "guess {number}");
        assert_eq!(from_home(&alice).await.status, 200, "after guess {number}");
    }
    let elsewhere = || login(&app, STRANGER, &alice.email, &alice.password);
    let wait = told_to_wait(&send(elsewhere()).await);
    app.advance(Duration::from_secs(wait));
    assert_eq!(send(elsewhere()).await.status, 200, "waiting as told is enough");
    // No success wipes a count, nor makes a wait anew: it is as if he had not been there.
    guess(&app, &one_of_many(201), &alice.email).await.problem(401, "wrong-credentials");
    assert_eq!(told_to_wait(&guess(&app, &one_of_many(202), &alice.email).await), 4);
    assert_eq!(send(elsewhere()).await.status, 200, "this network is known now");
    assert_eq!(from_home(&alice).await.status, 200);
}

#[tokio::test]
async fn checklist_15_a_whole_ipv6_network_is_known_and_no_other() {
    let app = TestApp::with(&SETTINGS).await;
    let alice = app.account("alice").await;
    let from = |address| login(&app, address, &alice.email, &alice.password);
    assert_eq!(send(from("2001:db8::1")).await.status, 200);
    for number in 0..5 {
        guess(&app, &one_of_many(number), &alice.email).await.problem(401, "wrong-credentials");
    }
    assert_eq!(send(from("2001:db8::ffff:2")).await.status, 200);
    told_to_wait(&send(from("2001:db8:0:1::1")).await);
}

#[tokio::test]
async fn checklist_15_many_right_logins_at_once_all_succeed() {
    let app = TestApp::with(&SETTINGS).await;
    let alice = app.account("alice").await;
    let logins = (0..64).map(|_| login(&app, "127.0.0.1", &alice.email, &alice.password));
    for answer in all_at_once(logins).await {
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
}

#[tokio::test]
async fn checklist_14_at_home_five_are_free_too_and_the_wait_is_exactly_as_told() {
    let app = TestApp::with(&SETTINGS).await;
    let alice = app.account("alice").await;
    let wrong = || guess(&app, "127.0.0.1", "alice@example.org");
    for _ in 0..5 {
        wrong().await.problem(401, "wrong-credentials");
    }
    for wait in [2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300] {
        assert_eq!(told_to_wait(&wrong().await), wait);
        app.advance(Duration::from_secs(wait) - Duration::from_millis(1));
        assert_eq!(told_to_wait(&send(login(&app, "127.0.0.1", &alice.email, &alice.password)).await), 1);
        app.advance(Duration::from_millis(1));
        wrong().await.problem(401, "wrong-credentials");
    }
    assert_eq!(told_to_wait(&wrong().await), 300, "the longest");
    guess(&app, STRANGER, &alice.email).await.problem(401, "wrong-credentials");
}

#[tokio::test]
async fn checklist_15_one_known_network_does_not_trouble_another() {
    let app = TestApp::with(&SETTINGS).await;
    let alice = app.account("alice").await;
    assert_eq!(right(&alice, "192.0.2.1").await, 200);
    // A device with an old password, for a day.
    for _ in 0..288 {
        guess(&app, "192.0.2.1", &alice.email).await;
        app.advance(SECOND * 300);
    }
    for _ in 0..5 {
        guess(&app, "192.0.2.1", &alice.email).await;
    }
    told_to_wait(&guess(&app, "192.0.2.1", &alice.email).await);
    assert_eq!(from_home(&alice).await.status, 200);
    for _ in 0..5 {
        guess(&app, "127.0.0.1", &alice.email).await.problem(401, "wrong-credentials");
    }
    assert_eq!(told_to_wait(&guess(&app, "127.0.0.1", &alice.email).await), 2);
}

#[tokio::test]
async fn checklist_14_all_known_networks_have_sixteen_free_guesses_together() {
    let app = TestApp::with(&SETTINGS).await;
    let alice = app.account("alice").await;
    let homes: Vec<String> = (1..20).map(|number| format!("192.0.2.{number}")).collect();
    for home in &homes {
        assert_eq!(right(&alice, home).await, 200);
    }
    for (number, home) in homes.iter().enumerate().take(16) {
        guess(&app, home, &alice.email).await.problem(401, "wrong-credentials");
        assert_eq!(right(&alice, &homes[18]).await == 200, number < 15, "guess {number}");
    }
    for (next, wait) in [2, 4, 8, 16, 32, 64, 128].into_iter().enumerate() {
        let fresh = &homes[16 + next % 3];
        assert_eq!(told_to_wait(&guess(&app, fresh, &alice.email).await), wait);
        app.advance(Duration::from_secs(wait));
        assert_eq!(right(&alice, fresh).await, 200, "waiting as told is enough");
        guess(&app, fresh, &alice.email).await.problem(401, "wrong-credentials");
    }
    assert_eq!(told_to_wait(&guess(&app, &homes[0], &alice.email).await), 256);
    app.advance(SECOND * 256);
    guess(&app, &homes[0], &alice.email).await.problem(401, "wrong-credentials");
    // One of them was forgiven after 150 seconds.
    assert_eq!(told_to_wait(&guess(&app, &homes[0], &alice.email).await), 256);
    guess(&app, STRANGER, &alice.email).await.problem(401, "wrong-credentials");
}

#[tokio::test]
async fn checklist_14_the_thief_of_a_token_does_not_keep_the_owner_out() {
    let app = TestApp::with(&SETTINGS).await;
    let alice = app.account("alice").await;
    let guesses = || (0..3).flat_map(|_| ways_with_a_token(&alice, STRANGER));
    for way in guesses().take(5) {
        send(way).await.problem(403, "wrong-password");
    }
    for way in guesses() {
        told_to_wait(&send(way).await);
    }
    assert_eq!(from_home(&alice).await.status, 200);
    // Ten, and the token is good for nothing more.
    for wait in [2, 4, 8, 16, 32] {
        app.advance(SECOND * wait);
        let [way, ..] = &mut ways_with_a_token(&alice, STRANGER)[..] else { unreachable!() };
        send(way.try_clone().unwrap()).await.problem(403, "wrong-password");
    }
    assert_eq!(alice.get("/user/profile").await.status, 401);
    let owner = alice.elsewhere().await;
    let change = json!({"current_password": alice.password, "new_password": "a stitch in time"});
    let waiting = owner.send_json(Method::PUT, "/user/password", &change).await;
    app.advance(SECOND * u32::try_from(told_to_wait(&waiting)).unwrap());
    assert_eq!(owner.send_json(Method::PUT, "/user/password", &change).await.status, 204);
}

#[tokio::test]
async fn checklist_15_a_right_password_leaves_every_count_as_it_was() {
    let app = TestApp::with(&SETTINGS).await;
    let alice = app.account("alice").await;
    strangers_wait(&alice).await;
    for number in 0..20 {
        guess(&app, STRANGER, &format!("{number}@example.org")).await;
    }
    for _ in 0..6 {
        guess(&app, "127.0.0.1", &alice.email).await;
        app.advance(SECOND * 2);
    }
    app.advance(SECOND * 2);
    let before = counts(&app);
    let strict = before.iter().filter(|(_, failures, _)| *failures >= 5);
    assert_eq!(strict.count(), 5, "of strangers, of their network, of home, of all homes, and of neighbours");
    assert_eq!(right(&alice, STRANGER).await, 200, "from where both counts are strict");
    assert_eq!(from_home(&alice).await.status, 200);
    assert_eq!(counts(&app), before);
    guess(&app, "127.0.0.1", &alice.email).await.problem(401, "wrong-credentials");
    assert_ne!(counts(&app), before);
}

#[tokio::test]
async fn checklist_15_a_sign_up_makes_its_network_known() {
    let app = TestApp::with(&SETTINGS).await;
    let alice = app.person("alice");
    let body = json!({"email": alice.email, "name": "alice", "password": alice.password});
    let sign_up = app.anonymous().request(Method::POST, "/user").header("x-forwarded-for", "192.0.2.1");
    assert_eq!(send(sign_up.json(&body)).await.status, 201);
    strangers_wait(&alice).await;
    assert_eq!(right(&alice, "127.0.0.1").await, 429);
    assert_eq!(right(&alice, "192.0.2.1").await, 200);
}

#[tokio::test]
async fn checklist_15_a_new_password_makes_the_other_networks_unknown() {
    let app = TestApp::with(&SETTINGS).await;
    let mut alice = app.account("alice").await;
    for home in ["192.0.2.1", "192.0.2.2"] {
        assert_eq!(right(&alice, home).await, 200);
    }
    strangers_wait(&alice).await;
    let new = "a stitch in time saves nine";
    let change = json!({"current_password": alice.password, "new_password": new});
    let request = alice.request(Method::PUT, "/user/password").header("x-forwarded-for", "192.0.2.1");
    assert_eq!(send(request.json(&change)).await.status, 204);
    alice.password = new.to_owned();
    assert_eq!(right(&alice, "192.0.2.1").await, 200);
    assert_eq!([right(&alice, "192.0.2.2").await, right(&alice, "127.0.0.1").await], [429, 429]);

    let (cx, id) = (jobs::system(app.app()), AccountId::parse(&alice.public_id).unwrap());
    alice.password = "saves nine, they say".to_owned();
    let password = alice.password.as_str().into();
    let password = Password::new(&password, &Policy::of(&cx.app.config), None, None).unwrap();
    set_password(&cx, id, password, Sessions::End(Which::All)).await.unwrap();
    assert_eq!(right(&alice, "192.0.2.1").await, 429, "an operator's leaves none");
    app.advance(SECOND * 2);
    assert_eq!(right(&alice, "192.0.2.1").await, 200);
}

#[tokio::test]
async fn checklist_15_a_network_stays_known_for_four_hundred_days() {
    let app = TestApp::with(&SETTINGS).await;
    let alice = app.account("alice").await;
    let moment = Duration::from_micros(1);
    for (pause, expected) in [(DAY * 400 - moment, 200), (DAY * 400 - moment, 200), (DAY * 400, 429)] {
        app.advance(pause);
        strangers_wait(&alice).await;
        assert_eq!(from_home(&alice).await.status, expected, "each login counts anew");
    }
}

#[tokio::test]
async fn checklist_15_of_many_networks_the_last_twenty_are_known() {
    let app = TestApp::with(&SETTINGS).await;
    let alice = app.account("alice").await;
    for number in 0..20 {
        app.advance(SECOND);
        assert_eq!(right(&alice, &format!("192.0.2.{number}")).await, 200);
    }
    strangers_wait(&alice).await;
    assert_eq!(from_home(&alice).await.status, 429, "the oldest of 21");
    assert_eq!(right(&alice, "192.0.2.0").await, 200);
}

#[tokio::test]
async fn where_an_account_is_at_home_is_not_in_the_database() {
    let mut names = BTreeSet::new();
    for _ in 0..2 {
        let app = TestApp::with(&SETTINGS).await;
        app.account("alice").await;
        let sql = "SELECT network FROM known_networks";
        let name: String = database(app.data_dir()).query_row(sql, [], |row| row.get(0)).unwrap();
        assert!(claviger_crypto::from_base64url(&name).is_some_and(|bytes| bytes.len() == 32), "{name}");
        names.insert(name);
    }
    assert_eq!(names.len(), 2, "who does not know the key cannot try all networks");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn checklist_14_guesses_at_home_sent_at_once_are_counted_one_by_one() {
    let app = TestApp::with(&SETTINGS).await;
    let alice = app.account("alice").await;
    let wrong = || (0..64).map(|_| login(&app, "127.0.0.1", &alice.email, "a wrong one"));
    let checked = all_at_once(wrong()).await.iter().filter(|answer| answer.status == 401).count();
    assert!((5..=8).contains(&checked), "{checked} were checked");
    app.advance(SECOND * 300);
    let checked = all_at_once(wrong()).await.iter().filter(|answer| answer.status == 401).count();
    assert!((1..=4).contains(&checked), "{checked} were checked");
}
