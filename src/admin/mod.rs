//! What operators do to accounts and sessions: the use cases behind the command line.

pub mod flow;
