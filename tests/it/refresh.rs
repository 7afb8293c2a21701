//! Refresh tokens: good once, the same successor for ten seconds, then the end of their session; and what
//! neither a retry nor a restart brings back.

use crate::harness::{
    Caller as _, TestApp, Tokens, all_at_once, assert_refused_everywhere, count, database, decode, refresh,
    refreshing, send,
};
use claviger::admin;
use claviger::api_keys::KeyScope;
use claviger::base::id::AccountId;
use claviger::jobs;
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// Shows a refresh token that must be good.
async fn next(app: &TestApp, token: &str) -> Tokens {
    Tokens::of(&refresh(app, token).await)
}

/// Whether an access token opens the profile.
async fn opens(app: &TestApp, access: &str) -> bool {
    let answer = send(app.anonymous().request(Method::GET, "/user/profile").bearer_auth(access));
    let status = answer.await.status;
    assert!([200, 401].contains(&status), "{status}");
    status == 200
}

async fn introspected(app: &TestApp, token: &str) -> Value {
    let service = app.service(&[KeyScope::Introspect]).await;
    service.post_form("/introspect", &[("token", token)]).await.json()
}

/// How many events of a kind the audit trail holds.
fn events(app: &TestApp, kind: &str) -> i64 {
    let sql = "SELECT count(*) FROM audit_events WHERE event = ?1";
    database(app.data_dir()).query_row(sql, [kind], |row| row.get(0)).unwrap()
}

#[tokio::test]
async fn checklist_41_each_use_gives_another_token() {
    let app = TestApp::start().await;
    let alice = app.account("alice").await;
    let (mut now, mut seen) = (Tokens::from(&alice), BTreeSet::new());
    let (_, first) = decode(&now.access);
    for _ in 0..5 {
        app.advance(60 * SECOND);
        let answer = refresh(&app, &now.refresh).await;
        let said = answer.json();
        let members: BTreeSet<&str> = said.as_object().unwrap().keys().map(String::as_str).collect();
        let expected = ["access_token", "expires_in", "refresh_token", "scope", "token_type"];
        assert_eq!(members, BTreeSet::from(expected));
        assert_eq!((&said["token_type"], &said["expires_in"]), (&json!("Bearer"), &json!(900)));
        assert_eq!((&said["scope"], answer.header("cache-control")), (&json!("account profile"), "no-store"));
        let next = Tokens::of(&answer);
        let (_, claims) = decode(&next.access);
        for same in ["iss", "sub", "aud", "client_id", "sid", "scope", "status"] {
            assert_eq!(claims[same], first[same], "{same}");
        }
        assert!(opens(&app, &next.access).await);
        assert!(opens(&app, &now.access).await, "the one before goes on until its own end");
        assert!(seen.insert(claims["jti"].to_string()) && seen.insert(now.refresh.clone()));
        now = next;
    }
    let database = database(app.data_dir());
    assert_eq!((count(&database, "sessions"), events(&app, "refresh")), (1, 5));
}

#[tokio::test]
async fn checklist_43_a_retry_within_ten_seconds_gets_the_same_successor() {
    let app = TestApp::start().await;
    let alice = app.account("alice").await;
    let first = next(&app, &alice.refresh_token).await;
    for _ in 0..10 {
        app.advance(SECOND);
        let again = next(&app, &alice.refresh_token).await;
        assert_eq!(again.refresh, first.refresh, "byte for byte");
        assert!(opens(&app, &again.access).await, "each retry has an access token that works");
    }
    assert_eq!(events(&app, "refresh"), 1, "a retry is no use");
    // Ten seconds after the first use, however often it was repeated since.
    app.advance(Duration::from_micros(1));
    refresh(&app, &alice.refresh_token).await.oauth_error(400, "invalid_grant");
    assert!(!opens(&app, &first.access).await);
    refresh(&app, &first.refresh).await.oauth_error(400, "invalid_grant");
}

#[tokio::test]
async fn checklist_43_a_chain_within_the_window_repeats_each_of_its_links() {
    let app = TestApp::start().await;
    let alice = app.account("alice").await;
    let second = next(&app, &alice.refresh_token).await;
    app.advance(3 * SECOND);
    let third = next(&app, &second.refresh).await;
    app.advance(3 * SECOND);
    for _ in 0..2 {
        assert_eq!(next(&app, &alice.refresh_token).await.refresh, second.refresh);
        assert_eq!(next(&app, &second.refresh).await.refresh, third.refresh);
    }
    let fourth = next(&app, &third.refresh).await;
    // The first has left its window, the second has not.
    app.advance(5 * SECOND);
    assert_eq!(next(&app, &second.refresh).await.refresh, third.refresh);
    assert!(opens(&app, &fourth.access).await);
    refresh(&app, &alice.refresh_token).await.oauth_error(400, "invalid_grant");
    refresh(&app, &second.refresh).await.oauth_error(400, "invalid_grant");
    assert!(!opens(&app, &fourth.access).await);
}

