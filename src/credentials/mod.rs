//! Credentials: what proves that a caller is the account's owner. Here: passwords and their policy.
//!
//! A password is compared in the form of RFC 8265's OpaqueString profile: other scripts' spaces
//! become plain ones and the text takes Unicode Form C, so that keyboards that compose differently
//! type the same password. Nothing is trimmed, folded or cut.

pub mod api;
pub mod export;
pub mod flow;
pub mod import;
pub(crate) mod store;

use crate::accounts::{self, Name};
use crate::base::email::Email;
use crate::base::text;
use crate::config::Config;
use crate::guesses;
use crate::password_pool;
use secrecy::{ExposeSecret as _, SecretString};
use std::fmt;
use zeroize::Zeroizing;

/// The longest password, in bytes of UTF-8; longer ones are refused before any hashing.
pub const MAX_PASSWORD_BYTES: usize = 1024;

/// Passwords that everyone tries first: the entries of at least 8 characters among the 20,000
/// commonest of Django's list (by Royce Williams, from public breaches), folded to lower case.
const COMMON: &str = include_str!("common_passwords.txt");

/// What a new password must satisfy.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// The least number of characters.
    pub min_length: usize,
    /// Whether common and personal passwords are refused.
    pub refuse_guessable: bool,
}

impl Policy {
    /// The policy of a server.
    pub fn of(config: &Config) -> Self {
        Self { min_length: config.password_min_length, refuse_guessable: !config.dev }
    }
}

/// Why a password is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unacceptable {
    /// Nothing at all.
    #[error("must not be empty")]
    Empty,
    /// Fewer characters than the policy wants.
    #[error("must have at least {0} characters")]
    TooShort(usize),
    /// More than [`MAX_PASSWORD_BYTES`].
    #[error("must have at most 1024 bytes")]
    TooLong,
    /// A control character, which HTTP Basic cannot carry (RFC 7617 §2).
    #[error("must not hold control characters")]
    Control,
    /// On the list of common passwords.
    #[error("is one of the passwords that are tried first; choose another")]
    Common,
    /// Little more than the account's e-mail address or name, or the service's name.
    #[error("must not be your e-mail address or name, or nearly that; choose another")]
    Personal,
}

/// A password in the form that is hashed. Wiped when dropped.
#[derive(Clone)]
pub struct Password {
    text: Zeroizing<String>,
    /// As it was typed, where that differs.
    typed: Option<Zeroizing<String>>,
}

/// Whether they are one password, however they were typed.
impl PartialEq for Password {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Password {}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

impl Password {
    /// A password that someone tries to log in with.
    ///
    /// # Errors
    /// [`Unacceptable::TooLong`] or [`Unacceptable::Control`]: no account can have it.
    pub fn attempt(typed: &SecretString) -> Result<Self, Unacceptable> {
        let typed = typed.expose_secret();
        if typed.len() > MAX_PASSWORD_BYTES {
            return Err(Unacceptable::TooLong);
        }
        if text::has_control(typed) {
            return Err(Unacceptable::Control);
        }
        let spaces = Zeroizing::new(typed.chars().map(plain_space).collect::<String>());
        let text = Zeroizing::new(text::nfc(&spaces));
        let typed = (*text != typed).then(|| Zeroizing::new(typed.to_owned()));
        Ok(Self { text, typed })
    }

    /// A password that someone chooses for the account of `email` and `name`.
    ///
    /// # Errors
    /// The first rule of the policy that it breaks.
    pub fn new(
        typed: &SecretString,
        policy: &Policy,
        email: Option<&Email>,
        name: Option<&Name>,
    ) -> Result<Self, Unacceptable> {
        let password = Self::attempt(typed)?;
        if password.text.is_empty() {
            return Err(Unacceptable::Empty);
        }
        if password.text.chars().count() < policy.min_length {
            return Err(Unacceptable::TooShort(policy.min_length));
        }
        if policy.refuse_guessable {
            let folded = Zeroizing::new(text::fold(&password.text));
            if COMMON.lines().any(|common| common == folded.as_str()) {
                return Err(Unacceptable::Common);
            }
            if is_personal(&folded, email, name) {
                return Err(Unacceptable::Personal);
            }
        }
        Ok(password)
    }

    /// The bytes that are hashed.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.text.as_bytes()
    }

    /// The bytes that were typed, where they are others.
    pub(crate) fn as_typed(&self) -> Option<&[u8]> {
        self.typed.as_ref().map(|typed| typed.as_bytes())
    }
}

/// RFC 8265 §4.2.2: non-ASCII spaces (Unicode category Zs) become U+0020.
fn plain_space(c: char) -> char {
    match c {
        '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}' => ' ',
        other => other,
    }
}

