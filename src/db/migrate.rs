//! The schema's history: numbered files in `migrations/`, each run once, in one transaction.
//!
//! One text serves every engine; the tokens `@uuid`, `@bytes`, `@time`, `@int`, `@json` and `@options` stand
//! for what each calls them. An older program refuses a newer schema, and a changed file is noticed.

use super::Error;
use crate::base::time::Timestamp;
use rusqlite::{Connection, TransactionBehavior};

/// A numbered step.
struct Migration {
    version: i64,
    name: &'static str,
    sql: &'static str,
}

macro_rules! migrations {
    ($($version:literal $file:literal,)*) => {
        &[$(Migration {
            version: $version,
            name: $file,
            sql: include_str!(concat!("../../migrations/", $file, ".sql")),
        }),*]
    };
}

const MIGRATIONS: &[Migration] = migrations![
    1 "0001_accounts",
    2 "0002_signing_keys",
    3 "0003_sessions",
    4 "0004_guesses",
    5 "0005_audit",
    6 "0006_key_rotation",
    7 "0007_api_keys",
    8 "0008_key_cache",
];

const SQLITE_TOKENS: &[(&str, &str)] = &[
    ("@uuid", "BLOB"),
    ("@bytes", "BLOB"),
    ("@time", "INTEGER"),
    ("@int", "INTEGER"),
    ("@json", "TEXT"),
    ("@options", "STRICT, WITHOUT ROWID"),
];

const HISTORY: &str = "CREATE TABLE IF NOT EXISTS schema_history (
    version INTEGER NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    digest @bytes NOT NULL,
    applied_at @time NOT NULL
) @options";

/// Brings the schema up to date. Safe against another program doing the same at once: the write
/// transaction is taken first, and what is already there is looked up inside it.
///
/// # Errors
/// [`Error::Refused`] if the schema is newer than this program or was made by other files.
pub(super) fn run(connection: &mut Connection, now: Timestamp) -> Result<(), Error> {
    apply(connection, MIGRATIONS, now)
}

/// Whether the schema is the one this program would make, for a command that must not change it.
///
/// # Errors
/// [`Error::Refused`] if it is another.
pub(super) fn expect_current(connection: &Connection) -> Result<(), Error> {
    let applied = history(connection)?;
    check(MIGRATIONS, &applied)?;
    if applied.len() < MIGRATIONS.len() {
        return Err(Error::Refused(
            "the database's schema is older than this program. Start the server of this version once".into(),
        ));
    }
    Ok(())
}

fn apply(connection: &mut Connection, migrations: &[Migration], now: Timestamp) -> Result<(), Error> {
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    tx.execute_batch(&for_sqlite(HISTORY))?;
    let applied = history(&tx)?;
    check(migrations, &applied)?;
    for migration in migrations.iter().skip(applied.len()) {
        tx.execute_batch(&for_sqlite(migration.sql))?;
        tx.execute(
            "INSERT INTO schema_history (version, name, digest, applied_at) VALUES ($1, $2, $3, $4)",
            (migration.version, migration.name, digest(migration), now.as_micros()),
        )?;
    }
    Ok(tx.commit()?)
}

fn history(connection: &Connection) -> Result<Vec<(i64, [u8; 32])>, Error> {
    let mut statement = connection.prepare("SELECT version, digest FROM schema_history ORDER BY version")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn check(migrations: &[Migration], applied: &[(i64, [u8; 32])]) -> Result<(), Error> {
    if applied.len() > migrations.len() {
        return Err(Error::Refused(format!(
            "the database has schema {}, this program knows {}: a newer version has used it. Start that version or a later one",
            applied.len(),
            migrations.len()
        )));
    }
    for (migration, (version, found)) in migrations.iter().zip(applied) {
        if migration.version != *version || digest(migration) != *found {
            return Err(Error::Refused(format!(
                "step {} ({}) of the database's schema is not the one this program would make. Start the version that made it",
                migration.version, migration.name
            )));
        }
    }
    Ok(())
}

fn digest(migration: &Migration) -> [u8; 32] {
    claviger_crypto::sha256(migration.sql.as_bytes())
}

fn for_sqlite(sql: &str) -> String {
    SQLITE_TOKENS.iter().fold(sql.to_owned(), |sql, (token, word)| sql.replace(token, word))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(0);

    #[test]
    fn runs_once_and_again() {
        let mut connection = Connection::open_in_memory().unwrap();
        run(&mut connection, NOW).unwrap();
        run(&mut connection, NOW).unwrap();
        assert_eq!(history(&connection).unwrap().len(), MIGRATIONS.len());
        let versions: Vec<i64> = MIGRATIONS.iter().map(|migration| migration.version).collect();
        assert_eq!(versions, (1..=versions.len() as i64).collect::<Vec<_>>(), "numbered without a gap");
    }

    #[test]
    fn an_older_program_refuses_a_newer_schema() {
        let mut connection = Connection::open_in_memory().unwrap();
        run(&mut connection, NOW).unwrap();
        let older = MIGRATIONS.split_last().unwrap().1;
        let refused = apply(&mut connection, older, NOW).unwrap_err();
        assert!(refused.to_string().contains("a newer version has used it"), "{refused}");
    }

    #[test]
    fn a_changed_step_is_noticed() {
        let mut connection = Connection::open_in_memory().unwrap();
        let one = [Migration { version: 1, name: "a", sql: "CREATE TABLE a (x INTEGER)" }];
        let other = [Migration { version: 1, name: "a", sql: "CREATE TABLE a (y INTEGER)" }];
        apply(&mut connection, &one, NOW).unwrap();
        assert!(matches!(apply(&mut connection, &other, NOW), Err(Error::Refused(_))));
    }

    #[test]
    fn a_failed_step_leaves_the_old_schema() {
        let mut connection = Connection::open_in_memory().unwrap();
        let broken = [
            Migration { version: 1, name: "a", sql: "CREATE TABLE a (x INTEGER)" },
            Migration {
                version: 2,
                name: "b",
                sql: "CREATE TABLE b (x INTEGER); CREATE TABLE a (x INTEGER)",
            },
        ];
        assert!(apply(&mut connection, &broken, NOW).is_err());
        let tables: i64 =
            connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).unwrap();
        assert_eq!(tables, 0);
    }

    #[test]
    fn no_token_is_left() {
        for migration in MIGRATIONS {
            assert!(!for_sqlite(migration.sql).contains('@'), "{}", migration.name);
        }
    }
}
