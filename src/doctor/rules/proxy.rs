//! Whether the server knows its clients' addresses behind a proxy, seen without asking it for them.

use super::{set, setting};
use crate::doctor::facts::{Facts, Front};
use crate::doctor::gather::no_address;
use crate::doctor::{Finding, Level, Outcome, by_hand, finding, shell_word};
use crate::keys::JWK_SET_PATH;
use std::net::IpAddr;

/// So many sessions from proxies alone are no accident.
const ENOUGH: usize = 10;

const WHY: &str = "limits and waits after wrong passwords count each client by its address: if all have the proxy's, \
    one of them uses up what is meant for each, and the owner of an account waits for a stranger's guesses";

pub(crate) fn address(facts: &Facts) -> Outcome {
    let (config, front) = (&facts.config, facts.front());
    let names_none = config.trusted_proxies.is_empty();
    match front {
        Front::Nobody => return Outcome::Skipped("the server answers for its issuer itself".into()),
        Front::Unknown if names_none => return Outcome::Skipped(PORTS.into()),
        Front::Unknown | Front::Proxy => {}
    }
    let trusts = |address: IpAddr| {
        config.trusted_proxies.iter().any(|network| network.contains(&address.to_canonical()))
    };
    let name = config.client_address_header.name();
    let mut findings: Vec<Finding> = Vec::new();
    if names_none {
        let what = if facts.issuer.is_https && config.tls.is_none() {
            "the issuer is https, so a proxy is in front, and trusted_proxies names none"
        } else {
            "the server listens on loopback alone, so a proxy is in front of the issuer, and trusted_proxies names none"
        };
        let mend = set(facts, "trusted_proxies", "127.0.0.1").after(format!(
            "Name the addresses that the proxy comes from, such as {}, let it write the client's address, and start the \
            server again",
            setting(facts, "trusted_proxies", "127.0.0.1")
        ));
        findings.push(finding(Level::Warning, what, WHY, mend));
        return Outcome::Found(findings);
    }
    // A server that is told an address that is none by somebody whom it trusts refuses the request. Only the proxy is
    // trusted, and one that adds what it saw itself, or writes only that, never passes such a word on alone.
    let said = said(facts);
    let own_is_trusted = facts.issuer.own.is_some_and(trusts);
    if said == Ok(true) && !own_is_trusted {
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
    if !findings.is_empty() {
        return Outcome::Found(findings);
    }
    match said {
        Err(why) => Outcome::Skipped(why),
        Ok(false) => Outcome::Fine("what a client writes is not passed on".into()),
        Ok(true) => Outcome::Skipped(format!(
            "this machine is one of trusted_proxies, so what it writes is read, whether the proxy adds to it or not: \
            whether others choose their address cannot be told from here. Ask from another machine, which should not get \
            400: curl -i -H {} {}",
            shell_word(&format!("{name}: {}", no_address(config.client_address_header).1)),
            shell_word(&format!("{}{JWK_SET_PATH}", config.issuer)),
        )),
    }
}

/// What two ports may mean.
const PORTS: &str = "the issuer has another port than the server listens at. Where one is mapped to the other nothing is to \
    be done; a proxy would have to be named in trusted_proxies. Which of them it is cannot be told from here";

/// Whether the server refuses what this machine writes for its address.
fn said(facts: &Facts) -> Result<bool, String> {
    match (&facts.issuer.jwk_set, &facts.issuer.with_no_address) {
        (Ok(usual), Ok(asked)) if usual.status == 200 => match asked.status {
            400 => Ok(true),
            200 => Ok(false),
            status => {
                Err(format!("the issuer answers {status} where it is asked with an address that is none"))
            }
        },
        (Ok(usual), Ok(_)) => Err(format!("the issuer answers {}", usual.status)),
        _ => Err("nobody answers for the issuer".into()),
    }
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
        let plain = Facts::healthy_with(&[("issuer", "http://auth.example.org:5000")]);
        assert!(whats(&plain).first().unwrap().contains("listens on loopback alone"));
    }

    #[test]
    fn another_port_may_be_a_proxy_or_not() {
        let mapped = ("issuer", "http://127.0.0.1:8080");
        let told = address(&Facts::healthy_with(&[mapped]));
        assert!(matches!(&told, Outcome::Skipped(why) if why.contains("another port")), "{told:?}");
        let mut facts = Facts::healthy_with(&[mapped, ("trusted_proxies", "10.0.0.1")]);
        facts.issuer.with_no_address.as_mut().unwrap().status = 400;
        assert!(whats(&facts).first().unwrap().contains("as clients write it"));
    }

    #[test]
    fn a_word_that_is_passed_on_is_found_from_outside() {
        let mut facts = behind("10.0.0.1");
        facts.issuer.with_no_address.as_mut().unwrap().status = 400;
        assert!(whats(&facts).first().unwrap().contains("as clients write it"));
        facts.issuer.own = Some("10.0.0.1".parse().unwrap());
        let told = address(&facts);
        assert!(
            matches!(&told, Outcome::Skipped(why) if why.contains("cannot be told from here")),
            "a trusted client's word is read: {told:?}"
        );
        facts.issuer.with_no_address.as_mut().unwrap().status = 200;
        assert!(matches!(address(&facts), Outcome::Fine(_)), "the proxy writes what it saw alone");
        facts.issuer.with_no_address = Err("connection refused".into());
        assert!(matches!(address(&facts), Outcome::Skipped(_)), "nothing was seen");
        let mut facts = behind("10.0.0.1");
        facts.issuer.with_no_address.as_mut().unwrap().status = 400;
        facts.issuer.jwk_set.as_mut().unwrap().status = 400;
        assert!(matches!(address(&facts), Outcome::Skipped(_)), "all is refused");
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
