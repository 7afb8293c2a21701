//! The form of a status list (draft-ietf-oauth-status-list §4): one bit a session, compressed.

use claviger_crypto::status::StatusList;
use std::ops::Range;

/// How many sessions share a list. A list of them is 128 KiB, compressed to a fraction while few have
/// ended.
pub const SIZE: u64 = 1 << 20;

/// Where a list is.
pub fn uri(issuer: &str, list: u64) -> String {
    format!("{issuer}/status/{list}")
}

/// The list of an index, and its place in it.
pub fn place(index: u64) -> (u64, u64) {
    (index / SIZE, index % SIZE)
}

/// The indices of a list.
pub fn range(list: u64) -> Range<u64> {
    let start = list.saturating_mul(SIZE);
    start..start.saturating_add(SIZE)
}

/// A list in which the sessions at these indices have ended: bit 1 (INVALID, §7.1) at their places, the
/// least significant bit of a byte first (§4.1).
pub fn encode(ended: impl IntoIterator<Item = u64>) -> StatusList {
    let mut bytes = vec![0_u8; usize::try_from(SIZE / 8).unwrap_or(0)];
    for index in ended {
        let (_, at) = place(index);
        if let Some(byte) = usize::try_from(at / 8).ok().and_then(|byte| bytes.get_mut(byte)) {
            *byte |= 1 << (at % 8);
        }
    }
    let compressed = miniz_oxide::deflate::compress_to_vec_zlib(&bytes, 9);
    StatusList { bits: 1, lst: claviger_crypto::base64url(&compressed) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    fn decode(list: &StatusList) -> Vec<u8> {
        let compressed = claviger_crypto::from_base64url(&list.lst).unwrap();
        miniz_oxide::inflate::decompress_to_vec_zlib(&compressed).unwrap()
    }

    #[test]
    fn draft_section_4_1_order_of_bits() {
        // The draft's sixteen statuses: 1,0,0,1,1,1,0,1 and 1,1,0,0,0,1,0,1.
        let ones = [0, 3, 4, 5, 7, 8, 9, 13, 15];
        let bytes = decode(&encode(ones));
        assert_eq!(bytes[..2], [0xb9, 0xa3]);
        assert!(bytes[2..].iter().all(|byte| *byte == 0));
        assert_eq!(bytes.len(), 131_072);
    }

    #[test]
    fn an_index_has_one_place() {
        assert_eq!(place(0), (0, 0));
        assert_eq!(place(SIZE + 5), (1, 5));
        assert_eq!(range(1), SIZE..2 * SIZE);
        assert_eq!(decode(&encode([SIZE + 8]))[1], 1);
        assert_eq!(uri("https://a.example", 3), "https://a.example/status/3");
    }

    #[test]
    fn a_list_with_few_ended_is_small() {
        assert!(encode([]).lst.len() < 300);
        assert!(encode((0..SIZE).step_by(1000)).lst.len() < 10_000);
    }
}
