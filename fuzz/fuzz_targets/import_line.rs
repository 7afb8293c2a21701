//! A line of an import: read or refused; what is read can be stored and looked up.
#![no_main]

use claviger::base::email::Email;
use claviger::base::time::Timestamp;
use claviger::credentials::import::ImportedAccount;
use libfuzzer_sys::fuzz_target;

const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

fuzz_target!(|line: &[u8]| {
    if let Ok(read) = ImportedAccount::parse(line, NOW, [7; 10]) {
        let account = read.account();
        let again = Email::parse(account.email.as_typed()).expect("what is shown is an address");
        assert_eq!(again.key(), account.email.key());
        assert!(account.created_at <= NOW && !account.name.as_str().contains('\0'));
    }
});
