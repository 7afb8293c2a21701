//! What is inside a backup, once it is decrypted: a header, the rows of all tables, and a trailer.
//!
//! The stream begins with [`MAGIC`]. Frames follow: a byte for the kind, the length of the rest in 4 bytes, the highest
//! first, and the rest. `h` is the header and `e` the trailer, both JSON; `t` begins a table by its name, `r` is a row,
//! as [`encoded`]. The trailer has the number of rows of each table, the sum of their digests, and the SHA-256 of all
//! bytes before it. Nothing follows.

use super::Error;
use super::header::{Header, Trailer};
use crate::db::copy::{Fingerprint, Held, decoded, encoded};
use claviger_crypto::Sha256;
use std::io::{self, Read, Write};
use zeroize::Zeroizing;

/// How a backup begins, and the number of its form.
pub const MAGIC: &[u8; 18] = b"claviger backup 1\n";

/// The longest header or trailer.
const MOST_TOLD: u32 = 1 << 20;

/// The longest row.
const MOST_OF_A_ROW: u32 = 1 << 26;

/// Writes a backup.
#[derive(Debug)]
pub struct Writer<W> {
    out: W,
    digest: Sha256,
    header: Header,
    sums: Vec<Fingerprint>,
}

impl<W: Write> Writer<W> {
    /// Begins one with its header.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn begin(out: W, header: Header) -> Result<Self, Error> {
        let told = header.to_json()?;
        let mut writer = Self { out, digest: Sha256::default(), header, sums: Vec::new() };
        writer.put(MAGIC)?;
        writer.frame(b'h', &told)?;
        Ok(writer)
    }

    /// Begins the next table.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn table(&mut self) -> Result<(), Error> {
        let name = self.header.tables.get(self.sums.len()).map(|table| table.name.clone());
        self.sums.push(Fingerprint::default());
        self.frame(b't', name.unwrap_or_default().as_bytes())
    }

    /// Writes a row of it.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn row(&mut self, row: &[Held]) -> Result<(), Error> {
        let bytes = encoded(row);
        if let Some(sum) = self.sums.last_mut() {
            sum.add(&bytes);
        }
        self.frame(b'r', &bytes)
    }

    /// Ends it; what it was written to comes back, with the header and what all came to.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn finish(mut self) -> Result<(W, Header, Trailer), Error> {
        let trailer = Trailer { sums: self.sums.clone(), digest: self.digest.clone().finish() };
        let told = trailer.to_json(&self.header)?;
        self.frame(b'e', &told)?;
        Ok((self.out, self.header, trailer))
    }

    fn frame(&mut self, kind: u8, rest: &[u8]) -> Result<(), Error> {
        let most = if kind == b'r' { MOST_OF_A_ROW } else { MOST_TOLD };
        let length = u32::try_from(rest.len()).ok().filter(|length| *length <= most);
        let length = length.ok_or_else(|| Error::Write("a row or the header is too long".into()))?;
        self.put(&[kind])?;
        self.put(&length.to_be_bytes())?;
        self.put(rest)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.digest.add(bytes);
        self.out.write_all(bytes).map_err(|error| Error::Write(error.to_string()))
    }
}

/// The next piece of a backup.
#[derive(Debug)]
pub enum Piece {
    /// The table of this number begins.
    Table(usize),
    /// A row of it.
    Row(Vec<Held>),
    /// All was read, and is as it was written.
    End(Trailer),
}

/// Reads a backup. What it gives was checked against the header; whether it is all, the end tells.
#[derive(Debug)]
pub struct Reader<R> {
    input: R,
    digest: Sha256,
    header: Header,
    sums: Vec<Fingerprint>,
}

