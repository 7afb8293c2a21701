//! `claviger token inspect`.

use super::{FAILED, WRONG, configuration, failed, key};
use crate::base::time::{Clock, Timestamp, format_duration};
use crate::config::Config;
use crate::keys;
use clap::ArgMatches;
use claviger_crypto::from_base64url;
use claviger_crypto::jwt::{AccessToken, Expected};
use serde_json::Value;
use std::io::Read as _;
use std::process::ExitCode;
use std::time::Duration;

pub(super) fn run(args: &ArgMatches) -> ExitCode {
    let Some(("inspect", args)) = args.subcommand() else { return ExitCode::from(WRONG) };
    let config = match configuration(args) {
        Ok(config) => config,
        Err(code) => return code,
    };
    let token = match args.get_one::<String>("token").map(String::as_str) {
        Some("-") => {
            let mut text = String::new();
            if let Err(error) = std::io::stdin().take(1 << 20).read_to_string(&mut text) {
                return failed(error);
            }
            text
        }
        token => token.unwrap_or_default().to_owned(),
    };
    let token = token.trim();
    let mut parts = token.split('.');
    println!("header  {}", shown(parts.next()));
    println!("claims  {}", shown(parts.next()));
    let now = Clock::System.now();
    match verdict(token, &config, now) {
        Ok(claims) => {
            let left = Duration::from_secs(u64::try_from(claims.exp - now.as_seconds()).unwrap_or(0));
            let until = Timestamp::from_seconds(claims.exp);
            println!("It verifies, until {until} (another {}).", format_duration(left));
            ExitCode::SUCCESS
        }
        Err(why) => {
            println!("It does not verify: {why}.");
            ExitCode::from(FAILED)
        }
    }
}

fn verdict(token: &str, config: &Config, now: Timestamp) -> Result<AccessToken, String> {
    let published: Vec<_> = key::stored(&config.data_dir)?.into_iter().map(|key| key.public).collect();
    let keys = keys::verifying_keys(&published).map_err(|error| error.to_string())?;
    let expected = Expected { issuer: &config.issuer, audience: &config.audience, now: now.as_seconds() };
    AccessToken::verify(token, expected, |kid| keys.get(kid).cloned()).map_err(|error| error.to_string())
}

/// One part of a token as JSON for people; whatever it is, nothing of it is trusted.
fn shown(part: Option<&str>) -> String {
    let json = part.and_then(from_base64url).and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
    json.and_then(|json| serde_json::to_string_pretty(&json).ok())
        .unwrap_or_else(|| "(cannot be read)".into())
}
