//! The resolved configuration: every value typed, checked against the others, and safe to use.

mod database;
pub mod load;
mod network;
pub mod raw;
mod resolve;
mod times;
mod traces;

pub use database::{DatabaseUrl, Tls};
pub use resolve::{is_weak, resolve};
pub use traces::{Protocol, Sampler, Traces};

use crate::base::time::format_duration;
use claviger_crypto::jws::{KeyKind, RsaBits};
use claviger_crypto::password::{Engine, Params};
use claviger_crypto::seal::MasterKey;
use ipnet::IpNet;
use raw::{Fault, Raw};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// The configuration of a server.
#[derive(Debug)]
pub struct Config {
    /// The first-five-minutes posture.
    pub dev: bool,
    /// Where to listen.
    pub listen: SocketAddr,
    /// Where to offer metrics, if anywhere.
    pub metrics_listen: Option<SocketAddr>,
    /// Where the certificate is that it shows; it speaks plain HTTP where there is none.
    pub tls: Option<TlsFiles>,
    /// Folder of the master key, and of the database unless a server holds it.
    pub data_dir: PathBuf,
    /// The PostgreSQL server that holds the data; SQLite in the data folder where there is none.
    pub database_url: Option<DatabaseUrl>,
    /// `iss`, compared as an exact string.
    pub issuer: String,
    /// `aud`.
    pub audience: String,
    /// Life of an access token.
    pub access_token_ttl: Duration,
    /// A session that is unused for this long ends.
    pub session_idle_ttl: Duration,
    /// The longest life of a session, used or not; at least `session_idle_ttl`.
    pub session_ttl: Duration,
    /// How new keys sign.
    pub signing_alg: SigningAlg,
    /// Size of new RSA keys.
    pub rsa_bits: RsaBits,
    /// How long a key signs before the next one does.
    pub key_rotation: Duration,
    /// Whether each refresh is in the audit trail.
    pub audit_refreshes: bool,
    /// How long audit records are kept.
    pub audit_retention: Duration,
    /// Shortest password, in characters.
    pub password_min_length: usize,
    /// Whether `GET /login` is offered.
    pub get_login: bool,
    /// Exact origins that browsers may call from.
    pub cors_origins: Vec<String>,
    /// The proxies whose word on the client's address is taken.
    pub trusted_proxies: Vec<IpNet>,
    /// Where they write it.
    pub client_address_header: AddressHeader,
    /// Whether requests are limited for each client network.
    pub limits: bool,
    /// Most connections at once; others wait.
    pub max_connections: usize,
    /// How long all is served after SIGTERM where a load balancer asks for the server's health.
    pub drain_delay: Duration,
    /// How passwords are hashed.
    pub hash: Hash,
    /// Where the master key comes from.
    pub master_key: MasterKeySource,
    /// Logging.
    pub log: Log,
    /// Where spans of requests go, if anywhere.
    pub traces: Option<Traces>,
}

/// What TLS is spoken with.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The certificate, and those between it and its root, in PEM.
    pub certificate: PathBuf,
    /// Its private key, in PEM.
    pub key: PathBuf,
}

/// How new keys sign (RFC 7518 §3.1, RFC 8037 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SigningAlg {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// Ed25519.
    EdDsa,
}

impl SigningAlg {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Rs256, Self::Es256, Self::EdDsa];

    /// `alg`, as tokens and settings write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        }
    }
}

/// Where proxies write the client's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressHeader {
    /// `X-Forwarded-For`, a list.
    XForwardedFor,
    /// `Forwarded` (RFC 7239), a list.
    Forwarded,
    /// `X-Real-IP`, one address.
    XRealIp,
}

impl AddressHeader {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::XForwardedFor, Self::Forwarded, Self::XRealIp];

    /// Its name, in lower case.
    pub const fn name(self) -> &'static str {
        match self {
            Self::XForwardedFor => "x-forwarded-for",
            Self::Forwarded => "forwarded",
            Self::XRealIp => "x-real-ip",
        }
    }
}

/// How passwords are hashed.
#[derive(Clone, Copy, Debug)]
pub struct Hash {
    /// Argon2id's cost.
    pub params: Params,
    /// Which implementation.
    pub engine: Engine,
    /// Threads that hash.
    pub threads: usize,
    /// Calls that may wait.
    pub queue: usize,
}

/// How an operator makes a master key.
pub const MAKE_MASTER_KEY: &str = "head -c 32 /dev/urandom | base64 | tr '+/' '-_' | tr -d '='";

