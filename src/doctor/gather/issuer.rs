//! What answers where the server listens, and at the issuer's URL.

use super::own;
use super::tls;
use super::web::{Asked, ask};
use crate::base::time::Clock;
use crate::config::{AddressHeader, Config};
use crate::doctor::facts::{Answer, Issuer, Listener, Looked};
use crate::keys::JWK_SET_PATH;
use url::Url;

/// A client's address that is none. A server that takes the word of who sends it refuses the request.
pub(in crate::doctor) fn no_address(header: AddressHeader) -> (&'static str, &'static str) {
    let value = match header {
        AddressHeader::Forwarded => "for=unknown",
        AddressHeader::XForwardedFor | AddressHeader::XRealIp => "no-address",
    };
    (header.name(), value)
}

pub(super) async fn look(config: &Config, clock: &Clock) -> (Listener, Issuer) {
    tokio::join!(listener(config, clock), issuer(config, clock))
}

async fn listener(config: &Config, clock: &Clock) -> Listener {
    let get = async |path: &str| own::asked(config, path, clock).await;
    let (jwk_set, ready, described) =
        tokio::join!(get(JWK_SET_PATH), get("/health/ready"), get("/openapi.json"));
    Listener {
        is_taken: jwk_set.own.is_some(),
        jwk_set: jwk_set.answer,
        ready: ready.answer,
        version: version(&described.answer),
    }
}

/// What the API's description says.
fn version(described: &Looked<Answer>) -> Option<String> {
    let answer = described.as_ref().ok().filter(|answer| answer.status == 200)?;
    let document: serde_json::Value = serde_json::from_slice(&answer.body).ok()?;
    Some(document.get("info")?.get("version")?.as_str()?.to_owned())
}

async fn issuer(config: &Config, clock: &Clock) -> Issuer {
    let failed = |why: String| Issuer {
        is_https: config.issuer.starts_with("https:"),
        jwk_set: Err(why.clone()),
        certificate_ends: None,
        refused: None,
        own: None,
        with_no_address: Err(why),
        plain: None,
    };
    let url = match Url::parse(&format!("{}{JWK_SET_PATH}", config.issuer)) {
        Ok(url) => url,
        Err(error) => return failed(error.to_string()),
    };
    let https = url.scheme() == "https";
    let trust = if https { tls::roots() } else { Err("there is no TLS here".to_owned()) };
    let Asked { answer: jwk_set, own, seen } = ask(&url, None, &trust, clock).await;
    let again = async {
        match &jwk_set {
            Ok(_) => ask(&url, Some(no_address(config.client_address_header)), &trust, clock).await.answer,
            Err(why) => Err(why.clone()),
        }
    };
    let (with_no_address, plain) = tokio::join!(again, plain(&url, clock));
    Issuer {
        jwk_set,
        certificate_ends: seen.ends,
        refused: seen.refused,
        own,
        with_no_address,
        plain,
        ..failed(String::new())
    }
}

/// The same path at port 80, of an issuer at the usual port: at others, it is somebody else's.
async fn plain(url: &Url, clock: &Clock) -> Option<Answer> {
    if url.scheme() != "https" || url.port().is_some() {
        return None;
    }
    let mut plain = url.clone();
    plain.set_scheme("http").ok()?;
    ask(&plain, None, &Err("there is no TLS here".to_owned()), clock).await.answer.ok()
}
