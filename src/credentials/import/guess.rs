//! Which format a file has, by how it begins.

use super::lines;
use super::{Record, Refused, firebase, keycloak};
use crate::credentials::import::HashConfig;
use serde_json::Value;

/// What a file of accounts may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Our own lines.
    Jsonl,
    /// Our own columns.
    Csv,
    /// A SQLite file with a table of accounts.
    Flask,
    /// The export of a realm.
    Keycloak,
    /// The export of password hashes, or a file of the bulk import.
    Auth0,
    /// What `firebase auth:export` writes.
    Firebase,
    /// The rows of `auth.users`.
    Supabase,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Jsonl, Self::Csv, Self::Flask, Self::Keycloak, Self::Auth0, Self::Firebase, Self::Supabase];

    /// Its name for `--from`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Jsonl => "jsonl",
            Self::Csv => "csv",
            Self::Flask => "flask",
            Self::Keycloak => "keycloak",
            Self::Auth0 => "auth0",
            Self::Firebase => "firebase",
            Self::Supabase => "supabase",
        }
    }

    /// By that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }

    /// What one JSON object of this format says of an account.
    ///
    /// # Errors
    /// [`Refused`], with the first thing that is wrong.
    pub fn object(self, text: &[u8], config: Option<&HashConfig>) -> Result<Record, Refused> {
        match self {
            Self::Jsonl | Self::Csv | Self::Flask => lines::own(text),
            Self::Keycloak => keycloak::user(text),
            Self::Auth0 => lines::auth0(text),
            Self::Firebase => firebase::user(text, config),
            Self::Supabase => lines::supabase(text),
        }
    }

    /// What one row of named columns of this format says.
    ///
    /// # Errors
    /// [`Refused`], with the first thing that is wrong.
    pub fn row(column: impl Fn(&str) -> Option<String>) -> Result<Record, Refused> {
        lines::supabase_of(column)
    }
}

/// What a file seems to be, and by what.
pub type Guess = (Format, &'static str);

/// Guesses the format of a file by its first bytes, without a byte-order mark; `None` where nothing is clear.
pub fn guess(start: &[u8]) -> Option<Guess> {
    if start.starts_with(b"SQLite format 3\0") {
        return Some((Format::Flask, "it is a SQLite file"));
    }
    let text = String::from_utf8_lossy(start);
    let text = text.trim_start();
    let line = text.lines().next().unwrap_or_default().trim();
    if text.starts_with(['{', '[']) { of_json(text, line) } else { of_header(line) }
}

fn of_header(line: &str) -> Option<Guess> {
    let names: Vec<&str> = line.split(',').map(|name| name.trim().trim_matches('"')).collect();
    if !names.contains(&"email") {
        None
    } else if names.contains(&"encrypted_password") {
        Some((Format::Supabase, "it has a column encrypted_password"))
    } else if names.contains(&"password_hash") {
        Some((Format::Csv, "its first line names columns"))
    } else {
        None
    }
}

fn of_json(text: &str, line: &str) -> Option<Guess> {
    // A whole object on the first line, or one of a list.
    let first = line.trim_start_matches(['[', ' ']).trim_end_matches([']', ',', ' ']);
    if let Ok(Value::Object(object)) = serde_json::from_str(first)
        && object.contains_key("email")
    {
        let has = |name: &str| object.contains_key(name);
        let is_list = line.starts_with('[');
        return match () {
            () if has("encrypted_password") => Some((Format::Supabase, "it has encrypted_password")),
            () if has("passwordHash") && !has("localId") => Some((Format::Auth0, "it has passwordHash")),
            () if has("custom_password_hash") => Some((Format::Auth0, "it has custom_password_hash")),
            () if !is_list => Some((Format::Jsonl, "each line is an account")),
            () => None,
        };
    }
    let has = |name: &str| text.contains(&format!("\"{name}\""));
    if has("users") && has("localId") {
        Some((Format::Firebase, "it has users with localId"))
    } else if has("realm") && text.starts_with('{') {
        Some((Format::Keycloak, "it is of a realm"))
    } else if text.starts_with('[') && has("encrypted_password") {
        Some((Format::Supabase, "it has encrypted_password"))
    } else if text.starts_with('[') && has("custom_password_hash") {
        Some((Format::Auth0, "it has custom_password_hash"))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_clear_is_guessed_and_nothing_else() {
        for (start, format) in [
            ("SQLite format 3\0…", Some(Format::Flask)),
            ("{\"email\":\"a@b.org\",\"password_hash\":\"x\"}\n{", Some(Format::Jsonl)),
            ("email,name,password_hash\n", Some(Format::Csv)),
            ("\"name\",\"email\",\"password_hash\"\r\n", Some(Format::Csv)),
            ("id,email,encrypted_password,created_at\n", Some(Format::Supabase)),
            ("[{\"id\":\"1\",\"email\":\"a@b.org\",\"encrypted_password\":\"\"},\n{", Some(Format::Supabase)),
            ("[\n {\n \"id\": 1, \"encrypted_password\": \"\"", Some(Format::Supabase)),
            (
                "{\"_id\":{\"$oid\":\"6\"},\"email\":\"a@b.org\",\"passwordHash\":\"x\"}\n",
                Some(Format::Auth0),
            ),
            ("[{\"email\":\"a@b.org\",\"custom_password_hash\":{}}]", Some(Format::Auth0)),
            (
                "{\"users\": [\n{\"localId\": \"x\",\n \"email\": \"a@b.org\", \"passwordHash\":\"\"",
                Some(Format::Firebase),
            ),
            ("{\n  \"realm\" : \"shop\",\n  \"users\" : [ {", Some(Format::Keycloak)),
            ("{}", None),
            ("", None),
            ("hunter2", None),
            ("name,password_hash\n", None),
            ("[{\"email\":\"a@b.org\",\"password_hash\":\"x\"}]", None),
        ] {
            assert_eq!(guess(start.as_bytes()).map(|guess| guess.0), format, "{start}");
        }
        for format in Format::ALL {
            assert_eq!(Format::named(format.name()), Some(format));
        }
    }
}
