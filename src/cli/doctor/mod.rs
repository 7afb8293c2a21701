//! `claviger doctor`: what is found on this machine.

mod examine;
mod hash;
mod suggestion;

use super::{SHORT, commands, leaf, with_all_settings, with_settings};
use crate::doctor::CHECKS;
use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use std::process::ExitCode;

/// What the threads that hash depend on.
const HASHES: &[&str] = &["hash_memory_kib", "hash_passes", "hash_lanes", "hash_engine", "hash_threads"];

const HELP: &str = "\
It has the settings of the server, looks for 10 seconds at most and changes nothing. Run it as the user that the \
server runs as.

Exit codes: 0 no error was found, 1 something could not be looked at and no error was found besides, or there is no \
installation, 2 wrong usage or settings, 3 an error was found; with --strict a warning counts as one.

Example: claviger doctor --config /etc/claviger.toml
Example: claviger doctor --json --strict --skip issuer-reachable";

/// `claviger doctor`.
pub(super) fn command() -> Command {
    let hash = leaf(
        "hash",
        "Measure the password hash for some seconds, and suggest parameters",
        "claviger doctor hash --target-ms 250",
    );
    let target = Arg::new("target_ms")
        .long("target-ms")
        .value_name("MS")
        .value_parser(value_parser!(u32).range(1..=2000))
        .default_value("100")
        .help("How long a hash may take for which parameters are suggested");
    let hash = with_settings(hash, &[SHORT, HASHES].concat())
        .arg(target)
        .arg(commands::switch("json", "One JSON object"));
    let doctor = Command::new("doctor")
        .about("Look at an installation, running or not, and say what is wrong with it")
        .after_help(HELP)
        .args_conflicts_with_subcommands(true);
    with_all_settings(doctor)
        .arg(commands::switch(
            "deep",
            "Read the whole database too: SQLite's file and the audit trail; up to ten minutes",
        ))
        .arg(commands::switch("strict", "Warnings make the exit code 3 too"))
        .arg(commands::switch("verbose", "A line for each check that was fine or skipped").short('v'))
        .arg(commands::switch("json", "One JSON object"))
        .arg(commands::switch("list", "List the checks, and look at nothing"))
        .arg(skip())
        .subcommand(hash)
}

fn skip() -> Arg {
    Arg::new("skip")
        .long("skip")
        .value_name("CHECK")
        .action(ArgAction::Append)
        .value_parser(PossibleValuesParser::new(CHECKS.iter().map(|check| check.id)))
        .hide_possible_values(true)
        .help("Leave this check out; may be given several times")
}

pub(super) fn run(args: &ArgMatches) -> Result<ExitCode, ExitCode> {
    match args.subcommand() {
        Some(("hash", args)) => hash::run(args),
        _ => examine::run(args),
    }
}
