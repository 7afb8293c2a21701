//! Where the passphrase, the recipients and the identities of backups come from. Never from a flag: others can read
//! a command line.

use crate::backup::sealed::{Key, Lock, Sealed};
use crate::cli::ask::{ask, hidden};
use crate::cli::{failed, secret, wrong};
use crate::config::load;
use clap::ArgMatches;
use secrecy::{ExposeSecret as _, SecretString};
use std::fmt::Display;
use std::io::{self, IsTerminal as _, Read};
use std::path::PathBuf;
use std::process::ExitCode;

/// What a new backup is sealed with.
pub(super) fn lock(args: &ArgMatches) -> Result<Lock, ExitCode> {
    let recipients: Vec<&String> = args.get_many("recipient").into_iter().flatten().collect();
    if !recipients.is_empty() {
        return Lock::recipients(recipients).map_err(|why| wrong(format!("--recipient: {why}")));
    }
    if let Some(passphrase) = given(args)? {
        return Lock::passphrase(passphrase).map_err(wrong);
    }
    let typed = typed("Passphrase: ")?;
    let again = self::typed("The same again: ")?;
    if typed.expose_secret() != again.expose_secret() {
        return Err(failed("the two differ, and nothing was done"));
    }
    Lock::passphrase(typed).map_err(wrong)
}

/// What opens a backup.
pub(super) fn key<R: Read>(args: &ArgMatches, sealed: &Sealed<R>) -> Result<Key, ExitCode> {
    let identities = identities(args)?;
    if sealed.needs_passphrase() {
        let given = given(args)?;
        if given.is_none() && identities.is_some() {
            return Err(wrong(
                "it is sealed with a passphrase: leave --identity out, and name --passphrase-file",
            ));
        }
        return given.map_or_else(|| typed("Passphrase: "), Ok).map(Key::Passphrase);
    }
    identities.ok_or_else(|| {
        wrong("it is sealed for recipients. Name the file with the identity of one: --identity FILE")
    })
}

/// The identities that are named.
pub(super) fn identities(args: &ArgMatches) -> Result<Option<Key>, ExitCode> {
    let Some(path) = args.get_one::<PathBuf>("identity") else { return Ok(None) };
    let named = |why: &dyn Display| wrong(format!("--identity {}: {why}", path.display()));
    let text = secret::read(path).map_err(|error| named(&error))?;
    Key::identities(&text).map(Some).map_err(|why| named(&why))
}

/// The passphrase of the file or the variable.
fn given(args: &ArgMatches) -> Result<Option<SecretString>, ExitCode> {
    if let Some(path) = args.get_one::<PathBuf>("passphrase-file") {
        let text = secret::read(path)
            .map_err(|error| wrong(format!("--passphrase-file {}: {error}", path.display())))?;
        let first = text.lines().next().unwrap_or_default();
        return Ok(Some(SecretString::from(first)));
    }
    let variable = load::environment().into_iter().find(|(name, _)| name == load::PASSPHRASE_VARIABLE);
    Ok(variable.map(|(_, passphrase)| SecretString::from(passphrase)))
}

fn typed(question: &str) -> Result<SecretString, ExitCode> {
    if !io::stdin().is_terminal() {
        return Err(wrong(
            "there is no passphrase. Name a file that holds it with --passphrase-file, or set CLAVIGER_BACKUP_PASSPHRASE",
        ));
    }
    hidden(|| ask(question)).map(SecretString::from)
}
