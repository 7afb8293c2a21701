//! Parts alone, as fast as they go: what the server's rates are held against.
//!
//!     bare hash ours|rustcrypto SECONDS THREADS          Argon2id hashes (m=19456, t=2, p=1) a second
//!     bare hash-phc PASSWORD MEMORY_KIB PASSES           one stored hash
//!     bare sign RS256|ES256|EdDSA SECONDS THREADS        access tokens signed a second
//!     bare verify RS256|ES256|EdDSA SECONDS THREADS      access tokens verified a second
//!     bare serve ADDR:PORT                               an empty axum handler, until it is killed

#![allow(clippy::print_stdout)] // The rate is what this program is for.

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use axum::serve::ListenerExt as _;
use claviger_crypto::jws::{KeyKind, RsaBits, SigningKey, VerifyingKey};
use claviger_crypto::jwt::{AccessToken, Expected};
use claviger_crypto::password::{Engine, Hasher, Params};
use claviger_crypto::status::{StatusClaim, StatusReference};
use std::error::Error;
use std::time::{Duration, Instant};

const USAGE: &str = "usage: bare hash ours|rustcrypto SECONDS THREADS | bare hash-phc PASSWORD MEMORY_KIB PASSES | \
                     bare sign|verify RS256|ES256|EdDSA SECONDS THREADS | bare serve ADDR:PORT";

const PASSWORD: &[u8] = b"correct horse battery staple";
const SALT: [u8; 16] = *b"sixteen of bytes";
const ISSUER: &str = "http://127.0.0.1:5000";

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["hash", "ours", seconds, threads] => rate(seconds, threads, hash_ours),
        ["hash", "rustcrypto", seconds, threads] => rate(seconds, threads, || Ok(hash_rustcrypto)),
        ["hash-phc", password, memory, passes] => hash_phc(password, memory.parse()?, passes.parse()?),
        ["sign", algorithm, seconds, threads] => {
            let key = SigningKey::generate(kind(algorithm)?)?;
            rate(seconds, threads, || Ok(|| claims().sign(&key).map(drop).map_err(Into::into)))
        }
        ["verify", algorithm, seconds, threads] => {
            let key = SigningKey::generate(kind(algorithm)?)?;
            let (token, key) = (claims().sign(&key)?, VerifyingKey::from_jwk(key.public())?);
            rate(seconds, threads, || Ok(|| verify(&token, &key)))
        }
        ["serve", address] => serve(address),
        _ => Err(USAGE.into()),
    }
}

/// Prints how often a second all threads together did their work; each makes its own by `prepare`.
fn rate<W: FnMut() -> Result<()>>(
    seconds: &str,
    threads: &str,
    prepare: impl Fn() -> Result<W> + Sync,
) -> Result<()> {
    let (seconds, threads) = (Duration::from_secs_f64(seconds.parse()?), threads.parse::<usize>()?);
    let began = Instant::now();
    let one = || {
        let (mut work, mut count) = (prepare()?, 0_u32);
        while began.elapsed() < seconds {
            work()?;
            count += 1;
        }
        Ok(f64::from(count) / began.elapsed().as_secs_f64())
    };
    let rates: Result<Vec<f64>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(one)).collect();
        threads.into_iter().map(|thread| thread.join().map_err(|_| "a thread failed")?).collect()
    });
    println!("{:.1}", rates?.iter().sum::<f64>());
    Ok(())
}

/// As a password thread of the server does it: the memory is kept.
fn hash_ours() -> Result<impl FnMut() -> Result<()>> {
    let mut hasher = Hasher::new(Engine::Fast, Params::new(19456, 2, 1)?)?;
    Ok(move || Ok(hasher.hash(PASSWORD, SALT).map(drop)?))
}

/// As everybody calls it: the memory is taken anew for each. Its default parameters are the same.
fn hash_rustcrypto() -> Result<()> {
    let mut tag = [0; 32];
    Ok(argon2::Argon2::default()
        .hash_password_into(PASSWORD, &SALT, &mut tag)
        .map_err(|why| why.to_string())?)
}

fn hash_phc(password: &str, memory_kib: u32, passes: u32) -> Result<()> {
    let mut hasher = Hasher::new(Engine::Fast, Params::new(memory_kib, passes, 1)?)?;
    println!("{}", hasher.hash(password.as_bytes(), SALT)?);
    Ok(())
}

fn kind(algorithm: &str) -> Result<KeyKind> {
    match algorithm {
        "RS256" => Ok(KeyKind::Rsa(RsaBits::Rsa2048)),
        "ES256" => Ok(KeyKind::P256),
        "EdDSA" => Ok(KeyKind::Ed25519),
        _ => Err(USAGE.into()),
    }
}

/// As long as those of the server.
fn claims() -> AccessToken {
    let id = "01900000-0000-7000-8000-000000000000";
    AccessToken {
        iss: ISSUER.to_owned(),
        sub: id.to_owned(),
        aud: ISSUER.to_owned(),
        exp: 1_800_000_900,
        iat: 1_800_000_000,
        nbf: None,
        jti: id.to_owned(),
        client_id: "claviger".to_owned(),
        sid: id.to_owned(),
        scope: "profile account".to_owned(),
        status: StatusClaim {
            status_list: StatusReference { idx: 123_456, uri: format!("{ISSUER}/status/1") },
        },
        public_id: id.to_owned(),
    }
}

fn verify(token: &str, key: &VerifyingKey) -> Result<()> {
    let expected = Expected { issuer: ISSUER, audience: ISSUER, now: 1_800_000_001 };
    AccessToken::verify(token, expected, |_| Some(key))?;
    Ok(())
}

/// With as many workers as the server's runtime has.
fn serve(address: &str) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(address).await?;
        let listener = listener.tap_io(|stream| {
            let _ = stream.set_nodelay(true);
        });
        let json = [(CONTENT_TYPE, "application/json")];
        let router = Router::new().route("/", get(async move || (json, r#"{"status":"ok"}"#)));
        axum::serve(listener, router).await?;
        Ok(())
    })
}
