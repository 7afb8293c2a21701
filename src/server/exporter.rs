//! Sends spans to a collector (OTLP/HTTP), in a task of its own. Who is traced never waits for it: what cannot be sent
//! in time is dropped and counted.

use crate::base::trust::system_roots;
use crate::config::{Protocol, Traces};
use crate::http::client::{authority, connect, server_name};
use crate::metrics::labels::SpanOutcome;
use crate::metrics::{Id, Metrics};
use crate::traces::{Span, otlp};
use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, HOST, USER_AGENT};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Request};
use http_body_util::{BodyExt as _, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::crypto::aws_lc_rs;
use std::fmt::Display;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_rustls::TlsConnector;
use url::Url;

/// How long the last spans may take at a stop.
const LAST: Duration = Duration::from_secs(2);

/// How often it is said that the collector is still away.
const SAY_AGAIN: Duration = Duration::from_secs(600);

/// The most of a collector's answer that is read.
const MOST_ANSWER: usize = 64 * 1024;

/// The task that sends.
pub(super) struct Exporter {
    stop: oneshot::Sender<()>,
    tasks: JoinSet<()>,
}

impl Exporter {
    /// Starts to send what comes out of `queue`.
    pub(super) fn start(traces: Traces, queue: mpsc::Receiver<Vec<Span>>, metrics: Arc<Metrics>) -> Self {
        let (stop, stopped) = oneshot::channel();
        let mut tasks = JoinSet::new();
        tasks.spawn(run(Collector::new(traces, metrics), queue, stopped));
        Self { stop, tasks }
    }

    /// Sends what is left, if the collector takes it in time.
    pub(super) async fn stop(mut self) {
        let _ = self.stop.send(());
        let _ = timeout(LAST, self.tasks.join_next()).await;
    }
}

async fn run(
    mut collector: Collector,
    mut queue: mpsc::Receiver<Vec<Span>>,
    mut stopped: oneshot::Receiver<()>,
) {
    let mut is_stopped = false;
    while !is_stopped {
        let mut batch = tokio::select! {
            first = queue.recv() => match first {
                Some(first) => first,
                None => return,
            },
            _ = &mut stopped => break,
        };
        let due = Instant::now() + collector.traces.delay;
        while batch.len() < collector.traces.batch {
            tokio::select! {
                more = queue.recv() => match more {
                    Some(more) => batch.extend(more),
                    None => break,
                },
                () = sleep_until(due) => break,
                _ = &mut stopped => {
                    is_stopped = true;
                    break;
                }
            }
        }
        collector.send(batch).await;
    }
    while let Ok(mut batch) = queue.try_recv() {
        while let Some(more) = (batch.len() < collector.traces.batch).then(|| queue.try_recv().ok()).flatten()
        {
            batch.extend(more);
        }
        collector.send(batch).await;
    }
}

/// Where spans are sent to.
struct Collector {
    traces: Traces,
    headers: HeaderMap,
    metrics: Arc<Metrics>,
    /// What makes TLS connections, once the system's certificates are read.
    tls: OnceLock<TlsConnector>,
    /// When it was last said that it is away.
    away: Option<Instant>,
}

impl Collector {
    fn new(traces: Traces, metrics: Arc<Metrics>) -> Self {
        let mut headers = HeaderMap::new();
        for (name, value) in &traces.headers {
            match (HeaderName::try_from(name), HeaderValue::try_from(value)) {
                (Ok(name), Ok(mut value)) => {
                    value.set_sensitive(true);
                    headers.insert(name, value);
                }
                // Not the value, which may be secret.
                _ => tracing::warn!(name, "this header of OTEL_EXPORTER_OTLP_HEADERS cannot be sent"),
            }
        }
        let kind = match traces.protocol {
            Protocol::Protobuf => "application/x-protobuf",
            Protocol::Json => "application/json",
        };
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        let agent = concat!("claviger/", env!("CARGO_PKG_VERSION"));
        headers.insert(USER_AGENT, HeaderValue::from_static(agent));
        Self { traces, headers, metrics, tls: OnceLock::new(), away: None }
    }

    async fn send(&mut self, batch: Vec<Span>) {
        let body = match self.traces.protocol {
            Protocol::Protobuf => otlp::protobuf(&self.traces.resource, &batch),
            Protocol::Json => otlp::json(&self.traces.resource, &batch),
        };
        let late = |_| Err("it does not answer in time".to_owned());
        let sent = timeout(self.traces.timeout, self.post(body)).await.unwrap_or_else(late);
        if sent.is_err() {
            // The next time the system may trust others.
            self.tls.take();
        }
        let outcome = if sent.is_ok() { SpanOutcome::Exported } else { SpanOutcome::Failed };
        self.metrics.count_many(Id::Spans, &[outcome.at()], batch.len());
        match sent {
            Ok(()) if self.away.take().is_some() => tracing::info!("the collector of traces is back"),
            Ok(()) => {}
            Err(error) if self.away.is_none_or(|said| said.elapsed() >= SAY_AGAIN) => {
                self.away = Some(Instant::now());
                let collector = self.traces.shown();
                tracing::warn!(collector, error, "spans are lost: the collector does not take them");
            }
            Err(_) => {}
        }
    }

    async fn post(&self, body: Vec<u8>) -> Result<(), String> {
        let url = &self.traces.endpoint;
        let stream = connect(url).await?;
        if url.scheme() == "https" {
            let connecting = self.tls()?.connect(server_name(url)?, stream);
            return self.exchange(connecting.await.map_err(said)?, body).await;
        }
        self.exchange(stream, body).await
    }

    fn tls(&self) -> Result<&TlsConnector, String> {
        match self.tls.get() {
            Some(tls) => Ok(tls),
            None => connector().map(|tls| self.tls.get_or_init(|| tls)),
        }
    }

    async fn exchange(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        body: Vec<u8>,
    ) -> Result<(), String> {
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(said)?;
        let mut driver = JoinSet::new();
        driver.spawn(connection);
        let mut request =
            Request::post(target(&self.traces.endpoint)).body(Body::from(body)).map_err(said)?;
        *request.headers_mut() = self.headers.clone();
        let host = authority(&self.traces.endpoint);
        request.headers_mut().insert(HOST, HeaderValue::try_from(host).map_err(said)?);
        let answer = sender.send_request(request).await.map_err(said)?;
        let status = answer.status();
        // To its end, so that the collector sees no broken connection.
        let _ = Limited::new(answer.into_body(), MOST_ANSWER).collect().await;
        if status.is_success() { Ok(()) } else { Err(format!("it answers {status}")) }
    }
}

/// The path and the query.
fn target(url: &Url) -> String {
    url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()))
}

/// With the certificates of the system.
fn connector() -> Result<TlsConnector, String> {
    let roots = system_roots().ok_or("the system has no certificates to trust")?;
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(said)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// An error with its cause.
fn said(error: impl Display) -> String {
    error.to_string()
}
