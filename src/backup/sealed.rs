//! Sealing a backup for a passphrase or for the holders of keys: the age format, version 1 (age-encryption.org/v1), so
//! that the tools `age` and `rage` open it too.

use super::Error;
use age::secrecy::{ExposeSecret as _, SecretString};
use age::stream::{StreamReader, StreamWriter};
use age::{DecryptError, Decryptor, Encryptor, Identity, Recipient, scrypt, x25519};
use std::io::{Read, Write};

/// The work of a passphrase, as the tool `age` has it: scrypt with N = 2^18, 256 MiB and a second or so.
const WORK: u8 = 18;

/// The most work that a file may ask for: 1 GiB.
const MOST_WORK: u8 = 20;

/// The shortest passphrase that a backup is sealed with. Who has the file can guess for as long as he likes.
pub const SHORTEST: usize = 12;

/// The longest line of an identity file.
const LONGEST_LINE: usize = 4096;

/// What a backup is sealed with.
pub enum Lock {
    /// A passphrase.
    Passphrase(SecretString),
    /// Public keys, any of whose holders can open it.
    Recipients(Vec<x25519::Recipient>),
}

impl Lock {
    /// A lock by passphrase.
    ///
    /// # Errors
    /// If it is too short.
    pub fn passphrase(passphrase: SecretString) -> Result<Self, String> {
        if passphrase.expose_secret().chars().count() < SHORTEST {
            return Err(format!(
                "the passphrase is too short: it has to have {SHORTEST} characters at least"
            ));
        }
        Ok(Self::Passphrase(passphrase))
    }

    /// A lock by public keys, written as `age-keygen` does.
    ///
    /// # Errors
    /// Which is none.
    pub fn recipients<'a>(written: impl IntoIterator<Item = &'a String>) -> Result<Self, String> {
        let parsed = written.into_iter().map(|text| {
            text.parse().map_err(|_| {
                // A private key may have been given by mistake.
                let shown = if text.starts_with("age1") { text } else { "what was given" };
                format!("{shown} is no recipient. Write it like age1…, as age-keygen prints it as public key")
            })
        });
        Ok(Self::Recipients(parsed.collect::<Result<_, _>>()?))
    }

    /// What it is, for people.
    pub fn name(&self) -> String {
        match self {
            Self::Passphrase(_) => "a passphrase".into(),
            Self::Recipients(recipients) if recipients.len() == 1 => "1 recipient".into(),
            Self::Recipients(recipients) => format!("{} recipients", recipients.len()),
        }
    }

    /// The key that opens it again, where it is the same.
    pub fn key(&self) -> Option<Key> {
        match self {
            Self::Passphrase(passphrase) => Some(Key::Passphrase(passphrase.clone())),
            Self::Recipients(_) => None,
        }
    }

    /// Seals what is written, until `finish`.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn seal<W: Write>(&self, out: W) -> Result<StreamWriter<W>, Error> {
        let sealing = match self {
            Self::Passphrase(passphrase) => {
                let mut recipient = scrypt::Recipient::new(passphrase.clone());
                recipient.set_work_factor(WORK);
                Encryptor::with_recipients(std::iter::once(&recipient as &dyn Recipient))
            }
            Self::Recipients(recipients) => {
                Encryptor::with_recipients(recipients.iter().map(|recipient| recipient as &dyn Recipient))
            }
        };
        let sealing = sealing.map_err(|error| Error::Write(format!("it cannot be sealed: {error}")))?;
        sealing.wrap_output(out).map_err(|error| Error::Write(error.to_string()))
    }
}

/// What opens a backup.
pub enum Key {
    /// A passphrase.
    Passphrase(SecretString),
    /// Private keys, of which one has to fit.
    Identities(Vec<x25519::Identity>),
}

impl Key {
    /// Reads an identity file, as `age-keygen` writes it.
    ///
    /// # Errors
    /// Which line is none; that never repeats it.
    pub fn identities(text: &str) -> Result<Self, String> {
        let mut identities = Vec::new();
        for (number, line) in (1_usize..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let identity =
                Some(line).filter(|line| line.len() <= LONGEST_LINE).and_then(|it| it.parse().ok());
            identities.push(identity.ok_or_else(|| {
                format!("its line {number} is no identity of age. It is written like AGE-SECRET-KEY-1…")
            })?);
        }
        if identities.is_empty() {
            return Err("it holds no identity. Make one with: age-keygen -o FILE".into());
        }
        Ok(Self::Identities(identities))
    }
}

