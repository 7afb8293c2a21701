//! What is in a backup, found out as its rows go by: how much of what, and whether the keys and the audit trail in it
//! are good.

use super::Error;
use super::header::{Header, Trailer};
use crate::audit::{self, Verified, Walk};
use crate::base::time::Timestamp;
use crate::db::copy::Held;
use crate::keys;
use claviger_crypto::seal::MasterKey;

/// A signing key in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Its id.
    pub kid: String,
    /// The word for where it stands in its life.
    pub state: String,
    /// Whether the master key opens it; `None` without one.
    pub opens: Option<bool>,
}

/// What was found.
#[derive(Debug)]
pub struct Report {
    /// What the backup says of itself.
    pub header: Header,
    /// What its rows came to.
    pub trailer: Trailer,
    /// The sessions that were live when it was made.
    pub live_sessions: u64,
    /// Its signing keys.
    pub keys: Vec<Key>,
    /// Whether the database was begun with the master key; `None` without one, or where nothing was noted.
    pub tag_fits: Option<bool>,
    /// What became of walking the audit chain; `None` without a master key, or where it cannot be told.
    pub chain: Option<Verified>,
}

impl Report {
    /// How many rows a table has.
    pub fn rows(&self, table: &str) -> u64 {
        self.header.tables.iter().find(|known| known.name == table).map_or(0, |table| table.rows)
    }

    /// Makes sure that the master key is the one of this backup.
    ///
    /// # Errors
    /// [`keys::Error::Master`] if it is another.
    pub fn expect_key(&self) -> Result<(), Error> {
        let closed = self.keys.iter().find(|key| key.opens == Some(false));
        if closed.is_none() && self.tag_fits != Some(false) {
            return Ok(());
        }
        let what = closed.map_or("the database was begun with another one".to_owned(), |key| {
            format!("it does not open the signing key {}", key.kid)
        });
        Err(keys::Error::Master(format!(
            "this is not the master key of the backup: {what}. Name the one that the server had when it was made"
        ))
        .into())
    }
}

/// Looks at the rows that go by.
#[derive(Debug)]
pub struct Contents {
    made_at: Timestamp,
    master: Option<MasterKey>,
    live_sessions: u64,
    keys: Vec<Key>,
    tag_fits: Option<bool>,
    walk: Option<Walk>,
}

impl Contents {
    /// Of a backup with this header. Its own master key is taken, or else this one.
    pub fn new(header: &Header, master: Option<&MasterKey>) -> Self {
        let master = header.master_key.as_ref().or(master).cloned();
        let walk = master.as_ref().map(|master| Walk::new(audit::key(master)));
        Self { made_at: header.made_at, master, live_sessions: 0, keys: Vec::new(), tag_fits: None, walk }
    }

    /// Takes a row.
    pub fn row(&mut self, header: &Header, table: usize, row: &[Held]) {
        let Some(table) = header.tables.get(table) else { return };
        let column = |name: &str| {
            let place = table.columns.iter().position(|(column, _)| column == name)?;
            row.get(place)
        };
        match table.name.as_str() {
            "sessions" => self.session(column),
            "signing_keys" => self.key(column),
            "master_key" => self.tag(column),
            "audit_chain" => self.walk.iter_mut().for_each(|walk| walk.end(column)),
            "audit_events" => self.walk.iter_mut().for_each(|walk| walk.event(column)),
            _ => {}
        }
    }

    fn session<'a>(&mut self, column: impl Fn(&str) -> Option<&'a Held>) {
        let is_live = matches!(column("expires_at"), Some(Held::Int(at)) if *at > self.made_at.as_micros());
        self.live_sessions += u64::from(is_live && column("ended_at") == Some(&Held::Null));
    }

    fn key<'a>(&mut self, column: impl Fn(&str) -> Option<&'a Held>) {
        let (Some(Held::Text(kid)), Some(Held::Text(state)), Some(Held::Bytes(sealed))) =
            (column("kid"), column("state"), column("sealed_pkcs8"))
        else {
            return;
        };
        let opens = self.master.as_ref().map(|master| keys::flow::opens(master, kid, sealed));
        self.keys.push(Key { kid: kid.clone(), state: state.clone(), opens });
    }

    fn tag<'a>(&mut self, column: impl Fn(&str) -> Option<&'a Held>) {
        if let (Some(master), Some(Held::Bytes(tag))) = (&self.master, column("tag")) {
            self.tag_fits = Some(keys::flow::tag(master) == tag.as_slice());
        }
    }

    /// What all came to.
    pub fn finish(self, header: Header, trailer: Trailer) -> Report {
        let Self { live_sessions, keys, tag_fits, walk, .. } = self;
        Report { header, trailer, live_sessions, keys, tag_fits, chain: walk.and_then(Walk::finish) }
    }
}
