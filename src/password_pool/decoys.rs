//! What checking a password costs for the accounts that there are, as some of them show it.
//!
//! While accounts keep hashes of another system or another cost, checking their passwords takes another time than
//! ours. So an identifier that nobody has stands beside one of these accounts, always the same while that lasts, and
//! costs what that one does.

use claviger_crypto::password::StoredHash;
use std::sync::{PoisonError, RwLock};

/// Hashes like those that are stored, each with a tag of the account; none of them is one.
#[derive(Debug, Default)]
pub struct Decoys(RwLock<Vec<([u8; 32], StoredHash)>>);

impl Decoys {
    /// From now on these.
    pub fn set(&self, like: Vec<([u8; 32], StoredHash)>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = like;
    }

    /// The one for an identifier, by its digest; `None` while all that is stored is our own. By rendezvous hashing:
    /// where an account comes or goes, only the identifiers beside it get another one.
    pub fn of(&self, digest: &[u8; 32]) -> Option<StoredHash> {
        let like = self.0.read().unwrap_or_else(PoisonError::into_inner);
        like.iter().max_by_key(|(tag, _)| score(digest, tag)).map(|(_, hash)| hash.clone())
    }
}

/// Tags and digests are random and secret, so a product whose halves are mixed is hash enough.
fn score(digest: &[u8; 32], tag: &[u8; 32]) -> u128 {
    let words = |bytes: &[u8; 32]| match bytes.as_chunks::<8>().0 {
        [one, other, ..] => [*one, *other].map(u64::from_be_bytes).map(u128::from),
        _ => [0; 2],
    };
    let ([a, b], [x, y]) = (words(digest), words(tag));
    let product = (a ^ x) * (b ^ y);
    (product ^ (product >> 64)) & u128::from(u64::MAX)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use claviger_crypto::mac::MacKey;

    fn tag(name: &str, number: u32) -> [u8; 32] {
        MacKey::new([8; 32]).tag(&[name.as_bytes(), &number.to_be_bytes()])
    }

    fn hash(number: u32) -> StoredHash {
        let salt = tag("salt", number);
        let text = format!("sha256$salt{}${}", salt[0], "ab".repeat(32));
        StoredHash::read(&text).unwrap()
    }

    #[test]
    fn an_identifier_keeps_its_own_as_long_as_that_is_there() {
        let decoys = Decoys::default();
        assert_eq!(decoys.of(&tag("nobody", 0)), None);
        let ten: Vec<_> = (0..10).map(|number| (tag("account", number), hash(number))).collect();
        let of = |like: &[([u8; 32], StoredHash)]| -> Vec<StoredHash> {
            decoys.set(like.to_vec());
            (0..2000).map(|number| decoys.of(&tag("nobody", number)).unwrap()).collect()
        };
        let before = of(&ten);
        for (_, hash) in &ten {
            let share = before.iter().filter(|of| *of == hash).count();
            assert!((120..280).contains(&share), "one in ten: {share}");
        }
        let after = of(&ten[1..]);
        for (before, after) in before.iter().zip(&after) {
            assert!(before == after || *before == ten[0].1);
        }
    }
}
