//! What the process takes of the system: memory, files and time of processors, as Linux tells. Elsewhere nothing is
//! told.

use crate::metrics::{Id, Metrics};
use rustix::process::{Resource, getrlimit};
use std::fs;

/// Sets the gauges of the process.
pub(super) fn take(metrics: &Metrics) {
    if !cfg!(target_os = "linux") {
        return;
    }
    let whole = |value: Option<u64>| value.and_then(|value| i64::try_from(value).ok());
    metrics.set(Id::ResidentMemory, &[], whole(resident()));
    // Of a processor's time there is always some to tell.
    metrics.set(Id::CpuSeconds, &[], whole(cpu_nanos()));
    metrics.set(Id::OpenFiles, &[], whole(open_files()));
    metrics.set(Id::MaxFiles, &[], whole(getrlimit(Resource::Nofile).current));
}

/// In bytes.
fn resident() -> Option<u64> {
    let statm = fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
    pages.checked_mul(u64::try_from(rustix::param::page_size()).ok()?)
}

fn cpu_nanos() -> Option<u64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The name of the program may hold anything; fields are numbered from the one behind it, the third.
    let (_, fields) = stat.rsplit_once(") ")?;
    let field = |number: usize| fields.split(' ').nth(number - 3)?.parse::<u64>().ok();
    let ticks = field(14)?.checked_add(field(15)?)?;
    ticks.checked_mul(1_000_000_000)?.checked_div(rustix::param::clock_ticks_per_second())
}

fn open_files() -> Option<u64> {
    // From Linux 6.2 on the folder's size is their number; reading it takes a while where there are thousands.
    let known = fs::metadata("/proc/self/fd").ok()?.len();
    if known > 0 {
        return Some(known);
    }
    let listed = fs::read_dir("/proc/self/fd").ok()?.count();
    // But for the one that reads the folder.
    u64::try_from(listed.saturating_sub(1)).ok()
}

#[cfg(all(test, target_os = "linux"))]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn linux_tells() {
        let before = open_files().unwrap();
        let open: Vec<_> = (0..50).map(|_| fs::File::open("/dev/null").unwrap()).collect();
        // Other tests open and close files meanwhile.
        assert!(open_files().unwrap() + 40 > before + open.len() as u64);
        assert!((1 << 20..1 << 40).contains(&resident().unwrap()));
        assert!(cpu_nanos().is_some());
    }
}
