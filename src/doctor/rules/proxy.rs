//! Whether the server knows its clients' addresses behind a proxy, seen without asking it for them.

use crate::doctor::facts::Facts;
use crate::doctor::{Finding, Level, Outcome, by_hand, finding, run};
use std::net::IpAddr;

/// So many sessions from proxies alone are no accident.
const ENOUGH: usize = 10;

const WHY: &str = "limits and waits after wrong passwords count each client by its address: if all have the proxy's, \
    one of them uses up what is meant for each, and the owner of an account waits for a stranger's guesses";

pub(crate) fn address(facts: &Facts) -> Outcome {
    if !facts.is_behind_proxy() {
        return Outcome::Skipped("the server answers for its issuer itself".into());
    }
    let config = &facts.config;
    let trusts = |address: IpAddr| {
        config.trusted_proxies.iter().any(|network| network.contains(&address.to_canonical()))
    };
    let name = config.client_address_header.name();
    let mut findings: Vec<Finding> = Vec::new();
    if config.trusted_proxies.is_empty() {
        let what = "the issuer is https, so a proxy is in front, and trusted_proxies names none";
        let mend = run(facts.command("serve --trusted-proxies 127.0.0.1"))
            .after("Name the addresses that the proxy comes from, and let it write the client's address");
        findings.push(finding(Level::Warning, what, WHY, mend));
        return Outcome::Found(findings);
    }
    // A server that is told an address that is none by somebody whom it trusts refuses the request. Only the proxy is
    // trusted, and one that adds what it saw itself, or writes only that, never passes such a word on alone.
    let is_passed_on = facts.issuer.with_no_address.as_ref().is_ok_and(|answer| answer.status == 400)
        && facts.issuer.jwk_set.as_ref().is_ok_and(|answer| answer.status == 200);
    let own_is_trusted = facts.issuer.own.is_some_and(trusts);
    if is_passed_on && !own_is_trusted {
        let what = format!("the proxy passes on {name} as clients write it");
        let why = "each client chooses the address that it is counted and logged under: limits and waits hold nobody";
        let mend = by_hand(format!(
            "Let the proxy write the header itself, as nginx does by: proxy_set_header {} {}",
            name,
            match name {
                "x-real-ip" => "$remote_addr;",
                // RFC 7239 has an IPv6 address in quotes and brackets.
                "forwarded" => r#""for=$remote_addr"; or, for IPv6, 'for="[$remote_addr]"';"#,
                _ => "$proxy_add_x_forwarded_for;",
            }
        ));
        findings.push(finding(Level::Error, what, why, mend));
    }
    let addresses: Vec<IpAddr> = facts
        .held()
        .map(|held| held.addresses.iter().filter_map(|text| text.parse().ok()).collect())
        .unwrap_or_default();
    if addresses.len() >= ENOUGH && addresses.iter().all(|address| trusts(*address)) {
        let what =
            format!("the newest {} sessions are all from addresses of trusted_proxies", addresses.len());
        let mend = by_hand(format!(
            "Let the proxy write the client's address into {name}, or name with client_address_header where it does"
        ));
        findings.push(finding(Level::Warning, what, WHY, mend));
    }
    let fine = if own_is_trusted {
        "as far as can be told: this machine is a trusted proxy itself"
    } else {
        "what a client writes is not passed on"
    };
    Outcome::of(findings, fine)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    fn behind(proxies: &str) -> Facts {
        Facts::healthy_with(&[("issuer", "https://auth.example.org"), ("trusted_proxies", proxies)])
    }

    fn whats(facts: &Facts) -> Vec<String> {
        match address(facts) {
            Outcome::Found(findings) => findings.into_iter().map(|found| found.what).collect(),
            Outcome::Fine(_) => Vec::new(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_proxy_that_nobody_names_is_found() {
        assert_eq!(whats(&behind("10.0.0.1")), [""; 0]);
        assert!(whats(&behind("")).first().unwrap().contains("names none"));
        assert!(matches!(address(&Facts::healthy()), Outcome::Skipped(_)));
    }

    #[test]
    fn a_word_that_is_passed_on_is_found_from_outside() {
        let mut facts = behind("10.0.0.1");
        facts.issuer.with_no_address.as_mut().unwrap().status = 400;
        assert!(whats(&facts).first().unwrap().contains("as clients write it"));
        facts.issuer.own = Some("10.0.0.1".parse().unwrap());
        assert_eq!(whats(&facts), [""; 0], "a trusted client's word is read");
        let mut facts = behind("10.0.0.1");
        facts.issuer.with_no_address.as_mut().unwrap().status = 400;
        facts.issuer.jwk_set.as_mut().unwrap().status = 400;
        assert_eq!(whats(&facts), [""; 0], "all is refused");
    }

    #[test]
    fn sessions_of_proxies_alone_are_found() {
        let mut facts = behind("10.0.0.0/8");
        facts.held_mut().addresses = vec!["10.0.0.1".into(); ENOUGH];
        assert!(whats(&facts).first().unwrap().contains("newest 10 sessions"));
        facts.held_mut().addresses.push("192.0.2.1".into());
        assert_eq!(whats(&facts), [""; 0]);
        facts.held_mut().addresses = vec!["10.0.0.1".into(); ENOUGH - 1];
        assert_eq!(whats(&facts), [""; 0]);
    }
}
