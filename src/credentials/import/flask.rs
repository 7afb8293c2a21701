//! A table of accounts in the SQLite file of a home-made server, such as Flask's: which it is, what its columns
//! are, and what its rows say.

use super::{Record, Refused, Role, Row};
use crate::db::foreign::{Cell, Table};
use std::fmt;
use uuid::Uuid;

/// The table and its columns.
#[derive(Debug, PartialEq, Eq)]
pub struct Accounts {
    /// The table's name.
    pub table: String,
    /// The names of its columns.
    pub columns: Vec<String>,
    roles: Vec<(Role, Kind)>,
}

/// How a column holds its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Plain,
    /// UUIDs as 32 digits, which the server gives out with hyphens: a type of SQLAlchemy.
    Digits,
}

/// The names that columns have where nobody says otherwise, the likeliest first.
fn usual(role: Role) -> &'static [&'static str] {
    match role {
        Role::Email => &["email", "email_address", "e_mail", "mail", "user_email"],
        Role::Name => &["name", "username", "user_name", "display_name", "full_name", "fullname", "nickname"],
        Role::Password => &[
            "password_hash",
            "password",
            "hashed_password",
            "pw_hash",
            "passwordhash",
            "pwd_hash",
            "_password",
        ],
        Role::PublicId => &["public_id", "publicid", "uuid", "user_uuid"],
        Role::CreatedAt => {
            &["created_at", "created", "created_on", "date_created", "registered_on", "joined_at"]
        }
        Role::Disabled => &["disabled", "is_disabled", "blocked", "is_blocked", "banned", "is_banned"],
        Role::Active => &["active", "is_active", "enabled", "is_enabled"],
    }
}

impl Accounts {
    /// Finds the table and its columns, but for those that are given.
    ///
    /// # Errors
    /// What is missing or not clear, for people.
    pub fn find(tables: &[Table], table: Option<&str>, given: &[(Role, String)]) -> Result<Self, String> {
        if let Some(name) = table {
            let same = |one: &&Table| one.name.eq_ignore_ascii_case(name);
            let found = tables.iter().find(same).ok_or_else(|| {
                let names: Vec<&str> = tables.iter().map(|table| table.name.as_str()).collect();
                format!("there is no table {name}, but {}", listed(&names))
            })?;
            return Self::of(found, given);
        }
        let fitting: Vec<Self> = tables.iter().filter_map(|table| Self::of(table, given).ok()).collect();
        let usual = ["user", "users", "account", "accounts"];
        let is_usual = |one: &&Self| usual.contains(&one.table.to_ascii_lowercase().as_str());
        let likely: Vec<&Self> = match fitting.iter().filter(is_usual).count() {
            0 => fitting.iter().collect(),
            _ => fitting.iter().filter(is_usual).collect(),
        };
        match likely.as_slice() {
            [one] => Ok(Self { table: one.table.clone(), columns: one.columns.clone(), roles: one.roles.clone() }),
            [] => Err(
                "no table has columns for an e-mail address and a password: name them with --table, and with --column email=… and --column password=…"
                    .to_owned(),
            ),
            several => {
                let names: Vec<&str> = several.iter().map(|one| one.table.as_str()).collect();
                Err(format!("the accounts may be in {}: choose with --table", listed(&names)))
            }
        }
    }

    fn of(table: &Table, given: &[(Role, String)]) -> Result<Self, String> {
        let named = |name: &str| table.columns.iter().find(|(column, _)| column.eq_ignore_ascii_case(name));
        let mut found = Self { table: table.name.clone(), columns: Vec::new(), roles: Vec::new() };
        for role in Role::ALL {
            let column = match given.iter().find(|(wanted, _)| *wanted == role) {
                // No column, on purpose.
                Some((_, name)) if name.is_empty() => None,
                Some((_, name)) => {
                    Some(named(name).ok_or_else(|| format!("table {} has no column {name}", table.name))?)
                }
                None => usual(role).iter().find_map(|name| named(name)),
            };
            match column {
                Some((column, declared)) => {
                    let is_digits =
                        ["CHAR(32)", "UUID"].iter().any(|kind| declared.eq_ignore_ascii_case(kind));
                    let kind = if role == Role::PublicId && is_digits { Kind::Digits } else { Kind::Plain };
                    found.columns.push(column.clone());
                    found.roles.push((role, kind));
                }
                None if matches!(role, Role::Email | Role::Password) => {
                    let option = format!("--column {}=…", role.key());
                    return Err(format!(
                        "table {} has no column that is known as the {}: name it with {option}",
                        table.name,
                        role.key()
                    ));
                }
                None => {}
            }
        }
        Ok(found)
    }

    /// What a row says of an account.
    ///
    /// # Errors
    /// [`Refused`], with the first thing that is wrong.
    pub fn record(&self, cells: Vec<Cell>) -> Result<Record, Refused> {
        let mut row = Row::default();
        for ((role, kind), cell) in self.roles.iter().zip(cells) {
            let text = match cell {
                Cell::Null => continue,
                Cell::TooLong => return Err(Refused::LongCell(role.key())),
                Cell::Text(text) => text,
                Cell::Bytes(bytes) => match Uuid::from_slice(&bytes) {
                    Ok(id) if *role == Role::PublicId => id.to_string(),
                    // Such as a hash that its library gave as bytes.
                    _ => String::from_utf8(bytes).map_err(|_| Refused::NoText(role.key()))?,
                },
            };
            row.add(*role, if *kind == Kind::Digits { with_hyphens(text) } else { text });
        }
        row.record()
    }
}

