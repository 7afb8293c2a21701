//! What people do with their sessions: see them, end one, the others or all, and log out.

use crate::harness::{
    Account, Answer, ByToken, Caller as _, TestApp, Tokens, assert_refused_everywhere, decode, refresh, send,
};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(86_400);

/// The session of an access token.
fn sid(access: &str) -> String {
    decode(access).1["sid"].as_str().unwrap().to_owned()
}

async fn delete(account: &Account<'_>, path: &str) -> Answer {
    send(account.request(Method::DELETE, path)).await
}

async fn listed(account: &Account<'_>, query: &str) -> (Vec<Value>, Option<String>) {
    let answer = account.get(&format!("/user/sessions{query}")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let said = answer.json();
    (said["sessions"].as_array().unwrap().clone(), said["next"].as_str().map(str::to_owned))
}

/// The ids of all live sessions, in the order of the list.
async fn ids(account: &Account<'_>) -> Vec<String> {
    let (sessions, next) = listed(account, "?limit=200").await;
    assert_eq!(next, None);
    sessions.iter().map(|session| session["id"].as_str().unwrap().to_owned()).collect()
}

async fn assert_ended(app: &TestApp, session: &Account<'_>) {
    assert_refused_everywhere(app, &session.token).await;
    session.refresh().await.oauth_error(400, "invalid_grant");
}

async fn assert_live(session: &Account<'_>) {
    assert_eq!(session.get("/user/profile").await.status, 200);
    assert_eq!(session.refresh().await.status, 200);
}

#[tokio::test]
async fn checklist_51_the_list_shows_live_sessions_and_marks_ones_own() {
    let app = TestApp::start().await;
    let alice = app.account("alice").await;
    let bob = app.account("bob").await;
    app.advance(60 * SECOND);
    let login = json!({"email": alice.email, "password": alice.password});
    let request = app.anonymous().request(Method::POST, "/login").json(&login);
    let second = Tokens::of(&send(request.header("user-agent", "Browser/5.0 (X11)")).await);
    app.advance(60 * SECOND);
    let third = alice.elsewhere().await;
    app.advance(60 * SECOND);
    let used = app
        .anonymous()
        .form("/token", &[("grant_type", "refresh_token"), ("refresh_token", &third.refresh_token)]);
    assert_eq!(send(used.header("user-agent", "App/2")).await.status, 200);

    let (sessions, next) = listed(&alice, "").await;
    let expected = json!([
        {"id": sid(&third.token), "current": false, "created_at": "2026-11-23T12:02:00Z",
         "last_used_at": "2026-11-23T12:03:00Z", "expires_at": "2026-12-23T12:03:00Z",
         "address": "127.0.0.1", "user_agent": "App/2"},
        {"id": sid(&second.access), "current": false, "created_at": "2026-11-23T12:01:00Z",
         "last_used_at": "2026-11-23T12:01:00Z", "expires_at": "2026-12-23T12:01:00Z",
         "address": "127.0.0.1", "user_agent": "Browser/5.0 (X11)"},
        {"id": sid(&alice.token), "current": true, "created_at": "2026-11-23T12:00:00Z",
         "last_used_at": "2026-11-23T12:00:00Z", "expires_at": "2026-12-23T12:00:00Z",
         "address": "127.0.0.1", "user_agent": null},
    ]);
    assert_eq!((json!(sessions), next), (expected, None));
    let marked = |sessions: Vec<Value>| -> Vec<bool> {
        sessions.iter().map(|session| session["current"].as_bool().unwrap()).collect()
    };
    assert_eq!(
        marked(listed(&third, "").await.0),
        [true, false, false],
        "each sees its own as the present one"
    );
    assert_eq!(ids(&bob).await, [sid(&bob.token)], "nobody else's");

    assert_eq!(third.post("/logout", &json!({})).await.status, 204);
    assert_eq!(ids(&alice).await, [sid(&second.access), sid(&alice.token)]);
    app.advance(30 * DAY - 180 * SECOND);
    let alice = Account { token: Tokens::of(&refresh(&app, &second.refresh).await).access, ..alice };
    assert_eq!(ids(&alice).await, [sid(&second.access)], "one that has run out is not shown");
}

#[tokio::test]
async fn checklist_51_and_88_pages_are_whole_and_bounded() {
    let app = TestApp::start().await;
    let alice = app.account("alice").await;
    let bob = app.account("bob").await;
    for _ in 0..6 {
        alice.elsewhere().await;
        bob.elsewhere().await;
    }
    let all = ids(&alice).await;
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), 7);
    for limit in 1..=8 {
        let (mut found, mut query) = (Vec::new(), format!("?limit={limit}"));
        loop {
            let (page, next) = listed(&alice, &query).await;
            assert!(page.len() <= limit && !page.is_empty(), "no page is empty");
            found.extend(page.iter().map(|session| session["id"].as_str().unwrap().to_owned()));
            let Some(next) = next else { break };
            query = format!("?limit={limit}&before={next}");
        }
        assert_eq!(found, all, "pages of {limit}");
    }
    // Someone else's session as a mark shows nothing of that person's.
    let before_bobs = listed(&alice, &format!("?before={}", sid(&bob.token))).await.0;
    assert!(before_bobs.iter().all(|session| all.contains(&session["id"].as_str().unwrap().to_owned())));
    for query in
        ["limit=0", "limit=201", "limit=-1", "limit=x", "limit=", "limit=1&limit=2", "before=x", "before="]
    {
        let refused = alice.get(&format!("/user/sessions?{query}")).await;
        assert_eq!(refused.status, 422, "{query}: {}", refused.text());
        refused.problem(422, "invalid-fields");
    }
}

