//! `claviger config check|show`.

use super::{WRONG, configuration, load, print};
use crate::config::raw::{Source, find};
use crate::config::{MasterKeySource, resolve};
use crate::keys;
use clap::ArgMatches;
use std::process::ExitCode;

pub(super) fn run(args: &ArgMatches) -> ExitCode {
    match args.subcommand() {
        Some(("check", args)) => check(args),
        Some(("show", args)) => show(args),
        _ => ExitCode::from(WRONG),
    }
}

fn check(args: &ArgMatches) -> ExitCode {
    let config = match configuration(args) {
        Ok(config) => config,
        Err(code) => return code,
    };
    if let MasterKeySource::File(_) = config.master_key
        && let Err(error) = keys::master::obtain(&config.master_key, false)
    {
        eprintln!("error: {error}");
        return ExitCode::from(WRONG);
    }
    let posture = if config.dev { "dev; not for production" } else { "production" };
    print(format_args!("The settings are good. Posture: {posture}.\n"));
    ExitCode::SUCCESS
}

/// Lines that a settings file may hold.
fn show(args: &ArgMatches) -> ExitCode {
    let loaded = load(args);
    let (Ok(config), true) = (resolve(&loaded.raw), loaded.faults.is_empty()) else {
        return configuration(args).err().unwrap_or(ExitCode::from(WRONG));
    };
    for (key, value) in config.shown() {
        let source = loaded.raw.source(key);
        let line = match value {
            Some(value) => format!("{key} = {value}"),
            None if source == Source::Default => format!("# {key} is not set"),
            None => format!("# {key} is set and not shown"),
        };
        let source = match source {
            Source::Default => "default".to_owned(),
            source => find(key).map(|setting| source.name(setting)).unwrap_or_default(),
        };
        print(format_args!("{line:<50} # {source}\n"));
    }
    ExitCode::SUCCESS
}
