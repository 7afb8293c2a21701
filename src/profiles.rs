//! What accounts show of themselves, and those that were shown last: while a database server is away, a token
//! that is good still gets its answer.

use crate::base::id::AccountId;
use crate::base::recent::Recent;
use std::fmt;

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
pub struct Profiles(Recent<AccountId, Profile>);

impl Default for Profiles {
    fn default() -> Self {
        Self(Recent::new(MOST))
    }
}

/// How many; they are personal.
impl fmt::Debug for Profiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Profiles({})", self.0.count())
    }
}

impl Profiles {
    /// Remembers a profile as it is now.
    pub fn remember(&self, id: AccountId, profile: &Profile) {
        self.0.remember(id, profile);
    }

    /// Forgets that of an account that is gone.
    pub fn forget(&self, id: AccountId) {
        self.0.forget(&id);
    }

    /// The profile as it was last read.
    pub fn recall(&self, id: AccountId) -> Option<Profile> {
        self.0.recall(&id)
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
