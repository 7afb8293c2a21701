//! Where the master key comes from: a setting, a named file, or a file made at the first start.

use super::Error;
use crate::base::random;
use crate::config::{MAKE_MASTER_KEY, MasterKeySource};
use claviger_crypto::seal::MasterKey;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use zeroize::Zeroizing;

/// Reads the master key; makes the one in the data folder if `is_new`, so long as nothing is sealed.
///
/// # Errors
/// [`Error::Master`], saying what to do.
pub fn obtain(source: &MasterKeySource, is_new: bool) -> Result<MasterKey, Error> {
    match source {
        MasterKeySource::Given(key) => Ok(key.clone()),
        MasterKeySource::File(path) => read(
            path,
            &format!(
                "Name a file that holds it with --master-key-file; a new database needs a new one, made with: {MAKE_MASTER_KEY}"
            ),
        ),
        MasterKeySource::Own(path) if !is_new => own(path),
        MasterKeySource::Own(path) => match create(path) {
            Ok(key) => Ok(key),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => own(path),
            Err(error) => {
                Err(Error::Master(format!("the master key {} cannot be made: {error}", path.display())))
            }
        },
    }
}

fn unreadable() -> Error {
    Error::Master("the master key is not 43 characters of base64url".into())
}

/// What to do where the one in the data folder cannot be read.
const LOST: &str = "Restore the one this database was started with";

/// The one in the data folder is ours, so we see to its mode; a named one is the operator's business.
fn own(path: &Path) -> Result<MasterKey, Error> {
    let mode = path.metadata().map_or(0, |metadata| metadata.permissions().mode());
    if mode & 0o077 != 0 {
        let path = path.display();
        return Err(Error::Master(format!("others can read the master key; mend it with: chmod 600 {path}")));
    }
    read(path, LOST)
}

fn read(path: &Path, mend: &str) -> Result<MasterKey, Error> {
    let text = std::fs::read_to_string(path).map(Zeroizing::new).map_err(|error| {
        Error::Master(format!("the master key {} cannot be read: {error}. {mend}", path.display()))
    })?;
    MasterKey::from_text(text.trim()).ok_or_else(unreadable)
}

/// Makes the file whole or not at all, and never over one that is there.
fn create(path: &Path) -> std::io::Result<MasterKey> {
    if path.exists() {
        return Err(ErrorKind::AlreadyExists.into());
    }
    let key = MasterKey::new(random::bytes());
    put(path, &key)?;
    Ok(key)
}

/// Writes a key into a new file, whole or not at all.
///
/// # Errors
/// If there is a file of that name, or it cannot be written.
pub fn put(path: &Path, key: &MasterKey) -> std::io::Result<()> {
    let unfinished = path.with_extension("new");
    let mut file =
        OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&unfinished)?;
    file.write_all(key.to_text().as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    std::fs::hard_link(&unfinished, path)?;
    std::fs::remove_file(&unfinished)?;
    // The folder's entry must be on the disk before anything is sealed with the key.
    if let Some(folder) = path.parent() {
        std::fs::File::open(folder)?.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::fs::{Permissions, set_permissions};

    #[test]
    fn is_made_once_private_and_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        assert!(obtain(&MasterKeySource::Own(path.clone()), false).is_err(), "a lost one is not replaced");
        assert!(!path.exists());
        let made = obtain(&MasterKeySource::Own(path.clone()), true).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(obtain(&MasterKeySource::Own(path.clone()), true).unwrap().to_text(), made.to_text());
        assert_eq!(obtain(&MasterKeySource::File(path), true).unwrap().to_text(), made.to_text());
    }

    #[test]
    fn a_readable_missing_or_broken_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        let (named, own) = (MasterKeySource::File(path.clone()), MasterKeySource::Own(path.clone()));
        assert!(obtain(&named, true).unwrap_err().to_string().contains("/dev/urandom"));
        std::fs::write(&path, "A".repeat(43)).unwrap();
        set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        assert!(obtain(&own, true).unwrap_err().to_string().contains("chmod 600"));
        assert!(obtain(&named, true).is_ok(), "a mounted secret is often readable to a group");
        set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        assert!(obtain(&own, true).is_ok());
        std::fs::write(&path, "short").unwrap();
        assert!(obtain(&own, true).is_err());
    }
}
