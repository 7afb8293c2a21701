//! Health over HTTP, for load balancers and supervisors.

use crate::app::App;
use crate::http::openapi::{Answer, Operation};
use crate::http::problem::{self, NOT_READY, Problem};
use axum::Json;
use axum::extract::State;
use schemars::JsonSchema;
use serde::Serialize;
use std::sync::Arc;
use std::time::Instant;

/// How long a load balancer may be left alone, in seconds.
const ASK_AGAIN: u64 = 1;

/// A server's health.
#[derive(Debug, Serialize, JsonSchema)]
pub struct HealthAnswer {
    /// `live` or `ready`.
    status: &'static str,
}

/// `GET /health/live`.
pub const GET_LIVE: Operation = Operation {
    id: "getLive",
    summary: "Whether the process serves at all; one that does not should be started again",
    repeatable: false,
    parameters: &[],
    request: None,
    answers: &[Answer::json::<HealthAnswer>(200, "It serves")],
    problems: &[],
};

/// `GET /health/ready`.
pub const GET_READY: Operation = Operation {
    id: "getReady",
    summary: "Whether a load balancer should send requests here: database, keys and migrations are in order",
    repeatable: false,
    parameters: &[],
    request: None,
    answers: &[Answer::json::<HealthAnswer>(200, "It should")],
    problems: &[&problem::NOT_READY],
};

/// `GET /health/live`.
pub async fn live() -> Json<HealthAnswer> {
    Json(HealthAnswer { status: "live" })
}

/// `GET /health/ready`.
pub async fn ready(State(app): State<Arc<App>>) -> Result<Json<HealthAnswer>, Problem> {
    match app.health.ready(app.keyring.has_keys(), Instant::now()) {
        Ok(()) => Ok(Json(HealthAnswer { status: "ready" })),
        Err(faults) => {
            let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
            let detail = format!("No requests should come here: {}.", faults.join(", "));
            Err(NOT_READY.because(detail).retry_after(ASK_AGAIN))
        }
    }
}
