//! `claviger doctor`: looks at an installation and prints what is wrong with it.

use crate::base::time::Clock;
use crate::cli::table::{Table, escaped, escaped_json, inert};
use crate::cli::{FAILED, REFUSED, failed, print, with_file};
use crate::config::DatabaseUrl;
use crate::config::raw::{SETTINGS, Setting, find};
use crate::doctor::{CHECKS, Call, Finding, Flag, Level, Outcome, Report, gather, shell_word};
use clap::ArgMatches;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

pub(super) fn run(args: &ArgMatches) -> Result<ExitCode, ExitCode> {
    if args.get_flag("list") {
        list(args.get_flag("json"));
        return Ok(ExitCode::SUCCESS);
    }
    let (config, file) = with_file(args)?;
    let skip: Vec<String> = args.get_many::<String>("skip").into_iter().flatten().cloned().collect();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().map_err(failed)?;
    let facts = runtime.block_on(gather(config, call(args, file), args.get_flag("deep"), Clock::System));
    // A look that hangs is not waited for.
    runtime.shutdown_background();
    let report = Report::new(&facts.map_err(failed)?, &skip);
    if args.get_flag("json") {
        print(format_args!("{}\n", escaped_json(&report.json().to_string())));
    } else {
        print(format_args!("{}", text(&report, args.get_flag("verbose"))));
    }
    Ok(ExitCode::from(code(&report, args.get_flag("strict"))))
}

/// A fault counts for more than what could not be looked at.
fn code(report: &Report, strict: bool) -> u8 {
    let found = report.count(Level::Error) > 0 || strict && report.count(Level::Warning) > 0;
    match (found, report.ended("unknown")) {
        (true, _) => REFUSED,
        (false, 0) => 0,
        (false, _) => FAILED,
    }
}

fn list(json: bool) {
    let mut table = Table::new(&["check", "about"]);
    for check in CHECKS {
        table.row([check.id, check.about].map(|text| Some(text.to_owned())));
    }
    table.print(json);
}

/// The settings that name the place come first in a command; then those of `raw.rs` in their order.
const PLACE: [&str; 3] = ["data_dir", "database_url", "master_key_file"];

/// The flags that the doctor was called with, for the commands that it prints.
fn call(args: &ArgMatches, file: Option<PathBuf>) -> Call {
    let given = args.get_one::<PathBuf>("config").map(|path| path.display().to_string());
    let config = given.map(|path| Flag { name: "config".into(), value: Some(shell_word(&path)) });
    let place = PLACE.iter().filter_map(|key| find(key));
    let rest = SETTINGS.iter().filter(|setting| !PLACE.contains(&setting.key) && !setting.secret);
    let flags = place.chain(rest).filter_map(|setting| flag(args, setting));
    Call { flags: config.into_iter().chain(flags).collect(), takes, file }
}

fn flag(args: &ArgMatches, setting: &Setting) -> Option<Flag> {
    let name = setting.flag();
    if setting.is_switch() {
        return args.get_flag(setting.key).then_some(Flag { name, value: None });
    }
    let value = args.get_one::<String>(setting.key)?;
    let value = if setting.key == "database_url" { shell_url(value) } else { shell_word(value) };
    Some(Flag { name, value: Some(value) })
}

/// A password is not printed: a variable stands for the URL, and a shell stops where that is not set.
fn shell_url(url: &str) -> String {
    match DatabaseUrl::parse(url) {
        Ok(parsed) if parsed.to_string() == url => shell_word(url),
        _ => "\"${CLAVIGER_DATABASE_URL:?}\"".to_owned(),
    }
}

/// Whether the command that these words begin with takes a flag.
fn takes(words: &[&str], flag: &str) -> bool {
    let mut command = &super::super::command();
    for word in words {
        match command.find_subcommand(word) {
            Some(below) => command = below,
            None => break,
        }
    }
    command.get_arguments().any(|argument| argument.get_long() == Some(flag))
}

