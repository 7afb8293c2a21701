//! The mark in a target: whose copy it is, and how far. It is written with the rows that it speaks of.

use super::row::{Held, decoded, encoded};
use super::table::Table;
use crate::db::{Error, Tx};
use std::sync::Arc;

/// What the place of a source begins with where it is no database but a backup.
pub(in crate::db) const BACKUP: &str = "backup:";

/// Which database is copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Source {
    /// Where it is, without a password.
    pub(super) place: String,
    /// A digest of its history, which no other has: its steps were made at other moments. Of a backup, its own.
    pub(super) identity: [u8; 32],
}

/// How far a copy is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// Where the source is.
    pub(super) source: String,
    pub(super) table: String,
    /// The last key copied; none at the beginning of the table.
    pub(super) last: Option<Vec<Held>>,
    /// How many rows of the table.
    pub(super) copied: u64,
}

/// Refuses a database into which a copy is not finished.
pub(in crate::db) fn expect_none(tx: &mut Tx<'_>) -> Result<(), Error> {
    match read(tx)? {
        None => Ok(()),
        Some((_, Mark { source, .. })) => Err(Error::Refused(match source.strip_prefix(BACKUP) {
            None => format!(
                "it is an unfinished copy of {source}. Run the same `claviger database copy` again to finish it, or use another database"
            ),
            Some(backup) => format!(
                "the backup {backup} is not restored to its end. Run the same `claviger backup restore` again to finish it, or use another database"
            ),
        })),
    }
}

/// Whose half copy this database is, if it is one.
pub(in crate::db) fn source(tx: &mut Tx<'_>) -> Result<Option<String>, Error> {
    Ok(read(tx)?.map(|(_, mark)| mark.source))
}

type Row = (String, Vec<u8>, String, Option<Vec<u8>>, i64);

