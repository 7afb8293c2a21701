//! `database_url`: a PostgreSQL server and database, written as libpq writes them.
//!
//! The driver reads most of it; `sslmode=verify-ca`, `verify-full` and `sslrootcert`, which it does not know,
//! are read here. What is shown of a URL never holds its password.

use super::resolve::Resolver;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

/// A PostgreSQL server and database.
#[derive(Clone)]
pub struct DatabaseUrl {
    /// All but the certificates.
    pub connect: Box<Config>,
    /// What the server must prove.
    pub tls: Tls,
    /// The file of the certificates that vouch for the server; the system's if there is none.
    pub roots: Option<PathBuf>,
    shown: String,
}

/// What a server must prove before it is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tls {
    /// Nothing: there is no TLS, or any certificate will do.
    Unverified,
    /// That one of the certificates vouches for it.
    Issuer,
    /// That, and that its certificate is for this host.
    IssuerAndHost,
}

/// As it was written, without the password.
impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatabaseUrl({})", self.shown)
    }
}

impl DatabaseUrl {
    /// How one is written.
    pub const FORM: &str = "postgres://USER:PASSWORD@HOST:5432/DATABASE?sslmode=verify-full";

    /// Reads one.
    ///
    /// # Errors
    /// What is wrong with it; that never repeats what was written.
    pub fn parse(text: &str) -> Result<Self, String> {
        parse(text)
    }

    /// Whether others can read along on the way: over a network and without TLS that is sure.
    pub fn is_open_to_others(&self) -> bool {
        let near = |host: &Host| match host {
            Host::Unix(_) => true,
            Host::Tcp(name) => {
                name == "localhost"
                    || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
            }
        };
        self.tls == Tls::Unverified && !self.connect.get_hosts().iter().all(near)
    }
}

impl Resolver<'_> {
    pub(super) fn database_url(&mut self) -> Option<DatabaseUrl> {
        let read = parse(self.raw.get("database_url")?);
        let mend = format!("Write it like {}", DatabaseUrl::FORM);
        read.map_err(|what| self.faults.push(self.raw.fault("database_url", what, &mend))).ok()
    }
}

/// What is wrong never repeats what was written, but for the names of parameters that libpq has too.
fn parse(text: &str) -> Result<DatabaseUrl, String> {
    let (scheme, rest) = text
        .split_once("://")
        .filter(|(scheme, _)| matches!(*scheme, "postgres" | "postgresql"))
        .ok_or("it does not begin with postgres://")?;
    let path = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(path).unwrap_or((rest, ""));
    if authority.matches('@').count() > 1 || path.contains('@') {
        return Err("an @, / or ? inside a name or password is written %40, %2F or %3F".into());
    }
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let (mut mode, mut roots, mut unacknowledged, mut others) = (None, None, None, Vec::new());
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("sslmode", value)) => mode = Some(value),
            Some(("sslrootcert", value)) => roots = Some(decoded(value)?),
            // The driver would take several folders of sockets for one.
            Some(("host", value)) => others.extend(value.split(',').map(|host| format!("host={host}"))),
            // The driver would take libpq's milliseconds for seconds, and has another name for the count.
            Some(("tcp_user_timeout", value)) => unacknowledged = Some(milliseconds(value)?),
            Some(("keepalives_count", value)) => others.push(format!("keepalives_retries={value}")),
            _ => others.push(pair.to_owned()),
        }
    }
    let connect = format!("{scheme}://{authority}{path}?{}", others.join("&"));
    let mut connect: Config = connect.parse().map_err(|error| said(&error))?;
    if connect.get_hosts().is_empty() && connect.get_hostaddrs().is_empty() {
        return Err("it names no host; a folder of a Unix socket is written ?host=/run/postgresql".into());
    }
    if let Some(limit) = unacknowledged {
        connect.tcp_user_timeout(limit);
    }
    let roots = roots.filter(|path| !path.is_empty());
    let (mode, tls) = secured(mode, roots.as_deref())?;
    let roots = roots.filter(|path| path != "system").map(PathBuf::from);
    let local = connect.get_hosts().iter().all(|host| matches!(host, Host::Unix(_)));
    connect.ssl_mode(if local && connect.get_hostaddrs().is_empty() { SslMode::Disable } else { mode });
    Ok(DatabaseUrl { connect: Box::new(connect), tls, roots, shown: without_password(text) })
}

