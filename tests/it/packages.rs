//! What packages need of the program: manual pages made from the command line, and a health check that needs no
//! other client.

use crate::harness::{Certificate, Program, free_port};
use clap::Command as Clap;
use claviger::config::raw::SETTINGS;
use std::fs;
use std::path::Path;

/// The page of a command, called by these words, is as it should be, and so are those below it; gives how many there
/// are.
fn follow(command: &Clap, words: &[&str], folder: &Path) -> usize {
    let name = words.join("-");
    let page = fs::read_to_string(folder.join(format!("{name}.1"))).unwrap_or_else(|_| panic!("{name}"));
    let plain = page.replace("\\-", "-").replace("\\fB", "").replace("\\fR", "");
    for section in
        ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "\"EXIT STATUS\"", "EXAMPLES", "\"SEE ALSO\""]
    {
        assert!(plain.contains(&format!(".SH {section}\n")), "{name}: {section}");
    }
    assert!(plain.contains(&format!(".SH SYNOPSIS\n{} ", words.join(" "))), "{name}");
    for flag in command.get_arguments().filter_map(|arg| arg.get_long()) {
        // Behind its short form, if it has one.
        let is_it = |line: &str| {
            let options = line.split_once(" \\fI").map_or(line, |(options, _)| options);
            line.starts_with('-') && options.split(", ").any(|option| option == format!("--{flag}"))
        };
        assert!(plain.lines().any(is_it), "{name}: --{flag}");
    }
    let below = command.get_subcommands().map(|sub| {
        assert!(
            plain.contains(&format!("{name}-{}(1)\n", sub.get_name())),
            "{name} lists {}",
            sub.get_name()
        );
        follow(sub, &[words, &[sub.get_name()]].concat(), folder)
    });
    1 + below.sum::<usize>()
}

#[test]
fn a_manual_page_for_every_command_with_every_option() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("new/man1");
    let status = Program::command(&["man", "--dir", dir.to_str().unwrap()]).status().unwrap();
    assert!(status.success());
    let pages = follow(&claviger::cli::command(), &["claviger"], &dir);
    assert_eq!(fs::read_dir(&dir).unwrap().count(), pages, "no page but of a command");

    let whole = fs::read_to_string(dir.join("claviger.1")).unwrap();
    for variable in SETTINGS.iter().map(claviger::config::raw::Setting::variable) {
        assert!(whole.lines().any(|line| line == format!("\\fB{variable}\\fR")), "{variable}");
    }
    for section in ["ENVIRONMENT", "FILES"] {
        assert!(whole.contains(&format!(".SH {section}\n")), "{section}");
    }
    let printed = Program::command(&["man"]).output().unwrap();
    assert_eq!(String::from_utf8(printed.stdout).unwrap(), whole);
    let serve = fs::read_to_string(dir.join("claviger-serve.1")).unwrap().replace("\\-", "-");
    for setting in SETTINGS.iter().filter(|setting| !setting.secret) {
        assert!(serve.contains(&format!("--{}\\fR", setting.flag())), "{}", setting.key);
    }
}

#[test]
fn a_folder_that_cannot_be_written_is_told() {
    let output = Program::command(&["man", "--dir", "/proc/nowhere"]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && said.contains("/proc/nowhere"), "{said}");
}

