//! Claviger: a self-hosted auth server. ARCHITECTURE.md is the map.
//!
//! A module imports only those above it in this list; within a feature: `mod` (types and rules),
//! `store` (SQL), `flow` (use cases), `api` (HTTP).

pub mod accounts;
pub mod app;
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
