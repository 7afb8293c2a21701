//! What a running server has, and what one request knows.

pub mod extract;

use crate::audit::{self, Event, Kind, Origin};
use crate::base::time::{Clock, Timestamp};
use crate::config::Config;
use crate::db::Db;
use crate::health::Health;
use crate::keys::schedule::Life;
use crate::keys::{self, KeySet, Keyring};
use crate::metrics::Metrics;
use crate::password_pool::{PasswordPool, Turns};
use crate::profiles::Profiles;
use crate::status::Statuses;
use crate::traces::{self, Tracer};
use claviger_crypto::mac::MacKey;
use claviger_crypto::seal::MasterKey;
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// The capabilities of a server.
#[derive(Debug)]
pub struct App {
    /// Its configuration.
    pub config: Config,
    /// Its database.
    pub db: Db,
    /// Its signing keys.
    pub keyring: Keyring,
    /// The keys of what it recognises as its own.
    pub secrets: Secrets,
    /// The threads that hash passwords.
    pub passwords: PasswordPool,
    /// The refreshes under way of one session, by turns.
    pub refreshes: Turns,
    /// The sessions that have ended.
    pub statuses: Statuses,
    /// The profiles that were shown last.
    pub profiles: Profiles,
    /// Whether it should be given requests.
    pub health: Health,
    /// What it counts of itself.
    pub metrics: Arc<Metrics>,
    /// Traces its requests, if they are.
    pub tracer: Option<Arc<Tracer>>,
    /// How its signing keys stood when metrics last looked.
    pub key_lives: Mutex<Vec<Life>>,
    /// When it started.
    pub started_at: Timestamp,
    /// Its clock.
    pub clock: Clock,
}

/// Keys derived from the master key, one for each purpose.
#[derive(Clone, Debug)]
pub struct Secrets {
    /// Of refresh tokens.
    pub refresh: MacKey,
    /// Of the audit trail's chain.
    pub audit: MacKey,
    /// Of what stands for addresses and accounts where guesses are counted.
    pub guesses: MacKey,
}

impl Secrets {
    /// Derives them.
    pub fn of(master: &MasterKey) -> Self {
        let key = |purpose| MacKey::new(*master.derive(purpose));
        Self { refresh: key("refresh-token"), audit: audit::key(master), guesses: key("guesses") }
    }
}

/// Runs a change to its end though its caller hangs up: what was done is announced and logged.
///
/// # Panics
/// If the change does.
#[allow(clippy::disallowed_methods)] // The one task that a request may start.
pub async fn to_its_end<T: Send + 'static>(change: impl Future<Output = T> + Send + 'static) -> T {
    match tokio::spawn(traces::carried(change)).await {
        Ok(done) => done,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

impl App {
    /// With these, and with nothing known yet of sessions, profiles and requests.
    pub fn new(
        config: Config,
        db: Db,
        keyring: Keyring,
        secrets: Secrets,
        passwords: PasswordPool,
        clock: Clock,
    ) -> Self {
        Self {
            metrics: db.metrics().clone(),
            tracer: None,
            key_lives: Mutex::default(),
            started_at: clock.now(),
            config,
            db,
            keyring,
            secrets,
            passwords,
            refreshes: Turns::default(),
            statuses: Statuses::default(),
            profiles: Profiles::default(),
            health: Health::new(Instant::now()),
            clock,
        }
    }

    /// The keys in use; waits for the first one at the first start.
    ///
    /// # Errors
    /// [`keys::Error::NotReady`] if there is none after a while.
    pub async fn key_set(&self) -> Result<Arc<KeySet>, keys::Error> {
        self.keyring.current().await
    }
}

/// One request's view: the server, the time (read once), and who asks from where.
#[derive(Clone, Debug)]
pub struct Cx {
    /// The server.
    pub app: Arc<App>,
    /// The request's time.
    pub now: Timestamp,
    /// Who asks, from where, in which request.
    pub origin: Origin,
    /// What the client calls itself.
    pub user_agent: Option<String>,
}

impl Cx {
    /// A successful event of this request, for the audit trail.
    pub fn event(&self, kind: Kind) -> Event {
        Event::new(kind, self.origin.clone(), self.now)
    }
}
