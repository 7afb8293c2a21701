//! Starting a server and letting it end.

use crate::app::App;
use crate::base::time::Clock;
use crate::config::Config;
use crate::db::{self, Db};
use crate::keys::{self, Keyring, KeyringWriter};
use crate::password_pool::PasswordPool;
use crate::routes;
use axum_server::Handle;
use claviger_crypto::jws::{RsaBits, SigningKey};
use claviger_crypto::seal::MasterKey;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

/// How long a client may take for the headers of a request, and stay silent between two.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a client may take from connecting to its first complete request headers.
const FIRST_REQUEST_TIMEOUT: Duration = Duration::from_secs(8);

/// How long requests that are under way may take to finish after the signal to stop.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(8);

/// The most bytes of a request's headers.
const MAX_HEADER_BYTES: usize = 16 * 1024;

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
    handle: Handle<SocketAddr>,
    serving: JoinHandle<std::io::Result<()>>,
}

/// Starts a server: when this returns, it accepts connections.
///
/// # Errors
/// [`StartError`], saying what to do.
pub async fn start(config: Config, clock: Clock) -> Result<Server, StartError> {
    raise_file_limit();
    let listener =
        TcpListener::bind(config.listen).map_err(|error| StartError::Listen(config.listen, error))?;
    let address = listener.local_addr()?;
    let db = Db::open(&config.data_dir, clock.now())?;
    let keyring = open_keyring(&config, &db, &clock).await?;
    let passwords = PasswordPool::start(config.hash)?;
    let app = Arc::new(App { config, db, keyring, passwords, clock });
    let handle = Handle::new();
    let serving = serve(app, listener, handle.clone())?;
    Ok(Server { address, handle, serving })
}

impl Server {
    /// Accepts no more connections, lets the requests under way finish, and ends.
    pub fn drain(&self) {
        self.handle.graceful_shutdown(Some(DRAIN_TIMEOUT));
    }

    /// Waits until the server has ended.
    ///
    /// # Errors
    /// If accepting connections failed for good.
    pub async fn ended(self) -> std::io::Result<()> {
        self.serving.await.unwrap_or_else(|error| Err(std::io::Error::other(error)))
    }

    /// Waits for SIGTERM or SIGINT, then drains; a second signal ends the server at once.
    ///
    /// # Errors
    /// If accepting connections failed for good, or signals cannot be received.
    pub async fn run_until_signal(mut self) -> std::io::Result<()> {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut draining = false;
        loop {
            tokio::select! {
                result = &mut self.serving => return result.unwrap_or_else(|error| Err(std::io::Error::other(error))),
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if draining {
                self.handle.shutdown();
            } else {
                tracing::info!("stopping: no new connections, requests under way are finished first");
                self.drain();
                draining = true;
            }
        }
    }
}

#[allow(clippy::disallowed_methods)] // The accept loop is one of the few tasks that this program starts.
fn serve(
    app: Arc<App>,
    listener: TcpListener,
    handle: Handle<SocketAddr>,
) -> Result<JoinHandle<std::io::Result<()>>, StartError> {
    let router = routes::router(app)?.into_make_service_with_connect_info::<SocketAddr>();
    let mut server = axum_server::from_tcp(listener)?
        .http1_only()
        .first_request_timeout(FIRST_REQUEST_TIMEOUT)
        .accept_error_handler(|peer, error| tracing::warn!(?peer, %error, "a connection was not accepted"))
        .handle(handle);
    server.http_builder().http1().header_read_timeout(HEADER_TIMEOUT).max_buf_size(MAX_HEADER_BYTES);
    Ok(tokio::spawn(server.serve(router)))
}

async fn open_keyring(config: &Config, db: &Db, clock: &Clock) -> Result<Keyring, StartError> {
    let master = keys::master::obtain(&config.master_key)?;
    let (writer, keyring) = Keyring::new();
    match keys::flow::load(db, &master).await? {
        Some(set) => writer.replace(set),
        None => make_first_key(writer, config.rsa_bits, db.clone(), master, clock.clone()),
    }
    Ok(keyring)
}

/// Makes the first key on a thread of its own; what needs it waits, all else is served meanwhile.
#[allow(clippy::disallowed_methods)]
fn make_first_key(writer: KeyringWriter, bits: RsaBits, db: Db, master: MasterKey, clock: Clock) {
    tokio::spawn(async move {
        let made = tokio::task::spawn_blocking(move || SigningKey::generate(bits)).await;
        let key = match made {
            Ok(Ok(key)) => key,
            Ok(Err(error)) => return tracing::error!(%error, "the first signing key could not be made"),
            Err(error) => return tracing::error!(%error, "the first signing key could not be made"),
        };
        loop {
            match keys::flow::adopt_first(&db, &master, &key, clock.now()).await {
                Ok(Some(set)) => {
                    tracing::info!(kid = set.active().public().kid, "made the first signing key");
                    return writer.replace(set);
                }
                Ok(None) => {
                    tracing::error!("the first signing key was not found after it was stored; trying again")
                }
                Err(error) => {
                    tracing::error!(%error, "the first signing key could not be stored; trying again")
                }
            }
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
