//! Which tokens are taken.

use super::*;
use crate::BuildError;
use proptest::prelude::*;

#[tokio::test(start_paused = true)]
async fn a_good_token_gives_its_claims() {
    let server = Server::new();
    let claims = server.verifier().verify(&server.token()).await.unwrap();
    assert_eq!((claims.subject(), claims.audience(), claims.issuer()), ("alice", AUDIENCE, ISSUER));
    assert_eq!(
        (claims.session_id(), claims.client_id(), claims.token_id()),
        ("session", "claviger", "token")
    );
    assert!(claims.has_scope("profile") && !claims.has_scope("admin"));
    assert_eq!(claims.expires_at().duration_since(claims.issued_at()).unwrap(), Duration::from_secs(3600));
}

#[tokio::test(start_paused = true)]
async fn each_algorithm_is_that_of_its_key() {
    let server = Server::new();
    let kinds = [KeyKind::Ed25519, KeyKind::P256, KeyKind::Rsa(claviger_crypto::jws::RsaBits::Rsa2048)];
    let keys = kinds.map(|kind| Arc::new(SigningKey::generate(kind).unwrap()));
    server.change(|world| world.keys = keys.to_vec());
    let verifier = server.verifier();
    let names = ["EdDSA", "ES256", "RS256"];
    for (own, key) in names.iter().zip(&keys) {
        let token = server.claims().sign(key).unwrap();
        assert_eq!(says(&verifier, &token).await, "good");
        let (_, rest) = token.split_once('.').unwrap();
        for alg in names.iter().filter(|alg| *alg != own).chain(&["none", "None", "HS256", "PS256"]) {
            let header = json!({"alg": alg, "kid": key.public().kid, "typ": "at+jwt"}).to_string();
            let forged = format!("{}.{rest}", claviger_crypto::base64url(header.as_bytes()));
            assert_eq!(says(&verifier, &forged).await, "WrongAlgorithm", "{alg}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn each_rule_refuses() {
    let server = Server::new();
    let verifier = server.verifier();
    let signer = server.change(|world| world.keys[0].clone());
    let changed = |change: fn(&mut AccessToken)| {
        let mut claims = server.claims();
        change(&mut claims);
        claims.sign(&signer).unwrap()
    };
    for (wanted, token) in [
        ("WrongIssuer", changed(|claims| claims.iss.push('/'))),
        ("WrongAudience", changed(|claims| claims.aud = ISSUER.into())),
        ("Expired", changed(|claims| claims.exp = NOW - 5)),
        ("good", changed(|claims| claims.exp = NOW - 4)),
        ("NotYetValid", changed(|claims| claims.nbf = Some(NOW + 56))),
        ("good", changed(|claims| claims.nbf = Some(NOW + 55))),
        ("NotYetValid", changed(|claims| claims.iat = NOW + 56)),
        ("WrongType", signer.sign("jwt", &server.claims()).unwrap()),
        ("WrongType", signer.sign("statuslist+jwt", &server.claims()).unwrap()),
        ("Claims", signer.sign("at+jwt", &json!({"iss": ISSUER})).unwrap()),
        ("TooLong", changed(|claims| claims.scope = "a".repeat(8192))),
        ("UnknownKey", server.claims().sign(&key()).unwrap()),
        ("Malformed", String::new()),
        ("Malformed", "a.b".into()),
        ("Malformed", format!("{}=", server.token())),
        ("Malformed", format!(" {}", server.token())),
    ] {
        assert_eq!(says(&verifier, &token).await, wanted, "{token}");
    }
    let token = server.token();
    let (start, signature) = token.rsplit_once('.').unwrap();
    let other = if signature.starts_with('A') { "B" } else { "A" };
    assert_eq!(says(&verifier, &format!("{start}.{other}{}", &signature[1..])).await, "BadSignature");
    let (_, rest) = token.split_once('.').unwrap();
    for more in [json!({"crit": ["exp"]}), json!({"jku": "https://evil.example"}), json!({"b64": false})] {
        let mut header = json!({"alg": "EdDSA", "kid": signer.public().kid, "typ": "at+jwt"});
        header.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let forged = format!("{}.{rest}", claviger_crypto::base64url(header.to_string().as_bytes()));
        assert_eq!(says(&verifier, &forged).await, "Malformed", "{header}");
    }
    let asked = server.change(|world| world.asked.clone());
    assert!(asked.iter().all(|url| url.starts_with(ISSUER)), "{asked:?}");
}

#[tokio::test(start_paused = true)]
async fn leeway_is_as_it_is_set() {
    let server = Server::new();
    let strict = server.builder().leeway(Duration::ZERO).build().unwrap();
    let lenient = server.builder().leeway(Duration::from_secs(60)).build().unwrap();
    let token = server.token();
    pass(3600).await;
    assert_eq!(
        (says(&strict, &token).await, says(&lenient, &token).await),
        ("Expired".into(), "good".into())
    );
    pass(60).await;
    assert_eq!(says(&lenient, &token).await, "Expired");
    let more = server.builder().leeway(Duration::from_secs(61)).build();
    assert!(matches!(more, Err(BuildError::Leeway)));
}

#[tokio::test]
async fn the_audience_is_the_issuer_unless_another_is_set() {
    let server = Server::new();
    let verifier = Verifier::builder(ISSUER).fetch(server.clone()).clock(move || UNIX_EPOCH).build().unwrap();
    assert_eq!(format!("{verifier:?}"), format!("Verifier({ISSUER} for {ISSUER})"));
}

#[tokio::test]
async fn addresses_that_anybody_could_answer_are_refused() {
    let server = Server::new();
    let with = |issuer: &str| Verifier::builder(issuer).fetch(server.clone());
    for issuer in
        ["", "auth.example", "http://auth.example", "ftp://auth.example", "https://a:b@auth.example"]
    {
        assert!(matches!(with(issuer).build(), Err(BuildError::Url(..))), "{issuer}");
        assert!(matches!(with(ISSUER).server(issuer).build(), Err(BuildError::Url(..))), "{issuer}");
        assert!(matches!(with(ISSUER).jwks_url(issuer).build(), Err(BuildError::Url(..))), "{issuer}");
    }
    assert!(with("http://auth.example").server("http://127.0.0.1:5000").build().is_ok(), "only compared");
}

#[test]
fn outside_of_a_runtime_it_says_so() {
    let builder = Verifier::builder(ISSUER).fetch(NoFetch);
    assert!(matches!(builder.build(), Err(BuildError::NoRuntime)));
}

struct NoFetch;

impl Fetch for NoFetch {
    fn get(&self, _: Request) -> Fetching<'_> {
        Box::pin(async { Err(FetchError::new("there is nothing")) })
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn garbage_is_refused_and_costs_the_server_nothing(
        texts in proptest::collection::vec(any::<String>(), 1..20),
        kids in proptest::collection::vec("[ -~]{0,40}", 1..20),
        cut in 0_usize..200,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let server = Server::new();
            let verifier = server.verifier();
            let token = server.token();
            let mut tokens = texts;
            for kid in &kids {
                let header = json!({"alg": "EdDSA", "kid": kid, "typ": "at+jwt"}).to_string();
                tokens.push(format!("{}.e30.AAAA", claviger_crypto::base64url(header.as_bytes())));
            }
            tokens.extend(tokens.clone().iter().map(|text| format!("{token}.{text}")));
            tokens.push(token[..token.len().saturating_sub(1 + cut)].to_owned());
            for text in tokens {
                let error = verifier.verify(&text).await.unwrap_err();
                assert!(error.is_of_the_token(), "{text}: {error}");
                let said = format!("{error} {error:?}");
                assert!(text.len() < 20 || !said.contains(&text), "{said}");
            }
            assert!(server.asked("jwks.json") <= 2 && server.asked("/status/0") == 0);
            assert_eq!(says(&verifier, &token).await, "good");
        });
    }
}
