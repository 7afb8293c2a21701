//! `claviger import`: accounts from another system, with the hashes of their passwords.

use super::lines::Lines;
use super::offline::Offline;
use super::progress::Reading;
use super::{REFUSED, SHORT, failed, leaf, print, with_settings};
use crate::accounts::Made;
use crate::app::Cx;
use crate::base::random;
use crate::credentials::flow;
use crate::credentials::import::{ImportedAccount, Refused, Trial};
use crate::db;
use clap::{Arg, ArgAction, ArgMatches, Command};
use std::convert::Infallible;
use std::fmt::Display;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write as _};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

/// Lines in one transaction: on SQLite nobody else writes meanwhile.
const BATCH: usize = 2000;

/// How long SQLite is left to others then, beside the time of its checkpoint. It has no queue: who waits for it
/// looks again after 100 ms at the latest.
const REST: Duration = Duration::from_millis(50);

/// How often a batch is tried while the database cannot take it, and the pause between.
const TRIES: u32 = 10;
const PAUSE: Duration = Duration::from_secs(1);

/// Refused lines that are shown; there may be a million.
const SHOWN: u64 = 100;

const FORM: &str = r#"One account a line, as a JSON object:

  {"email":"alice@example.org","name":"Alice","password_hash":"$argon2id$v=19$m=65536,t=3,p=4$…"}

  email, name    by the rules of a sign-up
  password_hash  Argon2id as a PHC string; hashed anew with the settings of here at the first login
  public_id      optional: the UUID that services know the account by, in lower case
  created_at     optional: RFC 3339, such as 2023-11-14T22:13:20Z

"#;

const RULES: &str = "\
Other members are ignored, and so are blank lines; a line has at most 64 kB. One that is refused does not stop the \
others: it is told on standard error with its number (the first 100 of them; --report has all).

The command works beside a running server, and may be run again, also after it was interrupted: what was imported \
before is known again and counted as already there. A line that was changed since is refused then, and so is one whose \
e-mail address somebody has signed up with. An account that was deleted since is made again.

Exit codes: 0 no line was refused, 1 it failed or stopped, 2 wrong usage or settings, 3 lines were refused.

Example: claviger import users.jsonl --dry-run
Example: claviger import users.jsonl --report refused.jsonl";

/// `claviger import`.
pub(super) fn command() -> Command {
    let about = "Make accounts from a file, with the hashes of their passwords";
    with_settings(leaf("import", about, ""), SHORT)
        .arg(Arg::new("file").value_name("FILE").required(true).help("JSON Lines; - reads standard input"))
        .arg(
            Arg::new("report").long("report").value_name("FILE").help(
                "Write all refused lines to this new file, one JSON object with `line` and `why` for each",
            ),
        )
        .arg(
            Arg::new("dry-run")
                .long("dry-run")
                .action(ArgAction::SetTrue)
                .help("Say what would be refused, and write nothing to the database"),
        )
        .after_help(format!("{FORM}{RULES}"))
}

pub(super) fn run(args: &ArgMatches) -> Result<ExitCode, ExitCode> {
    let name = args.get_one::<String>("file").map(String::as_str).unwrap_or_default();
    let named = |error: io::Error| failed(format!("{name}: {error}"));
    let (input, length) = open(name).map_err(named)?;
    let offline = Offline::open(args)?;
    let report = args.get_one::<String>("report").map(|name| Report::create(name)).transpose()?;
    let is_trial = args.get_flag("dry-run");
    let mut import = Import {
        cx: &offline.cx,
        lines: Lines::new(input),
        trial: is_trial.then(Trial::default),
        refusals: Refusals { count: 0, report, reading: Reading::new(length) },
        imported: 0,
        already_there: 0,
    };
    let running = async { Ok::<_, Infallible>(import.run_and_tell().await) };
    let ended = if is_trial { offline.run(running)? } else { offline.change(running)? };
    match ended {
        Err(why) if is_trial => Err(failed(why)),
        Err(why) => {
            Err(failed(format!("{why}. What was imported stays: the same command goes on from there")))
        }
        Ok(()) if import.refusals.count > 0 => Err(ExitCode::from(REFUSED)),
        Ok(()) => Ok(ExitCode::SUCCESS),
    }
}

/// The file, and its length where it has one.
fn open(name: &str) -> io::Result<(Box<dyn BufRead>, Option<u64>)> {
    if name == "-" {
        return Ok((Box::new(io::stdin().lock()), None));
    }
    let file = File::open(name)?;
    let length = file.metadata().ok().filter(std::fs::Metadata::is_file).map(|data| data.len());
    Ok((Box::new(BufReader::with_capacity(1 << 16, file)), length))
}

/// An import under way.
struct Import<'a> {
    cx: &'a Cx,
    lines: Lines<Box<dyn BufRead>>,
    /// What a dry run remembers.
    trial: Option<Trial>,
    refusals: Refusals,
    imported: u64,
    already_there: u64,
}

/// Lines that were read.
#[derive(Default)]
struct Batch {
    accounts: Vec<ImportedAccount>,
    /// The numbers of their lines.
    numbers: Vec<u64>,
    refused: Vec<(u64, Refused)>,
}

