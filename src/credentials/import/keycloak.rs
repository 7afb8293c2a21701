//! Keycloak: the users of a realm's export, with their credentials.

use super::lines::{first_name, object};
use super::{Record, Refused, moments};
use crate::base::json;
use claviger_crypto::password::StoredHash;
use claviger_crypto::password::foreign::{Digest, Foreign, Refusal, Variant, from_base64};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::HashMap;

const WHAT: Refusal = Refusal::Damaged("a Keycloak credential");

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct User {
    id: Option<String>,
    username: Option<String>,
    email: Option<String>,
    first_name: Option<String>,
    last_name: Option<String>,
    enabled: Option<bool>,
    created_timestamp: Option<i64>,
    service_account_client_id: Option<String>,
    credentials: Option<Vec<Credential>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Credential {
    r#type: Option<String>,
    /// JSON in a text, as is the next.
    secret_data: Option<String>,
    credential_data: Option<String>,
    /// Before Keycloak 8 all stood here.
    hashed_salted_value: Option<String>,
    salt: Option<String>,
    hash_iterations: Option<u32>,
    algorithm: Option<String>,
    /// A password in plain text, in files made by hand.
    value: Option<String>,
}

#[derive(Deserialize)]
struct Secret {
    value: String,
    salt: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Parameters {
    hash_iterations: u32,
    algorithm: String,
    additional_parameters: Option<HashMap<String, Vec<String>>>,
}

/// A user of a realm. The name is the user name, by which people log in there too.
pub(super) fn user(text: &[u8]) -> Result<Record, Refused> {
    let user: User = object(text)?;
    if user.service_account_client_id.is_some() {
        return Err(Refused::Service);
    }
    let whole = [user.first_name, user.last_name].into_iter().flatten().collect::<Vec<_>>().join(" ");
    let credentials = user.credentials.unwrap_or_default();
    let password = credentials.iter().find(|one| one.r#type.as_deref() == Some("password"));
    Ok(Record {
        email: user.email.unwrap_or_default(),
        name: first_name([user.username.unwrap_or_default(), whole].into_iter()),
        hash: password.map(Credential::read).transpose()?,
        public_id: user.id,
        created_at: user.created_timestamp.map(moments::number_of),
        disabled: user.enabled == Some(false),
        banned_until: None,
    })
}

impl Credential {
    fn read(&self) -> Result<StoredHash, Refusal> {
        if self.value.is_some() {
            return Err(Refusal::Unsupported("a password in plain text: import it into Keycloak first"));
        }
        match (&self.secret_data, &self.credential_data) {
            (Some(secret), Some(data)) => read(&inner(secret)?, &inner(data)?),
            _ => {
                let secret = Secret {
                    value: self.hashed_salted_value.clone().ok_or(WHAT)?,
                    salt: self.salt.clone().ok_or(WHAT)?,
                };
                let parameters = Parameters {
                    hash_iterations: self.hash_iterations.ok_or(WHAT)?,
                    algorithm: self.algorithm.clone().unwrap_or_else(|| "pbkdf2".to_owned()),
                    additional_parameters: None,
                };
                read(&secret, &parameters)
            }
        }
    }
}

fn inner<T: DeserializeOwned>(text: &str) -> Result<T, Refusal> {
    json::read(text.as_bytes()).map_err(|_| WHAT)
}

fn read(secret: &Secret, parameters: &Parameters) -> Result<StoredHash, Refusal> {
    let (salt, tag) = (from_base64(&secret.salt).ok_or(WHAT)?, from_base64(&secret.value).ok_or(WHAT)?);
    let digest = match parameters.algorithm.as_str() {
        "pbkdf2" => Digest::Sha1,
        "pbkdf2-sha256" => Digest::Sha256,
        "pbkdf2-sha512" => Digest::Sha512,
        "argon2" => return argon2(parameters, &salt, &tag),
        _ => {
            return Err(Refusal::Unsupported(
                "of another algorithm than argon2 and pbkdf2, which is not verified here",
            ));
        }
    };
    Foreign::pbkdf2(digest, parameters.hash_iterations, salt, tag).map(StoredHash::Foreign)
}

fn argon2(parameters: &Parameters, salt: &[u8], tag: &[u8]) -> Result<StoredHash, Refusal> {
    let more = parameters.additional_parameters.as_ref().ok_or(WHAT)?;
    let text = |name: &str| more.get(name).and_then(|values| values.first()).map(String::as_str);
    let number = |name: &str| text(name).and_then(|text| text.parse().ok()).ok_or(WHAT);
    let variant = match text("type") {
        Some("d") => Variant::D,
        Some("i") => Variant::I,
        Some("id") | None => Variant::Id,
        _ => return Err(WHAT),
    };
    if !matches!(text("version"), Some("1.3") | None) {
        return Err(Refusal::Unsupported("Argon2 of another version than 1.3"));
    }
    let params = [number("memory")?, parameters.hash_iterations, number("parallelism")?];
    StoredHash::argon2(variant, params, salt, tag)
}
