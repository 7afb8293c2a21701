//! An account from another system, as one line of a file: a JSON object with the hash of its password.
//!
//! Whom it stands for is read by the rules of a sign-up. Its password was chosen elsewhere, so no policy is asked.

use crate::accounts::{InvalidName, Made, Name, NewAccount};
use crate::base::email::{self, Email};
use crate::base::id::{self, AccountId};
use crate::base::json;
use crate::base::time::Timestamp;
use claviger_crypto::password::PasswordHash;
use serde::Deserialize;
use std::collections::{HashMap, HashSet};
use uuid::Uuid;

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
    #[error(
        "password_hash must be Argon2id as $argon2id$v=19$m=…,t=…,p=…$salt$hash, of at most m=1048576, t=64 and p=16"
    )]
    Hash,
    /// The id.
    #[error("public_id must be a UUID, in lower case and with hyphens, and neither all zeros nor all ones")]
    Id,
    /// When it was made.
    #[error("created_at must be a moment as RFC 3339 has it, such as 2023-11-14T22:13:20Z")]
    Moment,
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

#[derive(Deserialize)]
struct Members {
    email: String,
    name: String,
    password_hash: String,
    public_id: Option<String>,
    created_at: Option<String>,
}

impl ImportedAccount {
    /// Reads a line, as of `now`. An account without an id of its own gets one from `random` and when it was made.
    ///
    /// # Errors
    /// [`Refused`], with the first thing that is wrong.
    pub fn parse(line: &[u8], now: Timestamp, random: [u8; 10]) -> Result<Self, Refused> {
        if line.len() > MAX_LINE {
            return Err(Refused::TooLong);
        }
        let members: Members = json::read(line)?;
        let (email, name) = (Email::parse(&members.email)?, Name::parse(&members.name)?);
        let phc = hash(&members.password_hash)?;
        let own_id = members.public_id.as_deref().map(own_id).transpose()?;
        let own_moment = members.created_at.as_deref().map(|text| moment(text, now)).transpose()?;
        let key = key(&email, &name, &phc, own_id, own_moment);
        let created_at = own_moment.unwrap_or(now);
        let id = own_id.unwrap_or_else(|| AccountId(id::uuid_v7(created_at, random)));
        let account = NewAccount { id, email, name, created_at, idempotency_key: Some(key) };
        Ok(Self { account, phc, has_own_id: own_id.is_some() })
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

/// Recognises the format of a hash, and gives it back as it is stored.
fn hash(text: &str) -> Result<String, Refused> {
    PasswordHash::parse(text).map(|hash| hash.to_string()).map_err(|_| Refused::Hash)
}

/// Other forms of the same UUID are refused: services compare what stands in tokens as text.
fn own_id(text: &str) -> Result<AccountId, Refused> {
    let id = AccountId::parse(text).filter(|id| id.0 != Uuid::nil() && id.0 != Uuid::max());
    id.ok_or(Refused::Id)
}

fn moment(text: &str, now: Timestamp) -> Result<Timestamp, Refused> {
    let moment = Timestamp::parse(text).ok_or(Refused::Moment)?;
    if moment > now { Err(Refused::Future) } else { Ok(moment) }
}

/// By which the account made from a line is known again, whatever becomes of its name and hash: a digest of all
/// that the line says.
fn key(
    email: &Email,
    name: &Name,
    phc: &str,
    id: Option<AccountId>,
    created_at: Option<Timestamp>,
) -> [u8; 32] {
    let id = id.map(|id| id.to_string()).unwrap_or_default();
    let moment = created_at.map(|moment| moment.as_micros().to_string()).unwrap_or_default();
    // None of them can hold the control character between them.
    let said = ["import", email.as_typed(), name.as_str(), phc, &id, &moment].join("\0");
    claviger_crypto::sha256(said.as_bytes())
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
