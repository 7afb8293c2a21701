//! The certificate and its key: read from their files, seen to fit together, and judged.

use crate::base::time::{Timestamp, format_duration};
use crate::config::{Config, TlsFiles};
use rustls::client::verify_server_name;
use rustls::crypto::aws_lc_rs::{self, Ticketer};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::ParsedCertificate;
use rustls::version::{TLS12, TLS13};
use rustls::{InconsistentKeys, ServerConfig};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use x509_cert::der::Decode as _;
use zeroize::Zeroizing;

/// How long before its end a certificate is spoken of.
pub const SOON: Duration = Duration::from_secs(14 * 24 * 3600);

/// The protocols on top of TLS (RFC 7301), the better one first.
pub(super) const HTTP2: &[u8] = b"h2";
const HTTP1: &[u8] = b"http/1.1";

/// Why TLS cannot be spoken with these files. The text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read.
    #[error("{0} cannot be read: {1}. Let the server's user read it, or name another file")]
    Unreadable(PathBuf, std::io::Error),
    /// There is no certificate in its file.
    #[error(
        "{0} holds no PEM certificate. Name the whole chain, the server's own first (certbot's fullchain.pem)"
    )]
    NoCertificate(PathBuf),
    /// A certificate cannot be understood.
    #[error("a certificate in {0} is broken: {1}. Put the file there again")]
    BadCertificate(PathBuf, String),
    /// There is no key in its file.
    #[error("{0} holds no PEM private key. Name one in PKCS #8, PKCS #1 or SEC 1 (certbot's privkey.pem)")]
    NoKey(PathBuf),
    /// The key is sealed with a passphrase.
    #[error(
        "the key in {0} is encrypted. Name one that is not, made with: openssl pkey -in {0} -out key.pem"
    )]
    EncryptedKey(PathBuf),
    /// The key cannot be used.
    #[error("the key in {0} is broken or of a kind that is not used here. Make one for ECDSA (P-256) or RSA")]
    BadKey(PathBuf),
    /// The key belongs to another certificate.
    #[error("the key in {1} is not that of the first certificate in {0}. Put both there again, of one issue")]
    Mismatch(PathBuf, PathBuf),
    /// Clients would refuse it, and do not refuse the one in use.
    #[error(
        "the certificate in {0} has expired, at {1}, and the one in use has not. Put the renewed one there"
    )]
    Expired(PathBuf, Timestamp),
    /// The same, for now.
    #[error(
        "the certificate in {0} is valid only from {1} on, and is looked at again then. If that time is past, set this machine's clock"
    )]
    NotYetValid(PathBuf, Timestamp),
    /// The same: it is for other names.
    #[error(
        "the certificate in {0} is not for {1}, the issuer's host, and the one in use is. Put one there that was issued for that name"
    )]
    OtherHost(PathBuf, String),
    /// TLS cannot be set up at all.
    #[error("TLS cannot be set up: {0}. Look at the certificate with: openssl x509 -text -in FILE")]
    Unusable(String),
}

/// What an operator should know of files that work. The text says what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Remark {
    /// Clients refuse it already.
    #[error(
        "the TLS certificate has expired, at {0}: clients refuse it. Renew it; a new one is taken as it is put there"
    )]
    Expired(Timestamp),
    /// Clients will refuse it before long.
    #[error("the TLS certificate expires at {0}, in {1}. Renew it; a new one is taken as it is put there")]
    ExpiresSoon(Timestamp, String),
    /// Clients refuse it still.
    #[error("the TLS certificate is valid only from {0} on. Look at this machine's clock")]
    NotYetValid(Timestamp),
    /// It is for other names.
    #[error(
        "the TLS certificate is not for {0}, the issuer's host: clients refuse it. Have one issued for that name"
    )]
    OtherHost(String),
    /// A file with the server's own certificate alone.
    #[error(
        "{0} holds one certificate, and another issued it. Unless that one is a root that clients know, name the whole chain (certbot's fullchain.pem)"
    )]
    Alone(PathBuf),
    /// Others can sign with the key.
    #[error("every user of this machine can read the TLS key. Mend it with: chmod o-rwx {0}")]
    OpenKey(PathBuf),
}

