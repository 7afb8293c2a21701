//! The master key: there, private, and the right one.

use super::{IDENTITY, quoted, setting, start};
use crate::config::{MAKE_MASTER_KEY, MasterKeySource};
use crate::doctor::facts::{Entry, Facts};
use crate::doctor::{Finding, Level, Mend, Outcome, by_hand, finding, run};

pub(crate) fn file(facts: &Facts) -> Outcome {
    let mut findings: Vec<Finding> = Vec::new();
    if let Some(entry) = &facts.folder.master {
        // A mounted secret is often readable to a group; our own file never is.
        let is_own = matches!(facts.config.master_key, MasterKeySource::Own(_));
        let others = if is_own { 0o077 } else { 0o007 };
        if entry.mode & others != 0 {
            let what = format!(
                "others can read the master key {} (mode {:o})",
                entry.path.display(),
                entry.mode & 0o7777
            );
            let why = if is_own {
                "who has it and a copy of the database can sign tokens for anybody; the server refuses to start on a \
                    master key of its data folder that others can read"
            } else {
                "who has it and a copy of the database can sign tokens for anybody"
            };
            // Where it is mounted for the server, others are those who are in there with it.
            let level = if entry.is_fixed && !is_own { Level::Warning } else { Level::Error };
            findings.push(finding(level, what, why, closed(facts, entry, is_own)));
        }
    }
    // What the mode is the reason of is told already.
    if let (Err(what), true) = (&facts.master, findings.is_empty()) {
        let why = "without it no signing key can be opened: the server does not start";
        let is_denied = facts.folder.master.is_some() && what.contains("ermission denied");
        let mend = if is_denied { readable(facts) } else { brought_back(facts) };
        findings.push(finding(Level::Error, what.clone(), why, mend));
    }
    Outcome::of(findings, "it is there and well-formed")
}

/// How others are kept from reading it, by a mode that the server takes.
fn closed(facts: &Facts, entry: &Entry, is_own: bool) -> Mend {
    let path = quoted(&entry.path);
    match (entry.is_fixed, is_own) {
        (false, _) => run(format!("chmod 600 {path}")),
        (true, false) => by_hand(format!("{MOUNTED}: {FOR_A_GROUP}")),
        (true, true) => start(facts, &format!("--master-key-file {path}")).after(format!(
            "{MOUNTED}. Set {}, since a group may read one that is named, and give the mode there: {FOR_A_GROUP}",
            setting(facts, "master_key_file", &entry.path.display().to_string())
        )),
    }
}

const MOUNTED: &str = "It is mounted read-only, so that chmod cannot change it here";
const FOR_A_GROUP: &str = "in Kubernetes defaultMode: 0440 of the Secret's volume with fsGroup in the pod's \
    securityContext, in Docker mode: 0440 and the gid of the secret";

/// How the server gets to read one that is there.
fn readable(facts: &Facts) -> Mend {
    match &facts.folder.master {
        Some(entry) if entry.is_fixed => {
            by_hand(format!("Let the server's group read what is mounted there: {FOR_A_GROUP}"))
        }
        Some(entry) => run(format!("ls -l {}", quoted(&entry.path)))
            .after("Run this as the user that the server runs as; if it is that one, give the file to it"),
        None => brought_back(facts),
    }
}

/// Where the right one may be: apart, where the operator keeps it, or in a backup, which is restored beside for that.
/// The place that the settings name is not what that restore is for.
fn brought_back(facts: &Facts) -> Mend {
    let path = match &facts.config.master_key {
        MasterKeySource::Given(_) => {
            return run(facts.command("config check"))
                .after("Set CLAVIGER_MASTER_KEY to the one that the database was begun with, then see");
        }
        MasterKeySource::File(path) | MasterKeySource::Own(path) => path,
    };
    let path = quoted(path);
    run("env -u CLAVIGER_DATABASE_URL -u CLAVIGER_MASTER_KEY_FILE claviger backup restore BACKUP.age --config /dev/null \
        --data-dir claviger-restored")
    .after(format!(
        "Put back the one that the database was begun with, from where you keep it apart, or out of any backup that was \
        not made --without-master-key: restore that into a folder beside ({IDENTITY}), copy the key out of it (install -m 600 \
        claviger-restored/master.key {path}), give it to the server's user, and remove the folder. Only for a database \
        that is given up a new one helps: {MAKE_MASTER_KEY}"
    ))
}

