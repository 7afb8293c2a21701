//! Argon2id (RFC 9106) password hashes as PHC strings.
//!
//! A [`Hasher`] belongs to one thread and keeps its memory between hashes. Two implementations
//! give the same tags: one that picks its instructions at run time, and RustCrypto's.

use argon2_rust::params::{Memory, TagLen};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use zeroize::{Zeroize, Zeroizing};

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
}

/// A stored hash: `$argon2id$v=19$m=…,t=…,p=…$salt$tag`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PasswordHash {
    params: Params,
    salt: Vec<u8>,
    tag: Vec<u8>,
}

/// A stored hash that is damaged, of another kind, or out of bounds.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the stored password hash is not an Argon2id PHC string within bounds")]
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

/// Memory for the hash could not be had.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is not enough memory for a password hash")]
pub struct OutOfMemory;

/// Computes and verifies hashes on one thread; keeps its memory between calls, wiped after each.
pub struct Hasher {
    params: Params,
    engine: EngineState,
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
        Ok(Self { params, engine })
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

    /// Gives the memory back until the next call.
    pub fn release_memory(&mut self) {
        match &mut self.engine {
            EngineState::Fast(hasher) => hasher.clear(),
            EngineState::Plain(blocks) => *blocks = Vec::new(),
        }
    }

    fn derive(
        &mut self,
        params: Params,
        password: &[u8],
        salt: &[u8],
        tag: &mut [u8],
    ) -> Result<(), OutOfMemory> {
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

fn fast(params: Params) -> Result<argon2_rust::Argon2, BadParams> {
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tag(engine: Engine, params: Params, password: &[u8], salt: &[u8], length: usize) -> Vec<u8> {
        let mut out = vec![0; length];
        Hasher::new(engine, params).unwrap().derive(params, password, salt, &mut out).unwrap();
        out
    }

    // RFC 9106 §5.3 is the Argon2id vector; it uses a secret and associated data.
    #[test]
    fn rfc9106_section_5_3() {
        let expected = [
            0x0d, 0x64, 0x0d, 0xf5, 0x8d, 0x78, 0x76, 0x6c, 0x08, 0xc0, 0x37, 0xa3, 0x4a, 0x8b, 0x53, 0xc9,
            0xd0, 0x1e, 0xf0, 0x45, 0x2d, 0x75, 0xb6, 0x5e, 0xb5, 0x25, 0x20, 0xe9, 0x6b, 0x01, 0xe6, 0x59,
        ];
        let params = Params::new(32, 3, 4).unwrap();
        let (password, salt, secret, ad) = ([1; 32], [2; 16], [3; 8], [4; 12]);
        let mut out = [0; 32];
        let argon2 = fast(params).unwrap();
        argon2.hash_into_with_ad(&password, &salt, &secret, &ad, &mut out).unwrap();
        assert_eq!(out, expected);

        let params = argon2::ParamsBuilder::new()
            .m_cost(32)
            .t_cost(3)
            .p_cost(4)
            .data(argon2::AssociatedData::new(&ad).unwrap())
            .build()
            .unwrap();
        let (algorithm, version) = (argon2::Algorithm::Argon2id, argon2::Version::V0x13);
        let argon2 = argon2::Argon2::new_with_secret(&secret, algorithm, version, params).unwrap();
        argon2.hash_password_into(&password, &salt, &mut out).unwrap();
        assert_eq!(out, expected);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

        #[test]
        fn both_implementations_agree(
            password in proptest::collection::vec(any::<u8>(), 0..200),
            salt in proptest::collection::vec(any::<u8>(), 8..40),
            memory in 8u32..300, passes in 1u32..4, lanes in 1u32..4, length in 16usize..65,
        ) {
            let params = Params::new(memory.max(8 * lanes), passes, lanes).unwrap();
            prop_assert_eq!(
                tag(Engine::Fast, params, &password, &salt, length),
                tag(Engine::Plain, params, &password, &salt, length)
            );
        }

        #[test]
        fn any_text_parses_or_is_refused(text in "\\PC*", tail in "[$a-z0-9=,+/]{0,90}") {
            let _ = PasswordHash::parse(&text);
            if let Ok(hash) = PasswordHash::parse(&format!("$argon2id$v=19${tail}")) {
                prop_assert_eq!(PasswordHash::parse(&hash.to_string()).unwrap(), hash);
            }
        }
    }

    #[test]
    fn implementations_agree_at_the_default_cost_with_reused_memory() {
        let params = Params::new(19456, 2, 1).unwrap();
        let mut fast = Hasher::new(Engine::Fast, params).unwrap();
        let mut plain = Hasher::new(Engine::Plain, params).unwrap();
        for password in [&b"first"[..], b"second", b""] {
            let hash = fast.hash(password, [5; 16]).unwrap();
            assert_eq!(plain.hash(password, [5; 16]).unwrap(), hash);
            assert!(plain.verify(password, &hash).unwrap());
            assert!(!fast.verify(b"other", &hash).unwrap());
            fast.release_memory();
        }
    }

    #[test]
    fn phc_round_trip_and_outdated() {
        let params = Params::new(64, 1, 1).unwrap();
        let hash =
            Hasher::new(Engine::Fast, params).unwrap().hash(b"password", *b"somesaltsomesalt").unwrap();
        let again = PasswordHash::parse(&hash.to_string()).unwrap();
        assert_eq!(again, hash);
        assert!(!again.is_outdated(params));
        assert!(again.is_outdated(Params::new(64, 2, 1).unwrap()));
    }

    #[test]
    fn damaged_hashes_are_refused() {
        let good = PasswordHash::decoy(Params::new(64, 1, 1).unwrap(), [1; 16], [2; 32]).to_string();
        assert!(PasswordHash::parse(&good).is_ok());
        let damaged = [
            String::new(),
            "é".repeat(40),
            good.replace("argon2id", "argon2i"),
            good.replace("v=19", "v=16"),
            good.replace("m=64", "m=4294967295"),
            good.replace("m=64", "m=+64"),
            good.replace("m=64", "m=064"),
            good.replace("t=1", "t=0"),
            good.replace("p=1", "p=9"),
            format!("{good}$"),
            format!("{good}="),
            good.trim_end_matches(|c| c != '$').to_owned(),
        ];
        for text in damaged {
            assert_eq!(PasswordHash::parse(&text), Err(BadHash), "{text}");
        }
    }
}
