//! `claviger token inspect`.

use super::{FAILED, WRONG, configuration, failed, key, print};
use crate::base::time::{Clock, Timestamp};
use crate::config::Config;
use crate::keys::{self, StoredKey};
use clap::ArgMatches;
use claviger_crypto::from_base64url;
use claviger_crypto::jwt::{AccessToken, Expected};
use serde_json::Value;
use std::io::Read as _;
use std::process::ExitCode;

pub(super) fn run(args: &ArgMatches) -> Result<ExitCode, ExitCode> {
    let Some(("inspect", args)) = args.subcommand() else { return Err(ExitCode::from(WRONG)) };
    let config = configuration(args)?;
    let token = match args.get_one::<String>("token").map(String::as_str) {
        Some("-") => {
            let mut text = String::new();
            std::io::stdin().take(1 << 20).read_to_string(&mut text).map_err(failed)?;
            text
        }
        token => token.unwrap_or_default().to_owned(),
    };
    let token = token.trim();
    let mut parts = token.split('.');
    print(format_args!("header  {}\n", shown(parts.next())));
    print(format_args!("claims  {}\n", shown(parts.next())));
    let now = Clock::System.now();
    match verdict(token, &config, now) {
        Ok(claims) => {
            let left = claims.exp - now.as_seconds();
            let until = Timestamp::from_seconds(claims.exp);
            print(format_args!("It verifies, until {until} (another {}).\n", in_words(left)));
            Ok(ExitCode::SUCCESS)
        }
        Err(why) => {
            print(format_args!("It does not verify: {why}.\n"));
            Err(ExitCode::from(FAILED))
        }
    }
}

fn verdict(token: &str, config: &Config, now: Timestamp) -> Result<AccessToken, String> {
    let stored = key::stored(config)?.into_iter();
    let published: Vec<_> = stored.filter(StoredKey::is_published).map(|key| key.public).collect();
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

/// A time in its largest unit, rounded down.
fn in_words(seconds: i64) -> String {
    let (count, unit) = match seconds {
        3600.. => (seconds / 3600, "hour"),
        60.. => (seconds / 60, "minute"),
        _ => (seconds, "second"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::in_words;

    #[test]
    fn words() {
        let of = [
            (0, "0 seconds"),
            (1, "1 second"),
            (59, "59 seconds"),
            (60, "1 minute"),
            (3599, "59 minutes"),
            (7200, "2 hours"),
        ];
        for (seconds, words) in of {
            assert_eq!(in_words(seconds), words);
        }
    }
}
