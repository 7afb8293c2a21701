//! Where a database is: in the data folder, or on a server.

use crate::config::{Config, DatabaseUrl};
use std::fmt;
use std::path::Path;

/// Where a database is.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The folder of the master key, and of SQLite's file.
    pub data_dir: &'a Path,
    /// The PostgreSQL server, if one holds the data.
    pub server: Option<&'a DatabaseUrl>,
}

impl<'a> From<&'a Config> for Place<'a> {
    fn from(config: &'a Config) -> Self {
        Self { data_dir: &config.data_dir, server: config.database_url.as_ref() }
    }
}

/// SQLite's file in this folder.
impl<'a> From<&'a Path> for Place<'a> {
    fn from(data_dir: &'a Path) -> Self {
        Self { data_dir, server: None }
    }
}

impl Place<'_> {
    /// What to do where it is the wrong one.
    pub fn mend(&self) -> &'static str {
        match self.server {
            None => "Name its folder with --data-dir",
            Some(_) => "Name it with --database-url",
        }
    }
}

/// The folder, or the URL without its password.
impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.server {
            None => write!(f, "{}", self.data_dir.display()),
            Some(url) => write!(f, "{url}"),
        }
    }
}
