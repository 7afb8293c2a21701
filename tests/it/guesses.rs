//! Wrong passwords: how many are borne for one account and from one network, and how long one waits then.

use crate::harness::{Account, Answer, Caller as _, TestApp, all_at_once, count, database, send, stored};
use claviger::base::id::AccountId;
use claviger::{admin, jobs};
use reqwest::{Method, RequestBuilder};
use serde_json::json;
use std::time::Duration;

/// Addresses are played behind a proxy; hashes cost next to nothing.
pub const SETTINGS: [(&str, &str); 5] = [
    ("limits", "true"),
    ("trusted_proxies", "127.0.0.1"),
    ("dev", "true"),
    ("hash_memory_kib", "8"),
    ("hash_passes", "1"),
];

pub const STRANGER: &str = "198.51.100.7";

/// A login from `address`, still to be sent.
pub fn login(app: &TestApp, address: &str, identifier: &str, password: &str) -> RequestBuilder {
    let request = app.anonymous().request(Method::POST, "/login").header("x-forwarded-for", address);
    request.json(&json!({"email": identifier, "password": password}))
}

pub async fn guess(app: &TestApp, address: &str, identifier: &str) -> Answer {
    send(login(app, address, identifier, "a wrong one")).await
}

/// The right password from the network that the account was made in.
pub async fn from_home(account: &Account<'_>) -> Answer {
    send(login(account.app, "127.0.0.1", &account.email, &account.password)).await
}

/// Seconds to wait, as a refusal says; it must be one.
#[track_caller]
pub fn told_to_wait(answer: &Answer) -> u64 {
    answer.problem(429, "too-many-guesses");
    answer.header("retry-after").parse().unwrap()
}

/// An address of the many that an attacker has.
pub fn one_of_many(number: usize) -> String {
    format!("203.{}.{}.{}", number / 65_536 % 256, number / 256 % 256, number % 256)
}

async fn disable(account: &Account<'_>) {
    let id = AccountId::parse(&account.public_id).unwrap();
    admin::flow::disable(&jobs::system(account.app.app()), id).await.unwrap();
}

#[tokio::test]
async fn checklist_14_five_are_free_and_then_the_wait_is_exactly_as_told() {
    let app = TestApp::with(&SETTINGS).await;
    let alice = app.account("alice").await;
    for _ in 0..5 {
        guess(&app, STRANGER, &alice.email).await.problem(401, "wrong-credentials");
    }
    for wait in [2, 4, 8, 16, 32, 64, 120, 120] {
        assert_eq!(told_to_wait(&guess(&app, STRANGER, &alice.email).await), wait);
        app.advance(Duration::from_secs(wait) - Duration::from_millis(1));
        assert_eq!(told_to_wait(&guess(&app, STRANGER, &alice.email).await), 1, "rounded up");
        app.advance(Duration::from_millis(1));
        guess(&app, STRANGER, &alice.email).await.problem(401, "wrong-credentials");
    }
    // Of these 13, time forgives one each five minutes.
    app.advance(Duration::from_secs(3600));
    for _ in 0..4 {
        guess(&app, STRANGER, &alice.email).await.problem(401, "wrong-credentials");
    }
    assert_eq!(told_to_wait(&guess(&app, STRANGER, &alice.email).await), 2);
}

#[tokio::test]
async fn checklist_14_time_alone_forgives_one_each_five_minutes_and_a_flood_too() {
    let app = TestApp::with(&SETTINGS).await;
    let alice = app.account("alice").await;
    let mut number = 0;
    let mut next = async || {
        number += 1;
        guess(&app, &one_of_many(number), &alice.email).await
    };
    for _ in 0..5 {
        next().await.problem(401, "wrong-credentials");
    }
    for (pause, wait) in [(299_999, 4), (300_000, 4), (600_000, 2)] {
        app.advance(Duration::from_millis(pause));
        next().await.problem(401, "wrong-credentials");
        assert_eq!(told_to_wait(&next().await), wait, "after {pause} ms");
    }
    for _ in 0..40 {
        let wait = told_to_wait(&next().await);
        app.advance(Duration::from_secs(wait));
        next().await.problem(401, "wrong-credentials");
    }
    // A flood counts no more than twelve over the free ones.
    app.advance(Duration::from_secs(300 * 13));
    next().await.problem(401, "wrong-credentials");
    assert_eq!(told_to_wait(&next().await), 2);
}

