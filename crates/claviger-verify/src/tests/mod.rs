//! The verifier against a server that is made up here, with time that the tests move.

mod keys;
mod statuses;
mod tokens;

use crate::{Builder, Fetch, FetchError, Fetching, Request, Response, Verifier};
use claviger_crypto::jws::{KeyKind, SigningKey};
use claviger_crypto::jwt::AccessToken;
use claviger_crypto::status::{StatusClaim, StatusList, StatusListToken};
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};
use tokio::time::{Instant, sleep};

const ISSUER: &str = "https://auth.example";
const AUDIENCE: &str = "https://api.example";

/// When the tests begin, seconds since 1970 UTC.
const NOW: i64 = 1_795_435_200;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mood {
    Up,
    Away,
    Silent,
}

struct World {
    keys: Vec<Arc<SigningKey>>,
    ended: BTreeSet<usize>,
    mood: Mood,
    lists_are_broken: Option<&'static str>,
    /// A list of before, which is all that is sent.
    replayed: Option<String>,
    max_age: u64,
    asked: Vec<String>,
    not_modified: usize,
}

/// A server, as far as a verifier sees it. Its clock is that of tokio, which tests pause.
#[derive(Clone)]
struct Server {
    world: Arc<Mutex<World>>,
    began: Instant,
}

fn key() -> Arc<SigningKey> {
    Arc::new(SigningKey::generate(KeyKind::Ed25519).unwrap())
}

impl Server {
    fn new() -> Self {
        let world = World {
            keys: vec![key()],
            ended: BTreeSet::new(),
            mood: Mood::Up,
            lists_are_broken: None,
            replayed: None,
            max_age: 300,
            asked: Vec::new(),
            not_modified: 0,
        };
        Self { world: Arc::new(Mutex::new(world)), began: Instant::now() }
    }

    fn change<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        change(&mut self.world.lock().unwrap())
    }

    fn now(&self) -> i64 {
        NOW + i64::try_from(self.began.elapsed().as_secs()).unwrap()
    }

    /// How often files were asked for whose path ends so.
    fn asked(&self, end: &str) -> usize {
        self.change(|world| world.asked.iter().filter(|url| url.ends_with(end)).count())
    }

    fn builder(&self) -> Builder {
        let server = self.clone();
        let clock = move || UNIX_EPOCH + Duration::from_secs(server.now().unsigned_abs());
        Verifier::builder(ISSUER).audience(AUDIENCE).clock(clock).fetch(self.clone())
    }

    fn verifier(&self) -> Verifier {
        self.builder().build().unwrap()
    }

    fn claims(&self) -> AccessToken {
        AccessToken {
            iss: ISSUER.into(),
            sub: "alice".into(),
            aud: AUDIENCE.into(),
            exp: self.now() + 3600,
            iat: self.now(),
            nbf: None,
            jti: "token".into(),
            client_id: "claviger".into(),
            sid: "session".into(),
            scope: "account profile".into(),
            status: StatusClaim::new(3, format!("{ISSUER}/status/0")),
            public_id: "alice".into(),
        }
    }

    /// A token of the key that signs.
    fn token(&self) -> String {
        self.claims().sign(&self.change(|world| world.keys[0].clone())).unwrap()
    }

    /// Another key signs from now on, and the set holds it alone.
    fn rotate(&self) {
        self.change(|world| world.keys = vec![key()]);
    }

    fn list(&self, world: &World) -> String {
        let broken = world.lists_are_broken.unwrap_or_default();
        let mut bytes = vec![0_u8; if broken == "bomb" { 1 << 21 } else { 1024 }];
        for index in &world.ended {
            bytes[index / 8] |= 1 << (index % 8);
        }
        let lst = claviger_crypto::base64url(&miniz_oxide::deflate::compress_to_vec_zlib(&bytes, 9));
        let list = StatusListToken {
            sub: format!("{ISSUER}/status/{}", if broken == "another list" { 1 } else { 0 }),
            iss: Some(if broken == "another issuer" { AUDIENCE } else { ISSUER }.into()),
            iat: self.now() + if broken == "of the future" { 61 } else { 0 },
            exp: self.now() + if broken == "expired" { 0 } else { 600 },
            ttl: 20,
            status_list: StatusList { bits: 1, lst },
        };
        let forger = key();
        list.sign(if broken == "another key" { &forger } else { &world.keys[0] }).unwrap()
    }

    async fn answer(&self, request: Request) -> Result<Response, FetchError> {
        let mood = self.change(|world| {
            world.asked.push(request.url.to_string());
            world.mood
        });
        sleep(Duration::from_millis(20)).await;
        match mood {
            Mood::Up => {}
            Mood::Away => return Err(FetchError::new("nobody is there")),
            Mood::Silent => std::future::pending().await,
        }
        self.change(|world| {
            let (body, etag) = match request.url.path() {
                "/.well-known/jwks.json" => {
                    let keys: Vec<_> = world.keys.iter().map(|key| key.public()).collect();
                    (json!({ "keys": keys }).to_string(), format!("\"{}\"", keys[0].kid))
                }
                "/status/0" if world.replayed.is_some() => {
                    (world.replayed.clone().unwrap_or_default(), "\"replayed\"".to_owned())
                }
                "/status/0" => {
                    (self.list(world), format!("\"{:?}{}\"", world.ended, world.keys[0].public().kid))
                }
                _ => return Ok(Response { status: 404, ..Response::default() }),
            };
            let cache_control = Some(format!("public, max-age={}", world.max_age));
            if request.etag.as_ref() == Some(&etag) {
                world.not_modified += 1;
                return Ok(Response { status: 304, cache_control, ..Response::default() });
            }
            let body = body.into_bytes();
            Ok(Response { status: 200, body, etag: Some(etag), cache_control, age: None })
        })
    }
}

impl Fetch for Server {
    fn get(&self, request: Request) -> Fetching<'_> {
        Box::pin(self.answer(request))
    }
}

/// What a verifier says of a token, in a word or two.
async fn says(verifier: &Verifier, token: &str) -> String {
    use crate::{Error, SignatureError, TokenError};
    match verifier.verify(token).await {
        Ok(_) => "good".into(),
        Err(Error::Token(TokenError::Jws(SignatureError::Malformed(_)))) => "Malformed".into(),
        Err(Error::Token(TokenError::Jws(error))) => format!("{error:?}"),
        Err(Error::Token(error)) => format!("{error:?}"),
        Err(Error::SessionEnded) => "ended".into(),
        Err(Error::NoSuchStatus) => "NoSuchStatus".into(),
        Err(Error::NoKeys(error)) => format!("no keys: {error}"),
        Err(Error::NoStatus(error)) => format!("no status: {error}"),
    }
}

async fn pass(seconds: u64) {
    sleep(Duration::from_secs(seconds)).await;
}
