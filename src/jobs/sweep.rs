//! Deleting what is over, in batches that are small enough not to hold others up.

use crate::app::Cx;
use crate::{api_keys, audit, db, guesses, sessions};

/// The most rows of one kind in one transaction.
const BATCH: u32 = 500;

/// Sweeps every kind of row that expires, whatever becomes of the others.
///
/// # Errors
/// The first failure.
pub(super) async fn all(cx: &Cx) -> Result<(), audit::Error> {
    cx.app.statuses.forget(cx.now);
    let before = cx.now.minus(cx.app.config.audit_retention);
    let (db, key) = (&cx.app.db, &cx.app.secrets.audit);
    let batch = usize::try_from(BATCH).unwrap_or(usize::MAX);
    let done = [
        batches(|| sessions::flow::sweep(cx, BATCH)).await.map_err(audit::Error::from),
        batches(|| guesses::flow::sweep(cx, BATCH)).await.map_err(audit::Error::from),
        batches(|| api_keys::flow::sweep(cx, BATCH)).await.map_err(audit::Error::from),
        audit::flow::expire(db, key, before, batch).await.map(drop),
    ];
    done.into_iter().collect()
}

/// Sweeps until a batch is not full.
async fn batches<F: Future<Output = Result<usize, db::Error>>>(
    sweep: impl Fn() -> F,
) -> Result<(), db::Error> {
    while sweep().await? >= usize::try_from(BATCH).unwrap_or(usize::MAX) {}
    Ok(())
}
