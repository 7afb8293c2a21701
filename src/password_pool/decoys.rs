//! What checking a password costs for the accounts that there are, as some of them show it.
//!
//! While accounts keep hashes of another system or another cost, checking their passwords takes another time than
//! ours. So an identifier that nobody has stands beside one of these accounts, always the same while that lasts, and
//! costs what that one does.

use claviger_crypto::password::StoredHash;
use std::sync::{PoisonError, RwLock};

/// Hashes like those that are stored; none of them is one.
#[derive(Debug, Default)]
pub struct Decoys(RwLock<Vec<StoredHash>>);

impl Decoys {
    /// From now on these.
    pub fn set(&self, like: Vec<StoredHash>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = like;
    }

    /// The one for an identifier, by its digest; `None` while all that is stored is our own.
    pub fn of(&self, digest: &[u8; 32]) -> Option<StoredHash> {
        let like = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let [first, second, third, fourth, ..] = *digest;
        let number = u32::from_be_bytes([first, second, third, fourth]) as usize;
        like.get(number.checked_rem(like.len())?).cloned()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_keeps_its_own() {
        let decoys = Decoys::default();
        assert_eq!(decoys.of(&[9; 32]), None);
        let bcrypt = "$2b$04$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW";
        let two = [StoredHash::Locked, StoredHash::read(bcrypt).unwrap()];
        decoys.set(two.to_vec());
        let of = |digest: u8| decoys.of(&[0, 0, 0, digest, 7].repeat(7)[..32].try_into().unwrap()).unwrap();
        for digest in 0..100 {
            assert_eq!(of(digest), two[usize::from(digest) % 2]);
        }
    }
}
