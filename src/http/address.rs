//! Where a request comes from: the connection's other end or, behind trusted proxies, the client that
//! they name. What other peers write about themselves is not even read.
//!
//! Whatever a trusted proxy says that cannot be understood refuses the request: to guess would let a
//! client choose the address that it is counted under.

use crate::config::{AddressHeader, Config};
use axum::http::{HeaderMap, HeaderValue};
use ipnet::{IpNet, Ipv6Net};
use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// The longest list of addresses that is read.
const MOST: usize = 20;

/// The proxies in front of the server, and where they write the client's address.
#[derive(Clone, Debug)]
pub struct Proxies {
    trusted: Vec<IpNet>,
    header: AddressHeader,
}

impl Proxies {
    /// These proxies, all of which write this header.
    pub fn new(trusted: Vec<IpNet>, header: AddressHeader) -> Self {
        Self { trusted, header }
    }

    /// Those of a configuration.
    pub fn of(config: &Config) -> Self {
        Self::new(config.trusted_proxies.clone(), config.client_address_header)
    }

    fn trust(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(&address))
    }
}

/// What a trusted proxy wrote cannot be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// It is not in the form of the header.
    #[error("a proxy's header is not well formed")]
    Form,
    /// The client's element is no IP address.
    #[error("a proxy's header names no IP address for the client")]
    NoAddress,
    /// There are too many elements.
    #[error("a proxy's header names more than {MOST} addresses")]
    TooMany,
}

/// The client's address.
///
/// # Errors
/// Only for what a trusted proxy wrote.
pub fn client(peer: IpAddr, headers: &HeaderMap, proxies: &Proxies) -> Result<IpAddr, Malformed> {
    let peer = peer.to_canonical();
    if !proxies.trust(peer) {
        return Ok(peer);
    }
    let lines: Vec<&HeaderValue> = headers.get_all(proxies.header.name()).iter().collect();
    if lines.is_empty() {
        return Ok(peer);
    }
    let lines: Result<Vec<&str>, Malformed> =
        lines.into_iter().map(|line| line.to_str().map_err(|_| Malformed::Form)).collect();
    let lines = lines?;
    let elements = match proxies.header {
        AddressHeader::XForwardedFor => lines.iter().flat_map(|line| line.split(',')).collect(),
        AddressHeader::Forwarded => forwarded(&lines)?,
        AddressHeader::XRealIp if lines.len() > 1 => return Err(Malformed::Form),
        AddressHeader::XRealIp => lines,
    };
    if elements.len() > MOST {
        return Err(Malformed::TooMany);
    }
    last_untrusted(&elements, proxies)
}

/// The address that the outermost trusted proxy saw: from the right, each is the word of the one after it.
fn last_untrusted(elements: &[&str], proxies: &Proxies) -> Result<IpAddr, Malformed> {
    let mut leftmost = Err(Malformed::NoAddress);
    for element in elements.iter().rev() {
        let address = parse(element).ok_or(Malformed::NoAddress)?;
        if !proxies.trust(address) {
            return Ok(address);
        }
        leftmost = Ok(address);
    }
    leftmost
}

/// An address, with or without a port. IPv6 may stand in brackets, and must beside a port.
fn parse(text: &str) -> Option<IpAddr> {
    let text = text.trim_matches([' ', '\t']);
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok().filter(IpAddr::is_ipv6);
    let address = text.parse().ok().or_else(|| text.parse().ok().map(|with: SocketAddr| with.ip()));
    address.or_else(bracketed).map(|address: IpAddr| address.to_canonical())
}

/// The `for` of each element of `Forwarded` (RFC 7239 §4), empty where there is none. All must be in
/// the header's form: in a broken one, quotes could hide where an element begins.
fn forwarded<'a>(lines: &[&'a str]) -> Result<Vec<&'a str>, Malformed> {
    let mut all = Vec::new();
    for mut rest in lines.iter().copied() {
        loop {
            let (node, after) = element(rest)?;
            all.push(node.unwrap_or_default());
            match after.strip_prefix(',') {
                Some(next) => rest = next,
                None => break,
            }
        }
    }
    Ok(all)
}

/// The `for` of the first element, and what follows the element: nothing, or a comma.
fn element(text: &str) -> Result<(Option<&str>, &str), Malformed> {
    let (mut node, mut rest) = (None, text);
    loop {
        rest = rest.trim_start_matches([' ', '\t']);
        if !rest.is_empty() && !rest.starts_with([',', ';']) {
            let (name, value) = rest.split_once('=').ok_or(Malformed::Form)?;
            let (value, after) = match value.strip_prefix('"') {
                Some(quoted) => quoted.split_once('"').ok_or(Malformed::Form)?,
                None => value.split_at(value.find([',', ';', ' ', '\t']).unwrap_or(value.len())),
            };
            // Nothing that names an address needs an escape, and one could hide a quote.
            let plain = !value.contains(['"', '\\']) && name.bytes().all(is_token);
            let again = name.eq_ignore_ascii_case("for") && node.replace(value).is_some();
            if name.is_empty() || !plain || again {
                return Err(Malformed::Form);
            }
            rest = after.trim_start_matches([' ', '\t']);
        }
        match rest.strip_prefix(';') {
            Some(next) => rest = next,
            None if rest.is_empty() || rest.starts_with(',') => return Ok((node, rest)),
            None => return Err(Malformed::Form),
        }
    }
}

