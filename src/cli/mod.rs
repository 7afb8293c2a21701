//! The command line. Each command is a thin way into the same flows that the API uses.
//!
//! Exit codes: 0 done, 1 failed (the message says why), 2 wrong usage or settings, 3 done but for what was refused.

#![allow(clippy::print_stderr)] // Here people are spoken to.

mod api_key;
mod ask;
mod audit;
mod backup;
mod commands;
mod config;
mod database;
mod doctor;
mod export;
mod health;
mod import;
mod key;
mod lines;
mod logging;
mod man;
mod offline;
mod progress;
mod secret;
mod serve;
mod session;
mod table;
mod token;
mod user;

use crate::audit::{Actor, Origin};
use crate::base::time::Timestamp;
use crate::base::{id, random};
use crate::config::load::{self, DEFAULT_FILE, FILE_VARIABLE, Loaded};
use crate::config::raw::{SETTINGS, Setting};
use crate::config::{Config, Traces, resolve};
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use clap_complete::Shell;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

const FAILED: u8 = 1;
const WRONG: u8 = 2;
const REFUSED: u8 = 3;

/// Settings that the commands beside `serve` and `config` take as flags.
const SHORT: &[&str] =
    &["dev", "listen", "data_dir", "database_url", "issuer", "audience", "master_key_file"];

/// What those of the signing keys take besides: they must have the settings of the server.
const KEYS: &[&str] = &["access_token_ttl", "signing_alg", "rsa_bits", "key_rotation"];

/// Runs the program.
pub fn main() -> ExitCode {
    #[cfg(debug_assertions)]
    load::statement_notes().into_iter().for_each(crate::db::note_statements);
    let matches = command().get_matches();
    let ended = match matches.subcommand() {
        Some(("serve", args)) => serve::run(args),
        Some(("config", args)) => config::run(args),
        Some(("key", args)) => key::run(args),
        Some(("user", args)) => user::run(args),
        Some(("session", args)) => session::run(args),
        Some(("api-key", args)) => api_key::run(args),
        Some(("token", args)) => token::run(args),
        Some(("audit", args)) => audit::run(args),
        Some(("database", args)) => database::run(args),
        Some(("backup", args)) => backup::run(args),
        Some(("doctor", args)) => doctor::run(args),
        Some(("import", args)) => import::run(args),
        Some(("export", args)) => export::run(args),
        Some(("health", args)) => health::run(args),
        Some(("man", args)) => man::run(args),
        Some(("completions", args)) => Ok(completions(args)),
        _ => Err(ExitCode::from(WRONG)),
    };
    ended.unwrap_or_else(|code| code)
}

/// The whole command line, for parsing, completions and tests.
pub fn command() -> Command {
    group("claviger", "A self-hosted auth server: accounts, logins and verifiable tokens over plain JSON")
        .version(env!("CARGO_PKG_VERSION"))
        .after_help(
            "Example: claviger serve --dev\n\n\
            Settings come from flags, then CLAVIGER_… variables, then claviger.toml, then defaults.",
        )
        .subcommand(with_all_settings(leaf("serve", "Run the server", "claviger serve --dev")))
        .subcommand(config_command())
        .subcommand(key_command())
        .subcommand(token_command())
        .subcommand(commands::user())
        .subcommand(commands::session())
        .subcommand(commands::api_key())
        .subcommand(audit_command())
        .subcommand(database::command())
        .subcommand(backup::command())
        .subcommand(doctor::command())
        .subcommand(import::command())
        .subcommand(export::command())
        .subcommand(health::command())
        .subcommand(
            leaf("completions", "Print a completion script for a shell", "claviger completions bash")
                .arg(Arg::new("shell").value_name("SHELL").required(true).value_parser(value_parser!(Shell))),
        )
        .subcommand(man::manual())
}

fn config_command() -> Command {
    let check = "Say what is wrong with the settings and how to mend it";
    let show = "Print every setting with its value and where it comes from, secrets left out";
    group("config", "Look at the settings")
        .after_help("Example: claviger config check")
        .subcommand(with_all_settings(leaf(
            "check",
            check,
            "claviger config check --config /etc/claviger.toml",
        )))
        .subcommand(with_all_settings(leaf("show", show, "CLAVIGER_DEV=true claviger config show")))
}

