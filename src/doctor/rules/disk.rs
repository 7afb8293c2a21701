//! Room on the disk, and a WAL that grows.

use super::{size, start};
use crate::db::examine::Setup;
use crate::doctor::facts::Facts;
use crate::doctor::{Level, Outcome, finding, run};

/// What is wanted beside all else: a log, a side file, a moment to react in.
const SPARE: u64 = 64 << 20;

/// The least of free inodes, of those file systems that count them.
const LEAST_INODES: u64 = 100;

/// As much of the WAL goes into the database at four checkpoints.
const MUCH_WAL: u64 = 16 << 20;

pub(crate) fn space(facts: &Facts) -> Outcome {
    let folder = &facts.folder;
    let free = match &folder.disk {
        Ok(disk) => disk.free_bytes,
        Err(why) => return Outcome::Unknown(why.clone()),
    };
    // A checkpoint may have to write all of the WAL into new pages.
    let (to_go_on, to_back_up) = (folder.wal_bytes + SPARE, folder.database_bytes + folder.wal_bytes + SPARE);
    let level = match free {
        free if free < to_go_on => Level::Error,
        free if free < to_back_up => Level::Warning,
        _ => {
            return Outcome::Fine(format!(
                "{} are free, the database has {}",
                size(free),
                size(folder.database_bytes)
            ));
        }
    };
    let (for_what, wanted) = match level {
        Level::Error => ("to go on", to_go_on),
        Level::Warning | Level::Info => ("for a backup beside it", to_back_up),
    };
    let what = format!(
        "{} are free on the data folder's disk, and {} are wanted {for_what}",
        size(free),
        size(wanted)
    );
    let why =
        "without room nothing can be changed: sign-ups, logins and refreshes are refused until there is some";
    let mend = run(format!("df -h {}", super::quoted(&folder.dir.path)))
        .after("Make room, or enlarge the disk; old audit records go sooner with a shorter audit_retention");
    Outcome::Found(vec![finding(level, what, why, mend)])
}

pub(crate) fn inodes(facts: &Facts) -> Outcome {
    let (free, all) = match &facts.folder.disk {
        Ok(disk) => disk.inodes,
        Err(why) => return Outcome::Unknown(why.clone()),
    };
    if all == 0 || free >= LEAST_INODES {
        return Outcome::Fine(if all == 0 { "not counted here".into() } else { format!("{free} are free") });
    }
    let what = format!("the data folder's disk can take {free} more files, however much of it is free");
    let why =
        "SQLite makes side files at each start, and the first key needs one too: without them nothing starts";
    let mend = run(format!("df -i {}", super::quoted(&facts.folder.dir.path)))
        .after("Remove small files that nobody needs");
    Outcome::Found(vec![finding(Level::Error, what, why, mend)])
}

pub(crate) fn wal(facts: &Facts) -> Outcome {
    if !matches!(facts.setup(), Ok(Setup::Sqlite { .. })) {
        return Outcome::Skipped("it is SQLite's".into());
    }
    let folder = &facts.folder;
    let waits = folder.wal_waits.unwrap_or(folder.wal_bytes);
    if waits < MUCH_WAL {
        return Outcome::Fine(format!("{} of it are not in the database yet", size(waits)));
    }
    let what = format!("{} of the WAL are not in the database yet", size(waits));
    let why = "a reader that stays in one transaction keeps them out: the WAL grows until the disk is full, and \
        reads become slower";
    let mend = match &facts.process.id {
        Some(_) => run(format!("fuser -v {}", super::quoted(&folder.dir.path.join("claviger.db"))))
            .after("See who else has the file open, such as sqlite3 or a backup, and end it"),
        None => start(facts, "").after("Start the server: it takes the WAL in at its start, and at its end"),
    };
    Outcome::Found(vec![finding(Level::Warning, what, why, mend)])
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn room_is_wanted_for_the_wal_and_then_for_a_backup() {
        let mut facts = Facts::healthy();
        (facts.folder.database_bytes, facts.folder.wal_bytes) = (1 << 30, 4 << 20);
        for (free, expected) in [
            ((1 << 30) + (68 << 20), None),
            ((1 << 30) + (68 << 20) - 1, Some(Level::Warning)),
            (68 << 20, Some(Level::Warning)),
            ((68 << 20) - 1, Some(Level::Error)),
            (0, Some(Level::Error)),
        ] {
            facts.folder.disk.as_mut().unwrap().free_bytes = free;
            match space(&facts) {
                Outcome::Fine(_) => assert_eq!(expected, None, "{free}"),
                Outcome::Found(found) => assert_eq!(Some(found.first().unwrap().level), expected, "{free}"),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn files_are_counted_where_the_disk_does() {
        let mut facts = Facts::healthy();
        for (inodes, fine) in [((0, 0), true), ((99, 1000), false), ((100, 1000), true)] {
            facts.folder.disk.as_mut().unwrap().inodes = inodes;
            assert_eq!(matches!(super::inodes(&facts), Outcome::Fine(_)), fine, "{inodes:?}");
        }
    }

    #[test]
    fn a_large_wal_that_is_in_the_database_is_no_fault() {
        let mut facts = Facts::healthy();
        (facts.folder.wal_bytes, facts.folder.wal_waits) = (1 << 30, Some(4096));
        assert!(matches!(wal(&facts), Outcome::Fine(_)));
        facts.folder.wal_waits = Some(MUCH_WAL);
        assert!(matches!(wal(&facts), Outcome::Found(_)));
        (facts.folder.wal_bytes, facts.folder.wal_waits) = (MUCH_WAL, None);
        assert!(matches!(wal(&facts), Outcome::Found(_)), "where it is not known, all counts");
    }
}
