//! Sealing of secrets at rest: AES-256-GCM under the master key, bound to a purpose.
//!
//! Layout of a sealed value: one version byte, the 12-byte nonce, the ciphertext with its 16-byte tag.
//! Nonces are random for each sealing (NIST SP 800-38D §8.2.2); the few thousand values an
//! installation ever seals are far below that construction's bound of 2^32. Keys for other uses are
//! derived from the master key, so that it serves AES alone and none of them says anything of another.

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::hkdf;
use zeroize::Zeroizing;

const VERSION: u8 = 1;

/// The 256-bit key that every secret in the database is sealed with.
#[derive(Clone)]
pub struct MasterKey(Zeroizing<[u8; 32]>);

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MasterKey(…)")
    }
}

/// A sealed value that does not open: it was changed, belongs elsewhere, or another key sealed it.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the sealed value does not open with this master key")]
pub struct OpenError;

impl MasterKey {
    /// Takes 32 random bytes as the key.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Reads the text form: 43 characters of base64url.
    pub fn from_text(text: &str) -> Option<Self> {
        let bytes = Zeroizing::new(crate::from_base64url(text)?);
        Some(Self::new(bytes.as_slice().try_into().ok()?))
    }

    /// The text form, to be kept secret.
    pub fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(crate::base64url(self.0.as_slice()))
    }

    /// The key for another use than sealing: HKDF-SHA-256 (RFC 5869) with `claviger/` and `purpose` as
    /// its info. The same purpose gives the same key for ever.
    pub fn derive(&self, purpose: &str) -> Zeroizing<[u8; 32]> {
        hkdf_sha256(self.0.as_slice(), &[b"claviger/", purpose.as_bytes()])
    }

    /// Seals `plain` for `purpose`; [`MasterKey::open`] needs the same purpose.
    ///
    /// # Errors
    /// Only if the operating system gives no randomness.
    pub fn seal(&self, purpose: &str, plain: &[u8]) -> Result<Vec<u8>, aws_lc_rs::error::Unspecified> {
        let key = RandomizedNonceKey::new(&AES_256_GCM, self.0.as_slice())?;
        let mut body = plain.to_vec();
        let nonce = key.seal_in_place_append_tag(Aad::from(purpose.as_bytes()), &mut body)?;
        let mut sealed = Vec::with_capacity(1 + NONCE_LEN + body.len());
        sealed.push(VERSION);
        sealed.extend_from_slice(nonce.as_ref());
        sealed.extend_from_slice(&body);
        Ok(sealed)
    }

    /// Opens what [`MasterKey::seal`] made.
    ///
    /// # Errors
    /// [`OpenError`] for another key, another purpose, or bytes that were changed.
    pub fn open(&self, purpose: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        let (version, rest) = sealed.split_first().ok_or(OpenError)?;
        let (nonce, body) = rest.split_first_chunk::<NONCE_LEN>().ok_or(OpenError)?;
        if *version != VERSION {
            return Err(OpenError);
        }
        let key = RandomizedNonceKey::new(&AES_256_GCM, self.0.as_slice()).map_err(|_| OpenError)?;
        let mut plain = Zeroizing::new(body.to_vec());
        let length = key
            .open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(purpose.as_bytes()), &mut plain)
            .map_err(|_| OpenError)?
            .len();
        plain.truncate(length);
        Ok(plain)
    }
}

/// HKDF-SHA-256 without a salt: the secret is random already (RFC 5869 §3.1).
#[allow(clippy::expect_used)] // It fails only for more than 255 blocks (RFC 5869 §2.3); this is one.
fn hkdf_sha256(secret: &[u8], info: &[&[u8]]) -> Zeroizing<[u8; 32]> {
    let mut out = Zeroizing::new([0; 32]);
    hkdf::Salt::none(hkdf::HKDF_SHA256)
        .extract(secret)
        .expand(info, hkdf::HKDF_SHA256)
        .and_then(|okm| okm.fill(out.as_mut_slice()))
        .expect("HKDF-SHA-256 gives 32 bytes");
    out
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn opens_only_with_the_same_key_purpose_and_bytes() {
        let key = MasterKey::new([7; 32]);
        let sealed = key.seal("signing-key/a", b"secret").unwrap();
        assert_eq!(key.open("signing-key/a", &sealed).unwrap().as_slice(), b"secret");
        assert_eq!(key.open("signing-key/b", &sealed), Err(OpenError));
        assert_eq!(MasterKey::new([8; 32]).open("signing-key/a", &sealed), Err(OpenError));
        for position in 0..sealed.len() {
            let mut changed = sealed.clone();
            *changed.get_mut(position).unwrap() ^= 1;
            assert_eq!(key.open("signing-key/a", &changed), Err(OpenError), "byte {position}");
        }
        for length in 0..sealed.len() {
            assert_eq!(key.open("signing-key/a", sealed.get(..length).unwrap()), Err(OpenError));
        }
    }

    #[test]
    fn rfc5869_appendix_a3() {
        let expected = [
            0x8d, 0xa4, 0xe7, 0x75, 0xa5, 0x63, 0xc1, 0x8f, 0x71, 0x5f, 0x80, 0x2a, 0x06, 0x3c, 0x5a, 0x31,
            0xb8, 0xa1, 0x1f, 0x5c, 0x5e, 0xe1, 0x87, 0x9e, 0xc3, 0x45, 0x4e, 0x5f, 0x3c, 0x73, 0x8d, 0x2d,
        ];
        assert_eq!(*hkdf_sha256(&[0x0b; 22], &[]), expected);
    }

    #[test]
    fn derived_keys_depend_on_key_and_purpose() {
        let key = MasterKey::new([7; 32]);
        assert_eq!(key.derive("a"), key.derive("a"));
        assert_eq!(*key.derive("a"), *hkdf_sha256(&[7; 32], &[b"claviger/a"]));
        let others = [key.derive("b"), key.derive(""), key.derive("a "), MasterKey::new([8; 32]).derive("a")];
        assert!(others.iter().all(|other| *other != key.derive("a") && **other != [7; 32]));
    }

    #[test]
    fn nonces_differ() {
        let key = MasterKey::new([7; 32]);
        assert_ne!(key.seal("p", b"same").unwrap(), key.seal("p", b"same").unwrap());
    }

    #[test]
    fn text_form_goes_both_ways_and_debug_shows_nothing() {
        let key = MasterKey::new([9; 32]);
        let again = MasterKey::from_text(&key.to_text()).unwrap();
        assert_eq!(key.0, again.0);
        assert!(MasterKey::from_text("short").is_none());
        assert_eq!(format!("{key:?}"), "MasterKey(…)");
    }
}
