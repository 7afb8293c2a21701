//! The integration tests: one binary, one harness, one file per subject. Behaviour is tried through HTTP.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::disallowed_methods, unreachable_pub, missing_docs)]

mod harness;

mod accounts;
mod addresses;
mod api_keys;
mod audit;
mod away;
mod bad_changes;
mod bad_credentials;
mod bad_fields;
mod bad_forms;
mod bad_input;
mod bad_tokens;
mod cli;
mod commands;
mod conversation;
mod cors;
mod database_copy;
mod database_copy_stopped;
mod docs;
mod erasure;
mod framing;
mod guesses;
mod guesses_at_home;
mod hang_up;
mod hashing;
mod health;
mod hygiene;
mod import;
mod import_beside;
mod keys;
mod limits;
mod login;
mod logs;
mod nodes;
mod operators;
mod outage;
mod own_account;
mod passwords;
mod pooler;
mod program;
mod refresh;
mod refresh_limits;
mod refused_commands;
mod rotation;
mod rotation_live;
mod schema;
mod services;
mod session_bounds;
mod session_cap;
mod session_crash;
mod session_model;
mod session_races;
mod sessions;
mod shutdown;
mod slow;
mod status;
mod surface;
mod sweep;
mod tidy;
mod tls;
mod trail;
mod transactions;
