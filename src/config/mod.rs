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
    /// Each setting with its resolved value, secrets left out.
    pub fn shown(&self) -> Vec<(&'static str, String)> {
        let Hash { params, engine, threads, queue } = self.hash;
        let master_key_file = match &self.master_key {
            MasterKeySource::Given(_) => "not used, master_key is set".to_owned(),
            MasterKeySource::File(path) | MasterKeySource::Own(path) => path.display().to_string(),
        };
        let master_key = match self.master_key {
            MasterKeySource::Given(_) => "(secret)",
            _ => "(not set)",
        };
        vec![
            ("dev", self.dev.to_string()),
            ("listen", self.listen.to_string()),
            ("data_dir", self.data_dir.display().to_string()),
            ("issuer", self.issuer.clone()),
            ("audience", self.audience.clone()),
            ("access_token_ttl", format_duration(self.access_token_ttl)),
            ("rsa_bits", self.rsa_bits.count().to_string()),
            ("password_min_length", self.password_min_length.to_string()),
            ("get_login", self.get_login.to_string()),
            ("cors_origins", self.cors_origins.join(",")),
            ("hash_memory_kib", params.memory_kib.to_string()),
            ("hash_passes", params.passes.to_string()),
            ("hash_lanes", params.lanes.to_string()),
            (
                "hash_engine",
                match engine {
                    Engine::Fast => "fast",
                    Engine::Plain => "plain",
                }
                .to_owned(),
            ),
            ("hash_threads", threads.to_string()),
            ("hash_queue", queue.to_string()),
            ("master_key_file", master_key_file),
            ("master_key", master_key.to_owned()),
            ("log_level", self.log.level.to_string().to_lowercase()),
            ("log_format", if self.log.json { "json" } else { "text" }.to_owned()),
        ]
    }
}
