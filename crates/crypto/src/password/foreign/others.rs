//! What other systems write: Werkzeug, passlib, Django, and crypt's `$7$`.

use super::parts::{cost, crypt_number, decimal, from_any, from_crypt, from_hex, from_passlib};
use super::{Digest, Foreign, Kind, MAX_TEXT, Refusal, ScryptCost, expect_sound};

const ROUNDS: &str = "10000000 rounds of PBKDF2";

const BCRYPT_SHA256: Refusal = Refusal::Unsupported(
    "bcrypt of a SHA-256 (bcrypt_sha256 of Django or passlib), which is not verified here",
);

impl Foreign {
    /// Reads the stored form, or one of those that other systems write.
    ///
    /// # Errors
    /// [`Refusal`], with the reason for people.
    pub fn read(text: &str) -> Result<Self, Refusal> {
        if text.len() > MAX_TEXT {
            return Err(Refusal::Unknown);
        }
        let text = without_django(text);
        if let Some(rest) = text.strip_prefix("$7$") {
            return scrypt_of_crypt(rest);
        }
        if let Some(rest) = text.strip_prefix('$') {
            return passlib(rest).unwrap_or_else(|| named(text));
        }
        let (method, rest) = text.split_once('$').ok_or(Refusal::Unknown)?;
        let (salt, tag) = rest.split_once('$').ok_or(Refusal::Unknown)?;
        match method.split_once('_') {
            Some(("pbkdf2", digest)) => django(digest, salt, tag),
            Some(("bcrypt", "sha256")) => Err(BCRYPT_SHA256),
            _ if method == "scrypt" && tag.contains('$') => django_scrypt(salt, tag),
            _ => werkzeug(method, salt, tag),
        }
    }
}

/// Without Django's name of it before bcrypt's or Argon2's own form: `bcrypt$$2b$12$…`, `argon2$argon2id$…`.
fn without_django(text: &str) -> &str {
    let own = |name, form| text.strip_prefix(name).filter(|own: &&str| own.starts_with(form));
    own("bcrypt$", "$2").or_else(|| own("argon2", "$argon2")).unwrap_or(text)
}

/// `scrypt$N$salt$r$p$tag`: the salt is a text, the tag base64.
fn django_scrypt(n: &str, rest: &str) -> Result<Foreign, Refusal> {
    let damaged = Refusal::Damaged("Django's scrypt");
    let parts: Vec<&str> = rest.split('$').collect();
    let &[salt, r, p, tag] = parts.as_slice() else { return Err(damaged) };
    let n = decimal(n).ok_or(damaged)?;
    let (r, p) = (decimal(r).ok_or(damaged)?, decimal(p).ok_or(damaged)?);
    let tag = from_any(tag).filter(|tag| tag.len() == 64).ok_or(damaged)?;
    Foreign::scrypt(n, r, p, salt.as_bytes().to_vec(), tag)
}

/// The stored form, with a word on what is known and not read.
fn named(text: &str) -> Result<Foreign, Refusal> {
    let known = |prefixes: &[&str]| prefixes.iter().any(|prefix| text.starts_with(prefix));
    Foreign::parse(text).map_err(|refusal| match refusal {
        Refusal::Unknown if known(&["$bcrypt-sha256$"]) => BCRYPT_SHA256,
        Refusal::Unknown if known(&["$2x$", "$2$"]) => Refusal::Unsupported(
            "bcrypt $2x$ or $2$, of an implementation that hashed some passwords wrongly",
        ),
        Refusal::Unknown if known(&["$1$", "$5$", "$6$", "$apr1$", "$P$", "$H$", "$y$"]) => {
            Refusal::Unsupported("a crypt, PHPass or yescrypt hash, which is not verified here")
        }
        other => other,
    })
}

/// `pbkdf2[-sha256]$rounds$salt$tag`, where the rounds have no name.
fn passlib(rest: &str) -> Option<Result<Foreign, Refusal>> {
    let (name, rest) = rest.split_once('$')?;
    let digest = match name {
        "pbkdf2" => Digest::Sha1,
        _ => name.strip_prefix("pbkdf2-").and_then(Digest::named)?,
    };
    let mut parts = rest.split('$');
    let rounds = parts.next().filter(|rounds| !rounds.starts_with("i="))?;
    let (salt, tag, end) = (parts.next(), parts.next(), parts.next());
    let read = || {
        let damaged = Refusal::Damaged("passlib's PBKDF2");
        let rounds = cost(rounds, "passlib's PBKDF2", ROUNDS)?;
        let bytes = |text: Option<&str>| text.and_then(from_passlib).ok_or(damaged);
        let (salt, tag) = (bytes(salt)?, bytes(tag)?);
        if end.is_some() || tag.len() != digest.length() {
            return Err(damaged);
        }
        Foreign::pbkdf2(digest, rounds, salt, tag)
    };
    Some(read())
}

