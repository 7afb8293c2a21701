//! Starting a server and letting it end.

mod accept;
mod exporter;
mod front;
mod http2;
mod monitor;
mod secure;
mod signals;
pub mod tls;

pub use signals::{Signal, Signals};

use crate::app::{App, Secrets};
use crate::base::time::Clock;
use crate::config::Config;
use crate::db::{self, Db};
use crate::keys::schedule::Policy;
use crate::keys::{self, Keyring};
use crate::metrics::Metrics;
use crate::password_pool::PasswordPool;
use crate::traces::Tracer;
use crate::{audit, jobs, routes, status};
use accept::Phase;
use exporter::Exporter;
use front::Front;
use monitor::Monitor;
use secure::Secure;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;
use tokio::net::TcpSocket;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

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
    /// The address of the metrics.
    #[error(
        "cannot listen on {0} for metrics: {1}. Choose another address with --metrics-listen, or stop the program that uses it"
    )]
    Metrics(SocketAddr, std::io::Error),
    /// The database.
    #[error(transparent)]
    Db(#[from] db::Error),
    /// The keys.
    #[error(transparent)]
    Keys(#[from] keys::Error),
    /// The certificate or its key.
    #[error(transparent)]
    Tls(#[from] tls::Error),
    /// The system refuses a thread, a socket option or the like.
    #[error("the system refuses: {0}")]
    System(#[from] std::io::Error),
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    /// Where it offers metrics, if it does.
    pub metrics_address: Option<SocketAddr>,
    /// What it has.
    pub app: Arc<App>,
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
    let (listen, max_connections, is_strict) =
        (config.listen, config.max_connections, config.is_strictly_secure());
    let unavailable = |error| StartError::Listen(listen, error);
    let socket = bound(listen).map_err(unavailable)?;
    let certificate = match tls::Tls::open(&config, clock.now())? {
        Some((tls, watch)) => Some((Arc::new(tls), watch, tls::hangups()?)),
        None => None,
    };
    let monitor = config.metrics_listen.map(Monitor::take).transpose()?;
    let metrics = Arc::new(match monitor {
        Some(_) => Metrics::new(routes::vocabulary(&config)),
        None => Metrics::default(),
    });
    let counted = metrics.clone();
    // On a thread of its own: a database server may have to be waited for, and a signal is heeded meanwhile.
    let now = clock.now();
    let (config, db) = tokio::task::spawn_blocking(move || {
        let db = Db::open_counted(&config, now, counted);
        (config, db)
    })
    .await
    .map_err(std::io::Error::other)?;
    let db = db?;
    let (keyring, secrets, keys) = open_keys(&config, &db).await?;
    let passwords = PasswordPool::start_counted(config.hash, metrics)?;
    let mut app = App::new(config, db, keyring, secrets, passwords, clock);
    let exporter = app.config.traces.clone().map(|traces| {
        let (tracer, queue) =
            Tracer::new(traces.sampler, traces.queue, app.metrics.clone(), app.config.tls.is_some());
        app.tracer = Some(Arc::new(tracer));
        Exporter::start(traces, queue, app.metrics.clone())
    });
    let app = Arc::new(app);
    // Before the first request: a session that was ended stays so over a restart.
    status::flow::refresh(&app.db, &app.statuses, app.clock.now()).await?;
    let front = Front::new(routes::router(app.clone()), app.clone());
    // Only now: a connection is taken when it can be served.
    let listener = socket.listen(BACKLOG).map_err(unavailable)?;
    let address = listener.local_addr()?;
    let monitor = monitor.map(|monitor| monitor.serve(app.clone())).transpose()?;
    let metrics_address = monitor.as_ref().map(|monitor| monitor.address);
    let (phase, phases) = watch::channel(Phase::Serving);
    let jobs = jobs::start(&app, keys);
    let (last, leaving) = (app.clone(), app.health.leaving());
    let mut watches = JoinSet::new();
    let secure = certificate.map(|(tls, watch, hangups)| {
        watches.spawn(tls::keep_up(tls.clone(), watch, hangups, app.clock.clone()));
        let (front, leaving) = (front.clone(), leaving.clone());
        Secure { tls, front, http1: accept::builder(), http2: http2::builder(), leaving, is_strict }
    });
    let serving = tokio::spawn(async move {
        let ended = accept::run(listener, front, secure, max_connections, leaving, phases).await;
        watches.shutdown().await;
        jobs.stop().await;
        if let Some(exporter) = exporter {
            exporter.stop().await;
        }
        // Until all requests were answered.
        drop(monitor);
        // The events of the last second.
        if let Err(error) = audit::flow::seal(&last.db, &last.secrets.audit).await {
            tracing::warn!(%error, "the last events are not chained; the next start does it");
        }
        ended
    });
    Ok(Server { address, metrics_address, app, phase, serving })
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
        let signal = tokio::select! {
            result = self.ended() => return result,
            signal = signals.next() => signal,
        };
        // Who presses Ctrl-C sits in front of it.
        if signal == Signal::Terminate && self.app.health.is_watched(Instant::now()) {
            self.app.health.leave();
            let delay = self.app.config.drain_delay;
            tracing::info!(?delay, "stopping: load balancers are told first, all is still served");
            tokio::select! {
                result = self.ended() => return result,
                () = tokio::time::sleep(delay) => {}
                _ = signals.next() => return self.end().await,
            }
        }
        tracing::info!("stopping: no new connections, requests under way are finished first");
        self.drain();
        tokio::select! {
            result = self.ended() => return result,
            _ = signals.next() => {}
        }
        self.end().await
    }

    async fn end(&mut self) -> std::io::Result<()> {
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

/// The keys, and the job that looks after them. If there are none yet, it makes the first.
async fn open_keys(config: &Config, db: &Db) -> Result<(Keyring, Secrets, jobs::Keys), StartError> {
    let is_new = keys::flow::list(db).await?.is_empty();
    // A new master key in place of a lost one would hide that it is lost.
    let master = keys::master::obtain(&config.master_key, is_new)?;
    let (secrets, policy) = (Secrets::of(&master), Policy::of(config));
    let (writer, keyring) = Keyring::new();
    if !is_new {
        keys::flow::reload(db, &master, &policy, &writer).await?;
    }
    // Before any job begins: what they write with another one would stay.
    keys::flow::expect_same(db, &master).await?;
    Ok((keyring, secrets, jobs::Keys { writer, master, policy }))
}

/// Each connection needs a file; the usual soft limit of 1024 would be the first thing to run out.
fn raise_file_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Where it is refused, the limit stays as it was.
    let _ = setrlimit(Resource::Nofile, limit);
}
