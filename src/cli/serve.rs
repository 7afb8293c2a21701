//! `claviger serve`.

use super::{failed, logging, print, serving};
use crate::base::time::Clock;
use crate::config::{Config, Traces};
use crate::server;
use clap::ArgMatches;
use std::process::ExitCode;

pub(super) fn run(args: &ArgMatches) -> Result<ExitCode, ExitCode> {
    let (config, loaded) = serving(args)?;
    logging::start(config.log);
    for warning in loaded.warnings {
        tracing::warn!("{warning}");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(failed)?;
    if runtime.block_on(serve(config)).map_err(failed)? == Served::NotAtAll {
        // The start, which is still waiting for its database.
        runtime.shutdown_background();
    }
    Ok(ExitCode::SUCCESS)
}

/// How far a server came before it was stopped.
#[derive(PartialEq, Eq)]
enum Served {
    NotAtAll,
    ToItsEnd,
}

async fn serve(config: Config) -> Result<Served, server::StartError> {
    let banner = config.dev.then(|| banner(&config));
    let (issuer, data_dir) = (config.issuer.clone(), config.data_dir.display().to_string());
    let database = config.database_url.as_ref().map(ToString::to_string);
    let traces = config.traces.as_ref().map(Traces::shown);
    let mut signals = server::Signals::receive()?;
    let server = tokio::select! {
        started = server::start(config, Clock::System) => started?,
        _ = signals.next() => {
            tracing::info!("stopped before the start was over");
            return Ok(Served::NotAtAll);
        }
    };
    let metrics = server.metrics_address.map(tracing::field::display);
    tracing::info!(address = %server.address, metrics, traces, issuer, data_dir, database, version = env!("CARGO_PKG_VERSION"), "listening");
    if let Some(banner) = banner {
        print(format_args!("{banner}\n"));
    }
    server.run_until_signal(signals).await?;
    tracing::info!("stopped");
    Ok(Served::ToItsEnd)
}

fn banner(config: &Config) -> String {
    let (url, folder, version) = (&config.issuer, config.data_dir.display(), env!("CARGO_PKG_VERSION"));
    let scheme = if config.tls.is_some() { "https" } else { "http" };
    format!(
        r#"
  Claviger {version}, in dev: any password, {scheme}, readable logs. Not for production.

  URL          {url}
  API          {url}/docs
  data folder  {folder}

  Try it:
    curl {url}/user -H 'Content-Type: application/json' \
      -d '{{"email":"test1@eamil.com","name":"test1","password":"test1"}}'
    curl {url}/login -u test1@eamil.com:test1
"#
    )
}
