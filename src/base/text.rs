//! Unicode: one composed form, and one fold for comparing without regard to case.

use caseless::Caseless as _;
use unicode_normalization::{UnicodeNormalization as _, is_nfc};

/// Normalization Form C (Unicode Standard Annex #15).
pub fn nfc(text: &str) -> String {
    if is_nfc(text) { text.to_owned() } else { text.nfc().collect() }
}

/// Full default case folding (Unicode §3.13) in Form C: equal for texts that differ only in case.
pub fn fold(text: &str) -> String {
    text.nfd().default_case_fold().nfc().collect()
}

/// Whether `text` holds a control character, NUL included.
pub fn has_control(text: &str) -> bool {
    text.chars().any(char::is_control)
}

/// What is kept of a text from outside for people to read: no control characters, at most `most` characters.
pub fn shown(text: &str, most: usize) -> String {
    text.trim().chars().filter(|c| !c.is_control()).take(most).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_clean_and_short() {
        assert_eq!(shown(" curl/8\u{7}\n ", 256), "curl/8");
        assert_eq!(shown(&"é".repeat(300), 256).chars().count(), 256);
    }

    #[test]
    fn folds_case_and_form() {
        assert_eq!(fold("Alice"), "alice");
        assert_eq!(fold("STRASSE"), fold("straße"));
        assert_eq!(fold("ΟΔΟΣ"), fold("οδος"));
        assert_eq!(fold("e\u{301}"), fold("É"));
        assert_ne!(fold("ı"), fold("i"), "the dotless i is another letter");
    }

    #[test]
    fn composes() {
        assert_eq!(nfc("e\u{301}"), "é");
        assert_ne!(nfc("ﬁ"), "fi", "Form C keeps compatibility characters");
    }
}
