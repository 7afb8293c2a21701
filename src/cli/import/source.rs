//! Where accounts are read from: lines, the elements of a list, rows of a CSV file or of a table.

use super::super::lines::Lines;
use super::rows::Rows;
use crate::credentials::import::elements::{Broken, Elements};
use crate::credentials::import::flask::Accounts;
use crate::credentials::import::{Format, HashConfig, Record, Refused, Role, guess};
use crate::db::foreign::{ForeignFile, Numbered};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _, Write as _};
use std::path::Path;
use std::vec::IntoIter;

/// Rows of a table that are read at once. Between two pages others may write.
const PAGE: u32 = 1000;

/// What a file is read from.
pub(super) type Input = Box<dyn BufRead>;

/// How the operator describes the file.
pub(super) struct Given {
    pub(super) format: Option<Format>,
    pub(super) table: Option<String>,
    pub(super) columns: Vec<(Role, String)>,
    pub(super) hash_config: Option<HashConfig>,
    pub(super) keep_without_password: bool,
}

/// What comes next: where it stands, and what it says.
pub(super) type Next = Option<(Number, Result<Record, Refused>)>;

/// Why nothing more can be read, and how many were read before, in what they are numbered by.
pub(super) type Stop = (String, u64);

/// The number of a line or a record, or SQLite's own of a row, which may be below zero.
pub(super) type Number = i64;

/// A file of accounts.
pub(super) struct Source {
    reader: Reader,
    format: Format,
    hash_config: Option<HashConfig>,
}

enum Reader {
    Lines(Lines<Input>),
    Elements(Elements<Input>),
    Rows(Box<Rows>),
    Table(Box<Table>),
}

struct Table {
    file: ForeignFile,
    accounts: Accounts,
    page: IntoIter<Numbered>,
    last: i64,
    read: u64,
}

/// The file, and its length where it has one.
pub(super) fn open(name: &str) -> io::Result<(Input, Option<u64>)> {
    if name == "-" {
        return Ok((Box::new(io::stdin().lock()), None));
    }
    let file = File::open(name)?;
    let length = file.metadata().ok().filter(std::fs::Metadata::is_file).map(|data| data.len());
    Ok((Box::new(BufReader::with_capacity(1 << 16, file)), length))
}

impl Source {
    /// Begins to read; the format is guessed where it is not given. Also how much there is, if that is known.
    pub(super) fn new(
        name: &str,
        (input, length): (Input, Option<u64>),
        given: Given,
    ) -> Result<(Self, Option<u64>), String> {
        let mut input = without_mark(input)?;
        let format = match given.format {
            Some(format) => format,
            None => guessed(name, input.fill_buf().map_err(|error| of_file(&error))?),
        };
        let (reader, length) = match format {
            Format::Jsonl => (Reader::Lines(Lines::new(input)), length),
            Format::Csv => (Rows::own(input, &given.columns, given.keep_without_password)?.into(), length),
            Format::Flask => Table::open(name, &given)?,
            Format::Keycloak | Format::Firebase => (Reader::Elements(Elements::new(input, "users")), length),
            Format::Auth0 | Format::Supabase => (of_first_byte(format, input)?, length),
        };
        Ok((Self { reader, format, hash_config: given.hash_config }, length))
    }

    /// What the numbers of [`Next`] count.
    pub(super) fn unit(&self) -> &'static str {
        match &self.reader {
            Reader::Lines(_) | Reader::Rows(_) => "line",
            Reader::Elements(_) => "record",
            Reader::Table(_) => "row",
        }
    }

    /// How much was read, and how many accounts or lines.
    pub(super) fn position(&self) -> (u64, u64) {
        match &self.reader {
            Reader::Lines(lines) => (lines.bytes(), lines.number()),
            Reader::Rows(rows) => rows.position(),
            Reader::Elements(elements) => (elements.bytes(), elements.number()),
            Reader::Table(table) => (table.read, table.read),
        }
    }

    /// The next account.
    pub(super) fn next(&mut self) -> Result<Next, String> {
        let (format, config) = (self.format, self.hash_config.as_ref());
        let next = match &mut self.reader {
            Reader::Lines(lines) => next_line(lines, |line| format.object(line, config)),
            Reader::Elements(elements) => match elements.advance() {
                Ok(element) => {
                    Ok(element.map(|(number, text)| (number.cast_signed(), format.object(text, config))))
                }
                Err(broken) => Err((broken.to_string(), elements.number())),
            },
            Reader::Rows(rows) => rows.next(),
            Reader::Table(table) => return table.next(),
        };
        next.map_err(|(why, after)| match after {
            0 => format!("the file: {why}"),
            number => format!("the file, after {} {number}: {why}", self.unit()),
        })
    }

    /// What the operator should look at when all was read.
    pub(super) fn doubt(&self) -> Option<&'static str> {
        match &self.reader {
            Reader::Rows(rows) if rows.has_no_end() => Some(
                "the file's last line has no newline. If the file was cut off there, the last column of its last account \
                is too short: delete that account then (claviger user delete), and import the whole file",
            ),
            _ => None,
        }
    }
}

