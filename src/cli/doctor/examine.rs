//! `claviger doctor`: looks at an installation and prints what is wrong with it.

use crate::base::time::Clock;
use crate::cli::table::{Table, escaped, escaped_json};
use crate::cli::{FAILED, REFUSED, configuration, failed, print};
use crate::doctor::{CHECKS, Finding, Level, Outcome, Report, gather, shell_word};
use clap::ArgMatches;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

pub(super) fn run(args: &ArgMatches) -> Result<ExitCode, ExitCode> {
    if args.get_flag("list") {
        list(args.get_flag("json"));
        return Ok(ExitCode::SUCCESS);
    }
    let config = configuration(args)?;
    let skip: Vec<String> = args.get_many::<String>("skip").into_iter().flatten().cloned().collect();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().map_err(failed)?;
    let facts = runtime.block_on(gather(config, flags(args), args.get_flag("deep"), Clock::System));
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

/// The flags that other commands need to find the same installation. A URL may hold a password, so its variable stands
/// for it.
fn flags(args: &ArgMatches) -> Vec<String> {
    let file = args.get_one::<PathBuf>("config").map(|path| path.display().to_string());
    let given = |key: &str| args.get_one::<String>(key).cloned();
    let flag =
        |name: &str, value: Option<String>| value.map(|value| format!("--{name} {}", shell_word(&value)));
    [
        flag("config", file),
        flag("data-dir", given("data_dir")),
        given("database_url").map(|_| "--database-url \"$CLAVIGER_DATABASE_URL\"".to_owned()),
        flag("master-key-file", given("master_key_file")),
    ]
    .into_iter()
    .flatten()
    .collect()
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
            Outcome::Skipped(why) if verbose => out += &format!("skipped  {}: {}\n", check.id, escaped(why)),
            Outcome::Fine(_) | Outcome::Skipped(_) | Outcome::Found(_) => {}
        }
    }
    for (why, checks) in unknown {
        out += &format!("unknown  {}: {}\n", checks.join(", "), escaped(why));
    }
    let gap = if out.is_empty() || out.ends_with("\n\n") { "" } else { "\n" };
    out + gap + &summary(report)
}

fn told(check: &str, finding: &Finding) -> String {
    let Finding { level, what, why, mend } = finding;
    let mut out = format!("{:<8} {check}: {}\n", level.name(), escaped(what));
    out += &format!("  why    {}\n", escaped(why));
    if let Some(text) = &mend.text {
        out += &format!("  mend   {}\n", escaped(text));
    }
    if let Some(command) = &mend.command {
        out += &format!("  run    {}\n", escaped(command));
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