/// As libpq has it: without a mode TLS is tried, `require` with a certificate at hand verifies it, and the
/// system's certificates, which vouch for so many, are of use with the host's name alone.
fn secured(mode: Option<&str>, roots: Option<&str>) -> Result<(SslMode, Tls), String> {
    if roots == Some("system") && !matches!(mode, None | Some("verify-full")) {
        return Err("sslrootcert=system goes with sslmode=verify-full alone".into());
    }
    Ok(match mode {
        None if roots == Some("system") => (SslMode::Require, Tls::IssuerAndHost),
        Some("verify-ca") if roots.is_none() => {
            return Err("sslmode=verify-ca needs the issuer's certificate, sslrootcert=FILE".into());
        }
        Some("allow") => {
            return Err(
                "sslmode=allow is not offered here: it would rather have no TLS. Use prefer or better".into(),
            );
        }
        Some("disable") => (SslMode::Disable, Tls::Unverified),
        None | Some("prefer") => (SslMode::Prefer, Tls::Unverified),
        Some("require") if roots.is_some() => (SslMode::Require, Tls::Issuer),
        Some("require") => (SslMode::Require, Tls::Unverified),
        Some("verify-ca") => (SslMode::Require, Tls::Issuer),
        Some("verify-full") => (SslMode::Require, Tls::IssuerAndHost),
        Some(_) => {
            return Err("its sslmode is none of disable, prefer, require, verify-ca, verify-full".into());
        }
    })
}

/// Parameters of libpq that the driver does not have; their names are no secrets.
const MISSING: &[&str] =
    &["sslcert", "sslkey", "sslcrl", "passfile", "service", "gssencmode", "krbsrvname", "requirepeer"];

fn said(error: &tokio_postgres::Error) -> String {
    let cause = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    if cause.starts_with("invalid value for option") {
        return format!("it has an {cause}");
    }
    match MISSING.iter().find(|name| cause.contains(&format!("`{name}`"))) {
        Some(name) => format!("its parameter `{name}` is not understood here"),
        None => "it is not understood".into(),
    }
}

fn milliseconds(value: &str) -> Result<Duration, String> {
    let number = value.parse().map_err(|_| "its tcp_user_timeout is no number of milliseconds")?;
    Ok(Duration::from_millis(number))
}

fn decoded(value: &str) -> Result<String, String> {
    let decoded = url::form_urlencoded::parse(format!("x={}", value.replace('+', "%2B")).as_bytes())
        .next()
        .map(|(_, value)| value.into_owned());
    decoded.ok_or_else(|| "its sslrootcert is not understood".into())
}