impl<R: Read> Reader<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// If it is none, is damaged, or is of another version.
    pub fn open(input: R) -> Result<Self, Error> {
        let mut reader = Self { input, digest: Sha256::default(), header: Header::default(), sums: vec![] };
        let mut magic = [0; MAGIC.len()];
        reader.fill(&mut magic)?;
        if magic != *MAGIC {
            let is_ours = magic.starts_with(b"claviger backup ");
            return Err(if is_ours {
                Error::Refused(
                    "its form is not known here. Use the version that made it or a later one".into(),
                )
            } else {
                Error::Refused("what is inside is no backup of Claviger".into())
            });
        }
        reader.digest.add(&magic);
        let (kind, told) = reader.frame()?;
        if kind != b'h' {
            return Err(damaged("it has no header"));
        }
        reader.header = Header::from_json(&told)?;
        Ok(reader)
    }

    /// What the header tells.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The next piece.
    ///
    /// # Errors
    /// If the backup is damaged or cannot be read.
    #[allow(clippy::should_implement_trait)] // After an error there is no next one.
    pub fn next(&mut self) -> Result<Piece, Error> {
        let (kind, rest) = self.frame()?;
        match kind {
            b't' => self.table(&rest),
            b'r' => self.row(&rest),
            b'e' => self.end(&rest),
            _ => Err(damaged("it holds what no backup holds")),
        }
    }

    fn table(&mut self, name: &[u8]) -> Result<Piece, Error> {
        self.expect_whole_table()?;
        let number = self.sums.len();
        if self.header.tables.get(number).is_none_or(|table| table.name.as_bytes() != name) {
            return Err(damaged("its tables are not those of its header"));
        }
        self.sums.push(Fingerprint::default());
        Ok(Piece::Table(number))
    }

    fn row(&mut self, bytes: &[u8]) -> Result<Piece, Error> {
        let table = self.sums.len().checked_sub(1).and_then(|number| self.header.tables.get(number));
        let (Some(table), Some(sum)) = (table, self.sums.last_mut()) else {
            return Err(damaged("a row is of no table"));
        };
        let row = decoded(bytes).filter(|row| {
            row.len() == table.columns.len()
                && row.iter().zip(&table.columns).all(|(held, (_, kind))| kind.takes(held))
        });
        let row = row.ok_or_else(|| Error::Damaged(format!("a row of {} cannot be read", table.name)))?;
        sum.add(bytes);
        Ok(Piece::Row(row))
    }

    fn end(&mut self, told: &[u8]) -> Result<Piece, Error> {
        self.expect_whole_table()?;
        if self.sums.len() != self.header.tables.len() {
            return Err(damaged("tables are missing"));
        }
        let digest = self.digest.clone().finish();
        let trailer = Trailer { sums: std::mem::take(&mut self.sums), digest };
        if trailer.to_json(&self.header)? != told {
            return Err(damaged("its rows are not those that its end tells of"));
        }
        let mut more = [0];
        match self.input.read(&mut more) {
            Ok(0) => Ok(Piece::End(trailer)),
            Ok(_) => Err(damaged("it goes on behind its end")),
            Err(error) => Err(unreadable(&error)),
        }
    }

    /// Whether the table that ends has as many rows as the header says.
    fn expect_whole_table(&self) -> Result<(), Error> {
        let Some((number, sum)) = self.sums.iter().enumerate().next_back() else { return Ok(()) };
        let table = self.header.tables.get(number);
        match table.filter(|table| table.rows != sum.rows) {
            None => Ok(()),
            Some(table) => {
                let (name, rows) = (&table.name, table.rows);
                Err(Error::Damaged(format!("{name} has {} rows, and its header says {rows}", sum.rows)))
            }
        }
    }

    fn frame(&mut self) -> Result<(u8, Zeroizing<Vec<u8>>), Error> {
        let (mut kind, mut length) = ([0], [0; 4]);
        self.fill(&mut kind)?;
        self.fill(&mut length)?;
        let [kind_byte] = kind;
        let most = if kind_byte == b'r' { MOST_OF_A_ROW } else { MOST_TOLD };
        let wanted = u32::from_be_bytes(length);
        if wanted > most {
            return Err(damaged("a piece of it is too long"));
        }
        // Memory is taken for what is there, not for what is claimed. The header's holds a key, so it is wiped.
        let mut rest = Zeroizing::new(Vec::with_capacity(wanted.min(1 << 14) as usize));
        let read = self.input.by_ref().take(wanted.into()).read_to_end(&mut rest);
        if read.map_err(|error| unreadable(&error))? as u64 != u64::from(wanted) {
            return Err(damaged("it ends too early"));
        }
        // The trailer has the digest of all before it.
        if kind_byte != b'e' {
            [&kind[..], &length, &rest].into_iter().for_each(|bytes| self.digest.add(bytes));
        }
        Ok((kind_byte, rest))
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), Error> {
        self.input.read_exact(bytes).map_err(|error| unreadable(&error))
    }
}

fn damaged(what: &str) -> Error {
    Error::Damaged(what.to_owned())
}

/// What reading failed by. Of what is sealed that a byte was changed, or the end cut off, comes so.
fn unreadable(error: &io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => damaged("it ends too early"),
        io::ErrorKind::InvalidData => damaged("a part of it was changed or cut off"),
        _ => Error::Read(error.to_string()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests;
