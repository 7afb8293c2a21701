//! Loading the key set, and making the first key.

use super::{Error, KeySet, State, StoredKey, store};
use crate::base::time::Timestamp;
use crate::db::Db;
use claviger_crypto::jws::SigningKey;
use claviger_crypto::seal::MasterKey;

/// Makes the key set of the stored keys.
///
/// # Errors
/// [`Error::Master`] if the master key does not open the active one, [`Error::NoneActive`].
pub fn open(keys: Vec<StoredKey>, master: &MasterKey) -> Result<KeySet, Error> {
    let active = keys.iter().find(|key| key.state == State::Active).ok_or(Error::NoneActive)?;
    let pkcs8 = master.open(&purpose(&active.public.kid), &active.sealed_pkcs8).map_err(|_| {
        Error::Master(
            "the master key does not open the signing keys of this database. Restore the master key that it was \
             started with (master.key in the data folder, --master-key-file or CLAVIGER_MASTER_KEY)"
                .into(),
        )
    })?;
    let active = SigningKey::from_pkcs8(&pkcs8)?;
    let published: Vec<_> = keys.into_iter().map(|key| key.public).collect();
    KeySet::new(active, &published)
}

/// Stores `key` as the first one, unless another server was quicker, and opens what is stored then.
///
/// # Errors
/// If the database fails or the key cannot be sealed.
pub async fn adopt_first(
    db: &Db,
    master: &MasterKey,
    key: &SigningKey,
    now: Timestamp,
) -> Result<KeySet, Error> {
    let public = key.public().clone();
    let sealed = master
        .seal(&purpose(&public.kid), &key.to_pkcs8()?)
        .map_err(|_| Error::Master("the first key could not be sealed: no randomness".into()))?;
    db.write::<bool, Error, _>(move |tx| Ok(store::insert_first(tx, &public, &sealed, now)?)).await?;
    open(list(db).await?, master)
}

/// All stored keys, oldest first.
///
/// # Errors
/// If the database fails.
pub async fn list(db: &Db) -> Result<Vec<StoredKey>, Error> {
    db.read(|tx| Ok(store::all(tx)?)).await
}

/// What a sealed key is bound to, so that one cannot be put in another's place.
fn purpose(kid: &str) -> String {
    format!("signing-key/{kid}")
}
