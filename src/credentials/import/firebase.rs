//! Firebase: the users of `firebase auth:export`, and the hash parameters of their project.

use super::lines::{first_name, object};
use super::{CREATED_AT, Record, Refused, moments};
use claviger_crypto::password::StoredHash;
use claviger_crypto::password::foreign::{Foreign, Refusal, from_base64};
use serde::Deserialize;
use zeroize::Zeroizing;

/// How a project's passwords are hashed, as its console shows it. No `Debug`: the key is a secret.
pub struct HashConfig {
    signer_key: Zeroizing<Vec<u8>>,
    separator: Vec<u8>,
    rounds: u32,
    mem_cost: u32,
}

impl HashConfig {
    /// Reads what the console shows: `hash_config { algorithm: SCRYPT, base64_signer_key: …, … }`.
    ///
    /// # Errors
    /// What is wrong, for people.
    pub fn parse(text: &str) -> Result<Self, String> {
        let value = |name: &str| {
            let (_, rest) =
                text.split_once(&format!("{name}:")).ok_or_else(|| format!("{name} is missing"))?;
            let end = rest.find([',', '\n', '}']).unwrap_or(rest.len());
            Ok::<_, String>(rest.get(..end).unwrap_or_default().trim().trim_matches('"'))
        };
        let bytes = |name: &str| from_base64(value(name)?).ok_or_else(|| format!("{name} is not base64"));
        let number = |name: &str| value(name)?.parse().map_err(|_| format!("{name} is not a number"));
        match value("algorithm")? {
            "SCRYPT" => {}
            _ => return Err("algorithm must be SCRYPT, Firebase's own".to_owned()),
        }
        let config = Self {
            signer_key: Zeroizing::new(bytes("base64_signer_key")?),
            separator: bytes("base64_salt_separator")?,
            rounds: number("rounds")?,
            mem_cost: number("mem_cost")?,
        };
        // Of a hash that is as long as the key, as all are.
        config
            .hash(vec![0; 8], vec![0; config.signer_key.len()])
            .map(|_| config)
            .map_err(|why| format!("it {why}"))
    }

    fn hash(&self, salt: Vec<u8>, tag: Vec<u8>) -> Result<StoredHash, Refusal> {
        let (separator, key) = (self.separator.clone(), self.signer_key.to_vec());
        Foreign::firebase(self.mem_cost, self.rounds, separator, key, salt, tag).map(StoredHash::Foreign)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct User {
    email: String,
    display_name: Option<String>,
    password_hash: Option<String>,
    salt: Option<String>,
    /// Milliseconds since 1970, as a text.
    created_at: Option<String>,
    disabled: Option<bool>,
}

/// A user of an export. Ids there are no UUIDs.
pub(super) fn user(text: &[u8], config: Option<&HashConfig>) -> Result<Record, Refused> {
    let user: User = object(text)?;
    let tag = user.password_hash.filter(|hash| !hash.is_empty());
    let hash = match (tag, config) {
        (None, _) => None,
        (Some(_), None) => return Err(Refused::NoParameters),
        (Some(tag), Some(config)) => {
            let damaged = Refusal::Damaged("Firebase's scrypt");
            let bytes = |text: &str| from_base64(text).ok_or(damaged);
            Some(config.hash(bytes(user.salt.as_deref().unwrap_or_default())?, bytes(&tag)?)?)
        }
    };
    Ok(Record {
        email: user.email,
        name: first_name(user.display_name.into_iter()),
        hash,
        public_id: None,
        created_at: user.created_at.as_deref().map(|text| moments::loose(CREATED_AT, text)).transpose()?,
        disabled: user.disabled.unwrap_or_default(),
        banned_until: None,
    })
}
