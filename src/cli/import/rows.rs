//! The rows of a CSV file (RFC 4180), by the names in its first line.

use super::source::{Input, Next};
use crate::credentials::import::{Format, Record, Refused, Role, Row};
use csv::{ByteRecord, Reader, ReaderBuilder};
use std::io::{self, Read};

/// A row's greatest length, in bytes. One that is longer has a quote that nobody closes.
const MOST: u64 = 1 << 20;

/// The rows of a file.
pub(super) struct Rows {
    reader: Reader<Held>,
    header: Vec<String>,
    /// Which column is what, in our own form.
    roles: Option<Vec<(Role, usize)>>,
    record: ByteRecord,
    count: u64,
}

impl Rows {
    /// In our own form.
    pub(super) fn own(
        input: Input,
        given: &[(Role, String)],
        keep_without_password: bool,
    ) -> Result<Self, String> {
        let mut rows = Self::supabase(input)?;
        let mut roles = Vec::new();
        for role in Role::ALL {
            let wanted = given.iter().find(|(given, _)| *given == role).map(|(_, name)| name.as_str());
            let name = wanted.unwrap_or(role.key());
            let is_needed = role == Role::Email
                || role == Role::Password && !keep_without_password
                || wanted.is_some_and(|name| !name.is_empty());
            match rows.header.iter().position(|column| column == name) {
                Some(column) => roles.push((role, column)),
                None if is_needed => {
                    return Err(format!(
                        "its first line names no column {name}: --column {}=… says which it is",
                        role.key()
                    ));
                }
                None => {}
            }
        }
        rows.roles = Some(roles);
        Ok(rows)
    }

    /// As Supabase names them.
    pub(super) fn supabase(input: Input) -> Result<Self, String> {
        let held = Held { input, since: 0, bytes: 0 };
        let mut reader = ReaderBuilder::new().flexible(true).from_reader(held);
        let names = reader.byte_headers().map_err(|error| of(&error))?;
        let text = |name: &[u8]| String::from_utf8_lossy(name).trim().to_owned();
        let header: Vec<String> = names.iter().map(text).collect();
        if let Some(twice) =
            (1..header.len()).find(|at| header.iter().take(*at).any(|name| header.get(*at) == Some(name)))
        {
            let name = header.get(twice).map(String::as_str).unwrap_or_default();
            return Err(format!("its first line names column {name} twice"));
        }
        Ok(Self { reader, header, roles: None, record: ByteRecord::new(), count: 0 })
    }

    /// How many bytes were read, and how many rows.
    pub(super) fn position(&self) -> (u64, u64) {
        (self.reader.get_ref().bytes, self.count)
    }

    /// The next row with its number. Blank ones are left out.
    pub(super) fn next(&mut self) -> Result<Next, String> {
        self.reader.get_mut().since = 0;
        if !self.reader.read_byte_record(&mut self.record).map_err(|error| of(&error))? {
            return Ok(None);
        }
        self.count += 1;
        // As a spreadsheet counts them: the names are the first.
        Ok(Some((self.count + 1, self.read())))
    }

    fn read(&self) -> Result<Record, Refused> {
        if self.record.len() != self.header.len() {
            return Err(Refused::Columns(self.record.len(), self.header.len()));
        }
        let text = |column: usize| self.record.get(column).and_then(|bytes| std::str::from_utf8(bytes).ok());
        let Some(roles) = &self.roles else {
            let column = |name: &str| self.header.iter().position(|column| column == name).and_then(text);
            return Format::row(|name| column(name).map(str::to_owned));
        };
        let mut row = Row::default();
        for (role, column) in roles {
            row.add(*role, text(*column).ok_or(Refused::NoText(role.key()))?.to_owned());
        }
        row.record()
    }
}

fn of(error: &csv::Error) -> String {
    format!("the file: {error}")
}

/// What is read since the row began, held to its bound.
struct Held {
    input: Input,
    since: u64,
    bytes: u64,
}

impl Read for Held {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.since > MOST {
            return Err(io::Error::other("a row of more than a megabyte: is a quote left open?"));
        }
        let read = self.input.read(buffer)?;
        (self.since, self.bytes) = (self.since + read as u64, self.bytes + read as u64);
        Ok(read)
    }
}
