//! `claviger backup create`.

use super::locks;
use crate::backup::file::{self, NewFile};
use crate::backup::flow::{self, Wanted, Wish};
use crate::backup::header::{Header, Trailer};
use crate::backup::sealed::{Key, Sealed};
use crate::base::time::Clock;
use crate::base::{id, random};
use crate::cli::progress::Progress;
use crate::cli::{configuration, failed, operator, print, wrong};
use crate::db::{Db, Place};
use crate::keys;
use crate::server::Signals;
use clap::ArgMatches;
use std::io::{self, IsTerminal as _, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::runtime::Runtime;

pub(super) fn run(args: &ArgMatches) -> Result<ExitCode, ExitCode> {
    let config = configuration(args)?;
    let now = Clock::System.now();
    let path = args.get_one::<PathBuf>("dir").map(|dir| dir.join(file::dated(now)));
    let path = path.or_else(|| args.get_one::<String>("file").map(PathBuf::from)).unwrap_or_default();
    if path.as_os_str() == "-" && io::stdout().is_terminal() {
        return Err(wrong(
            "a backup is no text for a terminal. Name a file, or lead standard output elsewhere",
        ));
    }
    let lock = locks::lock(args)?;
    let own = lock.key();
    let key = own.map_or_else(|| locks::identities(args), |key| Ok(Some(key)))?;
    let place = Place::from(&config);
    let db = Db::open_for_backup(place).map_err(|error| {
        failed(format!("the database in {place} cannot be used ({error}). {}", place.mend()))
    })?;
    let master = keys::master::obtain(&config.master_key, false);
    let is_left_out = args.get_flag("without-master-key");
    let master = if is_left_out { master.ok() } else { Some(master.map_err(failed)?) };
    let wish =
        Wish { id: id::uuid_v7(now, random::bytes()), now, master: master.clone().filter(|_| !is_left_out) };

    let (runtime, wanted) = heedful()?;
    let out = Out::begin(args, path).map_err(|why| failed(format!("the backup cannot be written: {why}")))?;
    let (sealed_for, origin) = (lock.name(), operator(now));
    let announced = flow::announce(&db, &wish, &sealed_for, &origin, master.as_ref());
    runtime.block_on(announced).map_err(failed)?;
    let sealing = lock.seal(out).map_err(failed)?;
    let made = flow::create(&db, wish, sealing, Progress::quiet(), wanted.clone());
    let (sealing, header, trailer) = made.map_err(failed)?;
    let out = sealing.finish().map_err(|error| failed(format!("the backup cannot be written: {error}")))?;
    let what = format!(
        "{} rows with {}, sealed for {}, {} the master key",
        header.rows(),
        accounts(&header),
        sealed_for,
        if is_left_out { "without" } else { "with" },
    );
    out.keep(args, key.as_ref(), &trailer, &wanted, &what)?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn accounts(header: &Header) -> String {
    let rows = header.tables.iter().find(|table| table.name == "accounts").map_or(0, |table| table.rows);
    if rows == 1 { "1 account".into() } else { format!("{rows} accounts") }
}

/// A runtime on which signals are heeded while this thread works: after one, nothing is wanted any more.
pub(super) fn heedful() -> Result<(Runtime, Wanted), ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let (runtime, wanted) = (runtime.map_err(failed)?, Arc::new(AtomicBool::new(true)));
    let heeded = wanted.clone();
    let mut signals = {
        let _inside = runtime.enter();
        Signals::receive().map_err(failed)?
    };
    runtime.spawn(async move {
        signals.next().await;
        heeded.store(false, Ordering::Relaxed);
    });
    Ok((runtime, wanted))
}

/// Where a backup goes.
enum Out {
    File(PathBuf, NewFile),
    Standard(io::Stdout),
}

impl Out {
    fn begin(args: &ArgMatches, path: PathBuf) -> Result<Self, String> {
        if path.as_os_str() == "-" {
            return Ok(Self::Standard(io::stdout()));
        }
        if let Some(dir) = args.get_one::<PathBuf>("dir") {
            // Where a disk should have been mounted, somebody has to learn that it was not.
            if file::make_folder(dir).map_err(|error| unmade(dir, &error))? {
                eprintln!("the folder {} was not there, and is made", dir.display());
            }
            file::clear_dated(dir).map_err(|error| format!("{}: {error}", dir.display()))?;
        }
        let file = NewFile::begin(&path).map_err(|error| unwritten(&path, &error).to_string())?;
        Ok(Self::File(path, file))
    }

    /// Reads the file back, gives it its name, and deletes older ones.
    fn keep(
        self,
        args: &ArgMatches,
        key: Option<&Key>,
        trailer: &Trailer,
        wanted: &AtomicBool,
        what: &str,
    ) -> Result<(), ExitCode> {
        let (path, mut file) = match self {
            Self::File(path, file) => (path, file),
            Self::Standard(mut out) => {
                out.flush().map_err(|error| failed(unsent(&error)))?;
                eprintln!("{what}");
                return Ok(());
            }
        };
        let named = |error: io::Error| failed(unwritten(&path, &error));
        file.check().map_err(named)?;
        if let Some(key) = key {
            let again = file.reader().map_err(named)?;
            let opened = Sealed::read(again).and_then(|sealed| sealed.open(key)).map_err(failed)?;
            let report = flow::verify(opened, None, &Progress::quiet(), wanted).map_err(failed)?;
            report.expect_key().map_err(failed)?;
            if report.trailer != *trailer {
                return Err(failed("what was read back is not what was written"));
            }
        }
        file.keep().map_err(named)?;
        let read = if key.is_some() { "read back" } else { "compared with what was written" };
        print(format_args!("{}: {what}; {read}\n", path.display()));
        let (dir, kept) = (args.get_one::<PathBuf>("dir"), args.get_one::<usize>("keep"));
        if let (Some(dir), Some(kept)) = (dir, kept) {
            let pruned = file::prune(dir, &path, *kept).map_err(|error| {
                failed(format!(
                    "the backup is made, but older ones cannot be deleted: {}: {error}",
                    dir.display()
                ))
            })?;
            for name in pruned {
                print(format_args!("{} is deleted\n", dir.join(name).display()));
            }
        }
        Ok(())
    }
}

/// Why the folder of `--dir` is not there.
fn unmade(dir: &Path, error: &io::Error) -> String {
    let dir = dir.display();
    format!(
        "the folder {dir} cannot be made: {error}. Make it for the user that backups are made as: install -d -m 0700 -o USER {dir}"
    )
}

/// Of a file that goes away when it is not finished.
fn unwritten(path: &Path, error: &io::Error) -> io::Error {
    file::unwritten(path.display(), "Nothing of it is left there.", error)
}

fn unsent(error: &io::Error) -> io::Error {
    file::unwritten("standard output", "What came of it is no backup.", error)
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::File(path, file) => file.write(bytes).map_err(|error| unwritten(path, &error)),
            Self::Standard(out) => out.write(bytes).map_err(|error| unsent(&error)),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::File(path, file) => file.flush().map_err(|error| unwritten(path, &error)),
            Self::Standard(out) => out.flush().map_err(|error| unsent(&error)),
        }
    }
}
