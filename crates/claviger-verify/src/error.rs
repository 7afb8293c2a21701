//! Why a token is not taken: because of the token, or because nobody can tell.

use crate::fetch::FetchError;
use claviger_crypto::jws;
use claviger_crypto::jwt;

/// Why a token is not taken. No text of it holds anything of the token.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The token breaks a rule.
    #[error("the token is refused: {0}")]
    Token(#[from] jwt::Error),
    /// The session that it was issued in has ended.
    #[error("the token is refused: its session has ended")]
    SessionEnded,
    /// Its `status` names a place that is not on the issuer's server, or not in the list.
    #[error("the token is refused: its status stands in no list of its issuer")]
    NoSuchStatus,
    /// The keys cannot be had, so nobody can tell.
    #[error("the keys cannot be had: {0}")]
    NoKeys(FetchError),
    /// The status list cannot be had, for longer than [`MissingStatus`](crate::MissingStatus) allows.
    #[error("the status list cannot be had: {0}")]
    NoStatus(FetchError),
}

impl Error {
    /// Whether it is the token that is wrong (401), and not the way to the server (503).
    pub fn is_of_the_token(&self) -> bool {
        match self {
            Self::Token(_) | Self::SessionEnded | Self::NoSuchStatus => true,
            Self::NoKeys(_) | Self::NoStatus(_) => false,
        }
    }
}

/// Whether it may be a key that is not fetched yet.
pub(crate) fn is_unknown_key(error: &jwt::Error) -> bool {
    matches!(error, jwt::Error::Jws(jws::Error::UnknownKey))
}
