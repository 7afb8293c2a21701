//! Accounts as rows with named columns: of a CSV file, or of a table.

use super::lines::hash;
use super::{CREATED_AT, Record, Refused, moments};
use std::collections::HashMap;

/// What a column is to an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The e-mail address.
    Email,
    /// The name.
    Name,
    /// The hash of the password.
    Password,
    /// The id that services know the account by.
    PublicId,
    /// When it was made.
    CreatedAt,
    /// Whether nobody may log in.
    Disabled,
    /// Whether somebody may.
    Active,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Email,
        Self::Name,
        Self::Password,
        Self::PublicId,
        Self::CreatedAt,
        Self::Disabled,
        Self::Active,
    ];

    /// Its name: of the column in a CSV file, and in `--column NAME=COLUMN`.
    pub fn key(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Name => "name",
            Self::Password => "password_hash",
            Self::PublicId => "public_id",
            Self::CreatedAt => CREATED_AT,
            Self::Disabled => "disabled",
            Self::Active => "active",
        }
    }

    /// By its name; `password` is another one of the hash.
    pub fn named(name: &str) -> Option<Self> {
        let name = if name == "password" { "password_hash" } else { name };
        Self::ALL.into_iter().find(|role| role.key() == name)
    }
}

/// What the columns of one row hold.
#[derive(Default)]
pub struct Row(HashMap<Role, String>);

impl Row {
    /// Adds what a column holds; nothing is as none.
    pub fn add(&mut self, role: Role, text: String) {
        if !text.trim().is_empty() {
            self.0.insert(role, text);
        }
    }

    fn get(&self, role: Role) -> Option<&str> {
        self.0.get(&role).map(String::as_str)
    }

    /// What it says of an account.
    ///
    /// # Errors
    /// [`Refused`], with the first thing that is wrong.
    pub fn record(&self) -> Result<Record, Refused> {
        let truth = |role| self.get(role).map(|text| truth(role, text)).transpose();
        let (disabled, active) = (truth(Role::Disabled)?, truth(Role::Active)?);
        Ok(Record {
            email: self.get(Role::Email).unwrap_or_default().to_owned(),
            name: self.get(Role::Name).map(str::to_owned),
            hash: hash(self.get(Role::Password).map(str::trim))?,
            public_id: self.get(Role::PublicId).map(str::to_owned),
            created_at: self.get(Role::CreatedAt).map(|text| moments::loose(CREATED_AT, text)).transpose()?,
            disabled: disabled == Some(true) || active == Some(false),
            banned_until: None,
        })
    }
}

fn truth(role: Role, text: &str) -> Result<bool, Refused> {
    match text.trim().to_ascii_lowercase().as_str() {
        "1" | "true" | "t" | "yes" | "y" => Ok(true),
        "0" | "false" | "f" | "no" | "n" => Ok(false),
        _ => Err(Refused::Truth(role.key())),
    }
}
