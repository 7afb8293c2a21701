//! Where to connect, and how patiently.

use super::{PATIENCE, hosts, tls};
use crate::config::DatabaseUrl;
use crate::db::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::time::Duration;
use tokio_postgres::Config;
use tokio_postgres::config::TargetSessionAttrs;
use tokio_postgres_rustls::MakeRustlsConnect;

/// How long the system tries to reach a host that does not answer.
const UNACKNOWLEDGED: Duration = Duration::from_secs(3);

/// Where to connect.
#[derive(Clone)]
pub(super) struct Target {
    /// The servers, each by itself.
    pub(super) hosts: Vec<Config>,
    /// Which of them answered last, and is asked first.
    pub(super) last: Arc<AtomicUsize>,
    pub(super) tls: MakeRustlsConnect,
    /// How long connecting to one may take, where the operator has said so.
    pub(super) patience: Option<Duration>,
    /// The longest that a statement may run, by the server's watch: nobody waits for longer.
    pub(super) statement: Duration,
    /// Whether a pooler was noticed, on any of the connections.
    pub(super) pooled: Arc<AtomicBool>,
}

impl Target {
    /// From what the operator has said. Nobody waits for longer than `statement`.
    pub(super) fn of(url: &DatabaseUrl, read_only: bool, statement: Duration) -> Result<Self, Error> {
        let mut config = (*url.connect).clone();
        if config.get_application_name().is_none() {
            // A command is told by its name from the servers, which a copy asks for.
            config.application_name(if statement == PATIENCE { "claviger" } else { "claviger-command" });
        }
        let patience = config.get_connect_timeout().copied();
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(UNACKNOWLEDGED);
            config.keepalives_idle(Duration::from_secs(10));
            config.keepalives_interval(Duration::from_secs(3));
            config.keepalives_retries(3);
        }
        // Of several hosts the one that takes changes; a server that has become a standby is left.
        if !read_only {
            config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        }
        Ok(Self {
            hosts: hosts::each(&config),
            last: Arc::default(),
            tls: tls::connector(url)?,
            patience,
            statement,
            pooled: Arc::default(),
        })
    }
}
