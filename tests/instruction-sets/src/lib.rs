//! Argon2id by each instruction set that this machine has, against RFC 9106 and RustCrypto's `argon2`.

#![cfg(test)]

use argon2_rust::__internal::hash_with_backend;
use argon2_rust::params::{Memory, TagLen};
use argon2_rust::{Algorithm, Backend, Params, Version, detected_backend};
use proptest::prelude::*;

/// What is hashed, and how.
#[derive(Clone, Debug)]
struct Input {
    memory: u32,
    passes: u32,
    lanes: u32,
    password: Vec<u8>,
    salt: Vec<u8>,
    secret: Vec<u8>,
    data: Vec<u8>,
    length: usize,
}

impl Input {
    fn by(&self, backend: Backend) -> Vec<u8> {
        assert!(backend.is_available());
        let Self { password, salt, secret, data, .. } = self;
        let params = Params::builder()
            .memory(Memory::kib(self.memory.into()))
            .passes(self.passes)
            .lanes(self.lanes)
            .threads(1)
            .tag_len(TagLen::bytes(self.length as u64))
            .build()
            .unwrap();
        let (algorithm, version) = (Algorithm::Argon2id, Version::V0x13);
        let mut tag = vec![0; self.length];
        // SAFETY: this processor has the instructions, as was asked above.
        unsafe {
            hash_with_backend(backend, algorithm, version, &params, password, salt, secret, data, &mut tag)
        }
        .unwrap();
        tag
    }

    fn by_rustcrypto(&self) -> Vec<u8> {
        let params = argon2::ParamsBuilder::new()
            .m_cost(self.memory)
            .t_cost(self.passes)
            .p_cost(self.lanes)
            .data(argon2::AssociatedData::new(&self.data).unwrap())
            .output_len(self.length)
            .build()
            .unwrap();
        let (algorithm, version) = (argon2::Algorithm::Argon2id, argon2::Version::V0x13);
        let argon2 = argon2::Argon2::new_with_secret(&self.secret, algorithm, version, params).unwrap();
        let mut tag = vec![0; self.length];
        argon2.hash_password_into(&self.password, &self.salt, &mut tag).unwrap();
        tag
    }
}

fn of_this_machine() -> Vec<Backend> {
    let backends: Vec<_> = Backend::ALL.iter().copied().filter(|backend| backend.is_available()).collect();
    assert!(backends.contains(&Backend::Scalar) && backends.contains(&detected_backend()));
    backends
}

#[test]
fn the_vector_of_rfc_9106_section_5_3() {
    let expected = [
        0x0d, 0x64, 0x0d, 0xf5, 0x8d, 0x78, 0x76, 0x6c, 0x08, 0xc0, 0x37, 0xa3, 0x4a, 0x8b, 0x53, 0xc9, 0xd0,
        0x1e, 0xf0, 0x45, 0x2d, 0x75, 0xb6, 0x5e, 0xb5, 0x25, 0x20, 0xe9, 0x6b, 0x01, 0xe6, 0x59,
    ];
    let (password, salt, secret, data) = (vec![1; 32], vec![2; 16], vec![3; 8], vec![4; 12]);
    let input = Input { memory: 32, passes: 3, lanes: 4, password, salt, secret, data, length: 32 };
    assert_eq!(input.by_rustcrypto(), expected);
    for backend in of_this_machine() {
        println!("{backend}");
        assert_eq!(input.by(backend), expected, "{backend}");
    }
}

#[test]
fn all_agree_at_the_default_cost() {
    let (password, salt) = (b"a password".to_vec(), b"sixteen of bytes".to_vec());
    let (secret, data) = (Vec::new(), Vec::new());
    let input = Input { memory: 19456, passes: 2, lanes: 1, password, salt, secret, data, length: 32 };
    let expected = input.by_rustcrypto();
    of_this_machine().into_iter().for_each(|backend| assert_eq!(input.by(backend), expected, "{backend}"));
}

fn bytes(length: std::ops::Range<usize>) -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>(), length)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn all_agree_on_random_inputs(
        (memory, passes, lanes, length) in (8u32..300, 1u32..4, 1u32..4, 16usize..65),
        (password, salt, secret, data) in (bytes(0..200), bytes(8..40), bytes(0..33), bytes(0..33)),
    ) {
        let memory = memory.max(8 * lanes);
        let input = Input { memory, passes, lanes, password, salt, secret, data, length };
        let expected = input.by_rustcrypto();
        for backend in of_this_machine() {
            prop_assert_eq!(&input.by(backend), &expected, "{}", backend);
        }
    }
}
