//! The refresh that is one statement, on PostgreSQL: how it is asked for, whom it waits for, and what becomes of it
//! where the answer is lost.

use crate::harness::{
    Account, Answer, TestApp, Way, database, on_postgres, refresh, refreshing, send, url_of, with_client,
};
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const SETTINGS: &[(&str, &str)] =
    &[("dev", "true"), ("audit_refreshes", "false"), ("hash_memory_kib", "8"), ("hash_passes", "1")];
const SECOND: Duration = Duration::from_secs(1);

/// How many refreshes it takes until each connection knows the statement; there are 32 at most, which take turns.
const ENOUGH: usize = 100;

/// A server behind a way, all of whose connections know the statement.
async fn warm() -> (Arc<Way>, TestApp) {
    let (way, app) = TestApp::behind_a_way(false).await;
    let app = app.settled().await;
    warm_up(&app).await;
    (way, app)
}

async fn warm_up(app: &TestApp) {
    let mut token = app.account("bob").await.refresh_token;
    for _ in 0..ENOUGH {
        app.advance(11 * SECOND);
        token = successor(&refresh(app, &token).await);
    }
    database(app.data_dir()).execute("DELETE FROM sessions", []).unwrap();
}

fn generation(app: &TestApp) -> i64 {
    let sql = "SELECT max(generation) FROM sessions";
    database(app.data_dir()).query_row(sql, [], |row| row.get(0)).unwrap()
}

fn successor(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["refresh_token"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_takes_one_round_trip() {
    if !on_postgres() {
        return;
    }
    let (way, app) = warm().await;
    assert!(way.whole() >= ENOUGH - 32, "{} were", way.whole());
    let (mut token, before) = (app.account("ann").await.refresh_token, way.whole());
    for number in 1..=20 {
        token = successor(&refresh(&app, &token).await);
        app.advance(11 * SECOND);
        assert_eq!((generation(&app), way.whole() - before), (number, usize::try_from(number).unwrap()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_was_kept_is_answered_though_its_connection_is_lost() {
    if !on_postgres() {
        return;
    }
    let (way, app) = warm().await;
    let ann = app.account("ann").await;
    way.hush();
    let asked = tokio::spawn(send(refreshing(&app, &ann.refresh_token)));
    let started = Instant::now();
    while generation(&app) < 1 {
        assert!(started.elapsed() < SECOND, "it is not kept");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    way.hang_up();
    let first = successor(&asked.await.unwrap());
    assert_eq!(successor(&ann.refresh().await), first);
    assert_eq!(generation(&app), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_was_kept_without_an_answer_is_no_theft() {
    if !on_postgres() {
        return;
    }
    let (way, app) = warm().await;
    let ann = app.account("ann").await;
    way.hush();
    let unanswered = ann.refresh().await;
    unanswered.oauth_error(503, "temporarily_unavailable");
    assert_eq!(generation(&app), 1);
    app.advance(3600 * SECOND);
    way.hang_up();
    let first = successor(&ann.refresh().await);
    app.advance(9 * SECOND);
    assert_eq!(successor(&ann.refresh().await), first, "as within its window");
    app.advance(2 * SECOND);
    ann.refresh().await.oauth_error(400, "invalid_grant");
}

/// Somebody who is in the midst of a change.
struct Holder {
    go_on: Sender<()>,
    thread: JoinHandle<()>,
}

impl Holder {
    /// Does `first`, and `then` when it is told to go on.
    fn of(app: &TestApp, first: &'static str, then: &'static str) -> Self {
        let url = url_of(app.data_dir()).unwrap();
        let ((go_on, told), (held, holds)) = (channel(), channel());
        let thread = std::thread::spawn(move || {
            with_client(&url, async move |client| {
                client.batch_execute(first).await.unwrap();
                held.send(()).unwrap();
                told.recv().unwrap();
                client.batch_execute(then).await.unwrap();
            });
        });
        holds.recv().unwrap();
        Self { go_on, thread }
    }

    fn go_on(self) {
        self.go_on.send(()).unwrap();
        self.thread.join().unwrap();
    }
}

/// Refreshes while somebody holds the session, who goes on once that waits for him.
async fn refreshed_behind(ann: &Account<'_>, holder: Holder, meanwhile: impl FnOnce()) -> Answer {
    let app = ann.app;
    let asked = tokio::spawn(send(refreshing(app, &ann.refresh_token)));
    let waiting = "SELECT count(*) FROM pg_stat_activity
        WHERE wait_event_type = 'Lock' AND application_name = 'claviger' AND datname = current_database()";
    let started = Instant::now();
    while database(app.data_dir()).query_row(waiting, [], |row| row.get::<_, i64>(0)).unwrap() == 0 {
        assert!(started.elapsed() < SECOND, "it waits for nobody");
    }
    meanwhile();
    holder.go_on();
    asked.await.unwrap()
}

const HOLD: &str = "BEGIN; SELECT id FROM sessions FOR UPDATE";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn checklist_38_one_that_waited_for_the_end_of_its_session_is_refused() {
    if !on_postgres() {
        return;
    }
    for is_warm in [false, true] {
        let app = TestApp::with(SETTINGS).await;
        if is_warm {
            warm_up(&app).await;
        }
        let ann = app.account("ann").await;
        // As who disables an account does it. When the statement begins, the account is still seen as it was.
        let first = "BEGIN; UPDATE accounts SET disabled_at = 1; SELECT id FROM sessions FOR UPDATE";
        let then = "UPDATE sessions SET ended_at = 1, expires_at = 1, end_number = 1; COMMIT";
        let answer = refreshed_behind(&ann, Holder::of(&app, first, then), || ()).await;
        answer.oauth_error(400, "invalid_grant");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn checklist_45_one_that_waited_longer_than_its_session_lives_is_refused() {
    if !on_postgres() {
        return;
    }
    let app = TestApp::with(SETTINGS).await;
    let ann = app.account("ann").await;
    app.advance(30 * 86_400 * SECOND - 30 * SECOND);
    let holder = Holder::of(&app, HOLD, "ROLLBACK");
    let answer = refreshed_behind(&ann, holder, || app.advance(31 * SECOND)).await;
    answer.oauth_error(400, "invalid_grant");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn checklist_43_one_that_waited_for_its_double_gets_the_same() {
    if !on_postgres() {
        return;
    }
    let app = TestApp::with(SETTINGS).await;
    let ann = app.account("ann").await;
    let double = tokio::spawn(send(refreshing(&app, &ann.refresh_token)));
    let answer = refreshed_behind(&ann, Holder::of(&app, HOLD, "ROLLBACK"), || ()).await;
    assert_eq!(successor(&answer), successor(&double.await.unwrap()));
    assert_eq!(generation(&app), 1);
}
