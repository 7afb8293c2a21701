//! What a change of one statement promises, on either engine, and how PostgreSQL is asked for it.

use crate::harness::{Way, database, new_db, on_postgres, open_at, settings, url_of};
use claviger::base::time::Timestamp;
use claviger::db::{Db, Error, Tx};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// With one connection, which goes a way that the test can cut.
fn behind() -> (TempDir, Arc<Way>, Db) {
    let (folder, _) = new_db();
    let url = url_of(folder.path()).unwrap();
    let way = Way::to(&url);
    let db = Db::open_beside(&settings(folder.path(), Some(&way.url(&url)))).unwrap();
    (folder, way, db)
}

/// Counts on from `present`, if that is where the counter is.
fn next(tx: &mut Tx<'_>, present: i64) -> Result<Option<i64>, Error> {
    let sql = "UPDATE counters SET next = next + 1 WHERE name = 'status_index' AND next = $1 RETURNING next";
    tx.first(sql, &[present.into()], |row| row.get(0))
}

/// What [`next`] says, or -1 where it was not that.
async fn swapped(db: &Db, present: i64) -> Result<i64, Error> {
    db.swap_or_write(move |tx| next(tx, present), |_| Ok(-1)).await
}

fn counter(folder: &TempDir) -> i64 {
    let sql = "SELECT next FROM counters WHERE name = 'status_index'";
    database(folder.path()).query_row(sql, [], |row| row.get(0)).unwrap()
}

#[tokio::test]
async fn where_the_statement_changes_nothing_the_rest_decides() {
    let (folder, db) = new_db();
    for round in 0..40 {
        assert_eq!(swapped(&db, round).await.unwrap(), round + 1);
        assert_eq!(swapped(&db, round).await.unwrap(), -1);
        assert_eq!(counter(&folder), round + 1);
    }
    let written = db.swap_or_write(|tx| next(tx, 7), |tx| Ok(next(tx, 40)?.unwrap_or_default()));
    assert_eq!((written.await.unwrap(), counter(&folder)), (41, 41));
    let refused = db.swap_or_write(|tx| next(tx, 7), |tx| next(tx, 41).and(Err(Error::Refused("no".into()))));
    assert!(matches!(refused.await, Err(Error::Refused(_))));
    assert_eq!(counter(&folder), 41, "what the rest refuses is not kept");
}

#[tokio::test]
async fn a_statement_that_fails_leaves_nothing() {
    let (folder, db) = new_db();
    for round in 0..3 {
        let failed = db.swap_or_write(
            |tx| {
                let sql = "UPDATE counters SET next = NULL WHERE name = 'status_index' RETURNING next";
                tx.first(sql, &[], |row| row.get(0))
            },
            |_| Ok(-1),
        );
        assert!(matches!(failed.await, Err(Error::Statement(_))));
        assert_eq!(swapped(&db, round).await.unwrap(), round + 1, "and the next goes through");
    }
    assert_eq!(counter(&folder), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_all_who_swap_the_same_one_does() {
    let (folder, db) = new_db();
    for round in 0..20 {
        let mut callers = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let db = db.clone();
            callers.spawn(async move { swapped(&db, round).await.unwrap() });
        }
        let answers = callers.join_all().await;
        assert_eq!(answers.iter().filter(|answer| **answer == round + 1).count(), 1, "{answers:?}");
    }
    assert_eq!(counter(&folder), 20);
}

#[tokio::test]
async fn it_is_one_message_but_for_the_first_of_a_connection() {
    if !on_postgres() {
        return;
    }
    let (folder, way, db) = behind();
    for round in 0..10 {
        assert_eq!(swapped(&db, round).await.unwrap(), round + 1);
    }
    assert_eq!((way.whole(), counter(&folder)), (9, 10));
}

#[tokio::test]
async fn it_is_one_statement_on_postgres() {
    if !on_postgres() {
        return;
    }
    let (folder, db) = new_db();
    let two = db.swap_or_write(
        |tx| {
            let first = next(tx, 0)?;
            tx.execute("UPDATE counters SET next = 7", &[])?;
            Ok(first)
        },
        |_| Ok(-1),
    );
    assert!(matches!(two.await, Err(Error::Statement(_))));
    assert_eq!(counter(&folder), 1);
    let other = db.swap_or_write(|tx| tx.execute("UPDATE counters SET next = 7", &[]).map(Some), |_| Ok(0));
    assert!(matches!(other.await, Err(Error::Statement(_))));
    assert_eq!(counter(&folder), 1);
}

#[tokio::test]
async fn a_conflict_is_tried_again() {
    if !on_postgres() {
        return;
    }
    let (folder, db) = new_db();
    let fail = "IF nextval('commits') < 5 THEN RAISE EXCEPTION 'on purpose' USING ERRCODE = '40001'; END IF;";
    database(folder.path()).at_commit(fail);
    assert_eq!((swapped(&db, 0).await.unwrap(), counter(&folder)), (1, 1));
}

#[tokio::test]
async fn a_connection_that_is_lost_is_replaced() {
    if !on_postgres() {
        return;
    }
    let (folder, db) = new_db();
    for round in 0..5 {
        assert_eq!(swapped(&db, round).await.unwrap(), round + 1);
        database(folder.path()).cut_servers();
    }
    let lose = "IF nextval('commits') < 3 THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF;";
    database(folder.path()).at_commit(lose);
    assert_eq!((swapped(&db, 5).await.unwrap(), counter(&folder)), (6, 6), "also at the commit");
}

#[tokio::test]
async fn where_every_connection_is_lost_nobody_knows() {
    if !on_postgres() {
        return;
    }
    let (folder, db) = new_db();
    database(folder.path()).at_commit("PERFORM pg_terminate_backend(pg_backend_pid());");
    let tries = Arc::new(AtomicUsize::new(0));
    let counted = tries.clone();
    let swap = move |tx: &mut Tx<'_>| {
        counted.fetch_add(1, Ordering::SeqCst);
        next(tx, 0)
    };
    let lost = db.swap_or_write(swap, |_| Ok(-1)).await;
    assert!(matches!(&lost, Err(Error::OutcomeUnknown(_))), "{lost:?}");
    assert!(tries.load(Ordering::SeqCst) > 1);
    assert_eq!(counter(&folder), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_is_lost_is_asked_for_again() {
    if !on_postgres() {
        return;
    }
    let (folder, way, db) = behind();
    assert_eq!((swapped(&db, 0).await.unwrap(), swapped(&db, 1).await.unwrap()), (1, 2));
    way.hush();
    let asked = tokio::spawn(async move { swapped(&db, 2).await });
    let started = Instant::now();
    while counter(&folder) < 3 {
        assert!(started.elapsed() < Duration::from_secs(2), "it is not kept");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    way.hang_up();
    assert_eq!(asked.await.unwrap().unwrap(), -1, "it was kept, so that it is for the rest to say");
    assert_eq!(counter(&folder), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_never_answered_is_told_in_time() {
    if !on_postgres() {
        return;
    }
    let (folder, _) = new_db();
    let url = url_of(folder.path()).unwrap();
    let way = Way::to(&url);
    let db = open_at(folder.path(), &way.url(&url), Timestamp::from_seconds(0)).unwrap();
    way.hush();
    let (started, lost) = (Instant::now(), swapped(&db, 0).await);
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    assert!(matches!(lost, Err(Error::Unavailable(_) | Error::OutcomeUnknown(_))), "{lost:?}");
}
