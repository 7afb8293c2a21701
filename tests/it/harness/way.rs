//! A way to the PostgreSQL server that a test can cut and block.

use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

const SOCKET: &str = ".s.PGSQL.5432";

/// A socket of the test's own, behind which the server is.
pub struct Way {
    folder: TempDir,
    to: PathBuf,
    open: Mutex<Vec<UnixStream>>,
    /// Bytes are taken and go nowhere, as with a host that has vanished.
    swallows: AtomicBool,
    /// The same of answers alone.
    hushes: AtomicBool,
    /// A connection ends as soon as a COMMIT has passed.
    cuts_commits: AtomicBool,
    /// How many messages began a transaction and ended it.
    whole: AtomicUsize,
}

impl Way {
    /// To the server at this URL.
    pub fn to(url: &str) -> Arc<Self> {
        let folder = tempfile::tempdir().unwrap();
        let (_, server) = url.split_once("&host=").unwrap();
        let to = Path::new(server).join(SOCKET);
        let way = Arc::new(Self {
            folder,
            to,
            open: Mutex::default(),
            swallows: AtomicBool::new(false),
            hushes: AtomicBool::new(false),
            cuts_commits: AtomicBool::new(false),
            whole: AtomicUsize::new(0),
        });
        way.clone().restore();
        way
    }

    /// Takes connections again.
    pub fn restore(self: Arc<Self>) {
        self.swallows.store(false, Ordering::SeqCst);
        let listener = UnixListener::bind(self.folder.path().join(SOCKET)).unwrap();
        std::thread::spawn(move || {
            for near in listener.incoming() {
                let (near, far) = (near.unwrap(), UnixStream::connect(&self.to).unwrap());
                self.open.lock().unwrap().extend([near.try_clone().unwrap(), far.try_clone().unwrap()]);
                let there = (near.try_clone().unwrap(), far.try_clone().unwrap());
                for (from, to, is_answer) in [(there.0, there.1, false), (far, near, true)] {
                    let way = self.clone();
                    std::thread::spawn(move || way.carry(from, to, is_answer));
                }
            }
        });
    }

    fn carry(&self, mut from: UnixStream, mut to: UnixStream, is_answer: bool) {
        let mut buffer = [0; 8192];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            let has = |word: &[u8]| buffer[..count].windows(word.len()).any(|found| found == word);
            let is_commit = has(b"COMMIT\0");
            self.whole.fetch_add(usize::from(is_commit && has(b"BEGIN ")), Ordering::SeqCst);
            let cuts = is_commit && self.cuts_commits.load(Ordering::SeqCst);
            if cuts {
                // The answer may be quicker than what follows.
                let _ = from.shutdown(Shutdown::Both);
            }
            let is_lost =
                self.swallows.load(Ordering::SeqCst) || is_answer && self.hushes.load(Ordering::SeqCst);
            if !is_lost && to.write_all(&buffer[..count]).is_err() || cuts {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Both);
    }

    /// Ends all connections, and takes no others.
    pub fn cut(&self) {
        // It may be cut already.
        let _ = std::fs::remove_file(self.folder.path().join(SOCKET));
        self.hang_up();
    }

    /// Ends all connections; answers come over new ones.
    pub fn hang_up(&self) {
        self.hushes.store(false, Ordering::SeqCst);
        for stream in self.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// The URL of the same database, this way.
    pub fn url(&self, url: &str) -> String {
        let (start, _) = url.split_once("&host=").unwrap();
        format!("{start}&host={}", self.folder.path().display())
    }

    /// Whether connections end as soon as a COMMIT has passed, before its answer.
    pub fn cut_commits(&self, cut: bool) {
        self.cuts_commits.store(cut, Ordering::SeqCst);
    }

    /// From now on answers go nowhere.
    pub fn hush(&self) {
        self.hushes.store(true, Ordering::SeqCst);
    }

    /// How many transactions were one message from their BEGIN to their COMMIT.
    pub fn whole(&self) -> usize {
        self.whole.load(Ordering::SeqCst)
    }

    /// From now on bytes go nowhere.
    pub fn block(&self) {
        self.swallows.store(true, Ordering::SeqCst);
    }
}
