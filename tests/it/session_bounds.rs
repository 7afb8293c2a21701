//! What bounds the sessions of one account, and what one session may write: a thousand of them, and no more
//! refreshes than any client needs. And that whoever has a token, however old, may end its session.

use crate::harness::{
    Account, Answer, Caller as _, TestApp, Tokens, database, decode, on_postgres, refresh, send, url_of,
    with_client,
};
use claviger::base::id::SessionId;
use claviger::{jobs, sessions};
use reqwest::Method;
use serde_json::json;
use std::time::Duration;

const SETTINGS: [(&str, &str); 4] =
    [("limits", "true"), ("dev", "true"), ("hash_memory_kib", "8"), ("hash_passes", "1")];

const SECOND: Duration = Duration::from_secs(1);

/// Adds live sessions of an account, all opened now, one after the other.
fn open_many(alice: &Account<'_>, count: usize) {
    let app = alice.app;
    let now = app.app().clock.now().as_micros();
    let sql = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < COUNT)
        INSERT INTO sessions (id, account_id, client_id, scope, created_at, last_used_at, absolute_expires_at,
            expires_at, access_expires_at, generation, refresh_digest, spent_at, status_index)
        SELECT unhex(printf('%012x7%03x8%015x', NOW / 1000, 0, i)), x'OWNER', 'claviger', 'profile', NOW, NOW,
            END, END, END, 0, randomblob(32), x'', 1000 + i FROM n";
    let end = (now + 86_400_000_000).to_string();
    let owner = alice.public_id.replace('-', "");
    let sql = sql.replace("COUNT", &count.to_string()).replace("NOW", &now.to_string());
    let sql = sql.replace("END", &end).replace("OWNER", &owner);
    assert_eq!(database(app.data_dir()).execute(&sql, []).unwrap(), count);
}

fn live(alice: &Account<'_>) -> i64 {
    let sql = "SELECT count(*) FROM sessions WHERE account_id = ?1 AND ended_at IS NULL AND expires_at > ?2";
    let id = uuid::Uuid::parse_str(&alice.public_id).unwrap();
    let now = alice.app.app().clock.now().as_micros();
    database(alice.app.data_dir()).query_row(sql, (id.as_bytes().as_slice(), now), |row| row.get(0)).unwrap()
}

/// The events of a kind: who did it, and what else there is to say.
fn events(app: &TestApp, kind: &str) -> Vec<(String, Option<String>)> {
    let database = database(app.data_dir());
    let sql = "SELECT personal, detail FROM audit_events WHERE event = ?1 ORDER BY id";
    let mut statement = database.prepare(sql).unwrap();
    let rows = statement.query_map([kind], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    rows.map(Result::unwrap).collect()
}

async fn profile(alice: &Account<'_>) -> u16 {
    alice.get("/user/profile").await.status
}

#[tokio::test]
async fn the_oldest_session_ends_for_the_newest_of_a_thousand() {
    let app = TestApp::with(&SETTINGS).await;
    let (alice, bob) = (app.account("alice").await, app.account("bob").await);
    app.advance(SECOND);
    open_many(&alice, 998);
    app.advance(SECOND);
    let thousandth = alice.elsewhere().await;
    assert_eq!((live(&alice), profile(&alice).await), (1000, 200));
    assert_eq!(events(&app, "revoke"), []);

    app.advance(SECOND);
    let next = alice.elsewhere().await;
    assert_eq!(live(&alice), 1000);
    alice.get("/user/profile").await.problem(401, "invalid-token");
    alice.refresh().await.oauth_error(400, "invalid_grant");
    for other in [&thousandth, &next, &bob] {
        assert_eq!(profile(other).await, 200);
    }
    let told = events(&app, "revoke");
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].0.contains("\"system\"") && told[0].0.contains(&alice.public_id), "{told:?}");
    assert!(told[0].1.as_deref().is_some_and(|detail| detail.contains("more than 1000")), "{told:?}");

    // The rest of the thousand, one for one, and never the newest.
    app.advance(SECOND);
    open_many(&alice, 500);
    app.advance(SECOND);
    let latest = alice.elsewhere().await;
    assert_eq!(live(&alice), 1000);
    assert_eq!([profile(&thousandth).await, profile(&next).await, profile(&latest).await], [200; 3]);
    assert_eq!((live(&bob), profile(&bob).await), (1, 200));
    assert_eq!(events(&app, "revoke").len(), 2, "one, however many have to go");
}

