//! HTML, made by templates that escape what they are given.

pub mod docs;
