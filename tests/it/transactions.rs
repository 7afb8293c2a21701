//! What a transaction promises, on either engine, and what only PostgreSQL puts to the test.

use crate::harness::{count, database, new_db, on_postgres, settings, url_of};
use claviger::base::time::Timestamp;
use claviger::db::{Db, Error, Lock, Tx, Value};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

fn next(tx: &mut Tx<'_>) -> Result<i64, Error> {
    let sql = "SELECT next FROM counters WHERE name = 'status_index'";
    Ok(tx.first(sql, &[], |row| row.get(0))?.unwrap())
}

fn set(tx: &mut Tx<'_>, number: i64) -> Result<usize, Error> {
    tx.execute("UPDATE counters SET next = $1 WHERE name = 'status_index'", &[number.into()])
}

async fn read(db: &Db) -> i64 {
    db.read(next).await.unwrap()
}

/// The same, held until the end of the transaction.
fn next_held(tx: &mut Tx<'_>) -> Result<i64, Error> {
    let sql = "SELECT next FROM counters WHERE name = 'status_index'";
    Ok(tx.first_locked(Lock::Update, sql, &[], |row| row.get(0))?.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_held_stays_as_it_was_read() {
    let (_folder, db) = new_db();
    let mut writers = JoinSet::new();
    for _ in 0..16 {
        let db = db.clone();
        writers.spawn(async move {
            for _ in 0..10 {
                let changed = db.write::<_, Error, _>(|tx| {
                    let number = next_held(tx)?;
                    set(tx, number + 1)
                });
                assert_eq!(changed.await.unwrap(), 1);
            }
        });
    }
    let long = db.write::<_, Error, _>(|tx| {
        let number = next_held(tx)?;
        std::thread::sleep(Duration::from_millis(100));
        set(tx, number + 1)
    });
    assert_eq!(long.await.unwrap(), 1, "a long one gets its turn among short ones");
    writers.join_all().await;
    assert_eq!(read(&db).await, 161, "none was lost, and none was refused");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn who_is_serializable_is_alone_in_effect() {
    let (_folder, db) = new_db();
    let mut writers = JoinSet::new();
    for _ in 0..3 {
        let db = db.clone();
        writers.spawn(async move {
            for _ in 0..10 {
                let changed = db.write_serializable::<_, Error, _>(|tx| {
                    let number = next(tx)?;
                    set(tx, number + 1)
                });
                assert_eq!(changed.await.unwrap(), 1);
            }
        });
    }
    writers.join_all().await;
    assert_eq!(read(&db).await, 30, "none was lost, and none was refused");
}

#[tokio::test]
async fn one_statement_for_many_rows_changes_each() {
    let (_folder, db) = new_db();
    let rows = [[("status_index", 5)], [("session_end", 6)], [("none", 7)]];
    let changed = db.write::<_, Error, _>(move |tx| {
        let sql = "UPDATE counters SET next = $1 WHERE name = $2";
        let values: Vec<[Value<'_>; 2]> =
            rows.iter().map(|[(name, number)]| [Value::Int(*number), (*name).into()]).collect();
        tx.execute_each(sql, &values)
    });
    assert_eq!(changed.await.unwrap(), [1, 1, 0]);
    assert_eq!(read(&db).await, 5);
}

#[tokio::test]
async fn one_question_for_many_rows_answers_each() {
    let (_folder, db) = new_db();
    let next = |names: &'static [&'static str]| {
        let db = &db;
        async move {
            let answers = db.read::<_, Error, _>(move |tx| {
                let sql = "SELECT next FROM counters WHERE name = $1";
                let values: Vec<[Value<'_>; 1]> = names.iter().map(|name| [(*name).into()]).collect();
                tx.first_each(sql, &values, |row| row.get::<i64>(0))
            });
            answers.await.unwrap()
        }
    };
    assert_eq!(next(&["session_end", "none", "status_index", "none"]).await, [Some(1), None, Some(0), None]);
    assert_eq!(next(&[]).await, []);
}

/// What a feature makes of whatever goes wrong.
#[derive(Debug)]
struct Own;

impl From<Error> for Own {
    fn from(_: Error) -> Self {
        Self
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_conflict_is_seen_behind_a_features_own_error() {
    let (_folder, db) = new_db();
    let mut writers = JoinSet::new();
    for _ in 0..4 {
        let db = db.clone();
        writers.spawn(async move {
            let write = db.write_serializable(|tx| {
                let number = next(tx).map_err(|_| Own)?;
                set(tx, number + 1).map_err(|_| Own)
            });
            write.await.unwrap()
        });
    }
    writers.join_all().await;
    assert_eq!(read(&db).await, 4);
}

#[tokio::test]
async fn what_a_closure_refuses_leaves_nothing() {
    let (_folder, db) = new_db();
    let refused = db.write::<usize, _, _>(|tx| set(tx, 7).map_err(|_| Own).and(Err(Own))).await;
    assert!(matches!(refused, Err(Own)));
    let panicked = db.write::<(), Error, _>(|tx| set(tx, 7).map(|_| panic!("on purpose"))).await;
    assert!(matches!(panicked, Err(Error::Statement(_))), "{panicked:?}");
    assert_eq!(read(&db).await, 0);
    assert_eq!(db.write(|tx| set(tx, 8)).await.unwrap(), 1, "and the next goes through");
}

#[tokio::test]
async fn a_reader_cannot_write() {
    let (_folder, db) = new_db();
    assert!(db.read(|tx| set(tx, 7)).await.is_err());
    assert_eq!(read(&db).await, 0);
}

#[tokio::test]
async fn values_come_back_as_they_went() {
    let (_folder, db) = new_db();
    let (id, at) = (uuid::Uuid::from_bytes([7; 16]), Timestamp::from_micros(-1));
    let name = "naïve \u{1f511} '; DROP TABLE accounts; --";
    db.write::<_, Error, _>(move |tx| {
        let sql = "INSERT INTO accounts (id, email, email_key, name, created_at, idempotency_key)
            VALUES ($1, $2, 'x', $3, $4, $5)";
        tx.execute(sql, &[id.into(), "".into(), name.into(), at.into(), (&[0u8, 255][..]).into()])?;
        let sql = "SELECT id, email, name, created_at, idempotency_key, disabled_at FROM accounts";
        let row = tx.first(sql, &[], |row| {
            assert_eq!(row.get::<uuid::Uuid>(0)?, id);
            assert_eq!((row.get::<String>(1)?, row.get::<String>(2)?), (String::new(), name.to_owned()));
            assert_eq!((row.get::<Timestamp>(3)?, row.get::<Vec<u8>>(4)?), (at, vec![0, 255]));
            assert_eq!(row.get::<Option<Timestamp>>(5)?, None);
            assert!(matches!(row.get::<i64>(5), Err(Error::Corrupt(_))), "NULL is no number");
            assert!(matches!(row.get::<i64>(1), Err(Error::Corrupt(_))), "text is no number");
            Ok(())
        })?;
        assert!(row.is_some());
        Ok(())
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_failed_statement_that_is_hushed_up_fails_its_transaction_on_postgres() {
    if !on_postgres() {
        return;
    }
    let (_folder, db) = new_db();
    let hushed = db
        .write::<_, Error, _>(|tx| {
            set(tx, 7)?;
            let _ = tx.execute("UPDATE counters SET next = NULL", &[]);
            Ok(())
        })
        .await;
    assert!(matches!(hushed, Err(Error::Statement(_))), "{hushed:?}");
    assert_eq!(read(&db).await, 0, "a COMMIT would have been a quiet rollback");
}

#[tokio::test]
async fn a_conflict_at_the_commit_is_tried_again() {
    if !on_postgres() {
        return;
    }
    let (folder, db) = new_db();
    let fail = "IF nextval('commits') < 3 THEN RAISE EXCEPTION 'on purpose' USING ERRCODE = '40001'; END IF;";
    database(folder.path()).at_commit(fail);
    let tries = Arc::new(AtomicUsize::new(0));
    let counted = tries.clone();
    let written = db.write(move |tx| {
        counted.fetch_add(1, Ordering::SeqCst);
        set(tx, 7)
    });
    assert_eq!(written.await.unwrap(), 1);
    assert_eq!((tries.load(Ordering::SeqCst), read(&db).await), (3, 7));
}

#[tokio::test]
async fn a_connection_lost_at_the_commit_is_never_tried_again() {
    if !on_postgres() {
        return;
    }
    let (folder, db) = new_db();
    database(folder.path()).at_commit("PERFORM pg_terminate_backend(pg_backend_pid());");
    let tries = Arc::new(AtomicUsize::new(0));
    let counted = tries.clone();
    let lost = db.write(move |tx| {
        counted.fetch_add(1, Ordering::SeqCst);
        set(tx, 7)
    });
    let lost = lost.await;
    assert!(matches!(&lost, Err(Error::OutcomeUnknown(_))), "{lost:?}");
    assert_eq!(tries.load(Ordering::SeqCst), 1);
    assert_eq!(read(&db).await, 0, "the next has a connection again");
}

#[tokio::test]
async fn a_conflict_without_end_is_given_up() {
    if !on_postgres() {
        return;
    }
    let (folder, db) = new_db();
    database(folder.path()).at_commit("RAISE EXCEPTION 'on purpose' USING ERRCODE = '40001';");
    let refused = db.write(|tx| set(tx, 7)).await;
    assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
}

#[tokio::test]
async fn a_connection_lost_before_the_commit_is_replaced() {
    if !on_postgres() {
        return;
    }
    let (folder, db) = new_db();
    read(&db).await;
    for round in 1..4 {
        let database = database(folder.path());
        assert!(database.cut_servers() >= 1);
        assert_eq!(db.write(move |tx| set(tx, round)).await.unwrap(), 1, "while it was idle");
        let mut first = true;
        let written = db.write(move |tx| {
            if std::mem::take(&mut first) {
                set(tx, 1000)?;
                database.cut_servers();
            }
            set(tx, 10 * round)
        });
        assert_eq!(written.await.unwrap(), 1, "in the midst of a transaction");
        assert_eq!(read(&db).await, 10 * round);
    }
}

#[tokio::test]
async fn statements_have_their_time_limit() {
    if !on_postgres() {
        return;
    }
    let (_folder, db) = new_db();
    let (seen, ended) = std::sync::mpsc::channel();
    let started = Instant::now();
    let slow = db.write::<(), Error, _>(move |tx| {
        set(tx, 1)?;
        let slow = tx.first("SELECT 1 FROM pg_sleep(20)", &[], |_| Ok(()));
        seen.send(slow.map(drop)).unwrap();
        Ok(())
    });
    let slow = slow.await;
    assert!(matches!(slow, Err(Error::Unavailable(_))), "{slow:?}");
    assert!(started.elapsed() < Duration::from_secs(2), "its caller does not wait for it");
    let ended = ended.recv().unwrap();
    assert!(matches!(&ended, Err(Error::Unavailable(why)) if why.contains("57014")), "{ended:?}");
    assert_eq!(read(&db).await, 0);
}

#[tokio::test]
async fn text_with_a_zero_is_refused_on_both() {
    let (folder, db) = new_db();
    let sql = "UPDATE accounts SET name = $1";
    let refused = db.write(move |tx| tx.execute(sql, &["nul \0".into()])).await;
    assert!(matches!(refused, Err(Error::Statement(_))), "{refused:?}");
    assert_eq!(count(&database(folder.path()), "accounts"), 0);
    assert_eq!(read(&db).await, 0);
}

#[tokio::test]
async fn a_statement_is_prepared_once_a_connection() {
    if !on_postgres() {
        return;
    }
    let (folder, _db) = new_db();
    let config = settings(folder.path(), url_of(folder.path()).as_deref());
    // Commands have one connection.
    let db = Db::open_beside(&config).unwrap();
    for _ in 0..5 {
        read(&db).await;
        db.write(|tx| next_held(tx).and_then(|number| set(tx, number))).await.unwrap();
    }
    let sql = "SELECT statement FROM pg_prepared_statements WHERE statement LIKE '%status_index%'";
    let prepared: Vec<String> =
        db.read::<_, Error, _>(move |tx| tx.all(sql, &[], |row| row.get(0))).await.unwrap();
    assert_eq!(prepared.len(), 4, "the look, the look that holds, the change, and this one: {prepared:?}");
}
