//! What is in the database: its schema, and with `--deep` whether it is whole.

use super::{IDENTITY, quoted, restored, start};
use crate::db::examine::Schema;
use crate::doctor::facts::Facts;
use crate::doctor::{Level, Outcome, by_hand, finding, run};
use std::path::{Component, Path, PathBuf};

pub(crate) fn standing(facts: &Facts) -> Outcome {
    let schema = match &facts.database {
        Ok(database) => &database.schema,
        Err(why) => return Outcome::Unknown(why.clone()),
    };
    let (what, why, mend) = match schema {
        Schema::Current => return Outcome::Fine("it is this program's".into()),
        Schema::Missing => (
            "the database has no schema of ours".to_owned(),
            "nothing is in it; a server makes the schema at its first start",
            start(facts, "").after("Start the server once, or name the right database"),
        ),
        Schema::Older(steps) => (
            format!("the database has schema {steps}, older than this program's"),
            "commands of this version refuse it until a server of this version has brought it up to date",
            start(facts, "")
                .after("Make a backup by the program of the version before (claviger backup create), then start the server of this version"),
        ),
        Schema::Newer(steps) => (
            format!(
                "the database has schema {steps}, newer than this program's: a newer version has used it"
            ),
            "this version does not know what was added, and its server refuses to start",
            by_hand("Use the version that made it, or a later one"),
        ),
        Schema::Changed(step) => (
            format!("step {step} of the database's schema is not the one that this program would make"),
            "it was made by another build, or changed by hand: statements may fail or do wrong",
            by_hand("Use the version that made it"),
        ),
        Schema::HalfCopied(source) => (
            format!("it is an unfinished copy of {source}"),
            "no server starts on half a copy",
            run(copy(facts, source))
                .after("Run the same `claviger database copy` again: it goes on where it was"),
        ),
        Schema::HalfRestored(backup) => (
            format!("backup {backup} is not restored to its end"),
            "no server starts on half a backup",
            run(restored(facts))
                .after(format!("Run the same restore again, {IDENTITY}: it goes on where it was")),
        ),
    };
    Outcome::Found(vec![finding(Level::Error, what, why, mend)])
}

/// The copy that goes on. What needs a password is read from standard input.
fn copy(facts: &Facts, source: &str) -> String {
    let word =
        |text: &str| if text.contains("***") { "-".to_owned() } else { crate::doctor::shell_word(text) };
    let to = match &facts.config.database_url {
        Some(url) => url.to_string(),
        None => format!("sqlite:{}", facts.config.data_dir.display()),
    };
    format!("claviger database copy --from {} --to {}", word(source), word(&to))
}

pub(crate) fn intact(facts: &Facts) -> Outcome {
    let database = match &facts.database {
        Ok(database) => database,
        Err(why) => return Outcome::Unknown(why.clone()),
    };
    let faults = match &database.faults {
        None => return Outcome::Skipped("only with --deep".into()),
        Some(Err(why)) => return Outcome::Unknown(why.clone()),
        Some(Ok(None)) => return Outcome::Skipped("PostgreSQL looks after its files itself".into()),
        Some(Ok(Some(faults))) => faults,
    };
    let why = "rows may be lost or wrong, and the damage may grow";
    let dir = &facts.folder.dir.path;
    let (dir, aside) = (quoted(dir), quoted(&beside(dir)));
    let mend = run(restored(facts)).after(format!(
        "Stop the server, put the database aside as it is, beside or in any place outside the folder (mkdir -m 700 {aside} \
        && mv {dir}/claviger.db* {aside}), restore the latest backup in its place ({IDENTITY}), and look for the cause: \
        the disk, the memory, or a program that wrote into the file"
    ));
    let findings = faults
        .iter()
        .map(|fault| finding(Level::Error, format!("SQLite finds: {}", line(fault)), why, mend.clone()));
    Outcome::of(findings.collect(), "SQLite finds nothing")
}