#[tokio::test]
async fn checklist_51_one_session_is_ended_and_no_other() {
    let app = TestApp::start().await;
    let alice = app.account("alice").await;
    let (second, third) = (alice.elsewhere().await, alice.elsewhere().await);
    let path = format!("/user/sessions/{}", sid(&second.token));
    assert_eq!(delete(&alice, &path).await.status, 204);
    assert_ended(&app, &second).await;
    delete(&alice, &path).await.problem(404, "not-found");
    assert_live(&third).await;

    assert_eq!(
        delete(&alice, &format!("/user/sessions/{}", sid(&alice.token))).await.status,
        204,
        "one's own"
    );
    assert_ended(&app, &alice).await;
    assert_live(&third).await;
}

#[tokio::test]
async fn checklist_88_other_peoples_sessions_look_like_none() {
    let app = TestApp::start().await;
    let (alice, bob) = (app.account("alice").await, app.account("bob").await);
    let of_bob = delete(&alice, &format!("/user/sessions/{}", sid(&bob.token))).await;
    let none = delete(&alice, "/user/sessions/01890000-0000-7000-8000-000000000000").await;
    of_bob.problem(404, "not-found");
    assert_eq!(of_bob.essence(), none.essence());
    for id in ["x", "%00", "0", &alice.public_id, &sid(&alice.token).replace('-', "").to_uppercase()] {
        delete(&alice, &format!("/user/sessions/{id}")).await.problem(404, "not-found");
    }
    for account in [&alice, &bob] {
        assert_live(account).await;
    }
}

#[tokio::test]
async fn checklist_51_the_others_are_ended_or_all() {
    let app = TestApp::start().await;
    let (alice, bob) = (app.account("alice").await, app.account("bob").await);
    let (second, third) = (alice.elsewhere().await, alice.elsewhere().await);
    for query in ["all=maybe", "all=", "all=1", "all=true&all=true", "all=TRUE"] {
        delete(&alice, &format!("/user/sessions?{query}")).await.problem(422, "invalid-fields");
    }
    assert_eq!(ids(&alice).await.len(), 3, "what is not understood ends nothing");

    assert_eq!(delete(&alice, "/user/sessions").await.json(), json!({"ended": 2}));
    for ended in [&second, &third] {
        assert_ended(&app, ended).await;
    }
    assert_eq!(delete(&alice, "/user/sessions?all=false").await.json(), json!({"ended": 0}));
    assert_live(&alice).await;

    let fourth = alice.elsewhere().await;
    assert_eq!(delete(&fourth, "/user/sessions?all=true").await.json(), json!({"ended": 2}));
    for ended in [&alice, &fourth] {
        assert_ended(&app, ended).await;
    }
    assert_live(&bob).await;
    assert_live(&alice.elsewhere().await).await;
}

#[tokio::test]
async fn a_session_that_has_run_out_is_no_live_one_to_end() {
    let app = TestApp::start().await;
    let alice = app.account("alice").await;
    app.advance(20 * DAY);
    let second = alice.elsewhere().await;
    app.advance(10 * DAY);
    let second = Account { token: Tokens::of(&second.refresh().await).access, ..second };
    assert_eq!(ids(&second).await, [sid(&second.token)]);
    delete(&second, &format!("/user/sessions/{}", sid(&alice.token))).await.problem(404, "not-found");
    assert_eq!(delete(&second, "/user/sessions").await.json(), json!({"ended": 0}));
}

#[tokio::test]
async fn checklist_49_after_a_logout_every_token_of_the_session_is_refused_at_once() {
    let app = TestApp::start().await;
    let alice = app.account("alice").await;
    let other = alice.elsewhere().await;
    let next = Tokens::of(&alice.refresh().await);
    for header in ["authorization", "x-access-token", "token"] {
        let caller = ByToken { app: &app, token: next.access.clone(), header };
        assert_eq!(caller.get("/user/profile").await.status, 200);
    }
    assert_eq!(alice.post("/logout", &json!({})).await.status, 204);
    for access in [&alice.token, &next.access] {
        assert_refused_everywhere(&app, access).await;
        for header in ["authorization", "x-access-token", "token"] {
            let caller = ByToken { app: &app, token: access.clone(), header };
            caller.get("/user/profile").await.problem(401, "invalid-token");
        }
    }
    for token in [&alice.refresh_token, &next.refresh] {
        refresh(&app, token).await.oauth_error(400, "invalid_grant");
    }
    assert_live(&other).await;
}

#[tokio::test]
async fn checklist_44_a_token_for_reading_can_only_log_out() {
    let app = TestApp::start().await;
    let alice = app.account("alice").await;
    let fields =
        [("grant_type", "refresh_token"), ("refresh_token", &alice.refresh_token), ("scope", "profile")];
    let reading = Tokens::of(&app.anonymous().post_form("/token", &fields).await);
    let reader = ByToken { app: &app, token: reading.access, header: "authorization" };
    let own = format!("/user/sessions/{}", sid(&reader.token));
    for (method, path) in [
        (Method::GET, "/user/sessions"),
        (Method::DELETE, "/user/sessions"),
        (Method::DELETE, "/user/sessions?all=true"),
        (Method::DELETE, &own),
        (Method::PATCH, "/user/profile"),
        (Method::PUT, "/user/password"),
        (Method::DELETE, "/user"),
    ] {
        let refused = send(reader.request(method, path).json(&json!({}))).await;
        refused.problem(403, "insufficient-scope");
        let challenge = refused.header("www-authenticate");
        assert!(challenge.contains(r#"error="insufficient_scope""#), "{challenge}");
    }
    assert_eq!(reader.get("/user/profile").await.status, 200);
    assert_eq!(reader.post("/logout", &json!({})).await.status, 204);
    assert_refused_everywhere(&app, &alice.token).await;
}