/// The identity of the source, and the mark.
fn read(tx: &mut Tx<'_>) -> Result<Option<(Vec<u8>, Mark)>, Error> {
    let sql = "SELECT source, identity, table_name, last_key, copied FROM database_copy";
    let row = tx.first(sql, &[], |row| {
        Ok::<Row, _>((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
    })?;
    let Some((source, identity, table, last, copied)) = row else { return Ok(None) };
    let unreadable = || Error::Corrupt("the mark of an unfinished copy".into());
    let last = last.map(|last| decoded(&last).ok_or_else(unreadable)).transpose()?;
    let copied = u64::try_from(copied).map_err(|_| unreadable())?;
    Ok(Some((identity, Mark { source, table, last, copied })))
}

/// Which database this is.
pub(super) fn identity(tx: &mut Tx<'_>) -> Result<[u8; 32], Error> {
    let sql = "SELECT version, name, digest, applied_at FROM schema_history ORDER BY version";
    let steps = tx.all(sql, &[], |row| {
        let (name, digest) = (Held::Text(row.get(1)?), Held::Bytes(row.get(2)?));
        Ok(encoded(&[Held::Int(row.get(0)?), name, digest, Held::Int(row.get(3)?)]))
    })?;
    Ok(claviger_crypto::sha256(&steps.concat()))
}

/// Goes on where a copy of this source stopped, or begins one in a database that is empty.
pub(super) fn begin(tx: &mut Tx<'_>, source: &Source, tables: &[Arc<Table>]) -> Result<Mark, Error> {
    if let Some((identity, mark)) = read(tx)? {
        return if mark.source == source.place && identity == source.identity {
            Ok(mark)
        } else {
            let held = match mark.source.strip_prefix(BACKUP) {
                None => format!("an unfinished copy of another database, {}", mark.source),
                Some(backup) => format!("another backup, {backup}, which is not restored to its end"),
            };
            Err(Error::Refused(format!("it holds {held}. Finish that one, or name an empty database")))
        };
    }
    // One database under two names; whatever else shares its history was made from it.
    if identity(tx)? == source.identity {
        return Err(Error::Refused(
            "it is the source itself, or was made from it. Name an empty database".into(),
        ));
    }
    for table in tables {
        if !table.is_initial(tx)? {
            return Err(Error::Refused(format!(
                "it is not empty: there are rows in {}. Name an empty database",
                table.name
            )));
        }
    }
    tables.iter().try_for_each(|table| table.clear(tx))?;
    let first = tables.first().map(|table| table.name.clone()).unwrap_or_default();
    let sql = "INSERT INTO database_copy (source, identity, table_name, last_key, copied)
        VALUES ($1, $2, $3, NULL, 0)";
    let values = [source.place.as_str().into(), source.identity.as_slice().into(), first.as_str().into()];
    tx.execute(sql, &values)?;
    Ok(Mark { source: source.place.clone(), table: first, last: None, copied: 0 })
}

/// Moves the mark on from where this copy has left it.
pub(super) fn advance(tx: &mut Tx<'_>, from: &Mark, to: &Mark) -> Result<(), Error> {
    let sql = "UPDATE database_copy SET table_name = $1, last_key = $2, copied = $3
        WHERE source = $4 AND table_name = $5 AND copied = $6";
    let last = to.last.as_deref().map(encoded);
    let values = [
        to.table.as_str().into(),
        last.as_deref().into(),
        number(to.copied).into(),
        from.source.as_str().into(),
        from.table.as_str().into(),
        number(from.copied).into(),
    ];
    expect_one(tx.execute(sql, &values)?)
}

/// Takes the mark away: from now on the database may be used.
pub(super) fn finish(tx: &mut Tx<'_>) -> Result<(), Error> {
    expect_one(tx.execute("DELETE FROM database_copy", &[])?)
}

fn expect_one(rows: usize) -> Result<(), Error> {
    if rows == 1 {
        return Ok(());
    }
    Err(Error::Refused("another copy or restore is at work on it. Stop that one first".into()))
}

fn number(rows: u64) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::base::time::Timestamp;
    use crate::db::tx::On;
    use crate::db::{migrate, sqlite};
    use rusqlite::Connection;

    fn begun(connection: &Connection, place: &str) -> Result<Mark, Error> {
        let tables: Vec<_> = super::super::schema::tables().unwrap().into_iter().map(Arc::new).collect();
        begin(&mut Tx(On::Sqlite(connection)), &Source { place: place.into(), identity: [7; 32] }, &tables)
    }

    fn made(now: i64) -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        let tx = &mut Tx(On::Sqlite(&connection));
        migrate::lay_out(tx, migrate::newest(), sqlite::WORDS, Timestamp::from_seconds(now)).unwrap();
        connection
    }

    #[test]
    fn the_mark_is_found_again_by_its_own_copy_alone() {
        let connection = made(0);
        let mark = begun(&connection, "here").unwrap();
        assert_eq!((mark.table.as_str(), &mark.last, mark.copied), ("accounts", &None, 0));
        let next = Mark { last: Some(vec![Held::Int(7), Held::Text("x".into())]), copied: 2, ..mark.clone() };
        let tx = &mut Tx(On::Sqlite(&connection));
        advance(tx, &mark, &next).unwrap();
        assert_eq!(begun(&connection, "here").unwrap(), next);
        assert!(begun(&connection, "there").unwrap_err().to_string().contains("of another database, here"));
        assert!(expect_none(tx).unwrap_err().to_string().contains("unfinished copy of here"));
        // Another copy would begin where this one was.
        let twice = advance(tx, &mark, &next).unwrap_err();
        assert!(twice.to_string().contains("another copy or restore is at work"), "{twice}");
        finish(tx).unwrap();
        expect_none(tx).unwrap();
        assert!(finish(tx).is_err());
    }

    #[test]
    fn databases_are_told_apart_by_their_history() {
        let of = |now| identity(&mut Tx(On::Sqlite(&made(now)))).unwrap();
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
    }
}
