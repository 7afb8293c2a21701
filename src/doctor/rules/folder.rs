//! The data folder and its files: who can read them, whose they are, and what disk they are on.

use super::quoted;
use crate::doctor::facts::{DiskKind, Entry, Facts};
use crate::doctor::{Finding, Level, Outcome, by_hand, finding, run};

/// Group and others.
const OTHERS: u32 = 0o077;

pub(crate) fn access(facts: &Facts) -> Outcome {
    let why = "who reads the database has e-mail addresses, password hashes and sessions; who reads the folder's \
        master key as well can sign tokens";
    let open = |entry: &Entry, wanted: &str| {
        (entry.mode & OTHERS != 0).then(|| {
            let path = quoted(&entry.path);
            let what =
                format!("others can look into {} (mode {:o})", entry.path.display(), entry.mode & 0o7777);
            finding(Level::Error, what, why, run(format!("chmod {wanted} {path}")))
        })
    };
    let folder = &facts.folder;
    let files = folder.files.iter().filter(|file| file.link.is_none()).filter_map(|file| open(file, "600"));
    Outcome::of(open(&folder.dir, "700").into_iter().chain(files).collect(), "for its owner alone")
}

pub(crate) fn owner(facts: &Facts) -> Outcome {
    let dir = &facts.folder.dir;
    // A mounted secret is root's, and stays so.
    let own_key = facts.folder.master.iter().filter(|key| key.path.starts_with(&dir.path) && !key.is_fixed);
    let foreign: Vec<&Entry> =
        facts.folder.files.iter().chain(own_key).filter(|file| file.owner != dir.owner).collect();
    let findings = foreign.first().map(|first| {
        let paths: Vec<String> = foreign.iter().map(|file| quoted(&file.path)).collect();
        let what = format!(
            "{} belong{} to uid {}, the data folder to uid {}",
            foreign.iter().map(|file| file.path.display().to_string()).collect::<Vec<_>>().join(", "),
            if foreign.len() == 1 { "s" } else { "" },
            first.owner,
            dir.owner
        );
        let why = "the server runs as the folder's owner, and what it cannot open or write stops it: at once, or at \
            its next start. A command that was run as root leaves such files";
        finding(Level::Error, what, why, run(format!("chown --reference={} {}", quoted(&dir.path), paths.join(" "))))
    });
    Outcome::of(findings.into_iter().collect(), format!("all of uid {}", dir.owner))
}

pub(crate) fn place(facts: &Facts) -> Outcome {
    let disk = match &facts.folder.disk {
        Ok(disk) => disk,
        Err(why) => return Outcome::Unknown(why.clone()),
    };
    let dir = facts.folder.dir.path.display();
    let is_sqlite = facts.config.database_url.is_none();
    let elsewhere = "Stop the server, move the folder to a disk of this machine, and name it with --data-dir";
    let mut findings: Vec<Finding> = Vec::new();
    match disk.kind {
        DiskKind::Disk => {}
        DiskKind::Memory(kind) => findings.push(finding(
            Level::Error,
            format!("{dir} is in memory ({kind})"),
            "all accounts and the master key are gone when the machine stops",
            by_hand(elsewhere),
        )),
        DiskKind::Network(kind) => findings.push(finding(
            if is_sqlite { Level::Error } else { Level::Warning },
            format!("{dir} is on a network file system ({kind})"),
            "SQLite's WAL needs memory shared between processes and locks that hold, and network file systems \
                promise neither: the database can be damaged",
            by_hand(format!("{elsewhere}. Where several machines need the data, use PostgreSQL: claviger database copy --help")),
        )),
        DiskKind::Layer => findings.push(finding(
            Level::Info,
            format!("{dir} is in the writable layer of a container (overlay)"),
            "the data goes when the container is removed",
            by_hand("Mount a volume there"),
        )),
    }
    for file in &facts.folder.files {
        let Some(link) = &file.link else { continue };
        findings.push(finding(
            Level::Warning,
            format!("{} is a symbolic link to {}", file.path.display(), link.display()),
            "the database's side files, the lock and what a copy of the folder takes along stand beside the link or \
                beside its target, and another server may use that one: two at once damage it",
            by_hand("Stop the server, move the file itself into the folder, or name the folder it is in with --data-dir"),
        ));
    }
    Outcome::of(findings, "on a disk, no links")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    fn found(outcome: Outcome) -> Vec<Finding> {
        let Outcome::Found(findings) = outcome else { panic!("{outcome:?}") };
        findings
    }

    #[test]
    fn every_bit_for_others_is_found() {
        for mode in [0o710, 0o740, 0o701, 0o704, 0o755, 0o777] {
            let mut facts = Facts::healthy();
            facts.folder.dir.mode = 0o40000 | mode;
            let findings = found(access(&facts));
            let command = findings.first().unwrap().mend.command.clone().unwrap();
            assert_eq!(command, "chmod 700 '/var/lib/my claviger'", "{mode:o}");
        }
        let mut facts = Facts::healthy();
        facts.folder.files.first_mut().unwrap().mode = 0o644;
        assert!(found(access(&facts)).first().unwrap().what.contains("claviger.db (mode 644)"));
    }

    #[test]
    fn files_of_another_are_found_together() {
        let mut facts = Facts::healthy();
        facts.folder.files.iter_mut().for_each(|file| file.owner = 0);
        let findings = found(owner(&facts));
        assert_eq!(findings.len(), 1);
        let command = findings.first().unwrap().mend.command.clone().unwrap();
        assert!(
            command
                .starts_with("chown --reference='/var/lib/my claviger' '/var/lib/my claviger/claviger.db'"),
            "{command}"
        );
    }

    #[test]
    fn a_mounted_secret_may_be_roots() {
        let mut facts = Facts::healthy_with(&[]);
        facts.folder.master.as_mut().unwrap().owner = 0;
        assert_eq!(found(owner(&facts)).len(), 1);
        facts.folder.master.as_mut().unwrap().is_fixed = true;
        assert!(matches!(owner(&facts), Outcome::Fine(_)));
    }

    #[test]
    fn a_network_is_worse_for_sqlite() {
        for (mut facts, level) in
            [(Facts::healthy(), Level::Error), (Facts::healthy_on_postgres(), Level::Warning)]
        {
            facts.folder.disk.as_mut().unwrap().kind = DiskKind::Network("NFS");
            assert_eq!(found(place(&facts)).first().unwrap().level, level);
            facts.folder.disk.as_mut().unwrap().kind = DiskKind::Memory("tmpfs");
            assert_eq!(found(place(&facts)).first().unwrap().level, Level::Error);
        }
    }

    #[test]
    fn a_link_is_found() {
        let mut facts = Facts::healthy();
        facts.folder.files.first_mut().unwrap().link = Some("/elsewhere/claviger.db".into());
        assert!(found(place(&facts)).first().unwrap().what.ends_with("to /elsewhere/claviger.db"));
    }
}
