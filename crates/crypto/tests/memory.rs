//! What the kernel sees of a hasher's memory: it is taken once, and nothing of a password stays in it.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

use claviger_crypto::password::{Engine, Hasher, Params};
use std::fs::{File, read_to_string};
use std::os::unix::fs::FileExt as _;
use std::sync::{Mutex, PoisonError};
use zeroize::Zeroize as _;

const BOTH: [Engine; 2] = [Engine::Fast, Engine::Plain];
const SALT: [u8; 16] = *b"sixteen of bytes";

/// Held by each test: the list of mappings has gaps while another thread changes them.
static ALONE: Mutex<()> = Mutex::new(());

/// Page faults of this thread so far: memory that is used for the first time.
fn faults() -> u64 {
    let stat = read_to_string("/proc/thread-self/stat").unwrap();
    stat.rsplit_once(") ").unwrap().1.split(' ').nth(7).unwrap().parse().unwrap()
}

fn faults_of<T>(work: impl FnOnce() -> T) -> u64 {
    let before = faults();
    std::hint::black_box(work());
    faults() - before
}

#[test]
fn memory_is_taken_once_and_given_back_when_told() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    for engine in BOTH {
        let params = Params::new(19456, 1, 1).unwrap();
        let mut hasher = Hasher::new(engine, params).unwrap();
        let taken = faults_of(|| hasher.hash(b"first", SALT));
        let hash = hasher.hash(b"second", SALT).unwrap();
        let cheaper = Hasher::new(engine, Params::new(4096, 2, 1).unwrap()).unwrap().hash(b"second", SALT);
        let cheaper = cheaper.unwrap();
        // Ten and more calls, of a cheaper stored hash too, and set to the same parameters again and again.
        let kept = faults_of(|| {
            for password in [&b"second"[..], b"third", b"", b"second", b"more"] {
                hasher.verify(password, &hash).unwrap();
                hasher.verify(password, &cheaper).unwrap();
            }
        });
        assert!(kept * 4 < taken, "{engine:?}: {taken} pages at first, {kept} later");
        hasher.release_memory();
        let again = faults_of(|| hasher.hash(b"fourth", SALT));
        assert!(again * 2 > taken, "{engine:?}: {taken} pages at first, {again} after they were given back");
    }
}

/// Part of a block in the middle of the computation, under a mask, so that this itself is not found.
type Trace = [u64; 2];

const MASK: u64 = 0x5555_5555_5555_5555;

/// The trace that hashing `password` leaves, and the blocks in which it stands.
fn trace(password: &[u8]) -> (Trace, Vec<argon2::Block>) {
    let params = argon2::Params::new(4096, 1, 1, Some(32)).unwrap();
    let mut blocks = vec![argon2::Block::default(); params.block_count()];
    let argon2 = argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params);
    argon2.hash_password_into_with_memory(password, &SALT, &mut [0; 32], &mut blocks).unwrap();
    let words: &[u64] = blocks.get(2049).unwrap().as_ref();
    ([words.first().unwrap() ^ MASK, words.get(1).unwrap() ^ MASK], blocks)
}

/// Whether the trace stands anywhere in the memory of this process.
fn is_somewhere(trace: Trace) -> bool {
    let memory = File::open("/proc/self/mem").unwrap();
    let maps = read_to_string("/proc/self/maps").unwrap();
    let mut buffer = vec![0; 1 << 20];
    for line in maps.lines().filter(|line| line.contains(" rw-p ")) {
        let (from, to) = line.split_once(' ').unwrap().0.split_once('-').unwrap();
        let (mut from, to) = (u64::from_str_radix(from, 16).unwrap(), u64::from_str_radix(to, 16).unwrap());
        // Some of the kernel's own cannot be read.
        while from < to
            && let Ok(read @ 1..) = memory.read_at(&mut buffer, from)
        {
            let read = read.min(usize::try_from(to - from).unwrap());
            let word = |bytes: &[u8]| u64::from_ne_bytes(bytes.try_into().unwrap()) ^ MASK;
            let mut pairs = buffer.chunks_exact(16).take(read / 16).map(|pair| pair.split_at(8));
            if pairs.any(|(one, other)| [word(one), word(other)] == trace) {
                return true;
            }
            from += u64::try_from(read).unwrap();
        }
    }
    false
}

#[test]
fn memory_is_wiped_before_the_next_password() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let (known, held) = trace(b"the password of the control");
    assert!(is_somewhere(known), "what is not wiped is found");
    drop(held);

    let (left, mut blocks) = trace(b"the password in question");
    blocks.iter_mut().for_each(|block| block.zeroize());
    assert!(!is_somewhere(left));
    for engine in BOTH {
        let mut hasher = Hasher::new(engine, Params::new(4096, 1, 1).unwrap()).unwrap();
        let hash = hasher.hash(b"the password in question", SALT).unwrap();
        assert!(!is_somewhere(left), "{engine:?} leaves a trace");
        assert!(hasher.verify(b"the password in question", &hash).unwrap());
        assert!(!is_somewhere(left), "{engine:?} leaves a trace");
    }
}
