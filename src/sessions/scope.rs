//! What a token may be used for (RFC 6749 §3.3).

use std::fmt;

/// Reading the account.
pub const PROFILE: &str = "profile";

/// Changing the account and its sessions.
pub const ACCOUNT: &str = crate::app::extract::ACCOUNT_SCOPE;

/// All that an account can be granted, in the order in which it is written.
const KNOWN: [&str; 2] = [ACCOUNT, PROFILE];

/// A set of scopes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope(Vec<&'static str>);

impl Scope {
    /// What a login grants: all.
    pub fn all() -> Self {
        Self(KNOWN.to_vec())
    }

    /// Reads a list divided by spaces; `None` if it is empty or names what there is not.
    pub fn parse(text: &str) -> Option<Self> {
        let asked: Vec<&str> = text.split(' ').filter(|word| !word.is_empty()).collect();
        let known = asked.iter().all(|word| KNOWN.contains(word));
        let scope = KNOWN.into_iter().filter(|word| asked.contains(word)).collect();
        (known && !asked.is_empty()).then_some(Self(scope))
    }

    /// This scope if all of it was granted: it may shrink, never grow (RFC 6749 §6).
    pub fn within(self, granted: &Self) -> Option<Self> {
        self.0.iter().all(|word| granted.0.contains(word)).then_some(self)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(" "))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn may_shrink_and_never_grow() {
        let profile = Scope::parse(PROFILE).unwrap();
        assert_eq!(profile.clone().within(&Scope::all()), Some(profile.clone()));
        assert_eq!(Scope::all().within(&profile), None);
        assert_eq!(Scope::all().to_string(), "account profile");
        assert_eq!(Scope::parse("profile  account profile"), Some(Scope::all()));
        for bad in ["", " ", "admin", "profile admin", "Profile", "profile\taccount"] {
            assert_eq!(Scope::parse(bad), None, "{bad:?}");
        }
    }
}
