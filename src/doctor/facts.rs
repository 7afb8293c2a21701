//! What is known of an installation once all was looked at.

use super::call::Call;
use super::rate::Hashing;
use crate::audit::Verified;
use crate::base::time::Timestamp;
use crate::config::Config;
use crate::db::examine::{Schema, Setup};
use crate::keys::earlier::EarlierKey;
use crate::keys::schedule::Life;
use claviger_crypto::jwk::PublicJwk;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use url::{Host, Url};

/// What could be looked at, or why not.
pub(crate) type Looked<T> = Result<T, String>;

/// All facts.
#[derive(Debug)]
pub struct Facts {
    pub(super) now: Timestamp,
    pub(super) config: Arc<Config>,
    pub(super) call: Call,
    /// The systemd unit that runs the server, if one does.
    pub(super) unit: Option<String>,
    pub(super) folder: Folder,
    pub(super) process: Process,
    /// Why the master key cannot be used.
    pub(super) master: Looked<()>,
    pub(super) database: Looked<Database>,
    /// What answers where the settings say that the server listens.
    pub(super) listener: Listener,
    pub(super) issuer: Issuer,
    pub(super) hashing: Looked<Hashing>,
    pub(super) machine_kib: Option<u64>,
}

/// A file or a folder.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) path: PathBuf,
    pub(super) mode: u32,
    pub(super) owner: u32,
    /// Where a link leads.
    pub(super) link: Option<PathBuf>,
    /// Whether it is mounted read-only, as secrets are: its mode is changed where it comes from.
    pub(super) is_fixed: bool,
}

/// The data folder.
#[derive(Clone, Debug)]
pub(super) struct Folder {
    pub(super) dir: Entry,
    /// Its files that are ours.
    pub(super) files: Vec<Entry>,
    /// The file of the master key, wherever it is.
    pub(super) master: Option<Entry>,
    pub(super) disk: Looked<Disk>,
    pub(super) database_bytes: u64,
    pub(super) wal_bytes: u64,
    /// How much of the WAL is not in the database yet, where that is known.
    pub(super) wal_waits: Option<u64>,
}

/// The file system of the data folder.
#[derive(Clone, Copy, Debug)]
pub(super) struct Disk {
    pub(super) kind: DiskKind,
    pub(super) free_bytes: u64,
    /// Free and all; 0 of 0 where files are not counted.
    pub(super) inodes: (u64, u64),
}

/// What a file system is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DiskKind {
    /// On a disk, as far as is known.
    Disk,
    /// In memory.
    Memory(&'static str),
    /// On another machine.
    Network(&'static str),
    /// The writable layer of a container.
    Layer,
}

/// Who has the data folder.
#[derive(Clone, Debug, Default)]
pub(super) struct Process {
    pub(super) is_held: bool,
    /// By which process, where that can be told.
    pub(super) id: Option<u32>,
    /// Whether the file of its program is another by now.
    pub(super) is_replaced: bool,
    /// How many files it may have open; of this process where no server has the folder.
    pub(super) most_files: Option<u64>,
}

/// The database.
#[derive(Debug)]
pub(super) struct Database {
    pub(super) schema: Schema,
    pub(super) setup: Looked<Setup>,
    /// What is in it; only where it has our schema.
    pub(super) held: Looked<Held>,
    /// What SQLite finds wrong with its file; `None` if nobody asked.
    pub(super) faults: Option<Looked<Option<Vec<String>>>>,
    /// What came of walking the audit trail; `None` if nobody asked.
    pub(super) trail: Option<Looked<Verified>>,
}

/// What is in the database.
#[derive(Debug)]
pub(super) struct Held {
    /// The latest moments, and what they are of.
    pub(super) latest: Vec<(&'static str, Timestamp)>,
    pub(super) keys: Vec<(PublicJwk, Life)>,
    pub(super) earlier: Vec<EarlierKey>,
    /// Whether it was begun with this master key; `None` where nobody has noted that.
    pub(super) is_ours: Option<bool>,
    /// The signing keys that the master key does not open.
    pub(super) not_opened: Vec<String>,
    /// Sessions, up to a bound.
    pub(super) sessions: u64,
    /// Where the newest sessions were opened from.
    pub(super) addresses: Vec<String>,
}

/// What answers where the server listens.
#[derive(Debug)]
pub(super) struct Listener {
    /// Whether connections are taken there.
    pub(super) is_taken: bool,
    pub(super) jwk_set: Looked<Answer>,
    pub(super) ready: Looked<Answer>,
    /// The version that the server says it is of.
    pub(super) version: Option<String>,
}

/// What answers at the issuer's URL.
#[derive(Debug)]
pub(super) struct Issuer {
    pub(super) is_https: bool,
    pub(super) jwk_set: Looked<Answer>,
    /// Until when the certificate that was shown is valid, whether it was believed or not.
    pub(super) certificate_ends: Option<Timestamp>,
    /// Why it was not believed.
    pub(super) refused: Option<Refused>,
    /// Which address of this machine the issuer sees.
    pub(super) own: Option<IpAddr>,
    /// The JWK set again, asked for with a client's address that is none.
    pub(super) with_no_address: Looked<Answer>,
    /// The same at the host's port 80; `None` where nobody listens.
    pub(super) plain: Option<Answer>,
}

/// Why a certificate is not believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) why: String,
    pub(super) fault: Fault,
}

/// What is wrong with a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Nobody who is trusted has vouched for it; whether others came along with it.
    Issuer { is_alone: bool },
    /// It is an authority's own, which is no server's: as `openssl req -x509` makes them.
    Authority,
    /// It is for other names.
    Name,
    /// Its time is over.
    Ended,
    /// Its time has not come.
    Early,
    /// Something else.
    Other,
}

