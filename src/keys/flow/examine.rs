//! Whether a master key is that of a database, for who only looks.

use super::{Error, list, open, tag};
use crate::db::Db;
use crate::keys::store;
use claviger_crypto::seal::MasterKey;

/// Whether the database was begun with this master key; `None` as long as no server has noted one.
///
/// # Errors
/// If the database fails.
pub async fn is_of(db: &Db, master: &MasterKey) -> Result<Option<bool>, Error> {
    let tag = tag(master);
    let begun_with = db.read::<_, Error, _>(|tx| Ok(store::stored_master_tag(tx)?)).await?;
    Ok(begun_with.map(|begun_with| begun_with == tag))
}

/// The ids of the signing keys that it does not open.
///
/// # Errors
/// If the database fails.
pub async fn not_opened(db: &Db, master: &MasterKey) -> Result<Vec<String>, Error> {
    let closed = list(db).await?.into_iter().filter(|key| open(master, key).is_err());
    Ok(closed.map(|key| key.life.kid).collect())
}
