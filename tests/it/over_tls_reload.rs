//! Certificates that are renewed under a running server, and files that do not work: at the start, later, and in
//! `claviger config check`.

use crate::harness::{Certificate, Program, Secure, free_port};
use rustls::HandshakeKind;
use std::fs::{Permissions, set_permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use tokio::time::sleep;

fn serve(folder: &Path, certificate: &Certificate) -> Program {
    let flags = certificate.flags();
    Program::serve(folder, &flags.iter().map(String::as_str).collect::<Vec<_>>())
}

async fn await_log(program: &Program, words: &str) -> String {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(line) = program.log().into_iter().find(|line| line.contains(words)) {
            return line;
        }
        assert!(Instant::now() < until, "no {words:?} in {:?}", program.log());
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_renewed_certificate_is_taken_and_open_connections_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let old = Certificate::of_days(90);
    let (old_der, trusts_old) = (old.der(), old.client(&["h2"]));
    let mut program = serve(folder.path(), &old);
    let mut open = Secure::to(program.address, &old).await;
    let mut open_too = Secure::http1(program.address, &old).await;
    assert_eq!(open.shown, old_der);
    let new = old.renewed(180);
    let (mut asked, mut asked_too) = (0, 0);
    while program.log().iter().all(|line| !line.contains("a new TLS certificate is in use")) {
        assert_eq!(open.get("/health/live").await.unwrap().status, 200);
        assert_eq!(open_too.get("/health/live").await.unwrap().status, 200);
        (asked, asked_too) = (asked + 1, asked_too + 1);
        sleep(Duration::from_millis(50)).await;
    }
    assert!(asked > 0 && asked_too > 0);
    let late = Secure::to(program.address, &new).await;
    assert!(late.shown == new.der() && late.shown != old_der);
    assert!(Secure::by(program.address, trusts_old).await.is_err(), "the old one is shown to nobody new");
    for client in [&mut open, &mut open_too] {
        assert_eq!(client.get("/health/live").await.unwrap().status, 200, "they go on");
    }
    program.stop();
}

#[tokio::test]
async fn what_does_not_fit_is_refused_and_a_hangup_looks_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, other, ended) = (Certificate::of_days(90), Certificate::of_days(90), Certificate::of_days(-1));
    let mut program = serve(folder.path(), &ours);
    for (certificate, key, words) in [
        (&ended.pem, &ended.key, "has expired, at"),
        (&other.pem, &ours.key, "is not that of the first certificate"),
        (&ours.pem, &"nothing".to_owned(), "holds no PEM private key"),
        (&"nothing".to_owned(), &ours.key, "holds no PEM certificate"),
    ] {
        ours.put(certificate, key);
        program.signal("HUP");
        let line = await_log(&program, words).await;
        assert!(line.contains("refused") && line.contains("stays in use"), "{line}");
        let mut client = Secure::to(program.address, &ours).await;
        assert_eq!(client.get("/health/live").await.unwrap().status, 200);
    }
    std::fs::remove_file(ours.file("key.pem")).unwrap();
    await_log(&program, "cannot be read").await;
    ours.put(&ours.pem, &ours.key);
    program.signal("HUP");
    await_log(&program, "is the one in use already").await;
    let new = ours.renewed(180);
    program.signal("HUP");
    await_log(&program, "a new TLS certificate is in use").await;
    assert_eq!(Secure::to(program.address, &new).await.shown, new.der());
    let log = program.stop().concat();
    assert!(!log.contains("PRIVATE KEY") && !log.contains(new.key.lines().nth(1).unwrap()), "{log}");
}

#[tokio::test]
async fn who_comes_back_is_known_until_the_certificate_changes() {
    let folder = tempfile::tempdir().unwrap();
    let old = Certificate::of_days(90);
    let program = serve(folder.path(), &old);
    let config = old.client(&["http/1.1"]);
    let kind = async |config: rustls::ClientConfig| {
        let mut stream = crate::harness::connect(program.address, config).await.unwrap();
        // The tickets come after the handshake, with the answer at the latest.
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let ask = b"GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        stream.write_all(ask).await.unwrap();
        stream.read_to_end(&mut Vec::new()).await.unwrap();
        stream.get_ref().1.handshake_kind().unwrap()
    };
    assert_eq!(kind(config.clone()).await, HandshakeKind::Full);
    assert_eq!(kind(config.clone()).await, HandshakeKind::Resumed);
    let new = Certificate::of_days(180);
    // Trusted by the same client, in the place of the old one.
    old.put(&new.pem, &new.key);
    program.signal("HUP");
    await_log(&program, "a new TLS certificate is in use").await;
    let refused = crate::harness::connect(program.address, config).await.err().unwrap();
    assert!(refused.to_string().contains("certificate"), "shown anew, not resumed: {refused}");
}

