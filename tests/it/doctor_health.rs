//! `claviger doctor` on real installations that are well, and what its report promises to programs.

use crate::harness::{Cluster, Program, free_port, keep_inside, on_postgres};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

/// An installation, its server and its master key, which is kept apart.
pub struct Clinic {
    pub folder: TempDir,
    pub keys: TempDir,
    pub server: Option<Program>,
    pub listen: String,
    more: Vec<String>,
}

/// What the doctor said.
pub struct Told {
    pub code: i32,
    pub report: Value,
}

/// On the disk that holds the build: that of other temporary files may be in memory.
pub fn folder() -> TempDir {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    private(folder.path(), 0o700);
    folder
}

impl Clinic {
    /// With a server that has published its next key.
    pub async fn open() -> Self {
        Self::with(folder(), &[]).await
    }

    /// The same with more settings, for the server and for the doctor.
    pub async fn with(folder: TempDir, settings: &[&str]) -> Self {
        let keys = tempfile::tempdir().unwrap();
        std::fs::write(keys.path().join("key"), claviger_crypto::base64url(&[7; 32])).unwrap();
        private(&keys.path().join("key"), 0o600);
        let more = settings.iter().map(ToString::to_string).collect();
        let mut clinic = Self { folder, keys, server: None, listen: String::new(), more };
        clinic.start().await;
        clinic
    }

    pub fn key(&self) -> PathBuf {
        self.keys.path().join("key")
    }

