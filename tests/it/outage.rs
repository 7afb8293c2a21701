//! PostgreSQL goes away and comes back: through a socket of the test's own that it can cut and stop.

use crate::harness::{Way, on_postgres, open_at, url_of};
use claviger::base::time::Timestamp;
use claviger::db::{Db, Error, Tx};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A database behind such a way.
fn behind() -> (TempDir, Arc<Way>, Db) {
    let folder = tempfile::tempdir().unwrap();
    let url = url_of(folder.path()).unwrap();
    let way = Way::to(&url);
    let db = open_at(folder.path(), &way.url(&url), Timestamp::from_seconds(0)).unwrap();
    (folder, way, db)
}

fn add(tx: &mut Tx<'_>) -> Result<usize, Error> {
    tx.execute("UPDATE counters SET next = next + 1 WHERE name = 'status_index'", &[])
}

async fn sum(db: &Db) -> Result<i64, Error> {
    let sql = "SELECT next FROM counters WHERE name = 'status_index'";
    db.read(move |tx| tx.first(sql, &[], |row| row.get(0))).await.map(Option::unwrap)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_away_is_told_at_once_and_used_when_it_is_back() {
    if !on_postgres() {
        return;
    }
    let (_folder, way, db) = behind();
    for round in 0..3 {
        assert_eq!(db.write(add).await.unwrap(), 1);
        way.cut();
        for _ in 0..20 {
            let started = Instant::now();
            let (written, read) = (db.write(add).await, sum(&db).await);
            assert!(matches!(written, Err(Error::Unavailable(_))), "{written:?}");
            assert!(matches!(read, Err(Error::Unavailable(_))), "{read:?}");
            assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
        }
        way.clone().restore();
        assert_eq!(sum(&db).await.unwrap(), round + 1, "the first to come is served");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_vanishes_is_told_within_two_seconds() {
    if !on_postgres() {
        return;
    }
    let (_folder, way, db) = behind();
    // A connection for each thread.
    futures(&db, 64).await.into_iter().for_each(|outcome| assert!(outcome.is_ok()));
    way.block();
    let started = Instant::now();
    for outcome in futures(&db, 64).await {
        assert!(matches!(outcome, Err(Error::Unavailable(_))), "{outcome:?}");
    }
    assert!(started.elapsed() < Duration::from_millis(3000), "{:?}", started.elapsed());
    way.cut();
    way.clone().restore();
    assert!(sum(&db).await.is_ok(), "and used when it is back");
}

/// Reads at the same time.
async fn futures(db: &Db, count: usize) -> Vec<Result<i64, Error>> {
    let mut reads = tokio::task::JoinSet::new();
    for _ in 0..count {
        let db = db.clone();
        reads.spawn(async move { sum(&db).await });
    }
    reads.join_all().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_under_way_while_connections_break_is_done_once_or_refused() {
    if !on_postgres() {
        return;
    }
    let (_folder, way, db) = behind();
    let mut writers = tokio::task::JoinSet::new();
    for _ in 0..6 {
        let db = db.clone();
        writers.spawn(async move {
            let (mut done, mut unknown) = (0, 0);
            for _ in 0..150 {
                match db.write(add).await {
                    Ok(_) => done += 1,
                    Err(Error::OutcomeUnknown(_)) => unknown += 1,
                    Err(Error::Unavailable(_)) => tokio::time::sleep(Duration::from_millis(2)).await,
                    Err(other) => panic!("{other:?}"),
                }
            }
            (done, unknown)
        });
    }
    for _ in 0..8 {
        tokio::time::sleep(Duration::from_millis(60)).await;
        way.cut();
        tokio::time::sleep(Duration::from_millis(20)).await;
        way.clone().restore();
    }
    let (mut done, mut unknown) = (0, 0);
    for (more, open) in writers.join_all().await {
        (done, unknown) = (done + more, unknown + open);
    }
    let sum = sum(&db).await.unwrap();
    assert!((done..=done + unknown).contains(&sum), "{done} were confirmed, {unknown} left open, {sum} kept");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_whose_end_is_not_answered_leaves_nothing_in_doubt() {
    if !on_postgres() {
        return;
    }
    let (_folder, way, db) = behind();
    let read = db.read::<_, Error, _>(move |tx| {
        let found = tx.first("SELECT COUNT(*) FROM counters", &[], |row| row.get::<i64>(0))?;
        // All that comes after it is the COMMIT.
        way.block();
        Ok(found)
    });
    let read = read.await;
    assert!(matches!(read, Err(Error::Unavailable(_))), "{read:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_servers_the_one_that_says_nothing_is_left() {
    if !on_postgres() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let url = url_of(folder.path()).unwrap();
    let ways = [Way::to(&url), Way::to(&url)];
    let second = ways[1].url(&url);
    let (_, host) = second.split_once("&host=").unwrap();
    let db =
        open_at(folder.path(), &format!("{},{host}", ways[0].url(&url)), Timestamp::from_seconds(0)).unwrap();
    assert_eq!(db.write(add).await.unwrap(), 1);
    for turn in [0, 1, 0] {
        // It takes connections and does not answer.
        ways[turn].block();
        let (started, mut refused) = (Instant::now(), 0);
        while db.write(add).await.is_err() {
            refused += 1;
            assert!(started.elapsed() < Duration::from_secs(6), "{refused} were refused");
        }
        ways[turn].cut();
        ways[turn].clone().restore();
    }
}
