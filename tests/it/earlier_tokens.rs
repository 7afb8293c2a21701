//! Tokens of the server that was here before: good until a date, and for looking alone.

use crate::harness::{Account, Answer, ByToken, Caller as _, TestApp, send};
use crate::operators::{Town, run};
use claviger::audit::{Actor, Origin};
use claviger::keys::earlier::flow;
use claviger_crypto::jws::{KeyKind, SigningKey};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;
use uuid::Uuid;

const JWK_SET: &str = "/.well-known/jwks.json";

const DAY: Duration = Duration::from_secs(86_400);

/// A key of an earlier server, and what that has signed.
struct Earlier(SigningKey);

impl Earlier {
    fn new() -> Self {
        Self(SigningKey::generate(KeyKind::P256).unwrap())
    }

    fn kid(&self) -> &str {
        &self.0.public().kid
    }

    fn signed(&self, claims: &Value) -> String {
        self.0.sign("JWT", claims).unwrap()
    }

    /// A token for this account, for ten days.
    fn token(&self, app: &TestApp, account: &str) -> String {
        let now = app.app().clock.now();
        self.signed(&json!({"public_id": account, "exp": now.plus(10 * DAY).as_seconds()}))
    }

    /// Has a server take it in for twenty days.
    async fn import(&self, app: &TestApp) {
        let (db, now) = (&app.app().db, app.app().clock.now());
        let origin = Origin { actor: Actor::System, address: None, request_id: Uuid::nil() };
        flow::import(db, self.0.public().clone(), now.plus(20 * DAY), &origin, now).await.unwrap();
        self.wait_until_published(app, true).await;
    }

    async fn wait_until_published(&self, app: &TestApp, published: bool) {
        for _ in 0..1000 {
            let set = app.anonymous().get(JWK_SET).await.json();
            if set["keys"].as_array().unwrap().iter().any(|key| key["kid"] == self.kid()) == published {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the server does not take the key over");
    }
}

fn by<'a>(app: &'a TestApp, token: &str) -> ByToken<'a> {
    ByToken { app, token: token.to_owned(), header: "authorization" }
}

async fn profile(app: &TestApp, token: &str) -> Answer {
    by(app, token).get("/user/profile").await
}

async fn refused(app: &TestApp, token: &str, why: &str) {
    for path in ["/user/profile", "/jwks"] {
        let problem = by(app, token).get(path).await.problem(401, "invalid-token");
        assert!(problem["detail"].as_str().unwrap().contains(why), "{problem}");
    }
}

