//! The context of a trace as it travels in headers (W3C Trace Context).

use std::fmt;

/// The most bytes of `tracestate` that are passed on (§3.3.1.5 asks for 512 at least).
const MOST_STATE: usize = 512;

/// The id of a trace, never all zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceId(pub [u8; 16]);

/// The id of a span, never all zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpanId(pub [u8; 8]);

impl TraceId {
    /// Of random bytes.
    pub fn of(bytes: [u8; 16]) -> Self {
        Self(if bytes == [0; 16] { [1; 16] } else { bytes })
    }
}

impl SpanId {
    /// Of random bytes.
    pub fn of(bytes: [u8; 8]) -> Self {
        Self(if bytes == [0; 8] { [1; 8] } else { bytes })
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

/// A span that another program is in, as its headers say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    /// Its trace.
    pub trace: TraceId,
    /// Its span.
    pub span: SpanId,
    /// Whether it keeps its spans.
    pub sampled: bool,
    /// `tracestate`, for those after us; empty if there is none that makes sense.
    pub state: String,
}

impl Remote {
    /// Reads the headers of a request. Those that are malformed count as none, and begin a new trace (§4.3).
    pub fn of<'a>(
        parents: impl Iterator<Item = &'a [u8]>,
        states: impl Iterator<Item = &'a [u8]>,
    ) -> Option<Self> {
        let mut parents = parents;
        let parent = parents.next()?;
        if parents.next().is_some() {
            return None;
        }
        let (trace, span, sampled) = traceparent(parent)?;
        Some(Self { trace, span, sampled, state: tracestate(states) })
    }
}

/// `00-TRACE-SPAN-FLAGS`. A later version may have more behind it (§3.2.4).
fn traceparent(text: &[u8]) -> Option<(TraceId, SpanId, bool)> {
    let (own, rest) = text.split_at_checked(55)?;
    let [version @ .., b'-', _, _] = own else { return None };
    let (version, ids) = version.split_at_checked(2)?;
    let [version] = hex(version)?;
    if version == 0xff || (version == 0 && !rest.is_empty()) || rest.first().is_some_and(|next| *next != b'-')
    {
        return None;
    }
    let (trace, span) = ids.strip_prefix(b"-")?.split_at_checked(32)?;
    let (trace, span) = (hex(trace)?, hex(span.strip_prefix(b"-")?)?);
    let [flags] = hex(own.get(53..)?)?;
    (trace != [0; 16] && span != [0; 8]).then_some((TraceId(trace), SpanId(span), flags & 1 == 1))
}

/// Lower-case hexadecimal of exactly so many bytes.
fn hex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = text.as_chunks::<2>();
    let mut bytes = [0; N];
    if pairs.len() != N || !rest.is_empty() {
        return None;
    }
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}

/// The members of all `tracestate` headers in their order (§3.3); nothing if one of them makes no sense.
fn tracestate<'a>(headers: impl Iterator<Item = &'a [u8]>) -> String {
    let mut members: Vec<&str> = Vec::new();
    for header in headers {
        let Ok(text) = std::str::from_utf8(header) else { return String::new() };
        members.extend(text.split(',').map(|member| member.trim_matches([' ', '\t'])));
    }
    members.retain(|member| !member.is_empty());
    let state = members.join(",");
    let is_good = members.len() <= 32 && members.iter().all(|member| is_member(member));
    if is_good && state.len() <= MOST_STATE { state } else { String::new() }
}

fn is_member(member: &str) -> bool {
    let Some((key, value)) = member.split_once('=') else { return false };
    let key_byte = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-*/@".contains(&byte);
    let value_byte = |byte: u8| (0x20..=0x7e).contains(&byte) && byte != b',' && byte != b'=';
    let starts = key.starts_with(|first: char| first.is_ascii_lowercase() || first.is_ascii_digit());
    starts
        && key.len() <= 256
        && key.bytes().all(key_byte)
        && value.len() <= 256
        && value.bytes().all(value_byte)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn of(parents: &[&str], states: &[&str]) -> Option<Remote> {
        Remote::of(parents.iter().map(|text| text.as_bytes()), states.iter().map(|text| text.as_bytes()))
    }

    #[test]
    fn a_trace_is_continued() {
        let remote = of(&[GOOD], &["rojo=00f067aa0ba902b7 ,", " congo=t61rcWkgMzE"]).unwrap();
        assert_eq!(remote.trace.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(remote.span.to_string(), "00f067aa0ba902b7");
        assert!(remote.sampled);
        assert_eq!(remote.state, "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE");
        assert!(!of(&[&GOOD.replace("-01", "-00")], &[]).unwrap().sampled);
        assert!(of(&[&GOOD.replace("-01", "-09")], &[]).unwrap().sampled, "other flags are not ours");
        assert!(of(&[&GOOD.replacen("00-", "cc-", 1)], &[]).is_some(), "a later version");
        assert!(of(&[&format!("{}-more", GOOD.replacen("00-", "cc-", 1))], &[]).is_some());
    }

    #[test]
    fn what_is_malformed_begins_a_new_trace() {
        let upper = GOOD.to_uppercase();
        for bad in [
            "",
            "00",
            upper.as_str(),
            &GOOD.replacen("00-", "ff-", 1),
            &format!("{GOOD}-more"),
            &format!("{GOOD} "),
            &format!("{}more", GOOD.replacen("00-", "cc-", 1)),
            &GOOD.replace("4bf92f3577b34da6a3ce929d0e0e4736", "00000000000000000000000000000000"),
            &GOOD.replace("00f067aa0ba902b7", "0000000000000000"),
            &GOOD.replace("-01", "-0x"),
            &GOOD.replace('-', "_"),
            &GOOD[1..],
        ] {
            assert_eq!(of(&[bad], &[]), None, "{bad}");
        }
        assert_eq!(of(&[GOOD, GOOD], &[]), None, "twice");
        assert_eq!(of(&[], &["a=b"]), None);
    }

    #[test]
    fn a_state_that_makes_no_sense_is_left_out() {
        let long = format!("a={}", "x".repeat(257));
        let many = (0..33).map(|number| format!("k{number}=v")).collect::<Vec<_>>().join(",");
        for bad in ["a", "A=b", "=b", "a=b=c", "a=\u{e4}", "a=b\u{7f}", &long, &many] {
            assert_eq!(of(&[GOOD], &[bad]).unwrap().state, "", "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(parent in proptest::collection::vec(any::<u8>(), 0..80), state in ".{0,60}") {
            let _ = Remote::of([parent.as_slice()].into_iter(), [state.as_bytes()].into_iter());
        }

        #[test]
        fn what_was_written_is_read(trace in any::<[u8; 16]>(), span in any::<[u8; 8]>(), sampled in any::<bool>()) {
            let (trace, span) = (TraceId::of(trace), SpanId::of(span));
            let text = format!("00-{trace}-{span}-0{}", u8::from(sampled));
            let expected = Some(Remote { trace, span, sampled, state: String::new() });
            prop_assert_eq!(of(&[&text], &[]), expected);
        }
    }
}
