//! A token that was verified before needs no second look at its signature. All else is asked for each time.

use crate::harness::{Answer, Caller as _, TestApp, send};
use crate::operators::Town;
use reqwest::Method;
use serde_json::json;
use std::time::Duration;

/// The tokens that the server remembers now, as it shows them.
async fn seen(app: &TestApp) -> String {
    format!("{:?}", app.app().key_set().await.unwrap().seen())
}

fn refused(answer: &Answer, why: &str) {
    let problem = answer.problem(401, "invalid-token");
    assert!(problem["detail"].as_str().unwrap().contains(why), "{problem}");
}

#[tokio::test]
async fn is_remembered_and_gets_the_same_answers() {
    let app = TestApp::start().await;
    let alice = app.account("alice").await;
    assert_eq!(seen(&app).await, "Seen(0)");
    let first = alice.get("/user/profile").await;
    assert_eq!(seen(&app).await, "Seen(1)");
    let again = alice.get("/user/profile").await;
    assert_eq!((first.status, first.json()), (again.status, again.json()));
    for header in ["token", "x-access-token"] {
        assert_eq!(alice.by_token(header).get("/user/profile").await.json(), first.json());
    }
    assert_eq!(seen(&app).await, "Seen(1)");
    let bob = app.account("bob").await;
    assert_eq!(bob.get("/user/profile").await.json(), json!({"user": {"email": bob.email, "name": "bob"}}));
    assert_eq!(alice.get("/user/profile").await.json(), first.json());
}

#[tokio::test]
async fn ends_with_its_time_and_does_not_begin_before_it() {
    let app = TestApp::start().await;
    let alice = app.account("alice").await;
    assert_eq!(alice.get("/user/profile").await.status, 200);
    app.set_back(Duration::from_secs(60));
    assert_eq!(alice.get("/user/profile").await.status, 200);
    app.set_back(Duration::from_secs(1));
    refused(&alice.get("/user/profile").await, "it is not valid yet");
    app.advance(Duration::from_secs(61 + 899));
    assert_eq!(alice.get("/user/profile").await.status, 200);
    app.advance(Duration::from_secs(1));
    refused(&alice.get("/user/profile").await, "it has expired");
}

#[tokio::test]
async fn ends_with_its_session_and_its_account() {
    let app = TestApp::start().await;
    let (alice, bob) = (app.account("alice").await, app.account("bob").await);
    assert_eq!((alice.get("/user/profile").await.status, bob.get("/user/profile").await.status), (200, 200));
    assert_eq!(alice.post("/logout", &json!({})).await.status, 204);
    refused(&alice.get("/user/profile").await, "its session has ended");
    assert_eq!(bob.send_json(Method::DELETE, "/user", &json!({"password": bob.password})).await.status, 204);
    refused(&bob.get("/user/profile").await, "its session has ended");
}

#[tokio::test]
async fn nothing_that_is_like_it_is_taken_for_it() {
    let app = TestApp::start().await;
    let mut alice = app.account("alice").await;
    assert_eq!(alice.get("/user/profile").await.status, 200);
    let good = alice.token.clone();
    let places = (0..good.len()).filter(|place| place % 7 == 0);
    for place in places {
        let other = if &good[place..=place] == "A" { "B" } else { "A" };
        alice.token = [&good[..place], other, &good[place + 1..]].concat();
        assert_eq!(alice.get("/user/profile").await.status, 401, "changed at {place}");
    }
    alice.token = good;
    assert_eq!(alice.get("/user/profile").await.status, 200);
    assert_eq!(seen(&app).await, "Seen(1)", "what is refused is not remembered");
}

#[tokio::test]
async fn ends_with_its_key() {
    let town = Town::start();
    let alice = town.person("alice").await;
    assert_eq!(town.profile(&alice.token).await.status, 200);
    let set = send(town.request(Method::GET, "/.well-known/jwks.json")).await.json();
    let (code, out, err) = town.run(&["key", "revoke", set["keys"][0]["kid"].as_str().unwrap()]);
    assert_eq!(code, 0, "{out}{err}");
    for _ in 0..100 {
        if town.profile(&alice.token).await.status == 401 {
            return refused(&town.profile(&alice.token).await, "no key of this server has its key id");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the key is gone, and its token is still taken");
}