async fn id(account: &Account<'_>) -> String {
    crate::harness::decode(&account.token).1["sub"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn shows_the_profile_and_the_key_and_changes_nothing() {
    let app = TestApp::start().await;
    let alice = app.account("alice").await;
    let earlier = Earlier::new();
    let token = earlier.token(&app, &id(&alice).await);
    refused(&app, &token, "").await;
    earlier.import(&app).await;

    let own = alice.get("/user/profile").await;
    let answer = profile(&app, &token).await;
    assert_eq!((answer.status, answer.json()), (200, own.json()));
    for header in ["token", "x-access-token"] {
        let caller = ByToken { app: &app, token: token.clone(), header };
        assert_eq!(caller.get("/user/profile").await.json(), own.json());
        assert_eq!(caller.get("/jwks").await.json(), alice.get("/jwks").await.json());
    }
    assert_eq!(alice.get("/user/profile").await.status, 200, "our own go on");
    let caller = by(&app, &token);
    let name = json!({"name": "mallory"});
    caller.send_json(Method::PATCH, "/user/profile", &name).await.problem(401, "invalid-token");
    caller.post("/logout", &json!({})).await.problem(401, "invalid-token");
    caller.get("/user/sessions").await.problem(401, "invalid-token");
    assert_eq!(profile(&app, &token).await.json(), own.json());
}

#[tokio::test]
async fn none_of_ours_can_be_made_with_its_key() {
    let app = TestApp::start().await;
    let alice = app.account("alice").await;
    let earlier = Earlier::new();
    earlier.import(&app).await;
    let (_, claims) = crate::harness::decode(&alice.token);
    for forged in [earlier.0.sign("at+jwt", &claims).unwrap(), earlier.signed(&json!({"sub": 1, "exp": 1}))] {
        refused(&app, &forged, "").await;
    }
    // With the claims of ours it still may look alone.
    let looks = earlier.signed(&claims);
    assert_eq!(profile(&app, &looks).await.status, 200);
    by(&app, &looks).post("/logout", &json!({})).await.problem(401, "invalid-token");
    refused(&app, &Earlier::new().token(&app, &id(&alice).await), "").await;
    for nobody in ["", "alice", "00000000-0000-7000-8000-000000000000"] {
        refused(&app, &earlier.token(&app, nobody), "account").await;
    }
}

#[tokio::test]
async fn ends_with_its_time_and_with_that_of_the_key() {
    let app = TestApp::start().await;
    let alice = app.account("alice").await;
    let earlier = Earlier::new();
    earlier.import(&app).await;
    let (now, id) = (app.app().clock.now(), id(&alice).await);
    let short = earlier.signed(&json!({"sub": id, "exp": now.as_seconds() + 60, "iat": now.as_seconds()}));
    let long = earlier.signed(&json!({"sub": id, "exp": now.plus(100 * DAY).as_seconds()}));
    let early =
        earlier.signed(&json!({"sub": id, "exp": now.plus(DAY).as_seconds(), "nbf": now.as_seconds() + 61}));
    refused(&app, &early, "not valid yet").await;
    assert_eq!(profile(&app, &short).await.status, 200);
    app.advance(Duration::from_secs(60));
    refused(&app, &short, "expired").await;
    app.advance(20 * DAY - Duration::from_secs(61));
    assert_eq!(profile(&app, &long).await.status, 200);
    app.advance(Duration::from_secs(1));
    refused(&app, &long, "").await;
    earlier.wait_until_published(&app, false).await;
}

#[tokio::test]
async fn ends_with_the_sessions_of_its_account() {
    let app = TestApp::start().await;
    let earlier = Earlier::new();
    earlier.import(&app).await;
    let people = ["alice", "bob", "carol", "dave", "erin"];
    let mut tokens = Vec::new();
    for name in people {
        let account = app.account(name).await;
        let token = earlier.token(&app, &id(&account).await);
        assert_eq!(profile(&app, &token).await.status, 200);
        tokens.push((account, token));
    }
    let [alice, bob, carol, dave, erin] = &tokens[..] else { panic!("five people") };
    assert_eq!(send(alice.0.request(Method::DELETE, "/user/sessions?all=true")).await.status, 200);
    let new = json!({"current_password": bob.0.password, "new_password": "another walk along the river"});
    assert_eq!(bob.0.send_json(Method::PUT, "/user/password", &new).await.status, 204);
    let gone = json!({"password": carol.0.password});
    assert_eq!(carol.0.send_json(Method::DELETE, "/user", &gone).await.status, 204);
    assert_eq!(dave.0.post("/logout", &json!({})).await.status, 204);
    for (account, token) in [alice, bob, carol] {
        refused(&app, token, "its account is gone, or has ended its sessions").await;
        assert!(!account.email.is_empty());
    }
    // One session of ours that ends is none of that server's.
    assert_eq!(profile(&app, &dave.1).await.status, 200);
    assert_eq!(profile(&app, &erin.1).await.status, 200);
}

#[tokio::test]
async fn operators_import_list_and_revoke_the_key() {
    let town = Town::start();
    let alice = town.person("alice").await;
    let (earlier, folder) = (Earlier::new(), town.folder.path());
    let mut jwk = serde_json::to_value(earlier.0.public()).unwrap();
    let exp = 4_000_000_000_i64;
    let token = earlier.signed(&json!({"public_id": alice.id, "exp": exp}));
    let key = |arguments: &[&str], input: &str| run(folder, &[&["key"], arguments].concat(), input);

    for (until, why) in [
        ("tomorrow", "write it like"),
        ("0s", "next 400 days"),
        ("401d", "next 400 days"),
        ("2020-01-01T00:00:00Z", "next 400 days"),
    ] {
        let (code, out, err) = key(&["import", "-", "--verify-until", until], &jwk.to_string());
        assert!(code == 2 && out.is_empty() && err.contains(why), "{err}");
    }
    let (code, _, err) = key(&["import", "-", "--verify-until", "9d", "--activate"], &jwk.to_string());
    assert!(code == 2 && err.contains("--activate"), "{err}");
    let (code, out, err) = key(&["import", "-", "--verify-until", "9d"], &json!({"keys": jwk}).to_string());
    assert!(code == 0 && out.contains(earlier.kid()) && err.is_empty(), "{out}{err}");
    let (code, _, err) = key(&["import", "-", "--verify-until", "9d"], &jwk.to_string());
    assert!(code == 1 && err.contains("already"), "{err}");
    let (_, listed, _) = key(&["list"], "");
    let line = listed.lines().find(|line| line.contains(earlier.kid())).unwrap();
    assert!(line.contains("earlier  ES256") && line.contains("verifies until 20"), "{line}");

    while town.profile(&token).await.status != 200 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    town.told(&["user", "disable", &alice.email]);
    assert_eq!(town.profile(&token).await.status, 401);
    town.told(&["user", "enable", &alice.email]);
    assert_eq!(town.profile(&token).await.status, 401, "as the sessions that were ended");
    let bob = town.person("bob").await;
    let token = earlier.signed(&json!({"public_id": bob.id, "exp": exp}));
    assert_eq!(town.profile(&token).await.status, 200);

    for number in 0..3 {
        jwk["kid"] = json!(format!("key-{number}"));
        assert_eq!(key(&["import", "-", "--verify-until", "9d"], &jwk.to_string()).0, 0);
    }
    jwk["kid"] = json!("key-3");
    let (code, _, err) = key(&["import", "-", "--verify-until", "9d"], &jwk.to_string());
    assert!(code == 1 && err.contains("4 keys"), "{err}");
    for kid in ["key-0", "key-1", "key-2", earlier.kid()] {
        let (code, out, err) = key(&["revoke", kid], "");
        assert!(code == 0 && out.contains(kid), "{err}");
    }
    while town.profile(&token).await.status != 401 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let events = town.listed(&["audit", "list", "--event", "key-import"]);
    assert_eq!(events.len(), 4, "{events:?}");
    assert_eq!(town.listed(&["audit", "list", "--event", "key-revoke"]).len(), 4);
}
