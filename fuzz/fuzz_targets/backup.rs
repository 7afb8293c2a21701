//! What is inside a backup: read or refused, and what is read can be looked at, whatever its header says of it.
#![no_main]

use claviger::backup::contents::Contents;
use claviger::backup::format::{MAGIC, Piece, Reader};
use claviger::backup::header::Header;
use claviger_crypto::seal::MasterKey;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let begun = [&MAGIC[..], bytes].concat();
    let Ok(mut reader) = Reader::open(&begun[..]) else { return };
    let header = reader.header().clone();
    let json = header.to_json().expect("what was read can be written");
    let again = Header::from_json(&json).expect("and read again");
    assert_eq!((again.id, again.schema, &again.tables), (header.id, header.schema, &header.tables));
    let mut contents = Contents::new(&header, Some(&MasterKey::new([7; 32])));
    let mut table = 0;
    loop {
        match reader.next() {
            Ok(Piece::Table(number)) => table = number,
            Ok(Piece::Row(row)) => contents.row(&header, table, &row),
            Ok(Piece::End(trailer)) => {
                drop(contents.finish(header, trailer));
                return;
            }
            Err(_) => return,
        }
    }
});
