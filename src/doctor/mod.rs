//! What is wrong with an installation, why that matters, and the command that mends it.
//!
//! Facts are gathered first, by `gather/`, within a time limit and changing nothing. Each check of [`CHECKS`] is then
//! a rule in `rules/`: from facts to findings, without a look of its own. Reports and reference are made from the
//! table.

mod call;
mod facts;
mod gather;
pub(crate) mod rate;
mod rules;

pub use call::{Call, Flag};
pub use gather::gather;
pub use gather::own::{ask_own, within_reach};

use crate::base::time::Timestamp;
use facts::Facts;
use rules::{
    certificate, clock, database, disk, folder, hash, issuer, keys, master, proxy, schema, server, settings,
};
use serde_json::{Value, json};

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Good to know.
    Info,
    /// It may become a fault, or is one in some installations.
    Warning,
    /// It is a fault now.
    Error,
}

impl Level {
    /// The word that is shown.
    pub fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// What mends a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mend {
    /// In words, where a command alone does not say it.
    pub text: Option<String>,
    /// A command line for a shell, if one does it.
    pub command: Option<String>,
}

/// One thing that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub level: Level,
    /// What was found.
    pub what: String,
    /// Why it matters.
    pub why: &'static str,
    /// What to do.
    pub mend: Mend,
}

/// A finding that is mended by a command, and perhaps more.
fn finding(level: Level, what: impl Into<String>, why: &'static str, mend: Mend) -> Finding {
    Finding { level, what: what.into(), why, mend }
}

/// By this command.
fn run(command: impl Into<String>) -> Mend {
    Mend { text: None, command: Some(command.into()) }
}

/// By hand, in these words.
fn by_hand(text: impl Into<String>) -> Mend {
    Mend { text: Some(text.into()), command: None }
}

impl Mend {
    /// With words that stand before the command.
    fn after(self, text: impl Into<String>) -> Self {
        Self { text: Some(text.into()), ..self }
    }
}

/// What came of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All is well; what was seen.
    Fine(String),
    /// These were found.
    Found(Vec<Finding>),
    /// It could not be looked at; why.
    Unknown(String),
    /// It does not concern this installation, or was not asked for; why.
    Skipped(String),
}

impl Outcome {
    /// What was found, or that all is well.
    fn of(findings: Vec<Finding>, fine: impl Into<String>) -> Self {
        if findings.is_empty() { Self::Fine(fine.into()) } else { Self::Found(findings) }
    }

    /// The word that is shown.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Fine(_) => "fine",
            Self::Found(_) => "found",
            Self::Unknown(_) => "unknown",
            Self::Skipped(_) => "skipped",
        }
    }
}

/// One check.
#[derive(Debug)]
pub struct Check {
    /// Its name, which stays.
    pub id: &'static str,
    /// What it looks at.
    pub about: &'static str,
    rule: fn(&Facts) -> Outcome,
}

const fn check(id: &'static str, about: &'static str, rule: fn(&Facts) -> Outcome) -> Check {
    Check { id, about, rule }
}

