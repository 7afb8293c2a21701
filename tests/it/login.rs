//! Logging in: what a token says, how long it holds, and that refusals tell nothing.

use crate::harness::{
    Account, ByPassword, ByToken, Caller as _, NOW, Samples, TestApp, database, decode, send,
};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;
use uuid::Uuid;

/// Logs in by JSON, which must succeed.
async fn log_in(account: &Account<'_>) -> Value {
    let body = json!({"email": account.email, "password": account.password});
    let answer = account.app.anonymous().post("/login", &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

#[tokio::test]
async fn checklist_24_the_token_is_an_access_token_of_rfc_9068() {
    let app = TestApp::start().await;
    let alice = app.account("alice").await;
    app.advance(Duration::from_secs(5));
    let login = log_in(&alice).await;
    assert_eq!((&login["token_type"], &login["expires_in"]), (&json!("Bearer"), &json!(900)));

    let (header, claims) = decode(login["token"].as_str().unwrap());
    let jwk_set = app.anonymous().get("/.well-known/jwks.json").await.json();
    let kid = &jwk_set["keys"][0]["kid"];
    assert_eq!(header, json!({"alg": "RS256", "kid": kid, "typ": "at+jwt"}));
    let expected = json!({
        "iss": app.issuer, "aud": app.issuer, "sub": alice.public_id, "public_id": alice.public_id,
        "client_id": "claviger", "iat": NOW + 5, "exp": NOW + 905, "jti": claims["jti"], "sid": claims["sid"],
        "scope": "account profile",
        "status": {"status_list": {"idx": 1, "uri": format!("{}/status/0", app.issuer)}},
    });
    assert_eq!(claims, expected);
    assert!(Uuid::parse_str(claims["sid"].as_str().unwrap()).is_ok());
    assert_ne!(claims["sid"], decode(&alice.token).1["sid"], "each login is a session of its own");
    assert!(claims["jti"].as_str().is_some_and(|jti| jti.len() >= 16));
}

#[tokio::test]
async fn checklist_24_life_issuer_and_audience_are_settings() {
    type Settings = &'static [(&'static str, &'static str)];
    let cases: [(Settings, u64, &str); 4] = [
        (&[], 900, "http://claviger.test"),
        (&[("dev", "true")], 3600, "http://claviger.test"),
        (&[("access_token_ttl", "90s")], 90, "http://claviger.test"),
        (&[("access_token_ttl", "24h"), ("audience", "my services")], 86400, "my services"),
    ];
    for (settings, life, audience) in cases {
        let app = TestApp::with(settings).await;
        let alice = app.account("alice").await;
        let login = log_in(&alice).await;
        assert_eq!(login["expires_in"], life, "{settings:?}");
        let (_, claims) = decode(login["token"].as_str().unwrap());
        assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), life);
        assert_eq!(claims["aud"], audience);
        assert_eq!(alice.get("/user/profile").await.status, 200, "{settings:?}");
    }
}

#[tokio::test]
async fn checklist_25_the_subject_is_the_account_and_never_the_address() {
    let app = TestApp::start().await;
    let mut subjects = BTreeSet::new();
    for name in ["alice", "bob"] {
        let account = app.account(name).await;
        let by_name = ByPassword { username: account.name.clone(), ..account.by_password() };
        for answer in [account.by_password().get("/login").await, by_name.get("/login").await] {
            let (_, claims) = decode(answer.json()["token"].as_str().unwrap());
            assert_eq!(claims["sub"], account.public_id);
            assert!(!claims.to_string().contains(name), "neither address nor name: {claims}");
        }
        subjects.insert(account.public_id.clone());
    }
    assert_eq!(subjects.len(), 2);
}

#[tokio::test]
async fn checklist_17_each_login_gives_another_token() {
    let app = TestApp::start().await;
    let alice = app.account("alice").await;
    let mut ids = BTreeSet::from([decode(&alice.token).1["jti"].to_string()]);
    for _ in 0..9 {
        ids.insert(decode(log_in(&alice).await["token"].as_str().unwrap()).1["jti"].to_string());
    }
    assert_eq!(ids.len(), 10, "at one moment of the clock");
    assert_eq!(alice.get("/user/profile").await.status, 200, "the first token goes on");
}

#[tokio::test]
async fn checklist_30_a_token_ends_at_exp() {
    let app = TestApp::start().await;
    let alice = app.account("alice").await;
    app.advance(Duration::from_secs(899));
    for path in ["/user/profile", "/jwks"] {
        assert_eq!(alice.get(path).await.status, 200, "a second before: {path}");
    }
    app.advance(Duration::from_secs(1));
    for path in ["/user/profile", "/jwks"] {
        for header in ["authorization", "x-access-token", "token"] {
            let refused = alice.by_token(header).get(path).await;
            let document = refused.problem(401, "invalid-token");
            assert!(document["detail"].as_str().unwrap().contains("expired"), "{document}");
        }
    }
    let (_, claims) = decode(log_in(&alice).await["token"].as_str().unwrap());
    assert_eq!(claims["iat"], NOW + 900, "the next login starts from the clock");
}

