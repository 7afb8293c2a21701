//! Which tables there are, and what is in them: read from the migrations themselves, so that none is forgotten.

use super::row::Kind;
use super::table::{Field, Table};
use crate::base::time::Timestamp;
use crate::db::tx::On;
use crate::db::{Error, Tx, migrate};
use rusqlite::Connection;

/// Words that keep identifiers and bytes apart, as PostgreSQL does; a STRICT table would not take them.
const WORDS: &[(&str, &str)] = &[
    ("@uuid", "UUID BLOB"),
    ("@bytes", "BLOB"),
    ("@time", "INTEGER"),
    ("@int", "INTEGER"),
    ("@json", "TEXT"),
    (" @options", ""),
];

/// These tell of a database itself, so each keeps its own.
pub(super) const OWN: [&str; 2] = ["schema_history", "database_copy"];

/// The tables to copy, each after those that it refers to.
pub(super) fn tables() -> Result<Vec<Table>, Error> {
    tables_of(migrate::newest())
}

/// The same as they were at an earlier schema.
pub(super) fn tables_of(schema: usize) -> Result<Vec<Table>, Error> {
    let connection = Connection::open_in_memory()?;
    migrate::lay_out(&mut Tx(On::Sqlite(&connection)), schema, WORDS, Timestamp::from_seconds(0))?;
    read(&connection)
}

fn read(connection: &Connection) -> Result<Vec<Table>, Error> {
    let sql =
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name";
    let names = strings(connection, sql, [])?;
    let mut waiting = Vec::new();
    for name in names.into_iter().filter(|name| !OWN.contains(&name.as_str())) {
        let sql = "SELECT DISTINCT \"table\" FROM pragma_foreign_key_list($1)";
        let references = strings(connection, sql, [&name])?;
        waiting.push((one(connection, &name)?, references));
    }
    in_order(waiting)
}

fn strings(connection: &Connection, sql: &str, values: impl rusqlite::Params) -> Result<Vec<String>, Error> {
    let mut statement = connection.prepare(sql)?;
    let rows = statement.query_map(values, |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn one(connection: &Connection, name: &str) -> Result<Table, Error> {
    let sql = "SELECT name, type, pk FROM pragma_table_info($1) ORDER BY cid";
    let mut statement = connection.prepare(sql)?;
    let described: Vec<(String, String, u16)> = statement
        .query_map([name], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<Result<_, _>>()?;
    let mut key: Vec<(u16, usize)> = Vec::new();
    let mut fields = Vec::new();
    for (index, (column, held, place)) in described.into_iter().enumerate() {
        if place > 0 {
            key.push((place, index));
        }
        fields.push(Field { kind: kind(name, &column, &held)?, name: column });
    }
    if key.is_empty() {
        return Err(Error::Statement(format!("the table {name} has no primary key to copy it by")));
    }
    key.sort_unstable();
    let mut table = Table::new(name.to_owned(), fields, key.into_iter().map(|(_, index)| index).collect());
    match table.fingerprint(&mut Tx(On::Sqlite(connection)), None)? {
        (initial, None) => table.initial = initial,
        (_, Some(_)) => {
            return Err(Error::Statement(format!("migrations insert more rows into {name} than one page")));
        }
    }
    Ok(table)
}

fn kind(table: &str, column: &str, held: &str) -> Result<Kind, Error> {
    match held {
        "TEXT" => Ok(Kind::Text),
        "BLOB" => Ok(Kind::Bytes),
        "UUID BLOB" => Ok(Kind::Uuid),
        "INTEGER" => Ok(Kind::Int),
        _ => Err(Error::Statement(format!("the type {held} of {table}.{column} is none that can be copied"))),
    }
}

/// Referenced tables first, by name otherwise.
fn in_order(mut waiting: Vec<(Table, Vec<String>)>) -> Result<Vec<Table>, Error> {
    let mut done: Vec<Table> = Vec::new();
    while !waiting.is_empty() {
        let is_ready = |(_, references): &(Table, Vec<String>)| {
            references.iter().all(|other| done.iter().any(|table| table.name == *other))
        };
        let Some(next) = waiting.iter().position(is_ready) else {
            let names: Vec<&str> = waiting.iter().map(|(table, _)| table.name.as_str()).collect();
            return Err(Error::Statement(format!("these tables refer to each other: {}", names.join(", "))));
        };
        done.push(waiting.remove(next).0);
    }
    Ok(done)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn of(sql: &str) -> Result<Vec<Table>, Error> {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(sql).unwrap();
        read(&connection)
    }

    #[test]
    fn tables_are_read_with_their_kinds_keys_and_order() {
        let tables = of("CREATE TABLE a (x TEXT NOT NULL, y UUID BLOB NOT NULL REFERENCES b (id), z INTEGER,
            PRIMARY KEY (y, x)); CREATE TABLE b (id UUID BLOB PRIMARY KEY, c BLOB);
            CREATE TABLE schema_history (version INTEGER PRIMARY KEY);
            INSERT INTO b VALUES (zeroblob(16), NULL)")
        .unwrap();
        let names: Vec<&str> = tables.iter().map(|table| table.name.as_str()).collect();
        assert_eq!(names, ["b", "a"]);
        let [b, a] = &tables[..] else { unreachable!() };
        assert_eq!((&a.key[..], &b.key[..]), (&[1, 0][..], &[0][..]));
        let kinds = |table: &Table| table.fields.iter().map(|field| field.kind).collect::<Vec<_>>();
        assert_eq!(
            (kinds(a), kinds(b)),
            (vec![Kind::Text, Kind::Uuid, Kind::Int], vec![Kind::Uuid, Kind::Bytes])
        );
        assert_eq!((a.initial.rows, b.initial.rows), (0, 1));
    }

    #[test]
    fn what_cannot_be_copied_is_refused() {
        for (sql, why) in [
            ("CREATE TABLE a (x TEXT)", "no primary key"),
            ("CREATE TABLE a (x REAL PRIMARY KEY)", "REAL of a.x"),
            (
                "CREATE TABLE a (x INTEGER PRIMARY KEY REFERENCES b); CREATE TABLE b (x INTEGER PRIMARY KEY REFERENCES a)",
                "a, b",
            ),
        ] {
            let error = of(sql).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn the_migrations_can_be_copied() {
        let tables = tables().unwrap();
        let place = |name: &str| tables.iter().position(|table| table.name == name).unwrap();
        assert!(place("accounts") < place("passwords") && place("accounts") < place("known_networks"));
        let initial: Vec<(&str, u64)> = tables
            .iter()
            .filter(|table| table.initial.rows > 0)
            .map(|table| (table.name.as_str(), table.initial.rows))
            .collect();
        assert_eq!(initial, [("counters", 2)]);
        // `0003_sessions` adds to what `0001_accounts` made.
        let accounts = tables.iter().find(|table| table.name == "accounts").unwrap();
        assert!(accounts.fields.iter().any(|field| field.name == "disabled_at"));
    }
}
