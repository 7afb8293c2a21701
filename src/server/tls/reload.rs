//! A renewed certificate is taken as it is put there. The files are looked at every two seconds, and at SIGHUP; what
//! does not work is refused and told, and the one in use stays.

use super::Tls;
use super::certificate::{self, Contents, Error, Identity};
use crate::base::time::{Clock, Timestamp};
use crate::config::TlsFiles;
use claviger_crypto::sha256;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinError;
use tokio::time::{MissedTickBehavior, interval};
use zeroize::Zeroizing;

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// How often it is said that a certificate ends soon.
const TELL_EVERY: Duration = Duration::from_secs(24 * 3600);

/// What tells a file that was written or replaced: device, inode, size, and both its times in nanoseconds.
type Mark = Option<[i64; 6]>;

fn mark(path: &Path) -> Mark {
    let of = path.metadata().ok()?;
    let signed = u64::cast_signed;
    let written = of.mtime().wrapping_mul(1_000_000_000).wrapping_add(of.mtime_nsec());
    Some([signed(of.dev()), signed(of.ino()), signed(of.size()), written, of.ctime(), of.ctime_nsec()])
}

fn marks(files: &TlsFiles) -> [Mark; 2] {
    [mark(&files.certificate), mark(&files.key)]
}

fn digest(contents: &Contents) -> [u8; 32] {
    let length = contents.certificate.len().to_le_bytes();
    sha256(&Zeroizing::new([&length[..], &contents.certificate, &contents.key].concat()))
}

/// What was seen last.
pub(in crate::server) struct Watch {
    marks: [Mark; 2],
    in_use: [u8; 32],
    told: Option<Timestamp>,
    /// Why the files could not be read at the last look, if they could not.
    unreadable: Option<String>,
    /// When what was refused may be taken, if it only came too early.
    good_from: Option<Timestamp>,
}

/// The first look.
pub(super) fn first(files: &TlsFiles, host: Option<&str>) -> Result<(Identity, Watch), Error> {
    // Before reading, so that what changes meanwhile is seen at the next look.
    let marks = marks(files);
    let contents = certificate::read(files)?;
    let identity = certificate::identity(&contents, files, host)?;
    let in_use = digest(&contents);
    Ok((identity, Watch { marks, in_use, told: None, unreadable: None, good_from: None }))
}

/// What came of a look.
pub(super) enum Seen {
    /// The files are as they were.
    Same,
    /// They were touched, and hold what is in use.
    SameContents,
    Renewed(Identity),
    Refused(Error),
}

impl Watch {
    /// The same, after it was said at this moment that the certificate ends soon.
    pub(super) fn told(self, told: Option<Timestamp>) -> Self {
        Self { told, ..self }
    }

    /// Looks for a change; `asked` reads the files even if nothing tells of one. What is there takes the place of
    /// `old` if it is as good.
    pub(super) fn look(
        &mut self,
        files: &TlsFiles,
        host: Option<&str>,
        old: &Identity,
        now: Timestamp,
        asked: bool,
    ) -> Seen {
        let marks = marks(files);
        let is_due = self.good_from.is_some_and(|from| now >= from);
        if marks == self.marks && !asked && !is_due {
            return Seen::Same;
        }
        let contents = match certificate::read(files) {
            Ok(contents) => contents,
            // It is tried at each look, and told once.
            Err(why) => {
                let text = Some(why.to_string());
                let is_told = self.unreadable == text && !asked;
                self.unreadable = text;
                return if is_told { Seen::Same } else { Seen::Refused(why) };
            }
        };
        (self.marks, self.unreadable, self.good_from) = (marks, None, None);
        let digest = digest(&contents);
        if digest == self.in_use {
            return Seen::SameContents;
        }
        let new = certificate::identity(&contents, files, host)
            .and_then(|new| new.expect_as_good_as(old, files, now).map(|()| new));
        match new {
            Ok(identity) => {
                (self.in_use, self.told) = (digest, None);
                Seen::Renewed(identity)
            }
            Err(why) => {
                if let Error::NotYetValid(_, from) = why {
                    self.good_from = Some(from);
                }
                Seen::Refused(why)
            }
        }
    }

    /// Whether it is time to say again that the certificate ends soon.
    fn is_due(&self, now: Timestamp) -> bool {
        self.told.is_none_or(|told| now.since(told) >= TELL_EVERY)
    }
}

/// Receives SIGHUP from now on. Without it the signal would end the process.
pub(in crate::server) fn hangups() -> std::io::Result<Signal> {
    signal(SignalKind::hangup())
}

/// Takes what is put there, until it is dropped.
pub(in crate::server) async fn keep_up(tls: Arc<Tls>, mut watch: Watch, mut hangups: Signal, clock: Clock) {
    let mut turns = interval(LOOK_EVERY);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let asked = tokio::select! {
            _ = hangups.recv() => true,
            _ = turns.tick() => false,
        };
        watch = match turn(tls.clone(), watch, clock.now(), asked).await {
            Ok(watch) => watch,
            Err(error) => {
                tracing::error!(%error, "the TLS certificate is not looked at any more. Restart the server to renew it");
                return;
            }
        };
    }
}

