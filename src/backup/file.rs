//! The file of a backup: written under another name, and given its own only when it is whole and on the disk.

use crate::base::random;
use crate::base::time::Timestamp;
use claviger_crypto::Sha256;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use std::ffi::OsString;
use std::fmt::Display;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read as _, Write};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Makes the folder of dated backups if there is none, for its owner alone. Says whether it did.
///
/// # Errors
/// If it cannot be made.
pub fn make_folder(folder: &Path) -> io::Result<bool> {
    if folder.is_dir() {
        return Ok(false);
    }
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    File::open(folder_of(folder))?.sync_all()?;
    Ok(true)
}

/// An error of writing to a place, which says what was full.
pub fn unwritten(place: impl Display, left: &str, error: &io::Error) -> io::Error {
    let what = match error.kind() {
        ErrorKind::StorageFull => "the disk is full",
        ErrorKind::QuotaExceeded => "the quota on that disk is used up",
        ErrorKind::FileTooLarge => "a file there may not be so large",
        kind => return io::Error::new(kind, format!("{place}: {error}")),
    };
    let text = format!("{place}: {what} ({error}). {left} Make room, or name another place");
    io::Error::new(error.kind(), text)
}

/// What unfinished files end with. They begin with a dot and the name that they are to have.
const UNFINISHED: &str = ".unfinished";

/// A file that is being written. Dropped before [`NewFile::keep`], it goes away.
#[derive(Debug)]
pub struct NewFile {
    path: PathBuf,
    unfinished: PathBuf,
    file: File,
    written: Sha256,
}

impl NewFile {
    /// Begins a file that is not there yet, readable by its owner alone. What earlier runs left of it when they were
    /// killed is removed.
    ///
    /// # Errors
    /// If there is a file of that name, or the folder cannot be written.
    pub fn begin(path: &Path) -> io::Result<Self> {
        let name = path.file_name().ok_or_else(|| io::Error::other("it names no file"))?;
        if fs::symlink_metadata(path).is_ok() {
            return Err(io::Error::new(
                ErrorKind::AlreadyExists,
                "it is there already, and is not written over. Name another",
            ));
        }
        let folder = folder_of(path);
        let mut prefix = OsString::from(".");
        prefix.push(name);
        clear(folder, &prefix)?;
        let number = u64::from_be_bytes(random::bytes());
        prefix.push(format!(".{number:016x}{UNFINISHED}"));
        let unfinished = folder.join(prefix);
        let file =
            OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&unfinished)?;
        // Whoever clears up sees that it is not left over.
        if let Err(TryLockError::WouldBlock) = file.try_lock() {
            return Err(io::Error::other("another backup is just being begun there"));
        }
        Ok(Self { path: path.to_owned(), unfinished, file, written: Sha256::default() })
    }

    /// Whether the disk holds what was written, as far as the system tells.
    ///
    /// # Errors
    /// If it does not, or cannot be read.
    pub fn check(&mut self) -> io::Result<()> {
        self.file.sync_all()?;
        let (mut again, mut digest) = (self.reader()?, Sha256::default());
        let mut piece = vec![0; 1 << 16];
        loop {
            match again.read(&mut piece)? {
                0 => break,
                read => digest.add(piece.get(..read).unwrap_or_default()),
            }
        }
        if digest.finish() == self.written.clone().finish() {
            return Ok(());
        }
        Err(io::Error::other("what the disk gives back is not what was written"))
    }

    /// What was written, from its beginning.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn reader(&self) -> io::Result<File> {
        File::open(&self.unfinished)
    }

    /// Gives it its name, durably, unless another has it by now.
    ///
    /// # Errors
    /// If it has, or the disk fails.
    pub fn keep(self) -> io::Result<()> {
        self.file.sync_all()?;
        match renameat_with(CWD, &self.unfinished, CWD, &self.path, RenameFlags::NOREPLACE) {
            // Some network file systems cannot do that in one step.
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) if fs::symlink_metadata(&self.path).is_err() => {
                fs::rename(&self.unfinished, &self.path)?;
            }
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => return Err(ErrorKind::AlreadyExists.into()),
            done => done?,
        }
        File::open(folder_of(&self.path))?.sync_all()
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.written.add(bytes.get(..written).unwrap_or_default());
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        // Once it has its own name there is nothing of this one.
        let _ = fs::remove_file(&self.unfinished);
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Removes unfinished files whose writers have gone.
fn clear(folder: &Path, prefix: &OsString) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let (name, prefix) = (name.as_encoded_bytes(), prefix.as_encoded_bytes());
        if name.starts_with(prefix) && name.ends_with(UNFINISHED.as_bytes()) && entry.file_type()?.is_file() {
            let is_left = File::open(entry.path()).is_ok_and(|file| file.try_lock().is_ok());
            if is_left {
                fs::remove_file(entry.path())?;
            }
        }
    }
    Ok(())
}

