//! The one place that asks the operating system for randomness.

use std::cell::RefCell;

/// `N` random bytes.
///
/// # Panics
/// If the operating system has no randomness to give: nothing safe can be done without it.
#[allow(clippy::expect_used, clippy::disallowed_methods)]
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut out = [0; N];
    claviger_crypto::random_fill(&mut out).expect("the operating system gives randomness");
    out
}

/// How many identifiers' bytes are drawn at once.
const STOCK: usize = 64;

thread_local! {
    /// Bytes for identifiers: drawing costs more than the bytes.
    static FOR_IDS: RefCell<Vec<[u8; 10]>> = const { RefCell::new(Vec::new()) };
}

/// Ten random bytes for an identifier, which is no secret.
///
/// # Panics
/// As [`bytes()`].
pub fn for_an_id() -> [u8; 10] {
    FOR_IDS.with_borrow_mut(|stock| {
        if stock.is_empty() {
            let drawn: [u8; 10 * STOCK] = bytes();
            stock.extend_from_slice(drawn.as_chunks().0);
        }
        stock.pop().unwrap_or_else(bytes)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_bytes_come_twice() {
        let drawn: HashSet<[u8; 10]> = (0..10 * STOCK).map(|_| for_an_id()).collect();
        assert_eq!(drawn.len(), 10 * STOCK);
    }
}