/// The name of a folder with a word more, and nothing taken from it. It is beside the folder also where that is `.` or
/// ends with a slash.
fn beside(dir: &Path) -> PathBuf {
    let whole = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
    let whole = if whole.components().any(|part| part == Component::ParentDir) {
        whole.canonicalize().unwrap_or(whole)
    } else {
        whole
    };
    let mut name = whole.components().collect::<PathBuf>().into_os_string();
    name.push(".damaged");
    name.into()
}

/// What SQLite writes on several lines, below a heading.
fn line(fault: &str) -> String {
    let lines = fault.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("***"));
    lines.collect::<Vec<_>>().join("; ")
}

pub(crate) fn audit(facts: &Facts) -> Outcome {
    let database = match &facts.database {
        Ok(database) => database,
        Err(why) => return Outcome::Unknown(why.clone()),
    };
    let verified = match &database.trail {
        None => return Outcome::Skipped("only with --deep".into()),
        Some(Err(why)) => return Outcome::Unknown(why.clone()),
        Some(Ok(verified)) => verified,
    };
    let Some(broken) = &verified.broken else {
        return Outcome::Fine(format!("{} events, chain whole", verified.events));
    };
    let why = "somebody has changed, added or removed what the trail tells, or the database was put back to an older state";
    let mend = run(facts.command("audit verify"))
        .after("Compare with the log, which has a line for each event, and with a backup");
    Outcome::Found(vec![finding(Level::Error, broken.to_string(), why, mend)])
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::audit::{Broken, Verified};

    #[test]
    fn every_other_schema_is_found() {
        for schema in [
            Schema::Missing,
            Schema::Older(3),
            Schema::Newer(99),
            Schema::Changed("0001_accounts".into()),
            Schema::HalfCopied("sqlite:/x".into()),
            Schema::HalfRestored("7 of 2026-11-23".into()),
        ] {
            let mut facts = Facts::healthy();
            facts.database.as_mut().unwrap().schema = schema.clone();
            assert!(matches!(standing(&facts), Outcome::Found(found) if found.len() == 1), "{schema:?}");
        }
    }

    #[test]
    fn what_is_put_aside_lies_beside_the_folder() {
        let here = std::env::current_dir().unwrap();
        for (dir, aside) in [
            ("/srv/auth.prod", "/srv/auth.prod.damaged".to_owned()),
            ("/srv/auth.test/", "/srv/auth.test.damaged".to_owned()),
            (".", format!("{}.damaged", here.display())),
            ("data", format!("{}/data.damaged", here.display())),
            ("src/..", format!("{}.damaged", here.canonicalize().unwrap().display())),
        ] {
            assert_eq!(beside(Path::new(dir)), Path::new(&aside), "{dir}");
        }
    }

    #[test]
    fn deep_looks_tell_what_they_found() {
        let mut facts = Facts::healthy();
        facts.call.flags = vec![crate::doctor::Flag { name: "data-dir".into(), value: Some("/x".into()) }];
        let database = facts.database.as_mut().unwrap();
        let said = "*** in database main ***\nTree 7 page 7: x\nrow 1 missing from index";
        database.faults = Some(Ok(Some(vec![said.into()])));
        database.trail = Some(Ok(Verified {
            broken: Some(Broken { place: 7, why: "it was changed".into() }),
            ..Verified::default()
        }));
        let Outcome::Found(found) = intact(&facts) else { panic!("not found") };
        let found = found.first().unwrap();
        assert_eq!(found.what, "SQLite finds: Tree 7 page 7: x; row 1 missing from index");
        let text = found.mend.text.as_deref().unwrap();
        for part in [
            "mv '/var/lib/my claviger'/claviger.db* '/var/lib/my claviger.damaged'",
            "any place outside the folder",
            "--identity FILE",
        ] {
            assert!(text.contains(part), "{text}");
        }
        assert_eq!(
            found.mend.command.as_deref().unwrap(),
            "claviger backup restore BACKUP.age --data-dir /x"
        );
        let Outcome::Found(found) = audit(&facts) else { panic!("not found") };
        assert!(found.first().unwrap().what.contains("place 7"));
        let database = facts.database.as_mut().unwrap();
        (database.faults, database.trail) = (None, None);
        assert!(matches!((intact(&facts), audit(&facts)), (Outcome::Skipped(_), Outcome::Skipped(_))));
    }
}
