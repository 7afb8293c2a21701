//! `claviger import`: accounts from another system, with the hashes of their passwords.

mod rows;
mod source;

use super::offline::Offline;
use super::progress::Reading;
use super::{REFUSED, SHORT, failed, leaf, print, with_settings, wrong};
use crate::accounts::Made;
use crate::app::Cx;
use crate::base::random;
use crate::credentials::flow;
use crate::credentials::import::{Format, HashConfig, ImportedAccount, Refused, Role, Trial, Wanted};
use crate::db;
use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, ArgMatches, Command};
use source::{Given, Number, Source};
use std::convert::Infallible;
use std::fmt::Display;
use std::fs::File;
use std::io::{BufRead as _, BufReader, BufWriter, ErrorKind, Read as _, Write as _};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

/// Accounts in one transaction: on SQLite nobody else writes meanwhile.
const BATCH: usize = 2000;

/// How long SQLite is left to others then, beside the time of its checkpoint. It has no queue: who waits for it
/// looks again after 100 ms at the latest.
const REST: Duration = Duration::from_millis(50);

/// How often a batch is tried while the database cannot take it, and the pause between.
const TRIES: u32 = 10;
const PAUSE: Duration = Duration::from_secs(1);

/// Refused accounts that are shown; there may be a million.
const SHOWN: u64 = 100;

const FORM: &str = r#"Formats, guessed by how the file begins where --from does not say:

  jsonl     one account a line, as a JSON object (below)
  csv       the same as columns, named in the first line
  flask     the SQLite file of a Flask server or the like; --table and --column correct what is found
  keycloak  the export of a realm with its users
  auth0     the export of password hashes, or a file of the bulk import
  firebase  what `firebase auth:export` writes; its passwords need --firebase-hash
  supabase  the rows of auth.users, as CSV or JSON

  {"email":"alice@example.org","name":"Alice","password_hash":"$argon2id$v=19$m=65536,t=3,p=4$…"}

  email, name    by the rules of a sign-up
  password_hash  Argon2, bcrypt, scrypt or PBKDF2, as PHC strings or as Werkzeug, passlib and
                 Django write them; hashed anew with the settings of here at the first login.
                 ! for an account that no password opens
  public_id      optional: the UUID that services know the account by, in lower case
  created_at     optional: RFC 3339, such as 2023-11-14T22:13:20Z
  disabled       optional: true for an account that nobody may log in to

"#;

const RULES: &str = "\
Other members are ignored, and so are blank lines; an account has at most 64 kB. One that is refused does not stop the \
others: it is told on standard error with its line, row or number (the first 100 of them; --report has all). A file \
that is damaged, or cut off within an account, is imported up to there, and the exit code is 1. A CSV file whose last line \
has no end is imported with a warning, since it may be whole. \
docs/import.md tells of each format.

The command works beside a running server, and may be run again, also after it was interrupted: what was imported \
before is known again and counted as already there. An account that was changed since is refused then, and so is one \
whose e-mail address somebody has signed up with. An account that was deleted since is made again.

Exit codes: 0 nothing was refused, 1 it failed or stopped, 2 wrong usage or settings, 3 accounts were refused.

Example: claviger import users.jsonl --dry-run
Example: claviger import users.jsonl --report refused.jsonl
Example: claviger import instance/app.db --from flask --table member --column password=secret";

