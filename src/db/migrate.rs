//! The schema's history: numbered files in `migrations/`, each run once, in one transaction.
//!
//! One text serves every engine; the tokens `@uuid`, `@bytes`, `@time`, `@int`, `@json` and `@options` stand
//! for what each calls them. An older program refuses a newer schema, and a changed file is noticed.

use super::copy::mark;
use super::examine::Schema;
use super::{Error, Tx};
use crate::base::time::Timestamp;

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
    9 "0009_database_copy",
    10 "0010_master_key",
    11 "0011_earlier_keys",
];

const HISTORY: &str = "CREATE TABLE IF NOT EXISTS schema_history (
    version @int NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    digest @bytes NOT NULL,
    applied_at @time NOT NULL
) @options";

/// Brings the schema up to date, in a transaction that the caller commits. Safe against another program
/// doing the same at once: SQLite's transaction has the only write lock, and on PostgreSQL the first to write a
/// row of the history makes the others wait for it, then begin again and find all done.
///
/// # Errors
/// [`Error::Refused`] if the schema is newer than this program or was made by other files, or a copy into the
/// database is not finished.
pub(super) fn run(tx: &mut Tx<'_>, now: Timestamp) -> Result<(), Error> {
    run_for_copy(tx, now)?;
    mark::expect_none(tx)
}

/// The same for the copy itself.
///
/// # Errors
/// As [`run`], but for the copy.
pub(super) fn run_for_copy(tx: &mut Tx<'_>, now: Timestamp) -> Result<(), Error> {
    let words = tx.words();
    apply(tx, MIGRATIONS, words, now)
}

/// The same in an engine's words or others, to read from it what tables there are.
///
/// # Errors
/// As [`run`].
pub(super) fn lay_out(tx: &mut Tx<'_>, schema: usize, words: Words<'_>, now: Timestamp) -> Result<(), Error> {
    apply(tx, up_to(schema)?, words, now)
}

/// The schema as it was at a step, in a database that holds nothing yet or was begun so.
///
/// # Errors
/// [`Error::Refused`] if it holds another schema.
pub(super) fn run_up_to(tx: &mut Tx<'_>, schema: usize, now: Timestamp) -> Result<(), Error> {
    let words = tx.words();
    tx.batch(&translated(HISTORY, words))?;
    match history(tx)?.len() {
        0 => {}
        found if found == schema => {}
        found => {
            return Err(Error::Refused(format!(
                "it is not empty: it has tables of schema {found}. Name an empty database"
            )));
        }
    }
    apply(tx, up_to(schema)?, words, now)
}

fn up_to(schema: usize) -> Result<&'static [Migration], Error> {
    MIGRATIONS.get(..schema).ok_or_else(|| Error::Refused(format!("there is no schema {schema} here")))
}

/// The number of the newest schema that this program knows.
pub fn newest() -> usize {
    MIGRATIONS.len()
}

/// A digest of the steps up to a schema, by which it is known again.
///
/// # Errors
/// If this program does not know it.
pub fn digest_of(schema: usize) -> Result<[u8; 32], Error> {
    Ok(claviger_crypto::sha256(&up_to(schema)?.iter().flat_map(digest).collect::<Vec<u8>>()))
}

/// Whether the schema is the one this program would make, for a command that must not change it.
///
/// # Errors
/// [`Error::Refused`] if it is another, or a copy into the database is not finished.
pub(super) fn expect_current(tx: &mut Tx<'_>) -> Result<(), Error> {
    let applied = history(tx)?;
    check(MIGRATIONS, &applied)?;
    if applied.len() < MIGRATIONS.len() {
        return Err(older());
    }
    mark::expect_none(tx)
}

/// The oldest schema that backups are made of. No release had an older one.
const OLDEST: usize = 10;

/// The number of the schema, which may be an earlier one, for who only reads all of it.
///
/// # Errors
/// [`Error::Refused`] if this program does not know it, or a copy into the database is not finished.
pub fn known(tx: &mut Tx<'_>) -> Result<usize, Error> {
    let applied = history(tx)?;
    check(MIGRATIONS, &applied)?;
    if applied.len() < OLDEST {
        return Err(older());
    }
    mark::expect_none(tx)?;
    Ok(applied.len())
}

/// Whether it is such a schema.
///
/// # Errors
/// As [`known`].
pub(super) fn expect_known(tx: &mut Tx<'_>) -> Result<(), Error> {
    known(tx).map(drop)
}

/// Whether the schema has all that this program needs. While servers are replaced one by one, the newer may
/// have taken further steps.
///
/// # Errors
/// [`Error::Refused`] if it has not.
pub(super) fn expect_applied(tx: &mut Tx<'_>) -> Result<(), Error> {
    let applied = history(tx)?;
    let known = applied.get(..MIGRATIONS.len());
    check(MIGRATIONS, known.ok_or_else(older)?)
}

/// How the schema stands to the one this program would make, for who only looks.
///
/// # Errors
/// If there is none at all.
pub(super) fn standing(tx: &mut Tx<'_>) -> Result<Schema, Error> {
    let applied = history(tx)?;
    if applied.is_empty() {
        return Ok(Schema::Missing);
    }
    let other = |(migration, (version, found)): &(&Migration, &(i64, Vec<u8>))| {
        migration.version != *version || digest(migration) != found.as_slice()
    };
    if let Some((migration, _)) = MIGRATIONS.iter().zip(&applied).find(other) {
        return Ok(Schema::Changed(migration.name.to_owned()));
    }
    Ok(match applied.len() {
        steps if steps < MIGRATIONS.len() => Schema::Older(steps),
        steps if steps > MIGRATIONS.len() => Schema::Newer(steps),
        _ => mark::source(tx)?.map_or(Schema::Current, half),
    })
}

