//! How far a command is: a bar where standard error is a terminal. Else a copy tells of each table, a backup nothing.

use crate::db::copy::{Stage, Watch};
use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::cell::Cell;
use std::fmt::Display;
use std::io::IsTerminal as _;
use std::time::Duration;

const FORM: &str = "{prefix} [{wide_bar:.cyan}] {human_pos}/{human_len} rows, {eta} left  {msg}";

const OF_A_FILE: &str = "{prefix} [{wide_bar:.cyan}] {msg}, {eta} left";

const OF_A_STREAM: &str = "{prefix} {msg}";

/// Tells how much of a file is read, on a terminal.
pub(super) struct Reading(ProgressBar, &'static str);

impl Reading {
    /// Of so much, if that is known, which comes in these units.
    pub(super) fn new(bytes: Option<u64>, unit: &'static str) -> Self {
        let bar = bytes.map_or_else(ProgressBar::no_length, ProgressBar::new);
        if let Ok(style) = ProgressStyle::with_template(bytes.map_or(OF_A_STREAM, |_| OF_A_FILE)) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_prefix("importing");
        Self(bar, unit)
    }

    /// So much is read.
    pub(super) fn at(&self, bytes: u64, number: u64) {
        self.0.set_message(format!("{} {}s", HumanCount(number), self.1));
        self.0.set_position(bytes);
    }

    /// Writes a line to standard error, above the bar.
    pub(super) fn say(&self, line: impl Display) {
        self.0.suspend(|| eprintln!("{line}"));
    }

    /// Takes the bar away.
    pub(super) fn end(&self) {
        self.0.finish_and_clear();
    }
}

/// Tells of a copy on standard error.
pub(super) struct Progress {
    /// Hidden until it begins, and where there is no terminal.
    bar: ProgressBar,
    is_shown: bool,
    /// Whether it tells of each table where there is no terminal.
    tells: bool,
    stage: Cell<Stage>,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self::telling(true)
    }

    /// One that says nothing where there is no terminal: what runs each night is heard only when something is wrong.
    pub(super) fn quiet() -> Self {
        Self::telling(false)
    }

    fn telling(tells: bool) -> Self {
        let is_shown = std::io::stderr().is_terminal();
        let bar = ProgressBar::hidden();
        // A template that cannot be read leaves the crate's own.
        if let Ok(style) = ProgressStyle::with_template(FORM) {
            bar.set_style(style.progress_chars("=> "));
        }
        Self { bar, is_shown, tells, stage: Cell::new(Stage::Copying) }
    }
}

/// Takes the bar away, also where the copy is interrupted.
impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

fn verb(stage: Stage) -> &'static str {
    match stage {
        Stage::Copying => "copied",
        Stage::Comparing => "compared",
        Stage::Saving => "saved",
        Stage::Checking => "checked",
        Stage::Restoring => "restored",
    }
}

impl Watch for Progress {
    fn begin(&self, stage: Stage, rows: u64) {
        self.stage.set(stage);
        self.bar.set_prefix(match stage {
            Stage::Copying => "copying",
            Stage::Comparing => "comparing",
            Stage::Saving => "saving",
            Stage::Checking => "checking",
            Stage::Restoring => "restoring",
        });
        self.bar.set_length(rows);
        self.bar.reset();
        if self.is_shown {
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
            self.bar.enable_steady_tick(Duration::from_millis(500));
        }
    }

    fn table(&self, name: &str) {
        self.bar.set_message(name.to_owned());
    }

    fn done(&self, rows: u64) {
        self.bar.inc(rows);
    }

    fn table_done(&self, name: &str, rows: u64) {
        if !self.is_shown && self.tells {
            eprintln!("{} {name}: {rows} rows", verb(self.stage.get()));
        }
    }
}
