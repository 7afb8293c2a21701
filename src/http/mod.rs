//! What every route shares: problem documents, strict bodies and credentials, headers, the request's
//! log line, and the description of routes; and what this program needs as a client. Knows no feature.

pub mod address;
pub mod basic;
pub mod bearer;
pub mod body;
pub mod client;
pub mod document;
pub mod edge;
pub mod form;
pub mod idempotency;
pub mod json;
pub mod limit;
pub mod oauth;
pub mod openapi;
pub mod path;
pub mod prepared;
pub mod problem;