#[tokio::test]
async fn without_limits_an_account_may_have_more() {
    let app = TestApp::with(&[&SETTINGS[1..], &[("limits", "false")]].concat()).await;
    let alice = app.account("alice").await;
    app.advance(SECOND);
    open_many(&alice, 1200);
    app.advance(SECOND);
    alice.elsewhere().await;
    assert_eq!((live(&alice), profile(&alice).await), (1202, 200));
}

/// Asserts that a refresh comes too often, as OAuth's clients read it.
#[track_caller]
fn assert_too_often(answer: &Answer) {
    let document = answer.oauth_error(429, "temporarily_unavailable");
    assert_eq!(answer.header("retry-after"), "5", "{document}");
}

/// Refreshes as often as it is let; the last tokens, and how often it was.
async fn exhausted(app: &TestApp, mut tokens: Tokens) -> (Tokens, usize) {
    for count in 0.. {
        let answer = refresh(app, &tokens.refresh).await;
        if answer.status != 200 {
            assert_too_often(&answer);
            return (tokens, count);
        }
        tokens = Tokens::of(&answer);
    }
    unreachable!("it ends")
}

#[tokio::test]
async fn a_session_is_refreshed_a_thousand_times_at_once_and_then_ten_times_a_tokens_life() {
    let app = TestApp::with(&SETTINGS).await;
    let alice = app.account("alice").await;
    let other = alice.elsewhere().await;
    let (last, count) = exhausted(&app, Tokens::from(&alice)).await;
    assert_eq!(count, 1000);
    app.advance(360 * SECOND - Duration::from_micros(1));
    assert_too_often(&refresh(&app, &last.refresh).await);
    app.advance(Duration::from_micros(1));
    let (last, count) = exhausted(&app, last).await;
    assert_eq!(count, 1, "what was refused was not spent");
    app.advance(9 * 360 * SECOND);
    let (last, count) = exhausted(&app, last).await;
    assert_eq!(count, 9);
    // Another session of the account has its own.
    assert_eq!(other.refresh().await.status, 200);
    // It can be used and ended, and is not safe from replays.
    let access = Tokens::of(&other.refresh().await).access;
    let profile = app.anonymous().request(Method::GET, "/user/profile").bearer_auth(&access);
    assert_eq!(send(profile).await.status, 200);
    refresh(&app, &alice.refresh_token).await.oauth_error(400, "invalid_grant");
    refresh(&app, &last.refresh).await.oauth_error(400, "invalid_grant");
    assert_eq!(events(&app, "refresh-reuse").len(), 1);
}

#[tokio::test]
async fn without_limits_a_session_may_be_refreshed_more_often() {
    let app = TestApp::with(&[&SETTINGS[1..], &[("limits", "false")]].concat()).await;
    let mut tokens = Tokens::from(&app.account("alice").await);
    for _ in 0..1010 {
        tokens = Tokens::of(&refresh(&app, &tokens.refresh).await);
    }
}

/// A refresh token of `alice` that was spent so long ago, and the tokens that came after it.
async fn spent(alice: &Account<'_>, ago: Duration) -> Tokens {
    let next = Tokens::of(&alice.refresh().await);
    alice.app.advance(ago);
    next
}

#[tokio::test]
async fn rfc7009_whoever_has_any_refresh_token_may_end_its_session() {
    for ago in [0, 11, 3600, 86_400 * 29] {
        let app = TestApp::with(&SETTINGS).await;
        let alice = app.account("alice").await;
        let other = alice.elsewhere().await;
        let next = spent(&alice, SECOND * ago).await;
        let fields = [("client_id", "claviger"), ("token", alice.refresh_token.as_str())];
        assert_eq!(app.anonymous().post_form("/revoke", &fields).await.status, 200, "{ago} s");
        refresh(&app, &next.refresh).await.oauth_error(400, "invalid_grant");
        let profile = app.anonymous().request(Method::GET, "/user/profile").bearer_auth(&next.access);
        send(profile).await.problem(401, "invalid-token");
        assert_eq!((events(&app, "revoke").len(), events(&app, "refresh-reuse").len()), (1, 0));
        assert_eq!(other.refresh().await.status, 200);
    }
}