/// `Nrrrrrpppppsalt$tag`.
fn scrypt_of_crypt(rest: &str) -> Result<Foreign, Refusal> {
    let damaged = Refusal::Damaged("scrypt");
    let (params, rest) = rest.split_at_checked(11).ok_or(damaged)?;
    let (salt, tag) = rest.split_once('$').ok_or(damaged)?;
    let number = |from, to| params.get(from..to).and_then(crypt_number).ok_or(damaged);
    let cost = ScryptCost::new(number(0, 1)?, number(1, 6)?, number(6, 11)?)?;
    let (salt, tag) = (salt.as_bytes().to_vec(), from_crypt(tag).ok_or(damaged)?);
    expect_sound("scrypt", &salt, &tag)?;
    Ok(Foreign(Kind::Scrypt { cost, salt, tag }))
}

/// `pbkdf2_sha256$rounds$salt$tag`: the salt is a text, the tag base64.
fn django(digest: &str, rounds: &str, rest: &str) -> Result<Foreign, Refusal> {
    let damaged = Refusal::Damaged("Django's PBKDF2");
    let digest = Digest::named(digest).ok_or(Refusal::Unknown)?;
    let (salt, tag) = rest.split_once('$').ok_or(damaged)?;
    let rounds = cost(rounds, "Django's PBKDF2", ROUNDS)?;
    let tag = from_any(tag).filter(|tag| tag.len() == digest.length()).ok_or(damaged)?;
    Foreign::pbkdf2(digest, rounds, salt.as_bytes().to_vec(), tag)
}

/// `method$salt$tag`: the salt is a text, the tag hexadecimal.
fn werkzeug(method: &str, salt: &str, tag: &str) -> Result<Foreign, Refusal> {
    let (name, rest) = method.split_once(':').map_or((method, None), |(name, rest)| (name, Some(rest)));
    let args: Vec<&str> = rest.map(|rest| rest.split(':').collect()).unwrap_or_default();
    let salt = salt.as_bytes().to_vec();
    match (name, args.as_slice()) {
        ("scrypt", args) => werkzeug_scrypt(args, salt, tag),
        ("pbkdf2", []) => werkzeug_pbkdf2("sha256", None, salt, tag),
        ("pbkdf2", [digest]) => werkzeug_pbkdf2(digest, None, salt, tag),
        ("pbkdf2", [digest, rounds]) => werkzeug_pbkdf2(digest, Some(rounds), salt, tag),
        ("plain", []) => Err(Refusal::Unsupported("a password in plain text: hash it there first")),
        ("md5" | "sha224", []) => {
            Err(Refusal::Unsupported("Werkzeug's HMAC of MD5 or SHA-224, which is not verified here"))
        }
        (digest, []) => {
            let digest = Digest::named(digest).ok_or(Refusal::Unknown)?;
            let damaged = Refusal::Damaged("Werkzeug's salted HMAC");
            let tag = from_hex(tag).filter(|tag| tag.len() == digest.length()).ok_or(damaged)?;
            expect_sound("Werkzeug's salted HMAC", &salt, &tag)?;
            Ok(Foreign(Kind::Hmac { digest, salt, tag }))
        }
        _ => Err(Refusal::Unknown),
    }
}

fn werkzeug_scrypt(args: &[&str], salt: Vec<u8>, tag: &str) -> Result<Foreign, Refusal> {
    let damaged = Refusal::Damaged("Werkzeug's scrypt");
    let (n, r, p) = match args {
        [] => (1 << 15, 8, 1),
        [n, r, p] => {
            let r = decimal(r).ok_or(damaged)?;
            (decimal(n).ok_or(damaged)?, r, decimal(p).ok_or(damaged)?)
        }
        _ => return Err(damaged),
    };
    let tag = from_hex(tag).filter(|tag| tag.len() == 64).ok_or(damaged)?;
    Foreign::scrypt(n, r, p, salt, tag)
}

fn werkzeug_pbkdf2(digest: &str, rounds: Option<&str>, salt: Vec<u8>, tag: &str) -> Result<Foreign, Refusal> {
    let damaged = Refusal::Damaged("Werkzeug's PBKDF2");
    let digest = Digest::named(digest).ok_or(Refusal::Unsupported(
        "PBKDF2 with another digest than SHA-1, SHA-256, SHA-384 and SHA-512, which is not verified here",
    ))?;
    let tag = from_hex(tag).filter(|tag| tag.len() == digest.length()).ok_or(damaged)?;
    match rounds {
        None => Foreign::pbkdf2_or_default(digest, 0, salt, tag),
        Some(rounds) => Foreign::pbkdf2(digest, cost(rounds, "Werkzeug's PBKDF2", ROUNDS)?, salt, tag),
    }
}
