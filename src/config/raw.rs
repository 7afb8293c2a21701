//! The settings as they may be written: each is declared once, here; its flag, its environment
//! variable, its key in `claviger.toml` and its help are derived from that.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

/// One setting.
#[derive(Debug)]
pub struct Setting {
    /// Its key in `claviger.toml`; the flag and the variable are made from it.
    pub key: &'static str,
    /// The form of its value for the help; empty for a switch.
    pub value: &'static str,
    /// What holds where nothing is set, for the help.
    pub default: &'static str,
    /// One sentence.
    pub help: &'static str,
    /// Secrets have no flag (other users can read a command line) and are never printed.
    pub secret: bool,
}

const fn setting(
    key: &'static str,
    value: &'static str,
    default: &'static str,
    help: &'static str,
) -> Setting {
    Setting { key, value, default, help, secret: false }
}

/// All settings, in the order of the help.
pub const SETTINGS: &[Setting] = &[
    setting(
        "dev",
        "",
        "false",
        "The first five minutes: any password, readable logs, http issuer. Not for production",
    ),
    setting("listen", "ADDR:PORT", "127.0.0.1:5000", "Where to listen"),
    setting(
        "metrics_listen",
        "ADDR:PORT",
        "off",
        "Where Prometheus may fetch GET /metrics; it has no login, so a loopback or private address",
    ),
    setting(
        "tls_cert",
        "FILE",
        "none: plain HTTP",
        "PEM file of the TLS certificate and those between it and its root; read again when it changes",
    ),
    setting(
        "tls_key",
        "FILE",
        "none",
        "PEM file of the certificate's private key: PKCS #8, PKCS #1 or SEC 1",
    ),
    setting("data_dir", "DIR", "./claviger-data", "Folder of the database and the master key"),
    setting(
        "database_url",
        "URL",
        "SQLite in the data folder",
        "PostgreSQL as postgres://USER@HOST/DATABASE; with a password it is better in the variable than a flag",
    ),
    setting(
        "issuer",
        "URL",
        "http(s)://ADDR:PORT on loopback",
        "The public URL, `iss` of every token; https unless it listens on loopback or in dev, without TLS",
    ),
    setting("audience", "TEXT", "the issuer", "`aud` of every token"),
    setting(
        "access_token_ttl",
        "TIME",
        "15m, in dev 1h",
        "How long an access token lives, such as 90s, 15m or 1h; at most 24h",
    ),
    setting(
        "session_idle_ttl",
        "TIME",
        "30d",
        "How long a session lives without being used, from 60s to 400d; never longer than session_ttl",
    ),
    setting("session_ttl", "TIME", "90d", "How long a session lives at most, from 60s to 400d"),
    setting("signing_alg", "ALG", "RS256", "How new keys sign tokens: RS256, ES256 or EdDSA"),
    setting("rsa_bits", "BITS", "2048", "Size of a new RSA key: 2048, 3072 or 4096"),
    setting("key_rotation", "TIME", "90d", "How long a key signs before the next one does, from 5s to 1000d"),
    setting(
        "audit_refreshes",
        "BOOL",
        "true",
        "Whether each refresh is in the audit trail: half a kB each, so perhaps not with millions of users",
    ),
    setting("audit_retention", "TIME", "365d", "How long audit records are kept, from 1d to 3650d"),
    setting(
        "password_min_length",
        "CHARS",
        "8, in dev 1",
        "The shortest password accepted, 8 to 64 characters (in dev from 1)",
    ),
    setting("get_login", "BOOL", "true", "Whether GET /login is offered beside POST /login"),
    setting(
        "cors_origins",
        "ORIGINS",
        "none",
        "Web origins that may call the API, exact, separated by commas",
    ),
    setting(
        "trusted_proxies",
        "NETWORKS",
        "none",
        "Addresses or CIDR blocks of the proxies in front, separated by commas; only they are believed",
    ),
    setting(
        "client_address_header",
        "NAME",
        "x-forwarded-for",
        "Where trusted proxies write the client's address: x-forwarded-for, forwarded or x-real-ip",
    ),
    setting(
        "limits",
        "BOOL",
        "true",
        "Whether requests and wrong passwords are limited; off for load tests, on loopback alone",
    ),
    setting("hash_memory_kib", "KIB", "19456", "Argon2id memory (m)"),
    setting("hash_passes", "COUNT", "2", "Argon2id passes (t)"),
    setting("hash_lanes", "COUNT", "1", "Argon2id lanes (p)"),
    setting(
        "hash_engine",
        "NAME",
        "fast",
        "Argon2id implementation: fast (run-time SIMD) or plain (RustCrypto)",
    ),
    setting("hash_threads", "COUNT", "as many as cores", "Threads that hash passwords"),
    setting("hash_queue", "COUNT", "256", "Logins that may wait for a hash; past that the answer is 503"),
    setting("max_connections", "COUNT", "10000", "Most connections at once; others wait to be accepted"),
    setting(
        "drain_delay",
        "TIME",
        "5s",
        "How long all is still served after SIGTERM if a load balancer asks /health/ready; it must notice by then",
    ),
    setting(
        "master_key_file",
        "FILE",
        "master.key in the data folder",
        "File that holds the key the signing keys are sealed with",
    ),
    Setting {
        key: "master_key",
        value: "KEY",
        default: "read from the file",
        help: "The key itself, 43 characters of base64url",
        secret: true,
    },
    setting("log_level", "LEVEL", "info", "error, warn, info, debug or trace"),
    setting("log_format", "FORMAT", "json, in dev text", "text or json"),
];