/// The next line. The last one of a file that was cut off within it has no end, and begins an object without its end.
fn next_line(
    lines: &mut Lines<Input>,
    object: impl Fn(&[u8]) -> Result<Record, Refused>,
) -> Result<Next, Stop> {
    let before = lines.number();
    let (number, record, is_begun) = match lines.next() {
        Ok(Some((number, line))) => {
            let record = object(line);
            let is_begun = record.is_err() && is_begun(line);
            (number, record, is_begun)
        }
        Ok(None) => return Ok(None),
        Err(error) => return Err((error.to_string(), lines.number())),
    };
    if is_begun && !lines.has_end() {
        return Err((Broken::Cut.to_string(), before));
    }
    Ok(Some((number.cast_signed(), record)))
}

/// Whether it is JSON that goes on after its end.
fn is_begun(text: &[u8]) -> bool {
    serde_json::from_slice::<serde::de::IgnoredAny>(text).is_err_and(|error| error.is_eof())
}

impl From<Rows> for Reader {
    fn from(rows: Rows) -> Self {
        Self::Rows(Box::new(rows))
    }
}

/// Without the byte-order mark that some programs set before UTF-8.
///
/// # Errors
/// Where the file cannot be read, or where its mark is another encoding's.
fn without_mark(mut input: Input) -> Result<Input, String> {
    const MARK: &[u8] = b"\xef\xbb\xbf";
    let first = input.fill_buf().map_err(|error| of_file(&error))?.first().copied();
    let mut start = Vec::new();
    if matches!(first, Some(0xef | 0xfe | 0xff)) {
        let read = input.by_ref().take(MARK.len() as u64).read_to_end(&mut start);
        read.map_err(|error| of_file(&error))?;
    }
    match start.as_slice() {
        [] | MARK => Ok(input),
        [0xfe, 0xff, ..] | [0xff, 0xfe, ..] => Err("the file: it is UTF-16: save it as UTF-8".to_owned()),
        _ => Ok(Box::new(io::Cursor::new(start).chain(input))),
    }
}

fn of_file(error: &io::Error) -> String {
    format!("the file: {error}")
}

/// The format that a file seems to have, told unless it is our own.
fn guessed(name: &str, start: &[u8]) -> Format {
    match guess(start) {
        Some((format, why)) => {
            if format != Format::Jsonl {
                tell(&format!("{name} is read as {}, since {why}; --from says otherwise", format.name()));
            }
            format
        }
        None => Format::Jsonl,
    }
}

fn tell(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// One list, an object on each line, or rows with a header.
fn of_first_byte(format: Format, mut input: Input) -> Result<Reader, String> {
    let start = input.fill_buf().map_err(|error| of_file(&error))?;
    match start.trim_ascii_start().first() {
        Some(b'[') => Ok(Reader::Elements(Elements::new(input, "users"))),
        Some(b'{') => Ok(Reader::Lines(Lines::new(input))),
        _ if format == Format::Supabase => Ok(Rows::supabase(input)?.into()),
        _ => Err("the file: it must be a list or lines of JSON objects".to_owned()),
    }
}

impl Table {
    fn open(name: &str, given: &Given) -> Result<(Reader, Option<u64>), String> {
        if name == "-" {
            return Err("a SQLite file cannot come from standard input: name it".to_owned());
        }
        let named = |why: String| format!("{name}: {why}");
        let file = ForeignFile::open(Path::new(name)).map_err(named)?;
        let tables = file.tables().map_err(named)?;
        let accounts = Accounts::find(&tables, given.table.as_deref(), &given.columns).map_err(named)?;
        tell(&format!("{name}: {accounts}"));
        if !file.is_numbered(&accounts.table).map_err(named)? {
            return Err(format!(
                "{name}: table {table} is WITHOUT ROWID. In a copy of the file make another one by CREATE TABLE copied AS SELECT * FROM {table}, and import that with --table copied",
                table = accounts.table
            ));
        }
        // Of a damaged table what can be read is imported, however much that is.
        let count = file.count(&accounts.table).ok();
        let table = Self { file, accounts, page: Vec::new().into_iter(), last: i64::MIN, read: 0 };
        Ok((Reader::Table(Box::new(table)), count))
    }

    fn next(&mut self) -> Result<Next, String> {
        if self.page.as_slice().is_empty() {
            let Accounts { table, columns, .. } = &self.accounts;
            let page = self.file.page(table, columns, self.last, PAGE);
            let at = |why| match self.read {
                0 => format!("table {table}: {why}"),
                _ => format!("table {table}, after row {}: {why}", self.last),
            };
            self.page = page.map_err(at)?.into_iter();
        }
        Ok(self.page.next().map(|(number, cells)| {
            (self.last, self.read) = (number, self.read + 1);
            (number, self.accounts.record(cells))
        }))
    }
}
