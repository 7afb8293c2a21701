//! Small files with secrets, kept out of memory that is not wiped.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use zeroize::Zeroizing;

/// The most that is read, in bytes: more than any of them needs, and who reads it says so of what is longer.
const MOST: usize = 1 << 16;

/// The text of a file; `-` is standard input.
pub(super) fn read(path: &Path) -> io::Result<Zeroizing<String>> {
    // Large enough that it never moves and leaves a copy behind.
    let mut text = Zeroizing::new(String::with_capacity(MOST + 64));
    let most = MOST as u64;
    if path.as_os_str() == "-" {
        io::stdin().take(most).read_to_string(&mut text)?;
    } else {
        File::open(path)?.take(most).read_to_string(&mut text)?;
    }
    Ok(text)
}
