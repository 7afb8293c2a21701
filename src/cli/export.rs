//! `claviger export`: all accounts, in the form that `claviger import` reads.

use super::offline::Offline;
use super::{SHORT, failed, leaf, print, with_settings};
use crate::app::Cx;
use crate::base::id::AccountId;
use crate::credentials::export::Exported;
use crate::credentials::flow;
use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, ArgMatches, Command};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::process::ExitCode;

/// Accounts that are read at once.
const PAGE: u32 = 1000;

const HELP: &str = "\
It works beside a running server, and is written to the audit trail. The file is new, and for its owner alone. \
`claviger import` makes the same accounts of it elsewhere: with their ids, and with their passwords if the hashes are \
in it. Guard these: whoever has them can try passwords at home.

Example: claviger export accounts.jsonl --with-password-hashes
Example: claviger export - --format csv > accounts.csv";

/// `claviger export`.
pub(super) fn command() -> Command {
    let hashes = "With the hashes of the passwords, without which nobody can log in elsewhere";
    with_settings(leaf("export", "Write all accounts to a file", ""), SHORT)
        .arg(
            Arg::new("file")
                .value_name("FILE")
                .required(true)
                .help("A new file; - writes to standard output"),
        )
        .arg(
            Arg::new("format")
                .long("format")
                .value_name("FORMAT")
                .default_value("jsonl")
                .value_parser(PossibleValuesParser::new(["jsonl", "csv"]))
                .help("JSON Lines, or columns"),
        )
        .arg(
            Arg::new("with-password-hashes")
                .long("with-password-hashes")
                .action(ArgAction::SetTrue)
                .help(hashes),
        )
        .after_help(HELP)
}

pub(super) fn run(args: &ArgMatches) -> Result<ExitCode, ExitCode> {
    let name = args.get_one::<String>("file").map(String::as_str).unwrap_or_default();
    let with_hashes = args.get_flag("with-password-hashes");
    let is_csv = args.get_one::<String>("format").is_some_and(|format| format == "csv");
    let offline = Offline::open(args)?;
    let named = |error: io::Error| failed(format!("{name}: {error}"));
    let file = if name == "-" { None } else { Some(create(name).map_err(named)?) };
    let written = match &file {
        None => write(&offline, io::stdout().lock(), is_csv, with_hashes),
        Some(file) => write(&offline, file, is_csv, with_hashes)
            .and_then(|count| file.sync_all().map(|()| count).map_err(|error| failed_at(name, &error))),
    };
    let count = match written {
        Ok(count) => count,
        Err(why) => {
            // Half an export is taken for a whole one.
            if file.is_some() {
                let _ = fs::remove_file(name);
            }
            return Err(failed(why));
        }
    };
    let without = if with_hashes { "" } else { ", without the hashes of their passwords" };
    match file {
        Some(_) => print(format_args!("{count} accounts exported{without}\n")),
        None => eprintln!("{count} accounts exported{without}"),
    }
    Ok(ExitCode::SUCCESS)
}

fn create(name: &str) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(name)
}

fn failed_at(name: &str, error: &io::Error) -> String {
    format!("{name}: {error}")
}

/// Writes all accounts, page by page; how many.
fn write(offline: &Offline, out: impl Write, is_csv: bool, with_hashes: bool) -> Result<u64, String> {
    let mut form = Form::new(BufWriter::new(out), is_csv, with_hashes).map_err(|error| error.to_string())?;
    let exporting = async { Ok::<_, String>(all(&offline.cx, &mut form, with_hashes).await) };
    let told = |_: ExitCode| "it is not in the audit trail, so nothing is exported".to_owned();
    offline.change(flow::note_export(&offline.cx, with_hashes)).map_err(told)?;
    let count = offline.run(exporting).map_err(|_| String::new())??;
    form.end().map_err(|error| error.to_string())?;
    Ok(count)
}

async fn all<W: Write>(cx: &Cx, form: &mut Form<W>, with_hashes: bool) -> Result<u64, String> {
    let (mut after, mut count): (Option<AccountId>, u64) = (None, 0);
    loop {
        let page =
            flow::export_page(cx, after, PAGE, with_hashes).await.map_err(|error| error.to_string())?;
        for account in &page {
            form.add(account).map_err(|error| error.to_string())?;
        }
        let Some(last) = page.last() else { return Ok(count) };
        (after, count) = (Some(last.id), count + page.len() as u64);
    }
}

/// How accounts are written.
enum Form<W: Write> {
    Lines(W),
    Rows(Box<csv::Writer<W>>),
}

impl<W: Write> Form<W> {
    fn new(out: W, is_csv: bool, with_hashes: bool) -> io::Result<Self> {
        if !is_csv {
            return Ok(Self::Lines(out));
        }
        let mut rows = csv::Writer::from_writer(out);
        let names = Exported::NAMES.iter().filter(|name| with_hashes || **name != Exported::HASH);
        rows.write_record(names)?;
        Ok(Self::Rows(Box::new(rows)))
    }

    fn add(&mut self, account: &Exported) -> io::Result<()> {
        match self {
            Self::Lines(out) => {
                serde_json::to_writer(&mut *out, account)?;
                out.write_all(b"\n")
            }
            Self::Rows(rows) => Ok(rows.write_record(account.columns())?),
        }
    }

    fn end(&mut self) -> io::Result<()> {
        match self {
            Self::Lines(out) => out.flush(),
            Self::Rows(rows) => rows.flush(),
        }
    }
}
