//! The settings that say as whom the server answers, and whom: its URL and certificate, web origins, the proxies in
//! front of it, and whether clients are limited.

use super::TlsFiles;
use super::raw::{Fault, Raw};
use super::resolve::Resolver;
use ipnet::{IpNet, Ipv4Net};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

impl Resolver<'_> {
    /// The certificate and its key: both, or plain HTTP.
    pub(super) fn tls(&mut self) -> Option<TlsFiles> {
        let missing = |key: &str, other: &str| {
            let what = format!("{other} is set and this is not");
            self.raw.fault(key, what, "Name both files, or neither for plain HTTP")
        };
        let fault = match (self.raw.get("tls_cert"), self.raw.get("tls_key")) {
            (Some(certificate), Some(key)) => {
                return Some(TlsFiles { certificate: certificate.into(), key: key.into() });
            }
            (None, None) => return None,
            (Some(_), None) => missing("tls_key", "tls_cert"),
            (None, Some(_)) => missing("tls_cert", "tls_key"),
        };
        self.faults.push(fault);
        None
    }

    /// The public URL. What a browser or a service is told to ask must be what this server speaks.
    pub(super) fn issuer(&mut self, dev: bool, listen: SocketAddr, tls: bool) -> String {
        let Some(issuer) = self.raw.get("issuer") else {
            if !dev && !listen.ip().is_loopback() {
                let mend = if tls {
                    "Set it, such as --issuer https://auth.example.org"
                } else {
                    "Set it, such as --issuer https://auth.example.org, and name a certificate with --tls-cert and --tls-key or let a TLS proxy forward to this server"
                };
                self.faults.push(self.raw.fault(
                    "issuer",
                    "a server that others reach needs its public https URL",
                    mend,
                ));
            } else if listen.port() == 0 {
                self.faults.push(self.raw.fault(
                    "issuer",
                    "it cannot be guessed for port 0",
                    "Set it with --issuer",
                ));
            }
            return default_issuer(listen, tls);
        };
        let url = url::Url::parse(issuer).ok().filter(|url| {
            url.has_host()
                && url.query().is_none()
                && url.fragment().is_none()
                && url.username().is_empty()
                && url.password().is_none()
        });
        let Some(url) = url.filter(|_| !issuer.ends_with('/')) else {
            self.faults.push(self.raw.fault(
                "issuer",
                "it is not a plain URL",
                "Write it like https://auth.example.org, without a closing slash, query or fragment",
            ));
            return issuer.to_owned();
        };
        let http_allowed = (dev || listen.ip().is_loopback()) && !tls;
        if !matches!(url.scheme(), "http" | "https") {
            self.faults.push(self.raw.fault(
                "issuer",
                "it is no web URL",
                "Write it like https://auth.example.org",
            ));
        } else if url.scheme() == "http" && !http_allowed {
            let (what, mend) = if tls {
                (
                    "it must begin with https:// where the server speaks TLS",
                    "Write the https URL of this server",
                )
            } else {
                (
                    "it must begin with https:// unless the server listens on loopback",
                    "Use the https URL of this server with --tls-cert and --tls-key, or of the proxy in front, or --dev while you try things out",
                )
            };
            self.faults.push(self.raw.fault("issuer", what, mend));
        }
        issuer.to_owned()
    }

    pub(super) fn origins(&mut self) -> Vec<String> {
        let origins: Vec<&str> = items(self.raw.get("cors_origins")).collect();
        for origin in &origins {
            let exact = url::Url::parse(origin).is_ok_and(|url| {
                matches!(url.scheme(), "http" | "https") && url.origin().ascii_serialization() == **origin
            });
            if !exact {
                self.faults.push(self.raw.fault(
                    "cors_origins",
                    format!("`{origin}` is not an exact web origin"),
                    "Write it like https://app.example.org, without path or wildcard",
                ));
            }
        }
        origins.into_iter().map(str::to_owned).collect()
    }

    pub(super) fn trusted_proxies(&mut self) -> Vec<IpNet> {
        let fault = |text: &str, (what, mend): (&str, &str)| -> Fault {
            self.raw.fault("trusted_proxies", format!("`{text}` {what}"), mend)
        };
        let mut networks = Vec::new();
        for text in items(self.raw.get("trusted_proxies")) {
            match network(text) {
                Ok(network) => networks.push(network),
                Err(why) => self.faults.push(fault(text, why)),
            }
        }
        networks
    }

    pub(super) fn metrics_listen(&mut self, listen: SocketAddr) -> Option<SocketAddr> {
        let address: SocketAddr = self.value(
            "metrics_listen",
            || None,
            |text| if text == "off" { Some(None) } else { text.parse().ok().map(Some) },
            "it is not an address and port",
            "Write it like 127.0.0.1:9464 or [::1]:9464, or off",
        )?;
        if address == listen && address.port() != 0 {
            self.faults.push(self.raw.fault(
                "metrics_listen",
                "it is where the API listens",
                "Choose another port: whoever reaches it reads the metrics without a login",
            ));
        }
        Some(address)
    }

    /// Without limits anyone who reaches the server can fill it with accounts and guesses.
    pub(super) fn limits(&mut self, listen: SocketAddr) -> bool {
        let limits = self.boolean("limits", true);
        if !limits && !listen.ip().is_loopback() {
            self.faults.push(self.raw.fault(
                "limits",
                "a server that others reach needs its limits, or one of them can keep it busy for all the rest",
                "Leave it at true, or listen on a loopback address",
            ));
        }
        limits
    }
}

