//! `claviger doctor`: what is found on this machine.

mod hash;
mod rate;
mod suggestion;

use super::{SHORT, WRONG, commands, group, leaf, with_settings};
use clap::{Arg, ArgMatches, Command, value_parser};
use std::process::ExitCode;

/// What the threads that hash depend on.
const HASHES: &[&str] = &["hash_memory_kib", "hash_passes", "hash_lanes", "hash_engine", "hash_threads"];

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
    group("doctor", "Examine what the server runs on").after_help("Example: claviger doctor hash").subcommand(
        with_settings(hash, &[SHORT, HASHES].concat())
            .arg(target)
            .arg(commands::switch("json", "One JSON object")),
    )
}

pub(super) fn run(args: &ArgMatches) -> Result<ExitCode, ExitCode> {
    match args.subcommand() {
        Some(("hash", args)) => hash::run(args),
        _ => Err(ExitCode::from(WRONG)),
    }
}
