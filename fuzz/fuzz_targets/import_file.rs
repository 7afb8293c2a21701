//! A file of another system: it is taken apart, and each account read or refused.
#![no_main]

use claviger::base::time::Timestamp;
use claviger::credentials::import::elements::Elements;
use claviger::credentials::import::{Format, ImportedAccount, Wanted, guess};
use libfuzzer_sys::fuzz_target;

const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

fuzz_target!(|file: &[u8]| {
    let format = guess(file).map_or(Format::Keycloak, |(format, _)| format);
    let mut elements = Elements::new(file, "users");
    while let Ok(Some((_, element))) = elements.advance() {
        if let Ok(record) = format.object(element, None) {
            let _ = ImportedAccount::new(&record, Wanted { keep_without_password: true }, NOW, [7; 10]);
        }
    }
});