/// Whether fewer than four characters are left once a word that others know is taken out.
fn is_personal(folded: &str, email: Option<&Email>, name: Option<&Name>) -> bool {
    let words =
        [email.map(Email::as_typed), email.map(Email::local), name.map(Name::as_str), Some("claviger")];
    words.into_iter().flatten().map(text::fold).any(|word| {
        let known = folded == word || (word.chars().count() >= 3 && folded.contains(&word));
        known && folded.replace(&word, "").chars().count() < 4
    })
}

/// What can go wrong with credentials.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No account has this identifier and this password; which of the two is not said.
    #[error("wrong identifier or password")]
    Wrong,
    /// The session of the token that was shown has ended meanwhile.
    #[error("the session has ended")]
    SessionEnded,
    /// Too many were wrong.
    #[error(transparent)]
    Guesses(#[from] guesses::Error),
    /// The account.
    #[error(transparent)]
    Account(#[from] accounts::Error),
    /// The hash was not computed.
    #[error(transparent)]
    Pool(#[from] password_pool::Error),
    /// The hash was not computed.
    #[error(transparent)]
    Memory(#[from] claviger_crypto::password::OutOfMemory),
    /// The database failed.
    #[error(transparent)]
    Db(#[from] crate::db::Error),
}

impl Error {
    /// Whether the password was not looked at, because too many before it were wrong.
    pub fn is_throttled(&self) -> bool {
        matches!(self, Self::Guesses(guesses::Error::TooMany(_)))
    }

    /// Whether too many passwords are waiting for their hash.
    pub fn is_busy(&self) -> bool {
        let busy = password_pool::Error::Busy;
        matches!(self, Self::Pool(error) | Self::Guesses(guesses::Error::Pool(error)) if *error == busy)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const PRODUCTION: Policy = Policy { min_length: 8, refuse_guessable: true };
    const DEV: Policy = Policy { min_length: 1, refuse_guessable: false };

    fn chosen(text: &str, policy: &Policy) -> Result<Password, Unacceptable> {
        let email = Email::parse("Alice.Smith@example.org").unwrap();
        let name = Name::parse("Alice Smith").unwrap();
        Password::new(&text.into(), policy, Some(&email), Some(&name))
    }

    #[test]
    fn checklist_1_to_6_production_policy() {
        assert_eq!(chosen("seven77", &PRODUCTION), Err(Unacceptable::TooShort(8)));
        assert_eq!(chosen("éèêëéèê", &PRODUCTION), Err(Unacceptable::TooShort(8)), "characters, not bytes");
        for good in [
            "correct horse",
            "  spaces kept  ",
            "длинный пароль",
            "🙂🙃🙂🙃🙂🙃🙂🙃",
            &"x7".repeat(32),
            &"é".repeat(512),
        ] {
            assert!(chosen(good, &PRODUCTION).is_ok(), "{good}");
        }
        assert_eq!(chosen(&"é".repeat(513), &PRODUCTION), Err(Unacceptable::TooLong));
        assert_eq!(chosen("nul\0inside it", &PRODUCTION), Err(Unacceptable::Control));
        for common in ["password1", "PASSWORD1", "12345678", "qwertyuiop", "iloveyou1"] {
            assert_eq!(chosen(common, &PRODUCTION), Err(Unacceptable::Common), "{common}");
        }
        for personal in [
            "alice.smith@example.org",
            "ALICE.SMITH",
            "alice smith",
            "alice smith12",
            "claviger1",
            "1Alice.Smith!",
        ] {
            assert_eq!(chosen(personal, &PRODUCTION), Err(Unacceptable::Personal), "{personal}");
        }
        assert!(chosen("alice smith rides a zebra", &PRODUCTION).is_ok());
    }

    #[test]
    fn the_list_is_long_enough_and_can_match() {
        assert!(COMMON.lines().count() >= 3000);
        for line in COMMON.lines() {
            assert!(line.chars().count() >= 8 && text::fold(line) == line, "{line}");
        }
    }

    #[test]
    fn dev_takes_any_but_the_empty_one() {
        assert!(chosen("test1", &DEV).is_ok());
        assert!(chosen("1", &DEV).is_ok());
        assert_eq!(chosen("", &DEV), Err(Unacceptable::Empty));
    }

    #[test]
    fn checklist_4_and_5_forms_are_one_and_nothing_is_cut() {
        let same =
            |one: &str, other: &str| Password::attempt(&one.into()) == Password::attempt(&other.into());
        assert!(same("caf\u{e9}", "cafe\u{301}"), "composed and decomposed");
        assert!(same("a\u{3000}b", "a b"), "ideographic space");
        assert!(!same("password", "Password"));
        assert!(!same("password", " password"));
        assert!(!same("ﬁ", "fi"), "compatibility characters stay apart");
        let long = "a".repeat(72);
        assert!(!same(&long, &format!("{long}b")), "the 73rd byte counts");
    }

    #[test]
    fn is_never_shown() {
        assert!(!format!("{:?}", chosen("correct horse", &PRODUCTION)).contains("horse"));
    }
}
