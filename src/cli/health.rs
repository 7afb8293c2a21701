//! `claviger health`: asks the server of these settings whether it is ready, for supervisors and containers
//! that have no other client at hand.

use super::{SHORT, commands, configuration, failed, leaf, print, with_settings};
use crate::base::time::Clock;
use crate::doctor::{ask_own, within_reach};
use clap::{ArgMatches, Command};
use serde_json::Value;
use std::process::ExitCode;
use tokio::runtime;

/// Over TLS it is known by its certificate.
const TLS: &[&str] = &["tls_cert", "tls_key"];

/// `claviger health`.
pub(super) fn command() -> Command {
    let about = "Ask the running server whether it is ready; it has 3 seconds to answer";
    with_settings(leaf("health", about, "claviger health --listen 127.0.0.1:5000"), &[SHORT, TLS].concat())
        .arg(commands::switch("live", "Ask only whether the process serves at all"))
}

pub(super) fn run(args: &ArgMatches) -> Result<ExitCode, ExitCode> {
    let config = configuration(args)?;
    let address = within_reach(config.listen);
    let path = if args.get_flag("live") { "/health/live" } else { "/health/ready" };
    let runtime = runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let (status, body) = runtime
        .block_on(ask_own(&config, path, &Clock::System))
        .map_err(|error| failed(format!("{address} does not answer: {error}. Does the server run there?")))?;
    let said = said(&body).ok_or_else(|| failed(format!("what answers at {address} is not Claviger")))?;
    if status != 200 {
        return Err(failed(said));
    }
    print(format_args!("{said}\n"));
    Ok(ExitCode::SUCCESS)
}

/// What an answer says: `status` of a good one, `detail` of a problem document.
fn said(body: &[u8]) -> Option<String> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let said = body.get("detail").or_else(|| body.get("status"))?.as_str()?;
    Some(said.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read() {
        assert_eq!(said(br#"{"status":"ready"}"#).as_deref(), Some("ready"));
        assert_eq!(said(br#"{"status":503,"detail":"No keys."}"#).as_deref(), Some("No keys."));
        for other in [&b""[..], b"<html>", b"{}", b"\xff", br#"{"status":200}"#] {
            assert_eq!(said(other), None, "{other:?}");
        }
    }
}
