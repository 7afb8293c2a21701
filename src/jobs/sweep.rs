//! Deleting what is over, in batches that are small enough not to hold others up.

use crate::app::Cx;
use crate::metrics::Id;
use crate::metrics::labels::SweptTable;
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
        batches(cx, SweptTable::Sessions, || sessions::flow::sweep(cx, BATCH)).await,
        batches(cx, SweptTable::Guesses, || guesses::flow::sweep(cx, BATCH)).await,
        batches(cx, SweptTable::KnownNetworks, || guesses::flow::sweep_networks(cx, BATCH)).await,
        batches(cx, SweptTable::ApiKeys, || api_keys::flow::sweep(cx, BATCH)).await,
        audit::flow::expire(db, key, before, batch)
            .await
            .map(|gone| swept(cx, SweptTable::AuditEvents, gone)),
    ];
    done.into_iter().collect()
}

/// Sweeps until a batch is not full.
async fn batches<F: Future<Output = Result<usize, db::Error>>>(
    cx: &Cx,
    table: SweptTable,
    sweep: impl Fn() -> F,
) -> Result<(), audit::Error> {
    loop {
        let gone = sweep().await?;
        swept(cx, table, gone);
        if gone < usize::try_from(BATCH).unwrap_or(usize::MAX) {
            return Ok(());
        }
    }
}

fn swept(cx: &Cx, table: SweptTable, rows: usize) {
    cx.app.metrics.count_many(Id::RowsSwept, &[table.at()], rows);
}
