//! The integration tests: one binary, one harness, one file per subject. Behaviour is tried through HTTP.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::disallowed_methods, unreachable_pub, missing_docs)]

mod harness;

mod accounts;
mod surface;
mod tidy;
