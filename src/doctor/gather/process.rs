//! The process that has the data folder; only Linux tells of others.

use crate::config::Config;
use crate::db::examine::holder;
use crate::doctor::facts::{Looked, Process};
use std::fs::{read_link, read_to_string};

/// Told of a program file that was removed or put in another's place.
const DELETED: &str = " (deleted)";

pub(super) fn look(config: &Config) -> Looked<Process> {
    let own = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum;
    let idle = Process { most_files: own, ..Process::default() };
    let Some(holder) = holder(&config.data_dir).map_err(|error| error.to_string())? else { return Ok(idle) };
    let held = Process { is_held: true, ..idle };
    let Some(id) = holder.trim().parse::<u32>().ok() else { return Ok(held) };
    let program =
        read_link(format!("/proc/{id}/exe")).map(|path| path.display().to_string()).unwrap_or_default();
    // In a container processes have other numbers: that one may be anybody.
    let (file, is_replaced) = match program.strip_suffix(DELETED) {
        Some(file) => (file, true),
        None => (program.as_str(), false),
    };
    if !file.ends_with("/claviger") {
        return Ok(held);
    }
    let limits = read_to_string(format!("/proc/{id}/limits")).unwrap_or_default();
    Ok(Process { id: Some(id), is_replaced, most_files: most_files(&limits).or(own), ..held })
}

/// The hard limit, to which a server raises its own.
fn most_files(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hard_limit_is_read() {
        let limits = "Limit           Soft Limit   Hard Limit   Units\nMax open files  1024         65536        files\n";
        assert_eq!(most_files(limits), Some(65536));
        assert_eq!(most_files(&limits.replace("65536", "unlimited")), None);
        assert_eq!(most_files(""), None);
    }
}