/// Exit code, standard output and standard error of `claviger health` with this address.
fn health(listen: &str, arguments: &[&str]) -> (i32, String, String) {
    let mut command = Program::command(&["health"]);
    command.args(arguments).env("CLAVIGER_LISTEN", listen).env("CLAVIGER_ISSUER", "https://auth.example.org");
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn health_asks_the_server_of_these_settings() {
    let folder = tempfile::tempdir().unwrap();
    let mut program = Program::serve(folder.path(), &["--dev", "--drain-delay", "60s"]);
    // As in a container, where it listens on all addresses.
    let everywhere = format!("0.0.0.0:{}", program.address.port());
    assert_eq!(health(&everywhere, &["--live"]), (0, "live\n".into(), String::new()));
    let ready = std::iter::repeat_with(|| health(&everywhere, &[])).find(|answer| answer.0 == 0);
    assert_eq!(ready.unwrap().1, "ready\n");

    program.signal("TERM");
    let (_, _, said) =
        std::iter::repeat_with(|| health(&everywhere, &[])).find(|answer| answer.0 != 0).unwrap();
    assert!(said.contains("the server is stopping"), "{said}");
    assert_eq!(health(&everywhere, &["--live"]).0, 0, "it serves on");
    program.signal("TERM");
    assert!(program.wait(std::time::Duration::from_secs(10)).success());

    let (code, _, said) = health(&format!("127.0.0.1:{}", free_port()), &[]);
    assert!(code == 1 && said.contains("does not answer") && said.contains("Does the server run"), "{said}");
}

#[test]
fn health_knows_a_server_over_tls_by_its_certificate() {
    let (certificate, other) = (Certificate::of_days(90), Certificate::of_days(90));
    let folder = tempfile::tempdir().unwrap();
    let (flags, others) = (certificate.flags(), other.flags());
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let others: Vec<&str> = others.iter().map(String::as_str).collect();
    let issuer = ["--issuer", "https://auth.example.org"];
    let program = Program::serve(folder.path(), &[&issuer, &flags[..]].concat());
    let address = program.address.to_string();
    assert_eq!(health(&address, &[&flags[..], &["--live"]].concat()), (0, "live\n".into(), String::new()));
    let (code, _, said) = health(&address, &others);
    assert!(code == 1 && said.contains("it is not the configured certificate"), "{said}");
    let (code, _, said) = health(&address, &[]);
    assert!(code == 1 && said.contains("not Claviger"), "plain HTTP: {said}");
}

#[test]
fn what_is_no_server_of_ours_is_not_healthy() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            use std::io::{Read as _, Write as _};
            let mut stream = listener.accept().unwrap().0;
            let mut request = [0; 1024];
            assert!(stream.read(&mut request).unwrap() > 0);
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi").unwrap();
        });
        let (code, _, said) = health(&address, &[]);
        assert!(code == 1 && said.contains("not Claviger"), "{said}");
    });
}

/// A file of this repository.
fn kept(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

#[test]
fn packages_bear_the_version_of_the_program() {
    let version = env!("CARGO_PKG_VERSION");
    for (file, line) in [
        ("Dockerfile", format!("org.opencontainers.image.version=\"{version}\"")),
        ("contrib/compose.yaml", format!("image: claviger:{version}\n")),
        ("docs/docker.md", format!("image: claviger:{version}\n")),
        ("docs/quick-start.md", format!("claviger-{version}-x86_64-unknown-linux-gnu.tar.gz\n")),
        ("CHANGELOG.md", format!("## {version} ")),
    ] {
        assert!(kept(file).contains(&line), "{file}: {line}");
    }
}

/// The variables that packages set are settings, and good ones.
#[test]
fn the_settings_of_packages_are_good() {
    let folder = tempfile::tempdir().unwrap();
    let value = |file: &str, name: &str| -> String {
        let text = kept(file);
        let after = text.split(&format!("{name}=")).nth(1).unwrap_or_else(|| panic!("{file}: {name}"));
        after.split_whitespace().next().unwrap().to_owned()
    };
    let mut command = Program::command(&["config", "check"]);
    for name in ["CLAVIGER_LISTEN", "CLAVIGER_DATA_DIR"] {
        command.env(name, value("Dockerfile", name));
    }
    command.env("CLAVIGER_ISSUER", "https://auth.example.org").env("CLAVIGER_TRUSTED_PROXIES", "");
    let url = kept("contrib/compose.yaml");
    let url = url.split("CLAVIGER_DATABASE_URL: ").nth(1).unwrap().lines().next().unwrap();
    let (before, after) = (url.split("${").next().unwrap(), url.split('}').nth(1).unwrap());
    command.env("CLAVIGER_DATABASE_URL", format!("{before}secret{after}"));
    let output = command.current_dir(folder.path()).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && said.is_empty(), "{said}");
}
