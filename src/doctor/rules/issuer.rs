//! What clients and services find at the issuer's URL.

use super::{set, setting};
use crate::doctor::facts::{Answer, Facts, Looked};
use crate::doctor::{Finding, Level, Outcome, by_hand, finding, run};
use crate::keys::JWK_SET_PATH;
use claviger_crypto::jwk::PublicJwk;
use url::Url;

/// What the server sets on each answer, and a proxy has no reason to take away.
const OURS: &[&str] =
    &["cache-control", "etag", "x-content-type-options", "content-security-policy", "referrer-policy"];

fn url(facts: &Facts) -> String {
    format!("{}{JWK_SET_PATH}", facts.config.issuer)
}

fn look(facts: &Facts) -> crate::doctor::Mend {
    run(format!("curl -i {}", crate::doctor::shell_word(&url(facts))))
}

/// The JWK set as the issuer gives it, if it does.
fn answered(facts: &Facts) -> Looked<&Answer> {
    match &facts.issuer.jwk_set {
        Ok(answer) if answer.status == 200 => Ok(answer),
        Ok(answer) => Err(format!("the issuer answers {}", answer.status)),
        Err(_) => Err("nobody answers for the issuer".into()),
    }
}

pub(crate) fn reachable(facts: &Facts) -> Outcome {
    let issuer = &facts.issuer;
    let what = match &issuer.jwk_set {
        Ok(answer) if answer.status == 200 => {
            return Outcome::Fine(format!("{} answers", facts.config.issuer));
        }
        Ok(answer) => format!("{} answers {}", url(facts), answer.status),
        Err(_) if !facts.is_served() => return Outcome::Skipped("no server runs".into()),
        Err(_) if issuer.refused.is_some() => return Outcome::Skipped("its certificate is refused".into()),
        Err(why) => format!("{} cannot be reached from here: {why}", facts.config.issuer),
    };
    let why = "services fetch the keys there, and the status lists of tokens name it";
    let mend = look(facts).after("See the name, the proxy in front and where it forwards to");
    Outcome::Found(vec![finding(Level::Error, what, why, mend)])
}

pub(crate) fn keys(facts: &Facts) -> Outcome {
    let answer = match answered(facts) {
        Ok(answer) => answer,
        Err(why) => return Outcome::Skipped(why),
    };
    let own = match facts.published() {
        Ok(own) => own,
        Err(why) => return Outcome::Unknown(why),
    };
    let why = "services verify by the keys that they find there: tokens of this server fail, and keys that are not \
        its own may be believed";
    let Some(found) = answer.keys() else {
        let what = format!("{} is no JWK set of this program", url(facts));
        return Outcome::Found(vec![finding(
            Level::Error,
            what,
            why,
            look(facts).after("Another program answers there: see where the proxy forwards to"),
        )]);
    };
    let Some(differences) = compared(&own, &found) else {
        return Outcome::Fine(format!("the same {} keys", found.len()));
    };
    let direct = facts.listener.jwk_set.as_ref().ok().and_then(Answer::keys);
    let cause = match direct {
        Some(direct) if compared(&own, &direct).is_some() => {
            "The server that runs here differs as well: it is on another database, or cannot load the keys (see its log)"
        }
        Some(_) if answer.header("age").is_some() => {
            "The server that runs here has the right ones: a cache in front keeps an old answer. Let it obey Cache-Control"
        }
        Some(_) => {
            "The server that runs here has the right ones: another server answers there, or a cache keeps an old answer"
        }
        None => "Another server answers there, on another database",
    };
    let what = format!("the JWK set at {} is not the one of this database: {differences}", url(facts));
    Outcome::Found(vec![finding(Level::Error, what, why, look(facts).after(cause))])
}

/// What differs, key by key.
fn compared(own: &[&PublicJwk], found: &[PublicJwk]) -> Option<String> {
    let missing = own.iter().filter(|key| !found.iter().any(|other| other.kid == key.kid));
    let foreign = found.iter().filter(|other| !own.iter().any(|key| key.kid == other.kid));
    let changed = own.iter().filter(|key| found.iter().any(|other| other.kid == key.kid && other != **key));
    let said =
        |what: &str, kids: Vec<&str>| (!kids.is_empty()).then(|| format!("{what} {}", kids.join(", ")));
    let all = [
        said("it lacks", missing.map(|key| key.kid.as_str()).collect()),
        said("it has besides", foreign.map(|key| key.kid.as_str()).take(8).collect()),
        said("of other numbers are", changed.map(|key| key.kid.as_str()).collect()),
    ];
    let all: Vec<String> = all.into_iter().flatten().collect();
    (!all.is_empty()).then(|| all.join("; "))
}

