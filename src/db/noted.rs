//! Notes each statement that runs, in builds for tests: `./check` compares what ran on the two engines with what
//! stands in the stores. Other builds have nothing of this.

use std::collections::HashSet;
use std::fs::File;
use std::io::Write as _;
use std::sync::{Mutex, OnceLock, PoisonError};

static NOTES: OnceLock<Mutex<(File, HashSet<&'static str>)>> = OnceLock::new();

/// From now on each statement is written to `file` when it first runs, on a line of its own.
pub fn note_statements(file: File) {
    let _ = NOTES.set(Mutex::new((file, HashSet::new())));
}

pub(super) fn note(sql: &'static str) {
    let Some(notes) = NOTES.get() else { return };
    let (file, seen) = &mut *notes.lock().unwrap_or_else(PoisonError::into_inner);
    if seen.insert(sql) {
        let line = sql.split_whitespace().collect::<Vec<_>>().join(" ") + "\n";
        let _ = file.write_all(line.as_bytes());
    }
}
