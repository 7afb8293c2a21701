//! A status list, unpacked as a service does: nothing but refusal, no panic, and no more memory than its bound.
#![no_main]

use claviger_verify::StatusList;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, u64, &[u8])| {
    let (bits, index, compressed) = input;
    if let Ok(list) = StatusList::unpack(bits, &claviger_crypto::base64url(compressed)) {
        assert!(list.status(index).is_none_or(|status| u16::from(status) < 1 << bits));
        assert_eq!(list.status((1 << 23) + 1), None);
    }
});
