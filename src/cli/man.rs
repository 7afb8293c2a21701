//! `claviger man`: the manual pages, made from the command line itself, so that they say what `--help` says.

use super::{FAILED, FILE_VARIABLE, REFUSED, SETTINGS, WRONG, command, failed, leaf, print};
use crate::config::load::DEFAULT_FILE;
use clap::{Arg, ArgMatches, Command, value_parser};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, italic, roman};
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// `claviger man`.
pub(super) fn manual() -> Command {
    leaf(
        "man",
        "Print the manual page, or write one for each command into a folder",
        "claviger man --dir /usr/local/share/man/man1",
    )
    .arg(
        Arg::new("dir")
            .long("dir")
            .value_name("DIR")
            .value_parser(value_parser!(PathBuf))
            .help("Write claviger.1 and a page for each command there; the folder is made if it is missing"),
    )
}

pub(super) fn run(args: &ArgMatches) -> Result<ExitCode, ExitCode> {
    let mut root = command().disable_help_subcommand(true);
    root.build();
    match args.get_one::<PathBuf>("dir") {
        None => print(format_args!("{}", page(&root, &["claviger"]).map_err(failed)?)),
        Some(dir) => {
            let named = |error: io::Error| failed(format!("{}: {error}", dir.display()));
            std::fs::create_dir_all(dir).map_err(named)?;
            write(&root, &["claviger"], dir).map_err(named)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes the page of a command, named by the words that call it, and those of its own commands.
fn write(command: &Command, words: &[&str], dir: &Path) -> io::Result<()> {
    std::fs::write(dir.join(format!("{}.1", words.join("-"))), page(command, words)?)?;
    command.get_subcommands().try_for_each(|sub| write(sub, &[words, &[sub.get_name()]].concat(), dir))
}

/// The page of a command, in roff.
fn page(command: &Command, words: &[&str]) -> io::Result<String> {
    let name = words.join("-");
    let man = Man::new(command.clone().display_name(name.clone()).bin_name(words.join(" ")))
        .title(name)
        .source(concat!("Claviger ", env!("CARGO_PKG_VERSION")))
        .manual("Claviger");
    let mut out = Vec::new();
    man.render_title(&mut out)?;
    man.render_name_section(&mut out)?;
    man.render_synopsis_section(&mut out)?;
    man.render_description_section(&mut out)?;
    let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let (examples, notes): (Vec<&str>, Vec<&str>) = help
        .split("\n\n")
        .filter(|part| !part.trim().is_empty())
        .partition(|part| part.starts_with("Example"));
    let mut roff = Roff::new();
    let (codes, notes): (Vec<&str>, Vec<&str>) = notes.into_iter().partition(|part| part.starts_with(CODES));
    notes.iter().for_each(|part| paragraph(&mut roff, part));
    roff.to_writer(&mut out)?;
    man.render_options_section(&mut out)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut out)?;
    }
    let mut roff = Roff::new();
    if words.len() == 1 {
        environment(&mut roff);
        files(&mut roff);
    } else if command.get_arguments().any(|arg| arg.get_id() == "config") {
        section(
            &mut roff,
            "ENVIRONMENT",
            "Each setting has a variable, which stands in brackets beside its option; claviger(1) has them all.",
        );
    }
    exit_status(&mut roff, codes.first().copied());
    example_section(&mut roff, &examples);
    see_also(&mut roff, command, words);
    roff.to_writer(&mut out)?;
    String::from_utf8(out).map_err(io::Error::other)
}

fn section(roff: &mut Roff, title: &str, text: &str) {
    roff.control("SH", [title]);
    roff.text([roman(text)]);
}

/// Text that flows, or, where it is indented, lines that stay as they are.
fn paragraph(roff: &mut Roff, text: &str) {
    roff.control("PP", []);
    if text.lines().all(|line| line.starts_with("  ")) {
        verbatim(roff, text.lines());
    } else {
        roff.text([roman(text.replace('\n', " "))]);
    }
}

fn verbatim<'a>(roff: &mut Roff, lines: impl Iterator<Item = &'a str>) {
    roff.control("nf", []);
    for line in lines {
        roff.text([roman(line)]);
    }
    roff.control("fi", []);
}

fn entry(roff: &mut Roff, head: String, text: String) {
    roff.control("TP", []);
    roff.text([bold(head)]);
    roff.text([roman(text)]);
}

fn environment(roff: &mut Roff) {
    section(
        roff,
        "ENVIRONMENT",
        "A setting is read from its option, then from its variable, then from the settings file.",
    );
    entry(roff, FILE_VARIABLE.to_owned(), format!("The settings file; {DEFAULT_FILE} if it is there"));
    for setting in SETTINGS {
        let secret =
            if setting.secret { " It has no option, since others can read a command line." } else { "" };
        let help = format!("{}. Default: {}.{secret}", setting.help, setting.default);
        entry(roff, setting.variable(), help);
    }
}

