//! The ground everything stands on: ids, time, randomness, e-mail addresses, JSON, trust.
//!
//! Knows nothing of HTTP, SQL or accounts.

pub mod email;
pub mod id;
pub mod json;
pub mod priority;
pub mod random;
pub mod recent;
pub mod text;
pub mod time;
pub mod trust;
