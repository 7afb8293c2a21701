//! A PostgreSQL of the tests' own: made once for each run of the tests, on a Unix socket only, gone with them.
//!
//! `CLAVIGER_TEST_ENGINE=postgres` runs the same tests on it. Each data folder has a database of its own,
//! copied from one that was migrated once.

use claviger::base::time::Timestamp;
use claviger::config::raw::{Raw, Source, find};
use claviger::config::{Config, resolve};
use claviger::db::Db;
use std::collections::{BTreeSet, HashMap};
use std::fs::{File, Permissions};
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{LazyLock, Mutex, Once};
use tokio_postgres::{Client, NoTls};

/// Makes a cluster in the folder `$1` with the programs of `$2` and the options `$3` by the command `$4 …`, and
/// removes it when its standard input ends: however the tests end, that does.
const LIFE: &str = r#"
dir=$1; bin=$2; more=$3; shift 3
"$@" "$bin/initdb" -D "$dir/data" -U claviger -A trust -E UTF8 --locale=C --no-sync >"$dir/log" 2>&1 &&
    "$@" "$bin/pg_ctl" -D "$dir/data" -l "$dir/data/log" -w start >>"$dir/log" 2>&1 -o "-k $dir \
        -c max_connections=400 -c shared_buffers=64MB -c autovacuum=off \
        -c fsync=off -c full_page_writes=off -c wal_level=minimal -c max_wal_senders=0 $more" &&
    echo started
exec >&-
cat >/dev/null
"$@" "$bin/pg_ctl" -D "$dir/data" -m immediate stop >/dev/null 2>&1; rm -rf "$dir"
"#;

/// What tests say in SQLite's words: `hex(id)`, `randomblob(16)`, `x'00ff'`, `unhex(printf('%032x', i))`.
const TAUGHT: &str = r"
    CREATE FUNCTION hex(uuid) RETURNS text LANGUAGE sql AS $$ SELECT upper(replace($1::text, '-', '')) $$;
    CREATE FUNCTION hex(bytea) RETURNS text LANGUAGE sql AS $$ SELECT upper(encode($1, 'hex')) $$;
    CREATE FUNCTION randomblob(int) RETURNS bytea LANGUAGE sql VOLATILE AS
        $$ SELECT decode(substr(string_agg(md5(random()::text), ''), 1, 2 * $1), 'hex') FROM generate_series(0, $1 / 16) $$;
    CREATE FUNCTION unhex(text) RETURNS bytea LANGUAGE sql AS $$ SELECT decode($1, 'hex') $$;
    CREATE FUNCTION printf(form text, VARIADIC given bigint[]) RETURNS text LANGUAGE plpgsql AS $$
        DECLARE number bigint; BEGIN FOREACH number IN ARRAY given LOOP
            form := regexp_replace(form, '%0\d+x',
                lpad(to_hex(number), (regexp_match(form, '%0(\d+)x'))[1]::int, '0'));
        END LOOP; RETURN form; END $$;
    CREATE FUNCTION as_uuid(bytea) RETURNS uuid LANGUAGE sql AS $$ SELECT encode($1, 'hex')::uuid $$;
    CREATE FUNCTION as_bytes(bit) RETURNS bytea LANGUAGE sql AS
        $$ SELECT coalesce(decode(string_agg(lpad(to_hex(substring($1 FROM i FOR 8)::bit(8)::int), 2, '0'), ''
        ORDER BY i), 'hex'), '') FROM generate_series(1, length($1), 8) AS i $$;
    CREATE FUNCTION as_uuid(bit) RETURNS uuid LANGUAGE sql AS $$ SELECT as_uuid(as_bytes($1)) $$;
    CREATE CAST (bytea AS uuid) WITH FUNCTION as_uuid(bytea) AS ASSIGNMENT;
    CREATE CAST (bit AS bytea) WITH FUNCTION as_bytes(bit) AS ASSIGNMENT;
    CREATE CAST (bit AS uuid) WITH FUNCTION as_uuid(bit) AS ASSIGNMENT";

/// Whether the tests run on PostgreSQL.
pub fn on_postgres() -> bool {
    match std::env::var("CLAVIGER_TEST_ENGINE").as_deref() {
        Err(_) | Ok("sqlite") => false,
        Ok("postgres") => true,
        Ok(other) => panic!("there is no engine {other}"),
    }
}

/// For a test about SQLite's file: true on PostgreSQL, where it has nothing to try.
#[allow(clippy::print_stdout)]
pub fn sqlite_only() -> bool {
    if on_postgres() {
        println!("skipped: this is about SQLite's file");
    }
    on_postgres()
}

/// The database of a data folder, made at the first call; `None` on SQLite, which keeps it in the folder.
pub fn url_of(data_dir: &Path) -> Option<String> {
    let is_outside = on_postgres() && !INSIDE.lock().unwrap().contains(data_dir);
    is_outside.then(|| CLUSTER.database_of(data_dir, "migrated"))
}

/// Data folders that hold their database whatever engine the tests are for.
static INSIDE: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// Lets a data folder hold its database, on SQLite.
pub fn keep_inside(data_dir: &Path) {
    INSIDE.lock().unwrap().insert(data_dir.to_owned());
}

/// A database for a data folder that has none yet, with nothing in it.
pub fn bare_database(data_dir: &Path) -> String {
    CLUSTER.database_of(data_dir, "template1")
}

