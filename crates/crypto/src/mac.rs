//! A key that recognises what this server made: HMAC-SHA-256 (RFC 2104) over a list of parts.
//!
//! Every part goes in behind its length, so no two lists of parts give the same bytes and none can be
//! passed off as another.

use aws_lc_rs::hmac;
use zeroize::Zeroizing;

/// A 256-bit HMAC key, prepared once and kept. The library wipes it when it is dropped.
#[derive(Clone)]
pub struct MacKey(hmac::Key);

impl std::fmt::Debug for MacKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MacKey(…)")
    }
}

impl MacKey {
    /// Takes 32 random bytes as the key, such as [`MasterKey::derive`](crate::seal::MasterKey::derive)
    /// gives.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, Zeroizing::new(bytes).as_slice()))
    }

    /// The tag of a list of parts. By convention the first names what the tag is for.
    pub fn tag(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.0);
        for part in parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let mut tag = [0; 32];
        tag.copy_from_slice(context.sign().as_ref());
        tag
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    // Test case 2; the vectors' keys have other lengths than ours.
    #[test]
    fn rfc4231_section_4_3() {
        let expected = [
            0x5b, 0xdc, 0xc1, 0x46, 0xbf, 0x60, 0x75, 0x4e, 0x6a, 0x04, 0x24, 0x26, 0x08, 0x95, 0x75, 0xc7,
            0x5a, 0x00, 0x3f, 0x08, 0x9d, 0x27, 0x39, 0x83, 0x9d, 0xec, 0x58, 0xb9, 0x64, 0xec, 0x38, 0x43,
        ];
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"Jefe");
        assert_eq!(hmac::sign(&key, b"what do ya want for nothing?").as_ref(), expected);
    }

    #[test]
    fn parts_go_in_behind_their_lengths() {
        let key = MacKey::new([7; 32]);
        let input = b"\0\0\0\0\0\0\0\x02ab\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01c";
        let plain = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &[7; 32]), input);
        assert_eq!(key.tag(&[b"ab", b"", b"c"]), plain.as_ref());
    }

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", MacKey::new([0x41; 32])), "MacKey(…)");
    }

    fn parts() -> impl Strategy<Value = Vec<Vec<u8>>> {
        proptest::collection::vec(proptest::collection::vec(0..2u8, 0..4), 0..4)
    }

    proptest! {
        #[test]
        fn different_lists_have_different_tags(one in parts(), other in parts()) {
            let tag = |key: u8, list: &[Vec<u8>]| {
                MacKey::new([key; 32]).tag(&list.iter().map(Vec::as_slice).collect::<Vec<_>>())
            };
            prop_assert_eq!(tag(1, &one) == tag(1, &other), one == other);
            prop_assert_ne!(tag(1, &one), tag(2, &one));
        }
    }
}
