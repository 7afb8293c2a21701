//! Computing: the two implementations, and the memory that a thread keeps for them.

use super::{BadParams, Params, PasswordHash, SALT_LENGTH, TAG_LENGTH};
use argon2_rust::Backend;
use argon2_rust::params::{Memory, TagLen};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use zeroize::{Zeroize, Zeroizing};

/// Which implementation computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// `argon2-rust`: AVX-512, AVX2, SSE2, NEON or plain code, chosen at run time.
    Fast,
    /// RustCrypto's `argon2`.
    Plain,
}

impl Engine {
    /// Its name in settings.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fast => "fast",
            Self::Plain => "plain",
        }
    }

    /// The instructions that it uses on this machine, as people call them.
    pub fn instructions(self) -> &'static str {
        match self {
            Self::Fast => match argon2_rust::detected_backend() {
                Backend::Avx512 => "AVX-512",
                Backend::Avx2 => "AVX2",
                Backend::Sse2 => "SSE2",
                Backend::Neon => "NEON",
                _ => "no vector instructions",
            },
            // It asks for AVX2 only; all else is left to the compiler.
            Self::Plain if has_avx2() => "AVX2",
            Self::Plain => "what every processor of this kind has",
        }
    }
}

#[cfg(target_arch = "x86_64")]
fn has_avx2() -> bool {
    std::arch::is_x86_feature_detected!("avx2")
}

#[cfg(not(target_arch = "x86_64"))]
fn has_avx2() -> bool {
    false
}

/// Memory for the hash could not be had.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is not enough memory for a password hash")]
pub struct OutOfMemory;

/// How many hashes were computed, for who must know that two things cost the same: times vary.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Computed {
    /// Argon2id of version 1.3, at whatever cost.
    pub own: u64,
    /// Those of other systems.
    pub foreign: u64,
}

/// Computes and verifies hashes on one thread. Its memory is taken at the first call, wiped after each (about a
/// twentieth of a hash's time), and kept for the next; what a costlier stored hash needs is given back at once.
pub struct Hasher {
    params: Params,
    engine: EngineState,
    pub(super) computed: Computed,
}

enum EngineState {
    Fast(Box<argon2_rust::Hasher>),
    Plain(Vec<argon2::Block>),
}

impl Hasher {
    /// A hasher whose new hashes have `params`. Takes no memory yet.
    ///
    /// # Errors
    /// [`BadParams`] if the implementation refuses them.
    pub fn new(engine: Engine, params: Params) -> Result<Self, BadParams> {
        let engine = match engine {
            Engine::Fast => EngineState::Fast(Box::new(fast(params)?.hasher())),
            Engine::Plain => EngineState::Plain(Vec::new()),
        };
        Ok(Self { params, engine, computed: Computed::default() })
    }

    /// Hashes `password` with a fresh random `salt`.
    ///
    /// # Errors
    /// [`OutOfMemory`].
    pub fn hash(&mut self, password: &[u8], salt: [u8; SALT_LENGTH]) -> Result<PasswordHash, OutOfMemory> {
        let mut tag = vec![0; TAG_LENGTH];
        self.derive(self.params, password, &salt, &mut tag)?;
        Ok(PasswordHash { params: self.params, salt: salt.to_vec(), tag })
    }

    /// Whether `password` has this hash. Compares in constant time.
    ///
    /// # Errors
    /// [`OutOfMemory`].
    pub fn verify(&mut self, password: &[u8], stored: &PasswordHash) -> Result<bool, OutOfMemory> {
        let mut tag = Zeroizing::new(vec![0; stored.tag.len()]);
        self.derive(stored.params, password, &stored.salt, &mut tag)?;
        Ok(verify_slices_are_equal(&tag, &stored.tag).is_ok())
    }

    /// What it has computed so far.
    pub fn computed(&self) -> Computed {
        self.computed
    }

    /// Gives the memory back until the next call.
    pub fn release_memory(&mut self) {
        match &mut self.engine {
            EngineState::Fast(hasher) => hasher.clear(),
            EngineState::Plain(blocks) => *blocks = Vec::new(),
        }
    }

    pub(super) fn derive(
        &mut self,
        params: Params,
        password: &[u8],
        salt: &[u8],
        tag: &mut [u8],
    ) -> Result<(), OutOfMemory> {
        self.computed.own += 1;
        match &mut self.engine {
            EngineState::Fast(hasher) => {
                let tag_length = TagLen::bytes(tag.len() as u64);
                hasher.set_argon2(fast_with(params, tag_length).map_err(|BadParams| OutOfMemory)?);
                hasher.hash_into(password, salt, tag).map_err(|_| OutOfMemory)?;
                // A costlier stored hash must not keep its memory for ever.
                if params.memory_kib > self.params.memory_kib {
                    hasher.clear();
                }
            }
            EngineState::Plain(blocks) => {
                let argon2 = plain(params, tag.len()).map_err(|BadParams| OutOfMemory)?;
                let count = argon2.params().block_count();
                blocks.try_reserve(count.saturating_sub(blocks.len())).map_err(|_| OutOfMemory)?;
                blocks.resize(count.max(blocks.len()), argon2::Block::default());
                let used = blocks.get_mut(..count).ok_or(OutOfMemory)?;
                let result = argon2.hash_password_into_with_memory(password, salt, tag, &mut *used);
                used.iter_mut().for_each(Zeroize::zeroize);
                if params.memory_kib > self.params.memory_kib {
                    *blocks = Vec::new();
                }
                result.map_err(|_| OutOfMemory)?;
            }
        }
        Ok(())
    }
}

pub(super) fn fast(params: Params) -> Result<argon2_rust::Argon2, BadParams> {
    fast_with(params, TagLen::bytes(TAG_LENGTH as u64))
}

fn fast_with(params: Params, tag_length: TagLen) -> Result<argon2_rust::Argon2, BadParams> {
    let params = argon2_rust::Params::builder()
        .memory(Memory::kib(params.memory_kib.into()))
        .passes(params.passes)
        .lanes(params.lanes)
        .threads(1)
        .tag_len(tag_length)
        .build()
        .map_err(|_| BadParams)?;
    let (algorithm, version) = (argon2_rust::Algorithm::Argon2id, argon2_rust::Version::V0x13);
    Ok(argon2_rust::Argon2::new(algorithm, version, params))
}

fn plain(params: Params, tag_length: usize) -> Result<argon2::Argon2<'static>, BadParams> {
    let params = argon2::Params::new(params.memory_kib, params.passes, params.lanes, Some(tag_length))
        .map_err(|_| BadParams)?;
    Ok(argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params))
}
