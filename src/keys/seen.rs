//! The access tokens that were verified last: one that is shown again needs no second look at its signature.
//!
//! They live and die with the key set that verified them, so that a revoked key takes its tokens along. Times and
//! ended sessions are asked for at each request, as of any token. Only a digest of the token is kept.

use crate::base::id::{AccountId, SessionId};
use crate::base::recent::Recent;
use claviger_crypto::jwt::Lifetime;
use std::fmt;

/// Callers on many cores do not wait for each other: the digest says which part.
const PARTS: usize = 16;

/// The most of a part: a little over a megabyte in all.
const MOST: usize = 512;

/// What a token says, as far as a request needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// The account that it was issued to.
    pub account: AccountId,
    /// The session that it was issued in.
    pub session: SessionId,
    /// Whether it allows to change the account.
    pub may_change: bool,
    /// When it is good.
    pub lifetime: Lifetime,
}

/// The tokens that were verified last, by their SHA-256 digests.
pub struct Seen([Recent<[u8; 32], Known>; PARTS]);

impl Default for Seen {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Recent::new(MOST)))
    }
}

/// How many.
impl fmt::Debug for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Seen({})", self.0.iter().map(Recent::count).sum::<usize>())
    }
}

impl Seen {
    /// What is known of a token.
    pub fn recall(&self, digest: &[u8; 32]) -> Option<Known> {
        self.part(digest).recall(digest)
    }

    /// Remembers a token that was verified.
    pub fn remember(&self, digest: [u8; 32], known: Known) {
        self.part(&digest).remember(digest, &known);
    }

    #[allow(clippy::indexing_slicing)] // The remainder is within.
    fn part(&self, digest: &[u8; 32]) -> &Recent<[u8; 32], Known> {
        &self.0[usize::from(digest[0]) % PARTS]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn known(number: u128) -> Known {
        let lifetime = Lifetime { begins: 0, ends: 900 };
        let (account, session) = (AccountId(Uuid::from_u128(number)), SessionId(Uuid::nil()));
        Known { account, session, may_change: true, lifetime }
    }

    #[test]
    fn the_memory_is_bounded_and_keeps_what_is_asked_for() {
        let seen = Seen::default();
        let digest = |number: u64| claviger_crypto::sha256(&number.to_be_bytes());
        seen.remember(digest(0), known(0));
        for number in 1..3 * (PARTS * MOST) as u64 {
            seen.remember(digest(number), known(number.into()));
            assert_eq!(seen.recall(&digest(number)), Some(known(number.into())));
            assert_eq!(seen.recall(&digest(0)), Some(known(0)));
        }
        assert_eq!(format!("{seen:?}"), format!("Seen({})", PARTS * MOST));
        assert_eq!(seen.recall(&digest(1)), None);
    }
}