#[tokio::test]
async fn checklist_19_every_401_has_its_challenge() {
    const BASIC: &str = r#"Basic realm="claviger", charset="UTF-8""#;
    const BEARER: &str = r#"Bearer realm="claviger""#;
    const INVALID: &str = r#"Bearer realm="claviger", error="invalid_token""#;
    let app = TestApp::start().await;
    let anonymous = app.anonymous();
    let wrong = ByPassword { app: &app, username: "nobody".into(), password: "wrong password".into() };
    let token = ByToken { app: &app, token: "no.token.atall".into(), header: "authorization" };
    let json = json!({"email": "nobody", "password": "wrong password"});
    let cases = [
        (anonymous.request(Method::GET, "/login"), BASIC),
        (wrong.request(Method::GET, "/login"), BASIC),
        (token.request(Method::GET, "/login"), BASIC),
        (anonymous.request(Method::POST, "/login").json(&json), BASIC),
        (anonymous.request(Method::GET, "/user/profile"), BEARER),
        (wrong.request(Method::GET, "/user/profile"), BEARER),
        (token.request(Method::GET, "/user/profile"), INVALID),
        (anonymous.request(Method::GET, "/jwks"), BEARER),
        (token.request(Method::GET, "/jwks"), INVALID),
    ];
    for (number, (request, challenge)) in cases.into_iter().enumerate() {
        let answer = send(request).await;
        assert_eq!((answer.status, answer.header("www-authenticate")), (401, challenge), "case {number}");
    }
}

/// Accounts `alice`, `bob` with a damaged hash, and two that share the name `sam`.
async fn populated(settings: &[(&'static str, &str)]) -> TestApp {
    let app = TestApp::with(settings).await;
    for name in ["alice", "bob"] {
        app.account(name).await;
    }
    for email in ["sam1@example.org", "sam2@example.org"] {
        let body = json!({"email": email, "name": "sam", "password": "sam likes long walks"});
        assert_eq!(app.anonymous().post("/user", &body).await.status, 201);
    }
    let damage = "UPDATE passwords SET phc = 'damaged'
        WHERE account_id = (SELECT id FROM accounts WHERE email = 'bob@example.org')";
    assert_eq!(database(app.data_dir()).execute(damage, []).unwrap(), 1);
    app
}

/// Logins that must look alike. The passwords are those of the accounts where the name alone is at fault.
const REFUSED: &[(&str, &str)] = &[
    ("alice@example.org", "a wrong password"),
    ("alice@example.org", ""),
    ("alice@example.org", "alice likes long walks "),
    ("alice", "a wrong password"),
    ("nobody@example.org", "a wrong password"),
    ("nobody@example.org", "alice likes long walks"),
    ("nobody", "a wrong password"),
    ("sam", "sam likes long walks"),
    ("bob@example.org", "bob likes long walks"),
    ("bob", "bob likes long walks"),
    ("alice@", "alice likes long walks"),
    ("@example.org", "a wrong password"),
    ("alice@example.org@example.org", "alice likes long walks"),
    ("alice @example.org", "alice likes long walks"),
    ("a@b..c", "a wrong password"),
    ("' OR 1=1 --", "a wrong password"),
    ("%", "alice likes long walks"),
    ("ALICE", "alice likes long walks"),
    ("", "a wrong password"),
    (" ", "a wrong password"),
];

#[tokio::test]
async fn checklist_13_refusals_cannot_be_told_apart() {
    let app = populated(&[]).await;
    let (mut by_basic, mut by_json) = (Vec::new(), Vec::new());
    for (username, password) in REFUSED {
        let basic = ByPassword { app: &app, username: (*username).into(), password: (*password).into() };
        by_basic.push(basic.get("/login").await);
        let body = json!({"email": username, "password": password});
        by_json.push(app.anonymous().post("/login", &body).await);
    }
    for answers in [by_basic, by_json] {
        answers[0].problem(401, "wrong-credentials");
        for (answer, refused) in answers.iter().zip(REFUSED) {
            assert_eq!(answer.essence(), answers[0].essence(), "{refused:?}");
        }
    }
    let long = format!("{}@example.org", "a".repeat(60_000));
    let answer = app.anonymous().post("/login", &json!({"email": long, "password": "x"})).await;
    answer.problem(401, "wrong-credentials");
}

/// How long that one takes is measured by `bench/run refusals`.
#[tokio::test]
async fn checklist_13_every_refusal_costs_one_hash() {
    let app = populated(&[("metrics_listen", "127.0.0.1:0")]).await;
    let mut hashes = hashes(&app).await;
    for (username, password) in REFUSED {
        let body = json!({"email": username, "password": password});
        assert_eq!(app.anonymous().post("/login", &body).await.status, 401);
        hashes += 1.0;
        assert_eq!(self::hashes(&app).await, hashes, "{username:?}, {password:?}");
    }
}

/// How many have been computed.
async fn hashes(app: &TestApp) -> f64 {
    Samples::parse(&app.metrics().await.text()).of("claviger_hash_duration_seconds_count", &[])
}
