//! Whether a master key is that of a database.

use super::{Error, State, list, open, purpose};
use crate::db::Db;
use crate::keys::store;
use claviger_crypto::mac::MacKey;
use claviger_crypto::seal::MasterKey;

/// Whether a master key opens a sealed private key that is stored under this id.
pub fn opens(master: &MasterKey, kid: &str, sealed: &[u8]) -> bool {
    master.open(&purpose(kid), sealed).is_ok()
}

/// The tag by which a database knows its master key.
pub fn tag(master: &MasterKey) -> [u8; 32] {
    MacKey::new(*master.derive("master-key-tag")).tag(&[])
}

/// Makes sure that all servers of a database have the same master key; the first one's is it.
///
/// # Errors
/// [`Error::Master`] if it is another.
pub async fn expect_same(db: &Db, master: &MasterKey) -> Result<(), Error> {
    let tag = tag(master);
    let begun_with = db.write::<_, Error, _>(move |tx| Ok(store::master_tag(tx, &tag)?)).await?;
    if begun_with == tag {
        return Ok(());
    }
    Err(Error::Master(
        "this database was begun with another master key. Give all its servers the same one (master.key in the data \
         folder of the first, --master-key-file or CLAVIGER_MASTER_KEY)"
            .into(),
    ))
}

/// Makes sure that this is the master key that the signing keys are sealed with.
///
/// # Errors
/// [`Error::Master`] if it is another.
pub async fn expect_opens(db: &Db, master: &MasterKey) -> Result<(), Error> {
    let keys = list(db).await?;
    keys.iter().filter(|key| key.life.state == State::Active).try_for_each(|key| open(master, key).map(drop))
}

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