/// All the ways to guess the password of one account by who shows an identifier of it.
pub fn ways(alice: &Account<'_>, address: &str) -> Vec<RequestBuilder> {
    let (app, wrong) = (alice.app, "a wrong one");
    let anonymous = app.anonymous();
    let from = |request: RequestBuilder| request.header("x-forwarded-for", address);
    let repeated = json!({"email": alice.email, "name": alice.name, "password": wrong});
    vec![
        login(app, address, &alice.email, wrong),
        login(app, address, &alice.email.to_uppercase(), wrong),
        login(app, address, &alice.email.replace("example", "ｅｘａｍｐｌｅ"), wrong),
        login(app, address, &alice.name, wrong),
        login(app, address, &format!(" {} ", alice.name), wrong),
        from(anonymous.request(Method::GET, "/login")).basic_auth(&alice.email, Some(wrong)),
        from(anonymous.request(Method::POST, "/user")).header("idempotency-key", THIEFS).json(&repeated),
    ]
}

/// The ways by who shows a token of it.
pub fn ways_with_a_token(alice: &Account<'_>, address: &str) -> Vec<RequestBuilder> {
    let from = |request: RequestBuilder| request.header("x-forwarded-for", address);
    let change = json!({"current_password": "a wrong one", "new_password": "something new"});
    vec![
        from(alice.request(Method::PUT, "/user/password")).json(&change),
        from(alice.request(Method::DELETE, "/user")).json(&json!({"password": "a wrong one"})),
    ]
}

/// An `Idempotency-Key` that others know.
const THIEFS: &str = "0b9d2a3c-a-thief-has-seen-it";

/// An account whose sign-up can be repeated.
async fn repeatable<'a>(app: &'a TestApp, name: &str) -> Account<'a> {
    let person = app.person(name);
    let body = json!({"email": person.email, "name": person.name, "password": person.password});
    let request = app.anonymous().request(Method::POST, "/user").header("idempotency-key", THIEFS);
    let made = send(request.json(&body)).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let (token, refresh_token) = app.tokens(&person.email, &person.password).await;
    Account { token, refresh_token, ..person }
}

/// Guesses in all these ways, of which five get through.
async fn five_get_through(ways: impl IntoIterator<Item = RequestBuilder>, what: &str) {
    for (number, way) in ways.into_iter().enumerate() {
        let answer = send(way).await;
        if number < 5 {
            assert!([401, 403, 422].contains(&answer.status), "{what}, {number}: {}", answer.text());
        } else {
            told_to_wait(&answer);
        }
    }
}

#[tokio::test]
async fn checklist_14_all_ways_to_guess_are_counted_together() {
    let app = TestApp::with(&SETTINGS).await;
    for turn in 0..9 {
        let victim = repeatable(&app, &format!("victim{turn}")).await;
        let mut from_afar = ways(&victim, &one_of_many(turn));
        from_afar.rotate_left(turn % 7);
        five_get_through(from_afar, &format!("from afar, {turn}")).await;
        // Who shows a token is counted apart.
        let with_a_token = || ways_with_a_token(&victim, &one_of_many(turn));
        let with_a_token = (0..4).flat_map(|_| with_a_token()).skip(turn % 2);
        five_get_through(with_a_token, &format!("with a token, {turn}")).await;
        let mut at_home = ways(&victim, "127.0.0.1");
        at_home.rotate_left(turn % 7);
        five_get_through(at_home, &format!("at home, {turn}")).await;
    }
}

#[tokio::test]
async fn checklist_14_at_most_a_hundred_guesses_an_hour_at_one_account_from_the_whole_world() {
    let app = TestApp::with(&SETTINGS).await;
    let alice = repeatable(&app, "alice").await;
    let thief = alice.elsewhere().await;
    let (mut from_afar, mut at_home, mut with_a_token) = (0, 0, 0);
    for second in 0..3600_usize {
        let checked = async |way| {
            let answer = send(way).await;
            assert!([401, 403, 422, 429].contains(&answer.status), "{}", answer.text());
            usize::from(answer.status != 429)
        };
        from_afar += checked(ways(&alice, &one_of_many(second)).swap_remove(second % 7)).await;
        let with_token = ways_with_a_token(&thief, &one_of_many(second)).swap_remove(second % 2);
        with_a_token += usize::from(send(with_token).await.status == 403);
        // Another sits in the network of the owner.
        at_home += checked(login(&app, "127.0.0.1", &alice.email, "a wrong one")).await;
        app.advance(Duration::from_secs(1));
    }
    assert!(from_afar <= 45, "some way to guess is counted apart: {from_afar}");
    assert!(at_home <= 45, "some way at home is counted apart: {at_home}");
    assert!(from_afar >= 30 && at_home >= 15, "who mistypes gets in: {from_afar}, {at_home}");
    assert_eq!(with_a_token, 10, "a token is good for ten");
    let profile = thief.get("/user/profile").await.status;
    assert_eq!(profile, 401, "and then its session ends");
}