/// The contents of the files.
pub(super) struct Contents {
    pub(super) certificate: Vec<u8>,
    pub(super) key: Zeroizing<Vec<u8>>,
    /// Whether all users of the machine can read the key, or write it.
    is_key_open: bool,
}

/// What TLS is spoken with.
pub(super) struct Identity {
    pub(super) config: Arc<ServerConfig>,
    facts: Facts,
}

/// What of a certificate others look at.
struct Facts {
    not_before: Timestamp,
    not_after: Timestamp,
    /// The host that it should be for, if it is for others.
    other_host: Option<String>,
    /// The file, if it holds only a certificate that another one issued.
    alone: Option<PathBuf>,
    /// The key's file, if others can read it.
    open_key: Option<PathBuf>,
}

/// Reads both files.
pub(super) fn read(files: &TlsFiles) -> Result<Contents, Error> {
    let bytes = |path: &Path| std::fs::read(path).map_err(|why| Error::Unreadable(path.to_owned(), why));
    let (certificate, key) = (bytes(&files.certificate)?, Zeroizing::new(bytes(&files.key)?));
    let mode = files.key.metadata().map_or(0, |metadata| metadata.permissions().mode());
    Ok(Contents { certificate, key, is_key_open: mode & 0o006 != 0 })
}

/// The host of the public URL.
pub(super) fn host_of(config: &Config) -> Option<String> {
    let url = url::Url::parse(&config.issuer).ok()?;
    // As certificates have it: an IPv6 address without its brackets.
    url.host_str().map(|host| host.trim_matches(['[', ']']).to_owned())
}

/// What TLS is spoken with, for a server that is called `host`.
pub(super) fn identity(contents: &Contents, files: &TlsFiles, host: Option<&str>) -> Result<Identity, Error> {
    let chain = chain(contents, files)?;
    let facts = facts(&chain, contents, files, host)?;
    Ok(Identity { config: Arc::new(server_config(chain, key(contents, files)?, files)?), facts })
}

fn chain(contents: &Contents, files: &TlsFiles) -> Result<Vec<CertificateDer<'static>>, Error> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&contents.certificate).collect();
    let chain = chain.map_err(|why| Error::BadCertificate(files.certificate.clone(), why.to_string()))?;
    if chain.is_empty() { Err(Error::NoCertificate(files.certificate.clone())) } else { Ok(chain) }
}

/// What is wrong with a key is not told in more words: they could hold some of it.
fn key(contents: &Contents, files: &TlsFiles) -> Result<PrivateKeyDer<'static>, Error> {
    let holds = |text: &[u8]| contents.key.windows(text.len()).any(|window| window == text);
    if holds(b"BEGIN ENCRYPTED PRIVATE KEY") || holds(b"Proc-Type: 4,ENCRYPTED") {
        return Err(Error::EncryptedKey(files.key.clone()));
    }
    PrivateKeyDer::from_pem_slice(&contents.key).map_err(|_| Error::NoKey(files.key.clone()))
}

fn server_config(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    files: &TlsFiles,
) -> Result<ServerConfig, Error> {
    let unusable = |why: rustls::Error| Error::Unusable(why.to_string());
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(unusable)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|why| match why {
            rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                Error::Mismatch(files.certificate.clone(), files.key.clone())
            }
            rustls::Error::InvalidCertificate(why) => {
                Error::BadCertificate(files.certificate.clone(), format!("{why:?}"))
            }
            _ => Error::BadKey(files.key.clone()),
        })?;
    config.alpn_protocols = vec![HTTP2.to_vec(), HTTP1.to_vec()];
    // Clients that come back need no signature. The keys live in memory, change every six hours, and go with the
    // certificate: what was agreed under one that was replaced is not taken up again.
    config.ticketer = Ticketer::new().map_err(unusable)?;
    Ok(config)
}