fn key_command() -> Command {
    let folder = "--data-dir /var/lib/claviger";
    let leaf = |name, about, example: &str| {
        with_settings(leaf(name, about, &format!("claviger key {example} {folder}")), &[SHORT, KEYS].concat())
    };
    // A key id may begin with a hyphen.
    let kid = Arg::new("kid").value_name("KID").required(true).allow_hyphen_values(true);
    let file = Arg::new("file").value_name("FILE").required(true);
    let activate = Arg::new("activate").long("activate").action(ArgAction::SetTrue);
    let verify_until =
        Arg::new("verify-until").long("verify-until").value_name("WHEN").conflicts_with("activate");
    group("key", "List, rotate, revoke and import the signing keys")
        .after_help("Example: claviger key list")
        .subcommand(leaf("list", "List the signing keys, their states and what comes next for each", "list"))
        .subcommand(leaf("rotate", "Let the next key sign as soon as every verifier knows it", "rotate"))
        .subcommand(
            leaf(
                "revoke",
                "Take a key out at once, and all tokens it signed with it; the next key signs instead",
                "revoke NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs",
            )
            .arg(kid.help("The key's id, as `claviger key list` prints it")),
        )
        .subcommand(
            leaf(
                "import",
                "Make a private key from elsewhere the next one, or let the tokens of an earlier server be good",
                "import key.pem --activate",
            )
            .arg(file.help("PEM (PKCS #8, PKCS #1 or SEC 1) or a JWK, a private one to sign; - reads standard input"))
            .arg(activate.help("Let it sign as soon as every verifier knows it"))
            .arg(verify_until.help(
                "It is the key of the server that was here before, and signs nothing: it stays in the JWK set until \
                 then (2027-01-31T00:00:00Z, or 30d from now), and its tokens may read profiles. Who has its private \
                 half can make tokens until then",
            )),
        )
}

fn token_command() -> Command {
    let inspect = "Print a token's header and claims, and whether it verifies and until when";
    let token = Arg::new("token")
        .value_name("TOKEN")
        .required(true)
        .help("The token, or - to read it from standard input");
    group("token", "Look at tokens").after_help("Example: claviger token inspect TOKEN").subcommand(
        with_settings(leaf("inspect", inspect, "echo \"$TOKEN\" | claviger token inspect -"), SHORT)
            .arg(token),
    )
}

fn audit_command() -> Command {
    let (list, verify) =
        ("List what was done, newest first", "Say whether the audit trail is as it was written");
    let list = leaf("list", list, "claviger audit list --event login --since 24h");
    let verify = leaf("verify", verify, "claviger audit verify --data-dir /var/lib/claviger");
    group("audit", "Look at the audit trail")
        .after_help("Example: claviger audit verify")
        .subcommand(with_settings(list, SHORT).args(audit::list_arguments()))
        .subcommand(with_settings(verify, SHORT))
}

/// A command that has commands.
fn group(name: &'static str, about: &'static str) -> Command {
    Command::new(name).about(about).subcommand_required(true).arg_required_else_help(true)
}

/// A command that does something.
fn leaf(name: &'static str, about: &'static str, example: &str) -> Command {
    Command::new(name).about(about).after_help(format!("Example: {example}"))
}

fn with_all_settings(command: Command) -> Command {
    let keys: Vec<&str> = SETTINGS.iter().map(|setting| setting.key).collect();
    with_settings(command, &keys)
}

/// Adds the flags of these settings, but for secret ones, and of the settings file.
fn with_settings(command: Command, keys: &[&str]) -> Command {
    let file = Arg::new("config")
        .long("config")
        .value_name("FILE")
        .value_parser(value_parser!(PathBuf))
        .help(format!("Settings file, {DEFAULT_FILE} if it is there [{FILE_VARIABLE}]"));
    let settings = SETTINGS.iter().filter(|setting| !setting.secret && keys.contains(&setting.key));
    settings.fold(command.arg(file), |command, setting| command.arg(flag(setting)))
}

