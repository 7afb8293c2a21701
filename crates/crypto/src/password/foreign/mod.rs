//! Hashes that other systems made: they are verified, and never made here.
//!
//! Each format has one stored form ([`std::fmt::Display`], read again by [`Foreign::parse`]); what other systems
//! write is read by [`Foreign::read`]. All costs are bounded where a hash is read, so none is ever computed that
//! asks for more.

mod compute;
mod forms;
mod others;
mod parts;
mod stored;

use super::Params;
pub use parts::{from_any as from_base64, from_hex};
pub use stored::StoredHash;

/// The greatest rounds of PBKDF2, for each block of its digest: a few seconds. Those of SHA-384 and SHA-512 count
/// twice.
pub const MAX_ROUNDS: u32 = 10_000_000;

/// The greatest work of Argon2, its memory in KiB times its passes: a few seconds.
pub const MAX_ARGON2_WORK: u64 = 1 << 21;

const MOST_ARGON2: &str = "m=1048576, t=64, p=16 and m * t = 2097152 of Argon2";

/// The greatest work of scrypt, `N * r * p`: a second or two. It bounds the memory, `128 * N * r`, to 512 MiB.
pub const MAX_SCRYPT_WORK: u64 = 1 << 22;

/// The greatest cost of bcrypt, a power of two: a second or two.
pub const MAX_BCRYPT_COST: u32 = 15;

/// The longest text of a hash, in bytes.
pub const MAX_TEXT: usize = 2048;

/// The rounds that Werkzeug's versions took where none were named. It writes them into each hash, so only one
/// that was made by hand lacks them; then each of these is tried.
const WERKZEUG_ROUNDS: [u32; 6] = [1000, 50_000, 150_000, 260_000, 600_000, 1_000_000];

/// Why a hash of another system is refused. Nothing of it is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No format that is known.
    #[error(
        "is of no format that is known here: Argon2, bcrypt, scrypt and PBKDF2 are, as PHC strings and as Werkzeug, passlib and Django write them"
    )]
    Unknown,
    /// Of this format, but not whole.
    #[error("looks like {0}, but is damaged or cut off")]
    Damaged(&'static str),
    /// It would cost too much to verify.
    #[error("asks for more than {0}, which would take too long at each login")]
    TooCostly(&'static str),
    /// Known, but not verified.
    #[error("is {0}")]
    Unsupported(&'static str),
}

/// A digest under HMAC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Digest {
    /// SHA-1.
    Sha1,
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl Digest {
    const ALL: [Self; 4] = [Self::Sha1, Self::Sha256, Self::Sha384, Self::Sha512];

    fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
        }
    }

    /// By its name: `sha256`, `SHA-256`.
    pub fn named(name: &str) -> Option<Self> {
        let plain = name.replace('-', "").to_ascii_lowercase();
        Self::ALL.into_iter().find(|digest| digest.name() == plain)
    }

    /// The length of its output, in bytes.
    fn length(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }
}

/// Which Argon2 (RFC 9106 §1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// Argon2d.
    D,
    /// Argon2i.
    I,
    /// Argon2id.
    Id,
}

/// What a password hash of another system is. No `Debug` of its contents.
#[derive(Clone, PartialEq, Eq)]
pub struct Foreign(Kind);

#[derive(Clone, PartialEq, Eq)]
enum Kind {
    /// Any but Argon2id of version 1.3, which is our own.
    Argon2 { variant: Variant, old: bool, params: Params, salt: Vec<u8>, tag: Vec<u8> },
    /// `letter` is a, b or y: all the same since 2014.
    Bcrypt { letter: char, cost: u32, salt: [u8; 16], tag: [u8; 23] },
    /// RFC 7914.
    Scrypt { cost: ScryptCost, salt: Vec<u8>, tag: Vec<u8> },
    /// RFC 8018 §5.2. No rounds: each of [`WERKZEUG_ROUNDS`].
    Pbkdf2 { digest: Digest, rounds: u32, salt: Vec<u8>, tag: Vec<u8> },
    /// HMAC keyed with the salt, as Werkzeug had it before 2013, and by name until 3.0.
    Hmac { digest: Digest, salt: Vec<u8>, tag: Vec<u8> },
    /// Firebase's scrypt, whose key encrypts the project's signer key. `salt` ends with the project's separator.
    Firebase { cost: ScryptCost, salt: Vec<u8>, separator: Vec<u8>, signer_key: Vec<u8>, tag: Vec<u8> },
}

/// The cost of scrypt, within bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ScryptCost {
    log_n: u8,
    r: u32,
    p: u32,
}

