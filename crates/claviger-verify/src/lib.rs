//! Verifies the access tokens of a Claviger server in your service, without asking
//! the server for each request.
//!
//! ```no_run
//! # async fn example(token: &str) -> Result<(), Box<dyn std::error::Error>> {
//! use claviger_verify::Verifier;
//!
//! let verifier = Verifier::builder("https://auth.example.com").audience("https://auth.example.com").build()?;
//! let claims = verifier.verify(token).await?;
//! println!("{} may {}", claims.subject(), claims.scope());
//! # Ok(())
//! # }
//! ```
//!
//! Make one [`Verifier`] when the service starts and clone it where it is needed; clones share everything.
//!
//! # What is checked
//!
//! The rules are those of the server itself, in the same code ([RFC 9068], [RFC 8725]): at most 8 kB; a header of exactly
//! `alg`, `kid` and `typ`, so that `crit`, `jku` or `jwk` are refused; `typ` `at+jwt`; RS256, ES256 or EdDSA, as the key
//! that `kid` names says and never the token; the signature; `iss` and `aud` as exact strings; `exp`, `nbf` and `iat`;
//! and that the session has not ended ([status list]).
//!
//! # What is fetched
//!
//! The JWK set, at `ISSUER/.well-known/jwks.json`, is fetched when the verifier is built, and again by a task of its own
//! when half the time is over for which it may be cached. A key id that is not in it has it fetched at once, but not
//! more often than every 5 seconds ([`Builder::pause`]), for all callers together: tokens made up of garbage cost the
//! server nothing. While the server is away, the last set is used for an hour ([`Builder::keep_keys_for`]).
//!
//! The status list that a token names is fetched when it is first needed, then kept fresh as its `ttl` asks. A session
//! that was ended is refused everywhere within a minute, and mostly in 20 seconds. What happens while no list can be had
//! is a setting: [`MissingStatus`].
//!
//! # Features
//!
//! - `http-client` (default): fetches by hyper and rustls. Without it, give [`Builder::fetch`] a [`Fetch`] of yours.
//! - `tower`: `tower::TokenLayer` and `tower::ScopeLayer`, which answer 401 and 403 as
//!   RFC 6750 asks.
//! - `axum`: `axum::Authenticated` and [`Claims`] as extractors.
//!
//! [RFC 9068]: https://www.rfc-editor.org/rfc/rfc9068
//! [RFC 8725]: https://www.rfc-editor.org/rfc/rfc8725
//! [status list]: https://datatracker.ietf.org/doc/draft-ietf-oauth-status-list/

#[cfg(feature = "axum")]
pub mod axum;
mod builder;
mod claims;
#[cfg(feature = "http-client")]
mod client;
mod error;
mod fetch;
mod fresh;
mod keys;
mod list;
mod lists;
#[cfg(feature = "tower")]
mod rejection;
#[cfg(feature = "tower")]
pub mod tower;
mod verifier;

pub use builder::{BuildError, Builder};
pub use claims::Claims;
pub use claviger_crypto::jws::Error as SignatureError;
pub use claviger_crypto::jwt::Error as TokenError;
#[cfg(feature = "http-client")]
pub use client::HttpClient;
pub use error::Error;
pub use fetch::{Fetch, FetchError, Fetching, Request, Response};
pub use list::StatusList;
pub use lists::MissingStatus;
#[cfg(feature = "tower")]
pub use rejection::Rejection;
pub use verifier::Verifier;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#[allow(clippy::disallowed_methods)]
mod tests;
