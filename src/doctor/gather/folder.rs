//! The data folder, its files, and the disk they are on.

use crate::config::{Config, MasterKeySource};
use crate::doctor::facts::{Disk, DiskKind, Entry, Folder, Looked};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// Those that a server makes, beside the master key.
const FILES: [&str; 4] = ["claviger.db", "claviger.db-wal", "claviger.db-shm", "claviger.lock"];

/// There is no folder at all, `Ok(None)`, or this is what is in it.
pub(super) fn look(config: &Config) -> Looked<Option<Folder>> {
    let path = config.data_dir.as_path();
    let failed = |error: std::io::Error| {
        let mend = match error.kind() {
            ErrorKind::PermissionDenied => "Run this as the user that the server runs as",
            _ => "Name the folder of a server with --data-dir",
        };
        format!("the data folder {} cannot be looked at ({error}). {mend}", path.display())
    };
    match std::fs::read_dir(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        entries => drop(entries.map_err(failed)?),
    }
    let dir = entry(path).map_err(failed)?;
    let mut files = Vec::new();
    for name in FILES {
        match entry(&path.join(name)) {
            Ok(file) => files.push(file),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(failed(error)),
        }
    }
    let master = match &config.master_key {
        MasterKeySource::Given(_) => None,
        MasterKeySource::File(path) | MasterKeySource::Own(path) => entry(path).ok(),
    };
    let bytes = |name: &str| path.join(name).metadata().map_or(0, |file| file.len());
    let shared = std::fs::read(path.join("claviger.db-shm")).unwrap_or_default();
    Ok(Some(Folder {
        dir,
        files,
        master,
        disk: disk(path),
        database_bytes: bytes("claviger.db"),
        wal_bytes: bytes("claviger.db-wal"),
        wal_waits: waiting(&shared),
    }))
}

impl Folder {
    /// Whether no server has begun anything here: there is neither a database nor a master key of its own. One that is
    /// named may have been made for it.
    pub(super) fn is_unused(&self, config: &Config) -> bool {
        let is_lock = |file: &Entry| file.path.ends_with("claviger.lock");
        let has_key = matches!(config.master_key, MasterKeySource::Own(_)) && self.master.is_some();
        self.files.iter().all(is_lock) && !has_key
    }
}

fn entry(path: &Path) -> std::io::Result<Entry> {
    let (own, target) = (path.symlink_metadata()?, path.metadata()?);
    let link = if own.is_symlink() { Some(std::fs::read_link(path)?) } else { None };
    let is_fixed = is_read_only(path) || link.as_deref().is_some_and(is_into_secret);
    Ok(Entry { path: path.to_owned(), mode: target.mode(), owner: target.uid(), link, is_fixed })
}

fn is_read_only(path: &Path) -> bool {
    rustix::fs::statvfs(path).is_ok_and(|found| found.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY))
}

/// Kubernetes mounts the files of a Secret as links into `..data`, which it changes for another at once.
fn is_into_secret(link: &Path) -> bool {
    link.starts_with("..data")
}

fn disk(path: &Path) -> Looked<Disk> {
    let failed =
        |error: rustix::io::Errno| format!("the file system of {} says nothing: {error}", path.display());
    let room = rustix::fs::statvfs(path).map_err(failed)?;
    Ok(Disk {
        kind: kind(path),
        free_bytes: room.f_bavail.saturating_mul(room.f_frsize),
        inodes: (room.f_favail, room.f_files),
    })
}

/// By the magic numbers of `man 2 statfs`.
#[cfg(target_os = "linux")]
fn kind(path: &Path) -> DiskKind {
    let Ok(Ok(magic)) = rustix::fs::statfs(path).map(|found| u32::try_from(found.f_type & 0xffff_ffff))
    else {
        return DiskKind::Disk;
    };
    match magic {
        0x0102_1994 => DiskKind::Memory("tmpfs"),
        0x8584_58f6 => DiskKind::Memory("ramfs"),
        0x6969 => DiskKind::Network("NFS"),
        0x517b | 0xff53_4d42 | 0xfe53_4d42 => DiskKind::Network("SMB"),
        0x0102_1997 => DiskKind::Network("9P"),
        0x00c3_6400 => DiskKind::Network("Ceph"),
        0x5346_414f => DiskKind::Network("AFS"),
        0x0bd0_0bd0 => DiskKind::Network("Lustre"),
        0x794c_7630 => DiskKind::Layer,
        _ => DiskKind::Disk,
    }
}

/// Elsewhere that is not asked for.
#[cfg(not(target_os = "linux"))]
fn kind(_: &Path) -> DiskKind {
    DiskKind::Disk
}

/// How many bytes of the WAL are not in the database yet, by SQLite's shared index (sqlite.org/walformat.html §2.1):
/// the size of a page stands at 14, the last valid frame at 16, and how many of them are in the database at 96.
fn waiting(shared: &[u8]) -> Option<u64> {
    let number = |at: usize| Some(u32::from_ne_bytes(shared.get(at..at + 4)?.try_into().ok()?));
    let page = u16::from_ne_bytes(shared.get(14..16)?.try_into().ok()?);
    let page = if page == 1 { 65536 } else { u64::from(page) };
    let (valid, done) = (number(16)?, number(96)?);
    Some(u64::from(valid.saturating_sub(done)) * (page + 24))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_known_by_its_links() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir(at("..data")).unwrap();
        std::fs::write(at("..data/master.key"), "").unwrap();
        std::os::unix::fs::symlink("..data/master.key", at("master.key")).unwrap();
        std::os::unix::fs::symlink(at("master.key"), at("link")).unwrap();
        let is_fixed = |name: &str| entry(&at(name)).unwrap().is_fixed;
        assert_eq!((is_fixed("master.key"), is_fixed("link"), is_fixed("..data")), (true, false, false));
    }

    #[test]
    fn the_shared_index_tells_what_waits() {
        let mut shared = vec![0; 136];
        let mut put = |at: usize, bytes: &[u8]| {
            shared.splice(at..at + bytes.len(), bytes.iter().copied()).for_each(drop)
        };
        put(14, &4096_u16.to_ne_bytes());
        put(16, &10_u32.to_ne_bytes());
        put(96, &7_u32.to_ne_bytes());
        assert_eq!(waiting(&shared), Some(3 * 4120));
        assert_eq!(waiting(&[]), None);
    }
}
