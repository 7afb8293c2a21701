//! One operation, done a number of times: for `bench/instructions`, which counts what each costs.
//!
//! Usage: counted OPERATION COUNT
//!
//! All is fixed that can be: the keys, the clock, what is sent. The router is called in this process, on an
//! SQLite folder of its own, with the cheapest hash there is, so that what is counted is all else. There are no
//! jobs and no log.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use claviger::app::{App, Secrets};
use claviger::audit::{Actor, Origin};
use claviger::base::id;
use claviger::base::time::{Clock, Timestamp};
use claviger::config::raw::{Raw, Source, find};
use claviger::config::{Config, resolve};
use claviger::db::Db;
use claviger::keys::schedule::Policy;
use claviger::keys::{self, Keyring};
use claviger::metrics::Metrics;
use claviger::password_pool::PasswordPool;
use claviger::{routes, status};
use claviger_crypto::jws::{SigningKey, VerifyingKey};
use claviger_crypto::jwt::{AccessToken, Expected};
use claviger_crypto::status::StatusClaim;
use serde_json::Value;
use std::error::Error;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use tempfile::TempDir;
use tower::Service as _;

type Done<T = ()> = Result<T, Box<dyn Error>>;

const RS256: &str = include_str!("../../../../crates/crypto/test-keys/test-only-rsa-pkcs8.pem");
const ES256: &str = include_str!("../../../../crates/crypto/test-keys/test-only-p256-pkcs8.pem");
const EDDSA: &str = include_str!("../../../../crates/crypto/test-keys/test-only-ed25519-pkcs8.pem");

/// When the clock starts: 2026-11-23T12:00:00Z, in microseconds.
const NOW: i64 = 1_795_435_200_000_000;

/// Longer than a spent refresh token is remembered.
const ELEVEN_SECONDS: i64 = 11_000_000;

/// The tokens that are made beforehand, however many of them are shown: more than are ever asked for.
const TOKENS: usize = 100;

const ISSUER: &str = "http://claviger.test";
const HOST: &str = "claviger.test";
const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";

fn main() -> Done {
    let mut arguments = std::env::args().skip(1);
    let (Some(operation), Some(count)) = (arguments.next(), arguments.next()) else {
        return Err("usage: counted OPERATION COUNT".into());
    };
    let count = count.parse()?;
    match operation.as_str() {
        "verify-rs256" => verify(count),
        "sign-rs256" => sign(RS256, count),
        "sign-es256" => sign(ES256, count),
        "sign-eddsa" => sign(EDDSA, count),
        _ => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(serve(&operation, count))
        }
    }
}

fn claims() -> AccessToken {
    let account = "01a2094d-fc2c-7907-94de-66b72fb6012a".to_owned();
    let iat = NOW / 1_000_000;
    AccessToken {
        iss: ISSUER.to_owned(),
        sub: account.clone(),
        aud: ISSUER.to_owned(),
        exp: iat + 900,
        iat,
        nbf: None,
        jti: "01a2094d-fc2c-7907-94de-66b72fb6012b".to_owned(),
        client_id: "claviger".to_owned(),
        sid: "01a2094d-fc2c-7907-94de-66b72fb6012c".to_owned(),
        scope: "profile account".to_owned(),
        status: StatusClaim::new(7, format!("{ISSUER}/status/0")),
        public_id: account,
    }
}

fn sign(key: &str, count: usize) -> Done {
    let (key, claims) = (SigningKey::import(key)?, claims());
    for _ in 0..count {
        black_box(claims.sign(&key)?);
    }
    Ok(())
}

fn verify(count: usize) -> Done {
    let key = SigningKey::import(RS256)?;
    let (verifying, token) = (Arc::new(VerifyingKey::from_jwk(key.public())?), claims().sign(&key)?);
    let expected = Expected { issuer: ISSUER, audience: ISSUER, now: NOW / 1_000_000 };
    for _ in 0..count {
        black_box(AccessToken::verify(&token, expected, |_| Some(verifying.clone()))?);
    }
    Ok(())
}

