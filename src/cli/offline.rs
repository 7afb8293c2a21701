//! What operators' commands stand on: the same flows as the API, on the database beside a running server.

use super::{configuration, failed, operator};
use crate::app::{App, Cx, Secrets};
use crate::audit;
use crate::base::time::Clock;
use crate::config::{Config, Hash};
use crate::db::{Db, Place};
use crate::keys::{self, Keyring};
use crate::password_pool::PasswordPool;
use crate::status;
use clap::ArgMatches;
use claviger_crypto::seal::MasterKey;
use std::fmt::Display;
use std::process::ExitCode;
use std::sync::Arc;
use tokio::runtime::Runtime;

/// A command's view of an installation.
pub(super) struct Offline {
    pub(super) cx: Cx,
    pub(super) master: MasterKey,
    runtime: Runtime,
}

/// The database, for reading beside a running server.
pub(super) fn read_only(config: &Config) -> Result<(Db, Runtime), String> {
    let place = Place::from(config);
    let db = Db::open_read_only(place)
        .map_err(|error| format!("there is no readable database in {place} ({error}). {}", place.mend()))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .map_err(|error| error.to_string())?;
    Ok((db, runtime))
}

impl Offline {
    /// Opens the database that the settings name. It must be there.
    pub(super) fn open(args: &ArgMatches) -> Result<Self, ExitCode> {
        let config = configuration(args)?;
        let place = Place::from(&config);
        let db = Db::open_beside(place).map_err(|error| {
            failed(format!("the database in {place} cannot be used ({error}). {}", place.mend()))
        })?;
        let master = keys::master::obtain(&config.master_key, false).map_err(failed)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        // What another master key seals would stop the server at its next start.
        runtime.block_on(keys::flow::expect_opens(&db, &master)).map_err(failed)?;
        runtime.block_on(keys::flow::expect_same(&db, &master)).map_err(failed)?;
        let passwords = PasswordPool::start(Hash { threads: 1, ..config.hash }).map_err(failed)?;
        let (secrets, clock, (_, keyring)) = (Secrets::of(&master), Clock::System, Keyring::new());
        let now = clock.now();
        let app = Arc::new(App::new(config, db, keyring, secrets, passwords, clock));
        Ok(Self { cx: Cx { app, now, origin: operator(now), user_agent: None }, master, runtime })
    }

    /// Runs a change to its end, and until every server has seen it: what a command says is done holds.
    pub(super) fn change<T, E: Display>(
        &self,
        flow: impl Future<Output = Result<T, E>>,
    ) -> Result<T, ExitCode> {
        let result = self.run(flow)?;
        let (db, key) = (&self.cx.app.db, &self.cx.app.secrets.audit);
        // A running server does it in a moment; where none runs, nobody else does.
        self.run(audit::flow::seal(db, key))?;
        self.runtime.block_on(async { tokio::time::sleep(status::SEEN_AFTER).await });
        Ok(result)
    }

    /// Runs a flow to its end.
    pub(super) fn run<T, E: Display>(&self, flow: impl Future<Output = Result<T, E>>) -> Result<T, ExitCode> {
        self.runtime.block_on(flow).map_err(failed)
    }
}
