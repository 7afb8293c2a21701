//! From what was written to a [`Config`]: every value typed, checked against the others.
//!
//! All faults are found at once, so that an operator mends them in one go.

use super::raw::{Fault, Raw};
use super::{AddressHeader, Config, Hash, Log, MAKE_MASTER_KEY, MasterKeySource, SigningAlg};
use claviger_crypto::jws::RsaBits;
use claviger_crypto::password::foreign::is_affordable;
use claviger_crypto::password::{Engine, Params};
use claviger_crypto::seal::MasterKey;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// Turns what was written into a configuration.
///
/// # Errors
/// Every fault found.
pub fn resolve(raw: &Raw) -> Result<Config, Vec<Fault>> {
    let mut r = Resolver { raw, faults: Vec::new() };
    let dev = r.boolean("dev", false);
    let listen = r.value(
        "listen",
        || SocketAddr::from((Ipv4Addr::LOCALHOST, 5000)),
        |text| text.parse().ok(),
        "it is not an address and port",
        "Write it like 127.0.0.1:5000 or [::1]:5000",
    );
    let tls = r.tls();
    let issuer = r.issuer(dev, listen, tls.is_some());
    let data_dir = PathBuf::from(r.raw.get("data_dir").unwrap_or("./claviger-data"));
    let (session_idle_ttl, session_ttl) = r.sessions();
    let config = Config {
        dev,
        listen,
        metrics_listen: r.metrics_listen(listen),
        tls,
        database_url: r.database_url(),
        audience: r.raw.get("audience").map_or_else(|| issuer.clone(), str::to_owned),
        issuer,
        access_token_ttl: r.access_token_ttl(dev),
        session_idle_ttl,
        session_ttl,
        signing_alg: r.value(
            "signing_alg",
            || SigningAlg::Rs256,
            |text| SigningAlg::ALL.into_iter().find(|alg| alg.name() == text),
            "there is no such algorithm here",
            "Choose RS256, ES256 or EdDSA",
        ),
        rsa_bits: r.value(
            "rsa_bits",
            || RsaBits::Rsa2048,
            rsa_bits,
            "RSA keys have 2048, 3072 or 4096 bits here",
            "Choose one of these",
        ),
        key_rotation: r.key_rotation(),
        audit_refreshes: r.boolean("audit_refreshes", true),
        audit_retention: r.audit_retention(),
        password_min_length: r.number(
            "password_min_length",
            if dev { 1 } else { 8 },
            if dev { 1 } else { 8 },
            64,
        ),
        get_login: r.boolean("get_login", true),
        cors_origins: r.origins(),
        trusted_proxies: r.trusted_proxies(),
        client_address_header: r.value(
            "client_address_header",
            || AddressHeader::XForwardedFor,
            |text| AddressHeader::ALL.into_iter().find(|header| header.name().eq_ignore_ascii_case(text)),
            "this header is not read here",
            "Choose x-forwarded-for, forwarded or x-real-ip",
        ),
        limits: r.limits(listen),
        max_connections: r.number("max_connections", 10_000, 1, 1_000_000),
        drain_delay: r.drain_delay(),
        hash: r.hash(dev),
        master_key: r.master_key(&data_dir),
        data_dir,
        log: Log {
            level: r.value(
                "log_level",
                || tracing::Level::INFO,
                |text| text.parse().ok(),
                "there is no such level",
                "Choose error, warn, info, debug or trace",
            ),
            json: r.value(
                "log_format",
                || !dev,
                log_format,
                "there is no such format",
                "Choose text or json",
            ),
        },
        traces: None,
    };
    if r.faults.is_empty() { Ok(config) } else { Err(r.faults) }
}

/// What is resolved, and the faults found so far. `network.rs` and `times.rs` hold more of it.
pub(super) struct Resolver<'a> {
    pub(super) raw: &'a Raw,
    pub(super) faults: Vec<Fault>,
}

