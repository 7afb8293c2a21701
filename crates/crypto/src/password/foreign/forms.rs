//! The stored form of each format: PHC strings where there is one, else what the format's maker writes.

use super::parts::{bcrypt, cost, decimal, from_any, from_bcrypt, from_phc, padded, phc};
use super::{
    Digest, Foreign, Kind, MAX_BCRYPT_COST, MAX_TEXT, MOST_ARGON2, Params, Refusal, ScryptCost, Variant,
};
use super::{expect_sound, is_affordable};
use std::fmt;

const FIREBASE: &str = "Firebase's scrypt";

impl Foreign {
    /// Reads the stored form.
    ///
    /// # Errors
    /// [`Refusal`] for anything else.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        if text.len() > MAX_TEXT {
            return Err(Refusal::Unknown);
        }
        let (name, rest) =
            text.strip_prefix('$').and_then(|rest| rest.split_once('$')).ok_or(Refusal::Unknown)?;
        let kind = match name {
            "argon2i" => argon2(Variant::I, rest),
            "argon2d" => argon2(Variant::D, rest),
            "argon2id" => argon2(Variant::Id, rest),
            "2a" | "2b" | "2y" => bcrypt_of(name, rest),
            "scrypt" => scrypt(rest),
            "fbscrypt" => return firebase(rest),
            _ => {
                if let Some(digest) = name.strip_prefix("pbkdf2-").and_then(Digest::named) {
                    return pbkdf2(digest, rest);
                }
                let digest = name.strip_prefix("hmac-").and_then(Digest::named).ok_or(Refusal::Unknown)?;
                hmac(digest, rest)
            }
        };
        kind.map(Self)
    }
}

/// `[v=19$]m=…,t=…,p=…$salt$tag`; the version is 1.0 where none is named.
fn argon2(variant: Variant, rest: &str) -> Result<Kind, Refusal> {
    let damaged = Refusal::Damaged("Argon2");
    let (old, rest) = match rest.split_once('$') {
        Some(("v=19", rest)) => (false, rest),
        Some(("v=16", rest)) => (true, rest),
        _ => (true, rest),
    };
    let [params, salt, tag] = fields(rest).ok_or(damaged)?;
    let [m, t, p] = numbers(params, ["m=", "t=", "p="]).ok_or(damaged)?;
    let number = |text| cost(text, "Argon2", MOST_ARGON2);
    let (memory, passes, lanes) = (number(m)?, number(t)?, number(p)?);
    let params = Params::new(memory, passes, lanes).map_err(|_| {
        let least = passes >= 1 && lanes >= 1 && u64::from(memory) >= 8 * u64::from(lanes);
        if least { Refusal::TooCostly(MOST_ARGON2) } else { damaged }
    })?;
    if !is_affordable(params) {
        return Err(Refusal::TooCostly(MOST_ARGON2));
    }
    let (salt, tag) = (from_phc(salt).ok_or(damaged)?, from_phc(tag).ok_or(damaged)?);
    // As of our own.
    if !(8..=64).contains(&salt.len()) || !(16..=64).contains(&tag.len()) {
        return Err(damaged);
    }
    Ok(Kind::Argon2 { variant, old, params, salt, tag })
}

/// `12$` and 22 characters of salt and 31 of tag.
fn bcrypt_of(name: &str, rest: &str) -> Result<Kind, Refusal> {
    let damaged = Refusal::Damaged("bcrypt");
    let [cost, both] = fields(rest).ok_or(damaged)?;
    let (salt, tag) = both.split_at_checked(22).ok_or(damaged)?;
    let (salt, tag) = (from_bcrypt(salt).ok_or(damaged)?, from_bcrypt(tag).ok_or(damaged)?);
    let cost = match cost.as_bytes() {
        [tens @ b'0'..=b'3', ones @ b'0'..=b'9'] => u32::from(tens - b'0') * 10 + u32::from(ones - b'0'),
        _ => return Err(damaged),
    };
    match cost {
        4..=MAX_BCRYPT_COST => {
            Ok(Kind::Bcrypt { letter: name.chars().last().unwrap_or('b'), cost, salt, tag })
        }
        16..=31 => Err(Refusal::TooCostly("cost 15 of bcrypt")),
        _ => Err(damaged),
    }
}

/// `ln=15,r=8,p=1$salt$tag`.
fn scrypt(rest: &str) -> Result<Kind, Refusal> {
    let damaged = Refusal::Damaged("scrypt");
    let [params, salt, tag] = fields(rest).ok_or(damaged)?;
    let [log_n, r, p] = numbers(params, ["ln=", "r=", "p="]).ok_or(damaged)?;
    let number = |text| decimal(text).ok_or(damaged);
    let cost = ScryptCost::new(number(log_n)?, number(r)?, number(p)?)?;
    let (salt, tag) = (from_phc(salt).ok_or(damaged)?, from_phc(tag).ok_or(damaged)?);
    expect_sound("scrypt", &salt, &tag)?;
    Ok(Kind::Scrypt { cost, salt, tag })
}

