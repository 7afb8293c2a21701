//! Verifying.

use super::super::{OutOfMemory, Params};
use super::{Digest, Foreign, Kind, ScryptCost, Variant, WERKZEUG_ROUNDS};
use aws_lc_rs::cipher::{AES_256, DecryptingKey, DecryptionContext, UnboundCipherKey};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::{hmac, pbkdf2};
use std::num::NonZeroU32;
use zeroize::{Zeroize, Zeroizing};

/// What bcrypt reads of a password, with the NUL at its end.
const BCRYPT_BYTES: usize = 72;

impl Foreign {
    /// Whether `password` has this hash. Compares in constant time.
    ///
    /// bcrypt's first implementations read C strings: up to a NUL, which counts too, and 72 bytes at most. So a
    /// longer password is right if its first 72 bytes are; one with a NUL inside is always wrong.
    ///
    /// # Errors
    /// [`OutOfMemory`].
    pub fn verify(&self, password: &[u8]) -> Result<bool, OutOfMemory> {
        match &self.0 {
            Kind::Argon2 { variant, old, params, salt, tag } => {
                argon2(*variant, *old, *params, password, salt, tag)
            }
            Kind::Bcrypt { cost, salt, tag, .. } => Ok(bcrypt(*cost, *salt, password, tag)),
            Kind::Scrypt { cost, salt, tag } => {
                let mut key = Zeroizing::new(vec![0; tag.len()]);
                scrypt(*cost, password, salt, &mut key)?;
                Ok(equal(&key, tag))
            }
            Kind::Pbkdf2 { digest, rounds: 0, salt, tag } => {
                // All of them, whichever is right, so that the time says nothing.
                let right = WERKZEUG_ROUNDS.map(|rounds| pbkdf2(*digest, rounds, salt, password, tag));
                Ok(right.contains(&true))
            }
            Kind::Pbkdf2 { digest, rounds, salt, tag } => Ok(pbkdf2(*digest, *rounds, salt, password, tag)),
            Kind::Hmac { digest, salt, tag } => {
                let key = hmac::Key::new(algorithm(*digest), salt);
                Ok(equal(hmac::sign(&key, password).as_ref(), tag))
            }
            Kind::Firebase { cost, salt, separator, signer_key, tag } => {
                let mut key = Zeroizing::new([0; 32]);
                scrypt(*cost, password, &[salt.as_slice(), separator].concat(), &mut *key)?;
                let encrypted = encrypt(&key, signer_key).ok_or(OutOfMemory)?;
                Ok(equal(&encrypted, tag))
            }
        }
    }
}

fn equal(one: &[u8], other: &[u8]) -> bool {
    verify_slices_are_equal(one, other).is_ok()
}

fn argon2(
    variant: Variant,
    old: bool,
    params: Params,
    password: &[u8],
    salt: &[u8],
    tag: &[u8],
) -> Result<bool, OutOfMemory> {
    let algorithm = match variant {
        Variant::D => argon2::Algorithm::Argon2d,
        Variant::I => argon2::Algorithm::Argon2i,
        Variant::Id => argon2::Algorithm::Argon2id,
    };
    let version = if old { argon2::Version::V0x10 } else { argon2::Version::V0x13 };
    let params = argon2::Params::new(params.memory_kib, params.passes, params.lanes, Some(tag.len()))
        .map_err(|_| OutOfMemory)?;
    let count = params.block_count();
    let mut blocks: Vec<argon2::Block> = Vec::new();
    blocks.try_reserve_exact(count).map_err(|_| OutOfMemory)?;
    blocks.resize(count, argon2::Block::default());
    let mut out = Zeroizing::new(vec![0; tag.len()]);
    let result = argon2::Argon2::new(algorithm, version, params).hash_password_into_with_memory(
        password,
        salt,
        &mut out,
        &mut blocks[..],
    );
    blocks.iter_mut().for_each(Zeroize::zeroize);
    result.map_err(|_| OutOfMemory)?;
    Ok(equal(&out, tag))
}

fn bcrypt(cost: u32, salt: [u8; 16], password: &[u8], tag: &[u8]) -> bool {
    let mut key = Zeroizing::new([password, &[0]].concat());
    key.truncate(BCRYPT_BYTES);
    let out = Zeroizing::new(bcrypt::bcrypt(cost, salt, &key));
    // Of its 24 bytes 23 are written. A NUL inside would be the end elsewhere.
    out.get(..tag.len()).is_some_and(|out| equal(out, tag)) & !password.contains(&0)
}

fn scrypt(cost: ScryptCost, password: &[u8], salt: &[u8], out: &mut [u8]) -> Result<(), OutOfMemory> {
    let ScryptCost { log_n, r, p } = cost;
    // The library ends the process where memory is refused, so it is asked for here first.
    let bytes = (128usize << log_n).max(128 * p as usize).saturating_mul(r as usize);
    Vec::<u8>::new().try_reserve_exact(bytes).map_err(|_| OutOfMemory)?;
    let params = scrypt::Params::new(log_n, r, p).map_err(|_| OutOfMemory)?;
    scrypt::scrypt(password, salt, &params, out).map_err(|_| OutOfMemory)
}

fn pbkdf2(digest: Digest, rounds: u32, salt: &[u8], password: &[u8], tag: &[u8]) -> bool {
    let algorithm = match digest {
        Digest::Sha1 => pbkdf2::PBKDF2_HMAC_SHA1,
        Digest::Sha256 => pbkdf2::PBKDF2_HMAC_SHA256,
        Digest::Sha384 => pbkdf2::PBKDF2_HMAC_SHA384,
        Digest::Sha512 => pbkdf2::PBKDF2_HMAC_SHA512,
    };
    let rounds = NonZeroU32::new(rounds).unwrap_or(NonZeroU32::MIN);
    pbkdf2::verify(algorithm, rounds, salt, password, tag).is_ok()
}

fn algorithm(digest: Digest) -> hmac::Algorithm {
    match digest {
        Digest::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        Digest::Sha256 => hmac::HMAC_SHA256,
        Digest::Sha384 => hmac::HMAC_SHA384,
        Digest::Sha512 => hmac::HMAC_SHA512,
    }
}

/// AES-256 in counter mode from zero. Encrypting and decrypting are the same.
fn encrypt(key: &[u8; 32], text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut out = Zeroizing::new(text.to_vec());
    let key = DecryptingKey::ctr(UnboundCipherKey::new(&AES_256, key).ok()?).ok()?;
    let from_zero = DecryptionContext::Iv128(FixedLength::from([0; 16]));
    key.decrypt(&mut out, from_zero).ok()?;
    Some(out)
}
