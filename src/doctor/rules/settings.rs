//! Settings that are allowed, and seldom meant.

use super::issuer::secure;
use super::{set, setting, start};
use crate::base::time::format_duration;
use crate::doctor::facts::Facts;
use crate::doctor::{Finding, Level, Mend, Outcome, finding};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

/// Beside the connections of callers: the database, the log, the listener.
const OTHER_FILES: u64 = 128;

/// From so many sessions on their refreshes fill the trail.
const MANY_SESSIONS: u64 = 100_000;

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86400);

pub(crate) fn dev(facts: &Facts) -> Outcome {
    let config = &facts.config;
    if !config.dev {
        return Outcome::Fine("not in dev".into());
    }
    let for_others = match () {
        () if facts.issuer.is_https || !facts.is_issuer_local() => format!("the issuer is {}", config.issuer),
        () if !config.listen.ip().is_loopback() => {
            format!("it listens on {}, where others reach it", config.listen)
        }
        () => return Outcome::Fine("in dev, for this machine alone".into()),
    };
    let why = "in dev any password is taken, weak hashes are, and the issuer may be http";
    Outcome::Found(vec![finding(
        Level::Error,
        format!("--dev is on, and {for_others}"),
        why,
        without_dev(facts),
    )])
}

/// Without `--dev` a server that others reach starts with an https issuer alone, and one with a local issuer where it
/// listens for this machine alone.
fn without_dev(facts: &Facts) -> Mend {
    const LEFT_OUT: &str = "Leave --dev out, and CLAVIGER_DEV and dev in the settings file";
    const FRONT: &str = "put a proxy with a certificate in front, or name one with --tls-cert and --tls-key";
    let (config, word) = (&facts.config, super::super::shell_word);
    let (text, words) = if facts.issuer.is_https {
        (LEFT_OUT.to_owned(), format!("serve --issuer {}", word(&config.issuer)))
    } else if facts.is_issuer_local() {
        let here = match config.listen.ip() {
            IpAddr::V4(_) => SocketAddr::new(Ipv4Addr::LOCALHOST.into(), config.listen.port()),
            IpAddr::V6(_) => SocketAddr::new(Ipv6Addr::LOCALHOST.into(), config.listen.port()),
        };
        let text = format!(
            "{LEFT_OUT}. For this machine alone, set {}. For others, {FRONT}, and set issuer to the https URL that they \
            reach it at, such as https://auth.example.org",
            setting(facts, "listen", &here.to_string())
        );
        (text, format!("serve --listen {} --issuer {}", word(&here.to_string()), word(&config.issuer)))
    } else {
        let issuer = secure(&config.issuer);
        let text = format!(
            "{LEFT_OUT}. Then the issuer has to be https: {FRONT}, and set {}",
            setting(facts, "issuer", &issuer)
        );
        (text, format!("serve --issuer {}", word(&issuer)))
    };
    let command = match &facts.unit {
        Some(_) => start(facts, "").command,
        None => Some(facts.command_without("dev", &words)),
    };
    Mend { text: Some(text), command }
}

pub(crate) fn limits(facts: &Facts) -> Outcome {
    let config = &facts.config;
    if config.limits {
        return Outcome::Fine("they are".into());
    }
    let is_public = facts.issuer.is_https || !facts.is_issuer_local() || !config.trusted_proxies.is_empty();
    let level = if is_public { Level::Error } else { Level::Warning };
    let why = "limits = false is for load tests: passwords can be guessed as fast as they are hashed";
    Outcome::Found(vec![finding(
        level,
        "requests and wrong passwords are not limited",
        why,
        set(facts, "limits", "true"),
    )])
}

