//! TLS and passwords on the way to PostgreSQL, tried on a cluster of its own that takes nothing else over TCP.

use crate::harness::{Cluster, free_port, on_postgres, open_at};
use claviger::base::time::Timestamp;
use std::path::Path;
use std::process::Command;

const EXTENSIONS: &str = "[ca]\nbasicConstraints = critical, CA:TRUE\nkeyUsage = critical, keyCertSign\n\
    [server]\nbasicConstraints = critical, CA:FALSE\nsubjectAltName = DNS:localhost\n";

fn openssl(folder: &Path, arguments: &str) {
    let made = Command::new("openssl").current_dir(folder).args(arguments.split(' ')).output().unwrap();
    assert!(made.status.success(), "{arguments}: {}", String::from_utf8_lossy(&made.stderr));
}

/// A certificate authority of the name, and a certificate for `localhost` that it vouches for.
pub fn certify(folder: &Path, name: &str) {
    std::fs::write(folder.join("extensions"), EXTENSIONS).unwrap();
    for (name, kind) in [(name, "ca"), ("server", "server")] {
        let key = format!("{name}.key");
        openssl(folder, &format!("ecparam -name prime256v1 -genkey -noout -out {key}"));
        openssl(folder, &format!("req -new -key {key} -subj /CN={name} -out {name}.csr"));
        let by = if kind == "ca" { format!("-signkey {key}") } else { signer(folder) };
        let end = format!("-days 2 -extfile extensions -extensions {kind} -out {name}.crt");
        openssl(folder, &format!("x509 -req -in {name}.csr {by} {end}"));
    }
}

fn signer(folder: &Path) -> String {
    let ca = if folder.join("ours.crt").exists() { "ours" } else { "theirs" };
    format!("-CA {ca}.crt -CAkey {ca}.key -CAcreateserial")
}

#[test]
fn a_server_proves_as_much_as_the_url_asks_for() {
    if !on_postgres() {
        return;
    }
    let keys = tempfile::tempdir().unwrap();
    certify(keys.path(), "theirs");
    let (port, stranger) = (free_port(), keys.path().join("stranger.crt"));
    std::fs::rename(keys.path().join("theirs.crt"), &stranger).unwrap();
    certify(keys.path(), "ours");
    let cluster = Cluster::start(Some(port));
    for name in ["server.crt", "server.key"] {
        cluster.place(name, &std::fs::read(keys.path().join(name)).unwrap());
    }
    cluster
        .place("pg_hba.conf", b"local all claviger trust\nhostssl all keeper 127.0.0.1/32 scram-sha-256\n");
    cluster.ask("ALTER SYSTEM SET ssl = on");
    cluster.ask("SELECT pg_reload_conf()");
    cluster.ask("CREATE ROLE keeper LOGIN PASSWORD 'a secret one'");
    cluster.ask("CREATE DATABASE vault OWNER keeper");

    let ours = keys.path().join("ours.crt").display().to_string();
    let stranger = stranger.display().to_string();
    let folder = tempfile::tempdir().unwrap();
    let attempt = |password: &str, host: &str, query: &str| {
        let url = format!("postgres://keeper:{password}@{host}:{port}/vault?{query}");
        let opened = open_at(folder.path(), &url, Timestamp::from_seconds(0));
        opened.map(drop).map_err(|error| error.to_string())
    };
    let secret = "a%20secret%20one";
    for (host, query) in [
        ("localhost", String::new()),
        ("127.0.0.1", "sslmode=prefer".to_owned()),
        ("127.0.0.1", "sslmode=require&channel_binding=require".to_owned()),
        ("127.0.0.1", format!("sslmode=verify-ca&sslrootcert={ours}")),
        ("127.0.0.1", format!("sslmode=require&sslrootcert={ours}")),
        ("localhost", format!("sslmode=verify-full&sslrootcert={ours}&channel_binding=require")),
    ] {
        assert_eq!(attempt(secret, host, &query), Ok(()), "{host} {query}");
    }
    for (password, host, query, why) in [
        (secret, "localhost", "sslmode=disable".to_owned(), "no encryption"),
        (secret, "127.0.0.1", format!("sslmode=verify-full&sslrootcert={ours}"), "not valid for name"),
        (secret, "localhost", format!("sslmode=verify-full&sslrootcert={stranger}"), "UnknownIssuer"),
        (secret, "localhost", format!("sslmode=verify-ca&sslrootcert={stranger}"), "UnknownIssuer"),
        (secret, "localhost", format!("sslmode=require&sslrootcert={stranger}"), "UnknownIssuer"),
        (secret, "localhost", "sslmode=verify-full".to_owned(), "UnknownIssuer"),
        (secret, "localhost", "sslmode=verify-full&sslrootcert=/nowhere".to_owned(), "/nowhere"),
        ("hunter2", "localhost", "sslmode=require".to_owned(), "password authentication failed"),
    ] {
        let said = attempt(password, host, &query).unwrap_err();
        assert!(said.contains(why), "{host} {query}: {said}");
        assert!(!said.contains("hunter2") && !said.contains("secret"), "{said}");
    }
}
