//! Connections over TLS: the handshake, then HTTP/2 or HTTP/1.1 as the client likes (RFC 7301), each under the time
//! limits that plain connections have.
//!
//! Every answer tells browsers to come back over TLS alone (HSTS, RFC 6797).

use super::accept::{Answers as _, HEADER_TIMEOUT, LAST_CALL, Stream};
use super::front::Front;
use super::http2::{self, Requests};
use super::tls::{self, Tls};
use axum::http::header::{CONNECTION, STRICT_TRANSPORT_SECURITY};
use axum::http::{HeaderMap, HeaderValue};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2 as hyper_http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::graceful::GracefulConnection;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// How long a client may take for the handshake. It has as long again for its first headers.
const HANDSHAKE_TIMEOUT: Duration = HEADER_TIMEOUT;

/// How long one may still take after a stop: who has said nothing by then will hardly ask for something.
const LATE_HANDSHAKE: Duration = Duration::from_secs(1);

/// A year.
const HSTS: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// The answer to who speaks HTTP without TLS here.
const NO_TLS: &[u8] = b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\ncontent-length: 40\r\n\
    connection: close\r\n\r\nThis port speaks TLS. Use an https URL.\n";

/// How long it is listened for the rest of what he says, so that he hears the answer.
const HEAR_OUT: Duration = Duration::from_millis(500);

/// What connections over TLS need.
pub(super) struct Secure {
    pub(super) tls: Arc<Tls>,
    pub(super) front: Front,
    pub(super) http1: http1::Builder,
    pub(super) http2: hyper_http2::Builder<TokioExecutor>,
    /// Whether the server is about to stop.
    pub(super) leaving: Arc<AtomicBool>,
    /// Whether answers carry HSTS.
    pub(super) is_strict: bool,
}

impl Secure {
    /// Serves a connection until its client or a stop ends it.
    pub(super) async fn serve(
        self: Arc<Self>,
        stream: Stream,
        peer: SocketAddr,
        mut stop: watch::Receiver<bool>,
    ) {
        let greeted = tokio::select! {
            greeted = timeout(HANDSHAKE_TIMEOUT, self.greet(stream)) => greeted,
            () = overdue(&mut stop) => return,
        };
        // The client's fault, or its end: it broke off, was too slow, or spoke something else.
        let ended = match greeted {
            Ok(Ok(Some(stream))) if tls::is_http2(stream.get_ref().1.alpn_protocol()) => {
                self.serve_http2(stream, peer, stop).await.map_err(|ended| ended.to_string())
            }
            Ok(Ok(Some(stream))) => {
                self.serve_http1(stream, peer, stop).await.map_err(|error| error.to_string())
            }
            Ok(Ok(None)) => Err("it spoke no TLS".to_owned()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("its handshake took too long".to_owned()),
        };
        if let Err(error) = ended {
            tracing::debug!(%peer, error, "a connection was ended");
        }
    }

    /// The handshake; nothing if the client speaks HTTP without TLS, and was told so.
    async fn greet(&self, mut stream: Stream) -> io::Result<Option<Box<TlsStream<Stream>>>> {
        let mut first = [0];
        let heard = stream.get_ref().peek(&mut first).await?;
        // Each method of HTTP begins with a letter, and no handshake does.
        if heard == 1 && first.iter().all(u8::is_ascii_alphabetic) {
            stream.write_all(NO_TLS).await?;
            stream.shutdown().await?;
            let _ = timeout(HEAR_OUT, hear_out(stream)).await;
            return Ok(None);
        }
        TlsAcceptor::from(self.tls.config()).accept(stream).await.map(|stream| Some(Box::new(stream)))
    }

    async fn serve_http1(
        &self,
        stream: Box<TlsStream<Stream>>,
        peer: SocketAddr,
        mut stop: watch::Receiver<bool>,
    ) -> Result<(), hyper::Error> {
        let service = service_fn(|request: hyper::Request<Incoming>| {
            let answer = self.front.answer(request, peer);
            async {
                let mut answer = answer.await?;
                self.mark(answer.headers_mut());
                if self.leaving.load(Ordering::Relaxed) {
                    answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                }
                Ok::<_, Infallible>(answer)
            }
        });
        until(stopped(&mut stop), self.http1.serve_connection(TokioIo::new(stream), service)).await
    }

    async fn serve_http2(
        self: &Arc<Self>,
        stream: Box<TlsStream<Stream>>,
        peer: SocketAddr,
        mut stop: watch::Receiver<bool>,
    ) -> Result<(), http2::Ended> {
        let (requests, secure) = (Requests::new(), self.clone());
        let counted = requests.clone();
        let service = service_fn(move |request: hyper::Request<Incoming>| {
            let (at_work, secure) = (counted.begin(), secure.clone());
            let answer = secure.front.answer(request, peer);
            async move {
                let mut answer = answer.await?;
                secure.mark(answer.headers_mut());
                Ok::<_, Infallible>(at_work.answered(answer))
            }
        });
        let connection = self.http2.serve_connection(TokioIo::new(stream), service);
        requests.serve(connection, &self.leaving, stopped(&mut stop)).await
    }

    fn mark(&self, headers: &mut HeaderMap) {
        if self.is_strict {
            headers.insert(STRICT_TRANSPORT_SECURITY, HSTS);
        }
    }
}

/// Over some time after a stop.
async fn overdue(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stopped| *stopped).await;
    sleep(LATE_HANDSHAKE).await;
}

/// Reads what comes and forgets it.
async fn hear_out(mut stream: Stream) {
    let mut buffer = [0; 1024];
    while stream.read(&mut buffer).await.is_ok_and(|count| count > 0) {}
}

/// Over at a stop. Who was still in his handshake then has a moment to say what he wants: hyper would close a
/// connection of which it has read nothing.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let is_late = *stop.borrow();
    // If the other end is gone, so is the server.
    let _ = stop.wait_for(|stopped| *stopped).await;
    if is_late {
        sleep(LAST_CALL).await;
    }
}

/// Serves a connection; after a stop no longer than its request takes.
async fn until<C: GracefulConnection>(
    stopped: impl Future<Output = ()>,
    connection: C,
) -> Result<(), C::Error> {
    let mut connection = pin!(connection);
    tokio::select! {
        ended = &mut connection => return ended,
        () = stopped => connection.as_mut().graceful_shutdown(),
    }
    connection.await
}
