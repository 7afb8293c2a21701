//! When accounts were made, as other systems write it.

use super::Refused;
use crate::base::time::Timestamp;
use serde_json::Value;
use std::time::Duration;

/// How far the clocks on walls are ahead of UTC at most.
const FURTHEST_EAST: Duration = Duration::from_hours(14);

/// A moment as another system wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// What was written; as if in UTC where no offset was.
    pub written: Timestamp,
    /// Whether no offset was written, so that it may be any place's local time.
    is_local: bool,
}

impl Moment {
    /// When that was, as of `now`: a local time that is still to come was now at the latest. `None` if it is to come
    /// wherever it was written.
    pub fn before(self, now: Timestamp) -> Option<Timestamp> {
        let most = if self.is_local { now.plus(FURTHEST_EAST) } else { now };
        (self.written <= most).then(|| self.written.min(now))
    }
}

impl From<Timestamp> for Moment {
    fn from(written: Timestamp) -> Self {
        Self { written, is_local: false }
    }
}

/// RFC 3339; `field` is named where it is refused.
pub(super) fn strict(field: &'static str, text: &str) -> Result<Moment, Refused> {
    Timestamp::parse(text).map(Moment::from).ok_or(Refused::Moment(field))
}

/// RFC 3339 or what databases write: a space for the T, an offset of hours alone, or none, or no time of the day; or
/// seconds since 1970, or milliseconds.
pub(super) fn loose(field: &'static str, text: &str) -> Result<Moment, Refused> {
    let (text, wrong) = (text.trim(), Refused::Moment(field));
    if let Ok(number) = text.parse::<i64>() {
        return Ok(number_of(number));
    }
    let (day, rest) = text.split_at_checked(10).ok_or(wrong)?;
    let rest = rest.trim_start_matches([' ', 'T', 't']);
    let rest = if rest.is_empty() { "00:00:00" } else { rest };
    let (time, offset) = rest.find(['+', '-', 'Z', 'z']).map_or((rest, ""), |at| rest.split_at(at));
    let (offset, is_local) = (offset.trim(), offset.is_empty());
    let offset = if is_local { "Z" } else { offset };
    let minutes = if offset.len() == 3 { ":00" } else { "" };
    let moment = strict(field, &format!("{day}T{}{offset}{minutes}", time.trim()))?;
    Ok(Moment { is_local, ..moment })
}

/// A text or a number.
pub(super) fn of_json(field: &'static str, value: &Value) -> Result<Moment, Refused> {
    match value {
        Value::String(text) => loose(field, text),
        Value::Number(number) => number.as_i64().map(number_of).ok_or(Refused::Moment(field)),
        _ => Err(Refused::Moment(field)),
    }
}

/// Seconds since 1970; milliseconds where seconds would be after the year 5000.
pub(super) fn number_of(number: i64) -> Moment {
    Moment::from(if number.unsigned_abs() < 100_000_000_000 {
        Timestamp::from_seconds(number)
    } else {
        Timestamp::from_micros(number.saturating_mul(1000))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> Result<Timestamp, Refused> {
        loose("created_at", text).map(|moment| moment.written)
    }

    #[test]
    fn a_local_time_that_seems_to_come_was_now() {
        let now = Timestamp::from_seconds(1_700_000_000); // 2023-11-14T22:13:20Z
        let hour = Timestamp::from_seconds(1_699_996_400);
        for (text, then) in [
            ("2023-11-14 21:13:20", Some(hour)),
            ("2023-11-15 07:13:20", Some(now)),
            ("2023-11-15T12:13:20", Some(now)),
            ("2023-11-15", Some(now)),
            ("2023-11-15 12:13:21", None),
            ("2023-11-15 07:13:20+09", Some(now)),
            ("2023-11-15 07:13:21+09", None),
            ("2023-11-14T22:13:21Z", None),
            ("1700000001", None),
        ] {
            assert_eq!(loose("created_at", text).map(|moment| moment.before(now)), Ok(then), "{text}");
        }
    }

    #[test]
    fn moments_as_databases_write_them() {
        for text in [
            "2023-11-14T22:13:20Z",
            "2023-11-14 22:13:20",
            "2023-11-14 22:13:20.000000",
            "2023-11-14T22:13:20",
            "2023-11-14 22:13:20+00",
            "2023-11-14 23:13:20+01",
            "2023-11-14 23:13:20.000+01:00",
            "1700000000",
            "1700000000000",
            " 2023-11-14 22:13:20 ",
        ] {
            assert_eq!(written(text), Ok(Timestamp::from_seconds(1_700_000_000)), "{text}");
        }
        assert_eq!(written("2023-11-14"), Ok(Timestamp::from_seconds(1_699_920_000)));
        for text in [
            "",
            "yesterday",
            "2023-11-14 25:00:00",
            "14.11.2023 10:00",
            "2023-11-14 22:13:20+1",
            "é".repeat(9).as_str(),
        ] {
            assert_eq!(written(text), Err(Refused::Moment("created_at")), "{text}");
        }
    }
}
