//! How the operators' commands are written.

use super::{SHORT, group, leaf, with_settings};
use clap::{Arg, ArgAction, Command, value_parser};

/// What a new password depends on.
const PASSWORDS: &[&str] =
    &["password_min_length", "hash_memory_kib", "hash_passes", "hash_lanes", "hash_engine"];

/// `claviger user`.
pub(super) fn user() -> Command {
    group("user", "Look after accounts")
        .after_help("Example: claviger user list")
        .subcommand(
            operator(
                "list",
                "List the accounts in the order of their ids: oldest first, but for imported ids",
                "claviger user list --limit 20 --json",
            )
            .arg(json())
            .arg(limit("How many; 100 where it is missing"))
            .arg(text(
                "after",
                "ID",
                "Those after this one, as the last line of the page before",
            )),
        )
        .subcommand(
            operator("show", "Show an account", "claviger user show alice@example.org")
                .arg(who())
                .arg(json()),
        )
        .subcommand(
            operator(
                "disable",
                "Refuse an account on every path, and end its sessions",
                "claviger user disable alice@example.org",
            )
            .arg(who()),
        )
        .subcommand(
            operator("enable", "Let a disabled account in again", "claviger user enable alice@example.org")
                .arg(who()),
        )
        .subcommand(
            operator(
                "delete",
                "Delete an account and its personal data, for ever",
                "claviger user delete alice@example.org",
            )
            .arg(who())
            .arg(switch("yes", "Do not ask")),
        )
        .subcommand(
            with_settings(
                leaf(
                    "set-password",
                    "Set the password read from standard input, and end the account's sessions",
                    "claviger user set-password alice@example.org < new-password",
                ),
                &[SHORT, PASSWORDS].concat(),
            )
            .arg(who())
            .arg(switch("keep-sessions", "Let the sessions go on")),
        )
}

/// `claviger session`.
pub(super) fn session() -> Command {
    group("session", "Look after sessions")
        .after_help("Example: claviger session list alice@example.org")
        .subcommand(
            operator(
                "list",
                "List the live sessions of an account, newest first",
                "claviger session list alice@example.org",
            )
            .arg(who())
            .arg(json()),
        )
        .subcommand(
            operator(
                "revoke",
                "End a session, or all of an account",
                "claviger session revoke --user alice@example.org",
            )
            .arg(
                Arg::new("id").value_name("SESSION").help("The session's id").required_unless_present("user"),
            )
            .arg(
                Arg::new("user")
                    .long("user")
                    .value_name("USER")
                    .conflicts_with("id")
                    .help("All sessions of this account, by its e-mail address or id"),
            ),
        )
}

/// `claviger api-key`.
pub(super) fn api_key() -> Command {
    let revoke = "Take a key back: it is refused at once";
    group("api-key", "Look after the API keys of services")
        .after_help("Example: claviger api-key create --name billing --scope introspect")
        .subcommand(
            operator(
                "create",
                "Make a key and show it once",
                "claviger api-key create --name billing --scope introspect,revoke --expires 90d",
            )
            .arg(text("name", "TEXT", "What it is for").required(true))
            .arg(text("scope", "SCOPES", "What it allows: introspect, revoke").required(true))
            .arg(text(
                "expires",
                "TIME",
                "How long it is good, such as 90d; for ever where it is missing",
            )),
        )
        .subcommand(operator("list", "List the keys", "claviger api-key list").arg(json()))
        .subcommand(
            operator("revoke", revoke, "claviger api-key revoke 019ab3c4-…")
                .arg(Arg::new("id").value_name("KEY").required(true).help("The key's id")),
        )
}

fn operator(name: &'static str, about: &'static str, example: &str) -> Command {
    with_settings(leaf(name, about, example), SHORT)
}

fn who() -> Arg {
    Arg::new("user").value_name("USER").required(true).help("The account, by its e-mail address or id")
}

fn json() -> Arg {
    switch("json", "One JSON object a line")
}

fn switch(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
}

fn limit(help: &'static str) -> Arg {
    Arg::new("limit").long("limit").value_name("COUNT").value_parser(value_parser!(u32)).help(help)
}

fn text(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name(value).help(help)
}