pub(crate) fn lives(facts: &Facts) -> Outcome {
    let config = &facts.config;
    let mut findings: Vec<Finding> = Vec::new();
    let mut unusual = |key, is: Duration, level, why, usual| {
        let what = format!("{key} is {}", format_duration(is));
        findings.push(finding(level, what, why, set(facts, key, usual)));
    };
    let token = config.access_token_ttl;
    if token > HOUR {
        let why = "services that verify offline without the status list take a token of an ended session until its end";
        unusual("access_token_ttl", token, Level::Warning, why, "15m");
    } else if token < Duration::from_secs(60) {
        let why = "every client refreshes all the time, and clocks that differ by seconds make tokens fail";
        unusual("access_token_ttl", token, Level::Warning, why, "15m");
    }
    let rotation = config.key_rotation;
    if rotation < HOUR {
        let why = "verifiers fetch the JWK set all the time, and one that misses a turn fails";
        unusual("key_rotation", rotation, Level::Warning, why, "90d");
    } else if rotation > 400 * DAY {
        let why = "a key that signs for long is worth more to whoever steals it";
        unusual("key_rotation", rotation, Level::Warning, why, "90d");
    }
    if config.session_ttl > 366 * DAY {
        let why = "who steals a refresh token has the account for as long as it is used";
        unusual("session_ttl", config.session_ttl, Level::Info, why, "90d");
    }
    if config.audit_retention < 30 * DAY {
        let why = "attacks are often noticed after weeks, when the trail of them is gone";
        unusual("audit_retention", config.audit_retention, Level::Info, why, "365d");
    }
    Outcome::of(findings, "they are usual")
}

pub(crate) fn files(facts: &Facts) -> Outcome {
    let Some(most) = facts.process.most_files else {
        return Outcome::Skipped("the limit cannot be told here".into());
    };
    let connections = u64::try_from(facts.config.max_connections).unwrap_or(u64::MAX);
    if most >= connections.saturating_add(OTHER_FILES) {
        return Outcome::Fine(format!("{most} files for {connections} connections"));
    }
    let what = format!("there may be {most} open files, and max_connections is {connections}");
    let why = "when files run out no connection is accepted, and the database cannot open its own";
    let fit = most.saturating_sub(OTHER_FILES).max(1).to_string();
    let mend = set(facts, "max_connections", &fit);
    let text = format!(
        "Raise the limit (LimitNOFILE={} in the systemd unit), or set max_connections = {fit}",
        connections + OTHER_FILES
    );
    Outcome::Found(vec![finding(Level::Warning, what, why, mend.after(text))])
}

pub(crate) fn audit(facts: &Facts) -> Outcome {
    let sessions = match facts.held() {
        Ok(held) => held.sessions,
        Err(why) => return Outcome::Unknown(why),
    };
    if !facts.config.audit_refreshes || sessions < MANY_SESSIONS {
        return Outcome::Fine(
            if facts.config.audit_refreshes { "they are, for few sessions" } else { "they are not" }.into(),
        );
    }
    let what = format!("each refresh is in the audit trail, and there are {MANY_SESSIONS} sessions or more");
    let why = "each is half a kB, several times an hour for each session that is used: the trail becomes most of the database";
    Outcome::Found(vec![finding(Level::Info, what, why, set(facts, "audit_refreshes", "false"))])
}

