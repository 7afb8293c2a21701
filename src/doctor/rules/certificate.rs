//! The certificate that is shown at the issuer's URL.

use super::time;
use crate::doctor::facts::{Facts, Fault, Refused};
use crate::doctor::{Level, Mend, Outcome, by_hand, finding, run, shell_word};
use crate::server::tls::SOON;
use url::{Host, Url};

pub(crate) fn valid(facts: &Facts) -> Outcome {
    let issuer = &facts.issuer;
    if !issuer.is_https {
        return Outcome::Skipped("the issuer is no https URL".into());
    }
    if let Some(refused) = &issuer.refused {
        let ended = issuer.certificate_ends.filter(|_| refused.fault == Fault::Ended);
        let what = match ended {
            Some(ends) => format!("the issuer's certificate ended at {ends}"),
            None => format!("the issuer's certificate is refused: {}", refused.why),
        };
        let why = "no client and no service talks to the issuer any more";
        return Outcome::Found(vec![finding(Level::Error, what, why, mend(facts, refused))]);
    }
    let Some(ends) = issuer.certificate_ends else {
        return Outcome::Skipped("nobody answers for the issuer".into());
    };
    let left = ends.since(facts.now);
    if left >= SOON {
        return Outcome::Fine(format!("until {ends}, another {}", time(left)));
    }
    let what = format!("the issuer's certificate ends at {ends}, in {}", time(left));
    let why = "from then on no client and no service talks to the issuer. What renews certificates does so weeks before";
    Outcome::Found(vec![finding(Level::Warning, what, why, renew())])
}

fn renew() -> Mend {
    run("certbot renew").after(
        "Renew the certificate (by what made it, such as certbot), see that the server or proxy in front has read it, and \
        why that did not happen by itself",
    )
}

/// What mends a certificate that is refused: each fault has another way out.
fn mend(facts: &Facts, refused: &Refused) -> Mend {
    let url = Url::parse(&facts.config.issuer).ok();
    let host = url.as_ref().and_then(Url::host_str).unwrap_or_default();
    let shower = if facts.config.tls.is_some() { "tls_cert" } else { "the proxy in front" };
    match refused.fault {
        Fault::Ended => renew(),
        Fault::Early => run("timedatectl status")
            .after("See whether this machine's clock is right: the certificate is valid from later on"),
        Fault::Name if matches!(url.as_ref().and_then(Url::host), Some(Host::Domain(_))) => {
            run(format!("certbot certonly -d {}", shell_word(host)))
                .after(format!("Get a certificate for {host}, and give that to {shower}"))
        }
        Fault::Name => by_hand(format!("Get a certificate for {host}, and give that to {shower}")),
        Fault::Issuer { is_alone: true } => shown(url.as_ref()).after(format!(
            "Give {shower} the full chain (certbot's fullchain.pem, not its cert.pem): no certificate came along that \
            leads to a known authority. If it is self-signed or of an authority of your own, {ROOT}"
        )),
        Fault::Issuer { is_alone: false } => shown(url.as_ref()).after(format!(
            "See who has issued it. If that is an authority of your own, {ROOT}. Otherwise give {shower} the chain that \
            was issued with it"
        )),
        Fault::Authority => shown(url.as_ref()).after(format!(
            "It is marked as a certificate authority's own (CA:TRUE, as openssl req -x509 makes them), and many clients take \
            none such for a server's. Have one from a certificate authority, or make it anew with \
            -addext basicConstraints=critical,CA:FALSE, and give that to {shower}. If it is self-signed, {ROOT}"
        )),
        Fault::Other => shown(url.as_ref()).after(format!("See what {shower} shows, and put it right there")),
    }
}

const ROOT: &str = "every client needs its root certificate among those it trusts, and so does this machine \
    (update-ca-certificates)";

/// The certificates as a client sees them.
fn shown(url: Option<&Url>) -> Mend {
    let host = url.and_then(Url::host_str).unwrap_or_default();
    let port = url.and_then(Url::port_or_known_default).unwrap_or(443);
    let (at, name) = (shell_word(&format!("{host}:{port}")), shell_word(host));
    run(format!("openssl s_client -connect {at} -servername {name} -showcerts < /dev/null"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::doctor::Finding;
    use crate::doctor::facts::of_tests::found;
    use std::time::Duration;

    fn facts() -> Facts {
        Facts::healthy_with(&[("issuer", "https://auth.example.org"), ("trusted_proxies", "10.0.0.1")])
    }

    #[test]
    fn a_certificate_is_renewed_before_its_last_two_weeks() {
        let mut facts = facts();
        assert_eq!(found(valid(&facts)), []);
        facts.issuer.certificate_ends = Some(facts.now.plus(SOON - Duration::from_secs(1)));
        assert_eq!(found(valid(&facts)).first().unwrap().0, Level::Warning);
        let why = "invalid peer certificate: Expired".to_owned();
        facts.issuer.refused = Some(Refused { why, fault: Fault::Ended });
        facts.issuer.certificate_ends = Some(facts.now.minus(SOON));
        assert!(found(valid(&facts)).first().unwrap().1.contains("ended at"));
    }

    #[test]
    fn each_fault_has_what_mends_it() {
        let of = |fault| -> Finding {
            let mut facts = facts();
            facts.issuer.refused = Some(Refused { why: "so".into(), fault });
            match valid(&facts) {
                Outcome::Found(found) => found.into_iter().next().unwrap(),
                other => panic!("{other:?}"),
            }
        };
        let look = "openssl s_client -connect auth.example.org:443 -servername auth.example.org -showcerts < /dev/null";
        for (fault, text, command) in [
            (Fault::Ended, "Renew the certificate", "certbot renew"),
            (Fault::Early, "clock", "timedatectl status"),
            (Fault::Name, "for auth.example.org", "certbot certonly -d auth.example.org"),
            (Fault::Issuer { is_alone: true }, "fullchain.pem", look),
            (Fault::Issuer { is_alone: false }, "of your own", look),
            (Fault::Authority, "-addext basicConstraints=critical,CA:FALSE", look),
            (Fault::Other, "the proxy in front shows", look),
        ] {
            let mend = of(fault).mend;
            assert!(mend.text.as_deref().unwrap().contains(text), "{fault:?}: {mend:?}");
            assert_eq!(mend.command.as_deref(), Some(command), "{fault:?}");
        }
    }
}
