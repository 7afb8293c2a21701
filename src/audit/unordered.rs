//! Checking the chain of a trail whose events come in the order of their ids, as a backup holds them.
//!
//! That is nearly the order of the chain, so that few events wait for the one before them.

use super::chain::{End, Link, Side, Stored};
use super::flow::{Last, checked};
use super::{Broken, Verified};
use crate::base::time::Timestamp;
use crate::db::copy::Held;
use claviger_crypto::mac::MacKey;
use std::collections::BTreeMap;
use uuid::Uuid;

/// The most events that wait at once.
const MOST: usize = 50_000;

/// A walk along the chain. The rows of `audit_chain` come first.
#[derive(Debug)]
pub struct Walk {
    key: MacKey,
    anchor: Option<End>,
    head: Option<End>,
    /// How far the chain is whole; none before the first event.
    at: Option<Link>,
    waiting: BTreeMap<i64, Stored>,
    events: i64,
    sealed: i64,
    whole: u64,
    broken: Option<Broken>,
    /// Too many events would have to wait, or a row is not of this version's form.
    gave_up: bool,
}

impl Walk {
    /// Begins one by the key of [`super::key`].
    pub fn new(key: MacKey) -> Self {
        Self {
            key,
            anchor: None,
            head: None,
            at: None,
            waiting: BTreeMap::new(),
            events: 0,
            sealed: 0,
            whole: 0,
            broken: None,
            gave_up: false,
        }
    }

    /// Takes a row of `audit_chain`, by the names of its columns.
    pub fn end<'a>(&mut self, column: impl Fn(&str) -> Option<&'a Held>) {
        let (Some(Held::Text(name)), Some(Held::Int(place)), Some(Held::Bytes(mac))) =
            (column("name"), column("place"), column("mac"))
        else {
            self.gave_up = true;
            return;
        };
        let end = End { place: *place, mac: mac.clone() };
        match name.as_str() {
            name if name == Side::Head.name() => self.head = Some(end),
            name if name == Side::Anchor.name() => self.anchor = Some(end),
            _ => {}
        }
        self.gave_up |= self.at.is_some();
    }

    /// Takes a row of `audit_events` likewise.
    pub fn event<'a>(&mut self, column: impl Fn(&str) -> Option<&'a Held>) {
        if self.gave_up || self.broken.is_some() {
            return;
        }
        match stored(column) {
            Some(event) => self.broken = self.take(event).err(),
            None => self.gave_up = true,
        }
    }

    fn take(&mut self, event: Stored) -> Result<(), Broken> {
        let mut at = match self.at {
            Some(at) => at,
            None => checked(&self.key, Side::Anchor, self.anchor.as_ref())?.unwrap_or(Link::START),
        };
        self.events += 1;
        if let Some(place) = event.place {
            self.sealed += 1;
            self.waiting.insert(place, event);
        }
        while let Some(next) = self.waiting.remove(&at.place.saturating_add(1)) {
            at = at.follow(&self.key, &next)?;
            self.whole += 1;
        }
        self.at = Some(at);
        self.gave_up = self.waiting.len() > MOST;
        Ok(())
    }

    /// What came of it, once all rows were given. `None` if the events came in too wild an order to tell.
    pub fn finish(mut self) -> Option<Verified> {
        if self.gave_up {
            return None;
        }
        if self.broken.is_none() {
            self.broken = self.last().err();
        }
        let unsealed = u64::try_from(self.events - self.sealed).unwrap_or(0);
        Some(Verified { events: self.whole, unsealed, broken: self.broken })
    }

    fn last(&mut self) -> Result<(), Broken> {
        let anchor = checked(&self.key, Side::Anchor, self.anchor.as_ref())?.unwrap_or(Link::START);
        let at = self.at.unwrap_or(anchor);
        if let Some((_, event)) = self.waiting.pop_first() {
            at.follow(&self.key, &event)?;
        }
        let last = Last { head: self.head.take(), events: self.events, sealed: self.sealed };
        last.check(&self.key, anchor, at)
    }
}

fn stored<'a>(column: impl Fn(&str) -> Option<&'a Held>) -> Option<Stored> {
    let id = |name: &str| match column(name) {
        Some(Held::Uuid(id)) => Some(Some(*id)),
        Some(Held::Null) => Some(None::<Uuid>),
        _ => None,
    };
    let text = |name: &str| match column(name) {
        Some(Held::Text(text)) => Some(Some(text.clone())),
        Some(Held::Null) => Some(None),
        _ => None,
    };
    let bytes = |name: &str| match column(name) {
        Some(Held::Bytes(bytes)) => Some(Some(bytes.clone())),
        Some(Held::Null) => Some(None),
        _ => None,
    };
    let number = |name: &str| match column(name) {
        Some(Held::Int(number)) => Some(Some(*number)),
        Some(Held::Null) => Some(None),
        _ => None,
    };
    Some(Stored {
        id: id("id")??,
        at: Timestamp::from_micros(number("happened_at")??),
        event: text("event")??,
        outcome: text("outcome")??,
        request_id: id("request_id")??,
        detail: text("detail")?,
        account: id("account_id")?,
        personal: text("personal")?,
        salt: bytes("salt")?,
        commitment: bytes("commitment")??,
        place: number("place")?,
        mac: bytes("mac")?,
    })
}