/// One guess at each of `targets`, each from its own address; all get the same answer.
async fn same_answers(app: &TestApp, targets: &[(&str, &str)], number: usize) -> u16 {
    let mut answers = Vec::new();
    for (place, (identifier, password)) in targets.iter().enumerate() {
        let address = format!("198.51.{place}.{number}");
        answers.push(send(login(app, &address, identifier, password)).await);
    }
    for (answer, target) in answers.iter().zip(targets) {
        assert_eq!(answer.essence(), answers[0].essence(), "guess {number} at {target:?}");
    }
    if answers[0].status == 429 {
        app.advance(Duration::from_secs(told_to_wait(&answers[0])));
    }
    answers[0].status
}

#[tokio::test]
async fn checklist_13_the_unknown_the_known_and_the_disabled_are_answered_alike() {
    let app = TestApp::with(&SETTINGS).await;
    let (alice, bob) = (app.account("alice").await, app.account("bob").await);
    let (carol, twin) = (app.account("carol").await, app.person("twin"));
    for email in ["one@example.org", "two@example.org"] {
        let body = json!({"email": email, "name": twin.name, "password": twin.password});
        assert_eq!(app.anonymous().post("/user", &body).await.status, 201);
    }
    disable(&bob).await;
    disable(&carol).await;
    let targets = [
        ("nobody@example.org", "a wrong one"),
        ("nobody", "a wrong one"),
        ("no@mailbox@at all", "a wrong one"),
        (&alice.email, "a wrong one"),
        (&bob.email, "a wrong one"),
        (&carol.email, &carol.password),
        (&twin.name, &twin.password),
    ];
    let mut statuses = Vec::new();
    for number in 0..12 {
        statuses.push(same_answers(&app, &targets, number).await);
    }
    assert_eq!(statuses, [401, 401, 401, 401, 401, 429, 401, 429, 401, 429, 401, 429]);
}

#[tokio::test]
async fn checklist_13_a_network_is_counted_alike_whomever_it_tries() {
    let app = TestApp::with(&SETTINGS).await;
    let _known = app.account("alice").await;
    for (address, identifier) in
        [("198.51.100.1", "alice@example.org"), ("198.51.100.2", "nobody@example.org")]
    {
        guess(&app, address, identifier).await.problem(401, "wrong-credentials");
        for number in 0..19 {
            let answer = guess(&app, address, &format!("{number}-of-{address}@example.org")).await;
            answer.problem(401, "wrong-credentials");
        }
        assert_eq!(told_to_wait(&guess(&app, address, "fresh@example.org").await), 2);
    }
}

#[tokio::test]
async fn checklist_16_a_network_has_twenty_free_guesses_at_all_accounts_together() {
    let app = TestApp::with(&SETTINGS).await;
    let alice = app.account("alice").await;
    // Of one IPv6 network are all that share 64 bits.
    for (first, second, other) in [
        ("198.51.100.7", "::ffff:198.51.100.7", "198.51.100.8"),
        ("2001:db8::1", "2001:db8:0:0:ffff:ffff:ffff:ffff", "2001:db8:0:1::1"),
    ] {
        for number in 0..20 {
            let address = if number % 2 == 0 { first } else { second };
            let answer = guess(&app, address, &format!("{number}@{first}.example.org")).await;
            assert_eq!(answer.status, 401, "{number}: {}", answer.text());
        }
        for wait in [2, 4, 8, 16, 32, 60, 60] {
            let right = send(login(&app, second, &alice.email, &alice.password)).await;
            assert_eq!(told_to_wait(&right), wait, "it is not known at {second}");
            guess(&app, other, &format!("{wait}@example.org")).await;
            app.advance(Duration::from_secs(wait));
            guess(&app, first, &format!("{first}-{wait}@example.org"))
                .await
                .problem(401, "wrong-credentials");
        }
        assert_eq!(from_home(&alice).await.status, 200);
    }
}

