//! What a backup says of itself at its beginning and at its end.

use super::Error;
use crate::base::time::Timestamp;
use crate::db::copy::{Fingerprint, Kind};
use claviger_crypto::seal::MasterKey;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use zeroize::Zeroizing;

/// A table, as the header tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Its name.
    pub name: String,
    /// Its columns.
    pub columns: Vec<(String, Kind)>,
    /// How many rows it has.
    pub rows: u64,
}

/// What a backup begins with.
#[derive(Clone, Debug)]
pub struct Header {
    /// Which backup it is: no other has this id.
    pub id: Uuid,
    /// The moment that it shows, to the second.
    pub made_at: Timestamp,
    /// The version that made it.
    pub program: String,
    /// The engine that it was made of.
    pub engine: String,
    /// The number of its schema.
    pub schema: usize,
    /// The digest of the steps up to there.
    pub schema_digest: [u8; 32],
    /// The master key, unless it was left out.
    pub master_key: Option<MasterKey>,
    /// Its tables, each after those that it refers to.
    pub tables: Vec<Told>,
}

impl Default for Header {
    fn default() -> Self {
        Self {
            id: Uuid::nil(),
            made_at: Timestamp::from_seconds(0),
            program: String::new(),
            engine: String::new(),
            schema: 0,
            schema_digest: [0; 32],
            master_key: None,
            tables: Vec::new(),
        }
    }
}

/// What a backup ends with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trailer {
    /// What the rows of each table come to.
    pub sums: Vec<Fingerprint>,
    /// SHA-256 of all before.
    pub digest: [u8; 32],
}

#[derive(Serialize)]
struct Written<'a> {
    id: String,
    made_at: String,
    program: &'a str,
    engine: &'a str,
    schema: usize,
    schema_digest: String,
    master_key: Option<&'a str>,
    tables: Vec<WrittenTable<'a>>,
}

#[derive(Serialize)]
struct WrittenTable<'a> {
    name: &'a str,
    rows: u64,
    columns: Vec<(&'a str, &'static str)>,
}

#[derive(Deserialize)]
struct Read {
    id: String,
    made_at: String,
    program: String,
    engine: String,
    schema: usize,
    schema_digest: String,
    master_key: Option<SecretString>,
    tables: Vec<ReadTable>,
}

#[derive(Deserialize)]
struct ReadTable {
    name: String,
    rows: u64,
    columns: Vec<(String, String)>,
}

#[derive(Serialize)]
struct WrittenEnd<'a> {
    tables: Vec<WrittenSum<'a>>,
    sha256: String,
}

#[derive(Serialize)]
struct WrittenSum<'a> {
    name: &'a str,
    rows: u64,
    sum: String,
}

impl Header {
    /// As it is written.
    ///
    /// # Errors
    /// Only by a defect.
    pub fn to_json(&self) -> Result<Zeroizing<Vec<u8>>, Error> {
        let key = self.master_key.as_ref().map(MasterKey::to_text);
        let written = Written {
            id: self.id.to_string(),
            made_at: self.made_at.to_string(),
            program: &self.program,
            engine: &self.engine,
            schema: self.schema,
            schema_digest: hex(&self.schema_digest),
            master_key: key.as_ref().map(|key| key.as_str()),
            tables: self.tables.iter().map(WrittenTable::from).collect(),
        };
        // Large enough that it never moves and leaves a copy of the key behind.
        let mut out = Zeroizing::new(Vec::with_capacity(1 << 16));
        serde_json::to_writer(&mut *out, &written).map_err(|error| Error::Write(error.to_string()))?;
        Ok(out)
    }

    /// Reads it.
    ///
    /// # Errors
    /// If it is damaged.
    pub fn from_json(json: &[u8]) -> Result<Self, Error> {
        let damaged = |what: &str| Error::Damaged(format!("its header {what}"));
        let unreadable = |error: serde_json::Error| {
            // Not the error's own text: it may repeat a value.
            damaged(&format!("cannot be read, column {}", error.column()))
        };
        let read: Read = serde_json::from_slice(json).map_err(unreadable)?;
        let made_at = Timestamp::parse(&read.made_at).ok_or_else(|| damaged("has no time"))?;
        let key = read.master_key.map(|key| MasterKey::from_text(key.expose_secret()));
        if matches!(key, Some(None)) {
            return Err(damaged("has no readable master key"));
        }
        let tables = read.tables.into_iter().map(Told::try_from).collect::<Result<_, _>>();
        Ok(Self {
            id: Uuid::try_parse(&read.id).map_err(|_| damaged("has no id"))?,
            made_at,
            program: read.program,
            engine: read.engine,
            schema: read.schema,
            schema_digest: from_hex(&read.schema_digest).ok_or_else(|| damaged("has no digest"))?,
            master_key: key.flatten(),
            tables: tables.map_err(|()| damaged("has a column of an unknown kind"))?,
        })
    }

    /// What it says of itself, for people.
    pub fn name(&self) -> String {
        format!("{} of {}", self.id, self.made_at)
    }

    /// The rows of all tables.
    pub fn rows(&self) -> u64 {
        self.tables.iter().fold(0, |sum, table| sum.saturating_add(table.rows))
    }
}

impl<'a> From<&'a Told> for WrittenTable<'a> {
    fn from(table: &'a Told) -> Self {
        let columns = table.columns.iter().map(|(name, kind)| (name.as_str(), kind.name())).collect();
        Self { name: &table.name, rows: table.rows, columns }
    }
}

impl TryFrom<ReadTable> for Told {
    type Error = ();

    fn try_from(read: ReadTable) -> Result<Self, ()> {
        let kind = |name: &str| {
            [Kind::Text, Kind::Bytes, Kind::Uuid, Kind::Int].into_iter().find(|kind| kind.name() == name)
        };
        let column = |(name, held): (String, String)| Some((name, kind(&held)?));
        let columns = read.columns.into_iter().map(column).collect::<Option<_>>().ok_or(())?;
        Ok(Self { name: read.name, columns, rows: read.rows })
    }
}

impl Trailer {
    /// As it is written.
    ///
    /// # Errors
    /// Only by a defect.
    pub fn to_json(&self, header: &Header) -> Result<Vec<u8>, Error> {
        let tables = header.tables.iter().zip(&self.sums);
        let tables = tables.map(|(table, sum)| WrittenSum {
            name: &table.name,
            rows: sum.rows,
            sum: hex(&sum.to_bytes()),
        });
        let written = WrittenEnd { tables: tables.collect(), sha256: hex(&self.digest) };
        serde_json::to_vec(&written).map_err(|error| Error::Write(error.to_string()))
    }
}

/// Bytes as people compare them.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(text: &str) -> Option<[u8; 32]> {
    let mut out = [0; 32];
    let digits = text.as_bytes();
    if digits.len() != 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    for (byte, pair) in out.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(out)
}
