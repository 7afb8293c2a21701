//! `claviger api-key`.

use super::offline::Offline;
use super::table::Table;
use super::{WRONG, failed, print};
use crate::api_keys::{KeyScope, flow};
use crate::base::text;
use crate::base::time::parse_duration;
use clap::ArgMatches;
use std::process::ExitCode;
use uuid::Uuid;

/// The longest life of a key, in seconds; one without an end has none.
const MAX_LIFE: u64 = 36_500 * 86_400;

/// The longest name, in characters.
const MAX_NAME: usize = 100;

pub(super) fn run(args: &ArgMatches) -> Result<ExitCode, ExitCode> {
    match args.subcommand() {
        Some(("create", args)) => create(args),
        Some(("list", args)) => list(args),
        Some(("revoke", args)) => revoke(args),
        _ => Err(ExitCode::from(WRONG)),
    }
}

fn create(args: &ArgMatches) -> Result<ExitCode, ExitCode> {
    let name = args.get_one::<String>("name").map(|name| text::shown(name, MAX_NAME)).unwrap_or_default();
    let words = args.get_one::<String>("scope").map(String::as_str).unwrap_or_default();
    if name.is_empty() {
        return Err(failed("give the key a name, such as that of the service it is for"));
    }
    let scopes: Option<Vec<KeyScope>> =
        words.split(',').map(|word| KeyScope::from_name(word.trim())).collect();
    let known = KeyScope::ALL.map(KeyScope::name).join(", ");
    let scopes = scopes.ok_or_else(|| failed(format!("the scopes are: {known}")))?;
    let life = args.get_one::<String>("expires").map(|text| {
        parse_duration(text)
            .filter(|life| (1..=MAX_LIFE).contains(&life.as_secs()))
            .ok_or_else(|| failed("write --expires like 90d or 12h, at most 36500d"))
    });
    let life = life.transpose()?;
    let offline = Offline::open(args)?;
    let (stored, key) = offline.change(flow::create(&offline.cx, name, scopes, life))?;
    print(format_args!("id   {}\nkey  {}\n\nThe key is shown this once.\n", stored.id, *key.to_text()));
    Ok(ExitCode::SUCCESS)
}

fn list(args: &ArgMatches) -> Result<ExitCode, ExitCode> {
    let offline = Offline::open(args)?;
    let mut table = Table::new(&["id", "name", "scope", "created_at", "expires_at", "last_used_at"]);
    for key in offline.run(flow::list(&offline.cx))? {
        let scope = key.scopes.iter().map(|scope| scope.name()).collect::<Vec<_>>().join(",");
        table.row([
            Some(key.id.to_string()),
            Some(key.name),
            Some(scope),
            Some(key.created_at.to_string()),
            key.expires_at.map(|at| at.to_string()),
            key.last_used_at.map(|at| at.to_string()),
        ]);
    }
    table.print(args.get_flag("json"));
    Ok(ExitCode::SUCCESS)
}

fn revoke(args: &ArgMatches) -> Result<ExitCode, ExitCode> {
    let id = args.get_one::<String>("id").and_then(|id| Uuid::try_parse(id).ok());
    let id = id.ok_or_else(|| failed("this is no key's id; see claviger api-key list"))?;
    let offline = Offline::open(args)?;
    offline.change(flow::revoke(&offline.cx, id))?;
    print(format_args!("{id} is taken back.\n"));
    Ok(ExitCode::SUCCESS)
}