/// 32 digits as a UUID; all else stays as it is.
fn with_hyphens(text: String) -> String {
    let is_plain = text.len() == 32 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    match Uuid::try_parse(&text) {
        Ok(id) if is_plain => id.to_string(),
        _ => text,
    }
}

fn listed(names: &[&str]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// `table user, email=email, name=username, …`.
impl fmt::Display for Accounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "table {}", self.table)?;
        let columns = self.roles.iter().zip(&self.columns);
        columns.into_iter().try_for_each(|((role, _), column)| write!(f, ", {}={column}", role.key()))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn table(name: &str, columns: &[&str]) -> Table {
        let column = |column: &&str| {
            let (name, declared) = column.split_once(' ').unwrap_or((column, "TEXT"));
            (name.to_owned(), declared.to_owned())
        };
        Table { name: name.to_owned(), columns: columns.iter().map(column).collect() }
    }

    fn found(tables: &[Table], name: Option<&str>, given: &[(Role, &str)]) -> Result<String, String> {
        let given: Vec<_> = given.iter().map(|(role, column)| (*role, (*column).to_owned())).collect();
        Accounts::find(tables, name, &given).map(|accounts| accounts.to_string())
    }

    #[test]
    fn the_table_and_its_columns_are_found() {
        let user = table("user", &["id INTEGER", "public_id", "name", "Email", "password", "is_active"]);
        let post = table("post", &["id", "email"]);
        let expected = "table user, email=Email, name=name, password_hash=password, public_id=public_id, active=is_active";
        assert_eq!(found(&[post.clone(), user.clone()], None, &[]).unwrap(), expected);
        let members = table("members", &["mail", "username", "secret"]);
        let given = [(Role::Password, "SECRET"), (Role::Name, "")];
        assert_eq!(
            found(&[members.clone(), post.clone()], None, &given).unwrap(),
            "table members, email=mail, password_hash=secret"
        );
        assert_eq!(
            found(&[user.clone(), members.clone()], Some("Members"), &given).unwrap(),
            "table members, email=mail, password_hash=secret"
        );

        let old = table("old_user", &["email", "password"]);
        assert_eq!(found(&[old.clone(), user.clone()], None, &[]).unwrap(), expected, "the usual name");
        for (tables, name, given, why) in [
            (vec![post.clone()], None, vec![], "no table has columns"),
            (vec![], None, vec![], "no table has columns"),
            (vec![user.clone(), post], Some("users"), vec![], "there is no table users, but user, post"),
            (
                vec![members.clone()],
                Some("members"),
                vec![],
                "table members has no column that is known as the password_hash",
            ),
            (vec![members], Some("members"), vec![(Role::Email, "x")], "table members has no column x"),
            (
                vec![old, table("staff", &["email", "password"])],
                None,
                vec![],
                "the accounts may be in old_user, staff",
            ),
            (
                vec![user.clone(), table("accounts", &["email", "password"])],
                None,
                vec![],
                "the accounts may be in user, accounts",
            ),
        ] {
            let said = found(&tables, name, &given).unwrap_err();
            assert!(said.starts_with(why), "{said}");
        }
    }

    #[test]
    fn ids_are_kept_as_services_know_them() {
        const ID: &str = "6f0c8b1e-9d8a-4c57-8f6e-0a1b2c3d4e5f";
        let digits = ID.replace('-', "");
        let id = |declared: &str, cell: Cell| {
            let column = format!("public_id {declared}");
            let accounts =
                Accounts::find(&[table("user", &["email", "password", &column])], None, &[]).unwrap();
            let cells = vec![Cell::Text("a@b.org".to_owned()), Cell::Null, cell];
            accounts.record(cells).ok().unwrap().public_id
        };
        let text = |text: &str| Cell::Text(text.to_owned());
        assert_eq!(id("VARCHAR(50)", text(ID)).as_deref(), Some(ID));
        assert_eq!(
            id("VARCHAR(50)", text(&digits)),
            Some(digits.clone()),
            "it is refused later: who knows its hyphens?"
        );
        assert_eq!(id("CHAR(32)", text(&digits)).as_deref(), Some(ID));
        assert_eq!(id("CHAR(32)", text("not an id")).as_deref(), Some("not an id"));
        let bytes = Uuid::parse_str(ID).unwrap().as_bytes().to_vec();
        assert_eq!(id("BLOB", Cell::Bytes(bytes)).as_deref(), Some(ID));
        // The bytes of this one happen to be text.
        let text = Uuid::parse_str("6f0c1b1e-1d1a-4cc2-8f6e-0a1b2c3d4e5f").unwrap();
        let bytes = Cell::Bytes(text.as_bytes().to_vec());
        assert_eq!(id("BLOB", bytes).as_deref(), Some("6f0c1b1e-1d1a-4cc2-8f6e-0a1b2c3d4e5f"));
        assert_eq!(id("BLOB", Cell::Bytes(ID.as_bytes().to_vec())).as_deref(), Some(ID));
        assert_eq!(id("TEXT", Cell::Null), None);
    }
}
