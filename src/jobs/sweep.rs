//! Deleting what is over, in batches that are small enough not to hold others up.

use crate::app::Cx;
use crate::{api_keys, audit, guesses, sessions};

/// The most rows of one kind in one transaction.
const BATCH: u32 = 500;

/// Sweeps every kind of row that expires, until a batch is not full.
///
/// # Errors
/// If the database fails.
pub(super) async fn all(cx: &Cx) -> Result<(), audit::Error> {
    cx.app.statuses.forget(cx.now);
    let full = usize::try_from(BATCH).unwrap_or(usize::MAX);
    while sessions::flow::sweep(cx, BATCH).await? >= full {}
    while guesses::flow::sweep(cx, BATCH).await? >= full {}
    while api_keys::flow::sweep(cx, BATCH).await? >= full {}
    let before = cx.now.minus(cx.app.config.audit_retention);
    audit::flow::expire(&cx.app.db, &cx.app.secrets.audit, before, full).await.map(drop)
}
