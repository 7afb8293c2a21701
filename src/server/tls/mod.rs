//! TLS 1.3 and 1.2 (RFC 8446, RFC 5246) by rustls: the certificate in use, and what there is to say of it.

mod certificate;
mod reload;

pub use certificate::{Error, Remark, SOON, ends};
pub(super) use reload::{hangups, keep_up};

use crate::base::time::Timestamp;
use crate::config::{Config, TlsFiles};
use certificate::Identity;
use rustls::ServerConfig;
use std::sync::{Arc, PoisonError, RwLock};

/// The certificate in use.
pub(super) struct Tls {
    files: TlsFiles,
    host: Option<String>,
    identity: RwLock<Arc<Identity>>,
}

impl Tls {
    /// Reads the files of a configuration; nothing where it has none. Says in the log what is doubtful about them.
    pub(super) fn open(config: &Config, now: Timestamp) -> Result<Option<(Self, reload::Watch)>, Error> {
        let Some(files) = config.tls.clone() else { return Ok(None) };
        let host = certificate::host_of(config);
        let (identity, watch) = reload::first(&files, host.as_deref())?;
        let tls = Self { files, host, identity: RwLock::new(Arc::new(identity)) };
        tls.tell();
        let watch = watch.told(tls.tell_age(now).then_some(now));
        Ok(Some((tls, watch)))
    }

    /// What the next connection is to speak with. One that is open goes on with what it has.
    pub(super) fn config(&self) -> Arc<ServerConfig> {
        self.identity().config.clone()
    }

    fn identity(&self) -> Arc<Identity> {
        self.identity.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn replace(&self, identity: Identity) {
        *self.identity.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(identity);
    }

    fn tell(&self) {
        for doubt in self.identity().doubts().filter(|doubt| !matches!(doubt, Remark::Alone(_))) {
            tracing::warn!("{doubt}");
        }
    }

    /// Says whether the certificate ends soon or has ended; whether there was something to say.
    fn tell_age(&self, now: Timestamp) -> bool {
        let age = self.identity().age(now);
        if let Some(age) = &age {
            tracing::warn!("{age}");
        }
        age.is_some()
    }
}

/// Whether HTTP/2 was agreed on (RFC 7301).
pub(super) fn is_http2(protocol: Option<&[u8]>) -> bool {
    protocol == Some(certificate::HTTP2)
}

/// What is doubtful about the files of a configuration.
///
/// # Errors
/// If a server could not speak TLS with them.
pub fn check(config: &Config, now: Timestamp) -> Result<Vec<Remark>, Error> {
    let Some(files) = &config.tls else { return Ok(Vec::new()) };
    let contents = certificate::read(files)?;
    let identity = certificate::identity(&contents, files, certificate::host_of(config).as_deref())?;
    Ok(identity.age(now).into_iter().chain(identity.doubts()).collect())
}
