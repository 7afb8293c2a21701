//! The data folder: readable by its owner alone, and held by one server at a time.

use super::Error;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::Write as _;
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, lchown,
};
use std::path::Path;
use std::time::Duration;

const LOCK: &str = "claviger.lock";

/// Makes the folder if need be, with mode 0700.
///
/// # Errors
/// If it cannot be made.
pub fn prepare(folder: &Path) -> Result<(), Error> {
    let failed = |error| Error::Unavailable(format!("the data folder {}: {error}", folder.display()));
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
    let mode = folder.metadata().map_err(failed)?.permissions().mode();
    if mode & 0o077 != 0 {
        tracing::warn!("others can look into the data folder; mend it with: chmod 700 {}", folder.display());
    }
    Ok(())
}

/// Gives the files in a folder to its owner, the server's user, where an operator has made them as root.
///
/// # Errors
/// If they cannot be given.
pub fn give_to_owner(folder: &Path) -> Result<(), Error> {
    let failed = |error| Error::Unavailable(format!("the data folder {}: {error}", folder.display()));
    if !folder.exists() {
        return Ok(());
    }
    let owner = folder.metadata().map_err(failed)?;
    for entry in folder.read_dir().map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let found = entry.metadata().map_err(failed)?;
        if found.is_file() && found.uid() != owner.uid() {
            lchown(entry.path(), Some(owner.uid()), Some(owner.gid())).map_err(failed)?;
        }
    }
    Ok(())
}

/// How long a folder may still be held by a server that is ending, or by a child that it is starting.
const PATIENCE: Duration = Duration::from_secs(1);

fn patiently(file: &File) -> Result<(), TryLockError> {
    const PAUSE: Duration = Duration::from_millis(20);
    for _ in 0..PATIENCE.as_millis() / PAUSE.as_millis() {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => std::thread::sleep(PAUSE),
            done => return done,
        }
    }
    file.try_lock()
}

/// What a server's operator can do where another holds its folder.
pub(super) const FOR_A_SERVER: &str = "Stop it, or choose another folder with --data-dir";

/// What to do before the database in a folder is copied.
pub(super) const FOR_A_COPY: &str = "Stop it first";

/// What the process that has the folder wrote of itself, if one has it.
pub(super) fn holder(folder: &Path) -> Result<Option<String>, Error> {
    let path = folder.join(LOCK);
    let failed = |error| Error::Unavailable(format!("{}: {error}", path.display()));
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    // Shared and for a moment: a server that starts meanwhile waits for longer.
    match file.try_lock_shared() {
        Ok(()) => Ok(None),
        Err(TryLockError::WouldBlock) => std::fs::read_to_string(&path).map(Some).map_err(failed),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

/// Takes the folder for this process. It is free again when the file is dropped or the process ends. Where
/// another holds it, `mend` says what to do.
pub(super) fn lock(folder: &Path, mend: &str) -> Result<File, Error> {
    let path = folder.join(LOCK);
    let failed = |error| Error::Unavailable(format!("{}: {error}", path.display()));
    let mut options = OpenOptions::new();
    let mut file =
        options.create(true).write(true).truncate(false).mode(0o600).open(&path).map_err(failed)?;
    match patiently(&file) {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let holder = std::fs::read_to_string(&path).unwrap_or_default();
            return Err(Error::Refused(format!(
                "another server, or a copy, (process {}) uses the data folder {}. {mend}",
                if holder.trim().is_empty() { "unknown" } else { holder.trim() },
                folder.display()
            )));
        }
        Err(TryLockError::Error(error)) => return Err(failed(error)),
    }
    let id = std::process::id().to_string();
    file.set_len(0).and_then(|()| file.write_all(id.as_bytes())).map_err(failed)?;
    Ok(file)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_root_made_is_given_to_the_folders_owner() {
        let (folder, nobody) = (tempfile::tempdir().unwrap(), 65534);
        let file = folder.path().join("master.key");
        std::fs::write(&file, "").unwrap();
        give_to_owner(folder.path()).unwrap();
        // Root alone can try the rest.
        if lchown(folder.path(), Some(nobody), None).is_ok() {
            give_to_owner(folder.path()).unwrap();
        }
        assert_eq!(file.metadata().unwrap().uid(), folder.path().metadata().unwrap().uid());
        give_to_owner(&folder.path().join("absent")).unwrap();
    }
}