fn without_password(text: &str) -> String {
    let (scheme, rest) = text.split_once("://").unwrap_or(("postgres", text));
    let rest = match rest.split_once('@') {
        Some((user, rest)) => {
            let user = user.split_once(':').map_or(user.to_owned(), |(user, _)| format!("{user}:***"));
            format!("{user}@{rest}")
        }
        None => rest.to_owned(),
    };
    let Some((path, query)) = rest.split_once('?') else { return format!("{scheme}://{rest}") };
    // However its name is written: nothing else is called so.
    let hidden = |pair: &str| match pair.split_once('=') {
        Some((name, _)) if decoded(name).is_ok_and(|name| name == "password") => format!("{name}=***"),
        _ => pair.to_owned(),
    };
    let query: Vec<String> = query.split('&').map(hidden).collect();
    format!("{scheme}://{path}?{}", query.join("&"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn urls_are_read_as_libpq_reads_them() {
        let url =
            parse("postgres://claviger:se%40cret@db.example.org:5433/auth?sslmode=verify-full").unwrap();
        assert_eq!(url.connect.get_user(), Some("claviger"));
        assert_eq!(url.connect.get_password(), Some(&b"se@cret"[..]));
        assert_eq!(url.connect.get_hosts(), [Host::Tcp("db.example.org".into())]);
        assert_eq!((url.connect.get_ports(), url.connect.get_dbname()), (&[5433][..], Some("auth")));
        assert_eq!((url.connect.get_ssl_mode(), url.tls), (SslMode::Require, Tls::IssuerAndHost));
        let socket = Host::Unix("/run/postgresql".into());
        for text in ["postgresql:///auth?host=/run/postgresql", "postgres://u@%2Frun%2Fpostgresql/auth"] {
            let url = parse(text).unwrap();
            assert_eq!(
                (url.connect.get_hosts(), url.connect.get_ssl_mode()),
                (&[socket.clone()][..], SslMode::Disable)
            );
            assert!(!url.is_open_to_others());
        }
        let several =
            parse("postgres://a,b:5433/auth?connect_timeout=1&application_name=x&sslmode=require").unwrap();
        assert_eq!(several.connect.get_ports(), [5432, 5433]);
        assert_eq!(several.connect.get_application_name(), Some("x"));
        let folders = parse("postgres:///d?host=/tmp/a,/tmp/b&port=1,2").unwrap();
        assert_eq!(folders.connect.get_hosts(), [Host::Unix("/tmp/a".into()), Host::Unix("/tmp/b".into())]);
        assert_eq!(folders.connect.get_ports(), [1, 2]);
        let timed = parse("postgres://h/d?tcp_user_timeout=1500&keepalives_count=2").unwrap();
        assert_eq!(timed.connect.get_tcp_user_timeout(), Some(&Duration::from_millis(1500)));
        assert_eq!(timed.connect.get_keepalives_retries(), Some(2));
        assert!(several.is_open_to_others() && !parse("postgres://[::1]/auth").unwrap().is_open_to_others());
    }

    #[test]
    fn certificates_make_require_verify() {
        let url = parse("postgres://h/d?sslmode=require&sslrootcert=/etc/my%20ca.pem").unwrap();
        assert_eq!((url.tls, url.roots.as_deref()), (Tls::Issuer, Some(Path::new("/etc/my ca.pem"))));
        for text in
            ["postgres://h/d?sslmode=verify-full&sslrootcert=system", "postgres://h/d?sslrootcert=system"]
        {
            let url = parse(text).unwrap();
            assert_eq!((url.tls, url.roots), (Tls::IssuerAndHost, None));
            assert_eq!(url.connect.get_ssl_mode(), SslMode::Require);
        }
        for text in [
            "postgres://h/d?sslmode=require&sslrootcert=system",
            "postgres://h/d?sslmode=verify-ca&sslrootcert=system",
            "postgres://h/d?sslmode=verify-ca",
            "postgres://h/d?sslmode=verify-ca&sslrootcert=",
            "postgres://h/d?sslmode=allow",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_password_is_never_shown() {
        for text in [
            "postgres://u:hunter2@h/d",
            "postgres://u:hunter2@h:1/d?sslmode=prefer",
            "postgres://h/d?password=hunter2&user=u",
            "postgres://h/d?user=u&p%61ssword=hunter2",
        ] {
            let url = parse(text).unwrap();
            assert_eq!(url.connect.get_password(), Some(&b"hunter2"[..]), "{text}");
            let shown = format!("{url} {url:?}");
            assert!(shown.contains("***") && !shown.contains("hunter2"), "{shown}");
        }
    }

    #[test]
    fn a_fault_repeats_nothing_secret() {
        for text in [
            "mysql://u:hunter2@h/d",
            "u:hunter2@h/d",
            "postgres://u:hun@ter2@h/d",
            "postgres://u:hunter2/@h/d",
            "postgres://u:hunter2?x@h/d",
            "postgres://u:hunter2@h:port/d",
            "postgres://u:hunter2@h/d?hunter2=x",
            "postgres://u:hunter2@h/d?hunter2",
            "postgres://u:hunter2@h/d?sslmode=hunter2",
            "postgres://u:hunter2@h/d?sslcert=x",
            "postgres:///d",
        ] {
            let what = parse(text).unwrap_err();
            assert!(!what.contains("hunter2") && !what.contains("ter2"), "{text}: {what}");
        }
        assert!(parse("postgres://h/d?sslcert=x").unwrap_err().contains("`sslcert`"));
        assert!(parse("postgres://h:x/d").unwrap_err().contains("port"));
    }
}
