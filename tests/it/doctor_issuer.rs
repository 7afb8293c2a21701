//! An https issuer with a proxy in front that does too little: `claviger doctor` sees it from outside.

use crate::doctor_health::{Clinic, Told, folder};
use crate::harness::free_port;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpSocket};

const EXTENSIONS: &str = "[ca]\nbasicConstraints = critical, CA:TRUE\nkeyUsage = critical, keyCertSign\n\
    [server]\nbasicConstraints = critical, CA:FALSE\nsubjectAltName = DNS:localhost\n";

fn openssl(folder: &Path, arguments: &str) {
    let made = Command::new("openssl").current_dir(folder).args(arguments.split(' ')).output().unwrap();
    assert!(made.status.success(), "{arguments}: {}", String::from_utf8_lossy(&made.stderr));
}

/// An authority and its certificate for `localhost`, which is good for so many days.
fn certify(folder: &Path, days: u32) {
    std::fs::write(folder.join("extensions"), EXTENSIONS).unwrap();
    for (name, by) in [("ca", "-signkey ca.key"), ("server", "-CA ca.crt -CAkey ca.key -CAcreateserial")] {
        openssl(folder, &format!("ecparam -name prime256v1 -genkey -noout -out {name}.key"));
        openssl(folder, &format!("req -new -key {name}.key -subj /CN={name} -out {name}.csr"));
        let end = format!("-days {days} -extfile extensions -extensions {name} -out {name}.crt");
        openssl(folder, &format!("x509 -req -in {name}.csr {by} {end}"));
    }
    // rustls reads PKCS #8.
    openssl(folder, "pkcs8 -topk8 -nocrypt -in server.key -out server.pk8");
}

/// Ends TLS and passes on all bytes as they are, from an address of its own. Ends with the runtime of the test.
async fn proxy(folder: &Path, port: u16, to: SocketAddr) {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let certificate = CertificateDer::from_pem_file(folder.join("server.crt")).unwrap();
    let key = PrivateKeyDer::from_pem_file(folder.join("server.pk8")).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    tokio::spawn(async move {
        loop {
            let (near, _) = listener.accept().await.unwrap();
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                // A client that does not believe the certificate hangs up.
                let Ok(mut near) = acceptor.accept(near).await else { return };
                let own = TcpSocket::new_v4().unwrap();
                own.bind("127.0.0.2:0".parse().unwrap()).unwrap();
                let mut far = own.connect(to).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
            });
        }
    });
}

async fn look(clinic: &Arc<Clinic>, roots: &Path, arguments: &[&str]) -> Told {
    let mut command = clinic.doctor(&[arguments, &["--json"]].concat());
    command.env("SSL_CERT_FILE", roots.join("ca.crt")).env_remove("SSL_CERT_DIR");
    tokio::task::spawn_blocking(move || Told::by(&mut command)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_proxy_in_front_does_not_do_is_found() {
    let (certificates, strangers) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    certify(certificates.path(), 5);
    certify(strangers.path(), 5);
    let port = free_port();
    let issuer = format!("https://localhost:{port}");
    let clinic = Clinic::with(folder(), &["--trusted-proxies", "127.0.0.2", "--issuer", &issuer]).await;
    let clinic = Arc::new(clinic);
    proxy(certificates.path(), port, clinic.listen.parse().unwrap()).await;

    let told = look(&clinic, certificates.path(), &[]).await;
    assert_eq!(
        told.faults(),
        ["proxy-address", "issuer-certificate", "issuer-headers"],
        "{:#}",
        told.report["findings"]
    );
    let what = |check: &str| told.of(check)[0]["what"].as_str().unwrap().to_owned();
    assert_eq!(what("proxy-address"), "the proxy passes on x-forwarded-for as clients write it");
    assert!(what("issuer-certificate").contains("in 4 days"), "{}", what("issuer-certificate"));
    assert_eq!(told.of("issuer-certificate")[0]["mend"]["command"], "certbot renew");
    assert_eq!(what("issuer-headers"), "the issuer sends no Strict-Transport-Security");

    let told = look(&clinic, strangers.path(), &[]).await;
    let found = told.only("issuer-certificate", "error");
    assert!(found["what"].as_str().unwrap().contains("is refused: invalid peer certificate"), "{found:#}");
    // Another of the same authority would be refused as well.
    assert!(found["mend"]["text"].as_str().unwrap().contains("full chain"), "{found:#}");
    let shown =
        format!("openssl s_client -connect localhost:{port} -servername localhost -showcerts < /dev/null");
    assert_eq!(found["mend"]["command"], shown);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_told_of_a_proxy_is_not_called_fine() {
    let certificates = tempfile::tempdir().unwrap();
    certify(certificates.path(), 60);
    let port = free_port();
    let issuer = format!("https://localhost:{port}");
    let clinic = Clinic::with(folder(), &["--trusted-proxies", "127.0.0.0/8", "--issuer", &issuer]).await;
    let clinic = Arc::new(clinic);
    proxy(certificates.path(), port, clinic.listen.parse().unwrap()).await;
    let told = look(&clinic, certificates.path(), &[]).await;
    assert_eq!(told.faults(), ["issuer-headers"], "{:#}", told.report["findings"]);
    let checks = told.report["checks"].as_array().unwrap();
    let address = checks.iter().find(|check| check["check"] == "proxy-address").unwrap();
    assert_eq!(address["outcome"], "skipped", "{address:#}");
    assert!(address["said"].as_str().unwrap().contains("cannot be told from here"), "{address:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_nobody_trusts_is_found() {
    let certificates = tempfile::tempdir().unwrap();
    certify(certificates.path(), 60);
    let port = free_port();
    let issuer = format!("https://localhost:{port}");
    let clinic = Arc::new(Clinic::with(folder(), &["--issuer", &issuer]).await);
    proxy(certificates.path(), port, clinic.listen.parse().unwrap()).await;
    let told = look(&clinic, certificates.path(), &[]).await;
    assert_eq!(told.faults(), ["issuer-headers", "proxy-address"], "{:#}", told.report["findings"]);
    let found = told.of("proxy-address")[0];
    assert!(found["what"].as_str().unwrap().ends_with("trusted_proxies names none"), "{found:#}");
    assert!(found["mend"]["command"].as_str().unwrap().starts_with("claviger serve --trusted-proxies "));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_another_name_is_not_renewed_but_replaced() {
    let certificates = tempfile::tempdir().unwrap();
    certify(certificates.path(), 60);
    let port = free_port();
    let issuer = format!("https://127.0.0.1:{port}");
    let clinic = Clinic::with(folder(), &["--trusted-proxies", "127.0.0.2", "--issuer", &issuer]).await;
    let clinic = Arc::new(clinic);
    proxy(certificates.path(), port, clinic.listen.parse().unwrap()).await;
    let found = look(&clinic, certificates.path(), &[]).await.only("issuer-certificate", "error");
    let mend = &found["mend"];
    assert!(mend["text"].as_str().unwrap().starts_with("Get a certificate for 127.0.0.1,"), "{found:#}");
}
