//! Whether systemd runs the server, and by which unit: then that starts it again, and no command line does.

use std::fs::read_to_string;
use std::path::Path;

/// Where units are, the first that counts first.
const PLACES: [&str; 4] = [
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
];

/// The unit of a process, or, where no process is known, the installed one that names one of these paths.
pub(super) fn unit(process: Option<u32>, paths: &[&Path]) -> Option<String> {
    if !Path::new("/run/systemd/system").is_dir() {
        return None;
    }
    match process {
        Some(id) => of_process(&read_to_string(format!("/proc/{id}/cgroup")).ok()?),
        None => {
            let file = |place: &&str| read_to_string(format!("{place}/claviger.service")).ok();
            let text = PLACES.iter().find_map(file)?;
            is_of(&text, paths).then(|| "claviger".to_owned())
        }
    }
}

/// By its control group. A server that was started by hand has the unit of the login or the shell. Units of a user's own
/// manager are left out: `systemctl restart` finds none of them.
fn of_process(groups: &str) -> Option<String> {
    if groups.contains("/user@") {
        return None;
    }
    let names = groups.lines().filter_map(|line| line.rsplit('/').next()?.strip_suffix(".service"));
    names.into_iter().find(|name| name.contains("claviger")).map(ToOwned::to_owned)
}

/// Whether a unit names the data folder or the settings file.
fn is_of(unit: &str, paths: &[&Path]) -> bool {
    let unit = unit.replace("%S", "/var/lib");
    let mut words = unit.split(|c: char| c.is_whitespace() || "=\"'".contains(c));
    words.any(|word| paths.iter().any(|path| path.is_absolute() && *path == Path::new(word)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_known_by_the_control_group() {
        for (groups, unit) in [
            ("0::/system.slice/claviger.service\n", Some("claviger")),
            ("1:name=systemd:/system.slice/claviger-eu.service\n0::/\n", Some("claviger-eu")),
            ("0::/system.slice/system-claviger.slice/claviger@a.service\n", Some("claviger@a")),
            ("0::/user.slice/user-1000.slice/user@1000.service/app.slice/claviger.service\n", None),
            ("0::/system.slice/ssh.service\n", None),
            ("0::/user.slice/user-1000.slice/session-3.scope\n", None),
            ("0::/\n", None),
        ] {
            assert_eq!(of_process(groups).as_deref(), unit, "{groups}");
        }
    }

    #[test]
    fn the_unit_that_comes_along_names_its_folder_and_its_settings() {
        let unit = include_str!("../../../contrib/claviger.service");
        for (path, is_its) in [
            ("/var/lib/claviger", true),
            ("/etc/claviger.toml", true),
            ("/var/lib/claviger2", false),
            ("/srv/claviger", false),
            ("claviger-data", false),
            ("serve", false),
        ] {
            assert_eq!(is_of(unit, &[Path::new(path)]), is_its, "{path}");
        }
    }
}
