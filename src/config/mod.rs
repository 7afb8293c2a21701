//! The resolved configuration: every value typed, checked against the others, and safe to use.

pub mod load;
pub mod raw;
mod resolve;

pub use resolve::resolve;

use crate::base::time::format_duration;
use claviger_crypto::jws::RsaBits;
use claviger_crypto::password::{Engine, Params};
use claviger_crypto::seal::MasterKey;
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
    /// Folder of the database and the master key.
    pub data_dir: PathBuf,
    /// `iss`, compared as an exact string.
    pub issuer: String,
    /// `aud`.
    pub audience: String,
    /// Life of an access token.
    pub access_token_ttl: Duration,
    /// Size of new RSA keys.
    pub rsa_bits: RsaBits,
    /// Shortest password, in characters.
    pub password_min_length: usize,
    /// Whether `GET /login` is offered.
    pub get_login: bool,
    /// Exact origins that browsers may call from.
    pub cors_origins: Vec<String>,
    /// Most connections at once; others wait.
    pub max_connections: usize,
    /// How passwords are hashed.
    pub hash: Hash,
    /// Where the master key comes from.
    pub master_key: MasterKeySource,
    /// Logging.
    pub log: Log,
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
    /// Each setting with its resolved value as TOML; `None` for the secret one and for those that have none.
    pub fn shown(&self) -> Vec<(&'static str, Option<toml::Value>)> {
        let Hash { params, engine, threads, queue } = self.hash;
        let text = |text: &dyn std::fmt::Display| Some(toml::Value::String(text.to_string()));
        let number = |number: usize| i64::try_from(number).ok().map(toml::Value::Integer);
        let small = |number: u32| Some(toml::Value::Integer(number.into()));
        let origins = self.cors_origins.iter().cloned().map(toml::Value::String).collect();
        vec![
            ("dev", Some(self.dev.into())),
            ("listen", text(&self.listen)),
            ("data_dir", text(&self.data_dir.display())),
            ("issuer", text(&self.issuer)),
            ("audience", text(&self.audience)),
            ("access_token_ttl", text(&format_duration(self.access_token_ttl))),
            ("rsa_bits", small(self.rsa_bits.count())),
            ("password_min_length", number(self.password_min_length)),
            ("get_login", Some(self.get_login.into())),
            ("cors_origins", Some(toml::Value::Array(origins))),
            ("hash_memory_kib", small(params.memory_kib)),
            ("hash_passes", small(params.passes)),
            ("hash_lanes", small(params.lanes)),
            ("hash_engine", text(&engine.name())),
            ("hash_threads", number(threads)),
            ("hash_queue", number(queue)),
            ("max_connections", number(self.max_connections)),
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
