//! What `claviger doctor` prints to mend something, done as an operator would: nothing is found any more.

use crate::doctor_health::{Clinic, Told, private};
use crate::harness::{Program, free_port};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Runs a command line in a folder, where `claviger` is this program.
#[track_caller]
fn done(line: &str, within: &Path) {
    let program = Path::new(env!("CARGO_BIN_EXE_claviger")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
    let mut command = Command::new("sh");
    command.args(["-c", line]).current_dir(within).env("PATH", path);
    command.env("CLAVIGER_BACKUP_PASSPHRASE", PASSPHRASE).env("CLAVIGER_MASTER_KEY_FILE", "/nowhere/key");
    let output = command.output().unwrap();
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
}

const PASSPHRASE: &str = "a walk along the river";

/// The text in brackets that begins so.
fn bracketed<'a>(text: &'a str, begin: &str) -> &'a str {
    let from = text.find(&format!("({begin}")).unwrap_or_else(|| panic!("{begin}: {text}")) + 1;
    text[from..].split(')').next().unwrap()
}

fn backup(clinic: &Clinic, to: &Path) {
    let mut command = Program::command(&["backup", "create", to.to_str().unwrap(), "--data-dir"]);
    command.arg(clinic.folder.path()).arg("--master-key-file").arg(clinic.key());
    command.envs(Program::database(clinic.folder.path())).env("CLAVIGER_BACKUP_PASSPHRASE", PASSPHRASE);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
async fn a_lost_master_key_comes_out_of_a_backup() {
    let (clinic, place) = (Clinic::open().await, tempfile::tempdir().unwrap());
    backup(&clinic, &place.path().join("BACKUP.age"));
    std::fs::remove_file(clinic.key()).unwrap();
    // The settings file of this place names the lost key, too.
    let lost = format!("master_key_file = '{}'\n", clinic.key().display());
    std::fs::write(place.path().join("claviger.toml"), lost).unwrap();
    let found = clinic.look(&[]).only("master-key", "error");
    done(found["mend"]["command"].as_str().unwrap(), place.path());
    done(bracketed(found["mend"]["text"].as_str().unwrap(), "install "), place.path());
    assert_eq!(clinic.look(&[]).faults(), [""; 0]);
}

#[tokio::test]
async fn a_damaged_database_comes_out_of_a_backup() {
    if crate::harness::sqlite_only() {
        return;
    }
    let (mut clinic, place) = (Clinic::open().await, tempfile::tempdir().unwrap());
    backup(&clinic, &place.path().join("BACKUP.age"));
    clinic.stop();
    let file = clinic.folder.path().join("claviger.db");
    let page: i64 = crate::harness::database(clinic.folder.path())
        .query_row("SELECT rootpage FROM sqlite_schema WHERE name = 'earlier_ends'", [], |row| row.get(0))
        .unwrap();
    let mut bytes = std::fs::read(&file).unwrap();
    let at = usize::try_from(page - 1).unwrap() * 4096;
    bytes[at..at + 4096].fill(0xaa);
    std::fs::write(&file, bytes).unwrap();
    let told = clinic.look(&["--deep"]);
    let found = told.of("database-intact")[0];
    let what = found["what"].as_str().unwrap();
    assert!(!what.contains('\n') && !what.contains("***"), "{what}");
    done(bracketed(found["mend"]["text"].as_str().unwrap(), "mkdir "), place.path());
    done(found["mend"]["command"].as_str().unwrap(), place.path());
    assert_eq!(clinic.look(&["--deep"]).faults(), [""; 0]);
}

#[tokio::test]
async fn a_mend_of_settings_keeps_the_others() {
    let clinic = Clinic::open().await;
    let told = clinic.look(&["--limits", "false", "--audience", "it's ours"]);
    let command = told.mended_by("settings-limits", "warning");
    assert!(command.contains(r"--audience 'it'\''s ours'"), "{command}");
    assert!(command.contains(" --limits true ") && !command.contains("--limits false"), "{command}");
    assert!(command.contains(&format!(" --listen {} ", clinic.listen)), "{command}");
}

#[tokio::test]
async fn a_public_issuer_without_tls_is_an_error() {
    let clinic = Clinic::open().await;
    let skipped = ["--skip", "issuer-reachable", "--skip", "proxy-address", "--skip", "issuer-keys"];
    let told = clinic.look(&[&skipped[..], &["--issuer", "http://auth.example.org:8080"]].concat());
    let command = told.mended_by("issuer-https", "error");
    assert!(command.starts_with("claviger serve --issuer https://auth.example.org --data-dir "), "{command}");
}

/// Puts a file where Kubernetes has those of a Secret, behind a link.
fn mounted(path: &Path, mode: u32) -> PathBuf {
    let name = path.file_name().unwrap();
    let data = path.parent().unwrap().join("..data");
    std::fs::create_dir_all(&data).unwrap();
    std::fs::rename(path, data.join(name)).unwrap();
    std::os::unix::fs::symlink(Path::new("..data").join(name), path).unwrap();
    private(&data.join(name), mode);
    data.join(name)
}

#[tokio::test]
async fn a_mounted_master_key_is_judged_as_the_server_does() {
    let mut clinic = Clinic::open().await;
    let target = mounted(&clinic.key(), 0o644);
    let found = clinic.look(&[]).only("master-key", "warning");
    assert!(found["mend"]["command"].is_null(), "chmod is of no use: {found:#}");
    assert!(found["mend"]["text"].as_str().unwrap().contains("defaultMode: 0440"), "{found:#}");
    private(&target, 0o440);
    assert_eq!(clinic.look(&[]).faults(), [""; 0]);

    clinic.stop();
    let own = clinic.folder.path().join("master.key");
    std::fs::copy(clinic.key(), &own).unwrap();
    mounted(&own, 0o440);
    let dir = clinic.folder.path().to_str().unwrap();
    let mut command = Program::command(&["doctor", "--json", "--data-dir", dir]);
    command.args(["--hash-queue", "1", "--max-connections", "100", "--listen", &clinic.listen]);
    let told = Told::by(command.envs(Program::database(clinic.folder.path())).current_dir("/"));
    let mend = told.mended_by("master-key", "error");
    let named = format!("--master-key-file {}", own.display());
    assert!(mend.starts_with(&format!("claviger serve {named} --data-dir {dir} ")), "{mend}");
    let (code, said) = Program::refusal(Program::command(&[]), clinic.folder.path(), free_port(), &[]);
    assert!(code != 0 && said.contains("others can read the master key"), "{code} {said}");
    Program::serve(clinic.folder.path(), &["--master-key-file", own.to_str().unwrap()]).stop();
}