impl Resolver<'_> {
    pub(super) fn value<T>(
        &mut self,
        key: &str,
        default: impl FnOnce() -> T,
        parse: impl FnOnce(&str) -> Option<T>,
        what: &str,
        mend: &str,
    ) -> T {
        let Some(text) = self.raw.get(key) else { return default() };
        parse(text).unwrap_or_else(|| {
            self.faults.push(self.raw.fault(key, what, mend));
            default()
        })
    }

    pub(super) fn boolean(&mut self, key: &str, default: bool) -> bool {
        self.value(key, || default, boolean, "it is neither true nor false", "Write true or false")
    }

    fn number(&mut self, key: &str, default: usize, least: usize, most: usize) -> usize {
        let within = |text: &str| text.parse().ok().filter(|number| (least..=most).contains(number));
        let what = format!("it is not a whole number from {least} to {most}");
        self.value(key, || default, within, &what, "Write a number within these bounds")
    }

    fn hash(&mut self, dev: bool) -> Hash {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let memory = self.number("hash_memory_kib", 19456, 8, 1024 * 1024);
        let passes = self.number("hash_passes", 2, 1, 64);
        let lanes = self.number("hash_lanes", 1, 1, 16);
        let small = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let default = Params { memory_kib: 19456, passes: 2, lanes: 1 };
        let params = Params::new(small(memory), small(passes), small(lanes)).unwrap_or_else(|bad| {
            self.faults.push(self.raw.fault(
                "hash_memory_kib",
                bad.to_string(),
                "Raise the memory or lower the lanes",
            ));
            default
        });
        // What comes from elsewhere is bounded so, and a hash that is exported here must be taken there.
        if !is_affordable(params) {
            self.faults.push(self.raw.fault(
                "hash_passes",
                "memory times passes is more than 2 GiB: a login would take seconds of a core",
                "Lower the passes or the memory",
            ));
        }
        if is_weak(params) && !dev {
            self.faults.push(self.raw.fault(
                "hash_memory_kib",
                "these Argon2id parameters are weaker than OWASP's least",
                "Use m=19456,t=2,p=1 or one of 47104/1, 12288/3, 9216/4, 7168/5, or more",
            ));
        }
        Hash {
            params,
            engine: self.value(
                "hash_engine",
                || Engine::Fast,
                hash_engine,
                "there is no such engine",
                "Choose fast or plain",
            ),
            threads: self.number("hash_threads", cores, 1, 1024),
            queue: self.number("hash_queue", 256, 1, 100_000),
        }
    }

    fn master_key(&mut self, data_dir: &std::path::Path) -> MasterKeySource {
        if let Some(text) = self.raw.get("master_key") {
            match MasterKey::from_text(text) {
                Some(key) => return MasterKeySource::Given(key),
                None => self.faults.push(self.raw.fault(
                    "master_key",
                    "it is not 43 characters of base64url (32 bytes)",
                    format!("Make one with: {MAKE_MASTER_KEY}"),
                )),
            }
        }
        match self.raw.get("master_key_file") {
            Some(path) => MasterKeySource::File(path.into()),
            None => MasterKeySource::Own(data_dir.join("master.key")),
        }
    }
}

fn boolean(text: &str) -> Option<bool> {
    match text {
        "true" | "1" | "yes" | "on" => Some(true),
        "false" | "0" | "no" | "off" => Some(false),
        _ => None,
    }
}

fn rsa_bits(text: &str) -> Option<RsaBits> {
    [RsaBits::Rsa2048, RsaBits::Rsa3072, RsaBits::Rsa4096]
        .into_iter()
        .find(|bits| bits.count().to_string() == text)
}

fn hash_engine(text: &str) -> Option<Engine> {
    [Engine::Fast, Engine::Plain].into_iter().find(|engine| engine.name() == text)
}

fn log_format(text: &str) -> Option<bool> {
    match text {
        "json" => Some(true),
        "text" => Some(false),
        _ => None,
    }
}