/// All checks, in the order of the report.
#[rustfmt::skip]
pub const CHECKS: &[Check] = &[
    check("settings-dev", "`--dev` is for trying things out: no listener for others, no https issuer", settings::dev),
    check("settings-limits", "Requests and wrong passwords are limited", settings::limits),
    check("settings-lives", "Tokens, sessions, keys and records live for usual times", settings::lives),
    check("settings-files", "There may be as many open files as `max_connections` asks for", settings::files),
    check("settings-audit", "Whether each refresh is in the audit trail, with many sessions", settings::audit),
    check("folder-access", "Nobody but its owner can look into the data folder and its files", folder::access),
    check("folder-owner", "The files of the data folder belong to the folder's owner, who runs the server", folder::owner),
    check("folder-place", "The data folder is on a disk of this machine, and no link leads its files elsewhere", folder::place),
    check("disk-space", "There is room for the WAL, a checkpoint and a backup", disk::space),
    check("disk-inodes", "The file system can take more files", disk::inodes),
    check("wal", "No reader keeps SQLite's WAL from going into the database", disk::wal),
    check("master-key", "The master key is there, well-formed, and nobody else's to read", master::file),
    check("master-key-same", "It is the one that the database was begun with, and opens the signing keys", master::same),
    check("master-key-place", "Whether the master key is kept apart from the database", master::place),
    check("schema", "The database has the schema of this program, and is no half copy", schema::standing),
    check("database", "The database answers, in a version and with settings that keep what is acknowledged", database::setup),
    check("database-connections", "PostgreSQL has connections left for the servers", database::connections),
    check("database-tls", "The way to PostgreSQL is encrypted where it leaves this machine", database::tls),
    check("database-intact", "`--deep`: SQLite's own check of its file", schema::intact),
    check("audit-trail", "`--deep`: the audit trail is as it was written", schema::audit),
    check("clock-database", "The clocks of this machine and of the database server agree", clock::database),
    check("clock-issuer", "The clocks of this machine and of whoever answers for the issuer agree", clock::issuer),
    check("clock-set-back", "Nothing in the database happened in the future", clock::set_back),
    check("keys-active", "There is a key that signs", keys::active),
    check("keys-schedule", "Keys are rotated in time, and a next key is published", keys::schedule),
    check("keys-strength", "All published RSA keys have 2048 bits or more", keys::strength),
    check("keys-earlier", "Keys of the server before verify for a limited time", keys::earlier),
    check("hash-cost", "Passwords are hashed no cheaper than OWASP's least, in memory that there is", hash::cost),
    check("hash-rate", "Those who wait in a full `hash_queue` get their hash within 5 s", hash::rate),
    check("server-running", "Whether a server has the data folder, answers, and is ready", server::running),
    check("server-version", "The running server is of this program's version, and not of a replaced file", server::version),
    check("issuer-https", "The issuer is an https URL, or of this machine alone", issuer::https),
    check("issuer-reachable", "The issuer's URL leads to a server from here", issuer::reachable),
    check("issuer-keys", "The JWK set at the issuer is the one of this database", issuer::keys),
    check("issuer-certificate", "The issuer's TLS certificate is valid for 14 days and more", certificate::valid),
    check("issuer-redirect", "Plain http at the issuer's host leads to https, or nowhere", issuer::redirect),
    check("issuer-headers", "The issuer sends HSTS, and no proxy takes headers away or adds to CORS", issuer::headers),
    check("proxy-address", "The proxy in front tells the client's address, and clients cannot choose it", proxy::address),
];

/// What came of all checks.
#[derive(Debug)]
pub struct Report {
    at: Timestamp,
    outcomes: Vec<(&'static Check, Outcome)>,
}

impl Report {
    /// Lets all checks but those that are to be left out look at the facts.
    pub fn new(facts: &Facts, skip: &[String]) -> Self {
        let outcome = |check: &'static Check| {
            if skip.iter().any(|id| id == check.id) {
                return (check, Outcome::Skipped("left out by --skip".into()));
            }
            (check, (check.rule)(facts))
        };
        Self { at: facts.now, outcomes: CHECKS.iter().map(outcome).collect() }
    }