pub(crate) fn same(facts: &Facts) -> Outcome {
    if facts.master.is_err() {
        return Outcome::Skipped("there is no master key to try".into());
    }
    let held = match facts.held() {
        Ok(held) => held,
        Err(why) => return Outcome::Unknown(why),
    };
    let what = match (held.is_ours, held.not_opened.as_slice()) {
        (Some(false), _) => "the database was begun with another master key".to_owned(),
        (_, [first]) => {
            format!("the master key does not open the signing key {first}")
        }
        (_, [_, ..]) => {
            format!("the master key does not open the signing keys {}", held.not_opened.join(", "))
        }
        (_, []) => return Outcome::Fine(format!("it opens {} signing keys", held.keys.len())),
    };
    let why =
        "the server does not start with it, and with a new key all tokens that are out would be refused";
    Outcome::Found(vec![finding(Level::Error, what, why, brought_back(facts))])
}

pub(crate) fn place(facts: &Facts) -> Outcome {
    let beside = facts
        .folder
        .master
        .as_ref()
        .is_some_and(|key| key.path.parent() == Some(facts.folder.dir.path.as_path()));
    if facts.config.database_url.is_some() || !beside {
        return Outcome::Fine("apart from the database".into());
    }
    let what = "the master key is in the folder of the database";
    let why = "that is how it starts, and good for a first week. But who copies the folder has both: its signing keys \
        are not secret from him";
    Outcome::Found(vec![finding(Level::Info, what, why, moved(facts))])
}

/// It is copied before it is named, and goes from the folder when the server has started with the copy. The backups read
/// it too, and would fail each night without it.
fn moved(facts: &Facts) -> Mend {
    let Some(entry) = &facts.folder.master else { return by_hand("Keep it apart from the database") };
    let (path, owner) = (quoted(&entry.path), entry.owner);
    match &facts.unit {
        Some(unit) => run(format!("install -D -m 600 {path} {APART}")).after(format!(
            "As root, copy it; let systemd hand it to the server (contrib/claviger-master-key.conf as \
            /etc/systemd/system/{unit}.service.d/master-key.conf) and to the backups (the same as \
            /etc/systemd/system/claviger-backup.service.d/master-key.conf), systemctl daemon-reload, systemctl restart \
            {unit}, and then remove {path}. claviger key commands need --master-key-file {APART} from then on"
        )),
        None => run(format!("install -D -m 600 -o {owner} {path} {APART}")).after(format!(
            "As root, copy it to another disk or a secret store, set {} in the settings file{}, for the backups and \
            claviger key too, and when the server has started so remove {path}",
            setting(facts, "master_key_file", APART),
            facts.call.file.as_ref().map(|file| format!(" ({})", file.display())).unwrap_or_default(),
        )),
    }
}

