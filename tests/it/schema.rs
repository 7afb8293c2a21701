//! One schema on both engines, and its way from version to version on PostgreSQL.

use crate::harness::{Database, Program, bare_database, database, free_port, on_postgres, open_at, open_db};
use claviger::base::time::Timestamp;
use claviger::db::{Db, Error};
use std::collections::{BTreeMap, BTreeSet};
use std::process::Stdio;
use std::time::Duration;

const NOW: Timestamp = Timestamp::from_seconds(0);

/// A table: its columns with their types and whether they are NOT NULL, its keys and its indexes.
#[derive(Debug, Default, PartialEq, Eq)]
struct Table {
    columns: Vec<(String, String, bool)>,
    /// The columns of the primary key, of each UNIQUE and of each index.
    indexes: BTreeSet<(String, bool, bool)>,
    references: BTreeSet<(String, String, String)>,
}

type Tables = BTreeMap<String, Table>;

/// What a type holds, whatever it is called.
fn kind(name: &str) -> String {
    match name {
        "INTEGER" | "bigint" => "number",
        "BLOB" | "bytea" | "uuid" => "bytes",
        "TEXT" | "text" => "text",
        other => panic!("what is {other}?"),
    }
    .to_owned()
}

fn of_sqlite(database: &Database) -> Tables {
    let tables = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'";
    let names: Vec<String> = database.query(tables, [], |row| row.get(0)).unwrap();
    let mut all = Tables::new();
    for name in names {
        let table = all.entry(name.clone()).or_default();
        let sql = "SELECT name, type, \"notnull\" FROM pragma_table_info($1)";
        let column = |(name, held, required): (String, String, i64)| (name, kind(&held), required == 1);
        let columns =
            database.query(sql, [&name], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
        table.columns = columns.into_iter().map(column).collect();
        let sql = "SELECT name, \"unique\", partial FROM pragma_index_list($1)";
        let indexes: Vec<(String, i64, i64)> =
            database.query(sql, [&name], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
        for (index, unique, partial) in indexes {
            let sql = "SELECT name FROM pragma_index_info($1) ORDER BY seqno";
            let columns: Vec<String> = database.query(sql, [&index], |row| row.get(0)).unwrap();
            table.indexes.insert((columns.join(", "), unique == 1, partial == 1));
        }
        let sql = "SELECT \"from\", \"table\", on_delete FROM pragma_foreign_key_list($1)";
        let references = database.query(sql, [&name], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
        table.references = references.unwrap().into_iter().collect();
    }
    all
}

fn of_postgres(database: &Database) -> Tables {
    let mut all = Tables::new();
    let sql = "SELECT table_name::text, column_name::text, data_type::text, (is_nullable = 'NO')::int::bigint
        FROM information_schema.columns WHERE table_schema = 'public' ORDER BY table_name, ordinal_position";
    let columns =
        database.query(sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))).unwrap();
    for (table, name, held, required) in columns {
        let (table, held, required): (String, String, i64) = (table, held, required);
        all.entry(table).or_default().columns.push((name, kind(&held), required == 1));
    }
    let sql = "SELECT tablename::text, indexdef FROM pg_indexes WHERE schemaname = 'public'";
    let indexes: Vec<(String, String)> =
        database.query(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    for (table, definition) in indexes {
        let columns = definition.split_once('(').unwrap().1.split_once(')').unwrap().0.to_owned();
        let (unique, partial) = (definition.starts_with("CREATE UNIQUE"), definition.contains(" WHERE "));
        all.get_mut(&table).unwrap().indexes.insert((columns, unique, partial));
    }
    let sql =
        "SELECT conrelid::regclass::text, pg_get_constraintdef(oid) FROM pg_constraint WHERE contype = 'f'";
    let references: Vec<(String, String)> =
        database.query(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    for (table, definition) in references {
        let words: Vec<&str> = definition.split(['(', ')', ' ']).filter(|word| !word.is_empty()).collect();
        let at = words.iter().position(|word| *word == "REFERENCES").unwrap();
        let rule = definition.split_once("ON DELETE ").map_or("NO ACTION", |(_, rule)| rule).to_owned();
        let reference = (words[2].to_owned(), words[at + 1].to_owned(), rule);
        all.get_mut(&table).unwrap().references.insert(reference);
    }
    all
}

#[test]
fn both_engines_have_the_same_schema() {
    if !on_postgres() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    drop(Db::open(folder.path(), NOW).unwrap());
    let file = rusqlite::Connection::open(folder.path().join("claviger.db")).unwrap();
    let (sqlite, postgres) = (of_sqlite(&Database::Sqlite(file)), of_postgres(&database(folder.path())));
    assert!(sqlite.len() > 5, "{sqlite:#?}");
    assert_eq!(sqlite.keys().collect::<Vec<_>>(), postgres.keys().collect::<Vec<_>>());
    for (name, table) in &sqlite {
        assert_eq!(table, &postgres[name], "{name}");
    }
}

#[test]
fn servers_that_start_together_migrate_once() {
    if !on_postgres() {
        return;
    }
    for _ in 0..3 {
        let folder = tempfile::tempdir().unwrap();
        let url = bare_database(folder.path());
        let opened = std::thread::scope(|scope| {
            let starting: Vec<_> =
                (0..6).map(|_| scope.spawn(|| open_at(folder.path(), &url, NOW).map(drop))).collect();
            starting.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
        });
        assert!(opened.iter().all(Result::is_ok), "{opened:?}");
        let sql = "SELECT count(*) - count(DISTINCT version) + max(version) - count(*) FROM schema_history";
        let odd: i64 = database(folder.path()).query_row(sql, [], |row| row.get(0)).unwrap();
        assert_eq!(odd, 0);
    }
}

#[test]
fn an_older_program_refuses_a_newer_schema() {
    let folder = tempfile::tempdir().unwrap();
    drop(open_db(folder.path(), NOW));
    let newer = "INSERT INTO schema_history (version, name, digest, applied_at) VALUES (99, 'x', $1, 0)";
    database(folder.path()).execute(newer, [vec![0u8; 32]]).unwrap();
    let url = crate::harness::url_of(folder.path());
    let refused = match url {
        Some(url) => open_at(folder.path(), &url, NOW),
        None => Db::open(folder.path(), NOW),
    };
    let why = refused.unwrap_err();
    assert!(
        matches!(why, Error::Refused(_)) && why.to_string().contains("a newer version has used it"),
        "{why}"
    );
}

#[test]
fn a_database_without_our_schema_or_not_in_utf8_is_refused() {
    if !on_postgres() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let url = bare_database(folder.path());
    let config = crate::harness::settings(folder.path(), Some(&url));
    for refused in [Db::open_beside(&config).map(drop), Db::open_read_only(&config).map(drop)] {
        let why = refused.unwrap_err();
        assert!(matches!(why, Error::Refused(_)) && why.to_string().contains("no schema of ours"), "{why}");
    }
    let postgres = Database::Postgres(url.clone());
    postgres.execute_batch("CREATE DATABASE ascii ENCODING 'SQL_ASCII' TEMPLATE template0").unwrap();
    let ascii = url.replace(url.split(['/', '?']).nth(3).unwrap(), "ascii");
    let why = open_at(folder.path(), &ascii, NOW).unwrap_err();
    assert!(matches!(why, Error::Refused(_)) && why.to_string().contains("UTF"), "{why}");
}

/// Wherever the first start is killed, the schema is whole or not there.
#[test]
fn a_migration_that_is_killed_leaves_the_old_schema_or_the_new_one() {
    let (mut before, mut after) = (0, 0);
    for delay in 0..40 {
        let folder = tempfile::tempdir().unwrap();
        if on_postgres() {
            bare_database(folder.path());
        }
        let mut command =
            Program::command(&["serve", "--dev", "--listen", &format!("127.0.0.1:{}", free_port())]);
        command.arg("--data-dir").arg(folder.path()).envs(Program::database(folder.path()));
        let mut killed = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(6 * delay));
        killed.kill().unwrap();
        killed.wait().unwrap();
        let sql = "SELECT count(*) FROM schema_history";
        let steps: Option<i64> = match on_postgres() || folder.path().join("claviger.db").exists() {
            true => database(folder.path()).query_row(sql, [], |row| row.get(0)).ok(),
            false => None,
        };
        match steps {
            None => before += 1,
            Some(steps) => {
                after += 1;
                let made =
                    std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations")).unwrap().count();
                assert_eq!(usize::try_from(steps).unwrap(), made, "half of the schema is there");
            }
        }
        if delay % 10 == 0 {
            // And a later start makes the best of it.
            Program::serve(folder.path(), &["--dev"]).stop();
        }
    }
    assert!(before > 0 && after > 0, "{before} were killed before it, {after} after");
}
