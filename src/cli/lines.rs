//! A file line by line, each held to its greatest length in memory.

use crate::credentials::import::MAX_LINE;
use std::io::{self, BufRead, Read as _};

/// The lines of a file.
pub(super) struct Lines<R> {
    input: R,
    line: Vec<u8>,
    number: u64,
    bytes: u64,
    has_end: bool,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, line: Vec::new(), number: 0, bytes: 0, has_end: true }
    }

    /// The next line that is not blank, with its number, counted from 1. One that is longer than it may be is cut
    /// to one byte more than that.
    pub(super) fn next(&mut self) -> io::Result<Option<(u64, &[u8])>> {
        loop {
            self.line.clear();
            let most = MAX_LINE as u64 + 1;
            let read = self.input.by_ref().take(most).read_until(b'\n', &mut self.line)? as u64;
            if read == 0 {
                return Ok(None);
            }
            self.number += 1;
            self.bytes += read;
            let has_end = self.line.pop_if(|last| *last == b'\n').is_some();
            let is_whole = has_end || read < most;
            self.has_end = has_end || !is_whole;
            if !is_whole {
                self.bytes += self.input.skip_until(b'\n')? as u64;
            }
            if !is_whole || !self.line.trim_ascii().is_empty() {
                return Ok(Some((self.number, &self.line)));
            }
        }
    }

    /// How many lines were read.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Whether the last one that was given out is cut off here, or ends with a newline. The last of a file may have none.
    pub(super) fn has_end(&self) -> bool {
        self.has_end
    }

    /// How many bytes were read.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(input: &[u8]) -> Vec<(u64, Vec<u8>)> {
        let mut lines = Lines::new(io::BufReader::with_capacity(7, input));
        let mut found = Vec::new();
        while let Some((number, line)) = lines.next().unwrap() {
            found.push((number, line.to_vec()));
        }
        assert_eq!(lines.bytes(), input.len() as u64);
        found
    }

    #[test]
    fn blank_lines_count_and_are_left_out() {
        assert_eq!(read(b""), []);
        assert_eq!(read(b"\n \t\r\n"), []);
        let found = [(2, b"a".to_vec()), (4, b"b\r".to_vec()), (5, b" c".to_vec())];
        assert_eq!(read(b"\na\n\nb\r\n c"), found);
    }

    #[test]
    fn a_long_line_is_cut_and_the_next_one_is_whole() {
        let (most, over) = ("x".repeat(MAX_LINE), "x".repeat(MAX_LINE + 1));
        let input = format!("{most}\n{over}\n{}yy\nz\n{}", over.repeat(3), " ".repeat(MAX_LINE + 9));
        let lengths: Vec<_> = read(input.as_bytes()).iter().map(|(_, line)| line.len()).collect();
        assert_eq!(lengths, [MAX_LINE, MAX_LINE + 1, MAX_LINE + 1, 1, MAX_LINE + 1]);
    }

    proptest! {
        #[test]
        fn any_file_is_read_to_its_end(input in "[ab \r\n]{0,60}") {
            let lines = input.split('\n').enumerate().filter(|(_, line)| !line.trim_ascii().is_empty());
            let lines: Vec<_> = lines.map(|(at, line)| (at as u64 + 1, line.as_bytes().to_vec())).collect();
            prop_assert_eq!(read(input.as_bytes()), lines);
        }
    }
}
