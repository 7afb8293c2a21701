//! `claviger database copy`: a whole installation from one engine to the other.

use super::progress::Progress;
use super::table::Table;
use super::{WRONG, failed, group, leaf, wrong};
use crate::base::time::Clock;
use crate::db::copy::{Compared, Copying, Location};
use clap::{Arg, ArgMatches, Command};
use std::io::BufRead as _;
use std::process::ExitCode;

const COPY_HELP: &str = "\
Stop all servers first: those of the source, so that nothing changes behind the copy, and those of the target. \
The source is only read. The target must be empty; its tables are made.

A copy that was interrupted goes on where it was when the same command is run again. Until it is finished, no \
server starts on the target. At the end both databases are read and compared, table by table.

The master key is in neither database: bring it along.

Example: claviger database copy --from sqlite:/var/lib/claviger --to postgres://claviger@db.example.org/claviger
Example: printf '%s' \"$DATABASE_URL\" | claviger database copy --from sqlite:/var/lib/claviger --to -";

/// `claviger database`.
pub(super) fn command() -> Command {
    let end = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name("DATABASE").required(true).help(help)
    };
    let copy = leaf("copy", "Copy everything into an empty database, on SQLite or PostgreSQL", "")
        .arg(end(
            "from",
            "sqlite:DIR, postgres://USER:PASSWORD@HOST/DATABASE, or - to read that from standard input",
        ))
        .arg(end("to", "The empty one, written likewise"))
        .after_help(COPY_HELP);
    group("database", "Move an installation to another database")
        .after_help("Example: claviger database copy --from sqlite:DIR --to postgres://…")
        .subcommand(copy)
}

pub(super) fn run(args: &ArgMatches) -> Result<ExitCode, ExitCode> {
    match args.subcommand() {
        Some(("copy", args)) => copy(args),
        _ => Err(ExitCode::from(WRONG)),
    }
}

fn copy(args: &ArgMatches) -> Result<ExitCode, ExitCode> {
    let (from, to) = (location(args, "from")?, location(args, "to")?);
    for end in [&from, &to] {
        if matches!(end, Location::Server(url) if url.is_open_to_others()) {
            eprintln!(
                "warning: others may read along on the way to {end}: add sslmode=verify-full to its URL"
            );
        }
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let compared = runtime.block_on(async {
        // It ends between two transactions; whatever else ends it leaves as much behind.
        tokio::select! {
            biased;
            _ = tokio::signal::ctrl_c() => Err("interrupted. The same command goes on from here".to_owned()),
            done = copied(&from, &to) => done,
        }
    });
    report(&compared.map_err(failed)?, &to)?;
    eprint!("{}", advice(&from, &to));
    Ok(ExitCode::SUCCESS)
}

/// One end. A line of standard input keeps a password out of the list of processes.
fn location(args: &ArgMatches, name: &str) -> Result<Location, ExitCode> {
    let given = args.get_one::<String>(name).map(String::as_str).unwrap_or_default();
    let mut line = String::new();
    if given == "-" {
        std::io::stdin().lock().read_line(&mut line).map_err(failed)?;
    }
    Location::parse(if given == "-" { line.trim() } else { given })
        .map_err(|fault| wrong(format!("--{name}: {fault}")))
}

async fn copied(from: &Location, to: &Location) -> Result<Vec<Compared>, String> {
    let copy = Copying::open(from, to, Clock::System.now()).await.map_err(|error| error.to_string())?;
    if copy.goes_on() {
        eprintln!("an interrupted copy goes on");
    }
    let progress = Progress::new();
    let compared = copy.run(&progress).await;
    drop(progress);
    compared.map_err(|error| format!("{error}. What was copied stays: the same command goes on from there"))
}

/// Prints what the tables came to. Fails if one differs.
fn report(compared: &[Compared], to: &Location) -> Result<(), ExitCode> {
    let mut table = Table::new(&["table", "rows", "digest", "compared"]);
    for Compared { table: name, source, target } in compared {
        let said =
            if source == target { "equal".to_owned() } else { format!("{} rows, {target}", target.rows) };
        table.row([name.clone(), source.rows.to_string(), source.to_string(), said].map(Some));
    }
    table.print(false);
    let differ: Vec<&str> = compared
        .iter()
        .filter(|table| table.source != table.target)
        .map(|table| table.table.as_str())
        .collect();
    if differ.is_empty() {
        return Ok(());
    }
    let empty = match to {
        Location::Folder(_) => "remove the files claviger.db* in its folder",
        Location::Server(_) => "drop the database and make it anew",
    };
    Err(failed(format!(
        "the copy differs from its source in {}: one of them was changed meanwhile. No server will start on the copy. Stop what uses either of them, empty the copy ({empty}) and begin again",
        differ.join(", ")
    )))
}

/// What is left to do.
fn advice(from: &Location, to: &Location) -> String {
    let key = match from {
        Location::Folder(folder) => format!("{}/master.key", folder.display()),
        Location::Server(_) => "master.key from the data folder of the old ones".to_owned(),
    };
    let (folder, start) = match to {
        Location::Folder(folder) => {
            (format!("{}", folder.display()), format!("claviger serve --data-dir {}", folder.display()))
        }
        Location::Server(_) => (
            "the data folder of each".to_owned(),
            "claviger serve --data-dir DIR --database-url …".to_owned(),
        ),
    };
    let bring = match to {
        Location::Folder(folder) if folder.join("master.key").exists() => {
            format!("{folder} has one: see that it is {key}", folder = folder.display())
        }
        _ => format!("before the first start bring {key} into {folder}"),
    };
    let backups = backups(from, to);
    format!(
        "\nAll is copied to {to}.\n\
        1.  The master key is not in the database, and the new servers need the same one:\n    \
        {bring},\n    or set master_key_file or CLAVIGER_MASTER_KEY as the old ones had it.\n\
        2.  Start them, with the same settings otherwise: {start}\n\
        3.  Do not start the old ones again: what happens in one database does not reach the other.\n\
        4.  {backups}\n"
    )
}

/// What becomes of backups, whose settings still name the old database: they would go on, and hold nothing new.
fn backups(from: &Location, to: &Location) -> String {
    let setting = match to {
        Location::Folder(folder) => {
            format!("CLAVIGER_DATA_DIR={}, and take CLAVIGER_DATABASE_URL out,", folder.display())
        }
        Location::Server(_) => "CLAVIGER_DATABASE_URL=postgres://…".to_owned(),
    };
    let old = match from {
        Location::Folder(folder) => format!("{}/claviger.db*", folder.display()),
        Location::Server(_) => "the old database".to_owned(),
    };
    format!(
        "Timers and cron go on with backups of {from} until their settings name the new one:\n    \
        set {setting} in /etc/claviger.env, which the units in contrib/ read, or where cron has it.\n    \
        When a backup of the new one is made and verified, remove {old}, but not the master key."
    )
}
