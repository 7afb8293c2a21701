//! That what was written is read, and nothing else.

use super::*;
use crate::backup::header::Told;
use crate::base::time::Timestamp;
use crate::db::copy::Kind;
use claviger_crypto::seal::MasterKey;
use proptest::prelude::*;
use uuid::Uuid;

fn header(rows: &[u64]) -> Header {
    let columns = vec![("id".to_owned(), Kind::Uuid), ("name".to_owned(), Kind::Text)];
    let table = |(number, rows): (usize, &u64)| Told {
        name: format!("table{number}"),
        columns: columns.clone(),
        rows: *rows,
    };
    Header {
        id: Uuid::from_u128(7),
        made_at: Timestamp::from_seconds(1_795_456_035),
        program: "0.1.0".into(),
        engine: "sqlite".into(),
        schema: 10,
        schema_digest: [7; 32],
        master_key: Some(MasterKey::new([9; 32])),
        tables: rows.iter().enumerate().map(table).collect(),
    }
}

fn row(number: u128) -> Vec<Held> {
    vec![Held::Uuid(Uuid::from_u128(number)), if number == 2 { Held::Null } else { Held::Text("é".into()) }]
}

fn written(header: Header, tables: &[&[Vec<Held>]]) -> Vec<u8> {
    let mut writer = Writer::begin(Vec::new(), header).unwrap();
    for rows in tables {
        writer.table().unwrap();
        rows.iter().for_each(|row| writer.row(row).unwrap());
    }
    writer.finish().unwrap().0
}

fn good() -> Vec<u8> {
    written(header(&[3, 0, 1]), &[&[row(1), row(2), row(3)], &[], &[row(4)]])
}

fn read(bytes: &[u8]) -> Result<Vec<Vec<Held>>, Error> {
    let (mut reader, mut rows) = (Reader::open(bytes)?, Vec::new());
    loop {
        match reader.next()? {
            Piece::Table(_) => {}
            Piece::Row(row) => rows.push(row),
            Piece::End(_) => return Ok(rows),
        }
    }
}

#[test]
fn what_was_written_comes_back() {
    assert_eq!(read(&good()).unwrap(), [row(1), row(2), row(3), row(4)]);
    let bytes = good();
    let reader = Reader::open(&bytes[..]).unwrap();
    let (read, given) = (reader.header(), header(&[3, 0, 1]));
    assert_eq!((&read.tables, read.id, read.made_at), (&given.tables, given.id, given.made_at));
    assert_eq!((&read.engine, read.schema, read.schema_digest), (&given.engine, 10, [7; 32]));
    let text = |header: &Header| header.master_key.as_ref().unwrap().to_text();
    assert_eq!(text(read), text(&given));
    assert!(!format!("{read:?}").contains(text(&given).as_str()), "no key in a Debug");
    assert_eq!(read.name(), "00000000-0000-0000-0000-000000000007 of 2026-11-23T17:47:15Z");
}

#[test]
fn no_byte_can_be_changed_cut_off_or_added() {
    let good = good();
    for length in 0..good.len() {
        assert!(matches!(read(&good[..length]), Err(Error::Damaged(_))), "{length} bytes");
    }
    for place in 0..good.len() {
        for flip in [1, 0x20, 0x80] {
            let mut bad = good.clone();
            bad[place] ^= flip;
            assert!(read(&bad).is_err(), "byte {place}");
        }
    }
    let longer = [&good[..], &[0]].concat();
    assert!(matches!(read(&longer), Err(Error::Damaged(_))));
}

#[test]
fn what_the_header_does_not_tell_of_is_refused() {
    let three = [row(1), row(2), row(3)];
    for (header, tables, why) in [
        (header(&[3]), vec![&three[..2]], "its header says 3"),
        (header(&[2]), vec![&three[..]], "its header says 2"),
        (header(&[3, 0]), vec![&three[..]], "tables are missing"),
        (header(&[]), vec![&three[..0]], "not those of its header"),
        (header(&[1]), vec![&[vec![Held::Int(1), Held::Null]]], "a row of table0 cannot be read"),
        (header(&[1]), vec![&[vec![Held::Null]]], "a row of table0 cannot be read"),
    ] {
        let said = read(&written(header, &tables)).unwrap_err().to_string();
        assert!(said.contains(why), "{said}");
    }
    let other = String::from_utf8(MAGIC.to_vec()).unwrap().replace('1', "2");
    assert!(read(other.as_bytes()).unwrap_err().to_string().contains("a later one"));
    assert!(read(b"something else altogether").unwrap_err().to_string().contains("no backup of Claviger"));
}

#[test]
fn what_is_claimed_takes_no_memory() {
    let mut bytes = MAGIC.to_vec();
    for length in [u32::MAX, MOST_TOLD] {
        bytes.truncate(MAGIC.len());
        bytes.push(b'h');
        bytes.extend_from_slice(&length.to_be_bytes());
        assert!(matches!(read(&bytes), Err(Error::Damaged(_))));
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(mut bytes in proptest::collection::vec(any::<u8>(), 0..200), begun: bool) {
        if begun {
            bytes.splice(0..0, MAGIC.iter().copied());
        }
        prop_assert!(read(&bytes).is_err());
    }
}
