//! The command line. Each command is a thin way into the same flows that the API uses.
//!
//! Exit codes: 0 done, 1 failed (the message says why), 2 wrong usage or settings.

#![allow(clippy::print_stderr)] // Here people are spoken to.

mod config;
mod key;
mod logging;
mod serve;
mod token;

use crate::config::load::{self, Loaded};
use crate::config::raw::{SETTINGS, Setting};
use crate::config::{Config, resolve};
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use clap_complete::Shell;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

const FAILED: u8 = 1;
const WRONG: u8 = 2;

/// Settings that the commands beside `serve` and `config` take as flags.
const SHORT: &[&str] = &["dev", "listen", "data_dir", "issuer", "audience"];

/// Runs the program.
pub fn main() -> ExitCode {
    let matches = command().get_matches();
    match matches.subcommand() {
        Some(("serve", args)) => serve::run(args),
        Some(("config", args)) => config::run(args),
        Some(("key", args)) => key::run(args),
        Some(("token", args)) => token::run(args),
        Some(("completions", args)) => completions(args),
        _ => ExitCode::from(WRONG),
    }
}

/// The whole command line, for parsing, completions and tests.
pub fn command() -> Command {
    let all = || with_settings(SETTINGS.iter().filter(|setting| !setting.secret).collect());
    let short = || with_settings(SETTINGS.iter().filter(|setting| SHORT.contains(&setting.key)).collect());
    Command::new("claviger")
        .version(env!("CARGO_PKG_VERSION"))
        .about("A self-hosted auth server: accounts, logins and verifiable tokens over plain JSON")
        .after_help("Example: claviger serve --dev\n\nSettings come from flags, then CLAVIGER_… variables, then claviger.toml, then defaults.")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(
            all()(Command::new("serve"))
                .about("Run the server")
                .after_help("Examples:\n  claviger serve --dev\n  claviger serve --listen 0.0.0.0:5000 --issuer https://auth.example.org"),
        )
        .subcommand(
            Command::new("config")
                .about("Look at the settings")
                .after_help("Example: claviger config check")
                .subcommand_required(true)
                .arg_required_else_help(true)
                .subcommand(
                    all()(Command::new("check"))
                        .about("Say what is wrong with the settings and how to mend it")
                        .after_help("Example: claviger config check --config /etc/claviger.toml"),
                )
                .subcommand(
                    all()(Command::new("show"))
                        .about("Print every setting with its value and where it comes from, secrets left out")
                        .after_help("Example: CLAVIGER_LISTEN=127.0.0.1:8080 claviger config show"),
                ),
        )
        .subcommand(
            Command::new("key").about("Look at the signing keys")
.after_help("Example: claviger key list").subcommand_required(true).arg_required_else_help(true).subcommand(
                short()(Command::new("list"))
                    .about("List the signing keys and their states")
                    .after_help("Example: claviger key list --data-dir /var/lib/claviger"),
            ),
        )
        .subcommand(
            Command::new("token").about("Look at tokens")
.after_help("Example: claviger token inspect TOKEN").subcommand_required(true).arg_required_else_help(true).subcommand(
                short()(Command::new("inspect"))
                    .about("Print a token's header and claims, and whether it verifies and until when")
                    .arg(Arg::new("token").value_name("TOKEN").required(true).help("The token, or - to read it from standard input"))
                    .after_help("Example: echo \"$TOKEN\" | claviger token inspect -"),
            ),
        )
        .subcommand(
            Command::new("completions")
                .about("Print a completion script for a shell")
                .arg(Arg::new("shell").value_name("SHELL").required(true).value_parser(value_parser!(Shell)))
                .after_help("Example: claviger completions bash > /etc/bash_completion.d/claviger"),
        )
}

fn with_settings(settings: Vec<&'static Setting>) -> impl FnOnce(Command) -> Command {
    move |command| {
        let file = Arg::new("config")
            .long("config")
            .value_name("FILE")
            .value_parser(value_parser!(PathBuf))
            .help("Settings file, claviger.toml if it is there [CLAVIGER_CONFIG]");
        settings.into_iter().fold(command.arg(file), |command, setting| command.arg(flag(setting)))
    }
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

/// The configuration for a command; faults and warnings are printed.
fn configuration(args: &ArgMatches) -> Result<Config, ExitCode> {
    let loaded = load(args);
    for warning in &loaded.warnings {
        eprintln!("warning: {warning}");
    }
    let resolved = resolve(&loaded.raw);
    let faults = loaded.faults.iter().chain(resolved.as_ref().err().into_iter().flatten());
    for fault in faults {
        eprintln!("error: {fault}");
    }
    match resolved {
        Ok(config) if loaded.faults.is_empty() => Ok(config),
        _ => Err(ExitCode::from(WRONG)),
    }
}

/// Writes to standard output; that nobody reads it (any more) is no fault.
fn print(text: std::fmt::Arguments<'_>) {
    let _ = std::io::stdout().write_fmt(text);
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
