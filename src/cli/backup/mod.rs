//! `claviger backup create|verify|restore`.

mod create;
mod locks;
mod read;

use super::{SHORT, WRONG, group, leaf, with_settings};
use clap::builder::RangedU64ValueParser;
use clap::{Arg, ArgAction, ArgGroup, ArgMatches, Command, value_parser};
use std::path::PathBuf;
use std::process::ExitCode;

const CREATE: &str = "\
The server may run meanwhile; nobody waits. The database may be that of an earlier version, before an upgrade. The \
backup holds all tables as they are at one moment, and the master key, so it is as secret as the server itself: it is \
sealed in the age format, for a passphrase or for recipients, and `age --decrypt` opens it too. The \
passphrase comes from --passphrase-file, CLAVIGER_BACKUP_PASSPHRASE, or is asked for.

The file gets its name when it is whole, on the disk and read back. A passphrase lets the backup be read back to its \
contents, as --identity does; for recipients alone it is compared with what was written.

Example: claviger backup create /mnt/backup/monday.age
Example: claviger backup create --dir /mnt/backup --keep 14 --recipient age1ql3z7hjy…
Example: claviger backup create - --recipient age1ql3z7hjy… | ssh vault 'cat > claviger.age'";

const RESTORE: &str = "\
The place is named by --data-dir or --database-url, whichever engine the backup was made of. It must be empty, and no \
server may run on it. Until all is there and was compared no server starts on it; a restore that was interrupted goes \
on when the same command is run again.

What happened after the backup was made is gone: read docs/backup.md on what that means for tokens, revocations and \
deleted accounts.

Example: claviger backup restore /mnt/backup/monday.age --data-dir /var/lib/claviger
Example: claviger backup restore /mnt/backup/monday.age --identity key.txt --database-url postgres://…";

/// `claviger backup`.
pub(super) fn command() -> Command {
    let file = || Arg::new("file").value_name("FILE");
    let read = |command: Command| {
        command
            .arg(file().required(true).help("The backup; - reads standard input"))
            .arg(passphrase_file())
            .arg(identity(
                "The identity that it was sealed for, as age-keygen makes it; - reads standard input",
            ))
    };
    let create =
        with_settings(leaf("create", "Write everything into a sealed file", ""), SHORT)
            .arg(file().help("The new file; - writes to standard output").conflicts_with("dir"))
            .arg(Arg::new("dir").long("dir").value_name("DIR").value_parser(value_parser!(PathBuf)).help(
                "Make a file with the date in its name there instead; the folder is made if there is none",
            ))
            .group(ArgGroup::new("to").args(["file", "dir"]).required(true))
            .arg(
                Arg::new("keep")
                    .long("keep")
                    .value_name("COUNT")
                    .value_parser(RangedU64ValueParser::<usize>::new().range(1..))
                    .conflicts_with("file")
                    .help("Then delete the oldest of the dated files there, but for so many"),
            )
            .arg(
                Arg::new("recipient")
                    .long("recipient")
                    .short('r')
                    .value_name("KEY")
                    .action(ArgAction::Append)
                    .conflicts_with("passphrase-file")
                    .help("Seal it for the holder of this public key of age; may be given again"),
            )
            .arg(passphrase_file())
            .arg(identity("Read the new backup back by this identity").requires("recipient"))
            .arg(Arg::new("without-master-key").long("without-master-key").action(ArgAction::SetTrue).help(
                "Leave the master key out, where it is kept elsewhere: without it a restore is not possible",
            ))
            .after_help(CREATE);
    let verify = leaf(
        "verify",
        "Read a backup to its end, and say what is in it and whether it is whole",
        "claviger backup verify /mnt/backup/monday.age",
    );
    let restore = leaf("restore", "Bring a backup back into an empty place", "").after_help(RESTORE);
    group("backup", "Make, check and restore backups")
        .after_help("Example: claviger backup create /mnt/backup/monday.age")
        .subcommand(create)
        .subcommand(read(with_settings(verify, SHORT)))
        .subcommand(read(with_settings(restore, SHORT)))
}

fn passphrase_file() -> Arg {
    Arg::new("passphrase-file")
        .long("passphrase-file")
        .value_name("FILE")
        .value_parser(value_parser!(PathBuf))
        .help("The file with the passphrase, in its first line [CLAVIGER_BACKUP_PASSPHRASE: the passphrase itself]")
}

fn identity(help: &'static str) -> Arg {
    Arg::new("identity")
        .long("identity")
        .short('i')
        .value_name("FILE")
        .value_parser(value_parser!(PathBuf))
        .help(help)
}

pub(super) fn run(args: &ArgMatches) -> Result<ExitCode, ExitCode> {
    match args.subcommand() {
        Some(("create", args)) => create::run(args),
        Some(("verify", args)) => read::verify(args),
        Some(("restore", args)) => read::restore(args),
        _ => Err(ExitCode::from(WRONG)),
    }
}
