//! `claviger backup verify` and `restore`.

use super::create::{accounts, heedful};
use super::locks;
use crate::backup::contents::Report;
use crate::backup::flow;
use crate::backup::header::hex;
use crate::backup::sealed::Sealed;
use crate::base::time::Clock;
use crate::cli::progress::Progress;
use crate::cli::table::escaped;
use crate::cli::{configuration, failed, operator, print};
use crate::config::Config;
use crate::db::Place;
use crate::keys;
use clap::ArgMatches;
use claviger_crypto::Sha256;
use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;

/// What a backup is read from, and the digest of what was read. Clones read on from the same place.
#[derive(Clone)]
struct Summed(Rc<RefCell<(Box<dyn Read>, Sha256)>>);

impl Summed {
    fn new(input: Box<dyn Read>) -> Self {
        Self(Rc::new(RefCell::new((input, Sha256::default()))))
    }

    /// The SHA-256 of the file as it is, as `sha256sum` gives it.
    fn finish(mut self) -> io::Result<String> {
        io::copy(&mut self, &mut io::sink())?;
        let digest = self.0.borrow().1.clone();
        Ok(hex(&digest.finish()))
    }
}

impl Read for Summed {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let (input, digest) = &mut *self.0.borrow_mut();
        let read = input.read(bytes)?;
        digest.add(bytes.get(..read).unwrap_or_default());
        Ok(read)
    }
}

/// The backup that is named, still sealed, and what it is read from.
fn open(args: &ArgMatches) -> Result<(Sealed<Summed>, Summed), ExitCode> {
    let name = args.get_one::<String>("file").map(String::as_str).unwrap_or_default();
    let by_input = |id: &str| args.get_one::<PathBuf>(id).is_some_and(|path| path.as_os_str() == "-");
    let input: Box<dyn Read> = if name == "-" {
        if by_input("identity") || by_input("passphrase-file") {
            return Err(failed("the backup and what opens it cannot both come from standard input"));
        }
        Box::new(io::stdin())
    } else {
        Box::new(File::open(name).map_err(|error| failed(format!("{name}: {error}")))?)
    };
    let input = Summed::new(input);
    let sealed = Sealed::read(input.clone()).map_err(|error| failed(format!("{name}: {error}")))?;
    Ok((sealed, input))
}

pub(super) fn verify(args: &ArgMatches) -> Result<ExitCode, ExitCode> {
    let config = configuration(args)?;
    let (sealed, input) = open(args)?;
    let key = locks::key(args, &sealed)?;
    // Only for a backup without its own.
    let master = keys::master::obtain(&config.master_key, false).ok();
    let (_runtime, wanted) = heedful()?;
    let opened = sealed.open(&key).map_err(failed)?;
    let report = flow::verify(opened, master.as_ref(), &Progress::quiet(), &wanted).map_err(failed)?;
    tell(&report, &input.finish().map_err(failed)?);
    report.expect_key().map_err(failed)?;
    match report.chain.and_then(|chain| chain.broken) {
        None => Ok(ExitCode::SUCCESS),
        Some(broken) => Err(failed(format!(
            "the backup is as it was written, but what it was made of was not: {}",
            escaped(&broken.to_string())
        ))),
    }
}

pub(super) fn restore(args: &ArgMatches) -> Result<ExitCode, ExitCode> {
    let config = configuration(args)?;
    let (sealed, input) = open(args)?;
    let key = locks::key(args, &sealed)?;
    let opened = sealed.open(&key).map_err(failed)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let now = Clock::System.now();
    let (origin, progress) = (operator(now), Progress::quiet());
    let restored = runtime.block_on(async {
        // It ends between two transactions; whatever else ends it leaves as much behind.
        tokio::select! {
            biased;
            _ = tokio::signal::ctrl_c() => Err("interrupted. The same command goes on from here".to_owned()),
            done = flow::restore(opened, &config, &origin, now, &progress) => done.map_err(|why| why.to_string()),
        }
    });
    drop(progress);
    let report = restored.map_err(failed)?;
    tell(&report, &input.finish().map_err(failed)?);
    if let Some(broken) = report.chain.as_ref().and_then(|chain| chain.broken.as_ref()) {
        eprintln!("warning: {}. It was so when the backup was made", escaped(&broken.to_string()));
    }
    eprint!("{}", advice(&config, &report));
    Ok(ExitCode::SUCCESS)
}

/// Prints what is in a backup, and the digest of its file.
fn tell(report: &Report, digest: &str) {
    let header = &report.header;
    let (active, all) = (report.keys.iter().filter(|key| key.state == "active").count(), report.keys.len());
    let rows = |table: &str| report.rows(table);
    let master = match (&header.master_key, report.keys.iter().any(|key| key.opens.is_none())) {
        (Some(_), _) => format!("is in it, and {}", opens(report)),
        (None, true) => "is not in it: whether the signing keys open was not tried".to_owned(),
        (None, false) => format!("is not in it; the one that the settings name {}", opens(report)),
    };
    let chain = match &report.chain {
        None => "not tried".to_owned(),
        Some(chain) => match &chain.broken {
            None => format!("{} events, chain whole, {} not sealed yet", chain.events, chain.unsealed),
            Some(broken) => escaped(&broken.to_string()),
        },
    };
    let lines = [
        ("backup", header.id.to_string()),
        (
            "made",
            format!(
                "{} by claviger {}, of {}",
                header.made_at,
                escaped(&header.program),
                escaped(&header.engine)
            ),
        ),
        ("schema", header.schema.to_string()),
        (
            "holds",
            format!(
                "{}, {} sessions ({} live then), {} API keys, {all} signing keys ({active} active)",
                accounts(header),
                rows("sessions"),
                report.live_sessions,
                rows("api_keys"),
            ),
        ),
        ("master key", master),
        ("audit trail", chain),
        ("whole", format!("{} rows of {} tables", header.rows(), header.tables.len())),
        ("SHA-256", digest.to_owned()),
    ];
    for (name, text) in lines {
        print(format_args!("{name:<12} {text}\n"));
    }
}

fn opens(report: &Report) -> &'static str {
    match report.expect_key() {
        Ok(()) => "opens all signing keys",
        Err(_) => "does not open them",
    }
}

/// What is left to do.
fn advice(config: &Config, report: &Report) -> String {
    let place = Place::from(config);
    let made = report.header.made_at;
    format!(
        "\nAll is restored to {place}, as it was at {made}.\n\
        1.  Start the server with the settings that it had; the backup does not hold them.\n\
        2.  What was done after {made} is gone. Do again what matters: revoked keys, sessions and API keys, disabled and\n    \
        deleted accounts, changed passwords. See docs/backup.md.\n\
        3.  Do not start the old one again: two that go on from one backup would not know of each other's revocations.\n"
    )
}
