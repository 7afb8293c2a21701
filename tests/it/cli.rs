//! The command line of the real program: settings, keys, tokens, completions, help.

use crate::harness::{Program, decode, sqlite_only};
use serde_json::{Value, json};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// Exit code, standard output, standard error.
type Outcome = (i32, String, String);

fn run(command: &mut Command) -> Outcome {
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// Runs a command in a folder of its own, so that no settings file lies about.
fn claviger(arguments: &[&str]) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    run(Program::command(arguments).current_dir(folder.path()))
}

fn folder_with(settings: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("claviger.toml"), settings).unwrap();
    folder
}

#[test]
fn config_check_says_that_good_settings_are_good() {
    let (code, out, err) = claviger(&["config", "check"]);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    assert!(out.contains("good") && out.contains("production"), "{out}");
    let (code, out, _) = claviger(&["config", "check", "--dev"]);
    assert!(code == 0 && out.contains("not for production"), "{out}");
}

#[test]
fn config_check_lists_every_fault_and_how_to_mend_it() {
    let folder = folder_with("lisen = 'x'\nissuer = 'ftp://x'\nrsa_bits = 1024\n");
    let mut command = Program::command(&["config", "check", "--access-token-ttl", "25h"]);
    command.env("CLAVIGER_LOG_LEVEL", "loud").env("CLAVIGER_MASTER_KEY", "not-a-good-key");
    let (code, _, err) = run(command.current_dir(folder.path()));
    assert_eq!(code, 2, "{err}");
    let faults: Vec<&str> = err.lines().filter(|line| line.starts_with("error: ")).collect();
    for (place, mend) in [
        ("lisen in claviger.toml", "Did you mean `listen`?"),
        ("issuer in claviger.toml", "Write it like https://auth.example.org"),
        ("rsa_bits in claviger.toml", "Choose one of these"),
        ("--access-token-ttl", "15m"),
        ("CLAVIGER_LOG_LEVEL", "error, warn, info, debug or trace"),
        ("CLAVIGER_MASTER_KEY", "head -c 32 /dev/urandom"),
    ] {
        assert!(faults.iter().any(|fault| fault.contains(place) && fault.contains(mend)), "{place}: {err}");
    }
    assert_eq!(faults.len(), 6, "{err}");
    assert!(!err.contains("not-a-good-key"), "{err}");
}

#[test]
fn serve_refuses_what_config_check_refuses() {
    let folder = folder_with("lisen = 'x'\n");
    let (code, _, err) = run(Program::command(&["serve"]).current_dir(folder.path()));
    assert!(code == 2 && err.contains("Did you mean `listen`?"), "{err}");
    assert!(!folder.path().join("claviger-data").exists(), "nothing was made");
    let (code, _, err) = claviger(&["serve", "--listen", "0.0.0.0:5000"]);
    assert!(code == 2 && err.contains("https"), "{err}");
}

#[test]
fn config_show_says_what_holds_and_where_it_comes_from() {
    let folder = folder_with("issuer = 'https://file.example'\naudience = 'file'\nrsa_bits = 3072\n");
    let secret = "A".repeat(43);
    let mut command = Program::command(&["config", "show", "--issuer", "https://flag.example"]);
    command.env("CLAVIGER_ISSUER", "https://env.example").env("CLAVIGER_AUDIENCE", "env");
    let (code, out, err) = run(command.env("CLAVIGER_MASTER_KEY", &secret).current_dir(folder.path()));
    assert_eq!((code, err.as_str()), (0, ""));
    for (setting, source) in [
        ("issuer = \"https://flag.example\"", "# --issuer"),
        ("audience = \"env\"", "# CLAVIGER_AUDIENCE"),
        ("rsa_bits = 3072", "# rsa_bits in claviger.toml"),
        ("listen = \"127.0.0.1:5000\"", "# default"),
        ("# master_key is set and not shown", "# CLAVIGER_MASTER_KEY"),
    ] {
        let line =
            out.lines().find(|line| line.starts_with(setting)).unwrap_or_else(|| panic!("{setting}: {out}"));
        assert!(line.ends_with(source), "{line}");
    }
    assert!(!out.contains(&secret), "{out}");

    // What it prints is a settings file.
    std::fs::write(folder.path().join("claviger.toml"), &out).unwrap();
    let mut again = Program::command(&["config", "show"]);
    let (code, repeated, err) = run(again.current_dir(folder.path()));
    assert_eq!((code, err.as_str()), (0, ""));
    let settings = |text: &str| -> Vec<String> {
        text.lines()
            .map(|line| line.split(" #").next().unwrap().trim().to_owned())
            .filter(|l| !l.starts_with('#'))
            .collect()
    };
    assert_eq!(settings(&repeated), settings(&out));
}

