//! `claviger key list`, `rotate`, `revoke` and `import`, whether the server runs or not.

use super::offline::{Offline, read_only};
use super::table::Table;
use super::{WRONG, configuration, failed, print, secret, wrong};
use crate::base::time::{Timestamp, parse_duration};
use crate::config::Config;
use crate::keys::earlier::{self, EarlierKey};
use crate::keys::schedule::{self, Life, Policy, Turn};
use crate::keys::{self, Revoked, State, StoredKey};
use clap::ArgMatches;
use claviger_crypto::jws::SigningKey;
use std::process::ExitCode;
use std::time::Duration;

/// No token of an earlier server is waited for any longer.
const LONGEST_EARLIER: Duration = Duration::from_secs(400 * 86_400);

pub(super) fn run(args: &ArgMatches) -> Result<ExitCode, ExitCode> {
    let Some((name, args)) = args.subcommand() else { return Err(ExitCode::from(WRONG)) };
    let text = |id: &str| args.get_one::<String>(id).map(String::as_str).unwrap_or_default();
    match name {
        "list" => list(&configuration(args)?).map_err(failed)?,
        "rotate" => rotate(&Offline::open(args)?)?,
        "revoke" => revoke(&Offline::open(args)?, text("kid"))?,
        "import" => {
            let file = text("file");
            let cannot = |error| failed(format!("the key {file} cannot be read: {error}"));
            let key = secret::read(file.as_ref()).map_err(cannot)?;
            match args.get_one::<String>("verify-until") {
                Some(until) => import_earlier(&Offline::open(args)?, &key, until)?,
                None => import(&Offline::open(args)?, &key, args.get_flag("activate"))?,
            }
        }
        _ => return Err(ExitCode::from(WRONG)),
    }
    Ok(ExitCode::SUCCESS)
}

fn list(config: &Config) -> Result<(), String> {
    let (db, runtime) = read_only(config)?;
    let keys = runtime.block_on(keys::flow::list(&db)).map_err(|error| error.to_string())?;
    let earlier = runtime.block_on(earlier::flow::list(&db)).map_err(|error| error.to_string())?;
    let (lives, policy): (Vec<Life>, _) =
        (keys.iter().map(|key| key.life.clone()).collect(), Policy::of(config));
    let mut table = Table::new(&["key_id", "state", "alg", "made", "then"]);
    for StoredKey { public, life, .. } in &keys {
        let (kid, alg, state) = (public.kid.clone(), public.alg.name(), life.state.name());
        let (made, then) = (life.created_at.to_string(), then(life, &lives, &policy));
        table.row([kid, state.to_owned(), alg.to_owned(), made, then].map(Some));
    }
    for EarlierKey { public, created_at, verify_until } in earlier {
        let then = format!("verifies until {verify_until}");
        let cells =
            [public.kid, earlier::STATE.into(), public.alg.name().into(), created_at.to_string(), then];
        table.row(cells.map(Some));
    }
    table.print(false);
    Ok(())
}

/// What comes next for a key.
fn then(key: &Life, keys: &[Life], policy: &Policy) -> String {
    let turn = schedule::turn(keys, policy);
    match (key.state, turn) {
        (State::Next, Some(turn)) if turn.kid == key.kid => format!("signs from {}", turn.at),
        (State::Next, _) => "is replaced by one of the configured kind".into(),
        (State::Active, Some(turn)) => format!("signs until {}", turn.at),
        (State::Active, None) => format!("signs until {}", key.activated_at.plus(policy.rotation)),
        (State::Retired, _) => format!("published until {}", key.leaves_at(policy)),
        (State::Kept, _) => "published at /jwks alone".into(),
    }
}

/// The stored keys, whether a server runs or not.
pub(super) fn stored(config: &Config) -> Result<Vec<StoredKey>, String> {
    let (db, runtime) = read_only(config)?;
    runtime.block_on(keys::flow::list(&db)).map_err(|error| error.to_string())
}

