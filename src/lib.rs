//! Claviger: a self-hosted auth server. ARCHITECTURE.md is the map.
//!
//! Within a feature: `mod` (types and rules), `store` (SQL), `flow` (use cases), `api` (HTTP). Which module
//! may import which is written in `tests/it/tidy.rs`.

pub mod accounts;
pub mod admin;
pub mod api_keys;
pub mod app;
pub mod audit;
pub mod backup;
pub mod base;
pub mod cli;
pub mod config;
pub mod credentials;
pub mod db;
pub mod doctor;
pub mod guesses;
pub mod health;
pub mod http;
pub mod jobs;
pub mod keys;
pub mod login;
pub mod metrics;
pub mod oauth;
pub mod pages;
pub mod password_pool;
pub mod profiles;
pub mod routes;
pub mod server;
pub mod sessions;
pub mod status;
pub mod traces;