    async fn start(&mut self) {
        let key = self.key().display().to_string();
        let mut arguments = vec!["--master-key-file", &key];
        arguments.extend(self.more.iter().map(String::as_str));
        let server = Program::serve(self.folder.path(), &arguments);
        let url = format!("{}/.well-known/jwks.json", server.url);
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        for _ in 0..2000 {
            let set: Value = http.get(&url).send().await.unwrap().json().await.unwrap();
            if set["keys"].as_array().is_some_and(|keys| keys.len() == 2) {
                (self.listen, self.server) = (server.address.to_string(), Some(server));
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the server publishes no next key");
    }

    /// Ends the server.
    pub fn stop(&mut self) {
        self.server.take().unwrap().stop();
    }

    /// The doctor on it, with more arguments.
    pub fn doctor(&self, arguments: &[&str]) -> std::process::Command {
        let mut command = Program::command(&["doctor", "--data-dir", self.folder.path().to_str().unwrap()]);
        let key = self.key().display().to_string();
        // Whatever this machine is busy with, and however many files it allows.
        let usual = [
            ("--hash-queue", "1"),
            ("--max-connections", "100"),
            ("--listen", &self.listen),
            ("--master-key-file", &key),
        ];
        for (flag, value) in usual.into_iter().filter(|(flag, _)| !arguments.contains(flag)) {
            command.args([flag, value]);
        }
        command.args(&self.more).args(arguments).current_dir(self.keys.path());
        command.envs(Program::database(self.folder.path()));
        command
    }

    #[track_caller]
    pub fn look(&self, arguments: &[&str]) -> Told {
        Told::by(&mut self.doctor(&[arguments, &["--json"]].concat()))
    }
}

/// Sets a mode.
pub fn private(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// The words of a command line, as a shell splits them.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut quote) = (vec![String::new()], None);
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        match (character, quote) {
            ('\\', None) => words.last_mut().unwrap().extend(characters.next()),
            (c, Some(open)) if c == open => quote = None,
            ('\'' | '"', None) => quote = Some(character),
            (' ', None) => words.push(String::new()),
            (c, _) => words.last_mut().unwrap().push(c),
        }
    }
    words
}

/// Asserts that a command line of this program is understood.
#[track_caller]
pub fn assert_command(line: &str) {
    let parsed = claviger::cli::command().try_get_matches_from(words(line));
    assert!(parsed.is_ok(), "{line}: {:?}", parsed.err().map(|error| error.to_string()));
}

impl Told {
    #[track_caller]
    pub fn by(command: &mut std::process::Command) -> Self {
        let output = command.output().unwrap();
        let (out, err) =
            (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        assert_eq!(err, "", "{out}");
        let told = Self { code: output.status.code().unwrap(), report: serde_json::from_str(&out).unwrap() };
        for finding in told.report["findings"].as_array().unwrap() {
            for member in ["check", "level", "what", "why"] {
                assert!(finding[member].as_str().is_some_and(|text| !text.is_empty()), "{finding}");
            }
            let (text, command) = (&finding["mend"]["text"], &finding["mend"]["command"]);
            assert!(text.is_string() || command.is_string(), "{finding}");
            command
                .as_str()
                .filter(|line| line.starts_with("claviger "))
                .into_iter()
                .for_each(assert_command);
        }
        told
    }

    /// The findings of a check.
    pub fn of(&self, check: &str) -> Vec<&Value> {
        let all = self.report["findings"].as_array().unwrap().iter();
        all.filter(|finding| finding["check"] == check).collect()
    }

    /// The checks with errors or warnings. The tests' own PostgreSQL does not wait for its disk.
    pub fn faults(&self) -> Vec<String> {
        let of_tests = |finding: &Value| {
            let what = finding["what"].as_str().unwrap();
            on_postgres() && ["fsync = off", "full_page_writes = off"].iter().any(|end| what.ends_with(end))
        };
        let all = self.report["findings"].as_array().unwrap().iter();
        let bad = all.filter(|finding| finding["level"] != "info" && !of_tests(finding));
        bad.map(|finding| finding["check"].as_str().unwrap().to_owned()).collect()
    }

    /// Asserts that this check alone finds something, at this level, and gives its finding.
    #[track_caller]
    pub fn only(&self, check: &str, level: &str) -> Value {
        assert_eq!(self.faults(), [check], "{:#}", self.report["findings"]);
        let found = self.of(check)[0].clone();
        assert_eq!(found["level"], level, "{found:#}");
        if level == "error" {
            assert_eq!(self.code, 3);
        }
        found
    }

    /// The command that mends what this check alone finds.
    #[track_caller]
    pub fn mended_by(&self, check: &str, level: &str) -> String {
        let found = self.only(check, level);
        found["mend"]["command"].as_str().unwrap_or_else(|| panic!("{found:#}")).to_owned()
    }
}

/// Names, sizes and bytes of all that is in a folder.
fn contents(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut all: Vec<_> = files.map(|path| (path.clone(), std::fs::read(path).unwrap())).collect();
    all.sort();
    all
}

#[tokio::test]
async fn a_healthy_installation_has_no_findings_running_or_not() {
    let mut settings = Vec::new();
    let mut cluster = None;
    let folder = folder();
    if on_postgres() {
        // One that waits for its disk.
        let own = cluster.insert(Cluster::start_with(None, "-c fsync=on -c full_page_writes=on"));
        own.ask("CREATE DATABASE well");
        keep_inside(folder.path());
        settings.push("--database-url".to_owned());
        settings.push(own.url("well"));
    }
    let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
    let mut clinic = Clinic::with(folder, &settings).await;
    for is_running in [true, false] {
        if !is_running {
            clinic.stop();
        }
        let before = contents(clinic.folder.path());
        let told = clinic.look(&["--deep", "--strict"]);
        assert_eq!((told.code, &told.report["findings"]), (0, &json!([])), "{:#}", told.report);
        if !is_running {
            assert_eq!(contents(clinic.folder.path()), before, "nothing is changed");
        }
    }
}

#[tokio::test]
async fn a_report_has_its_shape_and_its_exit_codes() {
    let clinic = Clinic::open().await;
    let told = clinic.look(&["--limits", "false", "--skip", "database"]);
    assert_eq!(told.code, 0, "a warning is no error: {:#}", told.report["findings"]);
    let members: BTreeSet<&str> = told.report.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(members, BTreeSet::from(["at", "checks", "errors", "findings", "version", "warnings"]));
    assert_eq!((&told.report["errors"], &told.report["warnings"]), (&json!(0), &json!(1)));
    assert_eq!(told.report["version"], env!("CARGO_PKG_VERSION"));
    let checks = told.report["checks"].as_array().unwrap();
    let ids: Vec<&str> = checks.iter().map(|check| check["check"].as_str().unwrap()).collect();
    assert_eq!(ids, claviger::doctor::CHECKS.iter().map(|check| check.id).collect::<Vec<_>>());
    for check in checks {
        let outcome = check["outcome"].as_str().unwrap();
        assert!(["fine", "found", "unknown", "skipped"].contains(&outcome), "{check}");
        assert_eq!(check["said"].is_string(), outcome != "found", "{check}");
    }
    let found = told.only("settings-limits", "warning");
    assert_eq!(found["mend"].as_object().unwrap().keys().collect::<Vec<_>>(), ["command", "text"]);
    let strict = clinic.look(&["--limits", "false", "--skip", "database", "--strict"]);
    assert_eq!(strict.code, 3);
    let skipped =
        clinic.look(&["--limits", "false", "--skip", "database", "--skip", "settings-limits", "--strict"]);
    assert_eq!(skipped.code, 0);
}

#[tokio::test]
async fn people_read_what_why_and_the_command() {
    let clinic = Clinic::open().await;
    let run = |arguments: &[&str]| {
        let output = clinic.doctor(arguments).output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
    };
    let (_, out) = run(&["--limits", "false"]);
    for line in [
        "warning  settings-limits: requests and wrong passwords are not limited\n",
        "  why    limits = false is for load tests",
        "  mend   Set limits = true and start the server again\n",
        "  run    claviger serve --limits true --data-dir ",
        &format!(" --listen {} ", clinic.listen),
        " 1 warning. Of ",
    ] {
        assert!(out.contains(line), "{line}: {out}");
    }
    assert!(!out.contains("fine     "), "{out}");
    let (_, out) = run(&["--verbose"]);
    assert!(
        out.contains("fine     keys-active: ") && out.contains("skipped  audit-trail: only with --deep"),
        "{out}"
    );
}

#[test]
fn what_cannot_be_looked_at_is_said() {
    let nowhere = tempfile::tempdir().unwrap().path().join("gone");
    let run = |arguments: &[&str]| {
        let output = Program::command(&[&["doctor"], arguments].concat()).current_dir("/").output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, err) = run(&["--data-dir", nowhere.to_str().unwrap()]);
    let told = format!(
        "error: there is no installation in {0} yet. A server makes one: claviger serve --data-dir {0}. ",
        nowhere.display()
    );
    assert!(code == 1 && err.starts_with(&told), "{err}");
    // Where the way there leads through a file it cannot be looked at.
    let (code, err) = run(&["--data-dir", "/dev/null/x"]);
    assert!(code == 1 && err.contains("cannot be looked at") && err.contains("--data-dir"), "{err}");
    let (code, err) = run(&["--listen", "nowhere"]);
    assert!(code == 2 && err.contains("--listen"), "{err}");
    let (code, err) = run(&["--skip", "nothing"]);
    assert!(code == 2 && err.contains("nothing"), "{err}");
    assert!(!nowhere.exists(), "nothing is made");
}

#[tokio::test]
async fn an_empty_folder_is_no_damaged_one() {
    let folder = folder();
    keep_inside(folder.path());
    let path = folder.path().to_str().unwrap();
    let mut command = Program::command(&["doctor", "--json", "--data-dir", path]);
    command.args(["--listen", &format!("127.0.0.1:{}", free_port())]);
    let output = command.current_dir("/").output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(1), &[][..]), "{err}");
    assert!(err.starts_with(&format!("error: there is no installation in {path} yet. ")), "{err}");
    assert!(std::fs::read_dir(folder.path()).unwrap().next().is_none(), "nothing is made");
    if on_postgres() {
        let cluster = Cluster::start_with(None, "");
        cluster.ask("CREATE DATABASE new");
        let output = command.args(["--database-url", &cluster.url("new")]).output().unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        assert!(err.starts_with(&format!("error: there is no installation in {path} yet. ")), "{err}");
    }
}