impl Setting {
    /// `--data-dir`, without the dashes.
    pub fn flag(&self) -> String {
        self.key.replace('_', "-")
    }

    /// `CLAVIGER_DATA_DIR`.
    pub fn variable(&self) -> String {
        format!("CLAVIGER_{}", self.key.to_uppercase())
    }

    /// Whether the flag stands without a value.
    pub fn is_switch(&self) -> bool {
        self.value.is_empty()
    }
}

/// Finds a setting by its key.
pub fn find(key: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.key == key)
}

/// Where a value was written. Later ones win.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// Nowhere.
    Default,
    /// In a settings file.
    File(PathBuf),
    /// In an environment variable.
    Environment,
    /// On the command line.
    Flag,
}

impl Source {
    /// How a person would point at it: `--listen`, `CLAVIGER_LISTEN`, `listen in claviger.toml`.
    pub fn name(&self, setting: &Setting) -> String {
        match self {
            Self::Default => format!("--{}", setting.flag()),
            Self::File(path) => format!("{} in {}", setting.key, path.display()),
            Self::Environment => setting.variable(),
            Self::Flag => format!("--{}", setting.flag()),
        }
    }
}

/// One fault in what was written, and how to mend it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where it stands.
    pub place: String,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub mend: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = if self.mend.ends_with('?') { "" } else { "." };
        write!(f, "{}: {}. {}{end}", self.place, self.what, self.mend)
    }
}

/// The values that were written, each with its source.
#[derive(Clone, Default)]
pub struct Raw {
    values: BTreeMap<&'static str, (String, Source)>,
}

/// Names and sources only: values may be secret.
impl fmt::Debug for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.values.iter().map(|(key, (_, source))| (key, source))).finish()
    }
}

impl Raw {
    /// Writes a value over any from an earlier source. White space around it is dropped, and nothing at all
    /// counts as not set.
    pub fn set(&mut self, setting: &'static Setting, value: &str, source: Source) {
        let value = value.trim();
        if !value.is_empty() {
            self.values.insert(setting.key, (value.to_owned(), source));
        }
    }

    /// The written value of `key`.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(|(value, _)| value.as_str())
    }

    /// Where the value of `key` was written.
    pub fn source(&self, key: &str) -> Source {
        self.values.get(key).map_or(Source::Default, |(_, source)| source.clone())
    }

    /// A fault at the place where `key` was written.
    pub fn fault(&self, key: &str, what: impl Into<String>, mend: impl Into<String>) -> Fault {
        let place = find(key).map_or_else(|| key.to_owned(), |setting| self.source(key).name(setting));
        Fault { place, what: what.into(), mend: mend.into() }
    }
}