#[tokio::test]
async fn checklist_14_a_guess_that_fills_two_counts_at_once_is_counted_in_both() {
    let app = TestApp::with(&SETTINGS).await;
    let dora = app.account("dora").await;
    for name in ["a", "b", "c"] {
        for _ in 0..5 {
            guess(&app, STRANGER, &format!("{name}@example.org")).await.problem(401, "wrong-credentials");
        }
    }
    // The fifth here is the network's twentieth.
    for _ in 0..5 {
        guess(&app, STRANGER, &dora.email).await.problem(401, "wrong-credentials");
    }
    assert_eq!(told_to_wait(&guess(&app, STRANGER, &dora.email).await), 2);
    assert_eq!(told_to_wait(&guess(&app, STRANGER, "e@example.org").await), 2);
    let throttled = "SELECT count(*) FROM audit_events WHERE event = 'guesses-throttled'";
    let noted: i64 = database(app.data_dir()).query_row(throttled, [], |row| row.get(0)).unwrap();
    assert_eq!(noted, 4, "once for each of the identifiers, and not again for the network");
}

#[tokio::test]
async fn checklist_14_counts_and_known_networks_survive_a_restart() {
    let app = TestApp::with(&SETTINGS).await;
    let alice = app.account("alice").await;
    for number in 0..5 {
        guess(&app, &one_of_many(number), &alice.email).await.problem(401, "wrong-credentials");
    }
    for number in 0..20 {
        guess(&app, STRANGER, &format!("{number}@example.org")).await.problem(401, "wrong-credentials");
    }
    let app = app.restart().await;
    let alice = app.person("alice");
    assert_eq!(told_to_wait(&guess(&app, &one_of_many(9), &alice.email).await), 2);
    assert_eq!(told_to_wait(&guess(&app, STRANGER, "20@example.org").await), 2);
    assert_eq!(from_home(&alice).await.status, 200);
}

#[tokio::test]
async fn checklist_14_guesses_sent_at_once_are_counted_one_by_one() {
    let app = TestApp::with(&SETTINGS).await;
    let alice = app.account("alice").await;
    let addresses: Vec<String> = (0..64).map(one_of_many).collect();
    let answers =
        all_at_once(addresses.iter().map(|from| login(&app, from, &alice.email, "a wrong one"))).await;
    let checked = answers.iter().filter(|answer| answer.status == 401).count();
    assert!((5..=9).contains(&checked), "{checked} were checked");
    let refused = answers.iter().filter(|answer| answer.status != 401);
    assert!(refused.map(told_to_wait).all(|wait| wait >= 2));
    // Once the wait is over, one of them gets through at a time.
    app.advance(Duration::from_secs(120));
    let answers =
        all_at_once(addresses.iter().map(|from| login(&app, from, &alice.email, "a wrong one"))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 401).count(), 1);
    assert_eq!(from_home(&alice).await.status, 200);
}

#[tokio::test]
async fn a_server_without_limits_counts_no_guesses() {
    let app = TestApp::with(&[&SETTINGS[1..], &[("limits", "false")]].concat()).await;
    let alice = app.account("alice").await;
    for _ in 0..40 {
        guess(&app, STRANGER, &alice.email).await.problem(401, "wrong-credentials");
    }
    assert_eq!(send(login(&app, STRANGER, &alice.email, &alice.password)).await.status, 200);
    assert_eq!(count(&database(app.data_dir()), "guesses"), 0);
}

#[tokio::test]
async fn who_was_guessed_at_from_where_is_not_in_the_database() {
    let app = TestApp::with(&SETTINGS).await;
    app.account("alice").await;
    for identifier in ["somebody.special@example.org", "Somebody Special", "alice@example.org"] {
        guess(&app, STRANGER, identifier).await.problem(401, "wrong-credentials");
    }
    assert_eq!(count(&database(app.data_dir()), "guesses"), 4, "three whom, and one where");
    let bytes: Vec<u8> = stored(app.data_dir()).into_iter().flat_map(|(_, bytes)| bytes).collect();
    let holds = |text: &str| bytes.windows(text.len()).any(|part| part.eq_ignore_ascii_case(text.as_bytes()));
    assert!(holds("alice@example.org"), "the account is in these files");
    for text in ["somebody", STRANGER, "a wrong one"] {
        assert!(!holds(text), "{text}");
    }
}