/// Has the statements noted that run in this process; `tidy.rs` compares them.
pub fn note_statements() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let file = File::options().append(true).create(true).open(statement_notes());
        claviger::db::note_statements(file.unwrap());
    });
}

/// Where the statements of this run are noted.
pub fn statement_notes() -> PathBuf {
    statements_of(if on_postgres() { "postgres" } else { "sqlite" })
}

/// Where the statements are noted that ran on an engine.
pub fn statements_of(engine: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("statements-{engine}"))
}

static CLUSTER: LazyLock<Cluster> = LazyLock::new(|| {
    let cluster = Cluster::start(None);
    cluster.prepare();
    cluster
});

/// A running server with databases.
pub struct Cluster {
    folder: PathBuf,
    port: u16,
    /// By data folder.
    databases: Mutex<HashMap<PathBuf, String>>,
    /// Its standard input keeps the server alive.
    _life: Child,
}

impl Cluster {
    /// On a Unix socket, and on a port of loopback too if one is given.
    pub fn start(tcp: Option<u16>) -> Self {
        Self::start_with(tcp, "")
    }

    /// The same with more options, such as those that tests do without.
    pub fn start_with(tcp: Option<u16>, options: &str) -> Self {
        let port = tcp.unwrap_or(5432);
        let addresses = tcp.map_or("", |_| "127.0.0.1");
        let folder = tempfile::Builder::new().prefix("claviger-pg").tempdir().unwrap().keep();
        let mut life = Command::new("sh");
        // Not in the group of the terminal: it has to outlive an interrupt to clean up.
        life.args(["-c", LIFE, "sh"])
            .arg(&folder)
            .arg(programs())
            .arg(format!("-p {port} -c listen_addresses={addresses} {options}"))
            .process_group(0)
            .args(unprivileged(&folder));
        let mut life = life.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut started = String::new();
        BufReader::new(life.stdout.take().unwrap()).read_line(&mut started).unwrap();
        let log = || std::fs::read_to_string(folder.join("log")).unwrap_or_default();
        assert_eq!(started, "started\n", "{}", log());
        Self { folder, port, databases: Mutex::default(), _life: life }
    }

    /// Makes the database that others are copied from.
    fn prepare(&self) {
        self.ask("CREATE DATABASE migrated");
        let folder = tempfile::tempdir().unwrap();
        let config = settings(folder.path(), Some(&self.url("migrated")));
        drop(Db::open(&config, Timestamp::from_seconds(0)).unwrap());
        let taught = with_client(&self.url("migrated"), async |client| client.batch_execute(TAUGHT).await);
        taught.unwrap();
    }

    /// Writes a file into the server's folder, as its own.
    pub fn place(&self, name: &str, bytes: &[u8]) {
        let path = self.folder.join("data").join(name);
        std::fs::write(&path, bytes).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        let owner = std::fs::metadata(self.folder.join("data")).unwrap();
        std::os::unix::fs::chown(&path, Some(owner.uid()), Some(owner.gid())).unwrap();
    }

    /// Where a database of it is.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://claviger@/{database}?port={}&host={}", self.port, self.folder.display())
    }

    /// Runs a statement as its administrator.
    pub fn ask(&self, sql: &str) {
        let done = with_client(&self.url("postgres"), async |client| client.batch_execute(sql).await);
        done.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }

    fn database_of(&self, data_dir: &Path, template: &str) -> String {
        let mut databases = self.databases.lock().unwrap();
        let number = databases.len();
        let name = databases.entry(data_dir.to_owned()).or_insert_with(|| {
            let name = format!("test_{number}");
            self.ask(&format!("CREATE DATABASE {name} TEMPLATE {template}"));
            name
        });
        self.url(name)
    }
}

/// The command by which a program runs as a user that is not root, whom it would refuse; `folder` becomes its.
pub fn unprivileged(folder: &Path) -> &'static [&'static str] {
    if Command::new("id").arg("-u").output().unwrap().stdout != b"0\n" {
        return &["env"];
    }
    let given = Command::new("chown").arg("postgres").arg(folder).status().unwrap();
    assert!(given.success(), "there is no user `postgres`");
    &["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
}

/// The defaults with this data folder and database.
pub fn settings(data_dir: &Path, url: Option<&str>) -> Config {
    let mut raw = Raw::default();
    raw.set(find("data_dir").unwrap(), data_dir.to_str().unwrap(), Source::Flag);
    raw.set(find("database_url").unwrap(), url.unwrap_or_default(), Source::Flag);
    resolve(&raw).unwrap()
}

/// Where `initdb` is: Debian keeps it off the path, under its version.
fn programs() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let mut debian: Vec<PathBuf> = debian.map(|entry| entry.unwrap().path().join("bin")).collect();
    debian.sort();
    let mut folders = std::env::split_paths(&path).chain(debian.into_iter().rev());
    folders.find(|folder| folder.join("initdb").exists()).expect("PostgreSQL is not installed")
}

/// Runs `work` on a connection of its own and a thread of its own, since a test may be a task already.
pub fn with_client<T: Send>(url: &str, work: impl AsyncFnOnce(&Client) -> T + Send) -> T {
    let run = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
            let connection = tokio::spawn(connection);
            let done = work(&client).await;
            drop(client);
            connection.await.unwrap().unwrap();
            done
        })
    };
    std::thread::scope(|scope| scope.spawn(run).join().unwrap())
}
