//! The settings of a verifier, each with its default.

use crate::fetch::{Fetch, is_safe};
use crate::fresh::Manner;
use crate::keys::Keys;
use crate::lists::{Common, Lists, MissingStatus};
use crate::verifier::{Inner, Verifier};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use url::Url;

/// Where the JWK set is on the server (RFC 8615).
const JWK_SET_PATH: &str = "/.well-known/jwks.json";

/// The most leeway: what the rules grant `iat` and `nbf` in any case.
const MAX_LEEWAY: Duration = Duration::from_secs(60);

/// Why there is no verifier. Says what to change.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// An address that cannot be asked safely.
    #[error("{0}: {1:?} is no URL of https, or of http on this machine, without user and fragment")]
    Url(&'static str, String),
    /// The leeway is too large.
    #[error("the leeway is more than 60 seconds; set the clock instead")]
    Leeway,
    /// [`Builder::build`] was called outside of a tokio runtime.
    #[error("there is no tokio runtime here; call build() inside of one")]
    NoRuntime,
    /// The feature `http-client` is off, and no other [`Fetch`] was given.
    #[error("there is nothing to fetch with; turn the feature http-client on, or give a Fetch")]
    NoFetch,
    /// TLS cannot be set up.
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
    /// There are no certificates to tell the server by.
    #[error("no certificate authorities are found; install ca-certificates, or set SSL_CERT_FILE")]
    NoCertificates,
}

/// Collects the settings of a [`Verifier`].
#[must_use]
pub struct Builder {
    issuer: String,
    audience: Option<String>,
    server: Option<String>,
    jwks_url: Option<String>,
    leeway: Duration,
    check_status: bool,
    missing_status: MissingStatus,
    keep_keys_for: Duration,
    pause: Duration,
    time_limit: Duration,
    clock: Box<dyn Fn() -> SystemTime + Send + Sync>,
    fetch: Option<Arc<dyn Fetch>>,
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

impl Builder {
    #[allow(clippy::disallowed_methods, reason = "the one place of this crate that names the wall clock")]
    pub(crate) fn new(issuer: String) -> Self {
        Self {
            issuer,
            audience: None,
            server: None,
            jwks_url: None,
            leeway: Duration::from_secs(5),
            check_status: true,
            missing_status: MissingStatus::AcceptFor(Duration::from_secs(600)),
            keep_keys_for: Duration::from_secs(3600),
            pause: Duration::from_secs(5),
            time_limit: Duration::from_secs(5),
            clock: Box::new(SystemTime::now),
            fetch: None,
        }
    }

    /// The exact `aud` of tokens for your service: the server's setting `audience`. Default: the issuer, as there.
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audience = Some(audience.into());
        self
    }

    /// Where the server is reached, if that is not at the issuer: an address inside of your network. Keys and status
    /// lists are fetched there; `iss` is compared with the issuer all the same.
    pub fn server(mut self, url: impl Into<String>) -> Self {
        self.server = Some(url.into());
        self
    }

    /// Where the JWK set is, if not at `/.well-known/jwks.json` of the server.
    pub fn jwks_url(mut self, url: impl Into<String>) -> Self {
        self.jwks_url = Some(url.into());
        self
    }

    /// For how long after its `exp` a token is taken, for clocks that differ: 60 seconds at most. Default: 5 seconds.
    /// `iat` and `nbf` may lie ahead by 60 seconds less this.
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.leeway = leeway;
        self
    }

    /// Whether ended sessions are looked for in status lists. Default: yes. Without it a token is good until its `exp`,
    /// whatever happens to its session or account.
    pub fn check_status(mut self, check: bool) -> Self {
        self.check_status = check;
        self
    }

    /// What happens while no list can be had. Default: tokens are taken for 10 minutes after the last one, and refused
    /// where there was none yet.
    pub fn missing_status(mut self, missing: MissingStatus) -> Self {
        self.missing_status = missing;
        self
    }

    /// For how long the last JWK set is used while the server is away. Default: an hour, after which no token that the
    /// server has issued by its defaults is left. A key that is revoked meanwhile is trusted for so long.
    pub fn keep_keys_for(mut self, time: Duration) -> Self {
        self.keep_keys_for = time;
        self
    }

    /// The least time between two fetches of a file that tokens ask for, by a key id that is unknown. Default: 5 seconds.
    pub fn pause(mut self, pause: Duration) -> Self {
        self.pause = pause;
        self
    }

    /// How long one fetch may take. Default: 5 seconds.
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = limit;
        self
    }

    /// Another clock, for tests.
    pub fn clock(mut self, clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.clock = Box::new(clock);
        self
    }

    /// Fetches by this instead of the client of the feature `http-client`: through a proxy, or from a test.
    pub fn fetch(mut self, fetch: impl Fetch) -> Self {
        self.fetch = Some(Arc::new(fetch));
        self
    }

    /// Makes the verifier, and starts to fetch the keys. Does not wait for them: [`Verifier::ready`] does.
    ///
    /// # Errors
    /// What is wrong with the settings, and outside of a tokio runtime.
    pub fn build(self) -> Result<Verifier, BuildError> {
        let runtime = tokio::runtime::Handle::try_current().map_err(|_| BuildError::NoRuntime)?;
        let server = self.server.as_deref().unwrap_or(&self.issuer).trim_end_matches('/').to_owned();
        safe_url("the server's address", &server)?;
        let jwks_url = self.jwks_url.unwrap_or_else(|| format!("{server}{JWK_SET_PATH}"));
        let jwks_url = safe_url("the address of the JWK set", &jwks_url)?;
        if self.leeway > MAX_LEEWAY {
            return Err(BuildError::Leeway);
        }
        let over_tls = server.starts_with("https:") || jwks_url.scheme() == "https";
        let fetch = self.fetch.map_or_else(|| default_fetch(over_tls), Ok)?;
        let pause = self.pause.max(Duration::from_millis(100));
        let manner = Manner { fetch, time_limit: self.time_limit, pause };
        let keys = Keys::start(jwks_url, self.keep_keys_for, manner.clone(), &runtime);
        let clock = self.clock;
        let now = Box::new(move || seconds(clock()));
        let audience = self.audience.unwrap_or_else(|| self.issuer.clone());
        let common = Arc::new(Common { issuer: self.issuer, server, keys, now });
        let lists =
            self.check_status.then(|| Lists::new(common.clone(), self.missing_status, manner, runtime));
        let leeway = i64::try_from(self.leeway.as_secs()).unwrap_or(0);
        Ok(Verifier(Arc::new(Inner { common, audience, leeway, lists })))
    }
}

fn safe_url(what: &'static str, text: &str) -> Result<Url, BuildError> {
    let url = Url::parse(text).ok().filter(is_safe);
    url.ok_or_else(|| BuildError::Url(what, text.to_owned()))
}

#[cfg(feature = "http-client")]
fn default_fetch(over_tls: bool) -> Result<Arc<dyn Fetch>, BuildError> {
    let client = crate::client::HttpClient::new()?;
    if over_tls && !client.has_certificates() {
        return Err(BuildError::NoCertificates);
    }
    Ok(Arc::new(client))
}

#[cfg(not(feature = "http-client"))]
fn default_fetch(_: bool) -> Result<Arc<dyn Fetch>, BuildError> {
    Err(BuildError::NoFetch)
}

/// Whole seconds since 1970 UTC.
fn seconds(now: SystemTime) -> i64 {
    now.duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}