/// Where the master key comes from.
#[derive(Debug)]
pub enum MasterKeySource {
    /// Given as a setting.
    Given(MasterKey),
    /// A file that must be there.
    File(PathBuf),
    /// The file in the data folder, made at the first start.
    Own(PathBuf),
}

/// Logging.
#[derive(Clone, Copy, Debug)]
pub struct Log {
    /// The least severe level that is written.
    pub level: tracing::Level,
    /// JSON lines rather than readable text.
    pub json: bool,
}

impl Config {
    /// Whether browsers are told to come back over TLS alone (RFC 6797); in dev they would remember it of a host on
    /// which other things are tried too.
    pub fn is_strictly_secure(&self) -> bool {
        self.tls.is_some() && !self.dev
    }

    /// What kind of key new ones are: `signing_alg`, and `rsa_bits` where that is RS256.
    pub fn key_kind(&self) -> KeyKind {
        match self.signing_alg {
            SigningAlg::Rs256 => KeyKind::Rsa(self.rsa_bits),
            SigningAlg::Es256 => KeyKind::P256,
            SigningAlg::EdDsa => KeyKind::Ed25519,
        }
    }

    /// What is allowed and may be a mistake. `raw` says where it was written.
    pub fn warnings(&self, raw: &Raw) -> Vec<Fault> {
        self.metrics_listen.and_then(|address| network::open_metrics(raw, address)).into_iter().collect()
    }

    /// Each setting with its resolved value as TOML; `None` for the secret one and for those that have none.
    pub fn shown(&self) -> Vec<(&'static str, Option<toml::Value>)> {
        let Hash { params, engine, threads, queue } = self.hash;
        let text = |text: &dyn std::fmt::Display| Some(toml::Value::String(text.to_string()));
        let number = |number: usize| i64::try_from(number).ok().map(toml::Value::Integer);
        let small = |number: u32| Some(toml::Value::Integer(number.into()));
        let time = |duration: Duration| text(&format_duration(duration));
        let list = |items: Vec<String>| {
            Some(toml::Value::Array(items.into_iter().map(toml::Value::String).collect()))
        };
        vec![
            ("dev", Some(self.dev.into())),
            ("listen", text(&self.listen)),
            ("metrics_listen", self.metrics_listen.as_ref().and_then(|address| text(address))),
            ("tls_cert", self.tls.as_ref().and_then(|tls| text(&tls.certificate.display()))),
            ("tls_key", self.tls.as_ref().and_then(|tls| text(&tls.key.display()))),
            ("data_dir", text(&self.data_dir.display())),
            ("database_url", self.database_url.as_ref().and_then(|url| text(url))),
            ("issuer", text(&self.issuer)),
            ("audience", text(&self.audience)),
            ("access_token_ttl", time(self.access_token_ttl)),
            ("session_idle_ttl", time(self.session_idle_ttl)),
            ("session_ttl", time(self.session_ttl)),
            ("signing_alg", text(&self.signing_alg.name())),
            ("rsa_bits", small(self.rsa_bits.count())),
            ("key_rotation", time(self.key_rotation)),
            ("audit_refreshes", Some(self.audit_refreshes.into())),
            ("audit_retention", time(self.audit_retention)),
            ("password_min_length", number(self.password_min_length)),
            ("get_login", Some(self.get_login.into())),
            ("cors_origins", list(self.cors_origins.clone())),
            ("trusted_proxies", list(self.trusted_proxies.iter().map(ToString::to_string).collect())),
            ("client_address_header", text(&self.client_address_header.name())),
            ("limits", Some(self.limits.into())),
            ("hash_memory_kib", small(params.memory_kib)),
            ("hash_passes", small(params.passes)),
            ("hash_lanes", small(params.lanes)),
            ("hash_engine", text(&engine.name())),
            ("hash_threads", number(threads)),
            ("hash_queue", number(queue)),
            ("max_connections", number(self.max_connections)),
            ("drain_delay", time(self.drain_delay)),
            ("master_key_file", self.master_key.file().and_then(|path| text(&path.display()))),
            ("master_key", None),
            ("log_level", text(&self.log.level.to_string().to_lowercase())),
            ("log_format", text(&if self.log.json { "json" } else { "text" })),
        ]
    }
}

impl MasterKeySource {
    /// The file named by the operator; the one in the data folder needs no setting.
    fn file(&self) -> Option<&std::path::Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Given(_) | Self::Own(_) => None,
        }
    }
}
