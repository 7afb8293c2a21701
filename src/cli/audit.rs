//! `claviger audit list|verify`.

use super::offline::read_only;
use super::table::{Table, escaped, escaped_json};
use super::{FAILED, WRONG, configuration, failed, print};
use crate::audit::{self, Entry, Filter, Kind, Page, Verified, flow};
use crate::base::id::AccountId;
use crate::base::time::{Clock, Timestamp, parse_duration};
use crate::config::Config;
use crate::keys;
use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, ArgMatches, value_parser};
use serde::Serialize;
use std::process::ExitCode;
use std::time::Duration;
use uuid::Uuid;

/// Most entries that are read at once.
const PAGE: usize = 1000;

/// How far back to look.
#[derive(Clone, Copy, Debug)]
enum Since {
    Moment(Timestamp),
    Ago(Duration),
}

/// The arguments of `list`.
pub(super) fn list_arguments() -> [Arg; 5] {
    let account = |text: &str| AccountId::parse(text).ok_or("an account's id is a UUID in lower case");
    let since = |text: &str| {
        let since =
            parse_duration(text).map(Since::Ago).or_else(|| Timestamp::parse(text).map(Since::Moment));
        since.ok_or("write it like 24h, 7d or 2026-11-23T12:00:00Z")
    };
    let kinds = PossibleValuesParser::new(Kind::ALL.iter().map(|kind| kind.name()));
    [
        argument("account", "ID", "Only what concerns this account").value_parser(account),
        argument("event", "NAME", "Only events of this name").value_parser(kinds),
        argument("since", "TIME", "Only what happened since then: 24h, 7d or 2026-11-23T12:00:00Z")
            .value_parser(since),
        argument("limit", "COUNT", "At most so many, the newest of them")
            .value_parser(value_parser!(u32))
            .default_value("50"),
        Arg::new("json").long("json").help("One JSON object a line").action(ArgAction::SetTrue),
    ]
}

fn argument(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name(value).help(help)
}

pub(super) fn run(args: &ArgMatches) -> Result<ExitCode, ExitCode> {
    match args.subcommand() {
        Some(("list", args)) => list(args),
        Some(("verify", args)) => verify(args),
        _ => Err(ExitCode::from(WRONG)),
    }
}

fn list(args: &ArgMatches) -> Result<ExitCode, ExitCode> {
    let config = configuration(args)?;
    let filter = Filter {
        account: args.get_one::<AccountId>("account").copied(),
        event: args.get_one::<String>("event").and_then(|name| Kind::from_name(name)),
        since: args.get_one::<Since>("since").map(|since| match since {
            Since::Moment(moment) => *moment,
            Since::Ago(duration) => Clock::System.now().minus(*duration),
        }),
    };
    let limit = args.get_one::<u32>("limit").copied().unwrap_or_default();
    let entries = read(&config, filter, usize::try_from(limit).unwrap_or(usize::MAX)).map_err(failed)?;
    if args.get_flag("json") {
        for entry in &entries {
            let line = serde_json::to_string(&Line::from(entry)).map_err(failed)?;
            print(format_args!("{}\n", escaped_json(&line)));
        }
    } else {
        table(&entries).print(false);
    }
    Ok(ExitCode::SUCCESS)
}

fn read(config: &Config, filter: Filter, limit: usize) -> Result<Vec<Entry>, String> {
    let (db, runtime) = read_only(config)?;
    let mut entries: Vec<Entry> = Vec::new();
    while entries.len() < limit {
        let before: Option<Uuid> = entries.last().map(|entry| entry.id);
        let page = Page { before, limit: PAGE.min(limit - entries.len()) };
        let more = runtime.block_on(flow::list(&db, filter, page)).map_err(|error| error.to_string())?;
        let is_last = more.len() < page.limit;
        entries.extend(more);
        if is_last {
            break;
        }
    }
    Ok(entries)
}

fn verify(args: &ArgMatches) -> Result<ExitCode, ExitCode> {
    let config = configuration(args)?;
    let key = audit::key(&keys::master::obtain(&config.master_key, false).map_err(failed)?);
    let (db, runtime) = read_only(&config).map_err(failed)?;
    let Verified { events, unsealed, broken } = runtime.block_on(flow::verify(&db, &key)).map_err(failed)?;
    let counted = if events == 1 { "1 event".to_owned() } else { format!("{events} events") };
    match broken {
        None => {
            print(format_args!("{counted}, chain whole, {unsealed} not sealed yet\n"));
            Ok(ExitCode::SUCCESS)
        }
        Some(broken) => {
            print(format_args!("{}. Whole before that: {counted}\n", escaped(&broken.to_string())));
            Err(ExitCode::from(FAILED))
        }
    }
}

/// What `--json` shows of an entry.
#[derive(Serialize)]
struct Line<'a> {
    at: String,
    event: &'a str,
    outcome: &'a str,
    actor: Option<&'a str>,
    account: Option<&'a str>,
    session: Option<&'a str>,
    address: Option<&'a str>,
    detail: Option<&'a str>,
    request_id: String,
    id: String,
    place: Option<i64>,
    erased: bool,
}

impl<'a> From<&'a Entry> for Line<'a> {
    fn from(entry: &'a Entry) -> Self {
        let personal = entry.personal.as_ref();
        Self {
            at: entry.at.to_string(),
            event: &entry.event,
            outcome: &entry.outcome,
            actor: personal.map(|personal| personal.actor.as_str()),
            account: personal.and_then(|personal| personal.account.as_deref()),
            session: personal.and_then(|personal| personal.session.as_deref()),
            address: personal.and_then(|personal| personal.address.as_deref()),
            detail: entry.detail.as_deref(),
            request_id: entry.request_id.to_string(),
            id: entry.id.to_string(),
            place: entry.place,
            erased: personal.is_none(),
        }
    }
}

/// The entries in columns.
fn table(entries: &[Entry]) -> Table {
    let mut table = Table::new(&["time", "event", "outcome", "actor", "account", "address", "detail"]);
    for entry in entries {
        let Line { at, event, outcome, actor, account, address, detail, .. } = Line::from(entry);
        let actor = actor.unwrap_or("(erased)");
        table.row(
            [Some(at.as_str()), Some(event), Some(outcome), Some(actor), account, address, detail]
                .map(|cell| cell.map(str::to_owned)),
        );
    }
    table
}
