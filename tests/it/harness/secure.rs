//! Certificates of any age, and a client over TLS: one connection, of which the test knows all.

use super::callers::Answer;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::{http1, http2};
use hyper::http::{Request, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, date_time_ymd};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use serde_json::Value;
use std::fs::{Permissions, set_permissions, write};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// A certificate for `localhost` and 127.0.0.1 and its key, in their files.
pub struct Certificate {
    folder: TempDir,
    pub pem: String,
    pub key: String,
}

impl Certificate {
    /// One that ends in so many days from now, or has ended so many days ago.
    pub fn of_days(days: i64) -> Self {
        let new = Self { folder: tempfile::tempdir().unwrap(), pem: String::new(), key: String::new() };
        new.renewed(days)
    }

    /// The next one, in the same files.
    pub fn renewed(self, days: i64) -> Self {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let names = ["localhost", "127.0.0.1", "claviger.test"].map(str::to_owned);
        let mut asked = CertificateParams::new(names.to_vec()).unwrap();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().cast_signed();
        let at = |second: i64| date_time_ymd(1970, 1, 1) + Duration::from_secs(second.cast_unsigned());
        asked.not_after = at(now + days * 86400 + 60);
        asked.not_before = at(now - 400 * 86400);
        let pem = asked.self_signed(&key).unwrap().pem();
        let new = Self { folder: self.folder, pem, key: key.serialize_pem() };
        new.put(&new.pem, &new.key);
        new
    }

    /// Writes the files.
    pub fn put(&self, certificate: &str, key: &str) {
        write(self.file("chain.pem"), certificate).unwrap();
        write(self.file("key.pem"), key).unwrap();
        set_permissions(self.file("key.pem"), Permissions::from_mode(0o600)).unwrap();
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The settings that name the files.
    pub fn settings(&self) -> [(&'static str, String); 2] {
        [("tls_cert", "chain.pem"), ("tls_key", "key.pem")]
            .map(|(key, name)| (key, self.file(name).display().to_string()))
    }

    /// The same as flags.
    pub fn flags(&self) -> Vec<String> {
        let [(_, certificate), (_, key)] = self.settings();
        ["--tls-cert".to_owned(), certificate, "--tls-key".to_owned(), key].to_vec()
    }

    pub fn der(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(self.pem.as_bytes()).unwrap()
    }

    /// What a client has that trusts this certificate alone and offers these protocols.
    pub fn client(&self, protocols: &[&str]) -> ClientConfig {
        self.client_of(protocols, &[&TLS13, &TLS12])
    }

    /// The same with these versions of TLS.
    pub fn client_of(&self, protocols: &[&str], tls: &[&'static SupportedProtocolVersion]) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.der()).unwrap();
        let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(tls)
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        config
    }
}

/// Makes a connection and does the handshake.
pub async fn connect(address: SocketAddr, config: ClientConfig) -> io::Result<TlsStream<TcpStream>> {
    greet(TcpStream::connect(address).await?, config).await
}

async fn greet(stream: TcpStream, config: ClientConfig) -> io::Result<TlsStream<TcpStream>> {
    stream.set_nodelay(true)?;
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

enum Sender {
    One(http1::SendRequest<Full<Bytes>>),
    Two(http2::SendRequest<Full<Bytes>>),
}

/// A connection over TLS that carries requests.
pub struct Secure {
    address: SocketAddr,
    sender: Sender,
    /// The certificate that the server showed.
    pub shown: CertificateDer<'static>,
}

impl Secure {
    /// A client that speaks whatever both can.
    pub async fn to(address: SocketAddr, certificate: &Certificate) -> Self {
        Self::by(address, certificate.client(&["h2", "http/1.1"])).await.unwrap()
    }

    /// One that speaks HTTP/1.1 alone.
    pub async fn http1(address: SocketAddr, certificate: &Certificate) -> Self {
        Self::by(address, certificate.client(&["http/1.1"])).await.unwrap()
    }

    pub async fn by(address: SocketAddr, config: ClientConfig) -> io::Result<Self> {
        Self::over(TcpStream::connect(address).await?, config).await
    }

    /// On a connection that is made already.
    pub async fn over(stream: TcpStream, config: ClientConfig) -> io::Result<Self> {
        let address = stream.peer_addr()?;
        let stream = greet(stream, config).await?;
        let session = stream.get_ref().1;
        let is_two = session.alpn_protocol() == Some(b"h2");
        let shown = session.peer_certificates().unwrap()[0].clone().into_owned();
        let io = TokioIo::new(stream);
        let sender = if is_two {
            let (sender, connection) =
                http2::handshake(TokioExecutor::new(), io).await.map_err(io::Error::other)?;
            tokio::spawn(connection);
            Sender::Two(sender)
        } else {
            let (sender, connection) = http1::handshake(io).await.map_err(io::Error::other)?;
            tokio::spawn(connection);
            Sender::One(sender)
        };
        Ok(Self { address, sender, shown })
    }

    pub fn version(&self) -> Version {
        match self.sender {
            Sender::One(_) => Version::HTTP_11,
            Sender::Two(_) => Version::HTTP_2,
        }
    }

    /// Whether the connection takes another request.
    pub async fn is_open(&mut self) -> bool {
        match &mut self.sender {
            Sender::One(sender) => sender.ready().await.is_ok(),
            Sender::Two(sender) => sender.ready().await.is_ok(),
        }
    }

    pub async fn get(&mut self, path: &str) -> hyper::Result<Answer> {
        self.send("GET", path, &[], "").await
    }

    pub async fn post(&mut self, path: &str, body: &Value) -> hyper::Result<Answer> {
        self.send("POST", path, &[("content-type", "application/json")], &body.to_string()).await
    }

    /// Sends a request as soon as the connection takes it, and waits for its whole answer. Where it speaks HTTP/2,
    /// several may be under way.
    pub async fn send(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> hyper::Result<Answer> {
        let mut request = Request::builder().method(method);
        request = match &self.sender {
            Sender::One(_) => request.uri(path).header("host", self.address.to_string()),
            Sender::Two(_) => request.uri(format!("https://{}{path}", self.address)).version(Version::HTTP_2),
        };
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::from(body.to_owned())).unwrap();
        let answer = match &mut self.sender {
            Sender::One(sender) => {
                sender.ready().await?;
                sender.send_request(request).await?
            }
            Sender::Two(sender) => {
                sender.ready().await?;
                sender.send_request(request).await?
            }
        };
        let (head, body) = answer.into_parts();
        let body = body.collect().await?.to_bytes().to_vec();
        Ok(Answer { status: head.status.as_u16(), headers: head.headers, body })
    }
}
