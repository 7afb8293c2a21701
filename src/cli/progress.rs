//! How far a copy is: a bar where standard error is a terminal, else a line for each table.

use crate::db::copy::{Stage, Watch};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::cell::Cell;
use std::io::IsTerminal as _;
use std::time::Duration;

const FORM: &str = "{prefix} [{wide_bar:.cyan}] {human_pos}/{human_len} rows, {eta} left  {msg}";

/// Tells of a copy on standard error.
pub(super) struct Progress {
    /// Hidden until it begins, and where there is no terminal.
    bar: ProgressBar,
    is_shown: bool,
    stage: Cell<Stage>,
}

impl Progress {
    pub(super) fn new() -> Self {
        let is_shown = std::io::stderr().is_terminal();
        let bar = ProgressBar::hidden();
        // A template that cannot be read leaves the crate's own.
        if let Ok(style) = ProgressStyle::with_template(FORM) {
            bar.set_style(style.progress_chars("=> "));
        }
        Self { bar, is_shown, stage: Cell::new(Stage::Copying) }
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
    }
}

impl Watch for Progress {
    fn begin(&self, stage: Stage, rows: u64) {
        self.stage.set(stage);
        self.bar.set_prefix(match stage {
            Stage::Copying => "copying",
            Stage::Comparing => "comparing",
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
        if !self.is_shown {
            eprintln!("{} {name}: {rows} rows", verb(self.stage.get()));
        }
    }
}