/// `i=600000[,l=32]$salt$tag`.
fn pbkdf2(digest: Digest, rest: &str) -> Result<Foreign, Refusal> {
    let damaged = Refusal::Damaged("PBKDF2");
    let [params, salt, tag] = fields(rest).ok_or(damaged)?;
    let (rounds, length) = params.split_once(',').map_or((params, None), |(i, l)| (i, Some(l)));
    let rounds = rounds.strip_prefix("i=").ok_or(damaged)?;
    let rounds = cost(rounds, "PBKDF2", "10000000 rounds of PBKDF2")?;
    let (salt, tag) = (from_phc(salt).ok_or(damaged)?, from_phc(tag).ok_or(damaged)?);
    if length.is_some_and(|length| length.strip_prefix("l=").and_then(decimal) != Some(tag.len())) {
        return Err(damaged);
    }
    Foreign::pbkdf2_or_default(digest, rounds, salt, tag)
}

/// `salt$tag`.
fn hmac(digest: Digest, rest: &str) -> Result<Kind, Refusal> {
    let damaged = Refusal::Damaged("a salted HMAC");
    let [salt, tag] = fields(rest).ok_or(damaged)?;
    let (salt, tag) = (from_phc(salt).ok_or(damaged)?, from_phc(tag).ok_or(damaged)?);
    expect_sound("a salted HMAC", &salt, &tag)?;
    if tag.len() == digest.length() { Ok(Kind::Hmac { digest, salt, tag }) } else { Err(damaged) }
}

/// `v=1,n=14,r=8,p=1,ss=…,sk=…$salt$tag`, as Supabase has it.
fn firebase(rest: &str) -> Result<Foreign, Refusal> {
    let damaged = Refusal::Damaged(FIREBASE);
    let [params, salt, tag] = fields(rest).ok_or(damaged)?;
    let bytes = |text: &str| from_any(text).ok_or(damaged);
    let params = params.strip_prefix("v=1,").ok_or(damaged)?;
    let (params, key) = params.split_once(",sk=").ok_or(damaged)?;
    let (params, separator) = params.split_once(",ss=").unwrap_or((params, ""));
    let [log_n, r, p] = numbers(params, ["n=", "r=", "p="]).ok_or(damaged)?;
    if p != "1" {
        return Err(damaged);
    }
    let (log_n, r) = (decimal(log_n).ok_or(damaged)?, decimal(r).ok_or(damaged)?);
    Foreign::firebase(log_n, r, bytes(separator)?, bytes(key)?, bytes(salt)?, bytes(tag)?)
}

/// So many parts between `$`.
fn fields<const N: usize>(text: &str) -> Option<[&str; N]> {
    text.split('$').collect::<Vec<_>>().try_into().ok()
}

/// Numbers between commas, each after its name.
fn numbers<'a>(text: &'a str, names: [&str; 3]) -> Option<[&'a str; 3]> {
    let parts: Vec<&str> = text.split(',').collect();
    let named = parts.iter().zip(names).map(|(part, name)| part.strip_prefix(name));
    if parts.len() == 3 { named.collect::<Option<Vec<_>>>()?.try_into().ok() } else { None }
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Argon2 { variant, old, params: Params { memory_kib, passes, lanes }, salt, tag } => {
                let name = match variant {
                    Variant::D => "argon2d",
                    Variant::I => "argon2i",
                    Variant::Id => "argon2id",
                };
                let version = if *old { 16 } else { 19 };
                write!(f, "${name}$v={version}$m={memory_kib},t={passes},p={lanes}")?;
                write!(f, "${}${}", phc(salt), phc(tag))
            }
            Kind::Bcrypt { letter, cost, salt, tag } => {
                write!(f, "$2{letter}${cost:02}${}{}", bcrypt(salt), bcrypt(tag))
            }
            Kind::Scrypt { cost: ScryptCost { log_n, r, p }, salt, tag } => {
                write!(f, "$scrypt$ln={log_n},r={r},p={p}${}${}", phc(salt), phc(tag))
            }
            Kind::Pbkdf2 { digest, rounds, salt, tag } => {
                write!(f, "$pbkdf2-{}$i={rounds}${}${}", digest.name(), phc(salt), phc(tag))
            }
            Kind::Hmac { digest, salt, tag } => {
                write!(f, "$hmac-{}${}${}", digest.name(), phc(salt), phc(tag))
            }
            Kind::Firebase { cost: ScryptCost { log_n, r, p }, salt, separator, signer_key, tag } => {
                write!(f, "$fbscrypt$v=1,n={log_n},r={r},p={p}")?;
                if !separator.is_empty() {
                    write!(f, ",ss={}", padded(separator))?;
                }
                write!(f, ",sk={}${}${}", padded(signer_key), padded(salt), padded(tag))
            }
        }
    }
}