/// `claviger import`.
pub(super) fn command() -> Command {
    let about = "Make accounts from a file, with the hashes of their passwords";
    let option = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).help(help)
    };
    let switch = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
    };
    let report = "Write all that is refused to this new file, one JSON object with `line`, `row` or `record` and `why` for each";
    let column = "What a column of a table or CSV file is: email, name, password, public_id, created_at, disabled or active; with no COLUMN, none is that";
    with_settings(leaf("import", about, ""), SHORT)
        .arg(Arg::new("file").value_name("FILE").required(true).help("The file; - reads standard input"))
        .arg(
            option("from", "FORMAT", "What the file is [default: guessed]")
                .value_parser(PossibleValuesParser::new(Format::ALL.map(Format::name))),
        )
        .arg(option("table", "TABLE", "The table of the accounts in a SQLite file [default: found]"))
        .arg(option("column", "NAME=COLUMN", column).action(ArgAction::Append))
        .arg(option(
            "firebase-hash",
            "FILE",
            "The project's hash parameters, as the Firebase console shows them: hash_config {…}",
        ))
        .arg(switch(
            "keep-without-password",
            "Make accounts without a password too, locked until `claviger user set-password` gives them one",
        ))
        .arg(option("report", "FILE", report))
        .arg(switch("dry-run", "Say what would be refused, and write nothing to the database"))
        .after_help(format!("{FORM}{RULES}"))
}

