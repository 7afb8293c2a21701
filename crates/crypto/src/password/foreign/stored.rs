//! A stored hash of any format: our own, another's, or none.

use super::super::{BadHash, Hasher, OutOfMemory, Params, PasswordHash};
use super::{Foreign, Kind, MOST_ARGON2, Refusal, Variant, is_affordable};
use aws_lc_rs::digest::{SHA256, digest};
use std::fmt;

/// What is stored for an account that no password opens.
const LOCKED: &str = "!";

/// A stored hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoredHash {
    /// The one format that is made here.
    Own(PasswordHash),
    /// Made by another system.
    Foreign(Foreign),
    /// No password is right, as `!` says in a shadow file.
    Locked,
}

impl StoredHash {
    /// Reads what [`fmt::Display`] writes.
    ///
    /// # Errors
    /// [`BadHash`] for anything else.
    pub fn parse(text: &str) -> Result<Self, BadHash> {
        if text == LOCKED {
            return Ok(Self::Locked);
        }
        PasswordHash::parse(text)
            .map(Self::Own)
            .or_else(|_| Foreign::parse(text).map_err(|_| BadHash).map(Self::of))
    }

    /// Reads that, or what other systems write.
    ///
    /// # Errors
    /// [`Refusal`], with the reason for people.
    pub fn read(text: &str) -> Result<Self, Refusal> {
        let hash = Self::parse(text).or_else(|BadHash| Foreign::read(text).map(Self::of))?;
        match &hash {
            // What the settings of here asked for is verified whatever it costs; what comes from elsewhere is not.
            Self::Own(PasswordHash { params, .. }) if !is_affordable(*params) => {
                Err(Refusal::TooCostly(MOST_ARGON2))
            }
            _ => Ok(hash),
        }
    }

    /// Argon2 of another system, version 1.3.
    ///
    /// # Errors
    /// [`Refusal`] out of bounds.
    pub fn argon2(variant: Variant, params: [u32; 3], salt: &[u8], tag: &[u8]) -> Result<Self, Refusal> {
        let name = match variant {
            Variant::D => "argon2d",
            Variant::I => "argon2i",
            Variant::Id => "argon2id",
        };
        let ([m, t, p], phc) = (params, super::parts::phc);
        Self::read(&format!("${name}$v=19$m={m},t={t},p={p}${}${}", phc(salt), phc(tag)))
    }

    /// Argon2id of version 1.3 is our own, whoever made it.
    fn of(foreign: Foreign) -> Self {
        match foreign.0 {
            Kind::Argon2 { variant: Variant::Id, old: false, params, salt, tag } => {
                Self::Own(PasswordHash { params, salt, tag })
            }
            kind => Self::Foreign(Foreign(kind)),
        }
    }

    /// Whether a new hash with `params` would differ in cost or form from this one.
    pub fn is_outdated(&self, params: Params) -> bool {
        match self {
            Self::Own(hash) => hash.is_outdated(params),
            Self::Foreign(_) | Self::Locked => true,
        }
    }

    /// A hash that no password has, as dear to verify as this one.
    #[must_use]
    pub fn decoy(&self, seed: [u8; 32]) -> Self {
        let mut decoy = self.clone();
        let parts: [&mut [u8]; 3] = match &mut decoy {
            Self::Own(PasswordHash { salt, tag, .. }) => [salt, tag, &mut []],
            Self::Locked => [&mut [], &mut [], &mut []],
            Self::Foreign(Foreign(kind)) => match kind {
                Kind::Bcrypt { salt, tag, .. } => [salt, tag, &mut []],
                Kind::Firebase { salt, tag, signer_key, .. } => [salt, tag, signer_key],
                Kind::Argon2 { salt, tag, .. }
                | Kind::Scrypt { salt, tag, .. }
                | Kind::Pbkdf2 { salt, tag, .. }
                | Kind::Hmac { salt, tag, .. } => [salt, tag, &mut []],
            },
        };
        let chunks = parts.into_iter().flat_map(|part| part.chunks_mut(32));
        for (number, chunk) in (0u64..).zip(chunks) {
            let random = digest(&SHA256, &[seed.as_slice(), &number.to_be_bytes()].concat());
            chunk.iter_mut().zip(random.as_ref()).for_each(|(byte, random)| *byte = *random);
        }
        decoy
    }
}

impl fmt::Display for StoredHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own(hash) => hash.fmt(f),
            Self::Foreign(hash) => hash.fmt(f),
            Self::Locked => f.write_str(LOCKED),
        }
    }
}

impl Hasher {
    /// Whether `password` has this hash, of whatever format.
    ///
    /// # Errors
    /// [`OutOfMemory`].
    pub fn verify_stored(&mut self, password: &[u8], stored: &StoredHash) -> Result<bool, OutOfMemory> {
        match stored {
            StoredHash::Own(hash) => self.verify(password, hash),
            StoredHash::Foreign(hash) => {
                self.computed.foreign += 1;
                hash.verify(password)
            }
            StoredHash::Locked => Ok(false),
        }
    }
}
