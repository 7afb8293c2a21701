//! Argon2id (RFC 9106) password hashes as PHC strings, and the hashes of other systems ([`foreign`]), which are only
//! verified.
//!
//! A [`Hasher`] belongs to one thread and keeps its memory between hashes. Two implementations
//! give the same tags: one that picks its instructions at run time, and RustCrypto's.

mod engine;
pub mod foreign;
mod phc;

pub use engine::{Computed, Engine, Hasher, OutOfMemory};
pub use foreign::StoredHash;
pub use phc::{BadHash, PasswordHash};

const SALT_LENGTH: usize = 16;
const TAG_LENGTH: usize = 32;

/// Stored hashes that ask for more than this are refused rather than computed.
const CEILING: Params = Params { memory_kib: 1024 * 1024, passes: 64, lanes: 16 };

/// The cost of a hash (RFC 9106 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Params {
    /// Memory, KiB (`m`).
    pub memory_kib: u32,
    /// Passes over it (`t`).
    pub passes: u32,
    /// Lanes (`p`).
    pub lanes: u32,
}

/// The parameters are outside what Argon2 allows.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("Argon2id needs 1 to 64 passes, 1 to 16 lanes, and 8 KiB a lane up to 1 GiB of memory")]
pub struct BadParams;

impl Params {
    /// Checks the bounds of RFC 9106 §3.1 and our own upper ones.
    ///
    /// # Errors
    /// [`BadParams`] outside them.
    pub fn new(memory_kib: u32, passes: u32, lanes: u32) -> Result<Self, BadParams> {
        let params = Self { memory_kib, passes, lanes };
        let within = memory_kib <= CEILING.memory_kib
            && (1..=CEILING.passes).contains(&passes)
            && (1..=CEILING.lanes).contains(&lanes)
            && memory_kib >= 8 * lanes;
        if within { Ok(params) } else { Err(BadParams) }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
