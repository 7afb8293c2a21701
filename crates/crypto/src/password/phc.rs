//! Stored hashes as PHC strings: what is read is bounded, and written again it is the same.

use super::{Params, SALT_LENGTH, TAG_LENGTH};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

/// A stored hash: `$argon2id$v=19$m=…,t=…,p=…$salt$tag`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PasswordHash {
    pub(super) params: Params,
    pub(super) salt: Vec<u8>,
    pub(super) tag: Vec<u8>,
}

/// A stored hash that is damaged, of another kind, or out of bounds.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the stored password hash is damaged, of an unknown format, or out of bounds")]
pub struct BadHash;

impl PasswordHash {
    /// Reads a PHC string.
    ///
    /// # Errors
    /// [`BadHash`] for anything but Argon2id version 19 within our bounds.
    pub fn parse(text: &str) -> Result<Self, BadHash> {
        let rest = text.strip_prefix("$argon2id$v=19$").ok_or(BadHash)?;
        let mut parts = rest.split('$');
        let (params, salt, tag) = (parts.next(), parts.next(), parts.next());
        let (Some(params), Some(salt), Some(tag), None) = (params, salt, tag, parts.next()) else {
            return Err(BadHash);
        };
        let salt = STANDARD_NO_PAD.decode(salt).map_err(|_| BadHash)?;
        let tag = STANDARD_NO_PAD.decode(tag).map_err(|_| BadHash)?;
        if !(8..=64).contains(&salt.len()) || !(16..=64).contains(&tag.len()) {
            return Err(BadHash);
        }
        Ok(Self { params: parse_params(params).ok_or(BadHash)?, salt, tag })
    }

    /// A hash that no password has, as dear to verify as a real one: an unknown account costs the same.
    pub fn decoy(params: Params, salt: [u8; SALT_LENGTH], tag: [u8; TAG_LENGTH]) -> Self {
        Self { params, salt: salt.to_vec(), tag: tag.to_vec() }
    }

    /// Whether a new hash with `params` would differ in cost or form from this one.
    pub fn is_outdated(&self, params: Params) -> bool {
        self.params != params || self.salt.len() < SALT_LENGTH || self.tag.len() != TAG_LENGTH
    }
}

impl std::fmt::Display for PasswordHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Params { memory_kib, passes, lanes } = self.params;
        let (salt, tag) = (STANDARD_NO_PAD.encode(&self.salt), STANDARD_NO_PAD.encode(&self.tag));
        write!(f, "$argon2id$v=19$m={memory_kib},t={passes},p={lanes}${salt}${tag}")
    }
}

fn parse_params(text: &str) -> Option<Params> {
    let (memory, rest) = text.strip_prefix("m=")?.split_once(",t=")?;
    let (passes, lanes) = rest.split_once(",p=")?;
    Params::new(decimal(memory)?, decimal(passes)?, decimal(lanes)?).ok()
}

/// PHC decimals have neither sign nor leading zeros.
fn decimal(text: &str) -> Option<u32> {
    let plain = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if plain { text.parse().ok() } else { None }
}
