//! How fast the password threads hash, and what memory the kernel gives them for it.

use crate::config::Hash;
use crate::password_pool::{Error, PasswordPool};
use claviger_crypto::password::{Hasher, OutOfMemory};
use futures_util::future::try_join_all;
use std::fs::read_to_string;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long the threads hash for one figure.
const LONG: Duration = Duration::from_millis(250);

/// The same where the best of many counts.
const SHORT: Duration = Duration::from_millis(100);

/// How many of those there are at most.
const ROUNDS: usize = 8;

/// After this none begins: one takes 5 s at most, so that all of them end in time.
const ENOUGH: Duration = Duration::from_millis(1500);

/// Where the slowest makes less than this part of the best, something else was in the way.
const EVEN: f64 = 0.6;

/// Where the threads had a processor for less than this part of the time, something else had it.
const UNDISTURBED: f64 = 0.7;

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

/// What came of measuring beside whatever else the machine does.
#[derive(Clone, Debug)]
pub(crate) struct Hashing {
    /// The best of a few, since all else on the machine only slows, or why there is none.
    pub(crate) rate: Result<Rate, String>,
    /// Hashes a second when nothing else runs, as the threads' share of the processors lets guess.
    pub(crate) at_rest: f64,
    /// Whether other things took the processors meanwhile.
    pub(crate) is_busy: bool,
}

/// Measures several times for a short while.
pub(crate) fn best(hash: Hash) -> Hashing {
    let (began, cpu) = (Instant::now(), cpu_time());
    let mut all = Vec::new();
    let mut failed = None;
    for _ in 0..ROUNDS {
        match measure_for(hash, SHORT) {
            Ok(rate) => all.push(rate),
            Err(error) => failed = Some(error.to_string()),
        }
        if failed.is_some() || began.elapsed() >= ENOUGH {
            break;
        }
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from).min(hash.threads);
    let cores = f64::from(u32::try_from(cores).unwrap_or(u32::MAX));
    let file = |path: &str| read_to_string(path).ok();
    // What is counted there are whole processors, and one at least.
    let cores =
        quota(&file("/proc/self/cgroup").unwrap_or_default(), file).map_or(cores, |most| cores.min(most));
    let taken = cpu_time().zip(cpu).map(|(now, before)| now.saturating_sub(before));
    judged(all, failed, share(taken, began.elapsed(), cores))
}

/// Which part of the time these had a processor; all of it where that is not known.
fn share(taken: Option<Duration>, passed: Duration, cores: f64) -> f64 {
    let wanted = passed.as_secs_f64() * cores;
    taken.map_or(1.0, |taken| (taken.as_secs_f64() / wanted).clamp(0.01, 1.0))
}

/// How many processors the control groups of this process leave it, the least of them all, where one sets a bound; cgroup
/// v2 alone. `cpu.max` has how long they may work in each period, and the period, in microseconds.
fn quota(groups: &str, file: impl Fn(&str) -> Option<String>) -> Option<f64> {
    let group = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let bounds = Path::new(group).ancestors().filter_map(|group| {
        let text = file(Path::new("/sys/fs/cgroup").join(group).join("cpu.max").to_str()?)?;
        let (most, period) = text.trim().split_once(' ')?;
        let (most, period) = (most.parse::<f64>().ok()?, period.parse::<f64>().ok()?);
        (most > 0.0 && period > 0.0).then_some(most / period)
    });
    bounds.reduce(f64::min)
}

fn judged(all: Vec<Rate>, failed: Option<String>, share: f64) -> Hashing {
    let speeds = || all.iter().map(|rate| rate.per_second);
    let (fastest, slowest) = (speeds().fold(0.0, f64::max), speeds().fold(f64::INFINITY, f64::min));
    let is_busy = share < UNDISTURBED || slowest < fastest * EVEN || failed.is_some() && !all.is_empty();
    let best = all.into_iter().max_by(|one, other| one.per_second.total_cmp(&other.per_second));
    Hashing { rate: best.ok_or(failed.unwrap_or_default()), at_rest: fastest / share, is_busy }
}

/// Lets threads like those of the server hash for a while.
pub(crate) fn measure(hash: Hash) -> Result<Rate, Failed> {
    measure_for(hash, LONG)
}

fn measure_for(hash: Hash, long: Duration) -> Result<Rate, Failed> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let before = huge_kib();
    let pool = PasswordPool::start(Hash { queue: hash.threads, ..hash })?;
    let until = Instant::now() + long;
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

/// How long processors have worked for this process; only Linux tells. `man 5 proc_pid_stat`: the fields 14 and 15, in
/// hundredths of a second; the second field may hold anything.
fn cpu_time() -> Option<Duration> {
    let stat = read_to_string("/proc/self/stat").ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<u64>().ok();
    Some(Duration::from_millis((next()? + next()?) * 10))
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

    fn rate(per_second: f64) -> Rate {
        Rate { per_second, each: Duration::from_secs_f64(1.0 / per_second), huge_kib: None }
    }

    #[test]
    fn the_best_counts_and_a_busy_machine_shows() {
        let best = |speeds: &[f64], share| {
            let found = judged(speeds.iter().copied().map(rate).collect(), None, share);
            (found.rate.map(|rate| rate.per_second), found.at_rest, found.is_busy)
        };
        assert_eq!(best(&[90.0, 100.0, 70.0], 1.0), (Ok(100.0), 100.0, false));
        assert_eq!(best(&[50.0, 100.0], 1.0), (Ok(100.0), 100.0, true), "uneven");
        assert_eq!(best(&[50.0, 50.0], 0.5), (Ok(50.0), 100.0, true), "half the time");
        let found = judged(vec![rate(2.0)], Some("slow".into()), 1.0);
        assert!(found.rate.is_ok() && found.is_busy, "a later one that failed");
        let found = judged(Vec::new(), Some("slow".into()), 1.0);
        assert!(found.rate.is_err_and(|why| why == "slow") && !found.is_busy);
    }

    #[test]
    fn the_share_of_the_processors_is_seen() {
        let second = Duration::from_secs(1);
        assert!((share(Some(second), second, 2.0) - 0.5).abs() < 1e-9);
        assert!((share(Some(second / 2), second, 0.5) - 1.0).abs() < 1e-9, "all that it may have");
        assert!((share(None, second, 2.0) - 1.0).abs() < 1e-9);
        assert_eq!(cpu_time().is_some(), cfg!(target_os = "linux"));
    }

    #[test]
    fn a_part_of_a_processor_is_known() {
        let files = [
            ("/sys/fs/cgroup/system.slice/cpu.max", "150000 100000\n"),
            ("/sys/fs/cgroup/system.slice/claviger.service/cpu.max", "max 100000\n"),
            ("/sys/fs/cgroup/half/cpu.max", "50000 100000\n"),
            ("/sys/fs/cgroup/half/below/cpu.max", "100000 100000\n"),
        ];
        let file =
            |path: &str| files.iter().find(|(name, _)| *name == path).map(|(_, text)| (*text).to_owned());
        for (groups, bound) in [
            ("0::/system.slice/claviger.service\n", Some(1.5)),
            ("4:cpu:/x\n0::/half/below\n", Some(0.5)),
            ("0::/\n", None),
            ("4:cpu:/half\n", None),
            ("", None),
        ] {
            assert_eq!(quota(groups, file), bound, "{groups}");
        }
        let inside = |path: &str| (path == "/sys/fs/cgroup/cpu.max").then(|| "25000 50000".to_owned());
        assert_eq!(quota("0::/\n", inside), Some(0.5), "as a container sees it");
    }

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
