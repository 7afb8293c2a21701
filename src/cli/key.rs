//! `claviger key list`.

use super::{WRONG, configuration, failed, print};
use crate::db::Db;
use crate::keys;
use clap::ArgMatches;
use std::path::Path;
use std::process::ExitCode;

pub(super) fn run(args: &ArgMatches) -> Result<ExitCode, ExitCode> {
    let Some(("list", args)) = args.subcommand() else { return Err(ExitCode::from(WRONG)) };
    let config = configuration(args)?;
    let keys = stored(&config.data_dir).map_err(failed)?;
    print(format_args!("{:<45} {:<8} {:<6} MADE\n", "KEY ID", "STATE", "ALG"));
    for key in keys {
        let (kid, alg) = (&key.public.kid, key.public.alg.name());
        print(format_args!("{kid:<45} {:<8} {alg:<6} {}\n", key.life.state.name(), key.life.created_at));
    }
    Ok(ExitCode::SUCCESS)
}

/// The keys of a data folder, whether its server runs or not.
pub(super) fn stored(data_dir: &Path) -> Result<Vec<keys::StoredKey>, String> {
    let folder = data_dir.display();
    let db = Db::open_read_only(data_dir).map_err(|error| {
        format!("there is no readable database in {folder} ({error}). Name its folder with --data-dir")
    })?;
    let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(|error| error.to_string())?;
    runtime.block_on(keys::flow::list(&db)).map_err(|error| error.to_string())
}
