//! What every test stands on: a server in this process ([`TestApp`]), callers as types, and the real
//! program as a child process ([`Program`]).

mod app;
mod callers;
mod program;

pub use app::{NOW, TestApp};
pub use callers::{Account, Anonymous, Answer, ByPassword, ByToken, Caller, send};
pub use program::{Program, free_port};
