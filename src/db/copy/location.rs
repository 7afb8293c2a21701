//! One end of a copy: a data folder or a PostgreSQL database, and how it is opened.

use super::mark::{self, Mark, Source};
use super::table::Table;
use crate::base::time::Timestamp;
use crate::config::DatabaseUrl;
use crate::db::postgres::{PATIENCE_OF_COMMANDS, Postgres};
use crate::db::sqlite::Sqlite;
use crate::db::{Db, Engine, Error, Tx, folder, migrate};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One end of a copy.
#[derive(Clone, Debug)]
pub enum Location {
    /// `sqlite:DIR`: the data folder of SQLite's file.
    Folder(PathBuf),
    /// `postgres://…`.
    Server(Box<DatabaseUrl>),
}

impl Location {
    /// Reads it.
    ///
    /// # Errors
    /// What is wrong with it and how it is written; that never repeats a password.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Some(folder) = text.strip_prefix("sqlite:") {
            let path = PathBuf::from(folder);
            return match path.is_file() {
                true => Err("it names a file. Name the data folder it is in".into()),
                false if folder.is_empty() => {
                    Err("it names no folder. Write it like sqlite:/var/lib/claviger".into())
                }
                false => Ok(Self::Folder(path)),
            };
        }
        if !text.contains("://") {
            let form = DatabaseUrl::FORM;
            return Err(format!(
                "it begins with neither sqlite: nor postgres://. Write it like sqlite:/var/lib/claviger or {form}"
            ));
        }
        let url = DatabaseUrl::parse(text);
        url.map(|url| Self::Server(Box::new(url)))
            .map_err(|what| format!("{what}. Write it like {}", DatabaseUrl::FORM))
    }

    /// The data folder, of which nothing depends on how it was written.
    fn folder(path: &Path) -> PathBuf {
        path.canonicalize().unwrap_or_else(|_| path.to_owned())
    }

    /// Whether both are the same, as far as that can be seen before they are opened.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }

    /// Opens it for reading, and keeps servers off where that can be done.
    pub(super) fn open_source(&self) -> Result<Db, Error> {
        let engine = match self {
            Self::Folder(path) => Engine::Sqlite(Sqlite::open_alone(path)?),
            Self::Server(url) => Engine::Postgres(Postgres::open_read_only(url)?),
        };
        Ok(Db::uncounted(engine))
    }

    /// Opens it for being filled. In one transaction its schema is made, it is seen to be empty, and the mark is
    /// set; a database that is refused stays as it was.
    pub(super) fn open_target(
        &self,
        source: Source,
        tables: Vec<Arc<Table>>,
        now: Timestamp,
    ) -> Result<(Db, Mark), Error> {
        self.open_empty(move |tx| {
            migrate::run_for_copy(tx, now)?;
            mark::begin(tx, &source, &tables)
        })
    }

    /// The same by another first transaction.
    pub(super) fn open_empty(
        &self,
        first: impl FnMut(&mut Tx<'_>) -> Result<Mark, Error> + Send + 'static,
    ) -> Result<(Db, Mark), Error> {
        let opened = match self {
            Self::Folder(path) => Sqlite::open_by(path, folder::FOR_A_COPY, &Arc::default(), first)
                .map(|(engine, mark)| (Engine::Sqlite(engine), mark)),
            Self::Server(url) => Postgres::open_by(url, 1, PATIENCE_OF_COMMANDS, first)
                .map(|(engine, mark)| (Engine::Postgres(engine), mark)),
        };
        let (engine, mark) = opened.map_err(|error| match error {
            // A step of the schema finds what it would make.
            Error::Statement(why) if why.contains("already exists") => {
                Error::Refused(format!("it holds something else ({why}). Name an empty database"))
            }
            error => error,
        })?;
        Ok((Db::uncounted(engine), mark))
    }
}

/// The folder in full, or the URL without its password.
impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path) => write!(f, "sqlite:{}", Self::folder(path).display()),
            Self::Server(url) => write!(f, "{url}"),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn locations_are_read_and_shown_without_passwords() {
        let folder = tempfile::tempdir().unwrap();
        let text = format!("sqlite:{}", folder.path().display());
        assert_eq!(Location::parse(&text).unwrap().to_string(), text);
        let roundabout = format!(
            "sqlite:{}/../{}/.",
            folder.path().display(),
            folder.path().file_name().unwrap().display()
        );
        assert!(Location::parse(&roundabout).unwrap().is(&Location::parse(&text).unwrap()));
        let url = Location::parse("postgres://u:hunter2@h/d").unwrap();
        assert_eq!(url.to_string(), "postgres://u:***@h/d");
        assert!(!format!("{url:?}").contains("hunter2"));
    }

    #[test]
    fn what_is_neither_is_refused_without_repeating_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("claviger.db");
        std::fs::write(&file, "").unwrap();
        for (text, why) in [
            ("", "neither sqlite: nor postgres://"),
            ("/var/lib/hunter2", "neither sqlite: nor postgres://"),
            ("u:hunter2@h/d", "neither sqlite: nor postgres://"),
            ("sqlite:", "no folder"),
            (&format!("sqlite:{}", file.display()), "Name the data folder"),
            ("mysql://u:hunter2@h/d", "postgres://"),
            ("postgres://u:hunter2@h:port/d", "port"),
            ("postgres:///hunter2", "no host"),
        ] {
            let said = Location::parse(text).unwrap_err();
            assert!(said.contains(why) && !said.contains("hunter2"), "{text}: {said}");
        }
    }
}
