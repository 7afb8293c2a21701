//! The files of backups: what seals them, what damages them, which of them are kept.

use crate::backup::{Vault, assert_untouched};
use crate::database_copy::End;
use crate::harness::{Program, database, open_db};
use crate::operators::{Outcome, Town, run};
use claviger::base::time::Timestamp;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

const PASSPHRASE: &str = "correct horse battery";

/// An installation that a server has lived in.
fn lived() -> End {
    let end = End::own();
    Program::serve(end.folder.path(), &["--dev"]).stop();
    end
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_passphrase_seals_and_opens_and_is_never_repeated() {
    let (vault, end, other) = (Vault::new(), lived(), End::own());
    let file = |name: &str, text: &str| {
        std::fs::write(vault.path(name), text).unwrap();
        vault.path(name).to_str().unwrap().to_owned()
    };
    let (right, wrong) =
        (file("right", &format!("{PASSPHRASE}\nmore\n")), file("wrong", "hunter2 hunter2\n"));
    let (short, missing) = (file("short", "hunter2"), vault.path("missing").to_str().unwrap().to_owned());
    let path = vault.path("b.age").to_str().unwrap().to_owned();
    let by = |what: &str, passphrase: &[&str]| -> Outcome {
        let place = if what == "create" { &end } else { &other };
        run(place.folder.path(), &[&["backup", what, &path], passphrase].concat(), "hunter2 from nowhere\n")
    };
    for (passphrase, code, why) in [
        (&[][..], 2, "CLAVIGER_BACKUP_PASSPHRASE"),
        (&["--passphrase-file", &short], 2, "12 characters at least"),
        (&["--passphrase-file", &missing], 2, "No such file"),
        (&["--recipient", "age1hunter"], 2, "age1hunter is no recipient"),
        (&["--recipient", "AGE-SECRET-KEY-1HUNTER2"], 2, "no recipient"),
    ] {
        let (got, out, err) = by("create", passphrase);
        assert!(got == code && out.is_empty() && err.contains(why), "{passphrase:?}: {err}");
        assert!(!err.contains("hunter2") && !err.contains("HUNTER2"), "{err}");
        assert!(!names(vault.folder.path()).contains(&"b.age".to_owned()));
    }
    let (code, out, err) = by("create", &["--passphrase-file", &right]);
    assert!(
        code == 0 && out.contains("sealed for a passphrase") && out.contains("; read back\n"),
        "{out} {err}"
    );
    for what in ["verify", "restore"] {
        let (code, out, err) = by(what, &["--passphrase-file", &wrong]);
        assert!(code == 1 && out.is_empty() && err.contains("the passphrase is wrong"), "{err}");
        let (code, _, err) = by(what, &["--identity", &vault.identity]);
        assert!(code == 2 && err.contains("it is sealed with a passphrase"), "{err}");
    }
    assert_untouched(other.folder.path());
    let mut verify = Program::command(&["backup", "verify", &path]);
    let verified = verify.env("CLAVIGER_BACKUP_PASSPHRASE", PASSPHRASE).output().unwrap();
    assert!(verified.status.success() && verified.stderr.is_empty(), "{verified:?}");
    let (code, _, err) = by("restore", &["--passphrase-file", &right]);
    assert!(code == 0 && err.contains("All is restored"), "{err}");
}

#[test]
fn what_was_cut_off_or_changed_is_noticed_and_restores_nothing() {
    let (vault, end) = (Vault::new(), lived());
    let path = vault.created(end.folder.path(), "b.age");
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let good = std::fs::read(&path).unwrap();
    let bad = vault.path("bad.age");
    let mut cases: Vec<Vec<u8>> = [0, 1, 20, 150, good.len() / 2, good.len() - 17, good.len() - 1]
        .map(|length| good[..length].to_vec())
        .into();
    cases.push([&good[..], b"more"].concat());
    cases.extend([5, 100, 300, good.len() / 2, good.len() - 1].map(|place| {
        let mut flipped = good.clone();
        flipped[place] ^= 1;
        flipped
    }));
    for bytes in cases {
        std::fs::write(&bad, &bytes).unwrap();
        let target = End::sqlite();
        for (code, out, err) in [vault.verify(&bad), vault.restore(&bad, target.folder.path(), &[])] {
            assert!(
                code == 1 && out.is_empty() && err.starts_with("error: "),
                "{} bytes: {err}",
                bytes.len()
            );
        }
        // The whole is one chunk of age, so that nothing of it was read.
        assert_untouched(target.folder.path());
    }
    let other = Vault::new();
    let (code, out, err) = other.verify(&path);
    assert!(code == 1 && out.is_empty() && err.contains("none of the identities"), "{err}");
    let (code, _, err) = vault.verify(&vault.path("nothing.age"));
    assert!(code == 1 && err.contains("nothing.age: No such file"), "{err}");
}

#[test]
fn a_backup_is_never_written_over_and_half_of_one_never_stays() {
    let (vault, end) = (Vault::new(), lived());
    let path = vault.created(end.folder.path(), "b.age");
    let before = std::fs::read(&path).unwrap();
    let (code, out, err) = vault.create(end.folder.path(), "b.age", &[]);
    assert!(code == 1 && out.is_empty() && err.contains("it is there already"), "{err}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
    let (code, _, err) = vault.create(end.folder.path(), "nowhere/b.age", &[]);
    assert!(code == 1 && err.contains("nowhere/b.age: No such file"), "{err}");

    // A disk that is full, for standard output and for a file.
    let sh = |script: &str| {
        let program = Program::command(&[]);
        let mut command = Command::new("sh");
        command.args(["-c", script, "sh"]).arg(program.get_program());
        command
            .args(["backup", "create", "--recipient", &vault.recipient, "--data-dir"])
            .arg(end.folder.path());
        command.envs(Program::database(end.folder.path())).current_dir(vault.folder.path());
        command.stdin(Stdio::null()).output().unwrap()
    };
    let output = sh(r#""$@" - >/dev/full"#);
    let said = String::from_utf8(output.stderr).unwrap();
    let full = "standard output: the disk is full (No space left on device (os error 28)). What came of it is no backup";
    assert!(output.status.code() == Some(1) && said.contains(full), "{said}");
    let more = "INSERT INTO accounts (id, email, email_key, name, created_at)
        WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)";
    match database(end.folder.path()) {
        held @ crate::harness::Database::Sqlite(_) => held.execute_batch(&format!(
            "{more} SELECT randomblob(16), 'Person' || i, 'person' || i, 'P', i FROM n"
        )),
        held => held.execute_batch(&format!(
            "{more} SELECT gen_random_uuid(), 'Person' || i, 'person' || i, 'P', i FROM n"
        )),
    }
    .unwrap();
    let before = names(vault.folder.path());
    // 1 MiB is enough for all but the backup.
    let output = sh(r#"ulimit -f 2048; trap '' XFSZ; exec "$@" full.age"#);
    let said = String::from_utf8(output.stderr).unwrap();
    let large = "full.age: a file there may not be so large (File too large (os error 27)). Nothing of it is left there. Make room";
    assert!(output.status.code() == Some(1) && said.contains(large), "{said}");
    assert_eq!(names(vault.folder.path()), before);
    vault.created(end.folder.path(), "full.age");
}

#[test]
fn the_oldest_dated_ones_go_when_the_new_one_is_good() {
    let (vault, end) = (Vault::new(), lived());
    let folder = vault.path("nightly");
    std::fs::create_dir(&folder).unwrap();
    let ours = [
        "claviger-2001-01-01T000000Z.age",
        "claviger-2002-01-01T000000Z.age",
        "claviger-2003-01-01T000000Z.age",
    ];
    let others = ["claviger-2000-01-01T000000Z.age.old", "claviger.age", "notes.txt"];
    for name in ours.iter().chain(&others) {
        std::fs::write(folder.join(name), "").unwrap();
    }
    let left = ".claviger-2001-01-01T000000Z.age.0123456789abcdef.unfinished";
    std::fs::write(folder.join(left), "of a run that was killed").unwrap();
    let nightly = |more: &[&str]| {
        let create = ["backup", "create", "--dir", folder.to_str().unwrap(), "--recipient", &vault.recipient];
        run(end.folder.path(), &[&create, more].concat(), "")
    };
    for (more, why) in [(&["--keep", "0"][..], "--keep"), (&["b.age"], "cannot be used with")] {
        let (code, _, err) = nightly(more);
        assert!(code == 2 && err.contains(why), "{err}");
    }
    // Its database is another's now: no backup is made, and none is deleted.
    let key = std::fs::read(end.folder.path().join("master.key")).unwrap();
    std::fs::write(end.folder.path().join("master.key"), claviger_crypto::base64url(&[9; 32])).unwrap();
    let (code, _, err) = nightly(&["--keep", "1"]);
    assert!(code == 1 && err.contains("master key"), "{err}");
    assert_eq!(names(&folder).len(), ours.len() + others.len(), "{:?}", names(&folder));
    std::fs::write(end.folder.path().join("master.key"), key).unwrap();

    let (code, out, err) = nightly(&["--keep", "2", "--identity", &vault.identity]);
    assert!(code == 0 && err.is_empty() && out.contains("; read back\n"), "{out} {err}");
    for gone in &ours[..2] {
        assert!(out.contains(&format!("{gone} is deleted\n")), "{out}");
    }
    let mut there = names(&folder);
    there.retain(|name| !others.contains(&name.as_str()));
    assert!(there.len() == 2 && there[0] == ours[2], "{there:?}");
    let (code, ..) = vault.verify(&folder.join(&there[1]));
    assert_eq!(code, 0);
}

#[test]
fn the_folder_of_dated_ones_is_made_for_its_owner_alone() {
    let (vault, end) = (Vault::new(), lived());
    let nightly = |folder: &Path| {
        let create = ["backup", "create", "--dir", folder.to_str().unwrap(), "--recipient", &vault.recipient];
        run(end.folder.path(), &create, "")
    };
    let folder = vault.path("claviger/nightly");
    let (code, out, err) = nightly(&folder);
    assert!(code == 0 && out.contains("nightly/claviger-"), "{out} {err}");
    assert!(err.contains("nightly was not there, and is made"), "a disk may not have been mounted: {err}");
    let (code, _, err) = nightly(&vault.path("claviger"));
    assert!(code == 0 && err.is_empty(), "{err}");
    assert_eq!(folder.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(names(&folder).len(), 1);
    // Beneath a file there can be none.
    std::fs::write(vault.path("notes.txt"), "").unwrap();
    let (code, out, err) = nightly(&vault.path("notes.txt/nightly"));
    assert!(code == 1 && out.is_empty() && err.contains("notes.txt/nightly cannot be made: "), "{err}");
    assert!(err.contains("install -d -m 0700 -o USER "), "{err}");
}

#[test]
fn the_digest_of_a_backup_is_that_of_its_file() {
    let (vault, end, other) = (Vault::new(), lived(), End::own());
    let path = vault.created(end.folder.path(), "b.age");
    let bytes = std::fs::read(&path).unwrap();
    let digest: String = claviger_crypto::sha256(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    let line = format!("\nSHA-256      {digest}\n");
    for (_, out, err) in [vault.verify(&path), vault.restore(&path, other.folder.path(), &[])] {
        assert!(out.contains(&line), "{out} {err}");
    }
    let verify = ["backup", "verify", "-", "--identity", &vault.identity];
    let mut command = Program::command(&verify);
    let piped = command.stdin(std::fs::File::open(&path).unwrap()).output().unwrap();
    assert!(String::from_utf8(piped.stdout).unwrap().contains(&line));
}

/// Who has the file and the identity needs nothing of ours to look inside.
#[test]
#[allow(clippy::print_stdout)]
fn the_tool_age_opens_it_and_what_it_seals_is_read() {
    if Command::new("age").arg("--version").output().is_err() {
        println!("skipped: the tool age is not installed");
        return;
    }
    let (vault, end) = (Vault::new(), lived());
    let path = vault.created(end.folder.path(), "b.age");
    let age = |arguments: &[&str], from: &Path| {
        Command::new("age").args(arguments).arg(from).stderr(Stdio::inherit()).output().unwrap()
    };
    let plain = age(&["--decrypt", "--identity", &vault.identity], &path);
    assert!(plain.status.success() && plain.stdout.starts_with(b"claviger backup 1\n"));
    std::fs::write(vault.path("plain"), &plain.stdout).unwrap();
    let other = Vault::new();
    let sealed = age(&["--encrypt", "--recipient", &other.recipient], &vault.path("plain"));
    std::fs::write(other.path("again.age"), &sealed.stdout).unwrap();
    let (code, out, err) = other.verify(&other.path("again.age"));
    assert!(code == 0 && out.contains("opens all signing keys"), "{err}");
}

#[tokio::test]
async fn a_broken_trail_is_told_of_and_no_reason_to_lose_the_rest() {
    let (vault, end, other) = (Vault::new(), End::own(), End::own());
    let mut town = Town::at(end.folder, &["--dev"]);
    town.person("alice").await;
    town.program.stop();
    let change = "UPDATE audit_events SET detail = 'nothing to see' WHERE place = 2";
    assert_eq!(database(town.folder.path()).execute(change, []), Ok(1));
    let path = vault.created(town.folder.path(), "b.age");
    let (code, out, err) = vault.verify(&path);
    assert!(code == 1 && out.contains("opens all signing keys"), "{out}");
    assert!(err.contains("the audit chain is broken at place 2: the event was changed"), "{err}");
    let (code, _, err) = vault.restore(&path, other.folder.path(), &[]);
    assert!(code == 0 && err.contains("warning: the audit chain is broken at place 2"), "{err}");
    drop(open_db(other.folder.path(), Timestamp::from_seconds(0)));
}