/// How many sessions are counted.
pub(crate) const COUNTED: u64 = MANY_SESSIONS;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::doctor::facts::of_tests::found;

    #[test]
    fn dev_is_for_this_machine() {
        assert_eq!(found(dev(&Facts::healthy_with(&[("dev", "true")]))), []);
        for public in [
            ("listen", "0.0.0.0:5000"),
            ("issuer", "https://auth.example.org"),
            ("issuer", "http://auth.example.org"),
        ] {
            let facts = Facts::healthy_with(&[("dev", "true"), public]);
            assert_eq!(found(dev(&facts)).first().unwrap().0, Level::Error, "{public:?}");
        }
    }

    #[test]
    fn a_server_that_is_not_for_trying_keeps_its_flags_but_dev() {
        let mut facts = Facts::healthy_with(&[("dev", "true"), ("issuer", "https://auth.example.org")]);
        let flag = |name: &str, value: Option<&str>| crate::doctor::Flag {
            name: name.into(),
            value: value.map(Into::into),
        };
        facts.call.flags =
            vec![flag("dev", None), flag("issuer", Some("http://x")), flag("rsa-bits", Some("3072"))];
        let Outcome::Found(found) = dev(&facts) else { panic!("not found") };
        let command = found.first().unwrap().mend.command.as_deref().unwrap();
        assert_eq!(command, "claviger serve --issuer https://auth.example.org --rsa-bits 3072");
        for (settings, command, text) in [
            (
                [("issuer", "http://auth.example.org:5000"), ("listen", "127.0.0.1:5000")],
                "claviger serve --issuer https://auth.example.org",
                "--tls-cert",
            ),
            (
                [("issuer", "http://127.0.0.1:5000"), ("listen", "0.0.0.0:5000")],
                "claviger serve --listen 127.0.0.1:5000 --issuer http://127.0.0.1:5000",
                "https URL that they reach it at",
            ),
            (
                [("issuer", "http://[::1]:5000"), ("listen", "[::]:5000")],
                "claviger serve --listen '[::1]:5000' --issuer 'http://[::1]:5000'",
                "For this machine alone, set listen = ",
            ),
        ] {
            let facts = Facts::healthy_with(&[[("dev", "true")].as_slice(), &settings].concat());
            let Outcome::Found(found) = dev(&facts) else { panic!("not found") };
            let mend = &found.first().unwrap().mend;
            assert_eq!(mend.command.as_deref(), Some(command), "{settings:?}");
            assert!(mend.text.as_deref().unwrap().contains(text), "{mend:?}");
        }
    }

    #[test]
    fn under_systemd_a_setting_is_written_down() {
        let mut facts = Facts::healthy_with(&[("limits", "false"), ("access_token_ttl", "2h")]);
        (facts.unit, facts.call.file) = (Some("claviger".into()), Some("/etc/claviger.toml".into()));
        let Outcome::Found(found) = limits(&facts) else { panic!("not found") };
        let mend = &found.first().unwrap().mend;
        assert_eq!(mend.command.as_deref(), Some("systemctl restart claviger"));
        let text = mend.text.as_deref().unwrap();
        assert_eq!(text, "Set limits = true in /etc/claviger.toml and start the server again");
        let Outcome::Found(found) = lives(&facts) else { panic!("not found") };
        let text = found.first().unwrap().mend.text.as_deref().unwrap();
        assert!(text.starts_with("Set access_token_ttl = \"15m\" in /etc/claviger.toml"), "{text}");
    }

    #[test]
    fn no_limits_are_worse_behind_a_proxy() {
        for (more, level) in [
            (("dev", "false"), Level::Warning),
            (("trusted_proxies", "10.0.0.1"), Level::Error),
            (("issuer", "https://x.example"), Level::Error),
        ] {
            let facts = Facts::healthy_with(&[("limits", "false"), more]);
            assert_eq!(found(limits(&facts)).first().unwrap().0, level, "{more:?}");
        }
    }

    #[test]
    fn unusual_lives_are_found() {
        for (key, value, count) in [
            ("access_token_ttl", "1h", 0),
            ("access_token_ttl", "61m", 1),
            ("access_token_ttl", "59s", 1),
            ("key_rotation", "1h", 0),
            ("key_rotation", "59m", 1),
            ("key_rotation", "401d", 1),
            ("session_ttl", "366d", 0),
            ("session_ttl", "400d", 1),
            ("audit_retention", "30d", 0),
            ("audit_retention", "29d", 1),
        ] {
            assert_eq!(found(lives(&Facts::healthy_with(&[(key, value)]))).len(), count, "{key} = {value}");
        }
    }

    #[test]
    fn connections_need_files() {
        let mut facts = Facts::healthy();
        facts.process.most_files = Some(10_128);
        assert_eq!(found(files(&facts)), []);
        facts.process.most_files = Some(10_127);
        assert!(found(files(&facts)).first().unwrap().1.contains("10127 open files"));
    }

    #[test]
    fn many_refreshes_fill_the_trail() {
        let mut facts = Facts::healthy();
        facts.held_mut().sessions = COUNTED;
        assert_eq!(found(audit(&facts)).first().unwrap().0, Level::Info);
        let mut facts = Facts::healthy_with(&[("audit_refreshes", "false")]);
        facts.held_mut().sessions = COUNTED;
        assert_eq!(found(audit(&facts)), []);
    }
}