/// What a database is half of.
fn half(source: String) -> Schema {
    match source.strip_prefix(mark::BACKUP) {
        Some(backup) => Schema::HalfRestored(backup.to_owned()),
        None => Schema::HalfCopied(source),
    }
}

fn older() -> Error {
    let mend = "Start the server of this version once";
    Error::Refused(format!("the database's schema is older than this program. {mend}"))
}

/// What stands for each token.
type Words<'a> = &'a [(&'a str, &'a str)];

fn apply(tx: &mut Tx<'_>, migrations: &[Migration], words: Words<'_>, now: Timestamp) -> Result<(), Error> {
    tx.batch(&translated(HISTORY, words))?;
    let applied = history(tx)?;
    check(migrations, &applied)?;
    for migration in migrations.iter().skip(applied.len()) {
        // The row first: it keeps others off the step, and tells the writer of SQLite that something has changed.
        let sql = "INSERT INTO schema_history (version, name, digest, applied_at) VALUES ($1, $2, $3, $4)";
        let digest = digest(migration);
        let values = [migration.version.into(), migration.name.into(), digest.as_slice().into(), now.into()];
        tx.execute(sql, &values)?;
        tx.batch(&translated(migration.sql, words))?;
    }
    Ok(())
}

fn history(tx: &mut Tx<'_>) -> Result<Vec<(i64, Vec<u8>)>, Error> {
    let sql = "SELECT version, digest FROM schema_history ORDER BY version";
    tx.all(sql, &[], |row| Ok((row.get(0)?, row.get(1)?)))
}

fn check(migrations: &[Migration], applied: &[(i64, Vec<u8>)]) -> Result<(), Error> {
    if applied.len() > migrations.len() {
        return Err(Error::Refused(format!(
            "the database has schema {}, this program knows {}: a newer version has used it. Start that version or a later one",
            applied.len(),
            migrations.len()
        )));
    }
    for (migration, (version, found)) in migrations.iter().zip(applied) {
        if migration.version != *version || digest(migration) != found.as_slice() {
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

fn translated(sql: &str, words: Words<'_>) -> String {
    words.iter().fold(sql.to_owned(), |sql, (token, word)| sql.replace(token, word))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::db::tx::On;
    use rusqlite::Connection;

    const NOW: Timestamp = Timestamp::from_seconds(0);

    fn memory() -> Connection {
        Connection::open_in_memory().unwrap()
    }

    fn applied(connection: &mut Connection, migrations: &[Migration]) -> Result<(), Error> {
        let tx = connection.transaction().unwrap();
        apply(&mut Tx(On::Sqlite(&tx)), migrations, crate::db::sqlite::WORDS, NOW)?;
        Ok(tx.commit()?)
    }

    #[test]
    fn runs_once_and_again() {
        let mut connection = memory();
        applied(&mut connection, MIGRATIONS).unwrap();
        applied(&mut connection, MIGRATIONS).unwrap();
        assert_eq!(history(&mut Tx(On::Sqlite(&connection))).unwrap().len(), MIGRATIONS.len());
        let versions: Vec<i64> = MIGRATIONS.iter().map(|migration| migration.version).collect();
        assert_eq!(versions, (1..=versions.len() as i64).collect::<Vec<_>>(), "numbered without a gap");
    }

    #[test]
    fn an_older_program_refuses_a_newer_schema() {
        let mut connection = memory();
        applied(&mut connection, MIGRATIONS).unwrap();
        let older = MIGRATIONS.split_last().unwrap().1;
        let refused = applied(&mut connection, older).unwrap_err();
        assert!(refused.to_string().contains("a newer version has used it"), "{refused}");
    }

    #[test]
    fn a_changed_step_is_noticed() {
        let mut connection = memory();
        let one = [Migration { version: 1, name: "a", sql: "CREATE TABLE a (x INTEGER)" }];
        let other = [Migration { version: 1, name: "a", sql: "CREATE TABLE a (y INTEGER)" }];
        applied(&mut connection, &one).unwrap();
        assert!(matches!(applied(&mut connection, &other), Err(Error::Refused(_))));
    }

    #[test]
    fn a_failed_step_leaves_the_old_schema() {
        let mut connection = memory();
        let broken = [
            Migration { version: 1, name: "a", sql: "CREATE TABLE a (x INTEGER)" },
            Migration {
                version: 2,
                name: "b",
                sql: "CREATE TABLE b (x INTEGER); CREATE TABLE a (x INTEGER)",
            },
        ];
        assert!(applied(&mut connection, &broken).is_err());
        let tables: i64 =
            connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).unwrap();
        assert_eq!(tables, 0);
    }

    #[test]
    fn no_token_is_left() {
        for words in [crate::db::sqlite::WORDS, crate::db::postgres::WORDS] {
            for migration in MIGRATIONS {
                assert!(!translated(migration.sql, words).contains('@'), "{}", migration.name);
            }
        }
    }
}
