//! A healthy installation, for tests of rules.

use super::*;
use crate::base::time::Timestamp;
use crate::config::raw::{Raw, Source, find};
use crate::config::resolve;
use crate::db::examine::Server;
use crate::doctor::rate::Rate;
use crate::doctor::{Level, Outcome};
use crate::keys::State;
use claviger_crypto::jws::{KeyKind, RsaBits};
use std::path::Path;
use std::time::Duration;

const NOW: Timestamp = Timestamp::from_seconds(1_795_435_200);
const DIR: &str = "/var/lib/my claviger";

fn config(settings: &[(&str, &str)]) -> Config {
    let mut raw = Raw::default();
    for (key, value) in [("data_dir", DIR)].iter().chain(settings) {
        raw.set(find(key).unwrap(), value, Source::Flag);
    }
    // What is tried here are rules, which see settings that a server refuses too.
    let is_public = settings.iter().any(|(_, value)| value.starts_with("0.0.0.0"));
    if is_public && !settings.iter().any(|(key, _)| *key == "issuer") {
        raw.set(find("issuer").unwrap(), "http://auth.example.org", Source::Flag);
    }
    resolve(&raw).unwrap()
}

fn entry(path: impl AsRef<Path>, mode: u32) -> Entry {
    Entry { path: path.as_ref().to_owned(), mode, owner: 1000, link: None, is_fixed: false }
}

fn life(kid: &str, state: State) -> Life {
    let at = NOW.minus(Duration::from_secs(86400));
    Life {
        kid: kid.into(),
        kind: KeyKind::Rsa(RsaBits::Rsa2048),
        state,
        created_at: at,
        due_at: None,
        activated_at: at,
        retired_at: at,
        token_life: Duration::from_secs(900),
        cache_life: Duration::from_secs(300),
    }
}

fn answer(body: &str) -> Answer {
    let headers = [
        ("cache-control", "public, max-age=300"),
        ("etag", "\"x\""),
        ("x-content-type-options", "nosniff"),
        ("content-security-policy", "default-src 'none'"),
        ("referrer-policy", "no-referrer"),
        ("strict-transport-security", "max-age=31536000"),
    ];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    Answer { status: 200, headers, body: body.into(), at: Some(NOW) }
}

impl Facts {
    /// On SQLite, with the master key elsewhere.
    pub(in crate::doctor) fn healthy() -> Self {
        Self::healthy_with(&[("master_key_file", "/etc/claviger/master.key")])
    }

    pub(in crate::doctor) fn healthy_with(settings: &[(&str, &str)]) -> Self {
        let config = config(settings);
        let keys = vec![
            (PublicJwk::rsa(&[0xff; 256], &[1, 0, 1]), life("one", State::Active)),
            (PublicJwk::rsa(&[0xfe; 256], &[1, 0, 1]), life("two", State::Next)),
        ];
        let published: Vec<&PublicJwk> = keys.iter().map(|(key, _)| key).collect();
        let set = answer(&serde_json::json!({"keys": published}).to_string());
        let dir = Path::new(DIR);
        let master = match settings.iter().find(|(key, _)| *key == "master_key_file") {
            Some((_, path)) => entry(path, 0o600),
            None => entry(dir.join("master.key"), 0o600),
        };
        Self {
            now: NOW,
            call: Call { flags: Vec::new(), takes: |_, _| true, file: None },
            unit: None,
            folder: Folder {
                dir: entry(dir, 0o40700),
                files: ["claviger.db", "claviger.lock"].map(|name| entry(dir.join(name), 0o100_600)).to_vec(),
                master: Some(master),
                disk: Ok(Disk { kind: DiskKind::Disk, free_bytes: 1 << 40, inodes: (1 << 20, 1 << 20) }),
                database_bytes: 1 << 20,
                wal_bytes: 0,
                wal_waits: Some(0),
            },
            process: Process { is_held: true, id: Some(4711), is_replaced: false, most_files: Some(65536) },
            master: Ok(()),
            database: Ok(Database {
                schema: Schema::Current,
                setup: Ok(Setup::Sqlite { journal_mode: "wal".into() }),
                held: Ok(Held {
                    latest: vec![("the newest session", NOW)],
                    keys,
                    earlier: Vec::new(),
                    is_ours: Some(true),
                    not_opened: Vec::new(),
                    sessions: 3,
                    addresses: Vec::new(),
                }),
                faults: None,
                trail: None,
            }),
            listener: Listener {
                is_taken: true,
                jwk_set: Ok(set.clone()),
                ready: Ok(answer("{}")),
                version: Some(env!("CARGO_PKG_VERSION").into()),
            },
            issuer: Issuer {
                is_https: config.issuer.starts_with("https:"),
                jwk_set: Ok(set.clone()),
                certificate_ends: Some(NOW.plus(Duration::from_secs(60 * 86400))),
                refused: None,
                own: Some([192, 0, 2, 1].into()),
                with_no_address: Ok(set),
                plain: None,
            },
            hashing: Ok(Hashing {
                rate: Ok(Rate { per_second: 100.0, each: Duration::from_millis(20), huge_kib: None }),
                at_rest: 100.0,
                is_busy: false,
            }),
            machine_kib: Some(64 << 20),
            config: Arc::new(config),
        }
    }

    pub(in crate::doctor) fn healthy_on_postgres() -> Self {
        let url = "postgres://claviger@localhost/claviger";
        let mut facts =
            Self::healthy_with(&[("master_key_file", "/etc/claviger/master.key"), ("database_url", url)]);
        facts.database.as_mut().unwrap().setup = Ok(Setup::Postgres(Box::new(Server {
            version: 150_006,
            clock: NOW,
            asked: (NOW, NOW),
            is_standby: false,
            is_encrypted: false,
            fsync: true,
            full_page_writes: true,
            synchronous_commit: "on".into(),
            most_connections: 397,
            connections: 12,
            own_connections: 10,
        })));
        facts
    }

    pub(in crate::doctor) fn held_mut(&mut self) -> &mut Held {
        self.database.as_mut().unwrap().held.as_mut().unwrap()
    }

    pub(in crate::doctor) fn server_mut(&mut self) -> &mut Server {
        match self.database.as_mut().unwrap().setup.as_mut().unwrap() {
            Setup::Postgres(server) => server,
            Setup::Sqlite { .. } => panic!("it is SQLite"),
        }
    }

    /// No server runs any more.
    pub(in crate::doctor) fn stop(&mut self) {
        self.process = Process { most_files: Some(65536), ..Process::default() };
        let refused = || Err("connection refused".to_owned());
        self.listener.is_taken = false;
        (self.listener.jwk_set, self.listener.ready, self.listener.version) = (refused(), refused(), None);
    }
}

/// What was found, if anything.
pub(in crate::doctor) fn found(outcome: Outcome) -> Vec<(Level, String)> {
    match outcome {
        Outcome::Found(findings) => findings.into_iter().map(|found| (found.level, found.what)).collect(),
        Outcome::Fine(_) => Vec::new(),
        other => panic!("{other:?}"),
    }
}
