//! Adding to the trail, chaining it, and reading it.

use super::{Event, store};
use crate::db::{Error, Tx};

/// Adds an event inside the transaction of the change it tells of.
///
/// # Errors
/// If the database fails.
pub fn append(tx: &mut Tx<'_>, event: &Event) -> Result<(), Error> {
    let personal = serde_json::to_string(&event.personal()).map_err(|e| Error::Statement(e.to_string()))?;
    store::insert(tx, event, &personal, commitment(&event.salt, &personal))
}

/// What the chain covers of the personal part: its digest, salted so that nobody can guess what it was.
fn commitment(salt: &[u8], personal: &str) -> [u8; 32] {
    claviger_crypto::sha256(&[salt, personal.as_bytes()].concat())
}