    /// The checks with what came of them, in the order of the table.
    pub fn outcomes(&self) -> &[(&'static Check, Outcome)] {
        &self.outcomes
    }

    /// All findings with their checks, the worst first.
    pub fn findings(&self) -> Vec<(&'static Check, &Finding)> {
        let all = self.outcomes.iter().flat_map(|(check, outcome)| match outcome {
            Outcome::Found(findings) => findings.iter().map(|finding| (*check, finding)).collect(),
            Outcome::Fine(_) | Outcome::Unknown(_) | Outcome::Skipped(_) => Vec::new(),
        });
        let mut all: Vec<_> = all.collect();
        all.sort_by_key(|(_, finding)| std::cmp::Reverse(finding.level));
        all
    }

    /// How many findings are of this level.
    pub fn count(&self, level: Level) -> usize {
        self.findings().iter().filter(|(_, finding)| finding.level == level).count()
    }

    /// How many checks ended so.
    pub fn ended(&self, name: &str) -> usize {
        self.outcomes.iter().filter(|(_, outcome)| outcome.name() == name).count()
    }

    /// The stable form for programs; docs/doctor.md describes it.
    pub fn json(&self) -> Value {
        let findings = self.findings().into_iter().map(|(check, finding)| {
            let Finding { level, what, why, mend } = finding;
            let mend = json!({"text": mend.text, "command": mend.command});
            json!({"check": check.id, "level": level.name(), "what": what, "why": why, "mend": mend})
        });
        let checks = self.outcomes.iter().map(|(check, outcome)| {
            let said = match outcome {
                Outcome::Fine(said) | Outcome::Unknown(said) | Outcome::Skipped(said) => Some(said),
                Outcome::Found(_) => None,
            };
            json!({"check": check.id, "outcome": outcome.name(), "said": said})
        });
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "at": self.at.to_string(),
            "errors": self.count(Level::Error),
            "warnings": self.count(Level::Warning),
            "findings": findings.collect::<Vec<_>>(),
            "checks": checks.collect::<Vec<_>>(),
        })
    }
}

/// A word as a shell takes it. What a terminal would act on is written by its bytes, as bash and POSIX 2024 read it.
pub fn shell_word(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:,@%+=".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.to_owned();
    }
    let is_shown = |c: char| c.is_ascii_graphic() || c.escape_debug().len() == 1;
    if text.chars().all(is_shown) {
        return format!("'{}'", text.replace('\'', "'\\''"));
    }
    let byte = |byte: u8| match byte {
        b'\\' | b'\'' => format!("\\{}", char::from(byte)),
        b' '..=b'~' => char::from(byte).to_string(),
        _ => format!("\\{byte:03o}"),
    };
    format!("$'{}'", text.bytes().map(byte).collect::<String>())
}

/// The table of checks in Markdown, for the manual.
pub fn reference() -> String {
    let rows = CHECKS.iter().map(|check| format!("| `{}` | {} |\n", check.id, check.about));
    std::iter::once("| check | what it looks at |\n|---|---|\n".to_owned()).chain(rows).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_healthy_installation_has_no_findings() {
        let report = Report::new(&Facts::healthy(), &[]);
        assert!(report.findings().is_empty(), "{report:#?}");
        assert_eq!(report.ended("unknown"), 0, "{report:#?}");
        assert_eq!(report.ended("fine") + report.ended("skipped"), CHECKS.len());
    }

    #[test]
    fn words_are_safe_in_a_shell() {
        for (text, word) in [
            ("/var/lib/x", "/var/lib/x"),
            ("", "''"),
            ("a b", "'a b'"),
            ("it's;$x", "'it'\\''s;$x'"),
            ("a\\b", "'a\\b'"),
            ("a\n'\u{1b}\\", "$'a\\012\\'\\033\\\\'"),
            ("\u{202e}", "$'\\342\\200\\256'"),
        ] {
            assert_eq!(shell_word(text), word);
        }
    }

    #[test]
    fn checks_have_names_of_their_own() {
        let mut ids: Vec<_> = CHECKS.iter().map(|check| check.id).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), CHECKS.len());
    }

    #[test]
    fn what_is_left_out_finds_nothing() {
        let mut facts = Facts::healthy();
        facts.folder.dir.mode = 0o755;
        assert_eq!(Report::new(&facts, &[]).findings().len(), 1);
        assert!(Report::new(&facts, &["folder-access".into()]).findings().is_empty());
    }
}