#[test]
fn files_that_do_not_work_are_told_at_the_start_and_by_config_check() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, other) = (Certificate::of_days(90), Certificate::of_days(90));
    let flags = ours.flags();
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let check = |more: &[&str]| {
        let out = Program::command(&["config", "check"]).args(&flags).args(more).output().unwrap();
        let said = String::from_utf8([out.stdout, out.stderr].concat()).unwrap();
        (out.status.code().unwrap(), said)
    };
    let sealed = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    for (certificate, key, words) in [
        (other.pem.as_str(), ours.key.as_str(), "is not that of the first certificate"),
        ("", &ours.key, "holds no PEM certificate"),
        (&ours.pem, &ours.pem, "holds no PEM private key"),
        (&ours.pem, sealed, "is encrypted"),
    ] {
        ours.put(certificate, key);
        let (code, said) = check(&[]);
        assert!(code == 2 && said.starts_with("error: ") && said.contains(words), "{code}: {said}");
        let (code, said) = Program::refusal(Program::command(&[]), folder.path(), free_port(), &flags);
        assert!(code != 0 && said.contains(words), "{code}: {said}");
    }
    ours.put(&ours.pem, &ours.key);
    assert_eq!(check(&[]), (0, "The settings are good. Posture: production.\n".to_owned()));
    let (code, said) = check(&["--issuer", "https://auth.example.org"]);
    assert!(code == 0 && said.contains("warning: the TLS certificate is not for auth.example.org"), "{said}");
    set_permissions(ours.file("key.pem"), Permissions::from_mode(0o644)).unwrap();
    let (code, said) = check(&[]);
    assert!(code == 0 && said.contains("chmod o-rwx"), "{said}");
    let (code, said) = check(&["--issuer", "http://127.0.0.1:5000"]);
    assert!(code == 2 && said.contains("--issuer: it must begin with https://"), "{said}");
    let alone = Program::command(&["config", "check", "--tls-cert", "chain.pem"]).output().unwrap();
    assert_eq!(alone.status.code(), Some(2));
}

#[tokio::test]
async fn a_certificate_near_its_end_is_told_and_one_past_it_too() {
    for (days, words) in [(13, "expires at"), (-1, "has expired")] {
        let (folder, certificate) = (tempfile::tempdir().unwrap(), Certificate::of_days(days));
        let mut program = serve(folder.path(), &certificate);
        await_log(&program, "listening").await;
        // After looks at the files too: it is said once a day.
        certificate.put(&certificate.pem, &certificate.key);
        program.signal("HUP");
        await_log(&program, "is the one in use already").await;
        let log = program.stop();
        assert_eq!(log.iter().filter(|line| line.contains(words)).count(), 1, "{log:?}");
        let out = Program::command(&["config", "check"]).args(certificate.flags()).output().unwrap();
        let said = String::from_utf8(out.stderr).unwrap();
        assert!(out.status.success() && said.contains(words), "{said}");
    }
}

/// The forms in which keys come, made by the tool that operators use.
#[tokio::test]
async fn keys_come_in_three_forms_and_two_kinds() {
    let folder = tempfile::tempdir().unwrap();
    let openssl = |arguments: &str| {
        let made = Command::new("openssl").current_dir(folder.path()).args(arguments.split(' ')).output();
        let made = made.unwrap();
        assert!(made.status.success(), "{arguments}: {}", String::from_utf8_lossy(&made.stderr));
    };
    for (kind, options) in
        [("ec", "-pkeyopt ec_paramgen_curve:P-256"), ("rsa", "-pkeyopt rsa_keygen_bits:2048")]
    {
        let algorithm = kind.to_uppercase();
        openssl(&format!("genpkey -algorithm {algorithm} {options} -out {kind}8.pem"));
        openssl(&format!("pkey -in {kind}8.pem -traditional -out {kind}1.pem"));
        openssl(&format!(
            "req -x509 -key {kind}8.pem -days 30 -subj /CN=x -addext subjectAltName=IP:127.0.0.1 -out {kind}.pem"
        ));
        for form in ["8", "1"] {
            let file = |name: String| folder.path().join(name).display().to_string();
            let (chain, key) = (file(format!("{kind}.pem")), file(format!("{kind}{form}.pem")));
            let out =
                Program::command(&["config", "check", "--tls-cert", &chain, "--tls-key", &key]).output();
            let out = out.unwrap();
            assert!(out.status.success(), "{kind}{form}: {}", String::from_utf8_lossy(&out.stderr));
        }
    }
}
