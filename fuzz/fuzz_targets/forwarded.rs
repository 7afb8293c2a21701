//! The client's address in a proxy's header: a peer that is not trusted stays what it is.
#![no_main]

use axum::http::{HeaderMap, HeaderValue};
use claviger::config::AddressHeader;
use claviger::http::address::{Proxies, client, network};
use libfuzzer_sys::fuzz_target;
use std::net::{IpAddr, Ipv4Addr};

const PROXY: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
const OTHER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

fuzz_target!(|lines: Vec<Vec<u8>>| {
    for header in AddressHeader::ALL {
        let proxies = Proxies::new(vec![PROXY.into()], header);
        let mut headers = HeaderMap::new();
        for value in lines.iter().filter_map(|line| HeaderValue::from_bytes(line).ok()) {
            headers.append(header.name(), value);
        }
        assert_eq!(client(OTHER, &headers, &proxies), Ok(OTHER));
        if let Ok(address) = client(PROXY, &headers, &proxies) {
            assert_eq!(address, address.to_canonical());
            let _ = network(address).to_string();
        }
    }
});
