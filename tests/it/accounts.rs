//! Signing up, the profile, and which accounts there can be.

use crate::harness::{Answer, ByPassword, ByToken, Caller as _, TestApp, all_at_once, count, database, send};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

const PASSWORD: &str = "correct horse battery";

/// Cheap hashes, where their number is not what is tried.
const QUICK: &[(&str, &str)] = &[("dev", "true"), ("hash_memory_kib", "64"), ("hash_passes", "1")];

async fn sign_up(app: &TestApp, email: &str, name: &str, password: &str) -> Answer {
    app.anonymous().post("/user", &json!({"email": email, "name": name, "password": password})).await
}

/// Logs in by HTTP Basic and by JSON, which must agree.
async fn log_in(app: &TestApp, username: &str, password: &str) -> Answer {
    let basic = ByPassword { app, username: username.to_owned(), password: password.to_owned() };
    let by_basic = basic.get("/login").await;
    let by_json = app.anonymous().post("/login", &json!({"email": username, "password": password})).await;
    assert_eq!(by_basic.status, by_json.status, "{username}: {} {}", by_basic.text(), by_json.text());
    by_json
}

async fn profile(app: &TestApp, login: &Answer) -> Answer {
    let token = login.json()["token"].as_str().unwrap().to_owned();
    ByToken { app, token, header: "authorization" }.get("/user/profile").await
}

