//! The rows of a CSV file (RFC 4180), by the names in its first line.

use super::source::{Input, Next, Stop};
use crate::credentials::import::elements::Broken;
use crate::credentials::import::{Format, Record, Refused, Role, Row};
use csv::{ByteRecord, Reader, ReaderBuilder};
use std::io::{self, BufRead as _, Read};

/// A row's greatest length, in bytes. One that is longer has a quote that nobody closes.
const MOST: u64 = 1 << 20;

/// The rows of a file.
pub(super) struct Rows {
    reader: Reader<Held>,
    header: Vec<String>,
    /// Which column is what, in our own form.
    roles: Option<Vec<(Role, usize)>>,
    record: ByteRecord,
    /// The line that the last row ended with.
    ended: u64,
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
        let mut reader = ReaderBuilder::new().flexible(true).from_reader(Held::new(input));
        let names = reader.byte_headers().map_err(|error| format!("the file: {error}"))?;
        let text = |name: &[u8]| String::from_utf8_lossy(name).trim().to_owned();
        let header: Vec<String> = names.iter().map(text).collect();
        if let Some(twice) =
            (1..header.len()).find(|at| header.iter().take(*at).any(|name| header.get(*at) == Some(name)))
        {
            let name = header.get(twice).map(String::as_str).unwrap_or_default();
            return Err(format!("its first line names column {name} twice"));
        }
        let ended = reader.get_ref().lines;
        Ok(Self { reader, header, roles: None, record: ByteRecord::new(), ended })
    }

    /// How many bytes were read, and how many lines of whole rows.
    pub(super) fn position(&self) -> (u64, u64) {
        (self.reader.get_ref().bytes, self.ended)
    }

    /// The next row with the line that it begins with, the names' being 1. Blank ones are left out.
    ///
    /// # Errors
    /// Where it cannot be read, or is cut off: a last line without an end that has too few columns, or an open quote.
    pub(super) fn next(&mut self) -> Result<Next, Stop> {
        self.reader.get_mut().begin();
        let before = self.ended;
        let is_there = self.reader.read_byte_record(&mut self.record);
        if !is_there.map_err(|error| (error.to_string(), before))? {
            return Ok(None);
        }
        let held = self.reader.get_ref();
        self.ended = held.lines;
        let began = held.began.unwrap_or(self.ended);
        if held.has_no_end() && (held.is_quoted || self.record.len() < self.header.len()) {
            return Err((Broken::Cut.to_string(), before));
        }
        Ok(Some((began.cast_signed(), self.read(began < self.ended))))
    }

    /// Whether all is read, and the last line is one that nothing ends.
    pub(super) fn has_no_end(&self) -> bool {
        self.reader.get_ref().has_no_end()
    }

    fn read(&self, is_of_several_lines: bool) -> Result<Record, Refused> {
        if self.record.len() != self.header.len() {
            let (columns, names) = (self.record.len(), self.header.len());
            return Err(if is_of_several_lines {
                Refused::Lines(columns, names, self.ended)
            } else {
                Refused::Columns(columns, names)
            });
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

/// A file that is given out line by line, so that what was read ends with the row that is read; a row is held to its
/// bound.
struct Held {
    input: Input,
    /// Bytes since the row began.
    since: u64,
    bytes: u64,
    lines: u64,
    /// Whether more of the last line is to come.
    is_within: bool,
    /// The first line since then that is not blank.
    began: Option<u64>,
    /// Whether a quote is open. One within a quoted cell stands twice, so that two of them change nothing.
    is_quoted: bool,
    /// Whether the last byte ends a line, and whether there are no more.
    is_line_ended: bool,
    is_read: bool,
}

impl Held {
    fn new(input: Input) -> Self {
        Self {
            input,
            since: 0,
            bytes: 0,
            lines: 0,
            is_within: false,
            began: None,
            is_quoted: false,
            is_line_ended: true,
            is_read: false,
        }
    }

    fn has_no_end(&self) -> bool {
        self.is_read && !self.is_line_ended
    }

    /// A row begins.
    fn begin(&mut self) {
        (self.since, self.began, self.is_quoted) = (0, None, false);
    }
}

impl Read for Held {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.since > MOST {
            return Err(io::Error::other("a row of more than a megabyte, as where a quote is left open"));
        }
        let there = self.input.fill_buf()?;
        let line = there.iter().position(|byte| *byte == b'\n').map_or(there.len(), |end| end + 1);
        let mut line = there.get(..line).unwrap_or_default();
        let read = line.read(buffer)?;
        if read > 0 {
            self.lines += u64::from(!self.is_within);
            let part = buffer.get(..read).unwrap_or_default();
            self.is_within = !part.ends_with(b"\n");
            self.is_line_ended = part.ends_with(b"\n") || part.ends_with(b"\r");
            self.is_quoted ^= part.iter().filter(|byte| **byte == b'"').count() % 2 == 1;
            let is_blank = part.iter().all(|byte| matches!(byte, b'\r' | b'\n'));
            self.began = self.began.or_else(|| (!is_blank).then_some(self.lines));
        }
        self.is_read = read == 0 && !buffer.is_empty();
        self.input.consume(read);
        (self.since, self.bytes) = (self.since + read as u64, self.bytes + read as u64);
        Ok(read)
    }
}
