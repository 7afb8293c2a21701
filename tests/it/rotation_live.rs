//! Keys that rotate every 5 seconds, and from one algorithm to another, under verifiers that obey the
//! cache headers of the JWK set and ask for nothing in between. No verification may fail.

use crate::harness::Program;
use claviger_crypto::jwk::PublicJwk;
use claviger_crypto::jws::VerifyingKey;
use claviger_crypto::jwt::{AccessToken, Expected};
use serde_json::{Value, json};
use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const ISSUER: &str = "http://claviger.test";
const PASSWORD: &str = "a walk along the river";

/// All that is shared by the verifiers.
#[derive(Default)]
struct Shared {
    url: Mutex<String>,
    tokens: Mutex<Vec<String>>,
    stop: AtomicBool,
    verified: AtomicUsize,
    failures: Mutex<Vec<String>>,
}

/// A JWK set and until when its headers allow to use it.
struct Cached {
    keys: HashMap<String, VerifyingKey>,
    until: Instant,
}

async fn fetch(http: &reqwest::Client, shared: &Shared) -> Option<Cached> {
    let url = format!("{}/.well-known/jwks.json", shared.url.lock().unwrap());
    let asked = Instant::now();
    let answer = http.get(url).send().await.ok()?;
    let control = answer.headers()["cache-control"].to_str().unwrap().to_owned();
    let age: u64 = control.split("max-age=").nth(1).unwrap().parse().unwrap();
    let set: Value = answer.json().await.ok()?;
    let jwks = set["keys"].as_array().unwrap().iter();
    let keys = jwks.map(|jwk| serde_json::from_value::<PublicJwk>(jwk.clone()).unwrap());
    let keys = keys.map(|jwk| (jwk.kid.clone(), VerifyingKey::from_jwk(&jwk).unwrap())).collect();
    // As long as the headers allow, to the last moment.
    Some(Cached { keys, until: asked + Duration::from_secs(age) })
}

async fn verify_on_and_on(shared: Arc<Shared>, http: reqwest::Client, pause: u64) {
    let mut cached: Option<Cached> = None;
    let mut turn = 0_usize;
    while !shared.stop.load(Ordering::Relaxed) {
        if cached.as_ref().is_none_or(|cached| Instant::now() >= cached.until) {
            // A server that is being started again cannot be asked; what is cached has run out, so wait.
            cached = fetch(&http, &shared).await;
        }
        if let Some(Cached { keys, .. }) = &cached {
            // The newest token, and older ones in turn.
            let tokens: Vec<String> = {
                let tokens = shared.tokens.lock().unwrap();
                let older = tokens.get(turn % tokens.len().max(1)).cloned();
                tokens.last().cloned().into_iter().chain(older).collect()
            };
            for token in tokens {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
                let now = i64::try_from(now).unwrap();
                let expected = Expected { issuer: ISSUER, audience: ISSUER, now };
                match AccessToken::verify(&token, expected, |kid| keys.get(kid)) {
                    Ok(_) => drop(shared.verified.fetch_add(1, Ordering::Relaxed)),
                    Err(why) => shared.failures.lock().unwrap().push(format!("{why}: {token}")),
                }
            }
        }
        turn += 1;
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }
}

fn serve(folder: &Path, algorithm: &str) -> Program {
    let settings = ["--dev", "--issuer", ISSUER, "--key-rotation", "5s", "--signing-alg", algorithm];
    let hash = ["--hash-memory-kib", "8", "--hash-passes", "1", "--limits", "off", "--log-level", "warn"];
    Program::serve(folder, &[&settings[..], &hash[..]].concat())
}

/// The algorithms and the keys that signed.
type Signers = BTreeSet<(String, String)>;

/// Logs in on and on until `enough` have signed and for a second more, and shows each token to the server itself.
async fn log_in_until(shared: &Shared, http: &reqwest::Client, enough: impl Fn(&Signers) -> bool) -> Signers {
    let url = shared.url.lock().unwrap().clone();
    let (limit, mut end) = (Instant::now() + Duration::from_secs(60), None);
    let mut signed_by = BTreeSet::new();
    while end.is_none_or(|end| Instant::now() < end) {
        assert!(Instant::now() < limit, "no more than these have signed: {signed_by:?}");
        if end.is_none() && enough(&signed_by) {
            end = Some(Instant::now() + Duration::from_secs(1));
        }
        let body = json!({"email": "a@example.org", "password": PASSWORD});
        let answer: Value =
            http.post(format!("{url}/login")).json(&body).send().await.unwrap().json().await.unwrap();
        let token = answer["token"].as_str().unwrap().to_owned();
        let (header, _) = crate::harness::decode(&token);
        let own = http.get(format!("{url}/user/profile")).bearer_auth(&token).send().await.unwrap();
        assert_eq!(own.status(), 200, "the server's own endpoints");
        // GET /jwks answers all the while, with an RSA key.
        let jwks = http.get(format!("{url}/jwks")).bearer_auth(&token).send().await.unwrap();
        assert_eq!(jwks.json::<Value>().await.unwrap()["keys"]["kty"], "RSA");
        let part = |name: &str| header[name].as_str().unwrap().to_owned();
        signed_by.insert((part("alg"), part("kid")));
        shared.tokens.lock().unwrap().push(token);
        tokio::time::sleep(Duration::from_millis(40)).await;
    }
    signed_by
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn checklist_58_no_verifier_fails_while_keys_rotate_and_change_their_kind() {
    let folder = tempfile::tempdir().unwrap();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut program = serve(folder.path(), "RS256");
    let body = json!({"email": "a@example.org", "name": "a", "password": PASSWORD});
    assert_eq!(http.post(format!("{}/user", program.url)).json(&body).send().await.unwrap().status(), 201);
    let shared = Arc::new(Shared { url: Mutex::new(program.url.clone()), ..Shared::default() });
    let verifiers: Vec<_> = [7, 31, 97]
        .map(|pause| tokio::spawn(verify_on_and_on(shared.clone(), http.clone(), pause)))
        .into_iter()
        .collect();
    log_in_until(&shared, &http, |signers| signers.len() >= 3).await;
    for algorithm in ["ES256", "EdDSA"] {
        program.stop();
        program = serve(folder.path(), algorithm);
        shared.url.lock().unwrap().clone_from(&program.url);
        log_in_until(&shared, &http, |signers| signers.iter().any(|(alg, _)| alg == algorithm)).await;
    }
    shared.stop.store(true, Ordering::Relaxed);
    for verifier in verifiers {
        verifier.await.unwrap();
    }
    let failures = shared.failures.lock().unwrap();
    let verified = shared.verified.load(Ordering::Relaxed);
    assert!(failures.is_empty(), "{} of {verified} failed, such as {:?}", failures.len(), failures.first());
    assert!(verified > 1000, "{verified}");
}
