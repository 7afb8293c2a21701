//! The published keys over HTTP.

use super::{Error, JWK_SET_TYPE};
use crate::app::App;
use crate::app::extract::Viewer;
use crate::http::openapi::{Answer, Operation};
use crate::http::problem::{self, Problem};
use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use claviger_crypto::jwk::PublicJwk;
use schemars::JsonSchema;
use serde::Serialize;
use std::sync::Arc;

/// The starting API's form: one key, of RSA, as that API knows no other.
#[derive(Serialize)]
pub struct OneKey {
    keys: PublicJwk,
}

/// A public key: RSA (RFC 7518 §6.3), P-256 (RFC 7518 §6.2) or Ed25519 (RFC 8037 §2).
#[derive(JsonSchema)]
#[schemars(rename = "Jwk")]
#[allow(dead_code)] // Describes `PublicJwk`, which lives in the crypto crate.
struct JwkSchema {
    /// The algorithm: `RS256`, `ES256` or `EdDSA`.
    alg: String,
    /// Of EC and OKP: the curve, `P-256` or `Ed25519`.
    #[schemars(default, skip_serializing_if = "String::is_empty")]
    crv: String,
    /// Of RSA: the public exponent, base64url.
    #[schemars(default, skip_serializing_if = "String::is_empty")]
    e: String,
    /// The key's id, its RFC 7638 thumbprint.
    kid: String,
    /// The key type: `RSA`, `EC` or `OKP`.
    kty: String,
    /// Of RSA: the modulus, base64url.
    #[schemars(default, skip_serializing_if = "String::is_empty")]
    n: String,
    /// The key's use, `sig`.
    r#use: String,
    /// Of EC and OKP: the point, or its first coordinate, base64url.
    #[schemars(default, skip_serializing_if = "String::is_empty")]
    x: String,
    /// Of EC: the point's second coordinate, base64url.
    #[schemars(default, skip_serializing_if = "String::is_empty")]
    y: String,
}

/// One key, in the starting API's form.
#[derive(JsonSchema)]
#[schemars(rename = "OneKey")]
#[allow(dead_code)]
struct OneKeySchema {
    keys: JwkSchema,
}

/// A JWK set (RFC 7517 §5).
#[derive(JsonSchema)]
#[schemars(rename = "JwkSet")]
#[allow(dead_code)]
struct JwkSetSchema {
    keys: Vec<JwkSchema>,
}

/// `GET /jwks`.
pub const GET_JWKS: Operation = Operation {
    id: "getActiveKey",
    summary: "The public RSA key that signs or did so last, in the starting API's form",
    repeatable: false,
    parameters: &[],
    request: None,
    answers: &[Answer::json::<OneKeySchema>(200, "The RSA public key as one object")],
    problems: &[&problem::NOT_FOUND],
};

/// `GET /.well-known/jwks.json`.
pub const GET_JWK_SET: Operation = Operation {
    id: "getJwkSet",
    summary: "The JWK set: all published public keys (RFC 7517)",
    repeatable: false,
    parameters: &[],
    request: None,
    answers: &[
        Answer::json::<JwkSetSchema>(200, "The key set, with ETag and Cache-Control").as_type(JWK_SET_TYPE),
        Answer::empty(304, "The set is the one the caller has (If-None-Match)"),
    ],
    problems: &[&problem::BUSY],
};

/// `GET /jwks`.
pub async fn jwks(State(app): State<Arc<App>>, _: Viewer) -> Result<Json<OneKey>, Problem> {
    let keys = app.key_set().await?.rsa().cloned().ok_or_else(|| {
        problem::NOT_FOUND.because(
            "No RSA key ever signed here, and this path knows no other kind. All keys are in /.well-known/jwks.json.",
        )
    })?;
    Ok(Json(OneKey { keys }))
}

/// `GET /.well-known/jwks.json`.
pub async fn jwk_set(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Response, Problem> {
    Ok(app.key_set().await?.jwk_set().answer(&headers))
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::Db(error) => error.into(),
            Error::NotReady => Self::busy(&error),
            other => Self::internal(other),
        }
    }
}