fn facts(
    chain: &[CertificateDer<'static>],
    contents: &Contents,
    files: &TlsFiles,
    host: Option<&str>,
) -> Result<Facts, Error> {
    let broken = |why: String| Error::BadCertificate(files.certificate.clone(), why);
    let own = chain.first().ok_or_else(|| Error::NoCertificate(files.certificate.clone()))?;
    let parsed =
        x509_cert::Certificate::from_der(own).map_err(|why| broken(why.to_string()))?.tbs_certificate;
    let verifiable = ParsedCertificate::try_from(own).map_err(|why| broken(why.to_string()))?;
    let is_for = |host: &&str| {
        ServerName::try_from(*host).is_ok_and(|name| verify_server_name(&verifiable, &name).is_ok())
    };
    let is_alone = chain.len() == 1 && parsed.issuer != parsed.subject;
    Ok(Facts {
        not_before: moment(&parsed.validity.not_before),
        not_after: moment(&parsed.validity.not_after),
        other_host: host.filter(|host| !is_for(host)).map(str::to_owned),
        alone: is_alone.then(|| files.certificate.clone()),
        open_key: contents.is_key_open.then(|| files.key.clone()),
    })
}

fn moment(time: &x509_cert::time::Time) -> Timestamp {
    i64::try_from(time.to_unix_duration().as_secs()).map_or(Timestamp::MAX, Timestamp::from_seconds)
}

/// When a certificate ends; `None` if it is none.
pub fn ends(certificate: &CertificateDer<'_>) -> Option<Timestamp> {
    let certificate = x509_cert::Certificate::from_der(certificate).ok()?;
    Some(moment(&certificate.tbs_certificate.validity.not_after))
}

impl Identity {
    /// When the certificate ends.
    pub(super) fn expires(&self) -> Timestamp {
        self.facts.not_after
    }

    /// Makes sure that clients who take `old` take this one too. One that is no worse is taken: at an expired one
    /// there is nothing to keep.
    pub(super) fn expect_as_good_as(
        &self,
        old: &Self,
        files: &TlsFiles,
        now: Timestamp,
    ) -> Result<(), Error> {
        let Facts { not_before, not_after, other_host, .. } = &self.facts;
        let file = || files.certificate.clone();
        if old.is_valid(now) && now < *not_before {
            return Err(Error::NotYetValid(file(), *not_before));
        }
        if old.is_valid(now) && !self.is_valid(now) {
            return Err(Error::Expired(file(), *not_after));
        }
        match other_host {
            Some(host) if old.facts.other_host.is_none() => Err(Error::OtherHost(file(), host.clone())),
            _ => Ok(()),
        }
    }

    fn is_valid(&self, now: Timestamp) -> bool {
        (self.facts.not_before..self.facts.not_after).contains(&now)
    }

    /// What there is to say of the times of the certificate.
    pub(super) fn age(&self, now: Timestamp) -> Option<Remark> {
        let Facts { not_before, not_after, .. } = self.facts;
        if now < not_before {
            Some(Remark::NotYetValid(not_before))
        } else if now >= not_after {
            Some(Remark::Expired(not_after))
        } else if not_after.since(now) < SOON {
            // To the hour is near enough.
            let hours = not_after.since(now).as_secs() / 3600;
            let left = if hours == 0 { "less than 1h".to_owned() } else { in_hours(hours) };
            Some(Remark::ExpiresSoon(not_after, left))
        } else {
            None
        }
    }

    /// What is doubtful about the files, whatever the time.
    pub(super) fn doubts(&self) -> impl Iterator<Item = Remark> {
        let Facts { other_host, alone, open_key, .. } = &self.facts;
        let host = other_host.clone().map(Remark::OtherHost);
        let key = open_key.clone().map(Remark::OpenKey);
        host.into_iter().chain(alone.clone().map(Remark::Alone)).chain(key)
    }
}

fn in_hours(hours: u64) -> String {
    let whole = if hours >= 48 { hours / 24 * 24 } else { hours };
    format_duration(Duration::from_secs(whole * 3600))
}
