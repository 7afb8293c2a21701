//! PgBouncer in transaction mode between the server and PostgreSQL: the old one of Debian 12, which knows
//! nothing of prepared statements.

use crate::harness::{
    Caller as _, TestApp, Tokens, database, on_postgres, open_at, refresh, unprivileged, url_of, with_client,
};
use claviger::base::time::Timestamp;
use claviger::db::{Db, Error, Tx};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A running PgBouncer; ended when dropped.
struct Pooler {
    folder: TempDir,
    program: Child,
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

impl Pooler {
    /// In front of the server at this URL, with so many connections to it; `None` where it is not installed.
    fn before(url: &str, connections: u8) -> Option<Self> {
        if Command::new("pgbouncer").arg("--version").stdout(Stdio::null()).status().is_err() {
            assert!(std::env::var_os("CI").is_none(), "pgbouncer is not installed");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let (_, server) = url.split_once("&host=").unwrap();
        let settings = format!(
            "[databases]\n* = host={server} port=5432 user=claviger\n[pgbouncer]\npool_mode = transaction\n\
             default_pool_size = {connections}\nmax_client_conn = 500\nauth_type = any\nlisten_port = 5432\n\
             unix_socket_dir = {0}\nlogfile = {0}/log\npidfile = {0}/pid\n",
            folder.path().display()
        );
        let file = folder.path().join("pgbouncer.ini");
        std::fs::write(&file, settings).unwrap();
        let (first, rest) = unprivileged(folder.path()).split_first().unwrap();
        let program = Command::new(first).args(rest).args(["pgbouncer", "-q"]).arg(&file).spawn().unwrap();
        let started = Instant::now();
        while !folder.path().join(".s.PGSQL.5432").exists() {
            assert!(started.elapsed() < Duration::from_secs(10), "pgbouncer does not start");
            std::thread::sleep(Duration::from_millis(10));
        }
        Some(Self { folder, program })
    }

    fn url(&self, url: &str) -> String {
        let (start, _) = url.split_once("&host=").unwrap();
        format!("{start}&host={}", self.folder.path().display())
    }
}

fn pooled(data_dir: &Path, connections: u8) -> Option<(Pooler, String)> {
    let url = url_of(data_dir).filter(|_| on_postgres())?;
    let pooler = Pooler::before(&url, connections)?;
    let url = pooler.url(&url);
    Some((pooler, url))
}

/// The connection that knows our statements is replaced by one where the names are somebody else's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_statement_is_taken_for_another() {
    taken_for_itself(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_statement_that_is_sent_with_its_commit_is_taken_for_another() {
    taken_for_itself(true).await;
}

async fn taken_for_itself(at_once: bool) {
    let folder = tempfile::tempdir().unwrap();
    let Some((_pooler, url)) = pooled(folder.path(), 1) else { return };
    let db = open_at(folder.path(), &url, Timestamp::from_seconds(0)).unwrap();
    for number in 0..100 {
        add(&db, number, at_once).await.unwrap();
    }
    let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()";
    let ended: i64 = database(folder.path()).query_row(end, [], |row| row.get(0)).unwrap();
    assert_eq!(ended, 1);
    let others = (0..2000).map(|number| {
        format!("PREPARE s{number}(text) AS UPDATE counters SET next = next + 1000 WHERE name = $1")
    });
    let others = others.collect::<Vec<_>>().join(";");
    // The pooler may notice only now that its connection has ended.
    while with_client(&url, async |client| client.batch_execute(&others).await).is_err() {}
    for number in 0..100 {
        add(&db, number, at_once).await.unwrap();
    }
    assert_eq!(sums(&db).await, [1 + 100 * 10, 100]);
}

async fn add(db: &Db, number: usize, at_once: bool) -> Result<(), Error> {
    if !at_once {
        return db.write(move |tx| one_of_both(tx, number)).await;
    }
    let swap = move |tx: &mut Tx<'_>| {
        let ten = "UPDATE counters SET next = next + 10 WHERE name = $1 RETURNING name";
        let one = "UPDATE counters SET next = next + 1 WHERE name = $1 RETURNING name";
        let (sql, name) = if number.is_multiple_of(2) { (ten, "session_end") } else { (one, "status_index") };
        tx.first(sql, &[name.into()], |_| Ok(()))
    };
    db.swap_or_write(swap, |_| Err(Error::Corrupt("there is no such counter".into()))).await
}

async fn sums(db: &Db) -> Vec<i64> {
    let sql = "SELECT next FROM counters ORDER BY name";
    db.read::<_, Error, _>(move |tx| tx.all(sql, &[], |row| row.get(0))).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_servers_share_few_connections() {
    let folder = tempfile::tempdir().unwrap();
    let Some((_pooler, url)) = pooled(folder.path(), 3) else { return };
    let open = || open_at(folder.path(), &url, Timestamp::from_seconds(0)).unwrap();
    let mut work = tokio::task::JoinSet::new();
    for db in [open(), open()] {
        for number in 0..6 {
            let db = db.clone();
            work.spawn(async move {
                for round in 0..40 {
                    db.write(move |tx| one_of_both(tx, number + round)).await?;
                }
                Ok::<_, Error>(())
            });
        }
    }
    let done = work.join_all().await;
    assert!(done.iter().all(Result::is_ok), "{done:?}");
    assert_eq!(sums(&open()).await, [1 + 12 * 20 * 10, 12 * 20]);
}

/// Adds ten to one counter, or one to the other. Every second caller begins with the other.
fn one_of_both(tx: &mut Tx<'_>, number: usize) -> Result<(), Error> {
    let ten = "UPDATE counters SET next = next + 10 WHERE name = $1";
    let one = "UPDATE counters SET next = next + 1 WHERE name = $1";
    let changed = match number % 2 {
        0 => tx.execute(ten, &["session_end".into()])?,
        _ => tx.execute(one, &["status_index".into()])?,
    };
    assert_eq!(changed, 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_behind_it_does_all_it_does() {
    let folder = tempfile::tempdir().unwrap();
    let Some((_pooler, url)) = pooled(folder.path(), 3) else { return };
    let app = TestApp::with(&[("database_url", &url)]).await;
    for number in 0..4 {
        let ann = app.account(&format!("ann{number}")).await;
        assert_eq!(ann.get("/user/profile").await.status, 200);
        let tokens = Tokens::of(&refresh(&app, &ann.refresh_token).await);
        let fields = [("token", tokens.refresh.as_str()), ("client_id", "claviger")];
        assert_eq!(app.anonymous().post_form("/revoke", &fields).await.status, 200);
        ann.get("/user/profile").await.problem(401, "invalid-token");
    }
}
