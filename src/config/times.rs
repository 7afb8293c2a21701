//! The settings that are times: how long tokens, sessions, keys and records live.

use super::resolve::Resolver;
use crate::base::time::{format_duration, parse_duration};
use std::time::Duration;

const DAY: u64 = 86400;

impl Resolver<'_> {
    pub(super) fn access_token_ttl(&mut self, dev: bool) -> Duration {
        self.time("access_token_ttl", if dev { 3600 } else { 900 }, 1, DAY, "90s, 15m or 1h")
    }

    /// How long a session lives unused, and at most.
    pub(super) fn sessions(&mut self) -> (Duration, Duration) {
        let idle = self.time("session_idle_ttl", 30 * DAY, 60, 400 * DAY, "15m, 12h or 30d");
        let most = self.time("session_ttl", 90 * DAY, 60, 400 * DAY, "12h, 30d or 90d");
        if idle > most && self.raw.get("session_idle_ttl").is_some() {
            self.faults.push(self.raw.fault(
                "session_idle_ttl",
                "a session cannot be unused for longer than session_ttl lets it live",
                "Lower it, or raise session_ttl",
            ));
        }
        (idle.min(most), most)
    }

    pub(super) fn key_rotation(&mut self) -> Duration {
        self.time("key_rotation", 90 * DAY, 5, 1000 * DAY, "24h, 30d or 90d")
    }

    pub(super) fn audit_retention(&mut self) -> Duration {
        self.time("audit_retention", 365 * DAY, DAY, 3650 * DAY, "30d, 90d or 365d")
    }

    pub(super) fn drain_delay(&mut self) -> Duration {
        self.time("drain_delay", 5, 0, 300, "0s, 5s or 30s")
    }

    /// A time between these, in seconds.
    fn time(&mut self, key: &str, default: u64, least: u64, most: u64, examples: &str) -> Duration {
        let [default, least, most] = [default, least, most].map(Duration::from_secs);
        let within = |text: &str| parse_duration(text).filter(|time| (least..=most).contains(time));
        let what = format!("it is not a time from {} to {}", format_duration(least), format_duration(most));
        self.value(key, || default, within, &what, &format!("Write it like {examples}"))
    }
}

#[cfg(test)]
mod tests {
    use crate::config::raw::{self, Raw, Source};
    use crate::config::resolve;

    /// The days that a session lives unused, and at most; `None` if that is a fault.
    fn sessions(written: &[(&str, &str)]) -> Option<(u64, u64)> {
        let mut raw = Raw::default();
        for (key, value) in written {
            raw::find(key).into_iter().for_each(|setting| raw.set(setting, value, Source::Flag));
        }
        let config = resolve(&raw).ok()?;
        Some((config.session_idle_ttl.as_secs() / 86400, config.session_ttl.as_secs() / 86400))
    }

    #[test]
    fn a_session_is_never_idle_for_longer_than_it_lives() {
        assert_eq!(sessions(&[]), Some((30, 90)));
        assert_eq!(sessions(&[("session_ttl", "7d")]), Some((7, 7)), "the default gives way");
        assert_eq!(sessions(&[("session_idle_ttl", "200d")]), None, "raise session_ttl too");
        assert_eq!(sessions(&[("session_idle_ttl", "7d"), ("session_ttl", "7d")]), Some((7, 7)));
        assert_eq!(sessions(&[("session_idle_ttl", "8d"), ("session_ttl", "7d")]), None);
    }
}
