//! How too many wrong passwords are told over HTTP.

use super::Error;
use crate::http::problem::{Problem, TOO_MANY_GUESSES};

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::TooMany(wait) => TOO_MANY_GUESSES
                .because("Too many wrong passwords. Wait for the seconds in the Retry-After header.")
                .retry_after(wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0))),
            Error::Pool(_) => Self::busy(&error),
            Error::Db(error) => error.into(),
        }
    }
}
