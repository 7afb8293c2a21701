//! A service that takes a Claviger's tokens:
//!
//!     claviger serve --dev
//!     cargo run -p claviger-verify --features axum --example service -- http://127.0.0.1:5000 127.0.0.1:8080
//!     curl -i http://127.0.0.1:8080/hello -H "Authorization: Bearer $TOKEN"
//!     curl -i http://127.0.0.1:8080/admin -H "Authorization: Bearer $TOKEN"      # 403: it lacks the scope

#![allow(clippy::print_stdout, reason = "it talks to whoever tries it")]

use axum::Router;
use axum::routing::get;
use claviger_verify::axum::Authenticated;
use claviger_verify::tower::{ScopeLayer, TokenLayer};
use claviger_verify::{Claims, Rejection, Verifier};
use std::error::Error;

async fn hello(Authenticated(claims): Authenticated) -> String {
    format!("Hello {}, you may {}\n", claims.subject(), claims.scope())
}

async fn profile(Authenticated(claims): Authenticated) -> Result<String, Rejection> {
    claims.require_scope("profile")?;
    Ok(format!("The profile of {}\n", claims.subject()))
}

async fn admin(claims: Claims) -> String {
    format!("{} is let in\n", claims.subject())
}

fn app(verifier: Verifier) -> Router {
    let behind_layers = Router::new()
        .route("/admin", get(admin))
        .layer(ScopeLayer::new("admin"))
        .layer(TokenLayer::new(verifier.clone()));
    Router::new()
        .route("/hello", get(hello))
        .route("/profile", get(profile))
        .merge(behind_layers)
        .with_state(verifier)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let issuer = arguments.next().unwrap_or_else(|| "http://127.0.0.1:5000".to_owned());
    let listen = arguments.next().unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let verifier = Verifier::builder(issuer).build()?;
    // Better not to start than to refuse everybody.
    verifier.ready().await?;
    let listener = tokio::net::TcpListener::bind(listen).await?;
    println!("It listens on http://{}", listener.local_addr()?);
    axum::serve(listener, app(verifier)).await?;
    Ok(())
}
