//! E-mail addresses and the one rule by which two of them are the same mailbox.
//!
//! Surrounding white space is dropped. The part before the last `@` is folded to one case and one
//! Unicode form; the domain is put into its ASCII form (UTS 46, as IDNA does). Look-up and uniqueness
//! both use that key. The address is shown as it was typed. Dots and `+tags` are kept: to fold them
//! would be right for some providers and wrong for others.

use crate::base::text;
use std::fmt;

/// The longest address, in bytes (RFC 5321 §4.5.3.1.3 less the angle brackets).
pub const MAX_LENGTH: usize = 254;

/// A valid address, as typed, with its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Email {
    typed: String,
    key: String,
}

/// Why a text is no e-mail address, in words for its writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// More than [`MAX_LENGTH`] bytes.
    #[error("is longer than 254 bytes")]
    TooLong,
    /// Not `local@domain`.
    #[error("must have the form name@example.org")]
    Form,
    /// The part before the `@`.
    #[error("has characters before the @ that an e-mail address cannot have")]
    Local,
    /// The part after the `@`.
    #[error("has no valid domain after the @")]
    Domain,
}

impl Email {
    /// Reads an address that a person typed.
    ///
    /// # Errors
    /// [`Invalid`], if it is none.
    pub fn parse(input: &str) -> Result<Self, Invalid> {
        let typed = input.trim();
        if typed.len() > MAX_LENGTH {
            return Err(Invalid::TooLong);
        }
        let (local, domain) = typed.rsplit_once('@').ok_or(Invalid::Form)?;
        let folded = text::fold(local);
        // Some letters fold to several: the limits hold for both forms, so that a key is an address too.
        if !is_dot_atom(local) || !is_dot_atom(&folded) {
            return Err(Invalid::Local);
        }
        let domain = idna::domain_to_ascii_strict(domain).map_err(|_| Invalid::Domain)?;
        if domain.is_empty() || domain.ends_with('.') {
            return Err(Invalid::Domain);
        }
        let key = format!("{folded}@{domain}");
        if key.len() > MAX_LENGTH {
            return Err(Invalid::TooLong);
        }
        Ok(Self { typed: typed.to_owned(), key })
    }

    /// The address as it was typed, without surrounding white space.
    pub fn as_typed(&self) -> &str {
        &self.typed
    }

    /// What look-up and uniqueness compare.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The part before the `@`, as typed.
    pub fn local(&self) -> &str {
        self.typed.rsplit_once('@').map_or("", |(local, _)| local)
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.typed)
    }
}

/// A dot-atom (RFC 5322 §3.2.3), internationalised (RFC 6532), at most 64 bytes (RFC 5321).
fn is_dot_atom(local: &str) -> bool {
    local.len() <= 64 && local.split('.').all(|atom| !atom.is_empty() && atom.chars().all(is_atom_character))
}

fn is_atom_character(c: char) -> bool {
    if c.is_ascii() {
        c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c)
    } else {
        // Letters, marks and digits of any script; no spaces, controls, format or private characters.
        c.is_alphanumeric() || unicode_normalization::char::is_combining_mark(c)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(text: &str) -> String {
        Email::parse(text).unwrap().key().to_owned()
    }

    #[test]
    fn one_mailbox_has_one_key() {
        for (one, other) in [
            ("test1@eamil.com", "  Test1@EAMIL.com\n"),
            ("jo@bücher.example", "JO@xn--bcher-kva.example"),
            ("jo@BÜCHER.example", "jo@bu\u{308}cher.example"),
            ("straße@example.org", "STRASSE@example.org"),
            ("e\u{301}@example.org", "É@example.org"),
        ] {
            assert_eq!(key(one), key(other), "{one} and {other}");
        }
        for (one, other) in [
            ("a.b@example.org", "ab@example.org"),
            ("a+b@example.org", "a@example.org"),
            ("ı@example.org", "i@example.org"),
            ("jo@example.org", "jo@example.com"),
        ] {
            assert_ne!(key(one), key(other), "{one} and {other}");
        }
    }

    #[test]
    fn is_shown_as_typed() {
        assert_eq!(Email::parse(" Test1@EAMIL.com ").unwrap().as_typed(), "Test1@EAMIL.com");
    }

    #[test]
    fn refuses_what_is_no_address() {
        for text in [
            "",
            "@",
            "a",
            "a@",
            "@b",
            "a@b@c",
            "a b@c",
            "a@b c",
            "a..b@c",
            ".a@c",
            "a.@c",
            "\"a b\"@c.org",
            "a@b..c",
            "a@-b.org",
            "a@b_c.org",
            "a@[127.0.0.1]",
            "a\0@b.org",
            "a\r\nBcc:x@b.org",
            "<a@b.org>",
            "a@b.org.",
            "a\u{200b}@b.org",
            "a@xn--zzzzzzz\u{ff}.org",
        ] {
            assert!(Email::parse(text).is_err(), "{text:?}");
        }
        assert_eq!(Email::parse(&format!("a@{}.org", "b".repeat(300))), Err(Invalid::TooLong));
        assert_eq!(Email::parse(&format!("{}@b.org", "a".repeat(65))), Err(Invalid::Local));
        assert_eq!(
            Email::parse(&format!("{}@b.org", "\u{149}".repeat(32))),
            Err(Invalid::Local),
            "folds to 96 bytes"
        );
    }

    proptest! {
        #[test]
        fn any_text_parses_or_is_refused_and_keys_are_stable(text in "\\PC{0,40}@?[a-zA-Z0-9.é-]{0,20}") {
            if let Ok(email) = Email::parse(&text) {
                prop_assert_eq!(key(email.key()), email.key());
                prop_assert_eq!(key(&email.as_typed().to_lowercase()), email.key());
            }
        }
    }
}