/// A sealed backup whose outer header was read.
pub struct Sealed<R: Read>(Decryptor<R>);

impl<R: Read> Sealed<R> {
    /// Reads the outer header.
    ///
    /// # Errors
    /// If it is none of age.
    pub fn read(input: R) -> Result<Self, Error> {
        Decryptor::new(input).map(Self).map_err(|error| match error {
            DecryptError::Io(error) if error.kind() != std::io::ErrorKind::UnexpectedEof => {
                Error::Read(error.to_string())
            }
            DecryptError::UnknownFormat => Error::Refused(
                "it is in a newer form of age, or one with armor, which is not read here".into(),
            ),
            _ => Error::Refused("it is no backup: it is not in the format of age".into()),
        })
    }

    /// Whether a passphrase opens it; otherwise an identity does.
    pub fn needs_passphrase(&self) -> bool {
        self.0.is_scrypt()
    }

    /// Opens it.
    ///
    /// # Errors
    /// If the key is not the right one.
    pub fn open(self, key: &Key) -> Result<StreamReader<R>, Error> {
        let (opened, wrong) = match key {
            Key::Passphrase(passphrase) => {
                let mut identity = scrypt::Identity::new(passphrase.clone());
                identity.set_max_work_factor(MOST_WORK);
                (self.0.decrypt(std::iter::once(&identity as &dyn Identity)), "the passphrase is wrong")
            }
            Key::Identities(identities) => (
                self.0.decrypt(identities.iter().map(|identity| identity as &dyn Identity)),
                "none of the identities is one that it was sealed for",
            ),
        };
        opened.map_err(|error| match error {
            DecryptError::Io(error) => Error::Read(error.to_string()),
            DecryptError::InvalidMac | DecryptError::InvalidHeader => {
                Error::Damaged("its outer header was changed".into())
            }
            DecryptError::ExcessiveWork { required, .. } => Error::Refused(format!(
                "its passphrase asks for work of 2^{required}, more than 2^{MOST_WORK}"
            )),
            _ => Error::Locked(wrong),
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_key_is_refused_and_never_repeated() {
        for text in ["", "# only a comment\n", "hunter2\n", "AGE-SECRET-KEY-1HUNTER2", "age1hunter2"] {
            let why = Key::identities(text).err().unwrap();
            assert!(!why.contains("hunter2") && !why.contains("HUNTER2") && why.contains("age"), "{why}");
        }
        for (text, shown) in [("age1abc", true), ("AGE-SECRET-KEY-1ABC", false), ("", false)] {
            let why = Lock::recipients(&[text.to_owned()]).err().unwrap();
            assert_eq!(why.contains(text) && !text.is_empty(), shown, "{why}");
        }
        assert!(Lock::passphrase("eleven char".into()).is_err());
        assert!(Lock::passphrase("twelve chars".into()).is_ok());
    }

    #[test]
    fn it_opens_for_each_recipient_and_nobody_else() {
        let keys = [x25519::Identity::generate(), x25519::Identity::generate(), x25519::Identity::generate()];
        let (last, first) = keys.split_last().unwrap();
        let lock = Lock::recipients(&first.iter().map(|key| key.to_public().to_string()).collect::<Vec<_>>());
        let mut sealing = lock.unwrap().seal(Vec::new()).unwrap();
        sealing.write_all(b"what nobody else may know").unwrap();
        let sealed = sealing.finish().unwrap();
        for key in first {
            let text = format!("# a comment\n\n{}\n", key.to_string().expose_secret());
            let opened = Sealed::read(&sealed[..]).unwrap();
            assert!(!opened.needs_passphrase());
            let mut plain = Vec::new();
            opened.open(&Key::identities(&text).unwrap()).unwrap().read_to_end(&mut plain).unwrap();
            assert_eq!(plain, b"what nobody else may know");
        }
        let other = Key::Identities(vec![last.clone()]);
        assert!(matches!(Sealed::read(&sealed[..]).unwrap().open(&other), Err(Error::Locked(_))));
        assert!(matches!(Sealed::read(&b"hunter2"[..]), Err(Error::Refused(_))));
    }
}
