//! The rules of the chain: what the seal of an event covers, and when one event follows another.
//!
//! The seal of an event is a MAC over the one before it, the place and the event. The ends of the chain are
//! proven by MACs of their own: the last seal alone stands in its event's row, so whoever can write to the
//! database could call any event the last.

use super::{Broken, Entry, Personal};
use crate::base::time::Timestamp;
use crate::db;
use claviger_crypto::mac::MacKey;
use uuid::Uuid;

/// A row of the trail.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) id: Uuid,
    pub(crate) at: Timestamp,
    pub(crate) event: String,
    pub(crate) outcome: String,
    pub(crate) request_id: Uuid,
    pub(crate) detail: Option<String>,
    pub(crate) account: Option<Uuid>,
    pub(crate) personal: Option<String>,
    pub(crate) salt: Option<Vec<u8>>,
    pub(crate) commitment: Vec<u8>,
    pub(crate) place: Option<i64>,
    pub(crate) mac: Option<Vec<u8>>,
}

/// The two ends of the stored chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// What was sealed last.
    Head,
    /// What was cut off last, by age.
    Anchor,
}

impl Side {
    /// The name of its row.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Head => "head",
            Self::Anchor => "anchor",
        }
    }

    /// What its proof is for: neither end can be passed off as the other.
    fn purpose(self) -> &'static [u8] {
        match self {
            Self::Head => b"audit-head",
            Self::Anchor => b"audit-anchor",
        }
    }
}

/// The row of an end.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) place: i64,
    pub(crate) mac: Vec<u8>,
}

/// A place in the chain and the seal of all up to there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) place: i64,
    pub(crate) mac: [u8; 32],
}

impl Link {
    /// Before the first event.
    pub(crate) const START: Self = Self { place: 0, mac: [0; 32] };

    /// The link that seals `event` behind this one.
    pub(crate) fn seal(&self, key: &MacKey, event: &Stored) -> Self {
        let place = self.place.saturating_add(1);
        let detail = event.detail.as_deref();
        let mac = key.tag(&[
            b"audit-event",
            &self.mac,
            &place.to_be_bytes(),
            event.id.as_bytes(),
            &event.at.as_micros().to_be_bytes(),
            event.event.as_bytes(),
            event.outcome.as_bytes(),
            event.request_id.as_bytes(),
            &[u8::from(detail.is_some())],
            detail.unwrap_or_default().as_bytes(),
            &event.commitment,
        ]);
        Self { place, mac }
    }

    /// The link of a stored event, if it follows this one and nothing about it was changed.
    pub(crate) fn follow(&self, key: &MacKey, event: &Stored) -> Result<Self, Broken> {
        let next = self.seal(key, event);
        let broken = |why: &str| Err(Broken { place: next.place, why: why.into() });
        match event.place {
            Some(place) if place == next.place => {}
            Some(place) if place > next.place => {
                return match place - next.place {
                    1 => broken("an event is missing"),
                    missing => broken(&format!("{missing} events are missing")),
                };
            }
            _ => return broken("an event was put in before it"),
        }
        if event.mac.as_deref() != Some(next.mac.as_slice()) {
            return broken("the event was changed, or was sealed under another master key");
        }
        match personal_part(event) {
            Ok(()) => Ok(next),
            Err(why) => broken(why),
        }
    }

    /// The row of this link as an end: the seal, and behind it the proof that we made it the end.
    pub(crate) fn as_end(&self, key: &MacKey, side: Side) -> End {
        let proof = key.tag(&[side.purpose(), &self.place.to_be_bytes(), &self.mac]);
        End { place: self.place, mac: [self.mac, proof].concat() }
    }

    /// Reads the row of an end, if it was made by [`Link::as_end`] for this side.
    pub(crate) fn from_end(key: &MacKey, side: Side, end: &End) -> Result<Self, Broken> {
        let link = Self { place: end.place, mac: end.mac.first_chunk().copied().unwrap_or_default() };
        if link.as_end(key, side).mac == end.mac {
            return Ok(link);
        }
        let what = match side {
            Side::Head => "the mark of the last event",
            Side::Anchor => "the mark of what was removed by age",
        };
        let why = format!("{what} was changed, or was made under another master key");
        Err(Broken { place: end.place, why })
    }
}

/// What the chain covers of the personal part: its digest, salted so that nobody can guess what it was.
pub(crate) fn commitment(salt: &[u8; 16], personal: &str) -> [u8; 32] {
    claviger_crypto::sha256(&[salt, personal.as_bytes()].concat())
}

/// Whether the personal part is what was written, or erased altogether.
fn personal_part(event: &Stored) -> Result<(), &'static str> {
    let Some(personal) = &event.personal else {
        let erased = event.salt.is_none() && event.account.is_none();
        return if erased { Ok(()) } else { Err("the personal part of the event is half erased") };
    };
    let salt = event.salt.as_ref().and_then(|salt| salt.as_slice().try_into().ok());
    let covered = salt.is_some_and(|salt| commitment(salt, personal) == event.commitment.as_slice());
    let account = serde_json::from_str(personal).map(|personal: Personal| personal.account);
    if covered && account.is_ok_and(|account| account == event.account.map(|id| id.to_string())) {
        Ok(())
    } else {
        Err("the personal part of the event was changed")
    }
}

impl Stored {
    /// The form that is given out.
    pub(crate) fn entry(self) -> Result<Entry, db::Error> {
        let personal = self.personal.as_deref().map(serde_json::from_str).transpose();
        Ok(Entry {
            id: self.id,
            at: self.at,
            event: self.event,
            outcome: self.outcome,
            request_id: self.request_id,
            detail: self.detail,
            personal: personal.map_err(|error| db::Error::Corrupt(format!("personal: {error}")))?,
            place: self.place,
        })
    }
}
