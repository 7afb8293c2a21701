//! What people change of their own account: its name, its password, and that it is there at all.

use crate::harness::{
    Account, Answer, Caller as _, TestApp, assert_refused_everywhere, count, database, send,
};
use reqwest::Method;
use serde_json::{Value, json};

const NEW: &str = "a stitch in time saves nine";

async fn put_password(account: &Account<'_>, body: Value) -> Answer {
    account.send_json(Method::PUT, "/user/password", &body).await
}

async fn patch(account: &Account<'_>, body: Value) -> Answer {
    account.send_json(Method::PATCH, "/user/profile", &body).await
}

async fn delete(account: &Account<'_>, password: &str) -> Answer {
    account.send_json(Method::DELETE, "/user", &json!({"password": password})).await
}

async fn log_in(account: &Account<'_>, password: &str) -> Answer {
    let body = json!({"email": account.email, "password": password});
    account.app.anonymous().post("/login", &body).await
}

async fn is_live(session: &Account<'_>) -> bool {
    let (read, refreshed) = (session.get("/user/profile").await.status, session.refresh().await.status);
    assert!([(200, 200), (401, 400)].contains(&(read, refreshed)), "{read} {refreshed}");
    read == 200
}

#[tokio::test]
async fn checklist_10_a_new_password_ends_the_other_sessions() {
    let app = TestApp::start().await;
    let (alice, bob) = (app.account("alice").await, app.account("bob").await);
    let other = alice.elsewhere().await;
    let next = other.refresh().await.json();
    let body = json!({"current_password": alice.password, "new_password": NEW});
    let changed = put_password(&alice, body).await;
    assert_eq!((changed.status, changed.text().as_str()), (204, ""));
    for access in [&other.token, next["access_token"].as_str().unwrap()] {
        assert_refused_everywhere(&app, access).await;
    }
    assert!(!is_live(&other).await);
    assert!(is_live(&alice).await && is_live(&bob).await);
    log_in(&alice, &alice.password).await.problem(401, "wrong-credentials");
    assert_eq!(log_in(&alice, NEW).await.status, 200);
}

#[tokio::test]
async fn checklist_10_the_other_sessions_go_on_where_that_is_wished() {
    let app = TestApp::start().await;
    let alice = app.account("alice").await;
    let other = alice.elsewhere().await;
    let body = json!({"current_password": alice.password, "new_password": NEW, "keep_other_sessions": true});
    assert_eq!(put_password(&alice, body).await.status, 204);
    assert!(is_live(&other).await && is_live(&alice).await);
    log_in(&alice, &alice.password).await.problem(401, "wrong-credentials");
    let body = json!({"current_password": NEW, "new_password": alice.password, "keep_other_sessions": false});
    assert_eq!(put_password(&other, body).await.status, 204);
    assert!(is_live(&other).await && !is_live(&alice).await);
}

#[tokio::test]
async fn checklist_10_and_52_a_change_that_is_refused_changes_nothing() {
    let app = TestApp::start().await;
    let alice = app.account("alice").await;
    let other = alice.elsewhere().await;
    let current = alice.password.as_str();
    for wrong in ["wrong password", "", NEW, "Alice likes long walks", "alice likes long walks "] {
        let refused = put_password(&alice, json!({"current_password": wrong, "new_password": NEW})).await;
        refused.problem(403, "wrong-password");
        assert_eq!(refused.header("www-authenticate"), "", "the token is not at fault");
    }
    for weak in ["short", "", "alice@example.org"] {
        let refused = put_password(&alice, json!({"current_password": current, "new_password": weak})).await;
        let document = refused.problem(422, "invalid-fields");
        assert_eq!(document["errors"][0]["pointer"], "/new_password", "{document}");
    }
    for body in [
        json!({"new_password": NEW}),
        json!({"current_password": current}),
        json!({"current_password": current, "new_password": NEW, "keep_other_sessions": "no"}),
        json!({"current_password": null, "new_password": NEW}),
    ] {
        put_password(&alice, body).await.problem(422, "invalid-fields");
    }
    assert!(is_live(&alice).await && is_live(&other).await);
    assert_eq!(log_in(&alice, current).await.status, 200);
}

