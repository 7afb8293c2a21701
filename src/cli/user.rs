//! `claviger user`.

use super::ask::{ask, hidden};
use super::offline::Offline;
use super::table::Table;
use super::{WRONG, failed, print};
use crate::accounts::{self, Account, Name};
use crate::base::email::Email;
use crate::base::id::AccountId;
use crate::credentials::flow::Sessions;
use crate::credentials::{self, Password, Policy};
use crate::sessions::Which;
use crate::{admin, sessions};
use clap::ArgMatches;
use secrecy::SecretString;
use std::process::ExitCode;

/// Accounts listed where no number is named.
const PAGE: u32 = 100;

pub(super) fn run(args: &ArgMatches) -> Result<ExitCode, ExitCode> {
    let Some((name, args)) = args.subcommand() else { return Err(ExitCode::from(WRONG)) };
    let offline = Offline::open(args)?;
    if name == "list" {
        return list(&offline, args);
    }
    let wanted = args.get_one::<String>("user").map(String::as_str).unwrap_or_default();
    let account = offline.run(accounts::flow::find(&offline.cx, wanted))?;
    match name {
        "show" => show(&offline, &account, args.get_flag("json")),
        "disable" => disable(&offline, &account),
        "enable" => enable(&offline, &account),
        "delete" => delete(&offline, &account, args.get_flag("yes")),
        "set-password" => set_password(&offline, &account, args.get_flag("keep-sessions")),
        _ => Err(ExitCode::from(WRONG)),
    }
}

fn list(offline: &Offline, args: &ArgMatches) -> Result<ExitCode, ExitCode> {
    let after = args.get_one::<String>("after").map(|id| {
        AccountId::parse(id).ok_or_else(|| failed("--after takes an account's id, as the list shows it"))
    });
    let limit = args.get_one::<u32>("limit").copied().unwrap_or(PAGE);
    let page = offline.run(accounts::flow::page(&offline.cx, after.transpose()?, limit))?;
    let mut table = table();
    page.iter().for_each(|account| add(&mut table, account));
    table.print(args.get_flag("json"));
    Ok(ExitCode::SUCCESS)
}

fn table() -> Table {
    Table::new(&["id", "email", "name", "state", "created_at"])
}

fn add(table: &mut Table, account: &Account) {
    let state = if account.disabled_at.is_some() { "disabled" } else { "active" };
    table.row(
        [
            account.id.to_string(),
            account.email.clone(),
            account.name.clone(),
            state.to_owned(),
            account.created_at.to_string(),
        ]
        .map(Some),
    );
}

fn show(offline: &Offline, account: &Account, json: bool) -> Result<ExitCode, ExitCode> {
    let live = offline.run(sessions::flow::count(&offline.cx, account.id))?;
    let mut table = Table::new(&["id", "email", "name", "created_at", "disabled_at", "sessions"]);
    table.row([
        Some(account.id.to_string()),
        Some(account.email.clone()),
        Some(account.name.clone()),
        Some(account.created_at.to_string()),
        account.disabled_at.map(|at| at.to_string()),
        Some(live.to_string()),
    ]);
    table.print(json);
    Ok(ExitCode::SUCCESS)
}

fn disable(offline: &Offline, account: &Account) -> Result<ExitCode, ExitCode> {
    let ended = offline.change(admin::flow::disable(&offline.cx, account.id))?;
    print(format_args!("{} is disabled; {ended} sessions were ended.\n", account.id));
    Ok(ExitCode::SUCCESS)
}

fn enable(offline: &Offline, account: &Account) -> Result<ExitCode, ExitCode> {
    offline.change(admin::flow::enable(&offline.cx, account.id))?;
    print(format_args!("{} is enabled.\n", account.id));
    Ok(ExitCode::SUCCESS)
}

fn delete(offline: &Offline, account: &Account, yes: bool) -> Result<ExitCode, ExitCode> {
    if !yes {
        let question =
            format!("Delete {} ({}) and all its data for ever? Type yes: ", account.id, account.email);
        if ask(&question)? != "yes" {
            return Err(failed("nothing was deleted"));
        }
    }
    offline.change(credentials::flow::delete_account(&offline.cx, account.id))?;
    print(format_args!("{} is deleted.\n", account.id));
    Ok(ExitCode::SUCCESS)
}

fn set_password(offline: &Offline, account: &Account, keep: bool) -> Result<ExitCode, ExitCode> {
    // From standard input alone: other users can read a command line.
    let typed = SecretString::from(hidden(|| ask("New password: "))?);
    let (email, name) = (Email::parse(&account.email).ok(), Name::parse(&account.name).ok());
    let policy = Policy::of(&offline.cx.app.config);
    let password = Password::new(&typed, &policy, email.as_ref(), name.as_ref())
        .map_err(|why| failed(format!("the password {why}")))?;
    let sessions = if keep { Sessions::Keep } else { Sessions::End(Which::All) };
    offline.change(credentials::flow::set_password(&offline.cx, account.id, password, sessions))?;
    print(format_args!("{} has a new password.\n", account.id));
    Ok(ExitCode::SUCCESS)
}