#[test]
fn nobody_listening_is_no_fault() {
    for arguments in [&["config", "show"][..], &["completions", "bash"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let status = Program::command(arguments).stdout(writer).status().unwrap();
        assert_eq!(status.code(), Some(0), "{arguments:?}");
    }
}

#[test]
fn config_check_looks_for_the_named_master_key() {
    let (code, _, err) =
        run(&mut Program::command(&["config", "check", "--master-key-file", "/nowhere/key"]));
    assert!(code == 2 && err.contains("/nowhere/key") && err.contains("/dev/urandom"), "{err}");
}

#[test]
fn an_unknown_variable_is_only_warned_of() {
    let mut command = Program::command(&["config", "check"]);
    let folder = tempfile::tempdir().unwrap();
    command.env("CLAVIGER_PORT", "tcp://10.0.0.1:5000").env("CLAVIGER_LISTEM", "127.0.0.1:1");
    let (code, _, err) = run(command.current_dir(folder.path()));
    assert_eq!(code, 0, "{err}");
    assert!(err.contains("warning: CLAVIGER_PORT: there is no such setting"), "{err}");
    assert!(err.contains("warning: CLAVIGER_LISTEM") && err.contains("Did you mean `listen`?"), "{err}");
}

/// A server that has made its key, and a token of it.
struct Issued {
    folder: TempDir,
    program: Program,
    token: String,
    kid: String,
}

impl Issued {
    async fn with(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let program = Program::serve(folder.path(), &[&["--dev"], arguments].concat());
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let body = json!({"email": "a@example.org", "name": "a", "password": "a"});
        let url = |path: &str| format!("{}{path}", program.url);
        assert_eq!(client.post(url("/user")).json(&body).send().await.unwrap().status(), 201);
        let login: Value = client.post(url("/login")).json(&body).send().await.unwrap().json().await.unwrap();
        let token = login["token"].as_str().unwrap().to_owned();
        let kid = decode(&token).0["kid"].as_str().unwrap().to_owned();
        Self { folder, program, token, kid }
    }

    /// A command with the settings of this server.
    fn command(&self, arguments: &[&str], data_dir: &Path) -> Command {
        let mut command = Program::command(arguments);
        command.args(["--issuer", &self.program.url, "--data-dir", data_dir.to_str().unwrap()]);
        command.envs(Program::database(data_dir));
        command
    }

    fn inspect(&self, token: &str) -> Outcome {
        run(&mut self.command(&["token", "inspect", token], self.folder.path()))
    }
}

#[tokio::test]
async fn key_list_shows_the_keys_beside_a_running_server_and_without_it() {
    let mut issued = Issued::with(&[]).await;
    for _ in 0..2 {
        let (code, out, err) = run(&mut issued.command(&["key", "list"], issued.folder.path()));
        assert_eq!(code, 0, "{err}");
        let line = out.lines().find(|line| line.starts_with(&issued.kid)).unwrap();
        let words: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(words[1..3], ["active", "RS256"], "{out}");
        assert_eq!(words[4..6], ["signs", "until"], "{out}");
        for time in [words[3], words[6]] {
            assert!(time.starts_with("20") && time.ends_with('Z'), "{out}");
        }
        if issued.program.child.try_wait().unwrap().is_none() {
            issued.program.stop();
        }
    }
    let (code, _, err) = claviger(&["key", "list", "--data-dir", "./nowhere"]);
    assert!(code == 1 && err.contains("./nowhere") && err.contains("--data-dir"), "{err}");
}

#[tokio::test]
async fn token_inspect_says_whether_a_token_verifies_and_why_not() {
    let issued = Issued::with(&[]).await;
    let (code, out, err) = issued.inspect(&issued.token);
    assert_eq!(code, 0, "{out}{err}");
    for words in ["It verifies, until 20", "\"typ\": \"at+jwt\"", "\"client_id\": \"claviger\"", &issued.kid]
    {
        assert!(out.contains(words), "{words}: {out}");
    }

    let (signed, signature) = issued.token.rsplit_once('.').unwrap();
    let altered =
        format!("{signed}.{}{}", if signature.starts_with('A') { 'B' } else { 'A' }, &signature[1..]);
    for token in [altered.as_str(), "", "x", "a.b.c", signed] {
        let (code, out, _) = issued.inspect(token);
        assert!(code == 1 && out.contains("It does not verify: "), "{token}: {out}");
    }

    if sqlite_only() {
        return;
    }
    let empty = tempfile::tempdir().unwrap();
    let command = ["token", "inspect", &issued.token];
    let (code, out, err) = run(&mut issued.command(&command, empty.path()));
    assert_eq!(code, 1);
    assert!(out.contains("\"typ\": \"at+jwt\""), "the parts are shown all the same: {out}");
    let said = format!("{out}{err}");
    assert!(said.contains(empty.path().to_str().unwrap()) && said.contains("--data-dir"), "{said}");
    assert_eq!(std::fs::read_dir(empty.path()).unwrap().count(), 0, "nothing was made there");
}

#[tokio::test]
async fn token_inspect_reads_standard_input() {
    let issued = Issued::with(&[]).await;
    let mut command = issued.command(&["token", "inspect", "-"], issued.folder.path());
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(format!("  {}\n", issued.token).as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let out = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && out.contains("It verifies"), "{out}");
}

#[tokio::test]
async fn token_inspect_says_that_a_token_has_expired() {
    let issued = Issued::with(&["--access-token-ttl", "1s"]).await;
    let claims = decode(&issued.token).1;
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 1);
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    let (code, out, _) = issued.inspect(&issued.token);
    assert!(code == 1 && out.contains("It does not verify: it has expired."), "{out}");
}