/// Who stands between the issuer's clients and the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Front {
    /// Nobody: the server listens where the issuer is.
    Nobody,
    /// A proxy: the server cannot be reached at the issuer without one.
    Proxy,
    /// A proxy, or what maps one port to another.
    Unknown,
}

/// An HTTP answer.
#[derive(Clone, Debug, Default)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// Names in lower case.
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
    /// When it came.
    pub(super) at: Option<Timestamp>,
}

impl Answer {
    /// A header's value.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    /// The keys of a JWK set, by their ids; `None` if it is none that is understood.
    pub(super) fn keys(&self) -> Option<Vec<PublicJwk>> {
        #[derive(serde::Deserialize)]
        struct Set {
            keys: Vec<PublicJwk>,
        }
        let set: Set = serde_json::from_slice(&self.body).ok()?;
        (self.status == 200).then_some(set.keys)
    }
}

impl Facts {
    /// A command of this program, for this installation.
    pub(super) fn command(&self, words: &str) -> String {
        self.call.command(words, "")
    }

    /// The same without a flag that the doctor was called with.
    pub(super) fn command_without(&self, flag: &str, words: &str) -> String {
        self.call.command(words, flag)
    }

    /// What is in the database, if that could be seen.
    pub(super) fn held(&self) -> Looked<&Held> {
        let database = self.database.as_ref().map_err(Clone::clone)?;
        database.held.as_ref().map_err(Clone::clone)
    }

    /// How the database's engine is set up.
    pub(super) fn setup(&self) -> Looked<&Setup> {
        let database = self.database.as_ref().map_err(Clone::clone)?;
        database.setup.as_ref().map_err(Clone::clone)
    }

    /// The keys that the JWK set should hold.
    pub(super) fn published(&self) -> Looked<Vec<&PublicJwk>> {
        let held = self.held()?;
        let own = held.keys.iter().filter(|(_, life)| life.state != crate::keys::State::Kept);
        Ok(own.map(|(key, _)| key).chain(held.earlier.iter().map(|key| &key.public)).collect())
    }

    /// Whether a server runs, as far as that can be seen from here.
    pub(super) fn is_served(&self) -> bool {
        self.process.is_held || self.listener.is_taken
    }

    /// Who stands between the issuer's clients and the server.
    pub(super) fn front(&self) -> Front {
        let (config, own_scheme) = (&self.config, if self.config.tls.is_some() { "https" } else { "http" });
        let Ok(url) = Url::parse(&config.issuer) else { return Front::Nobody };
        let is_out_of_reach = config.listen.ip().is_loopback() && !self.is_issuer_local();
        if url.scheme() != own_scheme || is_out_of_reach {
            return Front::Proxy;
        }
        let is_same = url.port_or_known_default() == Some(config.listen.port());
        if is_same { Front::Nobody } else { Front::Unknown }
    }

    /// Whether the issuer's name leads to this machine alone, whoever follows it.
    pub(super) fn is_issuer_local(&self) -> bool {
        let url = Url::parse(&self.config.issuer);
        match url.as_ref().ok().and_then(Url::host) {
            Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            Some(Host::Ipv4(ip)) => ip.is_loopback(),
            Some(Host::Ipv6(ip)) => ip.is_loopback(),
            None => false,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
#[path = "facts_of_tests.rs"]
pub(super) mod of_tests;
