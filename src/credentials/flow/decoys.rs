//! Learning what checking a password costs for the accounts that there are, so that it costs the same for none.

use crate::app::App;
use crate::base::id::AccountId;
use crate::base::random;
use crate::credentials::store;
use crate::db;
use claviger_crypto::mac::MacKey;
use claviger_crypto::password::StoredHash;
use std::collections::BTreeMap;
use std::time::Duration;
use uuid::Uuid;

/// How many accounts are looked at.
const ACCOUNTS: usize = 256;

/// How many ids are read at a time: a millisecond's work, since on SQLite it holds up what else this thread serves.
const STRETCH: usize = 1000;

/// Looks at the hashes of some accounts, always about the same ones, and remembers what they cost. All ids are read
/// for that, with a pause between stretches of them.
///
/// # Errors
/// If the database fails.
pub async fn learn_costs(app: &App, pause: Duration) -> Result<(), db::Error> {
    let (tags, ids): (Vec<_>, Vec<_>) = sample(app, pause).await?.0.into_iter().unzip();
    let hashes = app.db.read(move |tx| store::hashes_of(tx, &ids)).await?;
    let parse = |(tag, phc): ([u8; 32], Option<String>)| Some((tag, StoredHash::parse(&phc?).ok()?));
    let hashes: Vec<_> = tags.into_iter().zip(hashes).filter_map(parse).collect();
    let params = app.passwords.params();
    let is_any_other = hashes.iter().any(|(_, hash)| hash.is_outdated(params));
    // What is kept in memory is nobody's hash.
    let like = hashes.iter().filter(|_| is_any_other).map(|(tag, hash)| (*tag, hash.decoy(random::bytes())));
    app.passwords.decoys().set(like.collect());
    Ok(())
}

async fn sample(app: &App, pause: Duration) -> Result<Sample, db::Error> {
    let (mut sample, mut after) = (Sample::default(), AccountId(Uuid::nil()));
    loop {
        let ids = app.db.read_once(move |tx| store::ids_after(tx, after, STRETCH)).await?;
        ids.iter().for_each(|id| sample.see(&app.secrets.guesses, *id));
        match ids.last() {
            Some(last) if ids.len() == STRETCH => after = *last,
            _ => return Ok(sample),
        }
        tokio::time::sleep(pause).await;
    }
}

/// The accounts whose ids have the least tags: chosen by chance, whatever their ids are made of, and the same ones on
/// every server and after a restart. A new account seldom changes one of them.
#[derive(Debug, Default, PartialEq, Eq)]
struct Sample(BTreeMap<[u8; 32], AccountId>);

impl Sample {
    fn see(&mut self, key: &MacKey, id: AccountId) {
        self.0.insert(key.tag(&[b"decoy-account", id.0.as_bytes()]), id);
        if self.0.len() > ACCOUNTS {
            self.0.pop_last();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::id::uuid_v7;
    use crate::base::time::Timestamp;

    const KEY: [u8; 32] = [5; 32];

    fn of(ids: impl Iterator<Item = Uuid>) -> Sample {
        let (key, mut sample) = (MacKey::new(KEY), Sample::default());
        ids.for_each(|id| sample.see(&key, AccountId(id)));
        sample
    }

    /// An id of the kind that grows with time, or of the kind that is random all over.
    fn id(seconds: i64, number: u32) -> Uuid {
        let [a, b, c, d] = number.to_be_bytes();
        uuid_v7(Timestamp::from_seconds(seconds), [a, b, c, d, 0, 0, 0, 0, 0, 0])
    }

    fn id_v4(number: u32) -> Uuid {
        let [bytes, _] = *MacKey::new([6; 32]).tag(&[&number.to_be_bytes()]).as_chunks::<16>().0 else {
            return Uuid::nil();
        };
        uuid::Builder::from_random_bytes(bytes).into_uuid()
    }

    #[test]
    fn accounts_are_chosen_whatever_their_ids_are() {
        // Imported in ten seconds, and one sign-up an hour for a month after that.
        let imported = (0..20_000).map(|number| id(i64::from(number) / 2000, number));
        let hourly = (0..720).map(|hour| id(3600 * (i64::from(hour) + 1), hour));
        let sample = of(imported.chain(hourly));
        let of_import = sample.0.values().filter(|account| account.0 < id(3600, 0)).count();
        assert!(sample.0.len() == ACCOUNTS && of_import > ACCOUNTS * 9 / 10, "{of_import}");

        // A third with the ids of a Flask server.
        let sample = of((0..1000).map(id_v4).chain((0..2000).map(|hour| id(3600 * i64::from(hour), hour))));
        let flask = sample.0.values().filter(|account| account.0.get_version_num() == 4).count();
        assert!((ACCOUNTS / 5..ACCOUNTS / 2).contains(&flask), "{flask}");
    }

    #[test]
    fn the_sample_stays_when_accounts_come_and_go() {
        let all = || (0..20_000).map(id_v4);
        let before = of(all());
        assert_eq!(of(all().collect::<Vec<_>>().into_iter().rev()), before, "in whatever order");
        let after = of((200..20_200).map(id_v4));
        let kept = before.0.keys().filter(|tag| after.0.contains_key(*tag)).count();
        assert!(kept >= ACCOUNTS - 20, "{kept}");
        assert_eq!(of((0..9).map(id_v4)).0.len(), 9);
    }
}
