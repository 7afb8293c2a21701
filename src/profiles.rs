//! What accounts show of themselves, and those that were shown last: while a database server is away, a token
//! that is good still gets its answer.

use crate::base::id::AccountId;
use lru::LruCache;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The most that are remembered: about 30 MB.
const MOST: usize = 100_000;

/// What an account shows of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// The e-mail address as typed.
    pub email: String,
    /// The name.
    pub name: String,
}

/// The profiles that were read last.
pub struct Profiles(Mutex<LruCache<AccountId, Profile>>);

impl Default for Profiles {
    fn default() -> Self {
        Self(Mutex::new(LruCache::unbounded()))
    }
}

/// How many; they are personal.
impl fmt::Debug for Profiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Profiles({})", self.lock().len())
    }
}

impl Profiles {
    /// Remembers a profile as it is now.
    pub fn remember(&self, id: AccountId, profile: &Profile) {
        let mut known = self.lock();
        // Nothing is written anew that has not changed.
        if known.get(&id) != Some(profile) {
            known.put(id, profile.clone());
            if known.len() > MOST {
                known.pop_lru();
            }
        }
    }

    /// Forgets that of an account that is gone.
    pub fn forget(&self, id: AccountId) {
        self.lock().pop(&id);
    }

    /// The profile as it was last read.
    pub fn recall(&self, id: AccountId) -> Option<Profile> {
        self.lock().get(&id).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, LruCache<AccountId, Profile>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn profile(name: &str) -> Profile {
        Profile { email: "a@example.org".into(), name: name.into() }
    }

    #[test]
    fn the_last_that_was_read_is_recalled() {
        let (profiles, id) = (Profiles::default(), AccountId(Uuid::from_u128(1)));
        assert_eq!(profiles.recall(id), None);
        profiles.remember(id, &profile("Ann"));
        profiles.remember(id, &profile("Anne"));
        assert_eq!(profiles.recall(id), Some(profile("Anne")));
        profiles.forget(id);
        assert_eq!(profiles.recall(id), None);
    }

    #[test]
    fn the_memory_is_bounded_and_keeps_what_is_asked_for() {
        let profiles = Profiles::default();
        let id = |number: usize| AccountId(Uuid::from_u128(number as u128));
        for number in 0..=MOST {
            profiles.remember(id(number), &profile("Ann"));
            profiles.recall(id(0));
        }
        assert_eq!(format!("{profiles:?}"), format!("Profiles({MOST})"));
        assert!(profiles.recall(id(0)).is_some() && profiles.recall(id(1)).is_none());
    }
}