async fn serve(operation: &str, count: usize) -> Done {
    let mut server = Server::start().await?;
    server.sign_up("alice").await?;
    match operation {
        "sign-up" => {
            for number in 0..count {
                server.sign_up(&format!("person{number:04}")).await?;
            }
        }
        "login" => {
            for _ in 0..count {
                server.log_in().await?;
            }
        }
        "refresh" => {
            let mut token = member(&server.log_in().await?, "refresh_token")?;
            for _ in 0..count {
                server.clock.fetch_add(ELEVEN_SECONDS, Ordering::Relaxed);
                let form = format!("grant_type=refresh_token&refresh_token={token}");
                token = member(&server.post("/token", FORM, form).await?, "refresh_token")?;
            }
        }
        "profile-new-token" => {
            let mut tokens = Vec::new();
            for _ in 0..TOKENS {
                tokens.push(member(&server.log_in().await?, "token")?);
            }
            for token in tokens.get(..count).ok_or("so many tokens are not made")? {
                server.get("/user/profile", token).await?;
            }
        }
        "profile-known-token" => {
            let token = member(&server.log_in().await?, "token")?;
            server.get("/user/profile", &token).await?;
            for _ in 0..count {
                server.get("/user/profile", &token).await?;
            }
        }
        "jwks" => {
            for _ in 0..count {
                server.get("/.well-known/jwks.json", "").await?;
            }
        }
        _ => return Err(format!("there is no operation {operation}").into()),
    }
    Ok(())
}

fn member(answer: &Value, name: &str) -> Done<String> {
    Ok(answer.get(name).and_then(Value::as_str).ok_or("a member is missing")?.to_owned())
}

/// A server without its socket.
struct Server {
    router: Router,
    clock: Arc<AtomicI64>,
    _folder: TempDir,
}

impl Server {
    async fn start() -> Done<Self> {
        let folder = tempfile::tempdir()?;
        let config = config(&folder)?;
        let clock = Arc::new(AtomicI64::new(NOW));
        let now = Timestamp::from_micros(NOW);
        // What is counted for an operator is part of the cost.
        let metrics = Arc::new(Metrics::new(routes::vocabulary(&config)));
        let db = Db::open_counted(&config, now, metrics.clone())?;
        let master = keys::master::obtain(&config.master_key, true)?;
        let (policy, (writer, keyring)) = (Policy::of(&config), Keyring::new());
        let origin = Origin { actor: Actor::System, address: None, request_id: id::uuid_v7(now, [0; 10]) };
        keys::flow::adopt_first(&db, &master, &policy, &SigningKey::import(RS256)?, &origin, now).await?;
        keys::flow::reload(&db, &master, &policy, &writer).await?;
        let passwords = PasswordPool::start_counted(config.hash, metrics)?;
        let manual = Clock::Manual(clock.clone());
        let app = Arc::new(App::new(config, db, keyring, Secrets::of(&master), passwords, manual));
        status::flow::refresh(&app.db, &app.statuses, now).await?;
        Ok(Self { router: routes::router(app), clock, _folder: folder })
    }

    async fn sign_up(&mut self, name: &str) -> Done<Value> {
        let body =
            format!(r#"{{"email":"{name}@example.org","name":"{name}","password":"likes long walks"}}"#);
        self.post("/user", JSON, body).await
    }

    async fn log_in(&mut self) -> Done<Value> {
        let body = r#"{"email":"alice@example.org","password":"likes long walks"}"#;
        self.post("/login", JSON, body.to_owned()).await
    }

    async fn post(&mut self, path: &str, kind: &str, body: String) -> Done<Value> {
        let request = Request::post(path).header("host", HOST).header("content-type", kind);
        self.ask(request.body(Body::from(body))?).await
    }

    async fn get(&mut self, path: &str, token: &str) -> Done<Value> {
        let request = Request::get(path).header("host", HOST);
        let request = request.header("authorization", format!("Bearer {token}"));
        self.ask(request.body(Body::empty())?).await
    }

    async fn ask(&mut self, request: Request<Body>) -> Done<Value> {
        let answer = self.router.call(request).await?;
        let status = answer.status();
        let body = to_bytes(answer.into_body(), 1 << 20).await?;
        if !status.is_success() {
            return Err(format!("{status}: {}", String::from_utf8_lossy(&body)).into());
        }
        Ok(serde_json::from_slice(&body)?)
    }
}

fn config(folder: &TempDir) -> Done<Config> {
    let folder = folder.path().display().to_string();
    let mut raw = Raw::default();
    for (key, value) in [
        ("dev", "true"),
        ("issuer", ISSUER),
        ("data_dir", &folder),
        ("limits", "false"),
        ("hash_memory_kib", "8"),
        ("hash_passes", "1"),
        ("hash_threads", "1"),
    ] {
        raw.set(find(key).ok_or("there is no such setting")?, value, Source::Flag);
    }
    resolve(&raw).map_err(|faults| format!("{faults:?}").into())
}
