//! When accounts were made, as other systems write it.

use super::Refused;
use crate::base::time::Timestamp;
use serde_json::Value;

/// RFC 3339.
pub(super) fn strict(text: &str) -> Result<Timestamp, Refused> {
    Timestamp::parse(text).ok_or(Refused::Moment)
}

/// RFC 3339 or what databases write: a space for the T, an offset of hours alone, or none, which is UTC, or no time
/// of the day; or seconds since 1970, or milliseconds.
pub(super) fn loose(text: &str) -> Result<Timestamp, Refused> {
    let text = text.trim();
    if let Ok(number) = text.parse::<i64>() {
        return Ok(number_of(number));
    }
    let (day, rest) = text.split_at_checked(10).ok_or(Refused::Moment)?;
    let rest = rest.trim_start_matches([' ', 'T', 't']);
    let rest = if rest.is_empty() { "00:00:00" } else { rest };
    let (time, offset) = rest.find(['+', '-', 'Z', 'z']).map_or((rest, "Z"), |at| rest.split_at(at));
    let (offset, minutes) = (offset.trim(), if offset.trim().len() == 3 { ":00" } else { "" });
    strict(&format!("{day}T{}{offset}{minutes}", time.trim()))
}

/// A text or a number.
pub(super) fn of_json(value: &Value) -> Result<Timestamp, Refused> {
    match value {
        Value::String(text) => loose(text),
        Value::Number(number) => number.as_i64().map(number_of).ok_or(Refused::Moment),
        _ => Err(Refused::Moment),
    }
}

/// Seconds since 1970; milliseconds where seconds would be after the year 5000.
pub(super) fn number_of(number: i64) -> Timestamp {
    if number.unsigned_abs() < 100_000_000_000 {
        Timestamp::from_seconds(number)
    } else {
        Timestamp::from_micros(number.saturating_mul(1000))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            assert_eq!(loose(text), Ok(Timestamp::from_seconds(1_700_000_000)), "{text}");
        }
        assert_eq!(loose("2023-11-14"), Ok(Timestamp::from_seconds(1_699_920_000)));
        for text in [
            "",
            "yesterday",
            "2023-11-14 25:00:00",
            "14.11.2023 10:00",
            "2023-11-14 22:13:20+1",
            "é".repeat(9).as_str(),
        ] {
            assert_eq!(loose(text), Err(Refused::Moment), "{text}");
        }
    }
}