impl Import<'_> {
    async fn run_and_tell(&mut self) -> Result<(), String> {
        let ended = self.run().await;
        let told = self.refusals.end();
        self.sum_up();
        ended.and(told)
    }

    async fn run(&mut self) -> Result<(), String> {
        let mut batch = read(self.cx, &mut self.lines)?;
        while !batch.numbers.is_empty() || !batch.refused.is_empty() {
            let Batch { accounts, numbers, refused } = batch;
            self.refusals.reading.at(self.lines.bytes(), self.lines.number());
            // While one batch is written, the next is read. The write is polled first.
            let (made, next) = tokio::join!(
                biased;
                settle(self.cx, accounts.into(), self.trial.as_mut()),
                async { read(self.cx, &mut self.lines) },
            );
            self.count(&numbers, &made.map_err(|error| error.to_string())?, refused)?;
            batch = next?;
        }
        Ok(())
    }

    fn count(
        &mut self,
        numbers: &[u64],
        made: &[Made],
        mut refused: Vec<(u64, Refused)>,
    ) -> Result<(), String> {
        for (number, made) in numbers.iter().zip(made) {
            match made {
                Made::Now => self.imported += 1,
                Made::Before => self.already_there += 1,
                Made::EmailTaken => refused.push((*number, Refused::EmailTaken)),
                Made::IdTaken => refused.push((*number, Refused::IdTaken)),
            }
        }
        refused.sort_by_key(|(number, _)| *number);
        refused.iter().try_for_each(|(number, why)| self.refusals.add(*number, why))
    }

    fn sum_up(&self) {
        let Self { imported, already_there, refusals: Refusals { count, .. }, .. } = self;
        if self.trial.is_some() {
            print(format_args!(
                "{imported} would be imported, {already_there} are there already, {count} would be refused\n"
            ));
        } else {
            print(format_args!("{imported} imported, {already_there} already there, {count} refused\n"));
        }
    }
}

fn read(cx: &Cx, lines: &mut Lines<Box<dyn BufRead>>) -> Result<Batch, String> {
    let (mut batch, now) = (Batch::default(), cx.app.clock.now());
    while batch.numbers.len() + batch.refused.len() < BATCH
        && let Some((number, line)) = lines.next().map_err(|error| format!("the file: {error}"))?
    {
        match ImportedAccount::parse(line, now, random::bytes()) {
            Ok(account) => {
                batch.accounts.push(account);
                batch.numbers.push(number);
            }
            Err(why) => batch.refused.push((number, why)),
        }
    }
    Ok(batch)
}

/// What becomes of accounts.
async fn settle(
    cx: &Cx,
    accounts: Arc<[ImportedAccount]>,
    trial: Option<&mut Trial>,
) -> Result<Vec<Made>, db::Error> {
    let Some(trial) = trial else { return write(cx, accounts).await };
    let found = flow::try_import(cx, accounts.clone()).await?;
    Ok(accounts.iter().zip(found).map(|(account, made)| trial.judge(account, made)).collect())
}

/// Makes accounts. Where the outcome is not known they are known again at the next try.
async fn write(cx: &Cx, accounts: Arc<[ImportedAccount]>) -> Result<Vec<Made>, db::Error> {
    let mut tries = 0;
    loop {
        tries += 1;
        match flow::import(cx, accounts.clone()).await {
            Err(db::Error::Unavailable(_) | db::Error::OutcomeUnknown(_)) if tries < TRIES => {
                tokio::time::sleep(PAUSE).await;
            }
            Ok(made) if !cx.app.db.is_remote() && made.contains(&Made::Now) => {
                tokio::time::sleep(REST).await;
                return Ok(made);
            }
            ended => return ended,
        }
    }
}

/// The lines that were refused.
struct Refusals {
    count: u64,
    report: Option<Report>,
    reading: Reading,
}

impl Refusals {
    fn add(&mut self, number: u64, why: &Refused) -> Result<(), String> {
        self.count += 1;
        if self.count <= SHOWN {
            self.reading.say(format_args!("line {number}: {why}"));
        }
        self.report.as_mut().map_or(Ok(()), |report| report.add(number, why))
    }

    fn end(&mut self) -> Result<(), String> {
        self.reading.end();
        if self.count > SHOWN {
            eprintln!("and {} more", self.count - SHOWN);
        }
        self.report.as_mut().map_or(Ok(()), Report::end)
    }
}

/// The file with all of them.
struct Report {
    name: String,
    file: BufWriter<File>,
}

impl Report {
    /// A new one: a file that is there may be the one that is imported.
    fn create(name: &str) -> Result<Self, ExitCode> {
        let file = File::create_new(name).map_err(|error| failed(format!("--report {name}: {error}")))?;
        Ok(Self { name: name.to_owned(), file: BufWriter::new(file) })
    }

    fn add(&mut self, number: u64, why: &Refused) -> Result<(), String> {
        let line = serde_json::json!({"line": number, "why": why.to_string()});
        writeln!(self.file, "{line}").map_err(|error| self.failed(&error))
    }

    fn end(&mut self) -> Result<(), String> {
        self.file.flush().map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &dyn Display) -> String {
        format!("--report {}: {error}", self.name)
    }
}