pub(super) fn run(args: &ArgMatches) -> Result<ExitCode, ExitCode> {
    let name = args.get_one::<String>("file").map(String::as_str).unwrap_or_default();
    let given = given(args)?;
    let wanted = Wanted { keep_without_password: given.keep_without_password };
    let opened = source::open(name).map_err(|error| failed(format!("{name}: {error}")))?;
    let offline = Offline::open(args)?;
    let is_trial = args.get_flag("dry-run");
    let report = args.get_one::<String>("report").map(|name| Report::create(name)).transpose()?;
    let (source, length) = Source::new(name, opened, given).map_err(failed)?;
    let unit = source.unit();
    let mut import = Import {
        cx: &offline.cx,
        source,
        wanted,
        trial: is_trial.then(Trial::default),
        refusals: Refusals { count: 0, report, reading: Reading::new(length, unit), unit },
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

/// How the operator describes the file.
fn given(args: &ArgMatches) -> Result<Given, ExitCode> {
    let text = |name: &str| args.get_one::<String>(name);
    let columns = args.get_many::<String>("column").unwrap_or_default().map(|given| {
        let (role, column) = given.split_once('=').unwrap_or((given, ""));
        Role::named(role).filter(|_| given.contains('=')).map(|role| (role, column.to_owned())).ok_or_else(
            || {
                let names: Vec<&str> = Role::ALL.map(Role::key).to_vec();
                wrong(format!(
                    "--column {given}: it takes NAME=COLUMN, with one of {} as NAME",
                    names.join(", ")
                ))
            },
        )
    });
    let config = |name: &String| {
        let text = std::fs::read_to_string(name).map_err(|error| error.to_string());
        let config = text.and_then(|text| HashConfig::parse(&zeroize::Zeroizing::new(text)));
        config.map_err(|why| failed(format!("--firebase-hash {name}: {why}")))
    };
    Ok(Given {
        format: text("from").and_then(|name| Format::named(name)),
        table: text("table").cloned(),
        columns: columns.collect::<Result<_, _>>()?,
        hash_config: text("firebase-hash").map(config).transpose()?,
        keep_without_password: args.get_flag("keep-without-password"),
    })
}

/// An import under way.
struct Import<'a> {
    cx: &'a Cx,
    source: Source,
    wanted: Wanted,
    /// What a dry run remembers.
    trial: Option<Trial>,
    refusals: Refusals,
    imported: u64,
    already_there: u64,
}

/// Accounts that were read.
#[derive(Default)]
struct Batch {
    accounts: Vec<ImportedAccount>,
    /// Where they stand.
    numbers: Vec<Number>,
    refused: Vec<(Number, Refused)>,
    /// Why nothing can be read after them.
    broken: Option<String>,
}

impl Batch {
    fn is_empty(&self) -> bool {
        self.numbers.is_empty() && self.refused.is_empty()
    }
}

impl Import<'_> {
    async fn run_and_tell(&mut self) -> Result<(), String> {
        let ended = self.run().await;
        let told = self.refusals.end();
        if let (Ok(()), Some(doubt)) = (&ended, self.source.doubt()) {
            eprintln!("warning: {doubt}");
        }
        self.sum_up();
        ended.and(told)
    }

    async fn run(&mut self) -> Result<(), String> {
        let mut batch = read(self.cx, &mut self.source, self.wanted);
        while !batch.is_empty() {
            let Batch { accounts, numbers, refused, broken } = batch;
            let (done, number) = self.source.position();
            self.refusals.reading.at(done, number);
            // While one batch is written, the next is read. The write is polled first. After damage there is no next
            // one, but what was read before it is written all the same.
            let next = || match broken {
                None => read(self.cx, &mut self.source, self.wanted),
                broken => Batch { broken, ..Batch::default() },
            };
            let (made, next) = tokio::join!(
                biased;
                settle(self.cx, accounts.into(), self.trial.as_mut()),
                async { next() },
            );
            self.count(&numbers, &made.map_err(|error| error.to_string())?, refused)?;
            batch = next;
        }
        batch.broken.map_or(Ok(()), Err)
    }

    fn count(
        &mut self,
        numbers: &[Number],
        made: &[Made],
        mut refused: Vec<(Number, Refused)>,
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

fn read(cx: &Cx, source: &mut Source, wanted: Wanted) -> Batch {
    let (mut batch, now) = (Batch::default(), cx.app.clock.now());
    while batch.numbers.len() + batch.refused.len() < BATCH {
        let (number, record) = match source.next() {
            Ok(Some(next)) => next,
            Ok(None) => break,
            Err(why) => {
                batch.broken = Some(why);
                break;
            }
        };
        let account = record.and_then(|record| ImportedAccount::new(&record, wanted, now, random::bytes()));
        match account {
            Ok(account) => {
                batch.accounts.push(account);
                batch.numbers.push(number);
            }
            Err(why) => batch.refused.push((number, why)),
        }
    }
    batch
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

/// The accounts that were refused.
struct Refusals {
    count: u64,
    report: Option<Report>,
    reading: Reading,
    /// What their numbers count.
    unit: &'static str,
}

impl Refusals {
    fn add(&mut self, number: Number, why: &Refused) -> Result<(), String> {
        self.count += 1;
        if self.count <= SHOWN {
            self.reading.say(format_args!("{} {number}: {why}", self.unit));
        }
        self.report.as_mut().map_or(Ok(()), |report| report.add(self.unit, number, why))
    }

    fn end(&mut self) -> Result<(), String> {
        self.reading.end();
        if self.count > SHOWN {
            eprintln!("and {} more", self.count - SHOWN);
        }
        self.report.as_mut().map_or(Ok(()), Report::end)
    }
}

/// Whether a file is a report of an earlier import, or empty as one of nothing refused.
fn is_report(name: &str) -> bool {
    let mut first = String::new();
    let read = File::open(name).and_then(|file| BufReader::new(file.take(1000)).read_line(&mut first));
    let is_refusal = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap_or_default();
        line.as_object().is_some_and(|line| line.len() == 2 && line.contains_key("why"))
    };
    read.is_ok() && (first.is_empty() || is_refusal(&first))
}

/// The file with all of them.
struct Report {
    name: String,
    file: BufWriter<File>,
}

impl Report {
    /// A new one, or in the place of one of before: another file that is there may be the one that is imported.
    fn create(name: &str) -> Result<Self, ExitCode> {
        let made = File::create_new(name).or_else(|error| match error.kind() {
            ErrorKind::AlreadyExists if is_report(name) => File::create(name),
            _ => Err(error),
        });
        let file = made.map_err(|error| failed(format!("--report {name}: {error}")))?;
        Ok(Self { name: name.to_owned(), file: BufWriter::new(file) })
    }

    fn add(&mut self, unit: &str, number: Number, why: &Refused) -> Result<(), String> {
        let line = serde_json::json!({unit: number, "why": why.to_string()});
        writeln!(self.file, "{line}").map_err(|error| self.failed(&error))
    }

    fn end(&mut self) -> Result<(), String> {
        self.file.flush().map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &dyn Display) -> String {
        format!("--report {}: {error}", self.name)
    }
}
