//! One HTTP request: what was answered, over what.

use super::tls::{self, Seen, Trust};
use crate::base::time::Clock;
use crate::doctor::facts::{Answer, Looked};
use crate::http::client::{authority, connect, server_name};
use futures_util::future::join;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, HOST, USER_AGENT};
use hyper_util::rt::TokioIo;
use std::net::IpAddr;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use url::Url;

/// How long a request may take, from looking up the name to the end of the answer.
const LIMIT: Duration = Duration::from_secs(3);

/// The most that is read of an answer.
const MOST: usize = 1 << 20;

/// What came of a request.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) answer: Looked<Answer>,
    /// Our end of the connection.
    pub(super) own: Option<IpAddr>,
    pub(super) seen: Seen,
}

impl Asked {
    /// Nothing, for this reason.
    pub(super) fn not(why: String) -> Self {
        Self { answer: Err(why), own: None, seen: Seen::default() }
    }
}

/// Asks for `url`, over TLS by `trust` where it is https, with one more header perhaps.
pub(super) async fn ask(
    url: &Url,
    header: Option<(&'static str, &'static str)>,
    trust: &Looked<Trust>,
    clock: &Clock,
) -> Asked {
    let mut asked = Asked::not("nothing was asked".into());
    let done = tokio::time::timeout(LIMIT, reach(url, header, trust, clock, &mut asked)).await;
    asked.answer = done.unwrap_or_else(|_| Err(format!("no answer within {} s", LIMIT.as_secs())));
    asked
}

async fn reach(
    url: &Url,
    header: Option<(&'static str, &'static str)>,
    trust: &Looked<Trust>,
    clock: &Clock,
    asked: &mut Asked,
) -> Looked<Answer> {
    let stream = connect(url).await?;
    asked.own = stream.local_addr().ok().map(|own| own.ip());
    let request = request(url, header)?;
    if url.scheme() != "https" {
        return exchange(stream, request, clock).await;
    }
    let (connector, witness) = tls::connector(trust.clone()?)?;
    let shaken = connector.connect(server_name(url)?, stream).await;
    asked.seen = witness.seen();
    exchange(shaken.map_err(|error| error.to_string())?, request, clock).await
}

fn request(url: &Url, header: Option<(&'static str, &'static str)>) -> Looked<hyper::Request<Empty<Bytes>>> {
    let mut request = hyper::Request::get(url.path())
        .header(HOST, authority(url))
        .header(USER_AGENT, concat!("claviger-doctor/", env!("CARGO_PKG_VERSION")))
        .header(CONNECTION, "close");
    if let Some((name, value)) = header {
        request = request.header(name, value);
    }
    request.body(Empty::new()).map_err(|error| error.to_string())
}

async fn exchange<S>(stream: S, request: hyper::Request<Empty<Bytes>>, clock: &Clock) -> Looked<Answer>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let failed = |error: hyper::Error| format!("it speaks no HTTP: {error}");
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
    let answer = async move {
        let answer = sender.send_request(request).await.map_err(failed)?;
        let at = Some(clock.now());
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, MOST)
            .collect()
            .await
            .map_err(|error| format!("its answer ends early: {error}"))?;
        let text =
            |value: &hyper::header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers = head.headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value)));
        Ok(Answer {
            status: head.status.as_u16(),
            headers: headers.collect(),
            body: body.to_bytes().to_vec(),
            at,
        })
    };
    // The connection carries the answer, and ends with it.
    join(answer, connection).await.0
}