#[tokio::test]
async fn the_starting_conversation() {
    let app = TestApp::dev().await;
    let body = json!({"email":"test1@eamil.com","name":"test1","password":"test1"});
    let made = app.anonymous().post("/user", &body).await;
    assert_eq!((made.status, made.header("location")), (201, "/user/profile"));
    assert_eq!(made.header("content-type"), "application/json");
    let public_id = made.json()["user"]["public_id"].as_str().unwrap().to_owned();
    let expected =
        format!(r#"{{"user":{{"public_id":"{public_id}","email":"test1@eamil.com","name":"test1"}}}}"#);
    assert_eq!(made.text(), expected);
    app.anonymous().post("/user", &body).await.problem(409, "email-taken");

    let by_json = json!({"email": "test1@eamil.com", "password": "test1"});
    let mut logins = vec![app.anonymous().post("/login", &by_json).await];
    for username in ["test1@eamil.com", "test1"] {
        let caller = ByPassword { app: &app, username: username.into(), password: "test1".into() };
        logins.push(caller.get("/login").await);
    }
    for login in logins {
        assert_eq!(login.status, 200, "{}", login.text());
        assert_eq!(login.header("cache-control"), "no-store");
        assert_eq!(login.json()["token_type"], "Bearer");
        assert_eq!(login.json()["expires_in"], 3600);
        for header in ["authorization", "x-access-token", "token"] {
            let token = login.json()["token"].as_str().unwrap().to_owned();
            let profile = ByToken { app: &app, token, header }.get("/user/profile").await;
            assert_eq!(profile.status, 200, "{header}");
            assert_eq!(profile.text(), r#"{"user":{"email":"test1@eamil.com","name":"test1"}}"#);
        }
    }
    let refused = app.anonymous().get("/user/profile").await;
    refused.problem(401, "credentials-required");
    assert!(refused.header("www-authenticate").starts_with("Bearer "));
}

/// An address as it is typed first, and other spellings of the same mailbox.
const MAILBOXES: &[(&str, &[&str])] = &[
    ("Alice@Example.org", &["alice@example.org", "ALICE@EXAMPLE.ORG", "  alice@example.org  "]),
    ("  spaces@example.org ", &["spaces@example.org", "\u{3000}spaces@example.org\u{a0}"]),
    ("jo@bücher.example", &["jo@xn--bcher-kva.example", "JO@XN--BCHER-KVA.EXAMPLE", "jo@BÜCHER.example"]),
    ("ann@xn--bcher-kva.example", &["ann@bücher.example", "ann@bu\u{308}cher.example"]),
    ("dots@example。org", &["dots@example.org", "dots@ＥＸＡＭＰＬＥ．org"]),
    ("rené@example.org", &["rene\u{301}@example.org", "RENÉ@example.org", "RENE\u{301}@example.org"]),
    ("straße@example.org", &["strasse@example.org", "STRASSE@example.org", "STRAẞE@example.org"]),
    ("οδος@example.org", &["ΟΔΟΣ@example.org", "οδοσ@example.org"]),
];

#[tokio::test]
async fn checklist_22_one_account_for_each_mailbox() {
    let app = TestApp::with(QUICK).await;
    for (number, (typed, others)) in MAILBOXES.iter().enumerate() {
        let made = sign_up(&app, typed, &format!("person {number}"), PASSWORD).await;
        assert_eq!(made.status, 201, "{typed}: {}", made.text());
        assert_eq!(made.json()["user"]["email"], typed.trim(), "shown as typed");
        for other in others.iter().chain([typed]) {
            sign_up(&app, other, "someone else", PASSWORD).await.problem(409, "email-taken");
            let login = log_in(&app, other, PASSWORD).await;
            assert_eq!(login.status, 200, "{other:?} is {typed:?}: {}", login.text());
            assert_eq!(profile(&app, &login).await.json()["user"]["email"], typed.trim());
        }
    }
    assert_eq!(count(&database(app.data_dir()), "accounts"), MAILBOXES.len() as i64);
}

#[tokio::test]
async fn checklist_22_other_mailboxes_stay_apart() {
    let app = TestApp::with(QUICK).await;
    let addresses = [
        "ab@example.org",
        "a.b@example.org",
        "ab+tag@example.org",
        "ab@example.com",
        "ıb@example.org",
        "ib@example.org",
        "jo@straße.example",
        "jo@strasse.example",
    ];
    for (number, email) in addresses.into_iter().enumerate() {
        let made = sign_up(&app, email, email, &format!("{PASSWORD} {number}")).await;
        assert_eq!(made.status, 201, "{email}: {}", made.text());
    }
    for (number, email) in addresses.into_iter().enumerate() {
        assert_eq!(log_in(&app, email, &format!("{PASSWORD} {number}")).await.status, 200, "{email}");
    }
}

#[tokio::test]
async fn checklist_22_names_are_trimmed_and_composed() {
    let app = TestApp::with(QUICK).await;
    let made = sign_up(&app, "r@example.org", " \u{3000}Rene\u{301} D \n", PASSWORD).await;
    assert_eq!(made.json()["user"]["name"], "René D");
    for name in ["René D", "Rene\u{301} D", "  René D "] {
        let login = log_in(&app, name, PASSWORD).await;
        assert_eq!(login.status, 200, "{name:?}");
        assert_eq!(profile(&app, &login).await.json()["user"]["name"], "René D");
    }
    for name in ["rené d", "René  D", "René"] {
        log_in(&app, name, PASSWORD).await.problem(401, "wrong-credentials");
    }
}

#[tokio::test]
async fn checklist_13_a_shared_name_is_refused_like_a_wrong_password() {
    let app = TestApp::with(QUICK).await;
    let people = [("sam1@example.org", "the first password"), ("sam2@example.org", "the second password")];
    for (number, (email, password)) in people.into_iter().enumerate() {
        assert_eq!(sign_up(&app, email, "sam", password).await.status, 201);
        let alone = if number == 0 { 200 } else { 401 };
        assert_eq!(log_in(&app, "sam", people[0].1).await.status, alone, "{} bear the name", number + 1);
    }
    for (email, password) in people {
        let wrong = log_in(&app, email, "another password").await;
        wrong.problem(401, "wrong-credentials");
        let shared = log_in(&app, "sam", password).await;
        assert_eq!(shared.essence(), wrong.essence());
        assert_eq!(log_in(&app, email, password).await.status, 200);
    }
}

#[tokio::test]
async fn checklist_22_a_name_that_looks_like_an_address_opens_nothing() {
    let app = TestApp::with(QUICK).await;
    let (hers, his) = ("the password of alice", "the password of mallory");
    let names = ["alice@example.org", "ALICE@example.org", "nobody@example.org", "@", "a@b@c"];
    for (number, name) in names.into_iter().enumerate() {
        let email = format!("mallory{number}@example.org");
        assert_eq!(sign_up(&app, &email, name, his).await.status, 201, "{name}");
        log_in(&app, name, his).await.problem(401, "wrong-credentials");
    }
    assert_eq!(sign_up(&app, "alice@example.org", "alice", hers).await.status, 201);
    log_in(&app, "alice@example.org", his).await.problem(401, "wrong-credentials");
    let login = log_in(&app, "alice@example.org", hers).await;
    assert_eq!(profile(&app, &login).await.json()["user"]["name"], "alice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn checklist_42_equal_sign_ups_at_once_make_one_account() {
    let app = TestApp::start().await;
    let spellings = ["race@bücher.example", "RACE@xn--bcher-kva.example", " Race@bu\u{308}cher.example"];
    let request = |number: usize| {
        let body = json!({"email": spellings[number % 3], "name": "race", "password": PASSWORD});
        app.anonymous().request(Method::POST, "/user").json(&body)
    };
    let answers = all_at_once((0..24).map(request)).await;
    let (made, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 201);
    assert_eq!((made.len(), refused.len()), (1, 23));
    for answer in refused {
        answer.problem(409, "email-taken");
    }
    let database = database(app.data_dir());
    assert_eq!((count(&database, "accounts"), count(&database, "passwords")), (1, 1));
    let login = log_in(&app, spellings[0], PASSWORD).await;
    assert_eq!(profile(&app, &login).await.json()["user"]["email"], made[0].json()["user"]["email"]);
}

#[tokio::test]
async fn checklist_88_other_members_have_no_effect() {
    let app = TestApp::with(QUICK).await;
    let body = json!({
        "email": "a@example.org", "name": "a", "password": PASSWORD, "role": "admin", "id": 1, "admin": true,
        "public_id": "00000000-0000-7000-8000-000000000000", "email_verified": true, "created_at": 0,
    });
    let made = app.anonymous().post("/user", &body).await;
    assert_eq!(made.status, 201);
    let user = made.json()["user"].clone();
    assert_ne!(user["public_id"], body["public_id"]);
    assert_eq!(user.as_object().unwrap().len(), 3, "{user}");
    let login = log_in(&app, "a@example.org", PASSWORD).await;
    let shown = profile(&app, &login).await;
    assert_eq!(shown.json(), json!({"user": {"email": "a@example.org", "name": "a"}}));
}

#[tokio::test]
async fn a_sign_up_can_be_repeated_under_its_key() {
    let app = TestApp::start().await;
    let body = json!({"email": "kim@example.org", "name": "kim", "password": "kim likes long walks"});
    let request = |key: &str, body: &Value| {
        app.anonymous().request(Method::POST, "/user").header("Idempotency-Key", key).json(body)
    };
    let sign_up = |key: &str, body: &Value| send(request(key, body));
    let answers =
        all_at_once([request("one", &body), request("one", &body), request("\"one\"", &body)]).await;
    for answer in &answers {
        assert_eq!((answer.status, answer.header("location")), (201, "/user/profile"), "{}", answer.text());
        assert_eq!(answer.body, answers[0].body);
    }
    assert_eq!(count(&database(app.data_dir()), "accounts"), 1);

    sign_up("two", &body).await.problem(409, "email-taken");
    app.anonymous().post("/user", &body).await.problem(409, "email-taken");
    for (member, value) in
        [("password", "another long password"), ("name", "kam"), ("email", "Kim@example.org")]
    {
        let mut other = body.clone();
        other[member] = value.into();
        sign_up("one", &other).await.problem(422, "idempotency-key-reused");
    }
    sign_up(&"k".repeat(256), &body).await.problem(400, "malformed-request");

    app.advance(Duration::from_secs(24 * 3600 + 1));
    sign_up("one", &body).await.problem(409, "email-taken");
}

#[tokio::test]
async fn checklist_22_a_new_name_is_trimmed_composed_and_holds_at_once() {
    let app = TestApp::with(QUICK).await;
    let ann = app.account("ann").await;
    let rename =
        async |name: &str| ann.send_json(Method::PATCH, "/user/profile", &json!({"name": name})).await;
    let user = |name: &str| json!({"user": {"email": ann.email, "name": name}});
    let renamed = rename(" \u{3000}Rene\u{301} D \n").await;
    assert_eq!((renamed.status, renamed.json()), (200, user("René D")), "{}", renamed.text());
    assert_eq!(ann.get("/user/profile").await.json(), user("René D"));
    assert_eq!(log_in(&app, "Rene\u{301} D", &ann.password).await.status, 200);
    log_in(&app, "ann", &ann.password).await.problem(401, "wrong-credentials");
    assert_eq!(log_in(&app, &ann.email, &ann.password).await.status, 200);

    for name in ["", " \t", "An\0n", "A\r\nX: y", "\u{1b}[31mAnn", &"é".repeat(201)] {
        let document = rename(name).await.problem(422, "invalid-fields");
        assert_eq!(document["errors"][0]["pointer"], "/name", "{name:?}");
    }
    let same = ann.send_json(Method::PATCH, "/user/profile", &json!({})).await;
    assert_eq!((same.status, same.json()), (200, user("René D")), "what is left out stays");
    assert_eq!(rename(&"é".repeat(200)).await.status, 200);
}

#[tokio::test]
async fn checklist_13_a_name_taken_over_from_another_opens_neither_account() {
    let app = TestApp::with(QUICK).await;
    let (ann, bob) = (app.account("ann").await, app.account("bob").await);
    for name in ["ann", "ann@example.org"] {
        let answer = bob.send_json(Method::PATCH, "/user/profile", &json!({"name": name})).await;
        assert_eq!(answer.status, 200, "names are shared: {}", answer.text());
        log_in(&app, name, &bob.password).await.problem(401, "wrong-credentials");
    }
    assert_eq!(log_in(&app, "ann@example.org", &ann.password).await.status, 200);
    assert_eq!(ann.get("/user/profile").await.json()["user"]["name"], "ann");
}

#[tokio::test]
async fn checklist_13_a_deleted_account_is_like_one_that_never_was() {
    let app = TestApp::with(QUICK).await;
    let (ann, bob) = (app.account("ann").await, app.account("bob").await);
    let elsewhere = ann.elsewhere().await;
    let gone = ann.send_json(Method::DELETE, "/user", &json!({"password": ann.password})).await;
    assert_eq!((gone.status, gone.body.len()), (204, 0), "{}", gone.text());
    for session in [&ann, &elsewhere] {
        session.get("/user/profile").await.problem(401, "invalid-token");
        session.refresh().await.oauth_error(400, "invalid_grant");
    }
    for username in [&ann.email, &ann.name] {
        let former = log_in(&app, username, &ann.password).await;
        let never = log_in(&app, "nobody", &ann.password).await;
        assert_eq!(former.essence(), never.essence());
    }
    let database = database(app.data_dir());
    assert_eq!((count(&database, "accounts"), count(&database, "passwords")), (1, 1));
    assert_eq!(bob.get("/user/profile").await.status, 200);

    let again = app.account("ann").await;
    assert_ne!(again.public_id, ann.public_id, "an id is never given twice");
    ann.get("/user/profile").await.problem(401, "invalid-token");
}