/// What the names of dated backups begin and end with.
const BEGIN: &str = "claviger-";
const END: &str = ".age";

/// The name of a backup of that moment. Names sort as the moments do.
pub fn dated(now: Timestamp) -> String {
    format!("{BEGIN}{}{END}", now.to_string().replace(':', ""))
}

/// Whether it is a name that [`dated`] gives.
fn is_dated(name: &str) -> bool {
    let date = name.strip_prefix(BEGIN).and_then(|rest| rest.strip_suffix(END));
    date.is_some_and(|date| {
        let form = "dddd-dd-ddTddddddZ";
        date.len() == form.len()
            && date.bytes().zip(form.bytes()).all(|(given, form)| match form {
                b'd' => given.is_ascii_digit(),
                form => given == form,
            })
    })
}

/// Removes what killed runs have left of dated backups.
///
/// # Errors
/// If the folder cannot be read or written.
pub fn clear_dated(folder: &Path) -> io::Result<()> {
    clear(folder, &OsString::from(format!(".{BEGIN}")))
}

/// Deletes all dated backups but the one at `made`, which is kept, and the newest before it. Nothing of another name is
/// touched, nor one with a later date, which a clock that was wrong may have given. Gives the names of those that went.
///
/// # Errors
/// If the folder cannot be read or written.
pub fn prune(folder: &Path, made: &Path, kept: usize) -> io::Result<Vec<String>> {
    let made = made.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().into_string().ok().filter(|name| is_dated(name) && name.as_str() < made);
        if let Some(name) = name.filter(|_| entry.file_type().is_ok_and(|kind| kind.is_file())) {
            found.push(name);
        }
    }
    found.sort_unstable();
    found.truncate((found.len() + 1).saturating_sub(kept));
    for name in &found {
        fs::remove_file(folder.join(name))?;
    }
    if !found.is_empty() {
        File::open(folder)?.sync_all()?;
    }
    Ok(found)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_has_its_name_when_it_is_whole_and_not_before() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("b.age");
        let mut file = NewFile::begin(&path).unwrap();
        file.write_all(b"half").unwrap();
        assert!(!path.exists());
        drop(file);
        assert_eq!(names(folder.path()), [""; 0]);

        let left = folder.path().join(".b.age.0123456789abcdef.unfinished");
        fs::write(&left, "of a run that was killed").unwrap();
        fs::write(folder.path().join(".c.age.0.unfinished"), "of another file").unwrap();
        let mut file = NewFile::begin(&path).unwrap();
        assert!(!left.exists());
        let mut second = NewFile::begin(&path).unwrap();
        second.write_all(b"the second").unwrap();
        file.write_all(b"whole").unwrap();
        file.check().unwrap();
        file.keep().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"whole");
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(second.keep().unwrap_err().kind(), ErrorKind::AlreadyExists);
        assert_eq!(NewFile::begin(&path).unwrap_err().kind(), ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"whole");
        assert_eq!(names(folder.path()), [".c.age.0.unfinished", "b.age"]);
    }

    #[test]
    fn what_the_disk_has_changed_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = NewFile::begin(&folder.path().join("b.age")).unwrap();
        file.write_all(b"whole").unwrap();
        fs::write(&file.unfinished, "whale").unwrap();
        assert!(file.check().is_err());
    }

    #[test]
    fn the_oldest_of_ours_go_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let at = |second| dated(Timestamp::from_seconds(second));
        assert_eq!(at(1_795_456_035), "claviger-2026-11-23T174715Z.age");
        let others = [
            "claviger-2026-11-23T174715Z.age.asc",
            "claviger-2026-11-23.age",
            "claviger-0000-00-00T0000000.age",
            "my-claviger-2026-11-23T174715Z.age",
            "notes.txt",
        ];
        let ours = [at(1_795_456_035), at(100), at(1_700_000_000), at(5)];
        for name in ours.iter().map(String::as_str).chain(others) {
            fs::write(folder.path().join(name), "").unwrap();
        }
        fs::create_dir(folder.path().join(at(1))).unwrap();
        let made = |second| folder.path().join(at(second));
        assert_eq!(prune(folder.path(), &made(1_795_456_035), 4).unwrap(), [""; 0]);
        assert_eq!(prune(folder.path(), &made(1_795_456_035), 2).unwrap(), [at(5), at(100)]);
        assert_eq!(names(folder.path()).len(), 2 + others.len() + 1);
        // The clock was ahead when the other was made.
        assert_eq!(prune(folder.path(), &made(1_700_000_000), 1).unwrap(), [""; 0]);
        assert_eq!(prune(folder.path(), &made(1_795_456_035), 1).unwrap(), [at(1_700_000_000)]);
    }
}
