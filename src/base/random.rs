//! The one place that asks the operating system for randomness.

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
