//! Tokens that this server did not make, or made for another time or place: each is refused in each of
//! the three headers that carry tokens.

use crate::harness::{ByToken, Caller as _, TestApp, assert_problem, exchange, quick, routes, statuses};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use claviger::api_keys::KeyScope;
use claviger::http::openapi::Access;
use claviger_crypto::jws::{KeyKind, RsaBits, SigningKey};
use claviger_crypto::{base64url, from_base64url, sha256};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

/// A real token of alice's, taken apart, and what the server publishes.
struct Real {
    token: String,
    header: Value,
    payload: Value,
    signature: Vec<u8>,
    key: Value,
}

impl Real {
    async fn of(app: &TestApp) -> Self {
        let alice = app.account("alice").await;
        let parts: Vec<Vec<u8>> = alice.token.split('.').map(|part| from_base64url(part).unwrap()).collect();
        let json = |part: &[u8]| serde_json::from_slice(part).unwrap();
        let key = alice.get("/jwks").await.json()["keys"].clone();
        let (header, payload) = (json(&parts[0]), json(&parts[1]));
        Self { token: alice.token, header, payload, signature: parts[2].clone(), key }
    }

    /// With this header, under the real signature.
    fn with_header(&self, header: &str) -> String {
        signed(header, &self.payload.to_string(), &self.signature)
    }

    /// With these members of the header changed, `null` to take one out.
    fn with_members(&self, members: &Value) -> String {
        let mut header = self.header.as_object().unwrap().clone();
        header.extend(members.as_object().unwrap().clone());
        self.with_header(
            &Value::from_iter(header.into_iter().filter(|(_, value)| !value.is_null())).to_string(),
        )
    }

    fn with_claims(&self, members: &Value) -> String {
        let mut payload = self.payload.as_object().unwrap().clone();
        payload.extend(members.as_object().unwrap().clone());
        signed(&self.header.to_string(), &Value::Object(payload).to_string(), &self.signature)
    }
}

fn signed(header: &str, payload: &str, signature: &[u8]) -> String {
    [header.as_bytes(), payload.as_bytes(), signature].map(base64url).join(".")
}

