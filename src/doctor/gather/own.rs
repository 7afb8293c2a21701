//! The server of these settings, asked where it listens by one who stands beside it.

use super::tls::{self, Trust};
use super::web::{Asked, ask};
use crate::base::time::Clock;
use crate::config::Config;
use crate::doctor::facts::Looked;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use url::Url;

/// The status and the body of what it answers at a path.
///
/// # Errors
/// Why there is no answer, after 3 seconds at most.
pub async fn ask_own(config: &Config, path: &str, clock: &Clock) -> Result<(u16, Vec<u8>), String> {
    asked(config, path, clock).await.answer.map(|answer| (answer.status, answer.body))
}

pub(super) async fn asked(config: &Config, path: &str, clock: &Clock) -> Asked {
    let scheme = if config.tls.is_some() { "https" } else { "http" };
    match Url::parse(&format!("{scheme}://{}{path}", within_reach(config.listen))) {
        Ok(url) => ask(&url, None, &trust(config), clock).await,
        Err(error) => Asked::not(error.to_string()),
    }
}

/// Over TLS it shows the certificate that it was given, whoever else would believe that.
fn trust(config: &Config) -> Looked<Trust> {
    let files = config.tls.as_ref().ok_or_else(|| "there is no TLS here".to_owned())?;
    tls::certificate(&files.certificate).map(Trust::Exactly)
}

/// A server that listens on all addresses is reached by the machine's own.
pub fn within_reach(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn all_addresses_are_reached_by_loopback() {
        for (listen, reached) in [
            ("0.0.0.0:5000", "127.0.0.1:5000"),
            ("[::]:7", "[::1]:7"),
            ("10.0.0.1:5000", "10.0.0.1:5000"),
            ("[::1]:1", "[::1]:1"),
        ] {
            assert_eq!(within_reach(listen.parse().unwrap()), reached.parse().unwrap(), "{listen}");
        }
    }
}