fn text(report: &Report, verbose: bool) -> String {
    let (mut out, mut unknown) = (String::new(), BTreeMap::<&str, Vec<&str>>::new());
    for (check, finding) in report.findings() {
        out += &told(check.id, finding);
        out.push('\n');
    }
    for (check, outcome) in report.outcomes() {
        match outcome {
            // Many may miss the same.
            Outcome::Unknown(why) => unknown.entry(why).or_default().push(check.id),
            Outcome::Fine(said) if verbose => out += &format!("fine     {}: {}\n", check.id, escaped(said)),
            // Some name a command.
            Outcome::Skipped(why) if verbose => out += &skipped(check.id, why),
            Outcome::Fine(_) | Outcome::Skipped(_) | Outcome::Found(_) => {}
        }
    }
    for (why, checks) in unknown {
        out += &format!("unknown  {}: {}\n", checks.join(", "), escaped(why));
    }
    let gap = if out.is_empty() || out.ends_with("\n\n") { "" } else { "\n" };
    out + gap + &summary(report)
}

fn skipped(check: &str, why: &str) -> String {
    format!("skipped  {check}: {}\n", inert(why))
}

fn told(check: &str, finding: &Finding) -> String {
    let Finding { level, what, why, mend } = finding;
    let mut out = format!("{:<8} {check}: {}\n", level.name(), escaped(what));
    out += &format!("  why    {}\n", escaped(why));
    if let Some(text) = &mend.text {
        out += &format!("  mend   {}\n", inert(text));
    }
    if let Some(command) = &mend.command {
        out += &format!("  run    {}\n", inert(command));
    }
    out
}

fn summary(report: &Report) -> String {
    let count = |count: usize, name: &str| match count {
        1 => format!("1 {name}"),
        count => format!("{count} {name}s"),
    };
    let (errors, warnings) =
        (count(report.count(Level::Error), "error"), count(report.count(Level::Warning), "warning"));
    let [fine, unknown, skipped] = ["fine", "unknown", "skipped"].map(|name| report.ended(name));
    format!(
        "{errors}, {warnings}. Of {} checks {fine} were fine, {skipped} skipped, {unknown} could not look.\n",
        CHECKS.len()
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::doctor::Mend;

    #[test]
    fn what_mends_is_printed_as_a_shell_takes_it() {
        let path = shell_word("/srv/it's a \\ folder");
        let mend =
            Mend { text: Some(format!("Before: ls {path}")), command: Some(format!("chmod 700 {path}")) };
        let found = Finding { level: Level::Error, what: "a\\b".into(), why: "so", mend };
        assert_eq!(
            told("x", &found),
            "error    x: a\\\\b\n  why    so\n  mend   Before: ls '/srv/it'\\''s a \\ folder'\n  \
            run    chmod 700 '/srv/it'\\''s a \\ folder'\n"
        );
        let ask = format!("ask: curl -i {}", shell_word("a\\b"));
        assert_eq!(skipped("x", &ask), "skipped  x: ask: curl -i 'a\\b'\n");
    }

    #[test]
    fn the_doctors_own_flags_are_kept_by_commands_that_take_them() {
        let words = [
            "claviger",
            "doctor",
            "--limits",
            "false",
            "--dev",
            "--config",
            "a b",
            "--data-dir",
            "/x",
            "--database-url",
            "postgres://u:hunter2@h/d",
            "--deep",
            "--skip",
            "wal",
        ];
        let matches = crate::cli::command().get_matches_from(words);
        let call = call(matches.subcommand_matches("doctor").unwrap(), None);
        let shown = |flag: &Flag| format!("{} {}", flag.name, flag.value.clone().unwrap_or_default());
        assert_eq!(
            call.flags.iter().map(shown).collect::<Vec<_>>(),
            [
                "config 'a b'",
                "data-dir /x",
                "database-url \"${CLAVIGER_DATABASE_URL:?}\"",
                "dev ",
                "limits false"
            ]
        );
        assert_eq!(shell_url("postgres://u@h/d?sslmode=require"), "'postgres://u@h/d?sslmode=require'");
        for (words, flag, is_taken) in [
            ("serve", "limits", true),
            ("key list", "limits", false),
            ("key revoke x", "key-rotation", true),
            ("backup restore BACKUP.age", "data-dir", true),
            ("doctor --deep", "limits", true),
            ("doctor hash", "limits", false),
        ] {
            assert_eq!(takes(&words.split(' ').collect::<Vec<_>>(), flag), is_taken, "{words} --{flag}");
        }
    }
}
