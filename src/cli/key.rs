//! `claviger key list`, `rotate`, `revoke` and `import`, whether the server runs or not.

use super::{WRONG, configuration, failed, operator, print};
use crate::audit::Origin;
use crate::base::time::{Clock, Timestamp};
use crate::config::Config;
use crate::db::Db;
use crate::keys::schedule::{self, Life, Policy, Turn};
use crate::keys::{self, Revoked, State, StoredKey};
use clap::ArgMatches;
use claviger_crypto::jws::SigningKey;
use claviger_crypto::seal::MasterKey;
use std::io::Read as _;
use std::path::Path;
use std::process::ExitCode;
use zeroize::Zeroizing;

/// More than any key needs; the import itself says so of what is longer.
const MAX_FILE: usize = 64 * 1024;

pub(super) fn run(args: &ArgMatches) -> Result<ExitCode, ExitCode> {
    let Some((name, args)) = args.subcommand() else { return Err(ExitCode::from(WRONG)) };
    let config = configuration(args)?;
    let text = |id: &str| args.get_one::<String>(id).map(String::as_str).unwrap_or_default();
    match name {
        "list" => list(&config),
        "rotate" => Operator::open(&config).and_then(|operator| operator.rotate()),
        "revoke" => Operator::open(&config).and_then(|operator| operator.revoke(text("kid"))),
        "import" => {
            let key = read(text("file")).map_err(failed)?;
            Operator::open(&config).and_then(|operator| operator.import(&key, args.get_flag("activate")))
        }
        _ => return Err(ExitCode::from(WRONG)),
    }
    .map_err(failed)?;
    Ok(ExitCode::SUCCESS)
}

fn list(config: &Config) -> Result<(), String> {
    let keys = stored(&config.data_dir)?;
    let (lives, policy): (Vec<Life>, _) =
        (keys.iter().map(|key| key.life.clone()).collect(), Policy::of(config));
    print(format_args!("{:<45} {:<8} {:<6} {:<21} THEN\n", "KEY ID", "STATE", "ALG", "MADE"));
    for StoredKey { public, life, .. } in &keys {
        let (kid, alg, state) = (&public.kid, public.alg.name(), life.state.name());
        let (made, then) = (life.created_at.to_string(), then(life, &lives, &policy));
        print(format_args!("{kid:<45} {state:<8} {alg:<6} {made:<21} {then}\n"));
    }
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

/// The keys of a data folder, whether its server runs or not.
pub(super) fn stored(data_dir: &Path) -> Result<Vec<StoredKey>, String> {
    let db = Db::open_read_only(data_dir).map_err(|error| unreadable(data_dir, &error))?;
    let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(|error| error.to_string())?;
    runtime.block_on(keys::flow::list(&db)).map_err(|error| error.to_string())
}

fn unreadable(data_dir: &Path, error: &crate::db::Error) -> String {
    let folder = data_dir.display();
    format!("there is no readable database in {folder} ({error}). Name its folder with --data-dir")
}

/// A private key, still as text.
fn read(file: &str) -> Result<SigningKey, String> {
    // Large enough that it never moves and leaves a copy behind.
    let mut text = Zeroizing::new(String::with_capacity(MAX_FILE + 64));
    let limit = MAX_FILE as u64;
    let done = if file == "-" {
        std::io::stdin().take(limit).read_to_string(&mut text)
    } else {
        std::fs::File::open(file).and_then(|opened| opened.take(limit).read_to_string(&mut text))
    };
    done.map_err(|error| format!("the key {file} cannot be read: {error}"))?;
    SigningKey::import(&text).map_err(|error| error.to_string())
}

/// An operator with all that a change of the keys needs.
struct Operator {
    db: Db,
    master: MasterKey,
    policy: Policy,
    origin: Origin,
    now: Timestamp,
    runtime: tokio::runtime::Runtime,
}

impl Operator {
    fn open(config: &Config) -> Result<Self, String> {
        let text = |error: &dyn std::error::Error| error.to_string();
        let data_dir = &config.data_dir;
        let db = Db::open_beside(data_dir).map_err(|error| unreadable(data_dir, &error))?;
        let master = keys::master::obtain(&config.master_key, false).map_err(|error| text(&error))?;
        let now = Clock::System.now();
        let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(|error| text(&error))?;
        Ok(Self { db, master, policy: Policy::of(config), origin: operator(now), now, runtime })
    }

    fn rotate(&self) -> Result<(), String> {
        let asked = self.runtime.block_on(async {
            if let Some(turn) = keys::flow::rotate(&self.db, &self.policy, self.now).await? {
                return Ok::<_, keys::Error>(Some(turn));
            }
            let key = SigningKey::generate(self.policy.kind)?;
            keys::flow::publish(&self.db, &self.master, &key, &self.origin, self.now).await?;
            keys::flow::rotate(&self.db, &self.policy, self.now).await
        });
        let turn = asked.map_err(|error| error.to_string())?;
        self.tell(&turn.ok_or("the next key is of another kind than signing_alg and rsa_bits ask for. Set them as the server has them")?);
        Ok(())
    }

    fn revoke(&self, kid: &str) -> Result<(), String> {
        let revoked = self.runtime.block_on(async {
            let revoke = async |spare| {
                keys::flow::revoke(&self.db, &self.master, kid, spare, &self.origin, self.now).await
            };
            match revoke(None).await? {
                Revoked::NeedsKey => revoke(Some(&SigningKey::generate(self.policy.kind)?)).await,
                done @ Revoked::Done(_) => Ok::<_, keys::Error>(done),
            }
        });
        let revoked = revoked.map_err(|error| error.to_string())?;
        print(format_args!("{kid} is revoked. Servers refuse what it signed within a second.\n"));
        if let Revoked::Done(Some(heir)) = revoked {
            print(format_args!("{heir} signs from now on.\n"));
        }
        Ok(())
    }

    fn import(&self, key: &SigningKey, activate: bool) -> Result<(), String> {
        let Self { db, master, policy, origin, now, runtime } = self;
        let imported = keys::flow::import(db, master, policy, key, activate, origin, *now);
        let turn = runtime.block_on(imported).map_err(|error| error.to_string())?;
        match turn {
            Some(turn) => self.tell(&turn),
            None => print(format_args!("{} signs from now on.\n", key.public().kid)),
        }
        Ok(())
    }

    /// The servers let it sign; none has to be told.
    fn tell(&self, Turn { kid, at, .. }: &Turn) {
        if *at <= self.now {
            print(format_args!("{kid} is the next key. It signs within a second, if a server runs.\n"));
        } else {
            print(format_args!("{kid} is the next key. It signs from {at} on.\n"));
        }
    }
}
