//! What every test stands on: a server in this process ([`TestApp`]), callers as types, plain
//! connections ([`Wire`]), and the real program as a child process ([`Program`]).

mod app;
mod callers;
mod collector;
mod database;
mod frames;
mod in_order;
mod postgres;
mod program;
mod promql;
mod samples;
mod secure;
mod token;
mod tokens;
mod way;
mod wire;

pub use app::{NOW, TestApp};
pub use callers::{Account, Answer, ByApiKey, ByPassword, ByToken, Caller, all_at_once, send};
pub use collector::Collector;
pub use database::{Database, count, database, new_db, open_at, open_db, stored};
pub use frames::{Frame, Frames, GET, Kind, LOGIN, block};
pub use in_order::{as_asked, in_order, method, path};
pub use postgres::{
    Cluster, bare_database, keep_inside, on_postgres, settings, sqlite_only, statements_of, unprivileged,
    url_of, with_client,
};
pub use program::{Program, free_port};
pub use promql::{Query, Selector};
pub use samples::{Samples, base};
pub use secure::{Certificate, Secure, connect};
pub use token::decode;
pub use tokens::{Tokens, assert_refused_everywhere, refresh, refreshing};
pub use way::Way;
pub use wire::{Wire, assert_problem, exchange, quick, routes, statuses};
