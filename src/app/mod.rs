//! What a running server has, and what one request knows.

pub mod extract;

use crate::base::time::{Clock, Timestamp};
use crate::config::Config;
use crate::db::Db;
use crate::keys::{self, KeySet, Keyring};
use crate::password_pool::PasswordPool;
use std::net::IpAddr;
use std::sync::Arc;
use uuid::Uuid;

/// The capabilities of a server.
#[derive(Debug)]
pub struct App {
    /// Its configuration.
    pub config: Config,
    /// Its database.
    pub db: Db,
    /// Its signing keys.
    pub keyring: Keyring,
    /// The threads that hash passwords.
    pub passwords: PasswordPool,
    /// Its clock.
    pub clock: Clock,
}

impl App {
    /// The keys in use; waits for the first one at the first start.
    ///
    /// # Errors
    /// [`keys::Error::NotReady`] if there is none after a while.
    pub async fn key_set(&self) -> Result<Arc<KeySet>, keys::Error> {
        self.keyring.current().await
    }
}

/// One request's view: the server, the time (read once), who asks from where, and the request's id.
#[derive(Clone, Debug)]
pub struct Cx {
    /// The server.
    pub app: Arc<App>,
    /// The request's time.
    pub now: Timestamp,
    /// Where it comes from.
    pub address: IpAddr,
    /// Its id.
    pub request_id: Uuid,
}