/// Asks for the next key's turn; makes the key if there is none.
fn rotate(offline: &Offline) -> Result<(), ExitCode> {
    let (cx, policy) = (&offline.cx, Policy::of(&offline.cx.app.config));
    let db = &cx.app.db;
    let turn = offline.change(async {
        if let Some(turn) = keys::flow::rotate(db, &policy, &cx.origin, cx.now).await? {
            return Ok::<_, keys::Error>(Some(turn));
        }
        let key = SigningKey::generate(policy.kind)?;
        // Published when it is there, not when its making began.
        let now = cx.app.clock.now();
        keys::flow::publish(db, &offline.master, &key, &cx.origin, now).await?;
        keys::flow::rotate(db, &policy, &cx.origin, now).await
    })?;
    let other = "the next key is of another kind than signing_alg and rsa_bits ask for. Set them as the server has them";
    tell(cx.now, &turn.ok_or_else(|| failed(other))?);
    Ok(())
}

/// Takes a key out at once; makes another that signs if there is none.
fn revoke(offline: &Offline, kid: &str) -> Result<(), ExitCode> {
    let (cx, policy) = (&offline.cx, Policy::of(&offline.cx.app.config));
    let (db, master) = (&cx.app.db, &offline.master);
    let revoked = offline.change(async {
        if earlier::flow::revoke(db, kid, &cx.origin, cx.now).await? {
            return Ok(Revoked::Done(None));
        }
        match keys::flow::revoke(db, master, kid, None, &cx.origin, cx.now).await? {
            Revoked::NeedsKey => {
                let spare = SigningKey::generate(policy.kind)?;
                keys::flow::revoke(db, master, kid, Some(&spare), &cx.origin, cx.now).await
            }
            done @ Revoked::Done(_) => Ok::<_, keys::Error>(done),
        }
    })?;
    print(format_args!(
        "{kid} is revoked. Servers refuse what it signed from now on, services once they have the new JWK set.\n"
    ));
    if let Revoked::Done(Some(heir)) = revoked {
        print(format_args!("{heir} signs from now on.\n"));
    }
    Ok(())
}

/// Brings a key in from elsewhere.
fn import(offline: &Offline, text: &str, activate: bool) -> Result<(), ExitCode> {
    let key = &SigningKey::import(text).map_err(failed)?;
    let (cx, policy) = (&offline.cx, Policy::of(&offline.cx.app.config));
    let imported =
        keys::flow::import(&cx.app.db, &offline.master, &policy, key, activate, &cx.origin, cx.now);
    match offline.change(imported)? {
        Some(turn) => tell(cx.now, &turn),
        None => print(format_args!("{} signs from now on.\n", key.public().kid)),
    }
    Ok(())
}

/// Lets what a key of an earlier server signed be good until a date.
fn import_earlier(offline: &Offline, text: &str, until: &str) -> Result<(), ExitCode> {
    let (cx, wrong) = (&offline.cx, |why: &str| wrong(format!("--verify-until {until}: {why}")));
    let until = parse_duration(until).map(|time| cx.now.plus(time)).or_else(|| Timestamp::parse(until));
    let until =
        until.ok_or_else(|| wrong("write it like 2027-01-31T00:00:00Z, or 30d for 30 days from now"))?;
    if until <= cx.now || until > cx.now.plus(LONGEST_EARLIER) {
        return Err(wrong("it must lie in the next 400 days"));
    }
    let public = claviger_crypto::earlier::import_public(text).map_err(failed)?;
    let kid = public.kid.clone();
    offline.change(earlier::flow::import(&cx.app.db, public, until, &cx.origin, cx.now))?;
    print(format_args!("Tokens that {kid} signed are good until {until}.\n"));
    Ok(())
}

/// The servers let it sign; none has to be told.
fn tell(now: Timestamp, Turn { kid, at, .. }: &Turn) {
    if *at <= now {
        print(format_args!("{kid} is the next key. It signs within a second, if a server runs.\n"));
    } else {
        print(format_args!("{kid} is the next key. It signs from {at} on.\n"));
    }
}
