//! The rows of `audit_events` and `audit_chain`.

use super::Event;
use crate::db::{Error, Tx};

/// Adds an event, not yet chained.
pub(crate) fn insert(
    tx: &mut Tx<'_>,
    event: &Event,
    personal: &str,
    commitment: [u8; 32],
) -> Result<(), Error> {
    let sql = "INSERT INTO audit_events
        (id, happened_at, event, outcome, request_id, detail, account_id, personal, salt, commitment)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    let values = [
        event.id.into(),
        event.at.into(),
        event.kind.name().into(),
        event.outcome.name().into(),
        event.origin.request_id.into(),
        event.detail.as_deref().into(),
        event.account.map(|id| id.0).into(),
        personal.into(),
        event.salt.as_slice().into(),
        commitment.as_slice().into(),
    ];
    tx.execute(sql, &values)?;
    Ok(())
}
