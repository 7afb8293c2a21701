//! `claviger session`.

use super::offline::Offline;
use super::table::Table;
use super::{WRONG, failed, print};
use crate::audit::Kind;
use crate::base::id::SessionId;
use crate::sessions::Which;
use crate::{accounts, admin, sessions};
use clap::ArgMatches;
use std::process::ExitCode;

/// Sessions read at once while listing.
const PAGE: u32 = 200;

pub(super) fn run(args: &ArgMatches) -> Result<ExitCode, ExitCode> {
    match args.subcommand() {
        Some(("list", args)) => list(args),
        Some(("revoke", args)) => revoke(args),
        _ => Err(ExitCode::from(WRONG)),
    }
}

fn list(args: &ArgMatches) -> Result<ExitCode, ExitCode> {
    let offline = Offline::open(args)?;
    let wanted = args.get_one::<String>("user").map(String::as_str).unwrap_or_default();
    let account = offline.run(accounts::flow::find(&offline.cx, wanted))?;
    let mut table = Table::new(&["id", "created_at", "last_used_at", "expires_at", "address", "user_agent"]);
    let mut before = None;
    loop {
        let page = offline.run(sessions::flow::list(&offline.cx, account.id, before, PAGE))?;
        let Some(last) = page.last() else { break };
        before = Some(last.id);
        for session in page {
            table.row([
                Some(session.id.to_string()),
                Some(session.created_at.to_string()),
                Some(session.last_used_at.to_string()),
                Some(session.expires_at.to_string()),
                session.address,
                session.user_agent,
            ]);
        }
    }
    table.print(args.get_flag("json"));
    Ok(ExitCode::SUCCESS)
}

fn revoke(args: &ArgMatches) -> Result<ExitCode, ExitCode> {
    let offline = Offline::open(args)?;
    if let Some(user) = args.get_one::<String>("user") {
        let account = offline.run(accounts::flow::find(&offline.cx, user))?;
        let ended = sessions::flow::end(&offline.cx, account.id, Which::All, Kind::Revoke);
        let ended = offline.change(ended)?;
        print(format_args!("{ended} sessions were ended.\n"));
        return Ok(ExitCode::SUCCESS);
    }
    let id = args.get_one::<String>("id").map(String::as_str).unwrap_or_default();
    let id =
        SessionId::parse(id).ok_or_else(|| failed("this is no session's id; see claviger session list"))?;
    offline.change(admin::flow::end_session(&offline.cx, id))?;
    print(format_args!("{id} was ended.\n"));
    Ok(ExitCode::SUCCESS)
}