#[tokio::test]
async fn a_database_that_is_gone_is_a_fault() {
    let folder = folder();
    keep_inside(folder.path());
    let key = folder.path().join("master.key");
    std::fs::write(&key, claviger_crypto::base64url(&[7; 32])).unwrap();
    private(&key, 0o600);
    let mut command =
        Program::command(&["doctor", "--json", "--hash-queue", "1", "--max-connections", "100"]);
    let listen = format!("127.0.0.1:{}", free_port());
    command.args(["--data-dir", folder.path().to_str().unwrap(), "--listen", &listen]);
    let told = Told::by(command.current_dir(folder.path()));
    assert_eq!((told.code, told.faults()), (3, vec!["database".to_owned()]));
}

#[test]
fn the_list_and_the_manual_are_the_table() {
    let output = Program::command(&["doctor", "--list", "--json"]).output().unwrap();
    let out = String::from_utf8(output.stdout).unwrap();
    let listed: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let table: Vec<Value> = claviger::doctor::CHECKS
        .iter()
        .map(|check| json!({"check": check.id, "about": check.about}))
        .collect();
    assert_eq!(listed, table);
    let manual =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/doctor.md")).unwrap();
    let reference = claviger::doctor::reference();
    assert!(manual.contains(&reference), "docs/doctor.md should hold this table:\n{reference}");
}

/// Also those that no test here provokes.
#[test]
fn every_command_that_mends_is_one() {
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/doctor/rules");
    let (mut commands, mut settings) = (0, 0);
    for entry in std::fs::read_dir(rules).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        let text = text.split("#[cfg(test)]").next().unwrap();
        let literal = |after: &str| after.split('"').next().unwrap().to_owned();
        for start in ["facts.command(\"", "facts.command(&format!(\""] {
            for line in text.split(start).skip(1).map(literal).filter(|line| !line.contains("{flag}")) {
                let mut given = line.clone();
                while let Some((before, (_, after))) =
                    given.split_once('{').map(|(b, r)| (b.to_owned(), r.split_once('}').unwrap()))
                {
                    given = format!("{before}x{after}");
                }
                assert_command(&format!("claviger {given} --data-dir /x --config /y"));
                commands += 1;
            }
        }
        for given in text.split("start(facts, \"").skip(1).map(literal).filter(|flags| !flags.is_empty()) {
            assert_command(&format!("claviger serve {given} --data-dir /x --config /y"));
            commands += 1;
        }
        let keys = text.split("set(facts, \"").skip(1).chain(text.split("unusual(\"").skip(1)).map(literal);
        for key in keys {
            assert!(claviger::config::raw::find(&key).is_some(), "{key}");
            settings += 1;
        }
    }
    assert!(commands > 12 && settings > 6, "{commands} commands and {settings} settings were found");
}
