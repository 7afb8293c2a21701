//! `claviger-verify` beside the real program: its operator ends sessions, turns and revokes keys, and stops it.

use crate::harness::{decode, send};
use crate::operators::Town;
use claviger_verify::{Error, MissingStatus, SignatureError, TokenError, Verifier};
use reqwest::Method;
use std::time::Duration;

/// Looks until a verifier refuses a token: what has ended may stay in a list for 5 seconds.
async fn refusal(verifier: &Verifier, token: &str) -> Error {
    for _ in 0..300 {
        verifier.refresh().await.unwrap();
        if let Err(error) = verifier.verify(token).await {
            return error;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the token is still taken");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_operator_ends_ends_in_services_too() {
    let town = Town::start();
    let (alice, bob) = (town.person("alice").await, town.person("bob").await);
    let verifier = Verifier::builder(&town.program.url).build().unwrap();
    for person in [&alice, &bob] {
        assert_eq!(verifier.verify(&person.token).await.unwrap().subject(), person.id);
    }
    town.told(&["user", "disable", &alice.email]);
    assert!(matches!(refusal(&verifier, &alice.token).await, Error::SessionEnded));
    verifier.verify(&bob.token).await.unwrap();

    // A revoked key takes its tokens along, and the next one signs at once.
    let old = decode(&bob.token).0["kid"].as_str().unwrap().to_owned();
    let (code, out, err) = town.run(&["key", "revoke", &old]);
    assert_eq!(code, 0, "{out}{err}");
    let error = refusal(&verifier, &bob.token).await;
    assert!(matches!(error, Error::Token(TokenError::Jws(SignatureError::UnknownKey))), "{error}");
    let carol = town.person("carol").await;
    assert_ne!(decode(&carol.token).0["kid"], old.as_str());
    verifier.verify(&carol.token).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_server_takes_no_service_along() {
    let mut town = Town::start();
    let (alice, bob) = (town.person("alice").await, town.person("bob").await);
    let verifier = Verifier::builder(&town.program.url).pause(Duration::from_millis(100)).build().unwrap();
    let url = town.program.url.clone();
    let late = || Verifier::builder(&url).time_limit(Duration::from_secs(1));
    verifier.verify(&bob.token).await.unwrap();
    let ended = send(town.request(Method::POST, "/logout").bearer_auth(&alice.token)).await;
    assert_eq!(ended.status, 204);
    assert!(matches!(refusal(&verifier, &alice.token).await, Error::SessionEnded));

    let strict = late().missing_status(MissingStatus::Refuse).build().unwrap();
    strict.ready().await.unwrap();
    town.program.stop();
    let error = verifier.refresh().await.unwrap_err();
    assert!(!error.is_of_the_token(), "{error}");
    verifier.verify(&bob.token).await.unwrap();
    assert!(matches!(verifier.verify(&alice.token).await, Err(Error::SessionEnded)), "it is not forgotten");
    assert!(
        matches!(strict.verify(&bob.token).await, Err(Error::NoStatus(_))),
        "it has the keys but no list"
    );
    let without_keys = late().build().unwrap().verify(&bob.token).await;
    assert!(matches!(without_keys, Err(Error::NoKeys(_))));
}
