//! What a transaction promises, on the real engine.

use super::{Db, Error, Tx};
use crate::base::time::Timestamp;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;
use tokio::task::JoinHandle;

const INSERT: &str = "INSERT INTO signing_keys (kid, state, public_jwk, sealed_pkcs8, created_at)
    VALUES ($1, 'active', '{}', $2, $3)";

type Work = fn(&mut Tx<'_>) -> Result<usize, Error>;

fn open() -> (tempfile::TempDir, Db) {
    let folder = tempfile::tempdir().unwrap();
    let db = Db::open(folder.path(), Timestamp::from_seconds(0)).unwrap();
    (folder, db)
}

fn insert(tx: &mut Tx<'_>, kid: &str) -> Result<usize, Error> {
    tx.execute(INSERT, &[kid.into(), (&[1u8][..]).into(), Timestamp::from_seconds(0).into()])
}

async fn kids(db: &Db) -> Vec<String> {
    let sql = "SELECT kid FROM signing_keys ORDER BY kid";
    db.read::<_, Error, _>(|tx| tx.all(sql, &[], |row| row.get(0))).await.unwrap()
}

/// Keeps the writer busy, so that what is sent meanwhile becomes one group.
async fn hold(db: &Db) -> (Sender<()>, JoinHandle<Result<(), Error>>) {
    let ((release, released), (started, has_started)) = (channel(), tokio::sync::oneshot::channel());
    let (db, mut started) = (db.clone(), Some(started));
    let held = tokio::spawn(async move {
        db.write(move |_| {
            let _ = started.take().map(|started| started.send(()));
            let _ = released.recv();
            Ok(())
        })
        .await
    });
    has_started.await.unwrap();
    (release, held)
}

/// Runs these closures as one group; their outcomes in order.
async fn as_group(db: &Db, works: Vec<Work>) -> Vec<Result<usize, Error>> {
    let (release, held) = hold(db).await;
    let tasks: Vec<_> = works
        .into_iter()
        .map(|work| {
            let db = db.clone();
            tokio::spawn(async move { db.write(work).await })
        })
        .collect();
    // The tasks run before this one goes on: the test runs on one thread.
    tokio::task::yield_now().await;
    release.send(()).unwrap();
    held.await.unwrap().unwrap();
    let mut outcomes = Vec::new();
    for task in tasks {
        outcomes.push(task.await.unwrap());
    }
    outcomes
}

#[tokio::test]
async fn who_can_wait_shares_the_commit_of_the_next_who_cannot() {
    let (_folder, db) = open();
    let day = Duration::from_secs(86_400);
    let patient: Vec<_> = [|tx: &mut Tx<'_>| insert(tx, "a"), |tx: &mut Tx<'_>| insert(tx, "b")]
        .into_iter()
        .map(|work| {
            let db = db.clone();
            tokio::spawn(async move { db.write_within(day, work).await })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(kids(&db).await.is_empty());
    assert!(matches!(db.write(|tx| insert(tx, "c")).await, Ok(1)));
    assert_eq!(kids(&db).await, ["a", "b", "c"]);
    for written in patient {
        assert!(matches!(written.await.unwrap(), Ok(1)));
    }
    // Nobody comes.
    assert!(matches!(db.write_within(Duration::from_millis(1), |tx| insert(tx, "d")).await, Ok(1)));
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_writer_gives_way_to_the_threads_that_serve() {
    let nice = || {
        let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
        stat.rsplit_once(") ").unwrap().1.split(' ').nth(16).unwrap().parse::<i32>().unwrap()
    };
    let (_folder, db) = open();
    let of_writer = db.write::<_, Error, _>(move |_| Ok(nice())).await.unwrap();
    assert_eq!(of_writer, (nice() + 5).min(19));
}

#[tokio::test]
async fn one_that_fails_takes_back_its_own_changes_alone() {
    let (_folder, db) = open();
    let outcomes = as_group(
        &db,
        vec![
            |tx| insert(tx, "a"),
            |tx| {
                let sql = "INSERT INTO signing_keys (kid, state, public_jwk, sealed_pkcs8, created_at)
                    VALUES ('r', 'active', '{}', $1, 0) RETURNING kid";
                tx.first(sql, &[(&[1u8][..]).into()], |_| Ok(()))?;
                Err(Error::Corrupt("on purpose".into()))
            },
            |tx| insert(tx, "b").and(Err(Error::Corrupt("on purpose".into()))),
            |tx| insert(tx, "c").map(|_| panic!("on purpose")),
            |tx| insert(tx, "d"),
        ],
    )
    .await;
    let kept: Vec<bool> = outcomes.iter().map(Result::is_ok).collect();
    assert_eq!(kept, [true, false, false, false, true]);
    assert_eq!(kids(&db).await, ["a", "d"]);
}

#[tokio::test]
async fn a_commit_that_fails_keeps_nothing_and_tells_everyone() {
    let (_folder, db) = open();
    // Checked at the commit only: a password of no account.
    let orphan: Work = |tx| {
        tx.execute("PRAGMA defer_foreign_keys = ON", &[])?;
        let sql = "INSERT INTO passwords (account_id, phc, updated_at) VALUES ($1, 'x', $2)";
        tx.execute(sql, &[uuid::Uuid::nil().into(), Timestamp::from_seconds(0).into()])
    };
    let outcomes = as_group(&db, vec![|tx| insert(tx, "a"), orphan, |tx| insert(tx, "b")]).await;
    assert!(outcomes.iter().all(Result::is_err), "{outcomes:?}");
    assert_eq!(kids(&db).await, [""; 0]);
    assert_eq!(db.write(|tx| insert(tx, "c")).await.unwrap(), 1, "the writer goes on");
}

#[tokio::test]
async fn a_full_disk_is_told_and_outlived() {
    let (_folder, db) = open();
    let full = db
        .write::<usize, Error, _>(|tx| {
            // The pragma answers with a row.
            tx.first("PRAGMA max_page_count = 1", &[], |_| Ok(()))?;
            (0..10_000).try_fold(0, |sum, number| Ok(sum + insert(tx, &format!("{number:0100}"))?))
        })
        .await;
    assert!(matches!(full, Err(Error::Unavailable(_))), "{full:?}");
    let raised = db.write(|tx| tx.first("PRAGMA max_page_count = 100000", &[], |_| Ok(()))).await;
    raised.unwrap();
    assert_eq!(db.write(|tx| insert(tx, "a")).await.unwrap(), 1);
    assert_eq!(kids(&db).await, ["a"]);
}

#[tokio::test]
async fn a_reader_sees_one_moment() {
    let (_folder, db) = open();
    let (inside, writer) = (db.clone(), db.clone());
    let (release, wait) = channel();
    let (entered, has_entered) = channel();
    let reader = tokio::task::spawn_blocking(move || {
        tokio::runtime::Handle::current().block_on(inside.read::<_, Error, _>(move |tx| {
            let count = |tx: &mut Tx<'_>| {
                tx.all("SELECT kid FROM signing_keys", &[], |_| Ok(())).map(|rows| rows.len())
            };
            let before = count(tx)?;
            let _ = entered.send(());
            let _ = wait.recv();
            Ok((before, count(tx)?))
        }))
    });
    tokio::task::spawn_blocking(move || has_entered.recv()).await.unwrap().unwrap();
    writer.write(|tx| insert(tx, "a")).await.unwrap();
    release.send(()).unwrap();
    assert_eq!(reader.await.unwrap().unwrap(), (0, 0));
    assert_eq!(kids(&db).await, ["a"]);
}

#[tokio::test]
async fn reading_beside_a_server_cannot_write() {
    let (folder, db) = open();
    db.write(|tx| insert(tx, "a")).await.unwrap();
    let beside = Db::open_read_only(folder.path()).unwrap();
    assert_eq!(kids(&beside).await, ["a"]);
    assert!(beside.write(|tx| insert(tx, "b")).await.is_err());
    let refused = beside.read(|tx| insert(tx, "b")).await;
    assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
}

#[tokio::test]
async fn a_closure_is_gone_when_its_caller_is_answered() {
    let (_folder, db) = open();
    let held = Arc::new(());
    for _ in 0..300 {
        let inside = held.clone();
        db.write::<_, Error, _>(move |_| Ok(Arc::strong_count(&inside))).await.unwrap();
        assert_eq!(Arc::strong_count(&held), 1);
    }
}

/// Drops a handle and tells whether that went well.
struct Watched(Option<Db>, Sender<bool>);

impl Drop for Watched {
    fn drop(&mut self) {
        let dropped = catch_unwind(AssertUnwindSafe(|| drop(self.0.take())));
        let _ = self.1.send(dropped.is_ok());
    }
}

#[tokio::test]
async fn the_last_handle_may_be_in_a_closure_whose_caller_has_gone() {
    let (_folder, db) = open();
    let ((release, released), (told, has_gone_well)) = (channel(), channel());
    let watched = Watched(Some(db.clone()), told);
    let write = db.write::<_, Error, _>(move |_| {
        let _ = (&watched, released.recv());
        Ok(())
    });
    assert!(tokio::time::timeout(Duration::from_millis(1), write).await.is_err());
    drop(db);
    release.send(()).unwrap();
    assert!(has_gone_well.recv().unwrap());
}
