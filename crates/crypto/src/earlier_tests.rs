//! Tokens and keys as home-made servers have them, and what only looks like one.

use super::*;
use crate::jws::KeyKind;
use serde_json::json;
use std::sync::LazyLock;

static KEY: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::generate(KeyKind::P256).unwrap());

fn signed(key: &SigningKey, header: &Value, claims: &Value) -> String {
    let part = |value: &Value| crate::base64url(value.to_string().as_bytes());
    let input = format!("{}.{}", part(header), part(claims));
    let signature = crate::base64url(&key.signature(input.as_bytes()).unwrap());
    format!("{input}.{signature}")
}

fn verify(token: &str) -> Result<EarlierToken, Error> {
    let key = VerifyingKey::from_jwk(KEY.public()).unwrap();
    EarlierToken::verify(token, [("old", &key)])
}

fn verified(header: &Value, claims: &Value) -> Result<EarlierToken, Error> {
    verify(&signed(&KEY, header, claims))
}

#[test]
fn usual_tokens_of_home_made_servers_are_read() {
    for header in [
        json!({"alg": "ES256"}),
        json!({"alg": "ES256", "typ": "JWT"}),
        json!({"typ": "jwt", "alg": "ES256", "kid": "old"}),
    ] {
        for (claims, subject, begins, ends) in [
            (json!({"public_id": "a", "exp": 100}), "a", i64::MIN, 100),
            (json!({"public_id": "a", "sub": "b", "exp": 100.9, "iat": 7.5}), "a", 7, 100),
            (json!({"sub": "b", "exp": 100, "nbf": 9, "iat": 8, "roles": ["x"]}), "b", 9, 100),
            (json!({"public_id": "a", "sub": 17, "exp": 1e300}), "a", i64::MIN, i64::MAX),
        ] {
            let found = verified(&header, &claims).unwrap();
            assert_eq!(found, EarlierToken { subject: subject.into(), lifetime: Lifetime { begins, ends } });
        }
    }
}

#[test]
fn what_names_no_account_or_no_end_is_refused() {
    for claims in [
        json!({"public_id": "a"}),
        json!({"public_id": "a", "exp": "100"}),
        json!({"public_id": "a", "exp": null}),
        json!({"public_id": null, "sub": "b", "exp": 100}),
        json!({"public_id": "a", "exp": 100, "nbf": "soon"}),
        json!({"sub": 17, "exp": 100}),
        json!({"exp": 100}),
        json!(["a", 100]),
    ] {
        assert_eq!(verified(&json!({"alg": "ES256"}), &claims), Err(Error::Claims), "{claims}");
    }
}

#[test]
fn another_algorithm_key_or_kind_is_refused() {
    let claims = json!({"public_id": "a", "exp": 100});
    let refused = |header: Value| match verified(&header, &claims) {
        Err(Error::Jws(why)) => why,
        other => panic!("{header}: {other:?}"),
    };
    for alg in ["none", "HS256", "RS256", "es256", ""] {
        assert_eq!(refused(json!({"alg": alg})), jws::Error::WrongAlgorithm);
    }
    assert_eq!(refused(json!({"alg": "ES256", "kid": "other"})), jws::Error::UnknownKey);
    assert_eq!(refused(json!({"alg": "ES256", "typ": "at+jwt"})), jws::Error::WrongType);
    for member in ["crit", "jku", "jwk", "x5u", "x5c", "b64"] {
        assert!(matches!(refused(json!({"alg": "ES256", member: []})), jws::Error::Malformed(_)), "{member}");
    }
    let other = SigningKey::generate(KeyKind::P256).unwrap();
    let forged = signed(&other, &json!({"alg": "ES256"}), &claims);
    assert_eq!(verify(&forged), Err(jws::Error::BadSignature.into()));
    let ours = signed(&KEY, &json!({"alg": "ES256"}), &claims);
    let unsigned = ours.rsplit_once('.').unwrap().0;
    assert_eq!(verify(&format!("{unsigned}.")), Err(jws::Error::BadSignature.into()));
    assert_eq!(EarlierToken::verify(&ours, []), Err(jws::Error::UnknownKey.into()));
}

#[test]
fn without_a_key_id_any_of_the_keys_may_have_signed() {
    let (other, key) = (SigningKey::generate(KeyKind::Ed25519).unwrap(), &*KEY);
    let keys = [&other, key].map(|key| VerifyingKey::from_jwk(key.public()).unwrap());
    let token = signed(key, &json!({"alg": "ES256"}), &json!({"sub": "b", "exp": 1}));
    let named = [("other", &keys[0]), ("old", &keys[1])];
    assert_eq!(EarlierToken::verify(&token, named).unwrap().subject, "b");
}

#[test]
fn a_key_is_read_in_every_form_that_a_server_has_it_in() {
    let own = serde_json::to_value(KEY.public()).unwrap();
    let mut private = own.clone();
    private.as_object_mut().unwrap().insert("d".into(), json!("AAAA"));
    let mut named = own.clone();
    named["kid"] = json!("key-1");
    let mut bare = own.clone();
    let _ = ["kid", "alg", "use"].map(|member| bare.as_object_mut().unwrap().remove(member));
    let thumbprint = KEY.public().kid.clone();
    for (text, kid) in [
        (own.clone(), &*thumbprint),
        (private, &thumbprint),
        (bare, &thumbprint),
        (named.clone(), "key-1"),
        (json!({"keys": [named]}), "key-1"),
        (json!({"keys": named}), "key-1"),
    ] {
        let read = import_public(&text.to_string()).unwrap();
        assert_eq!(read, PublicJwk { kid: kid.into(), ..KEY.public().clone() }, "{text}");
    }
    let rsa = PublicJwk::rsa(&[0xff; 256], &[1, 0, 1]);
    let padded = [&[0][..], &[0xff; 256]].concat();
    let text = json!({"kty": "RSA", "n": crate::base64url(&padded), "e": "AAEAAQ"}).to_string();
    assert_eq!(import_public(&text).unwrap(), rsa);
}

#[test]
fn what_is_no_key_is_refused() {
    let own = serde_json::to_value(KEY.public()).unwrap();
    let with = |member: &str, value: Value| {
        let mut changed = own.clone();
        changed[member] = value;
        changed.to_string()
    };
    let weak = json!({"kty": "RSA", "n": crate::base64url(&[0xff; 128]), "e": "AQAB"}).to_string();
    for text in [
        String::new(),
        "{}".into(),
        "[]".into(),
        "secret".into(),
        weak,
        json!({"keys": []}).to_string(),
        json!({"keys": [own, own]}).to_string(),
        json!({"kty": "oct", "k": "c2VjcmV0"}).to_string(),
        with("alg", json!("RS256")),
        with("use", json!("enc")),
        with("kid", json!("")),
        with("kid", json!("a b")),
        with("kid", json!("a".repeat(129))),
        with("crv", json!("P-384")),
        with("x", json!("AAAA")),
        with("x", json!("!")),
        " ".repeat(20_000) + &own.to_string() + &"x".repeat(20_000),
    ] {
        assert!(import_public(&text).is_err(), "{text}");
    }
}
