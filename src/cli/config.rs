//! `claviger config check|show`.

use super::{WRONG, configuration, load};
use crate::config::raw::{Source, find};
use crate::config::resolve;
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
    match configuration(args) {
        Ok(config) => {
            let posture = if config.dev { "dev; not for production" } else { "production" };
            println!("The settings are good. Posture: {posture}.");
            ExitCode::SUCCESS
        }
        Err(code) => code,
    }
}

fn show(args: &ArgMatches) -> ExitCode {
    let loaded = load(args);
    let (Ok(config), true) = (resolve(&loaded.raw), loaded.faults.is_empty()) else {
        return configuration(args).err().unwrap_or(ExitCode::from(WRONG));
    };
    for (key, value) in config.shown() {
        let source = match loaded.raw.source(key) {
            Source::Default => "default".to_owned(),
            source => find(key).map(|setting| source.name(setting)).unwrap_or_default(),
        };
        println!("{:<45} # {source}", format!("{key} = {value}"));
    }
    ExitCode::SUCCESS
}
