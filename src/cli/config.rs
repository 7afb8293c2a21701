//! `claviger config check|show`.

use super::{WRONG, checked, print, serving, wrong};
use crate::base::time::Clock;
use crate::config::MasterKeySource;
use crate::config::raw::{Source, find};
use crate::{keys, server};
use clap::ArgMatches;
use std::process::ExitCode;

pub(super) fn run(args: &ArgMatches) -> Result<ExitCode, ExitCode> {
    match args.subcommand() {
        Some(("check", args)) => check(args),
        Some(("show", args)) => show(args),
        _ => Err(ExitCode::from(WRONG)),
    }
}

fn check(args: &ArgMatches) -> Result<ExitCode, ExitCode> {
    let (config, loaded) = serving(args)?;
    for warning in loaded.warnings {
        eprintln!("warning: {warning}");
    }
    if let MasterKeySource::File(_) = config.master_key
        && let Err(error) = keys::master::obtain(&config.master_key, false)
    {
        return Err(wrong(error));
    }
    match server::tls::check(&config, Clock::System.now()) {
        Ok(remarks) => remarks.iter().for_each(|remark| eprintln!("warning: {remark}")),
        Err(error) => return Err(wrong(error)),
    }
    let posture = if config.dev { "dev; not for production" } else { "production" };
    print(format_args!("The settings are good. Posture: {posture}.\n"));
    Ok(ExitCode::SUCCESS)
}

/// Lines that a settings file may hold.
fn show(args: &ArgMatches) -> Result<ExitCode, ExitCode> {
    let (config, loaded) = checked(args)?;
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
    Ok(ExitCode::SUCCESS)
}
