//! Starting a server and letting it end.

mod accept;
mod signals;

pub use signals::Signals;

use crate::app::App;
use crate::audit::{Actor, Origin};
use crate::base::time::Clock;
use crate::base::{id, random};
use crate::config::Config;
use crate::db::{self, Db};
use crate::keys::schedule::Policy;
use crate::keys::{self, Keyring, KeyringWriter};
use crate::password_pool::PasswordPool;
use crate::routes;
use accept::Phase;
use claviger_crypto::jws::SigningKey;
use claviger_crypto::seal::MasterKey;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpSocket;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How many connections may wait to be accepted.
const BACKLOG: u32 = 1024;

/// Why a server does not start. The text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address.
    #[error(
        "cannot listen on {0}: {1}. Choose another address with --listen, or stop the program that uses it"
    )]
    Listen(SocketAddr, std::io::Error),
    /// The database.
    #[error(transparent)]
    Db(#[from] db::Error),
    /// The keys.
    #[error(transparent)]
    Keys(#[from] keys::Error),
    /// The system refuses a thread, a socket option or the like.
    #[error("the system refuses: {0}")]
    System(#[from] std::io::Error),
    /// The documentation page.
    #[error("the documentation page cannot be made: {0}")]
    Docs(#[from] askama::Error),
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    phase: watch::Sender<Phase>,
    serving: JoinHandle<std::io::Result<()>>,
}

/// Starts a server: when this returns, it accepts connections.
///
/// # Errors
/// [`StartError`], saying what to do.
#[allow(clippy::disallowed_methods)] // The accept loop is one of the few tasks that this program starts.
pub async fn start(config: Config, clock: Clock) -> Result<Server, StartError> {
    raise_file_limit();
    let (listen, max_connections) = (config.listen, config.max_connections);
    let unavailable = |error| StartError::Listen(listen, error);
    let socket = bound(listen).map_err(unavailable)?;
    let db = Db::open(&config.data_dir, clock.now())?;
    let keyring = open_keyring(&config, &db, &clock).await?;
    let passwords = PasswordPool::start(config.hash)?;
    let router = routes::router(Arc::new(App { config, db, keyring, passwords, clock }))?;
    // Only now: a connection is taken when it can be served.
    let listener = socket.listen(BACKLOG).map_err(unavailable)?;
    let address = listener.local_addr()?;
    let (phase, phases) = watch::channel(Phase::Serving);
    let serving = tokio::spawn(accept::run(listener, router, max_connections, phases));
    Ok(Server { address, phase, serving })
}

impl Server {
    /// Accepts no more connections, lets the requests under way finish, and ends.
    pub fn drain(&self) {
        self.phase.send_replace(Phase::Draining);
    }

    /// Waits until the server has ended.
    ///
    /// # Errors
    /// If the listener could not be used any more.
    pub async fn ended(&mut self) -> std::io::Result<()> {
        (&mut self.serving).await.unwrap_or_else(|error| Err(std::io::Error::other(error)))
    }

    /// Waits for a signal, then drains; a second signal ends the server at once.
    ///
    /// # Errors
    /// If the listener could not be used any more.
    pub async fn run_until_signal(mut self, mut signals: Signals) -> std::io::Result<()> {
        tokio::select! {
            result = self.ended() => return result,
            () = signals.next() => {}
        }
        tracing::info!("stopping: no new connections, requests under way are finished first");
        self.drain();
        tokio::select! {
            result = self.ended() => return result,
            () = signals.next() => {}
        }
        self.phase.send_replace(Phase::Ended);
        self.ended().await
    }
}

/// Takes the address without listening on it yet, so that a taken one is noticed before anything is made.
fn bound(address: SocketAddr) -> std::io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

async fn open_keyring(config: &Config, db: &Db, clock: &Clock) -> Result<Keyring, StartError> {
    let is_new = keys::flow::list(db).await?.is_empty();
    // A new master key in place of a lost one would hide that it is lost.
    let master = keys::master::obtain(&config.master_key, is_new)?;
    let policy = Policy::of(config);
    let (writer, keyring) = Keyring::new();
    if is_new {
        make_first_key(writer, policy, db.clone(), master, clock.clone());
    } else {
        keys::flow::reload(db, &master, &policy, &writer).await?;
    }
    Ok(keyring)
}

/// Makes the first key on a thread of its own; what needs it waits, all else is served meanwhile.
#[allow(clippy::disallowed_methods)]
fn make_first_key(writer: KeyringWriter, policy: Policy, db: Db, master: MasterKey, clock: Clock) {
    tokio::spawn(async move {
        let made = tokio::task::spawn_blocking(move || SigningKey::generate(policy.kind)).await;
        let key = match made {
            Ok(Ok(key)) => key,
            Ok(Err(error)) => return tracing::error!(%error, "the first signing key could not be made"),
            Err(error) => return tracing::error!(%error, "the first signing key could not be made"),
        };
        let adopt = async || {
            let now = clock.now();
            let request_id = id::uuid_v7(now, random::bytes());
            let origin = Origin { actor: Actor::System, address: None, request_id };
            keys::flow::adopt_first(&db, &master, &policy, &key, &origin, now).await?;
            keys::flow::reload(&db, &master, &policy, &writer).await
        };
        while let Err(error) = adopt().await {
            tracing::error!(%error, "the first signing key could not be stored; trying again");
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
}

/// Each connection needs a file; the usual soft limit of 1024 would be the first thing to run out.
fn raise_file_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Where it is refused, the limit stays as it was.
    let _ = setrlimit(Resource::Nofile, limit);
}
