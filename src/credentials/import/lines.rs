//! Lines of our own form, of Auth0's and of Supabase's: each a JSON object.

use super::moments;
use super::{CREATED_AT, MAX_LINE, Record, Refused};
use crate::base::json;
use claviger_crypto::password::StoredHash;
use claviger_crypto::password::foreign::{Foreign, Refusal};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// Reads an object that is not too long.
pub(super) fn object<T: DeserializeOwned>(text: &[u8]) -> Result<T, Refused> {
    if text.len() > MAX_LINE { Err(Refused::TooLong) } else { Ok(json::read(text)?) }
}

/// A hash in any form that is known; nothing where there is no text.
pub(super) fn hash(text: Option<&str>) -> Result<Option<StoredHash>, Refused> {
    let text = text.filter(|text| !text.is_empty());
    Ok(text.map(StoredHash::read).transpose()?)
}

#[derive(Deserialize)]
struct Own {
    email: String,
    name: String,
    password_hash: Option<String>,
    public_id: Option<String>,
    created_at: Option<String>,
    disabled: Option<bool>,
}

/// A line of our own form.
pub(super) fn own(line: &[u8]) -> Result<Record, Refused> {
    let Own { email, name, password_hash, public_id, created_at, disabled } = object(line)?;
    Ok(Record {
        email,
        name: Some(name),
        hash: hash(password_hash.as_deref())?,
        public_id,
        created_at: created_at.as_deref().map(|text| moments::strict(CREATED_AT, text)).transpose()?,
        disabled: disabled.unwrap_or_default(),
        banned_until: None,
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Custom {
    algorithm: String,
    hash: Coded,
    salt: Option<Coded>,
    password: Option<Typed>,
    cost: Option<u64>,
    block_size: Option<u32>,
    parallelization: Option<u32>,
}

#[derive(Deserialize)]
struct Coded {
    value: String,
    encoding: Option<String>,
}

/// How passwords were made bytes before they were hashed.
#[derive(Deserialize)]
struct Typed {
    encoding: Option<String>,
}

#[derive(Deserialize)]
struct Auth0 {
    email: String,
    username: Option<String>,
    name: Option<String>,
    nickname: Option<String>,
    #[serde(alias = "passwordHash")]
    password_hash: Option<String>,
    custom_password_hash: Option<Custom>,
    created_at: Option<Value>,
    blocked: Option<bool>,
}

/// A user of Auth0: of the export of password hashes, or in the form of its bulk import. Ids there are no UUIDs.
pub(super) fn auth0(text: &[u8]) -> Result<Record, Refused> {
    let user: Auth0 = object(text)?;
    let names = [user.username, user.nickname, user.name].into_iter().flatten();
    let hash = match &user.custom_password_hash {
        Some(custom) => custom.read()?,
        None => hash(user.password_hash.as_deref())?,
    };
    // As a text, or as MongoDB writes it: {"$date": …}.
    let created_at = user.created_at.as_ref().map(|value| value.get("$date").unwrap_or(value));
    Ok(Record {
        email: user.email,
        name: first_name(names),
        hash,
        public_id: None,
        created_at: created_at.map(|value| moments::of_json(CREATED_AT, value)).transpose()?,
        disabled: user.blocked.unwrap_or_default(),
        banned_until: None,
    })
}

/// The first that is no address: those are often put where no name is known.
pub(super) fn first_name(mut names: impl Iterator<Item = String>) -> Option<String> {
    names.find(|name| !name.trim().is_empty() && !name.contains('@'))
}

impl Custom {
    fn read(&self) -> Result<Option<StoredHash>, Refused> {
        let encoding = self.password.as_ref().and_then(|password| password.encoding.as_deref());
        if !matches!(encoding, None | Some("utf8" | "ascii")) {
            return Err(Refusal::Unsupported(
                "of a password in another encoding than UTF-8 and ASCII (custom_password_hash.password.encoding), which is not verified here",
            )
            .into());
        }
        match self.algorithm.as_str() {
            "bcrypt" | "argon2" | "pbkdf2" => hash(Some(&self.hash.value)),
            "scrypt" => {
                let damaged = Refusal::Damaged("Auth0's scrypt");
                let salt = self.salt.as_ref().and_then(|salt| salt.bytes("utf8")).ok_or(damaged)?;
                let tag = self.hash.bytes("hex").ok_or(damaged)?;
                // What is left out is as Node's scrypt has it.
                let cost = self.cost.unwrap_or(16384);
                let (r, p) = (self.block_size.unwrap_or(8), self.parallelization.unwrap_or(1));
                let hash = Foreign::scrypt(cost, r, p, salt, tag)?;
                Ok(Some(StoredHash::Foreign(hash)))
            }
            _ => Err(Refusal::Unsupported(
                "of another algorithm than argon2, bcrypt, pbkdf2 and scrypt, which is not verified here",
            )
            .into()),
        }
    }
}

impl Coded {
    fn bytes(&self, default: &str) -> Option<Vec<u8>> {
        match self.encoding.as_deref().unwrap_or(default) {
            "hex" => claviger_crypto::password::foreign::from_hex(&self.value),
            "base64" => claviger_crypto::password::foreign::from_base64(&self.value),
            "utf8" => Some(self.value.as_bytes().to_vec()),
            _ => None,
        }
    }
}

/// A row of Supabase's `auth.users`, as JSON.
pub(super) fn supabase(text: &[u8]) -> Result<Record, Refused> {
    let user: Map<String, Value> = object(text)?;
    supabase_of(|name| match user.get(name)? {
        Value::String(text) => Some(text.clone()),
        Value::Null => None,
        other => Some(other.to_string()),
    })
}

/// A row of Supabase's `auth.users`, by its columns. What holds nothing has no text.
pub(super) fn supabase_of(column: impl Fn(&str) -> Option<String>) -> Result<Record, Refused> {
    let column = |name: &str| column(name).filter(|text| !text.is_empty() && text != "null");
    if column("deleted_at").is_some() {
        return Err(Refused::Deleted);
    }
    let moment = |name| column(name).map(|text| moments::loose(name, &text)).transpose();
    let email = column("email").ok_or(Refused::Email(crate::base::email::Invalid::Form))?;
    let about = column("raw_user_meta_data").unwrap_or_default();
    let about: Map<String, Value> = serde_json::from_str(&about).unwrap_or_default();
    let names = ["user_name", "username", "name", "full_name"].iter();
    let names = names.filter_map(|name| about.get(*name)?.as_str().map(str::to_owned));
    Ok(Record {
        email,
        name: first_name(names),
        hash: hash(column("encrypted_password").as_deref())?,
        public_id: column("id"),
        created_at: moment(CREATED_AT)?,
        disabled: false,
        banned_until: moment("banned_until")?,
    })
}
