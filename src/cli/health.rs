//! `claviger health`: asks the server of these settings whether it is ready, for supervisors and containers
//! that have no other client at hand.

use super::{SHORT, commands, configuration, failed, leaf, print, with_settings};
use clap::{ArgMatches, Command};
use serde_json::Value;
use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// How long the server has for all of its answer.
const LIMIT: Duration = Duration::from_secs(3);

/// The answers to these questions are short.
const MOST: usize = 16 * 1024;

/// `claviger health`.
pub(super) fn command() -> Command {
    let about = "Ask the running server whether it is ready; it has 3 seconds to answer";
    with_settings(leaf("health", about, "claviger health --listen 127.0.0.1:5000"), SHORT)
        .arg(commands::switch("live", "Ask only whether the process serves at all"))
}

pub(super) fn run(args: &ArgMatches) -> Result<ExitCode, ExitCode> {
    let config = configuration(args)?;
    let address = within_reach(config.listen);
    let path = if args.get_flag("live") { "/health/live" } else { "/health/ready" };
    let answer = ask(address, path, Instant::now() + LIMIT)
        .map_err(|error| failed(format!("{address} does not answer: {error}. Does the server run there?")))?;
    let (status, said) =
        parse(&answer).ok_or_else(|| failed(format!("what answers at {address} is not Claviger")))?;
    if status != 200 {
        return Err(failed(said));
    }
    print(format_args!("{said}\n"));
    Ok(ExitCode::SUCCESS)
}

/// A server that listens on all addresses is reached by the machine's own.
fn within_reach(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

/// The whole answer, read until the server closes the connection.
fn ask(address: SocketAddr, path: &str, until: Instant) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&address, left(until)?)?;
    stream.set_write_timeout(Some(left(until)?))?;
    stream.write_all(
        format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").as_bytes(),
    )?;
    let (mut answer, mut part) = (Vec::new(), [0; 2048]);
    loop {
        stream.set_read_timeout(Some(left(until)?))?;
        match stream.read(&mut part) {
            Ok(0) => return Ok(answer),
            Ok(count) => answer.extend_from_slice(part.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(too_slow()),
            Err(error) => return Err(error),
        }
        if answer.len() > MOST {
            return Err(io::Error::other("its answer has no end"));
        }
    }
}

/// The time that is left, which is never zero: sockets take that for no limit.
fn left(until: Instant) -> io::Result<Duration> {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(too_slow()) } else { Ok(left) }
}

fn too_slow() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, format!("it took more than {} seconds", LIMIT.as_secs()))
}

/// The status of an answer, and what it says: `status` of a good one, `detail` of a problem document.
fn parse(answer: &[u8]) -> Option<(u16, String)> {
    let (head, body) = std::str::from_utf8(answer).ok()?.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
    let body: Value = serde_json::from_str(body).ok()?;
    let said = body.get("detail").or_else(|| body.get("status"))?.as_str()?;
    Some((status, said.to_owned()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::net::TcpListener;

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

    #[test]
    fn answers_are_read() {
        let answer = |head: &str, body: &str| parse(format!("{head}\r\nServer: x\r\n\r\n{body}").as_bytes());
        assert_eq!(answer("HTTP/1.1 200 OK", r#"{"status":"ready"}"#), Some((200, "ready".into())));
        let problem = r#"{"status":503,"detail":"No keys."}"#;
        assert_eq!(answer("HTTP/1.1 503 x", problem), Some((503, "No keys.".into())));
        for (head, body) in [
            ("HTTP/1.1 200 OK", "<html>"),
            ("HTTP/1.1 200 OK", "{}"),
            ("HTTP/1.1 ", "{\"status\":\"ready\"}"),
            ("SSH-2.0", "{\"status\":\"ready\"}"),
        ] {
            assert_eq!(answer(head, body), None, "{head} {body}");
        }
        assert_eq!(parse(b""), None);
        assert_eq!(parse(b"\xff\r\n\r\n"), None);
    }

    #[test]
    fn who_is_silent_or_never_stops_is_not_waited_for() {
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let until = Instant::now() + Duration::from_millis(50);
        let error = ask(silent.local_addr().unwrap(), "/", until).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);

        let endless = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = endless.local_addr().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut stream = endless.accept().unwrap().0;
                while stream.write_all(&[b'x'; 4096]).is_ok() {}
            });
            let error = ask(address, "/", Instant::now() + LIMIT).unwrap_err();
            assert!(error.to_string().contains("no end"), "{error}");
        });
    }
}