fn flag(setting: &'static Setting) -> Arg {
    let help = format!("{} [default: {}] [{}]", setting.help, setting.default, setting.variable());
    let arg = Arg::new(setting.key).long(setting.flag()).help(help);
    if setting.is_switch() { arg.action(ArgAction::SetTrue) } else { arg.value_name(setting.value) }
}

/// Gathers the settings for a command.
fn load(args: &ArgMatches) -> Loaded {
    let given = |setting: &&'static Setting| {
        let id = setting.key;
        let value = if setting.is_switch() {
            args.try_get_one::<bool>(id).ok().flatten().filter(|given| **given).map(ToString::to_string)
        } else {
            args.try_get_one::<String>(id).ok().flatten().cloned()
        };
        value.map(|value| (id, value))
    };
    let flags: Vec<(&str, String)> = SETTINGS.iter().filter_map(|setting| given(&setting)).collect();
    let file = args.get_one::<PathBuf>("config").map(PathBuf::as_path);
    load::load(file, &load::environment(), &flags)
}

/// The configuration for a command, and what it was made from. Faults are printed.
fn checked(args: &ArgMatches) -> Result<(Config, Loaded), ExitCode> {
    let mut loaded = load(args);
    let resolved = resolve(&loaded.raw);
    let faults = loaded.faults.iter().chain(resolved.as_ref().err().into_iter().flatten());
    for fault in faults {
        eprintln!("error: {fault}");
    }
    match resolved {
        Ok(config) if loaded.faults.is_empty() => {
            loaded.warnings.extend(config.warnings(&loaded.raw));
            Ok((config, loaded))
        }
        _ => Err(ExitCode::from(WRONG)),
    }
}

/// The configuration of a server, and what it was made from. Faults are printed.
fn serving(args: &ArgMatches) -> Result<(Config, Loaded), ExitCode> {
    let (mut config, mut loaded) = checked(args)?;
    config.traces = Traces::of(&load::telemetry(), &mut loaded.warnings);
    Ok((config, loaded))
}

/// The configuration for a command; faults and warnings are printed.
fn configuration(args: &ArgMatches) -> Result<Config, ExitCode> {
    with_file(args).map(|(config, _)| config)
}

/// The same, and the settings file that was read.
fn with_file(args: &ArgMatches) -> Result<(Config, Option<PathBuf>), ExitCode> {
    let (config, loaded) = checked(args)?;
    for warning in loaded.warnings {
        eprintln!("warning: {warning}");
    }
    Ok((config, loaded.file))
}

/// Writes to standard output; that nobody reads it (any more) is no fault.
fn print(text: std::fmt::Arguments<'_>) {
    let _ = std::io::stdout().write_fmt(text);
}

/// Who runs the command, for the audit trail.
fn operator(now: Timestamp) -> Origin {
    let actor = Actor::Operator(format!("uid {}", rustix::process::getuid().as_raw()));
    Origin { actor, address: None, request_id: id::uuid_v7(now, random::bytes()) }
}

/// Prints what is wrong with how a command was called.
fn wrong(why: impl std::fmt::Display) -> ExitCode {
    eprintln!("error: {why}");
    ExitCode::from(WRONG)
}

/// Prints why a command failed.
fn failed(error: impl std::fmt::Display) -> ExitCode {
    eprintln!("error: {error}");
    ExitCode::from(FAILED)
}

fn completions(args: &ArgMatches) -> ExitCode {
    if let Some(shell) = args.get_one::<Shell>("shell") {
        let mut script = Vec::new();
        clap_complete::generate(*shell, &mut command(), "claviger", &mut script);
        print(format_args!("{}", String::from_utf8_lossy(&script)));
    }
    ExitCode::SUCCESS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound_and_every_command_has_an_example() {
        command().debug_assert();
        let mut commands = vec![command()];
        while let Some(command) = commands.pop() {
            let has_example =
                command.get_after_help().is_some_and(|help| help.to_string().contains("Example"));
            assert!(has_example, "{}", command.get_name());
            commands.extend(command.get_subcommands().cloned());
        }
    }
}
