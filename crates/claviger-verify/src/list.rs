//! A status list (draft-ietf-oauth-status-list §4): compressed statuses, unpacked under a bound.

/// What a list may hold when it is unpacked: eight times that of a Claviger's list. Bytes.
const MAX_SIZE: usize = 1 << 20;

/// The statuses of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusList {
    bits: u8,
    bytes: Vec<u8>,
}

impl StatusList {
    /// Unpacks a list: how many bits a status takes, and the statuses as they stand in `lst`.
    ///
    /// # Errors
    /// If it takes another number of bits than 1, 2, 4 or 8, or `lst` is not base64url of ZLIB, or holds more than 1 MiB.
    pub fn unpack(bits: u8, lst: &str) -> Result<Self, &'static str> {
        if !matches!(bits, 1 | 2 | 4 | 8) {
            return Err("a status takes another number of bits than 1, 2, 4 or 8");
        }
        let compressed = claviger_crypto::from_base64url(lst).ok_or("the list is not base64url")?;
        let bytes = miniz_oxide::inflate::decompress_to_vec_zlib_with_limit(&compressed, MAX_SIZE)
            .map_err(|_| "the list is not compressed by ZLIB, or holds more than 1 MiB")?;
        Ok(Self { bits, bytes })
    }

    /// The status at a place, the least significant bits of a byte first (§4.1): 0 is valid, all others are not (§7.1).
    /// `None` past the end.
    pub fn status(&self, index: u64) -> Option<u8> {
        let at = index.checked_mul(self.bits.into())?;
        let byte = self.bytes.get(usize::try_from(at / 8).ok()?)?;
        Some(byte >> (at % 8) & (0xff >> (8 - self.bits)))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pack(bytes: &[u8]) -> String {
        claviger_crypto::base64url(&miniz_oxide::deflate::compress_to_vec_zlib(bytes, 9))
    }

    // The lists of the draft's §4.1 and §4.2.
    #[test]
    fn draft_section_4() {
        let list = StatusList::unpack(1, "eNrbuRgAAhcBXQ").unwrap();
        let ones: Vec<u64> = (0..16).filter(|index| list.status(*index) == Some(1)).collect();
        assert_eq!(ones, [0, 3, 4, 5, 7, 8, 9, 13, 15]);
        assert_eq!(list.status(16), None);
        let list = StatusList::unpack(2, "eNo76fITAAPfAgc").unwrap();
        let statuses: Vec<u8> = (0..12).map(|index| list.status(index).unwrap()).collect();
        assert_eq!(statuses, [1, 2, 0, 3, 0, 1, 0, 1, 1, 2, 3, 3]);
        assert_eq!((list.status(12), list.status(u64::MAX)), (None, None));
    }

    #[test]
    fn what_unpacks_to_more_than_its_bound_is_refused() {
        assert!(StatusList::unpack(1, &pack(&vec![0; MAX_SIZE])).is_ok());
        let bomb = pack(&vec![0; MAX_SIZE + 1]);
        assert!(bomb.len() < 2000, "a small file");
        assert!(StatusList::unpack(1, &bomb).is_err());
    }

    proptest! {
        #[test]
        fn any_list_is_read_as_it_was_packed(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            for bits in [1, 2, 4, 8] {
                let list = StatusList::unpack(bits, &pack(&bytes)).unwrap();
                let mut read = vec![0_u8; bytes.len()];
                let mut index = 0;
                while let Some(status) = list.status(index) {
                    let at = usize::try_from(index).unwrap() * usize::from(bits);
                    read[at / 8] |= status << (at % 8);
                    index += 1;
                }
                prop_assert_eq!(&read, &bytes);
            }
        }

        #[test]
        fn garbage_is_refused_quietly(bits: u8, text in "[A-Za-z0-9_-]{0,200}", bytes: Vec<u8>) {
            let _ = StatusList::unpack(bits, &text);
            prop_assert!(StatusList::unpack(1, &claviger_crypto::base64url(&bytes)).is_err() || bytes.len() > 6);
        }
    }
}