/// Who listens for others on a public address shows them his metrics.
pub(super) fn open_metrics(raw: &Raw, address: SocketAddr) -> Option<Fault> {
    let is_private = match address.ip().to_canonical() {
        IpAddr::V4(ip) => ip.is_loopback() || ip.is_private() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    };
    (!is_private).then(|| {
        raw.fault(
            "metrics_listen",
            format!("{address} is not a loopback or private address, and the metrics have no login"),
            "Listen on such an address, or let a firewall keep others out",
        )
    })
}

fn default_issuer(listen: SocketAddr, tls: bool) -> String {
    let host = if listen.ip().is_unspecified() { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { listen.ip() };
    let scheme = if tls { "https" } else { "http" };
    format!("{scheme}://{}", SocketAddr::new(host, listen.port()))
}

fn items(text: Option<&str>) -> impl Iterator<Item = &str> {
    text.unwrap_or_default().split(',').map(str::trim).filter(|item| !item.is_empty())
}

/// What is wrong with a network, and what to write instead.
type Wrong = (&'static str, &'static str);

const FORM: Wrong =
    ("is neither an address nor a CIDR block", "Write it like 10.0.0.7, 10.0.0.0/8 or fd00::/8");
const HOST_BITS: Wrong = ("names an address inside its block", "Set the bits behind the prefix to zero");
const EVERYONE: Wrong = ("would believe everyone", "Name the addresses of your proxies");

/// An address, or a block with nothing behind its prefix. An IPv4 address in IPv6's form is taken as IPv4,
/// as those of connections are.
fn network(text: &str) -> Result<IpNet, Wrong> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(address.to_canonical().into());
    }
    let network = text.parse::<IpNet>().map_err(|_| FORM)?;
    if network.trunc() != network {
        return Err(HOST_BITS);
    }
    let network = match (network.addr().to_canonical(), network.prefix_len().checked_sub(96)) {
        (IpAddr::V4(address), Some(length)) if network.addr().is_ipv6() => {
            Ipv4Net::new(address, length).map_err(|_| FORM)?.into()
        }
        _ => network,
    };
    if network.prefix_len() == 0 { Err(EVERYONE) } else { Ok(network) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_on_a_public_address_are_warned_of() {
        for (address, is_public) in [
            ("127.0.0.1:9464", false),
            ("[::1]:9464", false),
            ("10.1.2.3:9464", false),
            ("172.16.0.1:9464", false),
            ("192.168.1.1:9464", false),
            ("169.254.0.1:9464", false),
            ("[fd00::1]:9464", false),
            ("[fe80::1]:9464", false),
            ("[::ffff:10.0.0.1]:9464", false),
            ("0.0.0.0:9464", true),
            ("[::]:9464", true),
            ("203.0.113.1:9464", true),
            ("172.32.0.1:9464", true),
            ("[2001:db8::1]:9464", true),
        ] {
            let warned = address.parse().map(|address| open_metrics(&Raw::default(), address).is_some());
            assert_eq!(warned, Ok(is_public), "{address}");
        }
    }

    #[test]
    fn a_proxy_is_an_address_or_a_block() {
        let shown = |text| network(text).map(|network| network.to_string());
        for (text, expected) in [
            ("10.0.0.7", "10.0.0.7/32"),
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("::1", "::1/128"),
            ("fd00::/8", "fd00::/8"),
            ("::ffff:10.0.0.7", "10.0.0.7/32"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ] {
            assert_eq!(shown(text), Ok(expected.to_owned()), "{text}");
        }
        for (text, why) in [
            ("proxy.example.org", FORM),
            ("10.0.0.0/33", FORM),
            ("10.0.0.256", FORM),
            ("10.0.0.0-10.0.0.9", FORM),
            ("10.0.0.1/8", HOST_BITS),
            ("0.0.0.0/0", EVERYONE),
            ("::/0", EVERYONE),
            ("::ffff:0.0.0.0/96", EVERYONE),
        ] {
            assert_eq!(shown(text), Err(why), "{text}");
        }
    }
}