fn files(roff: &mut Roff) {
    roff.control("SH", ["FILES"]);
    for (file, what) in [
        (
            DEFAULT_FILE,
            "The settings, in the folder where the command is run, unless --config names another file. Each has the name of its variable, without CLAVIGER_ and in lower case",
        ),
        ("claviger-data/", "The data folder (--data-dir), of mode 0700"),
        (
            "claviger-data/claviger.db",
            "The database, with claviger.db-wal and claviger.db-shm beside it while it is open",
        ),
        (
            "claviger-data/master.key",
            "The key that the signing keys are sealed with. Whoever has it and the database can sign tokens; without it they are lost",
        ),
    ] {
        entry(roff, file.to_owned(), format!("{what}."));
    }
}

/// How a command's own exit codes begin in its help: `Exit codes: 0 …, 1 …`.
const CODES: &str = "Exit codes: ";

/// Those that the command says, or else what holds for all that say none.
fn exit_status(roff: &mut Roff, own: Option<&str>) {
    roff.control("SH", ["EXIT STATUS"]);
    if let Some(own) = own {
        own_codes(own).into_iter().for_each(|(code, meaning)| entry(roff, code, meaning));
        return;
    }
    for (code, meaning) in [
        (0, "It is done."),
        (FAILED, "It failed; the message says why."),
        (WRONG, "The command or the settings are wrong."),
        (REFUSED, "It is done but for what was refused."),
    ] {
        entry(roff, code.to_string(), meaning.to_owned());
    }
}

/// Each code with its meaning; a part that begins with no number goes on with the one before.
fn own_codes(text: &str) -> Vec<(String, String)> {
    let mut codes: Vec<(String, String)> = Vec::new();
    let text = text.trim_start_matches(CODES).trim_end().trim_end_matches('.').replace('\n', " ");
    for part in text.split(", ") {
        match (part.split_once(' ').filter(|(code, _)| code.parse::<u8>().is_ok()), codes.last_mut()) {
            (Some((code, meaning)), _) => codes.push((code.to_owned(), meaning.to_owned())),
            (None, Some((_, meaning))) => *meaning += &format!(", {part}"),
            (None, None) => {}
        }
    }
    codes.into_iter().map(|(code, meaning)| (code, sentence(&meaning))).collect()
}

/// With a capital letter and a full stop.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).chain(['.']).collect()
}

/// From `Example: …` a line, or `Examples:` and lines below it.
fn example_section(roff: &mut Roff, parts: &[&str]) {
    let lines = parts.iter().flat_map(|part| part.lines());
    let examples: Vec<&str> = lines
        .map(|line| line.trim_start_matches("Examples:").trim_start_matches("Example:").trim())
        .filter(|line| !line.is_empty())
        .collect();
    if !examples.is_empty() {
        roff.control("SH", ["EXAMPLES"]);
        verbatim(roff, examples.into_iter());
    }
}

fn see_also(roff: &mut Roff, command: &Command, words: &[&str]) {
    let above = words.split_last().map(|(_, above)| above.join("-")).filter(|above| !above.is_empty());
    let below = command.get_subcommands().map(|sub| format!("{}-{}", words.join("-"), sub.get_name()));
    let pages: Vec<String> = above.into_iter().chain(below).collect();
    if pages.is_empty() {
        return;
    }
    roff.control("SH", ["SEE ALSO"]);
    let mut line = Vec::new();
    for (at, page) in pages.iter().enumerate() {
        line.extend([italic(page.clone()), roman(if at + 1 == pages.len() { "(1)" } else { "(1), " })]);
    }
    roff.text(line);
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_command_tells_its_own_exit_codes() {
        let codes = own_codes("Exit codes: 0 all, and more, 1 it\nfailed, 3 so; else.");
        let codes: Vec<String> =
            codes.into_iter().map(|(code, meaning)| format!("{code} {meaning}")).collect();
        assert_eq!(codes, ["0 All, and more.", "1 It failed.", "3 So; else."]);
        let mut root = command();
        root.build();
        let told = |name| page(root.find_subcommand(name).unwrap(), &["claviger", name]).unwrap();
        let doctor = told("doctor");
        let status = doctor.split(".SH \"EXIT STATUS\"").nth(1).unwrap();
        assert!(status.contains("An error was found") && !status.contains("refused"), "{status}");
        assert!(!doctor.contains("Exit codes"), "{doctor}");
        assert!(told("serve").contains("It is done but for what was refused."));
    }
}
