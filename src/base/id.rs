//! Identifiers: UUID version 7 (RFC 9562 §5.7), so that new rows stand together in an index.

use crate::base::time::Timestamp;
use std::fmt;
use uuid::Uuid;

/// A new identifier from the time and ten random bytes.
pub fn uuid_v7(now: Timestamp, random: [u8; 10]) -> Uuid {
    let millis = u64::try_from(now.as_micros() / 1000).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
}

macro_rules! identifier {
    ($(#[$meaning:meta])* $name:ident) => {
        $(#[$meaning])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub struct $name(pub Uuid);

        impl $name {
            /// Reads the form that is displayed, and no other.
            pub fn parse(text: &str) -> Option<Self> {
                let id = Self(Uuid::try_parse(text).ok()?);
                (id.to_string() == text).then_some(id)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

identifier! {
    /// An account's identifier: `sub` in its tokens and `public_id` in the API. Never given twice, but to a deleted account that an import makes again.
    AccountId
}

identifier! {
    /// A session's identifier: `sid` in its tokens.
    SessionId
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_version_7_and_ordered_by_time() {
        let earlier = uuid_v7(Timestamp::from_seconds(1), [255; 10]);
        let later = uuid_v7(Timestamp::from_seconds(2), [0; 10]);
        assert_eq!(earlier.get_version_num(), 7);
        assert!(earlier < later);
    }

    #[test]
    fn an_account_id_has_one_form() {
        let id = AccountId(uuid_v7(Timestamp::from_seconds(1), [1; 10]));
        assert_eq!(AccountId::parse(&id.to_string()), Some(id));
        assert_eq!(AccountId::parse(&id.to_string().to_uppercase()), None);
        assert_eq!(AccountId::parse(&format!("{{{id}}}")), None);
        assert_eq!(AccountId::parse("1"), None);
    }
}