#[tokio::test]
async fn checklist_88_a_profile_change_changes_the_name_and_nothing_else() {
    let app = TestApp::start().await;
    let (alice, bob) = (app.account("alice").await, app.account("bob").await);
    let shown = |name: &str| json!({"user": {"email": alice.email, "name": name}});
    let changed = patch(&alice, json!({"name": "  Alice Liddell "})).await;
    assert_eq!((changed.status, changed.json()), (200, shown("Alice Liddell")));
    assert_eq!(alice.get("/user/profile").await.json(), shown("Alice Liddell"));
    assert_eq!(patch(&alice, json!({})).await.json(), shown("Alice Liddell"), "what is left out stays");
    for body in [
        json!({"email": "other@example.org"}),
        json!({"id": bob.public_id, "public_id": bob.public_id, "disabled_at": null}),
        json!({"role": "admin", "email_verified": true, "password": NEW}),
    ] {
        assert_eq!(patch(&alice, body).await.json(), shown("Alice Liddell"));
    }
    for name in [json!(""), json!(" "), json!("a\nb"), json!("x".repeat(201)), json!(5), json!(["x"])] {
        patch(&alice, json!({"name": name})).await.problem(422, "invalid-fields");
    }
    assert_eq!(alice.get("/user/profile").await.json(), shown("Alice Liddell"));
    assert_eq!(bob.get("/user/profile").await.json(), json!({"user": {"email": bob.email, "name": "bob"}}));
    assert_eq!(log_in(&alice, &alice.password).await.status, 200);
}

#[tokio::test]
async fn checklist_38_a_deleted_account_is_refused_on_every_path_at_once() {
    let app = TestApp::start().await;
    let (alice, bob) = (app.account("alice").await, app.account("bob").await);
    let other = alice.elsewhere().await;
    delete(&alice, "wrong password").await.problem(403, "wrong-password");
    delete(&alice, &bob.password).await.problem(403, "wrong-password");
    alice.send_json(Method::DELETE, "/user", &json!({})).await.problem(422, "invalid-fields");
    assert_eq!(send(alice.request(Method::DELETE, "/user")).await.status, 415, "not without a body");
    assert!(is_live(&alice).await && is_live(&other).await);

    let gone = delete(&alice, &alice.password).await;
    assert_eq!((gone.status, gone.text().as_str()), (204, ""));
    for session in [&alice, &other] {
        assert_refused_everywhere(&app, &session.token).await;
        session.refresh().await.oauth_error(400, "invalid_grant");
    }
    let unknown = json!({"email": "nobody@example.org", "password": "alice likes long walks"});
    let unknown = app.anonymous().post("/login", &unknown).await;
    assert_eq!(log_in(&alice, &alice.password).await.essence(), unknown.essence());
    assert_eq!(log_in(&alice, "wrong password").await.essence(), unknown.essence());
    assert!(is_live(&bob).await);
}

#[tokio::test]
async fn checklist_25_an_account_made_again_is_another_one() {
    let app = TestApp::start().await;
    let alice = app.account("alice").await;
    assert_eq!(delete(&alice, &alice.password).await.status, 204);
    let again = app.account("alice").await;
    assert_ne!(again.public_id, alice.public_id);
    assert!(is_live(&again).await && !is_live(&alice).await, "no old token opens the new account");
    let database = database(app.data_dir());
    let counts = ["accounts", "passwords", "known_networks"].map(|table| count(&database, table));
    assert_eq!(counts, [1, 1, 1]);
    drop(database);
    let (old, old_refresh, new) = (alice.token.clone(), alice.refresh_token.clone(), again.token.clone());

    let app = app.restart().await;
    assert_refused_everywhere(&app, &old).await;
    crate::harness::refresh(&app, &old_refresh).await.oauth_error(400, "invalid_grant");
    let profile = app.anonymous().request(Method::GET, "/user/profile").bearer_auth(&new);
    assert_eq!(send(profile).await.status, 200);
}

#[tokio::test]
async fn checklist_42_an_account_deleted_many_times_at_once_is_deleted_once() {
    let app = TestApp::start().await;
    let alice = app.account("alice").await;
    let body = json!({"password": alice.password});
    let requests = (0..12).map(|_| alice.request(Method::DELETE, "/user").json(&body));
    let mut statuses: Vec<u16> =
        crate::harness::all_at_once(requests).await.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses[0], 204);
    assert!(statuses[1..].iter().all(|status| [401, 403].contains(status)), "{statuses:?}");
}