impl ScryptCost {
    fn new(log_n: u32, r: u32, p: u32) -> Result<Self, Refusal> {
        const MOST: &str = "N * r * p = 4194304 of scrypt";
        if !(1..=22).contains(&log_n) || r == 0 || p == 0 {
            return Err(if log_n > 22 { Refusal::TooCostly(MOST) } else { Refusal::Damaged("scrypt") });
        }
        let work = (1u64 << log_n).saturating_mul(u64::from(r)).saturating_mul(u64::from(p));
        if work > MAX_SCRYPT_WORK {
            return Err(Refusal::TooCostly(MOST));
        }
        Ok(Self { log_n: u8::try_from(log_n).map_err(|_| Refusal::TooCostly(MOST))?, r, p })
    }

    /// With `n` itself, which must be a power of two.
    fn of_n(n: u64, r: u32, p: u32) -> Result<Self, Refusal> {
        if n.is_power_of_two() { Self::new(n.ilog2(), r, p) } else { Err(Refusal::Damaged("scrypt")) }
    }
}

/// Whether Argon2 of another system is verified at this cost: its work is [`MAX_ARGON2_WORK`] at most.
pub fn is_affordable(params: Params) -> bool {
    u64::from(params.memory_kib) * u64::from(params.passes) <= MAX_ARGON2_WORK
}

/// Salts of other systems may be short, or texts.
fn sound(salt: &[u8], tag: &[u8]) -> bool {
    (1..=256).contains(&salt.len()) && (16..=128).contains(&tag.len())
}

/// What is not a salt and a tag of usual lengths is damaged.
fn expect_sound(what: &'static str, salt: &[u8], tag: &[u8]) -> Result<(), Refusal> {
    if sound(salt, tag) { Ok(()) } else { Err(Refusal::Damaged(what)) }
}

impl Foreign {
    /// scrypt (RFC 7914) of cost `n`, `r`, `p`.
    ///
    /// # Errors
    /// [`Refusal`] out of bounds.
    pub fn scrypt(n: u64, r: u32, p: u32, salt: Vec<u8>, tag: Vec<u8>) -> Result<Self, Refusal> {
        let cost = ScryptCost::of_n(n, r, p)?;
        expect_sound("scrypt", &salt, &tag)?;
        Ok(Self(Kind::Scrypt { cost, salt, tag }))
    }

    /// PBKDF2 (RFC 8018 §5.2).
    ///
    /// # Errors
    /// [`Refusal`] out of bounds.
    pub fn pbkdf2(digest: Digest, rounds: u32, salt: Vec<u8>, tag: Vec<u8>) -> Result<Self, Refusal> {
        if rounds == 0 {
            return Err(Refusal::Damaged("PBKDF2"));
        }
        Self::pbkdf2_or_default(digest, rounds, salt, tag)
    }

    fn pbkdf2_or_default(digest: Digest, rounds: u32, salt: Vec<u8>, tag: Vec<u8>) -> Result<Self, Refusal> {
        expect_sound("PBKDF2", &salt, &tag)?;
        let blocks = tag.len().div_ceil(digest.length()) as u64;
        let (weight, most) = match digest {
            Digest::Sha1 | Digest::Sha256 => (1, "10000000 rounds of PBKDF2"),
            Digest::Sha384 | Digest::Sha512 => (2, "5000000 rounds of PBKDF2 with SHA-384 or SHA-512"),
        };
        if u64::from(rounds) * blocks * weight > u64::from(MAX_ROUNDS) {
            return Err(Refusal::TooCostly(most));
        }
        Ok(Self(Kind::Pbkdf2 { digest, rounds, salt, tag }))
    }

    /// Firebase's scrypt, with `log_n` (`mem_cost`), `r` (`rounds`) and the secrets of the project.
    ///
    /// # Errors
    /// [`Refusal`] out of bounds.
    pub fn firebase(
        log_n: u32,
        r: u32,
        separator: Vec<u8>,
        signer_key: Vec<u8>,
        salt: Vec<u8>,
        tag: Vec<u8>,
    ) -> Result<Self, Refusal> {
        const WHAT: &str = "Firebase's scrypt";
        let cost = ScryptCost::new(log_n, r, 1)?;
        expect_sound(WHAT, &salt, &tag)?;
        // The tag is the encrypted key.
        if signer_key.len() != tag.len() || separator.len() > 64 {
            return Err(Refusal::Damaged(WHAT));
        }
        Ok(Self(Kind::Firebase { cost, salt, separator, signer_key, tag }))
    }

    /// What it is called.
    pub fn name(&self) -> &'static str {
        match self.0 {
            Kind::Argon2 { variant: Variant::D, .. } => "Argon2d",
            Kind::Argon2 { variant: Variant::I, .. } => "Argon2i",
            Kind::Argon2 { variant: Variant::Id, .. } => "Argon2id 1.0",
            Kind::Bcrypt { .. } => "bcrypt",
            Kind::Scrypt { .. } => "scrypt",
            Kind::Pbkdf2 { .. } => "PBKDF2",
            Kind::Hmac { .. } => "HMAC",
            Kind::Firebase { .. } => "Firebase scrypt",
        }
    }
}

impl std::fmt::Debug for Foreign {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Foreign({})", self.name())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]
mod tests;
