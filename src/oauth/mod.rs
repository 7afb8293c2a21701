//! The OAuth 2 endpoints: the token endpoint (RFC 6749 §3.2), revocation (RFC 7009) and introspection
//! (RFC 7662).

pub mod api;
pub mod flow;
