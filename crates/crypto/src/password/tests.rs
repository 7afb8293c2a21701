//! The hash against the vector of RFC 9106, two implementations against each other, and the stored form.

use super::engine::fast;
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
        0x0d, 0x64, 0x0d, 0xf5, 0x8d, 0x78, 0x76, 0x6c, 0x08, 0xc0, 0x37, 0xa3, 0x4a, 0x8b, 0x53, 0xc9, 0xd0,
        0x1e, 0xf0, 0x45, 0x2d, 0x75, 0xb6, 0x5e, 0xb5, 0x25, 0x20, 0xe9, 0x6b, 0x01, 0xe6, 0x59,
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
    let hash = Hasher::new(Engine::Fast, params).unwrap().hash(b"password", *b"somesaltsomesalt").unwrap();
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