pub(crate) fn https(facts: &Facts) -> Outcome {
    let issuer = &facts.config.issuer;
    if facts.issuer.is_https {
        return Outcome::Fine(format!("{issuer} is https"));
    }
    if facts.is_issuer_local() {
        return Outcome::Fine(format!("{issuer} is of this machine alone"));
    }
    if facts.config.dev {
        return Outcome::Skipped("in dev the issuer may be http".into());
    }
    let what = format!("the issuer {issuer} is plain http, for more than this machine");
    let why = "passwords and tokens go over the network for all on the way to read and use";
    let secure = secure(issuer);
    let text = format!(
        "Put a proxy with a certificate in front, or name one with --tls-cert and --tls-key, then set {} and start the \
        server again. Tokens that are out name the old issuer: services refuse them, and clients refresh",
        setting(facts, "issuer", &secure)
    );
    Outcome::Found(vec![finding(Level::Error, what, why, set(facts, "issuer", &secure).after(text))])
}

/// The same host by https, at the usual port.
pub(super) fn secure(issuer: &str) -> String {
    let Ok(mut url) = Url::parse(issuer) else { return issuer.to_owned() };
    let is_set = url.set_scheme("https").and_then(|()| url.set_port(None));
    if is_set.is_err() { issuer.to_owned() } else { url.as_str().trim_end_matches('/').to_owned() }
}

pub(crate) fn redirect(facts: &Facts) -> Outcome {
    if !facts.issuer.is_https {
        return Outcome::Skipped("the issuer is no https URL".into());
    }
    let Some(answer) = &facts.issuer.plain else {
        return Outcome::Fine("nobody answers plain http".into());
    };
    let leads = answer.header("location").is_some_and(|to| to.starts_with("https://"));
    if (300..400).contains(&answer.status) && leads {
        return Outcome::Fine("it leads to https".into());
    }
    if answer.status != 200 {
        return Outcome::Fine(format!("it answers {}", answer.status));
    }
    let what = "plain http at the issuer's host answers with the API";
    let why = "who types or links http:// sends passwords and tokens for all to read";
    let mend = by_hand("Let the proxy answer port 80 with 301 to https, or close it");
    Outcome::Found(vec![finding(Level::Warning, what, why, mend)])
}

pub(crate) fn headers(facts: &Facts) -> Outcome {
    let answer = match answered(facts) {
        Ok(answer) => answer,
        Err(why) => return Outcome::Skipped(why),
    };
    let mut findings: Vec<Finding> = Vec::new();
    if facts.issuer.is_https && answer.header("strict-transport-security").is_none() {
        let why = "browsers that were told so never use plain http again, where somebody on the way could take the password";
        let mend = by_hand("Let the proxy add: Strict-Transport-Security: max-age=31536000");
        findings.push(finding(Level::Warning, "the issuer sends no Strict-Transport-Security", why, mend));
    }
    if let Ok(own) = &facts.listener.jwk_set {
        findings.extend(by_proxy(own, answer));
    }
    Outcome::of(findings, "as the server sends them")
}

/// What a proxy has done to the headers.
fn by_proxy(own: &Answer, answer: &Answer) -> Vec<Finding> {
    let mend = by_hand("Let the proxy pass on the headers of the server as they are");
    let mut findings = Vec::new();
    let taken: Vec<&str> = OURS
        .iter()
        .copied()
        .filter(|name| own.header(name).is_some() && answer.header(name).is_none())
        .collect();
    if !taken.is_empty() {
        let what = format!("a proxy takes away {}", taken.join(", "));
        let why = "they say how long keys may be cached, and keep browsers from misreading answers";
        findings.push(finding(Level::Warning, what, why, mend.clone()));
    }
    if let (Some(ours), Some(theirs)) = (own.header("cache-control"), answer.header("cache-control"))
        && ours != theirs
    {
        let what =
            format!("a proxy makes Cache-Control of the JWK set `{theirs}`, where the server says `{ours}`");
        let why = "keys are rotated by when a cached JWK set has run out: who caches longer does not know the next key";
        findings.push(finding(Level::Warning, what, why, mend.clone()));
    }
    let allowed = "access-control-allow-origin";
    if let (None, Some(origin)) = (own.header(allowed), answer.header(allowed)) {
        let what = format!("a proxy adds Access-Control-Allow-Origin: {origin}");
        let why = "web pages elsewhere may read the API's answers, though cors_origins does not name them";
        findings.push(finding(Level::Warning, what, why, mend));
    }
    findings
}

#[cfg(test)]
#[path = "issuer_tests.rs"]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;