#[test]
fn completions_and_version() {
    for shell in ["bash", "zsh", "fish"] {
        let (code, out, _) = claviger(&["completions", shell]);
        assert!(code == 0 && out.contains("claviger") && out.contains("inspect"), "{shell}");
    }
    let (code, out, _) = claviger(&["--version"]);
    assert_eq!((code, out), (0, format!("claviger {}\n", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn help_of_every_command_shows_an_example() {
    let mut paths = vec![Vec::<String>::new()];
    let mut without = Vec::new();
    while let Some(path) = paths.pop() {
        let arguments: Vec<&str> = path.iter().map(String::as_str).chain(["--help"]).collect();
        let (code, out, err) = claviger(&arguments);
        assert_eq!((code, err.as_str()), (0, ""), "{arguments:?}");
        if !out.contains("Example") {
            without.push(path.join(" "));
        }
        let start = claviger::cli::command();
        let command = path.iter().fold(start, |command, name| command.find_subcommand(name).unwrap().clone());
        paths.extend(command.get_subcommands().map(|sub| [&path[..], &[sub.get_name().to_owned()]].concat()));
    }
    assert!(without.is_empty(), "without an example: {without:?}");
}

#[test]
fn wrong_usage_is_code_2_with_a_hint() {
    for (arguments, hint) in [
        (&["srve"][..], "serve"),
        (&["serve", "--lisen", "x"], "--listen"),
        (&["token", "inspect"], "TOKEN"),
        (&["config", "chekc"], "check"),
    ] {
        let (code, _, err) = claviger(arguments);
        assert!(code == 2 && err.contains(hint), "{arguments:?}: {err}");
    }
    let (code, _, err) = claviger(&[]);
    assert!(code == 2 && err.contains("Usage"), "{err}");
}
