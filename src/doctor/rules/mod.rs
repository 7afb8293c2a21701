//! The rules: each from facts to findings.

pub(super) mod certificate;
pub(super) mod clock;
pub(super) mod database;
pub(super) mod disk;
pub(super) mod folder;
pub(super) mod hash;
pub(super) mod issuer;
pub(super) mod keys;
pub(super) mod master;
pub(super) mod proxy;
pub(super) mod schema;
pub(super) mod server;
pub(super) mod settings;

use super::{Mend, run};
use crate::base::time::Timestamp;
use crate::doctor::facts::Facts;
use std::path::Path;
use std::time::Duration;

/// A path as a shell takes it.
fn quoted(path: &Path) -> String {
    crate::doctor::shell_word(&path.display().to_string())
}

/// A start of the server, or another one: by systemd where that runs it, or by hand with more flags.
fn start(facts: &Facts, flag: &str) -> Mend {
    match &facts.unit {
        Some(unit) => run(format!("systemctl restart {}", crate::doctor::shell_word(unit))),
        None if flag.is_empty() => run(facts.command("serve")),
        None => run(facts.command(&format!("serve {flag}"))),
    }
}

/// A backup brought back to where the settings say. What it is called and what opens it, nobody knows here.
fn restored(facts: &Facts) -> String {
    facts.command("backup restore BACKUP.age")
}

/// What a restore needs besides where no passphrase opens the backup.
const IDENTITY: &str = "with --identity FILE if the backup is sealed for a recipient";

/// By another setting, and a restart.
fn set(facts: &Facts, key: &str, value: &str) -> Mend {
    let flag = format!("--{} {}", key.replace('_', "-"), crate::doctor::shell_word(value));
    start(facts, &flag).after(format!("Set {} and start the server again", setting(facts, key, value)))
}

/// A setting as its file has it, and where that is if flags are not what the server is started with.
fn setting(facts: &Facts, key: &str, value: &str) -> String {
    let is_bare = value.parse::<u64>().is_ok() || matches!(value, "true" | "false");
    let line = if is_bare { format!("{key} = {value}") } else { format!("{key} = \"{value}\"") };
    match (&facts.unit, &facts.call.file) {
        (None, _) => line,
        (Some(_), Some(file)) => format!("{line} in {}", file.display()),
        (Some(unit), None) => format!("{line} where the unit {unit} has the server's settings,"),
    }
}

/// Bytes in the largest unit that they fill.
fn size(bytes: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match UNITS.into_iter().find(|(unit, _)| bytes >= *unit) {
        Some((unit, name)) => {
            let tenths = u128::from(bytes) * 10 / u128::from(unit);
            format!("{}.{} {name}", tenths / 10, tenths % 10)
        }
        None => format!("{bytes} bytes"),
    }
}

/// A time in the largest unit of which there are two.
fn time(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let units = [(86400, "days"), (3600, "hours"), (60, "minutes")];
    match units.into_iter().find(|(length, _)| seconds >= 2 * length) {
        Some((length, name)) => format!("{} {name}", seconds / length),
        None if seconds >= 10 => format!("{seconds} seconds"),
        None => format!("{:.1} seconds", duration.as_secs_f64()),
    }
}

/// Whether one moment is before or behind another, in words.
fn ahead(one: Timestamp, other: Timestamp) -> &'static str {
    if one >= other { "ahead" } else { "behind" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_are_for_people() {
        assert_eq!(
            [0, 1023, 1536, 5 << 20, 3 << 30].map(size).join(" "),
            "0 bytes 1023 bytes 1.5 KiB 5.0 MiB 3.0 GiB"
        );
        let said = [1.26, 59.0, 119.0, 120.0, 7199.0, 172_800.0].map(|s| time(Duration::from_secs_f64(s)));
        assert_eq!(said.join(", "), "1.3 seconds, 59 seconds, 119 seconds, 2 minutes, 119 minutes, 2 days");
    }
}
