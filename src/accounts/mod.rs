//! Accounts: who exists, under which e-mail address and name. Passwords are the business of
//! `credentials`.

pub mod api;
pub mod flow;
pub(crate) mod store;

use crate::base::email::Email;
use crate::base::id::AccountId;
use crate::base::text;
use crate::base::time::Timestamp;
use std::time::Duration;

/// How long the making of an account can be repeated.
const REPEATABLE: Duration = Duration::from_secs(24 * 3600);

/// The longest name, in characters.
pub const MAX_NAME_LENGTH: usize = 200;

/// A person's name for display, and for logging in where no other account bears it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name(String);

/// Why a text is no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// Nothing but white space.
    #[error("must not be empty")]
    Empty,
    /// More than [`MAX_NAME_LENGTH`] characters.
    #[error("must have at most 200 characters")]
    TooLong,
    /// A control character.
    #[error("must not hold control characters")]
    Control,
}

impl Name {
    /// Reads a name: surrounding white space is dropped, the rest put into Unicode Form C.
    ///
    /// # Errors
    /// [`InvalidName`].
    pub fn parse(input: &str) -> Result<Self, InvalidName> {
        let name = input.trim();
        if name.is_empty() {
            return Err(InvalidName::Empty);
        }
        if name.chars().count() > MAX_NAME_LENGTH {
            return Err(InvalidName::TooLong);
        }
        if text::has_control(name) {
            return Err(InvalidName::Control);
        }
        Ok(Self(text::nfc(name)))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An account that is to be made.
#[derive(Clone, Debug)]
pub struct NewAccount {
    /// Its id.
    pub id: AccountId,
    /// Its e-mail address.
    pub email: Email,
    /// Its name.
    pub name: Name,
    /// When it is made.
    pub created_at: Timestamp,
    /// Since when it is disabled, if it is made so.
    pub disabled_at: Option<Timestamp>,
    /// Digest of the key that its making can be repeated with.
    pub idempotency_key: Option<[u8; 32]>,
}

/// What became of one account of many that were to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Made {
    /// It was made.
    Now,
    /// It was made before, with the same key.
    Before,
    /// Not, since another account has its mailbox.
    EmailTaken,
    /// Not, since another account has its id.
    IdTaken,
}

/// An account as an operator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// The e-mail address as it was typed.
    pub email: String,
    /// The name.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Since when it is disabled, if it is.
    pub disabled_at: Option<Timestamp>,
}

/// What can go wrong with accounts.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another account has this mailbox.
    #[error("an account with this e-mail address exists")]
    EmailTaken,
    /// The key was used to make another account than this one.
    #[error("the idempotency key belongs to another request")]
    KeyReused,
    /// There is no such account.
    #[error("there is no such account")]
    Unknown,
    /// The database failed.
    #[error(transparent)]
    Db(#[from] crate::db::Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert_eq!(Name::parse(" test1 ").map(|name| name.0), Ok("test1".into()));
        assert_eq!(Name::parse("e\u{301}").map(|name| name.0), Ok("é".into()));
        assert!(Name::parse("山田 太郎 🙂").is_ok());
        assert_eq!(Name::parse(" \n"), Err(InvalidName::Empty));
        assert_eq!(Name::parse("a\0b"), Err(InvalidName::Control));
        assert_eq!(Name::parse("a\nb"), Err(InvalidName::Control));
        assert!(Name::parse(&"é".repeat(200)).is_ok());
        assert_eq!(Name::parse(&"é".repeat(201)), Err(InvalidName::TooLong));
    }
}
