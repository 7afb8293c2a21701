//! Learning what checking a password costs for the accounts that there are, so that it costs the same for none.

use crate::app::App;
use crate::base::id::AccountId;
use crate::base::random;
use crate::credentials::store;
use crate::db;
use claviger_crypto::mac::MacKey;
use claviger_crypto::password::StoredHash;
use uuid::Uuid;

/// How many accounts are looked at.
const ACCOUNTS: u64 = 64;

/// Looks at the hashes of some accounts, always about the same ones, and remembers what they cost.
///
/// # Errors
/// If the database fails.
pub async fn learn_costs(app: &App) -> Result<(), db::Error> {
    let key = app.secrets.guesses.clone();
    let hashes = app.db.read::<_, db::Error, _>(move |tx| match store::ends(tx)? {
        Some((first, last)) => store::hashes_from(tx, &between(&key, first, last)),
        None => Ok(Vec::new()),
    });
    let hashes = hashes.await?;
    let hashes: Vec<StoredHash> = hashes.iter().filter_map(|phc| StoredHash::parse(phc).ok()).collect();
    let params = app.passwords.params();
    let is_any_other = hashes.iter().any(|hash| hash.is_outdated(params));
    // What is kept in memory is nobody's hash.
    let like = hashes.iter().filter(|_| is_any_other).map(|hash| hash.decoy(random::bytes()));
    app.passwords.decoys().set(like.collect());
    Ok(())
}

/// Ids spread evenly between two, in an order that only the key gives.
fn between(key: &MacKey, first: AccountId, last: AccountId) -> Vec<AccountId> {
    let (first, last) = (first.0.as_u128(), last.0.as_u128());
    let part = |number: u64| {
        let tag = key.tag(&[b"decoy-account", &number.to_be_bytes()]);
        let [high, ..] = tag.as_chunks::<8>().0 else { return first };
        // So many parts of 2^64 of the way.
        let parts = u128::from(u64::from_be_bytes(*high));
        let way = last.saturating_sub(first);
        first + (way >> 64) * parts + (((way & u128::from(u64::MAX)) * parts) >> 64)
    };
    (0..ACCOUNTS).map(|number| AccountId(Uuid::from_u128(part(number)))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_lie_between_the_ends_and_are_spread() {
        let key = MacKey::new([5; 32]);
        let id = |number| AccountId(Uuid::from_u128(number));
        for (first, last) in [(7, 7), (7, 8), (0, u128::MAX), (1 << 100, (1 << 100) + 1_000_000)] {
            let ids = between(&key, id(first), id(last));
            assert!(ids.len() == 64 && ids.iter().all(|id| (first..=last).contains(&id.0.as_u128())));
            assert_eq!(ids, between(&key, id(first), id(last)));
            let below = ids.iter().filter(|id| id.0.as_u128() - first < (last - first) / 2).count();
            assert!(last - first < 9 || (16..48).contains(&below), "{below}");
        }
    }
}
