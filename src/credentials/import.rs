//! Accounts from another system, with the hashes of their passwords: what each source's records mean.
//!
//! Whom one stands for is read by the rules of a sign-up. Its password was chosen elsewhere, so no policy is asked.

mod columns;
pub mod elements;
mod firebase;
pub mod flask;
mod guess;
mod keycloak;
mod lines;
mod moments;

pub use columns::{Role, Row};
pub use firebase::HashConfig;
pub use guess::{Format, Guess, guess};
pub use moments::Moment;

use crate::accounts::{InvalidName, Made, Name, NewAccount};
use crate::base::email::{self, Email};
use crate::base::id::{self, AccountId};
use crate::base::json;
use crate::base::time::Timestamp;
use claviger_crypto::password::StoredHash;
use claviger_crypto::password::foreign::Refusal;
use std::collections::{HashMap, HashSet};
use uuid::Uuid;

/// What tells when an account was made.
const CREATED_AT: &str = "created_at";

/// The longest line, in bytes.
pub const MAX_LINE: usize = 64 * 1024;

/// An account that is to be made with the hash of its password. No `Debug`: hashes are not shown.
pub struct ImportedAccount {
    account: NewAccount,
    phc: String,
    has_own_id: bool,
}

/// Why a line makes no account. Nothing of it is repeated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// More than [`MAX_LINE`] bytes.
    #[error("it has more than 65536 bytes")]
    TooLong,
    /// No JSON: why, and at which byte.
    #[error("{0}, column {1}")]
    Text(&'static str, usize),
    /// Not the JSON object that it must be.
    #[error(transparent)]
    Json(json::Invalid),
    /// The e-mail address.
    #[error("email {0}")]
    Email(#[from] email::Invalid),
    /// The name.
    #[error("name {0}")]
    Name(#[from] InvalidName),
    /// The hash.
    #[error("password_hash {0}")]
    Hash(#[from] Refusal),
    /// No hash, as where people log in by another service alone.
    #[error(
        "it has no password; --keep-without-password makes it an account that is locked until it is given one"
    )]
    NoPassword,
    /// A hash whose parameters the source keeps elsewhere.
    #[error("its password needs the project's hash parameters: give them with --firebase-hash")]
    NoParameters,
    /// Deleted where it comes from.
    #[error("it was deleted where it comes from")]
    Deleted,
    /// Not a person's.
    #[error("it is no person's account but one that a service uses")]
    Service,
    /// A truth value.
    #[error("{0} must be true or false")]
    Truth(&'static str),
    /// A row of another length than the first line has.
    #[error("it has {0} columns, and the first line names {1}")]
    Columns(usize, usize),
    /// The same, of a row that goes on to this line.
    #[error(
        "it has {0} columns, the first line names {1}, and it goes on to line {2}: is a quote left open?"
    )]
    Lines(usize, usize, u64),
    /// No text where one must be.
    #[error("{0} is not text")]
    NoText(&'static str),
    /// A cell of a table with more than [`crate::db::foreign::MOST`] bytes.
    #[error("{0} has more than {most} bytes", most = crate::db::foreign::MOST)]
    LongCell(&'static str),
    /// The id.
    #[error(
        "public_id must be a UUID, in lower case and with hyphens, and neither all zeros nor all ones: another one cannot be kept as services know it"
    )]
    Id,
    /// A moment.
    #[error("{0} must be a moment as RFC 3339 has it, such as 2023-11-14T22:13:20Z")]
    Moment(&'static str),
    /// Made later than now.
    #[error("created_at is still to come")]
    Future,
    /// Another account has this mailbox.
    #[error("an account with this e-mail address exists, and was not made from this line")]
    EmailTaken,
    /// Another account has this id.
    #[error("an account with this public_id exists, with another e-mail address")]
    IdTaken,
}

impl From<json::Invalid> for Refused {
    fn from(invalid: json::Invalid) -> Self {
        match invalid {
            json::Invalid::Text { why, column, .. } => Self::Text(why, column),
            other => Self::Json(other),
        }
    }
}

/// What a source says of an account.
#[derive(Default)]
pub struct Record {
    /// The e-mail address.
    pub email: String,
    /// The name; what stands before the @ where there is none.
    pub name: Option<String>,
    /// The hash of the password, if it has one.
    pub hash: Option<StoredHash>,
    /// The id that services know it by.
    pub public_id: Option<String>,
    /// When it was made.
    pub created_at: Option<Moment>,
    /// Whether nobody may log in.
    pub disabled: bool,
    /// Until when nobody may, if that is still to come.
    pub banned_until: Option<Moment>,
}

/// What the operator wants of records.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted {
    /// Accounts without a password are made too, locked.
    pub keep_without_password: bool,
}