#[tokio::test]
async fn checklist_39_and_41_a_replay_ends_the_family_and_its_access_tokens() {
    for back in 0..3 {
        let app = TestApp::start().await;
        let (alice, bob) = (app.account("alice").await, app.account("bob").await);
        let other = alice.elsewhere().await;
        let mut family = vec![Tokens::from(&alice)];
        for _ in 0..3 {
            let latest = next(&app, &family.last().unwrap().refresh).await;
            family.push(latest);
        }
        app.advance(11 * SECOND);
        refresh(&app, &family[back].refresh).await.oauth_error(400, "invalid_grant");
        for tokens in &family {
            assert_refused_everywhere(&app, &tokens.access).await;
            refresh(&app, &tokens.refresh).await.oauth_error(400, "invalid_grant");
            for text in [&tokens.access, &tokens.refresh] {
                assert_eq!(introspected(&app, text).await, json!({"active": false}));
            }
        }
        assert_eq!(events(&app, "refresh-reuse"), 1, "told once: what came after met an ended session");
        for untouched in [&other, &bob] {
            assert!(opens(&app, &untouched.token).await);
            assert_eq!(untouched.refresh().await.status, 200);
        }
        let listed = other.get("/user/sessions").await.json();
        assert_eq!(listed["sessions"].as_array().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn checklist_43_the_window_revives_no_session_that_was_ended() {
    for end in
        ["logout", "one", "others", "all", "password", "disable", "disable and enable", "revoke", "delete"]
    {
        let app = TestApp::start().await;
        let alice = app.account("alice").await;
        let other = alice.elsewhere().await;
        let latest = next(&app, &alice.refresh_token).await;
        let own = app.anonymous().request(Method::POST, "/logout").bearer_auth(&latest.access);
        let id = AccountId::parse(&alice.public_id).unwrap();
        let cx = || jobs::system(app.app());
        let sid = decode(&latest.access).1["sid"].as_str().unwrap().to_owned();
        match end {
            "logout" => assert_eq!(send(own).await.status, 204),
            "one" => {
                let path = format!("/user/sessions/{sid}");
                assert_eq!(other.send_json(Method::DELETE, &path, &json!({})).await.status, 204);
            }
            "others" => {
                let ended = other.send_json(Method::DELETE, "/user/sessions", &json!({})).await;
                assert_eq!(ended.json(), json!({"ended": 1}));
            }
            "all" => {
                let ended = other.send_json(Method::DELETE, "/user/sessions?all=true", &json!({})).await;
                assert_eq!(ended.json(), json!({"ended": 2}));
            }
            "password" => {
                let body =
                    json!({"current_password": alice.password, "new_password": "another long walk it is"});
                assert_eq!(other.send_json(Method::PUT, "/user/password", &body).await.status, 204);
            }
            "revoke" => {
                let service = app.service(&[KeyScope::Revoke]).await;
                let revoked = service.post_form("/revoke", &[("token", &latest.refresh)]).await;
                assert_eq!(revoked.status, 200);
            }
            "delete" => {
                let body = json!({"password": alice.password});
                assert_eq!(other.send_json(Method::DELETE, "/user", &body).await.status, 204);
            }
            _ => {
                assert_eq!(admin::flow::disable(&cx(), id).await.unwrap(), 2);
                if end == "disable and enable" {
                    admin::flow::enable(&cx(), id).await.unwrap();
                }
            }
        }
        for token in [&alice.refresh_token, &latest.refresh, &alice.refresh_token] {
            refresh(&app, token).await.oauth_error(400, "invalid_grant");
        }
        for access in [&alice.token, &latest.access] {
            assert!(!opens(&app, access).await, "{end}");
        }
        assert_eq!(events(&app, "refresh-reuse"), 0, "{end}");
    }
}

#[tokio::test]
async fn checklist_23_and_46_a_disabled_account_is_asked_for_at_each_refresh() {
    let app = TestApp::start().await;
    let alice = app.account("alice").await;
    // Even where its session was left alone: as another server sees it between two changes.
    let disable = "UPDATE accounts SET disabled_at = created_at";
    assert_eq!(database(app.data_dir()).execute(disable, []).unwrap(), 1);
    refresh(&app, &alice.refresh_token).await.oauth_error(400, "invalid_grant");
    assert_eq!(introspected(&app, &alice.refresh_token).await, json!({"active": false}));
    let enable = "UPDATE accounts SET disabled_at = NULL";
    assert_eq!(database(app.data_dir()).execute(enable, []).unwrap(), 1);
    assert_eq!(alice.refresh().await.status, 200, "what was refused was not spent");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn checklist_42_of_many_at_once_all_get_the_one_successor() {
    let app = TestApp::start().await;
    let alice = app.account("alice").await;
    let mut latest = alice.refresh_token.clone();
    for round in 1..=8 {
        let answers = all_at_once((0..24).map(|_| refreshing(&app, &latest))).await;
        let texts: BTreeSet<String> = answers.iter().map(|answer| Tokens::of(answer).refresh).collect();
        assert_eq!((answers.len(), texts.len()), (24, 1), "round {round}");
        for answer in &answers {
            assert!(opens(&app, &Tokens::of(answer).access).await);
        }
        assert_eq!(events(&app, "refresh"), round);
        latest = texts.into_iter().next().unwrap();
    }
    let generation: i64 =
        database(app.data_dir()).query_row("SELECT generation FROM sessions", [], |row| row.get(0)).unwrap();
    assert_eq!(generation, 8);
}

#[tokio::test]
async fn checklist_47_a_restart_keeps_what_is_live_spent_and_ended() {
    let app = TestApp::start().await;
    let alice = app.account("alice").await;
    let [live, spent, old, ended, reused] = {
        let mut sessions = Vec::new();
        for _ in 0..5 {
            sessions.push(Tokens::from(&alice.elsewhere().await));
        }
        <[Tokens; 5]>::try_from(sessions).unwrap()
    };
    let after_old = next(&app, &old.refresh).await;
    let after_reused = next(&app, &reused.refresh).await;
    app.advance(11 * SECOND);
    refresh(&app, &reused.refresh).await.oauth_error(400, "invalid_grant");
    let after_spent = next(&app, &spent.refresh).await;
    let end = app.anonymous().request(Method::POST, "/logout").bearer_auth(&ended.access);
    assert_eq!(send(end).await.status, 204);

    let app = app.restart().await;
    app.advance(10 * SECOND);
    for access in [&ended.access, &reused.access, &after_reused.access] {
        assert_refused_everywhere(&app, access).await;
        assert_eq!(introspected(&app, access).await, json!({"active": false}));
    }
    for token in [&ended.refresh, &reused.refresh, &after_reused.refresh] {
        refresh(&app, token).await.oauth_error(400, "invalid_grant");
    }
    assert_eq!(next(&app, &spent.refresh).await.refresh, after_spent.refresh);
    for tokens in [&live, &spent, &after_spent, &old, &after_old] {
        assert!(opens(&app, &tokens.access).await);
    }
    next(&app, &live.refresh).await;
    refresh(&app, &old.refresh).await.oauth_error(400, "invalid_grant");
    assert!(!opens(&app, &after_old.access).await, "spent before the restart, replayed after it");

    let app = app.restart().await;
    for access in [&ended.access, &reused.access, &after_reused.access, &old.access, &after_old.access] {
        assert!(!opens(&app, access).await);
    }
    assert!(opens(&app, &live.access).await);
    refresh(&app, &after_old.refresh).await.oauth_error(400, "invalid_grant");
}

#[tokio::test]
async fn checklist_39_and_47_what_a_retry_gave_last_is_refused_to_its_own_end() {
    let app = TestApp::start().await;
    let alice = app.account("alice").await;
    next(&app, &alice.refresh_token).await;
    app.advance(10 * SECOND);
    let last = next(&app, &alice.refresh_token).await;
    let end = app.anonymous().request(Method::POST, "/logout").bearer_auth(&last.access);
    assert_eq!(send(end).await.status, 204);
    // All others of the session have run out by now.
    app.advance(899 * SECOND);
    assert!(!opens(&app, &last.access).await);
    jobs::sweep(app.app()).await.unwrap();
    assert!(!opens(&app, &last.access).await, "not forgotten too early");
    let app = app.restart().await;
    jobs::sweep(app.app()).await.unwrap();
    assert!(!opens(&app, &last.access).await, "nor by a restart");
    assert_eq!(count(&database(app.data_dir()), "sessions"), 1);
    app.advance(600 * SECOND);
    jobs::sweep(app.app()).await.unwrap();
    assert_eq!(count(&database(app.data_dir()), "sessions"), 1, "the clock may be set back by ten minutes");
    app.advance(SECOND);
    jobs::sweep(app.app()).await.unwrap();
    assert_eq!(count(&database(app.data_dir()), "sessions"), 0, "kept no longer than it is needed");
}
