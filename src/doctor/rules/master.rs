//! The master key: there, private, and the right one.

use super::quoted;
use crate::config::{MAKE_MASTER_KEY, MasterKeySource};
use crate::doctor::facts::Facts;
use crate::doctor::{Finding, Level, Outcome, by_hand, finding, run};

pub(crate) fn file(facts: &Facts) -> Outcome {
    let mut findings: Vec<Finding> = Vec::new();
    if let Some(entry) = &facts.folder.master {
        // A mounted secret is often readable to a group; our own file never is.
        let others = if matches!(facts.config.master_key, MasterKeySource::Own(_)) { 0o077 } else { 0o007 };
        if entry.mode & others != 0 {
            let what = format!(
                "others can read the master key {} (mode {:o})",
                entry.path.display(),
                entry.mode & 0o7777
            );
            let why = "who has it and a copy of the database can sign tokens for anybody; the server refuses to start \
                on a master key of its data folder that others can read";
            findings.push(finding(
                Level::Error,
                what,
                why,
                run(format!("chmod 600 {}", quoted(&entry.path))),
            ));
        }
    }
    // What the mode is the reason of is told already.
    if let (Err(what), true) = (&facts.master, findings.is_empty()) {
        let why = "without it no signing key can be opened: the server does not start, and no backup of the database \
            helps";
        let mend = match &facts.config.master_key {
            MasterKeySource::Given(_) | MasterKeySource::File(_) => run(facts.command("config check"))
                .after("Restore the master key that the database was begun with, then see"),
            MasterKeySource::Own(path) => by_hand(format!(
                "Restore {} from where you keep it apart. Only for a database that is given up a new one helps: {MAKE_MASTER_KEY}",
                path.display()
            )),
        };
        findings.push(finding(Level::Error, what.clone(), why, mend));
    }
    Outcome::of(findings, "it is there and well-formed")
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
    let mend = run(facts.command("serve --master-key-file FILE")).after(
        "Restore the one that the first server of this database had, as master.key or by --master-key-file",
    );
    Outcome::Found(vec![finding(Level::Error, what, why, mend)])
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
    let mend = run(facts.command("serve --master-key-file /etc/claviger/master.key"))
        .after("Move it to another disk or a secret store, and name it there");
    Outcome::Found(vec![finding(Level::Info, what, why, mend)])
}

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
    fn a_command_has_each_flag_once() {
        let mut facts = Facts::healthy_with(&[]);
        facts.flags = vec!["--data-dir /x".into(), "--master-key-file /y".into()];
        let told = first(place(&facts)).mend.command.unwrap();
        assert_eq!(told, "claviger serve --master-key-file /etc/claviger/master.key --data-dir /x");
    }

    #[test]
    fn one_beside_the_database_is_told() {
        assert_eq!(first(place(&Facts::healthy_with(&[]))).level, Level::Info);
        assert!(matches!(place(&Facts::healthy()), Outcome::Fine(_)));
    }
}
