//! How faults of credentials are told over HTTP.

use super::Error;
use crate::http::basic;
use crate::http::problem::{Problem, WRONG_CREDENTIALS};
use crate::password_pool::Error::{Busy, Failed};

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::Wrong => WRONG_CREDENTIALS
                .because("The e-mail address (or name) and the password do not belong together.")
                .challenge(basic::CHALLENGE),
            Error::Account(error) => error.into(),
            Error::Guesses(error) => error.into(),
            Error::Db(error) => error.into(),
            Error::Pool(Busy) | Error::Memory(_) => Self::busy(&error),
            Error::Pool(Failed) => Self::internal(error),
        }
    }
}
