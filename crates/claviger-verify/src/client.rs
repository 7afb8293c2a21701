//! The default client: hyper over rustls, a new connection for each fetch, of which there are a few in a minute.

use crate::builder::BuildError;
use crate::fetch::{Fetch, FetchError, Fetching, Request, Response};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Bytes;
use hyper::header::{ACCEPT, AGE, CACHE_CONTROL, ETAG, HeaderName, IF_NONE_MATCH, USER_AGENT};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::{ClientConfig, RootCertStore};
use std::error::Error;
use std::sync::Arc;

/// Fetches by HTTP/1.1, over TLS where the address says so. Trusts the system's certificates, or those in the file that
/// the variable `SSL_CERT_FILE` names. Follows no redirect and uses no proxy.
#[derive(Clone, Debug)]
pub struct HttpClient {
    client: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
    has_certificates: bool,
}

impl HttpClient {
    /// With the certificates that are found now.
    ///
    /// # Errors
    /// If TLS cannot be set up.
    pub fn new() -> Result<Self, BuildError> {
        let mut roots = RootCertStore::empty();
        let found = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(found.certs);
        Self::trusting(roots)
    }

    fn trusting(roots: RootCertStore) -> Result<Self, BuildError> {
        let has_certificates = !roots.is_empty();
        // Named, so that another provider in the process is no trouble.
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| BuildError::Tls(error.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connector =
            HttpsConnectorBuilder::new().with_tls_config(config).https_or_http().enable_http1().build();
        let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector);
        Ok(Self { client, has_certificates })
    }

    pub(crate) fn has_certificates(&self) -> bool {
        self.has_certificates
    }

    async fn fetch(&self, asked: Request) -> Result<Response, FetchError> {
        let mut request = hyper::Request::get(asked.url.as_str())
            .header(ACCEPT, asked.accept)
            .header(USER_AGENT, concat!("claviger-verify/", env!("CARGO_PKG_VERSION")));
        if let Some(etag) = asked.etag {
            request = request.header(IF_NONE_MATCH, etag);
        }
        let request = request.body(Empty::new()).map_err(FetchError::new)?;
        let response = self.client.request(request).await.map_err(|error| deepest(&error))?;
        let (head, body) = response.into_parts();
        let header = |name: HeaderName| {
            head.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
        };
        let body = match head.status.as_u16() {
            200 => {
                let read = Limited::new(body, asked.limit).collect().await;
                read.map_err(|error| deepest(&*error))?.to_bytes().to_vec()
            }
            _ => Vec::new(),
        };
        Ok(Response {
            status: head.status.as_u16(),
            body,
            etag: header(ETAG),
            cache_control: header(CACHE_CONTROL),
            age: header(AGE),
        })
    }
}

/// The first cause: the outermost error says no more than "client error".
fn deepest(error: &(dyn Error + 'static)) -> FetchError {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    FetchError::new(cause)
}

impl Fetch for HttpClient {
    fn get(&self, request: Request) -> Fetching<'_> {
        Box::pin(self.fetch(request))
    }
}