impl ImportedAccount {
    /// Takes a record, as of `now`. An account without an id of its own gets one from `random` and when it was made.
    ///
    /// # Errors
    /// [`Refused`], with the first thing that is wrong.
    pub fn new(record: &Record, wanted: Wanted, now: Timestamp, random: [u8; 10]) -> Result<Self, Refused> {
        let email = Email::parse(&record.email)?;
        let name = Name::parse(record.name.as_deref().unwrap_or(email.local()))?;
        let phc = match &record.hash {
            Some(hash) => hash.to_string(),
            None if wanted.keep_without_password => StoredHash::Locked.to_string(),
            None => return Err(Refused::NoPassword),
        };
        let own_id = record.public_id.as_deref().map(own_id).transpose()?;
        let key = key(&email, &name, &phc, own_id, record);
        let made = |moment: Moment| moment.before(now).ok_or(Refused::Future);
        let created_at = record.created_at.map_or(Ok(now), made)?;
        let id = own_id.unwrap_or_else(|| AccountId(id::uuid_v7(created_at, random)));
        let is_disabled = record.disabled || record.banned_until.is_some_and(|until| until.written > now);
        let disabled_at = is_disabled.then_some(now);
        let account = NewAccount { id, email, name, created_at, disabled_at, idempotency_key: Some(key) };
        Ok(Self { account, phc, has_own_id: own_id.is_some() })
    }

    /// Reads a line of our own form.
    ///
    /// # Errors
    /// [`Refused`], with the first thing that is wrong.
    pub fn parse(line: &[u8], now: Timestamp, random: [u8; 10]) -> Result<Self, Refused> {
        Self::new(&lines::own(line)?, Wanted::default(), now, random)
    }

    /// The account.
    pub fn account(&self) -> &NewAccount {
        &self.account
    }

    /// The hash of its password.
    pub(crate) fn phc(&self) -> &str {
        &self.phc
    }
}

/// Other forms of the same UUID are refused: services compare what stands in tokens as text.
fn own_id(text: &str) -> Result<AccountId, Refused> {
    let id = AccountId::parse(text).filter(|id| id.0 != Uuid::nil() && id.0 != Uuid::max());
    id.ok_or(Refused::Id)
}

/// By which the account made from a record is known again, whatever becomes of its name and hash: a digest of all
/// that the record says, as it was written: a later run must find the same.
fn key(email: &Email, name: &Name, phc: &str, id: Option<AccountId>, record: &Record) -> [u8; 32] {
    let id = id.map(|id| id.to_string()).unwrap_or_default();
    let moment = record.created_at.map(|moment| moment.written.as_micros().to_string()).unwrap_or_default();
    let until = record.banned_until.map(|until| until.written.as_micros().to_string());
    let mut said = vec!["import", email.as_typed(), name.as_str(), phc, &id, &moment];
    // Nothing where there is nothing, so that what an earlier version imported is known again.
    said.extend(record.disabled.then_some("disabled"));
    said.extend(until.as_deref());
    // None of them can hold the control character between them.
    claviger_crypto::sha256(said.join("\0").as_bytes())
}

/// What a trial, which makes nothing, must remember of the lines before.
#[derive(Default)]
pub struct Trial {
    /// The line's key by the digest of its mailbox, of each the first half.
    mailboxes: HashMap<[u8; 16], [u8; 16]>,
    ids: HashSet<Uuid>,
}

impl Trial {
    /// What would become of a line if the ones before had been imported.
    pub fn judge(&mut self, line: &ImportedAccount, in_database: Made) -> Made {
        if in_database != Made::Now {
            return in_database;
        }
        let (id, key) = (line.account.id.0, half(line.account.idempotency_key.unwrap_or_default()));
        let mailbox = half(claviger_crypto::sha256(line.account.email.key().as_bytes()));
        match self.mailboxes.get(&mailbox) {
            Some(before) if *before == key => return Made::Before,
            Some(_) => return Made::EmailTaken,
            None => {}
        }
        if line.has_own_id && !self.ids.insert(id) {
            return Made::IdTaken;
        }
        self.mailboxes.insert(mailbox, key);
        Made::Now
    }
}

fn half(digest: [u8; 32]) -> [u8; 16] {
    let [half, _] = *digest.as_chunks().0 else { return [0; 16] };
    half
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests;