/// Where the manual has it.
const APART: &str = "/etc/claviger/master.key";

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    fn first(outcome: Outcome) -> Finding {
        let Outcome::Found(findings) = outcome else { panic!("{outcome:?}") };
        assert_eq!(findings.len(), 1);
        findings.into_iter().next().unwrap()
    }

    #[test]
    fn a_named_file_may_be_a_groups_and_our_own_may_not() {
        let mut facts = Facts::healthy();
        facts.folder.master.as_mut().unwrap().mode = 0o640;
        assert!(matches!(file(&facts), Outcome::Fine(_)), "it is named");
        facts.folder.master.as_mut().unwrap().mode = 0o644;
        assert_eq!(first(file(&facts)).mend.command.unwrap(), "chmod 600 /etc/claviger/master.key");
        let mut facts = Facts::healthy_with(&[]);
        facts.folder.master.as_mut().unwrap().mode = 0o640;
        facts.master = Err("others can read the master key".into());
        assert!(first(file(&facts)).what.contains("mode 640"));
    }

    #[test]
    fn one_that_is_missing_or_another_is_found() {
        let mut facts = Facts::healthy();
        facts.master = Err("the master key is not 43 characters of base64url".into());
        assert!(first(file(&facts)).what.contains("43 characters"));
        assert!(matches!(same(&facts), Outcome::Skipped(_)));
        let mut facts = Facts::healthy();
        facts.held_mut().is_ours = Some(false);
        assert!(first(same(&facts)).what.contains("another master key"));
        let mut facts = Facts::healthy();
        facts.held_mut().not_opened = vec!["a".into(), "b".into()];
        assert!(first(same(&facts)).what.ends_with("signing keys a, b"));
    }

    #[test]
    fn a_mounted_secret_gets_its_mode_where_it_comes_from() {
        let mut facts = Facts::healthy();
        let master = facts.folder.master.as_mut().unwrap();
        (master.is_fixed, master.mode) = (true, 0o644);
        let found = first(file(&facts));
        assert_eq!((found.level, &found.mend.command), (Level::Warning, &None));
        assert!(found.mend.text.unwrap().contains("defaultMode: 0440"));
        facts.folder.master.as_mut().unwrap().mode = 0o440;
        assert!(matches!(file(&facts), Outcome::Fine(_)), "the server takes that");
        facts.master = Err("the master key cannot be read: Permission denied (os error 13)".into());
        assert!(first(file(&facts)).mend.text.unwrap().contains("fsGroup"));
        // As the one of the data folder the server refuses it, and as one that is named it does not.
        let mut facts = Facts::healthy_with(&[]);
        let master = facts.folder.master.as_mut().unwrap();
        (master.is_fixed, master.mode) = (true, 0o440);
        let found = first(file(&facts));
        assert_eq!(found.level, Level::Error);
        let named = "claviger serve --master-key-file '/var/lib/my claviger/master.key'";
        assert_eq!(found.mend.command.as_deref(), Some(named));
        assert!(!found.mend.text.unwrap().contains("chmod 600"));
    }

    #[test]
    fn a_lost_one_is_in_a_backup() {
        let mut facts = Facts::healthy_with(&[]);
        (facts.folder.master, facts.master) = (None, Err("it is not there".into()));
        let mend = first(file(&facts)).mend;
        assert!(mend.command.unwrap().contains("claviger backup restore BACKUP.age "));
        let text = mend.text.unwrap();
        assert!(text.contains("restored/master.key '/var/lib/my claviger/master.key'"), "{text}");
        assert!(text.contains("--identity FILE"), "{text}");
    }

    #[test]
    fn one_beside_the_database_is_told() {
        let found = first(place(&Facts::healthy_with(&[])));
        assert_eq!(found.level, Level::Info);
        let copy = "install -D -m 600 -o 1000 '/var/lib/my claviger/master.key' /etc/claviger/master.key";
        assert_eq!(found.mend.command.as_deref(), Some(copy));
        let named =
            "set master_key_file = \"/etc/claviger/master.key\" in the settings file, for the backups and";
        assert!(found.mend.text.unwrap().contains(named));
        assert!(matches!(place(&Facts::healthy()), Outcome::Fine(_)));
    }

    #[test]
    fn the_backups_of_a_unit_get_it_as_well() {
        let mut facts = Facts::healthy_with(&[]);
        facts.unit = Some("claviger-eu".into());
        let text = first(place(&facts)).mend.text.unwrap();
        for unit in ["claviger-eu", "claviger-backup"] {
            assert!(
                text.contains(&format!("/etc/systemd/system/{unit}.service.d/master-key.conf")),
                "{text}"
            );
        }
    }
}
