//! How fast the password threads hash, and what memory the kernel gives them for it.

use crate::config::Hash;
use crate::password_pool::{Error, PasswordPool};
use claviger_crypto::password::{Hasher, OutOfMemory};
use futures_util::future::try_join_all;
use std::fs::read_to_string;
use std::time::{Duration, Instant};

/// How long the threads hash for one figure.
const LONG: Duration = Duration::from_millis(250);

/// Why there is no figure.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failed {
    /// Logins would fail for it.
    #[error("one hash takes longer than the 5 s that a login waits. Lower hash_memory_kib or hash_passes")]
    Slow,
    /// A thread has failed.
    #[error("a password thread failed. Try hash_engine = \"plain\", and please report it")]
    Thread,
    /// Not enough memory.
    #[error("{0}. Lower hash_memory_kib or hash_threads")]
    Memory(#[from] OutOfMemory),
    /// No thread, no runtime.
    #[error(transparent)]
    System(#[from] std::io::Error),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        match error {
            Error::Busy => Self::Slow,
            Error::Failed => Self::Thread,
        }
    }
}

/// What was measured with all threads at work.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate {
    /// Hashes a second, of all threads together.
    pub(crate) per_second: f64,
    /// How long one took.
    pub(crate) each: Duration,
    /// How much of the memory is on huge pages, where the kernel says so.
    pub(crate) huge_kib: Option<u64>,
}

/// Lets threads like those of the server hash for a while.
pub(crate) fn measure(hash: Hash) -> Result<Rate, Failed> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let before = huge_kib();
    let pool = PasswordPool::start(Hash { queue: hash.threads, ..hash })?;
    let until = Instant::now() + LONG;
    let work = (0..hash.threads).map(|_| pool.run(move |hasher| hash_until(hasher, until)));
    let works = runtime.block_on(try_join_all(work))?;
    // The threads still hold their memory.
    let huge_kib = huge_kib().zip(before).map(|(now, before)| now.saturating_sub(before));
    let per_second = works.into_iter().sum::<Result<f64, _>>()?;
    let threads = u32::try_from(hash.threads).unwrap_or(u32::MAX);
    let each = Duration::from_secs_f64(f64::from(threads) / per_second);
    Ok(Rate { per_second, each, huge_kib })
}

/// Hashes a second on this thread. The first one, which takes the memory, counts only where it is the last.
fn hash_until(hasher: &mut Hasher, until: Instant) -> Result<f64, OutOfMemory> {
    let (mut began, mut count) = (Instant::now(), 0_u32);
    for number in 0.. {
        hasher.hash(b"correct horse battery staple", [0; 16])?;
        count += 1;
        if Instant::now() >= until {
            break;
        }
        if number == 0 {
            (began, count) = (Instant::now(), 0);
        }
    }
    Ok(f64::from(count) / began.elapsed().as_secs_f64())
}

/// Memory of this process on huge pages; only Linux tells.
fn huge_kib() -> Option<u64> {
    kib(&read_to_string("/proc/self/smaps_rollup").ok()?, "AnonHugePages:")
}

/// Memory that this machine or container has; only Linux tells.
pub(crate) fn machine_kib() -> Option<u64> {
    let machine = kib(&read_to_string("/proc/meminfo").ok()?, "MemTotal:")?;
    let limit = read_to_string("/sys/fs/cgroup/memory.max").ok();
    let limit = limit.and_then(|bytes| bytes.trim().parse::<u64>().ok()).map(|bytes| bytes / 1024);
    Some(limit.map_or(machine, |limit| limit.min(machine)))
}

/// Whether the kernel gives huge pages to nobody.
pub(crate) fn never_huge() -> bool {
    read_to_string("/sys/kernel/mm/transparent_hugepage/enabled").is_ok_and(|text| text.contains("[never]"))
}

/// The number in the line of `name` in such a list of the kernel's.
fn kib(list: &str, name: &str) -> Option<u64> {
    let line = list.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_lists_are_read() {
        let list =
            "0040-7fff ---p 0 00:00 0 [rollup]\nRss:    4 kB\nAnonHugePages:     36864 kB\nLocked: x kB\n";
        assert_eq!(kib(list, "AnonHugePages:"), Some(36864));
        assert_eq!(kib(list, "HugePages:"), None);
        assert_eq!(kib(list, "Locked:"), None);
        assert_eq!(machine_kib().is_some(), cfg!(target_os = "linux"));
    }
}
