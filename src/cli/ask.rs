//! Questions to who sits at the terminal. They go to standard error: standard output may be a file.

use super::failed;
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::process::ExitCode;

/// Asks without showing on the terminal what is typed.
pub(super) fn hidden<T>(ask: impl FnOnce() -> T) -> T {
    let input = std::io::stdin();
    let Ok(shown) = tcgetattr(&input) else { return ask() };
    let mut silent = shown.clone();
    silent.local_modes.remove(LocalModes::ECHO);
    // Where the terminal refuses, the password is still taken.
    let _ = tcsetattr(&input, OptionalActions::Flush, &silent);
    let answer = ask();
    let _ = tcsetattr(&input, OptionalActions::Flush, &shown);
    eprintln!();
    answer
}

/// One line of standard input; the question is shown only to people.
pub(super) fn ask(question: &str) -> Result<String, ExitCode> {
    let input = std::io::stdin();
    if input.is_terminal() {
        eprint!("{question}");
        std::io::stderr().flush().map_err(failed)?;
    }
    let mut line = String::new();
    input.lock().read_line(&mut line).map_err(failed)?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}
