//! An account as it is written for another system, in the form that an import reads.

use crate::accounts::Account;
use crate::base::id::AccountId;
use serde::Serialize;

/// An account that is written out. No `Debug`: hashes are not shown.
#[derive(Serialize)]
pub struct Exported {
    email: String,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    password_hash: Option<String>,
    /// Its id.
    #[serde(rename = "public_id", serialize_with = "as_text")]
    pub id: AccountId,
    created_at: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    disabled: bool,
}

fn as_text<S: serde::Serializer>(id: &AccountId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(id)
}

impl Exported {
    /// The column of the hash, which may be left out.
    pub const HASH: &str = "password_hash";

    /// The columns.
    pub const NAMES: [&str; 6] = ["email", "name", Self::HASH, "public_id", "created_at", "disabled"];

    pub(crate) fn new(account: Account, password_hash: Option<String>) -> Self {
        Self {
            email: account.email,
            name: account.name,
            password_hash,
            id: account.id,
            created_at: account.created_at.exactly(),
            disabled: account.disabled_at.is_some(),
        }
    }

    /// What stands in the columns.
    pub fn columns(&self) -> Vec<String> {
        let disabled = if self.disabled { "true" } else { "" };
        let first = [self.email.clone(), self.name.clone()].into_iter().chain(self.password_hash.clone());
        first.chain([self.id.to_string(), self.created_at.clone(), disabled.to_owned()]).collect()
    }
}
