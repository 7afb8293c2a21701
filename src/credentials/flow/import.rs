//! Making many accounts from another system.

use crate::accounts::{self, Made, NewAccount};
use crate::app::Cx;
use crate::audit::{self, Event, Kind};
use crate::base::time::Timestamp;
use crate::credentials::import::ImportedAccount;
use crate::credentials::store;
use crate::db::{self, Tx};
use std::sync::Arc;

/// Makes accounts that log in with the passwords they had, all in one transaction, and says what became of each.
/// It can be done again with the same ones.
///
/// # Errors
/// If the database fails; then nothing was made, or that is not known.
pub async fn import(cx: &Cx, lines: Arc<[ImportedAccount]>) -> Result<Vec<Made>, db::Error> {
    let now = cx.app.clock.now();
    let event = Event::new(Kind::AccountImport, cx.origin.clone(), now);
    let imported = cx.app.db.write(move |tx| {
        let made = accounts::flow::create_each(tx, &accounts_of(&lines))?;
        let count = store_hashes(tx, &lines, &made, now)?;
        if count == 0 {
            return Ok((made, None));
        }
        let event = event.clone().detail(format!("{count} accounts"));
        audit::flow::append(tx, &event)?;
        Ok::<_, db::Error>((made, Some(event)))
    });
    let (made, event) = imported.await?;
    if let Some(event) = event {
        event.log(&cx.app.metrics);
    }
    Ok(made)
}

/// What [`import`] would make of these accounts. Nothing is changed.
///
/// # Errors
/// If the database fails.
pub async fn try_import(cx: &Cx, lines: Arc<[ImportedAccount]>) -> Result<Vec<Made>, db::Error> {
    cx.app.db.read(move |tx| accounts::flow::try_create_each(tx, &accounts_of(&lines))).await
}

fn accounts_of(lines: &[ImportedAccount]) -> Vec<&NewAccount> {
    lines.iter().map(ImportedAccount::account).collect()
}

/// Stores the hashes of the accounts that were made now; how many these are.
fn store_hashes(
    tx: &mut Tx<'_>,
    lines: &[ImportedAccount],
    made: &[Made],
    now: Timestamp,
) -> Result<usize, db::Error> {
    let new = lines.iter().zip(made).filter(|(_, made)| **made == Made::Now);
    let hashes: Vec<_> = new.map(|(line, _)| (line.account().id, line.phc())).collect();
    store::insert_each(tx, &hashes, now)?;
    Ok(hashes.len())
}