/// OWASP's Password Storage Cheat Sheet lists equally strong pairs of memory and passes.
pub fn is_weak(params: Params) -> bool {
    let least = [(47104, 1), (19456, 2), (12288, 3), (9216, 4), (7168, 5)];
    !least.iter().any(|&(memory, passes)| params.memory_kib >= memory && params.passes >= passes)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::config::raw::{self, Source};

    fn resolved(values: &[(&str, &str)]) -> Result<Config, Vec<Fault>> {
        let mut raw = Raw::default();
        for (key, value) in values {
            raw.set(raw::find(key).unwrap(), value, Source::Flag);
        }
        resolve(&raw)
    }

    #[test]
    fn the_defaults_are_a_production_posture() {
        let config = resolved(&[]).unwrap();
        assert_eq!(config.issuer, "http://127.0.0.1:5000");
        assert_eq!(config.audience, config.issuer);
        assert_eq!((config.password_min_length, config.access_token_ttl.as_secs()), (8, 900));
        assert!(config.log.json && !config.dev && config.cors_origins.is_empty());
        assert_eq!(config.hash.params, Params { memory_kib: 19456, passes: 2, lanes: 1 });
    }

    #[test]
    fn dev_loosens_only_what_it_says() {
        let config = resolved(&[("dev", "true")]).unwrap();
        assert_eq!((config.password_min_length, config.access_token_ttl.as_secs()), (1, 3600));
        assert!(!config.log.json);
    }

    #[test]
    fn faults_say_where_and_how_to_mend() {
        let bad: &[(&str, &str)] = &[
            ("dev", "maybe"),
            ("listen", "localhost"),
            ("metrics_listen", "9464"),
            ("metrics_listen", "127.0.0.1:5000"),
            ("issuer", "ftp://x"),
            ("issuer", "https://x/"),
            ("issuer", "https://x?y"),
            ("access_token_ttl", "25h"),
            ("access_token_ttl", "0s"),
            ("session_idle_ttl", "59s"),
            ("session_ttl", "401d"),
            ("signing_alg", "HS256"),
            ("signing_alg", "none"),
            ("rsa_bits", "1024"),
            ("key_rotation", "4s"),
            ("audit_retention", "23h"),
            ("password_min_length", "7"),
            ("password_min_length", "65"),
            ("get_login", "maybe"),
            ("cors_origins", "*"),
            ("cors_origins", "https://app.example.org/"),
            ("trusted_proxies", "proxy"),
            ("client_address_header", "via"),
            ("limits", "maybe"),
            ("hash_memory_kib", "4096"),
            ("hash_memory_kib", "1048577"),
            ("hash_passes", "0"),
            ("hash_engine", "quick"),
            ("hash_threads", "0"),
            ("master_key", "short"),
            ("log_level", "loud"),
            ("log_format", "xml"),
        ];
        for (key, value) in bad {
            let faults = resolved(&[(key, value)]).unwrap_err();
            let flag = format!("--{}", raw::find(key).unwrap().flag());
            assert!(
                faults.iter().any(|fault| fault.place == flag || *key == "hash_passes"),
                "{key}={value}: {faults:?}"
            );
        }
        let dear = [("hash_memory_kib", "1048576"), ("hash_passes", "2")];
        assert!(resolved(&dear).is_ok());
        let faults = resolved(&[dear[0], ("hash_passes", "3")]).unwrap_err();
        assert!(faults.iter().any(|fault| fault.place == "--hash-passes"), "{faults:?}");
        assert_eq!(resolved(&[("listen", "x"), ("rsa_bits", "1")]).unwrap_err().len(), 2, "all at once");
    }

    #[test]
    fn an_issuer_is_https_unless_loopback_or_dev() {
        assert!(resolved(&[("listen", "0.0.0.0:5000")]).is_err());
        assert!(resolved(&[("listen", "0.0.0.0:5000"), ("issuer", "http://auth.example.org")]).is_err());
        assert!(resolved(&[("listen", "0.0.0.0:5000"), ("issuer", "https://auth.example.org")]).is_ok());
        assert_eq!(
            resolved(&[("listen", "0.0.0.0:80"), ("dev", "true")]).unwrap().issuer,
            "http://127.0.0.1:80"
        );
        assert!(resolved(&[("listen", "127.0.0.1:0")]).is_err());
    }

    #[test]
    fn tls_needs_both_files_and_an_https_issuer() {
        let files = [("tls_cert", "chain.pem"), ("tls_key", "key.pem")];
        let config = resolved(&files).unwrap();
        assert_eq!(config.issuer, "https://127.0.0.1:5000");
        assert!(config.is_strictly_secure() && !resolved(&[]).unwrap().is_strictly_secure());
        let dev = resolved(&[files[0], files[1], ("dev", "true")]).unwrap();
        assert!(dev.tls.is_some() && !dev.is_strictly_secure() && dev.issuer == "https://127.0.0.1:5000");
        for (one, other) in [(files[0], "--tls-key"), (files[1], "--tls-cert")] {
            let faults = resolved(&[one]).unwrap_err();
            assert!(faults.len() == 1 && faults.first().unwrap().place == other, "{faults:?}");
        }
        for dev in ["true", "false"] {
            let plain = [files[0], files[1], ("issuer", "http://127.0.0.1:5000"), ("dev", dev)];
            assert_eq!(resolved(&plain).unwrap_err().first().unwrap().place, "--issuer");
        }
    }

    #[test]
    fn limits_are_off_only_on_loopback() {
        let public = [("listen", "0.0.0.0:5000"), ("issuer", "https://auth.example.org")];
        assert!(resolved(&public).unwrap().limits);
        assert!(!resolved(&[("limits", "off")]).unwrap().limits);
        let faults = resolved(&[public[0], public[1], ("limits", "off")]).unwrap_err();
        assert!(faults.first().unwrap().place == "--limits" && faults.len() == 1, "{faults:?}");
    }

    #[test]
    fn everything_is_shown_but_secrets() {
        let config = resolved(&[("master_key", &"A".repeat(43))]).unwrap();
        let shown = config.shown();
        let keys: Vec<&str> = shown.iter().map(|(key, _)| *key).collect();
        let declared: Vec<&str> = raw::SETTINGS.iter().map(|setting| setting.key).collect();
        assert_eq!(keys, declared);
        assert!(!format!("{shown:?}{config:?}").contains("AAAA"));
    }
}
