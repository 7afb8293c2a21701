//! Accepting connections and serving HTTP/1.1 on them (RFC 9112), each under limits of time. What comes over TLS is
//! served by `secure.rs`.
//!
//! A server that is about to stop asks its clients, with each answer, to come back on a new connection. A stop
//! loses no request that was sent: what the kernel has already taken in is accepted and served, then new
//! connections are refused, then requests under way finish.

use super::secure::Secure;
use crate::metrics::{Id, Metrics};
use axum::http::header::CONNECTION;
use axum::http::{HeaderValue, Request};
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_io_timeout::TimeoutStream;

/// How long a client may take for the headers of a request, from connecting or from its last answer.
pub(super) const HEADER_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a client may leave an answer unread.
pub(super) const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// The most bytes of a request's headers.
pub(super) const MAX_HEADER_BYTES: usize = 16 * 1024;

/// How long connections that were just accepted may take to deliver what their clients sent at once.
pub(super) const LAST_CALL: Duration = Duration::from_millis(100);

/// How long requests that are under way may take to finish after a stop.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(8);

/// The same where load balancers were told long before.
const SHORT_DRAIN_TIMEOUT: Duration = Duration::from_secs(3);

/// What the loop is to do. Later phases follow earlier ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    Serving,
    Draining,
    Ended,
}

/// A connection that a client does not read from is ended by it.
pub(super) type Stream = Pin<Box<TimeoutStream<TcpStream>>>;

/// What has an answer to every request.
pub(super) trait Answers: Clone + Send + 'static {
    /// The answer on its way.
    type Answering: Future<Output = Result<Response, Infallible>> + Send;

    /// Answers a request of `peer`.
    fn answer(&self, request: Request<Incoming>, peer: SocketAddr) -> Self::Answering;

    /// Where connections are counted, if they are.
    fn metrics(&self) -> Option<&Arc<Metrics>>;
}

/// A connection that is counted as open until this is dropped.
struct Open(Arc<Metrics>);

impl Open {
    fn count(metrics: &Arc<Metrics>) -> Self {
        metrics.count(Id::ConnectionsAccepted, &[]);
        metrics.raise(Id::ConnectionsOpen);
        Self(metrics.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.lower(Id::ConnectionsOpen, 1);
    }
}

/// The connections that are open.
struct Connections<S> {
    front: S,
    http: http1::Builder,
    graceful: GracefulShutdown,
    /// What is spoken where it is not plain HTTP.
    secure: Option<Arc<Secure>>,
    /// Tells connections over TLS of a stop.
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
    /// One permit a connection.
    free: Arc<Semaphore>,
    /// Whether the server is about to stop.
    leaving: Arc<AtomicBool>,
}

/// Serves until the phase is over.
///
/// # Errors
/// If the listener cannot be used.
pub(super) async fn run<S: Answers>(
    listener: TcpListener,
    front: S,
    secure: Option<Secure>,
    max_connections: usize,
    leaving: Arc<AtomicBool>,
    mut phase: watch::Receiver<Phase>,
) -> std::io::Result<()> {
    let mut connections = Connections {
        front,
        http: builder(),
        graceful: GracefulShutdown::new(),
        secure: secure.map(Arc::new),
        stop: watch::Sender::new(false),
        tasks: JoinSet::new(),
        free: Arc::new(Semaphore::new(max_connections)),
        leaving,
    };
    loop {
        tokio::select! {
            biased;
            () = reached(&mut phase, Phase::Draining) => break,
            Some(_) = connections.tasks.join_next() => {}
            accepted = accept(&listener, &connections.free) => match accepted {
                Ok((permit, stream, peer)) => connections.open(Some(permit), stream, peer),
                Err(error) => {
                    // Out of files, most likely: some will be closed soon.
                    tracing::warn!(%error, "a connection was not accepted");
                    sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }
    connections.accept_rest(listener)?;
    connections.drain(phase).await;
    Ok(())
}

/// HTTP/1.1 within its limits.
pub(super) fn builder() -> http1::Builder {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT).max_buf_size(MAX_HEADER_BYTES);
    http
}

/// The next connection, as soon as there may be one more.
async fn accept(
    listener: &TcpListener,
    free: &Arc<Semaphore>,
) -> std::io::Result<(OwnedSemaphorePermit, TcpStream, SocketAddr)> {
    let permit = free.clone().acquire_owned().await.map_err(std::io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    Ok((permit, stream, peer))
}

async fn reached(phase: &mut watch::Receiver<Phase>, wanted: Phase) {
    // If the other end is gone, nobody waits for the answers any more.
    let _ = phase.wait_for(|phase| *phase >= wanted).await;
}

impl<S: Answers> Connections<S> {
    fn open(&mut self, permit: Option<OwnedSemaphorePermit>, stream: TcpStream, peer: SocketAddr) {
        let _ = stream.set_nodelay(true);
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(WRITE_TIMEOUT));
        let stream = Box::pin(stream);
        let counted = self.front.metrics().map(Open::count);
        if let Some(secure) = &self.secure {
            let serving = secure.clone().serve(stream, peer, self.stop.subscribe());
            self.tasks.spawn(async move {
                serving.await;
                drop((permit, counted));
            });
            return;
        }
        let (front, leaving) = (self.front.clone(), self.leaving.clone());
        let service = service_fn(move |request: Request<Incoming>| {
            let (answer, leaving) = (front.answer(request, peer), leaving.clone());
            async move {
                let mut answer = answer.await?;
                if leaving.load(Ordering::Relaxed) {
                    answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                }
                Ok::<_, Infallible>(answer)
            }
        });
        let connection = self.http.serve_connection(TokioIo::new(stream), service);
        let connection = self.graceful.watch(connection);
        self.tasks.spawn(async move {
            // The client's: it broke off, was too slow, or spoke no HTTP and got a bare 400 or 431.
            if let Err(error) = connection.await {
                tracing::debug!(%peer, %error, "a connection was ended");
            }
            drop((permit, counted));
        });
    }

    /// Accepts what the kernel has taken in, and refuses all that comes later.
    fn accept_rest(&mut self, listener: TcpListener) -> std::io::Result<()> {
        let listener = listener.into_std()?;
        for _ in 0..super::BACKLOG {
            let Ok((stream, peer)) = listener.accept() else { break };
            let stream = stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream));
            stream.map_or_else(
                |error| tracing::warn!(%peer, %error, "not accepted"),
                |stream| self.open(None, stream, peer),
            );
        }
        Ok(())
    }

    async fn drain(self, mut phase: watch::Receiver<Phase>) {
        // hyper would close a connection of which it has read nothing yet.
        sleep(LAST_CALL).await;
        let timeout = if self.leaving.load(Ordering::Relaxed) { SHORT_DRAIN_TIMEOUT } else { DRAIN_TIMEOUT };
        self.stop.send_replace(true);
        let all = async {
            self.graceful.shutdown().await;
            self.stop.closed().await;
        };
        tokio::select! {
            () = all => {}
            () = sleep(timeout) => tracing::warn!("some requests were not finished in time"),
            () = reached(&mut phase, Phase::Ended) => {}
        }
    }
}
