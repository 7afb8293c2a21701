//! Claviger's cryptography, for an auditor to read first.
//!
//! Synchronous; no I/O, no clock, no HTTP, no SQL. Callers pass the time and the salts in.
//! Primitives come from `aws-lc-rs` and two Argon2 crates; nothing is invented here.
//! Without the feature `password` the latter are left out: that is what `claviger-verify` needs.

pub mod earlier;
mod import;
mod json;
pub mod jwk;
pub mod jws;
pub mod jwt;
mod key;
pub mod mac;
#[cfg(feature = "password")]
pub mod password;
mod public_pem;
pub mod seal;
pub mod status;
pub mod token;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// SHA-256 (FIPS 180-4).
pub fn sha256(data: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, data).as_ref());
    out
}

/// The same of what comes piece by piece.
#[derive(Clone)]
pub struct Sha256(aws_lc_rs::digest::Context);

impl std::fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sha256(…)")
    }
}

impl Default for Sha256 {
    fn default() -> Self {
        Self(aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256))
    }
}

impl Sha256 {
    /// Adds a piece.
    pub fn add(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    /// The digest of all pieces.
    pub fn finish(self) -> [u8; 32] {
        let mut out = [0; 32];
        out.copy_from_slice(self.0.finish().as_ref());
        out
    }
}

/// Base64url without padding (RFC 7515 §2).
pub fn base64url(data: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(data)
}

/// The reverse of [`base64url`]; `None` for padding, white space, the other alphabet or stray bits.
pub fn from_base64url(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// Fills `out` from the operating system's randomness.
///
/// # Errors
/// If there is none to be had.
pub fn random_fill(out: &mut [u8]) -> Result<(), aws_lc_rs::error::Unspecified> {
    aws_lc_rs::rand::fill(out)
}