#[tokio::test]
async fn checklist_41_and_44_a_replay_ends_the_session_whatever_scope_it_asks_for() {
    for (ago, scope, error, ended) in [
        (11, "nonsense", "invalid_grant", true),
        (11, "account admin", "invalid_grant", true),
        (10, "nonsense", "invalid_scope", false),
    ] {
        let app = TestApp::with(&SETTINGS).await;
        let alice = app.account("alice").await;
        let next = spent(&alice, SECOND * ago).await;
        let token = alice.refresh_token.as_str();
        let fields = [("grant_type", "refresh_token"), ("refresh_token", token), ("scope", scope)];
        app.anonymous().post_form("/token", &fields).await.oauth_error(400, error);
        assert_eq!(events(&app, "refresh-reuse").len(), usize::from(ended), "{scope} after {ago} s");
        let session = SessionId::parse(decode(&next.access).1["sid"].as_str().unwrap()).unwrap();
        assert_eq!(app.app().statuses.has_ended(session), ended);
        let status = refresh(&app, &next.refresh).await.status;
        assert_eq!(status, if ended { 400 } else { 200 }, "{}", json!([scope, ago]));
    }
}

/// The session of an access token.
fn session_of(access: &str) -> SessionId {
    SessionId::parse(decode(access).1["sid"].as_str().unwrap()).unwrap()
}

/// A refresh whose commit was not answered: its window begins when that is found out.
#[tokio::test]
async fn an_unsettled_refresh_may_be_asked_for_again() {
    let app = TestApp::start().await;
    let alice = app.account("alice").await;
    let kept = Tokens::of(&alice.refresh().await);
    app.app().statuses.unsettle(session_of(&alice.token), app.app().clock.now());
    app.advance(Duration::from_secs(3600));
    let again = Tokens::of(&alice.refresh().await);
    assert_eq!(again.refresh, kept.refresh, "the same successor");
    let profile = app.http.get(format!("{}/user/profile", app.url)).bearer_auth(&again.access);
    assert_eq!(send(profile).await.status, 200, "with an access token that is good");
    app.advance(Duration::from_secs(11));
    alice.refresh().await.oauth_error(400, "invalid_grant");
}

/// What was sent may arrive after it was looked for: it is looked for once more when its window is over.
#[tokio::test]
async fn an_unsettled_refresh_that_arrives_late_may_be_asked_for_again() {
    for is_asked_first in [true, false] {
        let app = TestApp::start().await;
        let alice = app.account("alice").await;
        app.app().statuses.unsettle(session_of(&alice.token), app.app().clock.now());
        let look = async || sessions::flow::settle(&jobs::system(app.app()), None).await.unwrap();
        look().await;
        let kept = Tokens::of(&alice.refresh().await);
        for pause in [5, 3600] {
            app.advance(Duration::from_secs(pause));
            if !is_asked_first {
                look().await;
            }
        }
        assert_eq!(Tokens::of(&alice.refresh().await).refresh, kept.refresh, "the same successor");
        app.advance(Duration::from_secs(3600));
        look().await;
        alice.refresh().await.oauth_error(400, "invalid_grant");
    }
}

/// Whoever shows a spent token while commits fail gets no second window for it.
#[tokio::test]
async fn an_unsettled_replay_stays_a_replay() {
    let app = TestApp::start().await;
    let alice = app.account("alice").await;
    let kept = Tokens::of(&alice.refresh().await);
    app.advance(Duration::from_secs(3600));
    app.app().statuses.unsettle(session_of(&alice.token), app.app().clock.now());
    alice.refresh().await.oauth_error(400, "invalid_grant");
    refresh(&app, &kept.refresh).await.oauth_error(400, "invalid_grant");
}

/// A refresh that waits for its session judges it when it has it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_expires_while_it_is_waited_for_is_not_renewed() {
    if !on_postgres() {
        return;
    }
    let app = TestApp::with(&[("session_idle_ttl", "120s"), ("session_ttl", "1h")]).await;
    let alice = app.account("alice").await;
    app.advance(Duration::from_secs(110));
    let url = url_of(app.data_dir()).unwrap();
    let (held, hold) = std::sync::mpsc::channel();
    let holder = std::thread::spawn(move || {
        with_client(&url, async move |client| {
            client.batch_execute("BEGIN; SELECT id FROM sessions FOR UPDATE").await.unwrap();
            held.send(()).unwrap();
            tokio::time::sleep(Duration::from_millis(700)).await;
            client.batch_execute("COMMIT").await.unwrap();
        });
    });
    hold.recv().unwrap();
    let late = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        app.advance(Duration::from_secs(11));
    };
    let (answer, ()) = tokio::join!(alice.refresh(), late);
    answer.oauth_error(400, "invalid_grant");
    holder.join().unwrap();
}
