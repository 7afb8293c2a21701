//! What this program needs where it is a client itself: of the issuer, of itself, of a collector of traces.

use rustls::pki_types::ServerName;
use std::net::SocketAddr;
use tokio::net::TcpStream;
use url::{Host, Url};

/// A connection to the first of the host's addresses that takes one.
///
/// # Errors
/// Why there is none, for people.
pub async fn connect(url: &Url) -> Result<TcpStream, String> {
    let port = url.port_or_known_default().unwrap_or(80);
    let addresses: Vec<SocketAddr> = match url.host() {
        Some(Host::Ipv4(address)) => vec![(address, port).into()],
        Some(Host::Ipv6(address)) => vec![(address, port).into()],
        Some(Host::Domain(name)) => {
            let found = tokio::net::lookup_host((name, port)).await;
            found.map_err(|error| format!("{name} is not found: {error}"))?.collect()
        }
        None => return Err("the URL names no host".into()),
    };
    let mut failed = "the name has no address".to_owned();
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => failed = format!("{address}: {error}"),
        }
    }
    Err(failed)
}

/// The value of `Host` (RFC 9110 §7.2).
pub fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// The name that the server's certificate has to bear.
///
/// # Errors
/// If the host cannot be in a certificate.
pub fn server_name(url: &Url) -> Result<ServerName<'static>, String> {
    let host = url.host_str().unwrap_or_default();
    let bare = host.trim_matches(['[', ']']);
    ServerName::try_from(bare.to_owned()).map_err(|_| format!("{host} is no name for a certificate"))
}