/// Asserts that every route that wants a token refuses these, that some do in each header, and that
/// services are told that they are not good.
async fn assert_refused(app: &TestApp, tokens: impl IntoIterator<Item = String>) {
    let (service, routes) = (app.service(&[KeyScope::Introspect]).await, routes());
    let gated: Vec<(&str, &str)> = routes
        .iter()
        .filter(|route| matches!(route.access, Access::Token | Access::Account))
        .map(|route| (route.method, route.path))
        .collect();
    assert!(gated.len() >= 9);
    let more = [("x-access-token", "/user/profile"), ("token", "/user/profile"), ("token", "/jwks")];
    for token in tokens {
        let all = gated.iter().map(|(method, path)| ("authorization", *method, *path));
        for (header, method, path) in all.chain(more.map(|(header, path)| (header, "GET", path))) {
            let caller = ByToken { app, token: token.clone(), header };
            let answer = quick(caller.request(method.parse().unwrap(), path)).await;
            assert_problem(&answer, 401, "invalid-token", &format!("{path} {header}: {token}"));
            let challenge = "Bearer realm=\"claviger\", error=\"invalid_token\"";
            assert_eq!(answer.header("www-authenticate"), challenge);
        }
        if !token.is_empty() {
            let said = quick(service.form("/introspect", &[("token", &token)])).await;
            assert_eq!((said.status, said.text().as_str()), (200, r#"{"active":false}"#), "{token}");
        }
    }
}

async fn profile_status(app: &TestApp, token: &str) -> u16 {
    quick(app.anonymous().request(Method::GET, "/user/profile").bearer_auth(token)).await.status
}

#[tokio::test]
async fn checklist_31_garbage_and_other_forms() {
    let app = TestApp::start().await;
    let real = Real::of(&app).await;
    let token = real.token.as_str();
    let parts: Vec<&str> = token.split('.').collect();
    let (h, p, s) = (parts[0], parts[1], parts[2]);
    let garbage =
        ". .. ... a a.b.c null undefined {} [object Object] ' Bearer e30.e30.e30 e30.e30.".split(' ');
    let forms = [
        format!("{token}="),
        format!("{token}=="),
        format!("{h}=.{p}.{s}"),
        format!("{h}.{p}=.{s}"),
        format!("{token}."),
        format!(".{token}"),
        format!("{token}.{s}"),
        format!("{h}.{p}"),
        format!("{h}.{p}."),
        format!("{h}..{s}"),
        format!(".{p}.{s}"),
        format!("{h}.{p}.{p}.{p}.{s}"),
        format!("{h}. {p}.{s}"),
        format!("{h} .{p}.{s}"),
        format!("{h}.{p}.{s}\t{s}"),
        format!("{h}.{p}.{s},{h}.{p}.{s}"),
        format!("{p}.{h}.{s}"),
        format!("Bearer {token}"),
        format!("\"{token}\""),
        format!("%20{token}"),
        format!("{h}.{p}.{}", STANDARD.encode(&real.signature)),
        format!("{h}%2e{p}%2e{s}"),
        token.to_uppercase(),
        token.to_lowercase(),
        token.chars().rev().collect(),
        json!({"protected": h, "payload": p, "signature": s}).to_string(),
        format!("{token}{}", "A".repeat(8192)),
    ];
    assert_refused(&app, garbage.chain(["", "' OR '1'='1"]).map(str::to_owned)).await;
    assert_refused(&app, forms).await;
    assert_eq!(profile_status(&app, token).await, 200);
}

#[tokio::test]
async fn checklist_31_and_34_altered_signatures() {
    let app = TestApp::start().await;
    let real = Real::of(&app).await;
    let (input, signature) = real.token.rsplit_once('.').unwrap();
    let flipped = |at: usize| {
        let mut bytes = real.signature.clone();
        bytes[at] ^= 1;
        bytes
    };
    let mut others: Vec<Vec<u8>> = [0, 100, 255].map(flipped).to_vec();
    others.extend([vec![0; 256], vec![255; 256], vec![], vec![1], real.signature[1..].to_vec()]);
    others.extend([
        real.signature[..255].to_vec(),
        [&real.signature[..], &[0]].concat(),
        [&[0], &real.signature[..]].concat(),
    ]);
    // The modulus is the first number that no signature can be.
    others.push(from_base64url(real.key["n"].as_str().unwrap()).unwrap());
    assert_refused(&app, others.iter().map(|bytes| format!("{input}.{}", base64url(bytes)))).await;
    // 256 bytes leave four bits of the last character unused; they must be zero.
    let (start, last) = signature.split_at(signature.len() - 1);
    let alphabet = ('A'..='Z').chain('a'..='z').chain('0'..='9').chain(['-', '_']);
    let ends = alphabet.filter(|c| !last.starts_with(*c)).map(|c| format!("{input}.{start}{c}"));
    assert_refused(&app, ends).await;
}

#[tokio::test]
async fn checklist_33_altered_claims_and_parts_of_two_tokens() {
    let app = TestApp::start().await;
    let real = Real::of(&app).await;
    let bob = app.account("bob").await;
    let (bobs_input, bobs_signature) = bob.token.rsplit_once('.').unwrap();
    let claims = [
        json!({"sub": bob.public_id, "public_id": bob.public_id}),
        json!({"exp": 99_999_999_999_i64}),
        json!({"aud": "other"}),
        json!({"iss": "https://evil.example"}),
        json!({"role": "admin"}),
        json!({"exp": -1}),
        json!({"exp": "never"}),
        json!({"exp": null}),
        json!({"aud": [app.issuer.clone()]}),
    ];
    assert_refused(&app, claims.map(|claims| real.with_claims(&claims))).await;
    let (input, signature) = real.token.rsplit_once('.').unwrap();
    let mixed = [format!("{input}.{bobs_signature}"), format!("{bobs_input}.{signature}")];
    assert_refused(&app, mixed).await;
}

/// HMAC-SHA-256 (RFC 2104).
fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut block = [0; 64];
    let key = if key.len() > 64 { sha256(key).to_vec() } else { key.to_vec() };
    block[..key.len()].copy_from_slice(&key);
    let padded = |pad: u8| block.map(|byte| byte ^ pad);
    sha256(&[&padded(0x5c)[..], &sha256(&[&padded(0x36)[..], message].concat())].concat())
}

/// The public key in the forms in which services keep it: what an attacker would use as a shared secret.
fn as_secrets(key: &Value) -> Vec<Vec<u8>> {
    let text = key["n"].as_str().unwrap();
    let n = from_base64url(text).unwrap();
    assert_eq!(n.len(), 256);
    let start = "30820122300d06092a864886f70d01010105000382010f003082010a0282010100";
    let start = (0..start.len()).step_by(2).map(|at| u8::from_str_radix(&start[at..at + 2], 16).unwrap());
    let der: Vec<u8> = start.chain(n.clone()).chain([2, 3, 1, 0, 1]).collect();
    let base64 = STANDARD.encode(&der);
    let lines: Vec<&str> = base64.as_bytes().chunks(64).map(|line| str::from_utf8(line).unwrap()).collect();
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----", lines.join("\n"));
    let jwk = key.to_string().into_bytes();
    vec![format!("{pem}\n").into_bytes(), pem.into_bytes(), der, n, text.as_bytes().to_vec(), jwk, vec![]]
}

#[tokio::test]
async fn checklist_26_the_algorithm_is_the_keys_own() {
    let app = TestApp::start().await;
    let real = Real::of(&app).await;
    let kid = real.key["kid"].as_str().unwrap();
    let mut tokens = Vec::new();
    for alg in ["none", "None", "NONE", "nOnE", "", "null"] {
        let header = json!({"alg": alg, "kid": kid, "typ": "at+jwt"}).to_string();
        let payload = real.payload.to_string();
        tokens.extend([&[][..], &[0], &real.signature].map(|signature| signed(&header, &payload, signature)));
        tokens.push(signed(&json!({"alg": alg}).to_string(), &payload, &[]));
    }
    for alg in ["RS384", "RS512", "PS256", "ES256", "EdDSA", "HS256", "rs256", "RS256 ", "dir", "RSA-OAEP"] {
        tokens.push(real.with_members(&json!({"alg": alg})));
    }
    for alg in [json!(null), json!(["RS256"]), json!(256), json!(true), json!({"alg": "RS256"})] {
        tokens.push(real.with_header(&json!({"alg": alg, "kid": kid, "typ": "at+jwt"}).to_string()));
    }
    for alg in ["HS256", "RS256"] {
        let header = json!({"alg": alg, "kid": kid, "typ": "at+jwt"}).to_string();
        let input =
            format!("{}.{}", base64url(header.as_bytes()), base64url(real.payload.to_string().as_bytes()));
        for secret in as_secrets(&real.key) {
            tokens.push(format!("{input}.{}", base64url(&hmac(&secret, input.as_bytes()))));
        }
    }
    assert_refused(&app, tokens).await;
    let known = hmac(b"Jefe", b"what do ya want for nothing?");
    assert_eq!(base64url(&known), "W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM", "RFC 4231, case 2");
}

#[tokio::test]
async fn checklist_27_to_29_and_32_headers_that_lead_elsewhere() {
    let app = TestApp::start().await;
    let real = Real::of(&app).await;
    let kids = [
        json!(null),
        json!(0),
        json!(true),
        json!([]),
        json!({}),
        json!(""),
        json!("unknown"),
        json!("\0"),
        json!("../../../../../../dev/null"),
        json!("/etc/passwd"),
        json!("' OR 1=1 --"),
        json!("x' UNION SELECT 'a"),
        json!("http://127.0.0.1:1/jwks"),
        json!("$(id)"),
        json!("k".repeat(4000)),
        json!([real.key["kid"]]),
    ];
    let kids = kids.map(|kid| json!({"alg": "RS256", "kid": kid, "typ": "at+jwt"}).to_string());
    assert_refused(&app, kids.map(|header| real.with_header(&header))).await;

    let elsewhere = [
        json!({"jku": "http://127.0.0.1:1/jwks"}),
        json!({"x5u": "http://127.0.0.1:1/chain"}),
        json!({"jwk": real.key}),
        json!({"x5c": ["MIIB"]}),
        json!({"crit": ["exp"]}),
        json!({"crit": ["b64"], "b64": false}),
        json!({"crit": []}),
        json!({"zip": "DEF"}),
        json!({"cty": "JWT"}),
        json!({"enc": "A256GCM"}),
        json!({"typ": null}),
        json!({"typ": "JWT"}),
        json!({"typ": "id+jwt"}),
        json!({"typ": "logout+jwt"}),
        json!({"typ": "dpop+jwt"}),
        json!({"typ": ["at+jwt"]}),
        json!({"typ": "at+jwt "}),
    ];
    assert_refused(&app, elsewhere.map(|members| real.with_members(&members))).await;

    let kid = real.key["kid"].as_str().unwrap();
    let twice = format!(r#"{{"alg":"none","alg":"RS256","kid":"{kid}","typ":"at+jwt"}}"#);
    let headers =
        [twice.as_str(), "[]", "null", "1", "\"RS256\"", "{", "", "{\"alg\":\"RS256\"} {}", "\u{feff}{}"];
    assert_refused(&app, headers.map(|header| real.with_header(header))).await;

    // A sound token of a key of one's own.
    let own = SigningKey::generate(KeyKind::Rsa(RsaBits::Rsa2048)).unwrap();
    let sound = own.sign("at+jwt", &real.payload).unwrap();
    let (_, foreign) = sound.rsplit_once('.').unwrap();
    let jwk = json!({"jwk": serde_json::to_value(own.public()).unwrap(), "kid": own.public().kid});
    let (input, _) =
        real.with_members(&jwk).rsplit_once('.').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    let (real_input, _) = real.token.rsplit_once('.').unwrap();
    assert_refused(&app, [sound.clone(), format!("{input}.{foreign}"), format!("{real_input}.{foreign}")])
        .await;
}

#[tokio::test]
async fn checklist_29_and_35_tokens_of_absurd_length() {
    let app = TestApp::start().await;
    let real = Real::of(&app).await;
    let long = real.with_claims(&json!({"x": "y".repeat(8 * 1024)}));
    for token in ["x".repeat(8 * 1024 + 1), "a.".repeat(5000), long] {
        let answer = quick(app.anonymous().request(Method::GET, "/jwks").bearer_auth(&token)).await;
        assert!(answer.problem(401, "invalid-token")["detail"].as_str().unwrap().contains("8 kB"));
    }
    let huge = real.with_members(&json!({"kid": "k".repeat(100 * 1024)}));
    for header in ["Authorization: Bearer", "x-access-token:", "token:"] {
        let said =
            exchange(&app.url, format!("GET /jwks HTTP/1.1\r\nHost: x\r\n{header} {huge}\r\n\r\n")).await;
        assert!([vec![431], vec![401]].contains(&statuses(&said)), "{header} {said}");
    }
    assert_eq!(profile_status(&app, &real.token).await, 200);
}

#[tokio::test]
async fn checklist_24_and_30_a_token_ends_with_its_last_second() {
    let app = TestApp::start().await;
    let token = Real::of(&app).await.token;
    app.advance(Duration::from_secs(15 * 60 - 1));
    assert_eq!(profile_status(&app, &token).await, 200);
    app.advance(Duration::from_secs(1));
    assert_refused(&app, [token.clone()]).await;
    app.advance(Duration::from_secs(365 * 86_400));
    assert_refused(&app, [token]).await;
}

#[tokio::test]
async fn checklist_33_a_token_for_another_issuer_or_audience() {
    let app = TestApp::start().await;
    let token = Real::of(&app).await.token;
    let issuer = app.issuer.clone();
    let others: [[(&str, &str); 2]; 5] = [
        [("audience", "other"), ("issuer", &issuer)],
        [("audience", ""), ("issuer", "http://other.test")],
        [("audience", &issuer), ("issuer", "http://claviger.test.evil.example")],
        [("audience", &issuer), ("issuer", "https://claviger.test")],
        [("audience", &issuer), ("issuer", "http://claviger.test/realm")],
    ];
    let mut app = app;
    for settings in others {
        let settings: Vec<_> = settings.into_iter().filter(|(_, value)| !value.is_empty()).collect();
        app = app.restart_with(&settings).await;
        assert_refused(&app, [token.clone()]).await;
    }
    let app = app.restart_with(&[]).await;
    assert_eq!(profile_status(&app, &token).await, 200, "its own issuer and audience, after all");
    let stranger = TestApp::start().await;
    assert_refused(&stranger, [token]).await;
}
