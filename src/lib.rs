//! Claviger: a self-hosted auth server. ARCHITECTURE.md is the map.
//!
//! Within a feature: `mod` (types and rules), `store` (SQL), `flow` (use cases), `api` (HTTP). Which module
//! may import which is written in `tests/it/tidy.rs`.

pub mod accounts;
pub mod app;
pub mod audit;
pub mod base;
pub mod cli;
pub mod config;
pub mod credentials;
pub mod db;
pub mod http;
pub mod keys;
pub mod login;
pub mod pages;
pub mod password_pool;
pub mod routes;
pub mod server;
