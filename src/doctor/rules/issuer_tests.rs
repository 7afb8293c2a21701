//! The rules about the issuer, tried on facts.

use super::*;
use crate::doctor::facts::of_tests::found;

fn issuer(facts: &mut Facts) -> &mut Answer {
    facts.issuer.jwk_set.as_mut().unwrap()
}

#[test]
fn an_issuer_that_nobody_reaches_matters_if_a_server_runs() {
    let mut facts = Facts::healthy();
    issuer(&mut facts).status = 502;
    assert!(found(reachable(&facts)).first().unwrap().1.ends_with("answers 502"));
    facts.issuer.jwk_set = Err("connection refused".into());
    assert!(found(reachable(&facts)).first().unwrap().1.contains("connection refused"));
    facts.stop();
    assert!(matches!(reachable(&facts), Outcome::Skipped(_)));
}

#[test]
fn keys_are_compared_one_by_one() {
    let mut facts = Facts::healthy();
    let own: Vec<PublicJwk> = facts.published().unwrap().into_iter().cloned().collect();
    let stranger = PublicJwk::ed25519(&[7; 32]);
    let mut other = own.first().cloned().unwrap();
    other.kid = own.last().unwrap().kid.clone();
    for (found, expected) in [
        (own.clone(), None),
        (own.iter().rev().cloned().collect(), None),
        (own.iter().take(1).cloned().collect(), Some("it lacks ")),
        ([own.clone(), vec![stranger]].concat(), Some("it has besides ")),
        (vec![own.first().cloned().unwrap(), other], Some("of other numbers are ")),
    ] {
        let said = compared(&own.iter().collect::<Vec<_>>(), &found);
        assert_eq!(
            said.as_deref().is_some_and(|said| said.starts_with(expected.unwrap_or("-"))),
            expected.is_some(),
            "{said:?}"
        );
    }
    issuer(&mut facts).body = br#"{"keys":[]}"#.to_vec();
    let Outcome::Found(findings) = keys(&facts) else { panic!("not found") };
    assert!(findings.first().unwrap().mend.text.as_deref().unwrap().contains("has the right ones"));
    issuer(&mut facts).headers.push(("age".into(), "9".into()));
    let Outcome::Found(findings) = keys(&facts) else { panic!("not found") };
    assert!(findings.first().unwrap().mend.text.as_deref().unwrap().contains("a cache in front"));
    issuer(&mut facts).body = b"<html>".to_vec();
    assert!(found(keys(&facts)).first().unwrap().1.contains("no JWK set"));
}

#[test]
fn plain_http_for_others_is_found() {
    for (issuer, dev, is_found) in [
        ("http://auth.example.org:8080", "false", true),
        ("http://192.0.2.7", "false", true),
        ("http://auth.example.org", "true", false),
        ("https://auth.example.org", "false", false),
        ("http://localhost:5000", "false", false),
        ("http://auth.localhost:5000", "false", false),
        ("http://127.0.0.1:5000", "false", false),
        ("http://[::1]:5000", "false", false),
    ] {
        let facts = Facts::healthy_with(&[("issuer", issuer), ("dev", dev)]);
        let outcome = https(&facts);
        assert_eq!(matches!(outcome, Outcome::Found(_)), is_found, "{issuer} {outcome:?}");
    }
    let Outcome::Found(found) = https(&Facts::healthy_with(&[("issuer", "http://auth.example.org:8080")]))
    else {
        panic!("not found")
    };
    let found = found.first().unwrap();
    assert_eq!(found.level, Level::Error);
    assert_eq!(found.mend.command.as_deref(), Some("claviger serve --issuer https://auth.example.org"));
}

#[test]
fn plain_http_leads_to_https_or_nowhere() {
    let mut facts = Facts::healthy_with(&[("issuer", "https://auth.example.org")]);
    let answer = |status, location: Option<&str>| Answer {
        status,
        headers: location.map(|to| ("location".to_owned(), to.to_owned())).into_iter().collect(),
        ..Answer::default()
    };
    for (plain, count) in [
        (None, 0),
        (Some(answer(301, Some("https://auth.example.org/"))), 0),
        (Some(answer(404, None)), 0),
        (Some(answer(200, None)), 1),
    ] {
        facts.issuer.plain = plain;
        assert_eq!(found(redirect(&facts)).len(), count, "{:?}", facts.issuer.plain);
    }
}

#[test]
fn what_a_proxy_does_to_headers_is_found() {
    let mut facts = Facts::healthy_with(&[("issuer", "https://auth.example.org")]);
    issuer(&mut facts).headers.retain(|(name, _)| name != "strict-transport-security" && name != "etag");
    issuer(&mut facts).headers.push(("access-control-allow-origin".into(), "*".into()));
    let whats: Vec<String> = found(headers(&facts)).into_iter().map(|(_, what)| what).collect();
    assert_eq!(whats.len(), 3, "{whats:?}");
    assert!(whats.iter().any(|what| what == "a proxy takes away etag"), "{whats:?}");
    let mut facts = Facts::healthy();
    for (name, value) in &mut issuer(&mut facts).headers {
        if name == "cache-control" {
            *value = "max-age=86400".into();
        }
    }
    assert!(found(headers(&facts)).first().unwrap().1.contains("`max-age=86400`"));
}