/// RFC 9110 §5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// The network that a client is counted under: an IPv4 address, or the /64 of an IPv6 address, whose
/// holder has all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Network(IpNet);

/// The network of an address.
pub fn network(address: IpAddr) -> Network {
    Network(match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address).into(),
        IpAddr::V6(own) => Ipv6Net::new(own, 64).map_or(own.into(), |network| network.trunc()).into(),
    })
}

/// `192.0.2.1` or `2001:db8::/64`.
impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpNet::V4(network) => network.addr().fmt(f),
            IpNet::V6(network) => network.fmt(f),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use AddressHeader::{Forwarded, XForwardedFor, XRealIp};
    use Malformed::{Form, NoAddress, TooMany};
    use proptest::prelude::*;

    fn by(header: AddressHeader) -> Proxies {
        let networks = ["10.0.0.0/8", "fd00::/8"];
        Proxies::new(networks.map(|network| network.parse().unwrap()).to_vec(), header)
    }

    fn of(peer: &str, header: AddressHeader, lines: &[&str]) -> Result<String, Malformed> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header.name(), HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        client(peer.parse().unwrap(), &headers, &by(header)).map(|address| address.to_string())
    }

    #[test]
    fn a_peer_that_is_no_proxy_speaks_for_itself_only() {
        for header in AddressHeader::ALL {
            for line in ["198.51.100.7", "for=198.51.100.7", "\"", "x"] {
                assert_eq!(of("192.0.2.1", header, &[line]).unwrap(), "192.0.2.1");
                assert_eq!(of("::ffff:192.0.2.1", header, &[line]).unwrap(), "192.0.2.1");
            }
            assert_eq!(of("::ffff:10.0.0.1", header, &[]).unwrap(), "10.0.0.1", "a proxy of its own accord");
        }
    }

    #[test]
    fn x_forwarded_for_is_read_from_the_right() {
        let table: &[(&[&str], Result<&str, Malformed>)] = &[
            (&["198.51.100.7"], Ok("198.51.100.7")),
            (&["1.1.1.1, 198.51.100.7"], Ok("198.51.100.7")),
            (&["1.1.1.1, 198.51.100.7 ,10.0.0.2,\t10.0.0.3"], Ok("198.51.100.7")),
            (&["1.1.1.1", "198.51.100.7", "10.0.0.2"], Ok("198.51.100.7")),
            (&["garbage, 198.51.100.7"], Ok("198.51.100.7")),
            (&["198.51.100.7:567"], Ok("198.51.100.7")),
            (&["2001:db8::1"], Ok("2001:db8::1")),
            (&["[2001:db8::1]:567"], Ok("2001:db8::1")),
            (&["[2001:db8::1]"], Ok("2001:db8::1")),
            (&["::ffff:198.51.100.7"], Ok("198.51.100.7")),
            (&["10.0.0.9, 10.0.0.8"], Ok("10.0.0.9")),
            (&["198.51.100.7, ::ffff:10.0.0.2, fd00::1"], Ok("198.51.100.7")),
            (&[""], Err(NoAddress)),
            (&["198.51.100.7,"], Err(NoAddress)),
            (&["198.51.100.7, garbage"], Err(NoAddress)),
            (&["198.51.100.7, garbage, 10.0.0.2"], Err(NoAddress)),
            (&["198.51.100.7", "unknown"], Err(NoAddress)),
            (&["198.51.100.7:99999"], Err(NoAddress)),
            (&["[198.51.100.7]"], Err(NoAddress)),
            (&["198.51.100"], Err(NoAddress)),
            (&["0198.51.100.7"], Err(NoAddress)),
            (&["198.51.100.7\u{e9}"], Err(Form)),
            (
                &[
                    "1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1",
                    "2.2.2.2,2.2.2.2,2.2.2.2,2.2.2.2,2.2.2.2,2.2.2.2,2.2.2.2,2.2.2.2,2.2.2.2,2.2.2.2",
                ],
                Err(TooMany),
            ),
        ];
        for (lines, expected) in table {
            assert_eq!(of("10.0.0.1", XForwardedFor, lines), expected.map(str::to_owned), "{lines:?}");
        }
    }

    #[test]
    fn forwarded_is_read_as_rfc7239_writes_it() {
        let table: &[(&[&str], Result<&str, Malformed>)] = &[
            (&["for=198.51.100.7"], Ok("198.51.100.7")),
            (&["For=\"198.51.100.7:47011\""], Ok("198.51.100.7")),
            (&["For=\"[2001:db8:cafe::17]:4711\""], Ok("2001:db8:cafe::17")),
            (&["for=\"[2001:db8::1]\";proto=http;by=203.0.113.43"], Ok("2001:db8::1")),
            (&["by=10.0.0.1 ; for=198.51.100.7;;host=\"a,b;c\" , for=10.0.0.2"], Ok("198.51.100.7")),
            (&["for=1.1.1.1", "for=198.51.100.7", "for=10.0.0.2"], Ok("198.51.100.7")),
            (&["for=unknown, for=198.51.100.7"], Ok("198.51.100.7")),
            (&["for=10.0.0.9, for=10.0.0.8"], Ok("10.0.0.9")),
            (&["for=unknown"], Err(NoAddress)),
            (&["for=_hidden"], Err(NoAddress)),
            (&["for=\"_SEVKISEK\", for=10.0.0.1"], Err(NoAddress)),
            (&["proto=https"], Err(NoAddress)),
            (&["for=198.51.100.7,"], Err(NoAddress)),
            (&["for=198.51.100.7, proto=https"], Err(NoAddress)),
            (&["for=\"198.51.100.7:_x\""], Err(NoAddress)),
            (&["198.51.100.7"], Err(Form)),
            (&["for=1.1.1.1;for=2.2.2.2"], Err(Form)),
            (&["for=1.1.1.1 2.2.2.2"], Err(Form)),
            (&["for=\"1.1.1.1"], Err(Form)),
            (&["for=\"1.1.1.1\"2.2.2.2"], Err(Form)),
            (&["for=\"1.1.1.1\\\""], Err(Form)),
            (&["for =1.1.1.1"], Err(Form)),
            (&["=1.1.1.1"], Err(Form)),
            // A client's open quote must not swallow what its proxy adds.
            (&["for=6.6.6.6;x=\", for=\"[2001:db8::1]:4711\""], Err(Form)),
            (&["for=6.6.6.6;x=\", for=198.51.100.7"], Err(Form)),
        ];
        for (lines, expected) in table {
            assert_eq!(of("fd00::2", Forwarded, lines), expected.map(str::to_owned), "{lines:?}");
        }
    }

    #[test]
    fn x_real_ip_is_one_address() {
        assert_eq!(of("10.0.0.1", XRealIp, &["198.51.100.7"]).unwrap(), "198.51.100.7");
        assert_eq!(of("10.0.0.1", XRealIp, &["10.0.0.5"]).unwrap(), "10.0.0.5");
        assert_eq!(of("10.0.0.1", XRealIp, &["198.51.100.7", "198.51.100.7"]), Err(Form));
        assert_eq!(of("10.0.0.1", XRealIp, &["198.51.100.7, 1.1.1.1"]), Err(NoAddress));
    }

    #[test]
    fn a_client_is_counted_by_its_network() {
        for (address, expected) in [
            ("192.0.2.1", "192.0.2.1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("2001:db8::1", "2001:db8::/64"),
            ("2001:DB8:0:0:ffff:ffff:ffff:ffff", "2001:db8::/64"),
            ("2001:db8:0:1::", "2001:db8:0:1::/64"),
        ] {
            assert_eq!(network(address.parse().unwrap()).to_string(), expected);
        }
    }

    proptest! {
        #[test]
        fn nothing_sent_moves_a_peer_that_is_not_trusted(
            peer in any::<std::net::Ipv4Addr>(),
            lines in proptest::collection::vec("(for=|\"|,|;|[0-9.]{7}|[ -~]{0,9}|10\\.0\\.0\\.1){0,9}", 0..3),
        ) {
            let peer = IpAddr::V4(peer);
            for header in AddressHeader::ALL {
                let mut headers = HeaderMap::new();
                for line in &lines {
                    headers.append(header.name(), HeaderValue::from_str(line).unwrap());
                }
                let proxies = by(header);
                let found = client(peer, &headers, &proxies);
                prop_assert!(proxies.trust(peer) || found == Ok(peer));
                // Nor does it break what reads it.
                let _ = client("10.0.0.1".parse().unwrap(), &headers, &proxies);
            }
        }

        #[test]
        fn what_a_client_puts_before_its_own_address_is_not_believed(
            before in "[ -~]{0,60}", quoted in any::<bool>(),
        ) {
            let own = if quoted { "for=\"198.51.100.7:1\"" } else { "for=198.51.100.7" };
            let found = of("10.0.0.1", Forwarded, &[&format!("{before}, {own}")]);
            prop_assert!(found.is_err() || found == Ok("198.51.100.7".to_owned()), "{found:?}");
            let found = of("10.0.0.1", XForwardedFor, &[&format!("{before}, 198.51.100.7")]);
            prop_assert!(found == Ok("198.51.100.7".to_owned()) || found == Err(TooMany));
        }
    }
}