/// One look, on a thread that may wait for a disk.
#[allow(clippy::disallowed_methods)] // A task of the server.
async fn turn(tls: Arc<Tls>, mut watch: Watch, now: Timestamp, asked: bool) -> Result<Watch, JoinError> {
    let looked = tokio::task::spawn_blocking(move || {
        let seen = watch.look(&tls.files, tls.host.as_deref(), &tls.identity(), now, asked);
        settle(&tls, seen, asked);
        if watch.is_due(now) && tls.tell_age(now) {
            watch.told = Some(now);
        }
        watch
    });
    looked.await
}

fn settle(tls: &Tls, seen: Seen, asked: bool) {
    match seen {
        Seen::Same => {}
        Seen::SameContents if !asked => {}
        Seen::SameContents => tracing::info!("the TLS certificate is the one in use already"),
        Seen::Renewed(identity) => {
            tracing::info!(expires = %identity.expires(), "a new TLS certificate is in use; open connections go on");
            tls.replace(identity);
            tls.tell();
        }
        Seen::Refused(error) => {
            tracing::error!(%error, "the new TLS certificate is refused; the one before it stays in use");
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const MOMENT: Timestamp = Timestamp::from_seconds(1_795_435_200);
    const DAY: Duration = TELL_EVERY;

    /// A self-signed certificate that ends so many days after [`MOMENT`], and its key.
    fn issue(host: &str, days: i64) -> (String, String) {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut asked = rcgen::CertificateParams::new(vec![host.to_owned()]).unwrap();
        let end = MOMENT.as_seconds() + days * 86400;
        let at = |second: i64| rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(second.unsigned_abs());
        (asked.not_before, asked.not_after) = (at(end - 90 * 86400), at(end));
        (asked.self_signed(&key).unwrap().pem(), key.serialize_pem())
    }

    struct Folder {
        files: TlsFiles,
        _folder: tempfile::TempDir,
    }

    impl Folder {
        fn with((certificate, key): &(String, String)) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let at = |name: &str| folder.path().join(name);
            let files = TlsFiles { certificate: at("chain.pem"), key: at("key.pem") };
            let new = Self { files, _folder: folder };
            new.put(certificate, key);
            new
        }

        fn put(&self, certificate: &str, key: &str) {
            std::fs::write(&self.files.certificate, certificate).unwrap();
            std::fs::write(&self.files.key, key).unwrap();
        }
    }

    #[test]
    fn what_fits_is_taken_and_what_does_not_is_refused() {
        let (old, new) = (issue("auth.example.org", 60), issue("auth.example.org", 90));
        let folder = Folder::with(&old);
        let (identity, mut watch) = first(&folder.files, None).unwrap();
        let mut look = |asked| watch.look(&folder.files, None, &identity, MOMENT, asked);
        assert!(matches!(look(false), Seen::Same));
        assert!(matches!(look(true), Seen::SameContents));
        folder.put(&old.0, &old.1);
        assert!(matches!(look(false), Seen::SameContents), "touched");

        folder.put(&new.0, &old.1);
        assert!(matches!(look(false), Seen::Refused(Error::Mismatch(..))));
        assert!(matches!(look(false), Seen::Same), "said once");
        assert!(matches!(look(true), Seen::Refused(Error::Mismatch(..))), "or when asked");
        folder.put(&new.0, &new.1);
        let Seen::Renewed(identity) = look(false) else { unreachable!() };
        assert_eq!(identity.expires(), MOMENT.plus(90 * DAY));

        std::fs::remove_file(&folder.files.key).unwrap();
        assert!(matches!(look(false), Seen::Refused(Error::Unreadable(..))));
        assert!(matches!(look(false), Seen::Same));
        folder.put(&new.0, &new.1);
        assert!(matches!(look(false), Seen::SameContents), "as it was");
        // As certbot does it: another file under the same name.
        let other = folder.files.certificate.with_extension("new");
        std::fs::write(&other, &old.0).unwrap();
        std::fs::rename(&other, &folder.files.certificate).unwrap();
        assert!(matches!(look(false), Seen::Refused(Error::Mismatch(..))));
    }

    #[test]
    fn what_clients_would_refuse_takes_no_good_ones_place() {
        let host = "auth.example.org";
        let good = issue(host, 60);
        let folder = Folder::with(&good);
        let (mut old, mut watch) = first(&folder.files, Some(host)).unwrap();
        let mut look = |put: Option<&(String, String)>, now| {
            put.iter().for_each(|(certificate, key)| folder.put(certificate, key));
            let seen = watch.look(&folder.files, Some(host), &old, now, false);
            match seen {
                Seen::Same => "same".to_owned(),
                Seen::SameContents => "in use".to_owned(),
                Seen::Refused(error) => error.to_string(),
                Seen::Renewed(identity) => {
                    old = identity;
                    "taken".to_owned()
                }
            }
        };
        let (foreign, ended, early) = (issue("www.example.org", 90), issue(host, -1), issue(host, 91));
        for (put, words) in [
            (&foreign, "is not for auth.example.org"),
            (&ended, "has expired, at 2026-11-22T12:00:00Z"),
            (&early, "is valid only from 2026-11-24T12:00:00Z on"),
        ] {
            let said = look(Some(put), MOMENT);
            assert!(said.contains(words), "{said}");
            assert_eq!(look(None, MOMENT), "same", "said once");
        }
        // Nothing has to touch it again.
        assert_eq!(look(None, MOMENT.plus(DAY)), "taken");
        assert_eq!(look(Some(&good), MOMENT.plus(DAY)), "taken");
        // Where clients refuse the one in use, there is nothing to keep but its name.
        assert!(look(Some(&foreign), MOMENT.plus(DAY * 61)).contains("is not for auth.example.org"));
        assert_eq!(look(Some(&issue(host, 59)), MOMENT.plus(DAY * 61)), "taken");
        assert_eq!(look(Some(&issue(host, 150)), MOMENT.plus(DAY * 61)), "taken");
    }

    #[test]
    fn other_names_are_taken_if_they_cover_the_issuer_or_the_old_ones_did_not() {
        let (old, new) = (issue("auth.example.org", 60), issue("*.example.org", 90));
        for (host, put, is_taken) in [
            (Some("auth.example.org"), &new, true),
            (Some("auth.example.org"), &issue("*.example.net", 90), false),
            (Some("login.example.org"), &issue("other.example.org", 90), true),
            (None, &issue("other.example.org", 90), true),
        ] {
            let folder = Folder::with(&old);
            let (identity, mut watch) = first(&folder.files, host).unwrap();
            folder.put(&put.0, &put.1);
            let seen = watch.look(&folder.files, host, &identity, MOMENT, false);
            assert_eq!(matches!(seen, Seen::Renewed(_)), is_taken, "{host:?}");
        }
    }

    #[test]
    fn an_end_that_is_near_is_told_once_a_day() {
        let folder = Folder::with(&issue("auth.example.org", 13));
        let (identity, mut watch) = first(&folder.files, None).unwrap();
        assert!(watch.is_due(MOMENT));
        watch.told = Some(MOMENT);
        assert!(!watch.is_due(MOMENT.plus(DAY - Duration::from_secs(1))) && watch.is_due(MOMENT.plus(DAY)));
        let said = |days: u32| identity.age(MOMENT.plus(DAY * days)).map(|age| age.to_string());
        assert!(said(0).unwrap().contains("in 13d"), "{:?}", said(0));
        assert!(said(12).unwrap().contains("in 24h") || said(12).unwrap().contains("in 1d"));
        assert!(said(13).unwrap().contains("has expired") && said(400).unwrap().contains("has expired"));
        let (before, early) = (MOMENT.minus(DAY * 2), MOMENT.minus(DAY * 78));
        assert_eq!((identity.age(before), early < MOMENT), (None, true), "14 days before");
        assert!(identity.age(early).unwrap().to_string().contains("valid only from"));
    }

    #[test]
    fn each_fault_of_a_file_has_its_words() {
        let (good, other) = (issue("auth.example.org", 90), issue("auth.example.org", 90));
        let folder = Folder::with(&good);
        let sealed = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let no_key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        for (certificate, key, words) in [
            ("", good.1.as_str(), "holds no PEM certificate"),
            (good.1.as_str(), &good.1, "holds no PEM certificate"),
            (broken, &good.1, "is broken"),
            (&good.0, "", "holds no PEM private key"),
            (&good.0, &good.0, "holds no PEM private key"),
            (&good.0, no_key, "is broken or of a kind"),
            (&good.0, sealed, "is encrypted"),
            (&good.0, &other.1, "is not that of the first certificate"),
            // Another's certificate before the own one.
            (&format!("{}{}", other.0, good.0), &good.1, "is not that of the first certificate"),
        ] {
            folder.put(certificate, key);
            let error = first(&folder.files, None).map(drop).unwrap_err().to_string();
            assert!(error.contains(words), "{words}: {error}");
            let secret = good.1.lines().nth(1).unwrap();
            assert!(!error.contains(secret), "{error}");
        }
    }

    #[test]
    fn what_is_doubtful_is_said() {
        use std::fs::Permissions;
        use std::os::unix::fs::PermissionsExt as _;
        let folder = Folder::with(&issue("auth.example.org", 90));
        let mode = |mode| std::fs::set_permissions(&folder.files.key, Permissions::from_mode(mode)).unwrap();
        let doubts = |host: Option<&str>| {
            let (identity, _) = first(&folder.files, host).unwrap();
            identity.doubts().map(|doubt| doubt.to_string()).collect::<String>()
        };
        for (bits, is_open) in [(0o600, false), (0o640, false), (0o644, true)] {
            mode(bits);
            assert_eq!(!doubts(Some("auth.example.org")).is_empty(), is_open, "{bits:o}");
        }
        mode(0o600);
        assert!(doubts(Some("www.example.org")).contains("not for www.example.org"));
        assert!(doubts(Some("127.0.0.1")).contains("not for 127.0.0.1"));
    }
}
