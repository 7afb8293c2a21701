//! Parts alone, as fast as they go.

fn main() {}
