//! Writing accounts out for another system.

use crate::accounts;
use crate::app::Cx;
use crate::audit::{self, Kind};
use crate::base::id::AccountId;
use crate::credentials::export::Exported;
use crate::credentials::store;
use crate::db;
use claviger_crypto::password::StoredHash;

/// Writes to the trail that accounts are exported, and whether with the hashes of their passwords.
///
/// # Errors
/// If the database fails.
pub async fn note_export(cx: &Cx, with_hashes: bool) -> Result<(), db::Error> {
    let detail = if with_hashes { "with password hashes" } else { "without password hashes" };
    let event = cx.event(Kind::AccountExport).detail(detail);
    let noted = event.clone();
    cx.app.db.write::<_, db::Error, _>(move |tx| audit::flow::append(tx, &noted)).await?;
    event.log(&cx.app.metrics);
    Ok(())
}

/// Accounts in the order of their ids, from the one after `after` on: at most `limit`.
///
/// # Errors
/// If the database fails.
pub async fn export_page(
    cx: &Cx,
    after: Option<AccountId>,
    limit: u32,
    with_hashes: bool,
) -> Result<Vec<Exported>, db::Error> {
    cx.app
        .db
        .read(move |tx| {
            let page = accounts::flow::page_in(tx, after, limit)?;
            if !with_hashes {
                return Ok(page.into_iter().map(|account| Exported::new(account, None)).collect());
            }
            let ids: Vec<AccountId> = page.iter().map(|account| account.id).collect();
            let hashes = store::hashes_of(tx, &ids)?;
            let locked = || StoredHash::Locked.to_string();
            let hash = |hash: Option<String>| Some(hash.unwrap_or_else(locked));
            Ok(page.into_iter().zip(hashes).map(|(one, of)| Exported::new(one, hash(of))).collect())
        })
        .await
}
