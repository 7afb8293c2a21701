//! Opaque tokens: refresh tokens and API keys. Of both, only a digest is ever stored.
//!
//! Their prefixes let secret scanners find them in logs and repositories. All of a token's randomness
//! is 256 bits wide, so a plain SHA-256 of it cannot be reversed by guessing, and needs no salt.

use crate::mac::MacKey;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use zeroize::Zeroizing;

const REFRESH_PREFIX: &str = "cvr_";
const API_KEY_PREFIX: &str = "cvk_";

/// A refresh token (RFC 6749 §1.5): `cvr_` and base64url of session id, generation, secret and tag.
///
/// The tag is an HMAC under a key derived from the master key, which is not in the database. By it we
/// know a token of ours without reading the database, so guesses cost a hash and nothing more.
///
/// Each use of a token gives its successor. That one is derived under the same key rather than drawn
/// and stored, so a client that repeats a request whose answer it lost gets the same token byte for
/// byte, a copy of the database holds nothing that can be presented, and a thief of one token cannot
/// compute the next without us seeing the use.
pub struct RefreshToken {
    session: [u8; 16],
    generation: u32,
    secret: Zeroizing<[u8; 32]>,
    tag: Zeroizing<[u8; 16]>,
}

impl std::fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RefreshToken(generation {}, …)", self.generation)
    }
}

impl RefreshToken {
    /// The first token of a session, its secret being `random`.
    pub fn first(key: &MacKey, session: [u8; 16], random: [u8; 32]) -> Self {
        Self::new(key, session, 0, Zeroizing::new(random))
    }

    fn new(key: &MacKey, session: [u8; 16], generation: u32, secret: Zeroizing<[u8; 32]>) -> Self {
        let full = Zeroizing::new(key.tag(&[
            b"refresh-tag",
            &session,
            &generation.to_be_bytes(),
            secret.as_slice(),
        ]));
        let mut tag = Zeroizing::new([0; 16]);
        tag.iter_mut().zip(full.iter()).for_each(|(to, from)| *to = *from);
        Self { session, generation, secret, tag }
    }

    /// Reads a token made under `key`; `None` for anything else.
    pub fn parse(key: &MacKey, text: &str) -> Option<Self> {
        let bytes: Zeroizing<[u8; 68]> = decode(REFRESH_PREFIX, text)?;
        let (session, rest) = bytes.split_first_chunk::<16>()?;
        let (generation, rest) = rest.split_first_chunk::<4>()?;
        let (secret, tag) = rest.split_first_chunk::<32>()?;
        let token = Self::new(key, *session, u32::from_be_bytes(*generation), Zeroizing::new(*secret));
        verify_slices_are_equal(token.tag.as_slice(), tag).ok()?;
        Some(token)
    }

    /// The one token that follows this one; `None` after 2^32 of them.
    pub fn successor(&self, key: &MacKey) -> Option<Self> {
        let secret = key.tag(&[
            b"refresh-successor",
            &self.session,
            &self.generation.to_be_bytes(),
            self.secret.as_slice(),
        ]);
        Some(Self::new(key, self.session, self.generation.checked_add(1)?, Zeroizing::new(secret)))
    }

    /// The session it belongs to.
    pub fn session(&self) -> [u8; 16] {
        self.session
    }

    /// How many tokens of the session came before it.
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// SHA-256 of the text: what is stored.
    pub fn digest(&self) -> [u8; 32] {
        crate::sha256(self.to_text().as_bytes())
    }

    /// The text, for its client alone.
    pub fn to_text(&self) -> Zeroizing<String> {
        let generation = self.generation.to_be_bytes();
        let all = [&self.session[..], &generation, self.secret.as_slice(), self.tag.as_slice()];
        encode(REFRESH_PREFIX, &all)
    }
}

/// An API key: `cvk_` and base64url of 32 random bytes.
pub struct ApiKey(Zeroizing<[u8; 32]>);

impl std::fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ApiKey(…)")
    }
}

impl ApiKey {
    /// The key with these random bytes.
    pub fn new(random: [u8; 32]) -> Self {
        Self(Zeroizing::new(random))
    }

    /// Reads the text of a key; `None` for anything that is none.
    pub fn parse(text: &str) -> Option<Self> {
        decode(API_KEY_PREFIX, text).map(Self)
    }

    /// SHA-256 of the text: what is stored.
    pub fn digest(&self) -> [u8; 32] {
        crate::sha256(self.to_text().as_bytes())
    }

    /// The text, for its owner alone.
    pub fn to_text(&self) -> Zeroizing<String> {
        encode(API_KEY_PREFIX, &[self.0.as_slice()])
    }
}

fn encode(prefix: &str, parts: &[&[u8]]) -> Zeroizing<String> {
    let body = Zeroizing::new(crate::base64url(&Zeroizing::new(parts.concat())));
    Zeroizing::new([prefix, &body].concat())
}

fn decode<const N: usize>(prefix: &str, text: &str) -> Option<Zeroizing<[u8; N]>> {
    // A long text is refused before it is copied.
    let body = text.strip_prefix(prefix).filter(|body| body.len() == (N * 8).div_ceil(6))?;
    let bytes = Zeroizing::new(crate::from_base64url(body)?);
    Some(Zeroizing::new(bytes.as_slice().try_into().ok()?))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key() -> MacKey {
        MacKey::new([1; 32])
    }

    fn first() -> RefreshToken {
        RefreshToken::first(&key(), [2; 16], [3; 32])
    }

    fn is_refused(text: &str) -> bool {
        RefreshToken::parse(&key(), text).is_none()
    }

    #[test]
    fn refresh_tokens_go_both_ways() {
        let token = first();
        let text = token.to_text();
        assert_eq!((text.len(), &text[..4]), (95, "cvr_"));
        let bytes = crate::from_base64url(&text[4..]).unwrap();
        let tag = key().tag(&[b"refresh-tag", &[2; 16], &[0; 4], &[3; 32]]);
        assert_eq!(bytes, [&[2; 16][..], &[0; 4], &[3; 32], &tag[..16]].concat());
        let again = RefreshToken::parse(&key(), &text).unwrap();
        assert_eq!(again.to_text(), text);
        assert_eq!((again.session(), again.generation()), ([2; 16], 0));
        assert_eq!(again.digest(), crate::sha256(text.as_bytes()));
    }

    #[test]
    fn a_successor_is_always_the_same() {
        let (one, read) = (first(), RefreshToken::parse(&key(), &first().to_text()).unwrap());
        let (next, same) = (one.successor(&key()).unwrap(), read.successor(&key()).unwrap());
        assert_eq!(next.to_text(), same.to_text());
        assert_eq!((next.session(), next.generation()), ([2; 16], 1));
        assert_eq!(*next.secret, key().tag(&[b"refresh-successor", &[2; 16], &[0; 4], &[3; 32]]));
        assert!(!is_refused(&next.to_text()));
        assert_ne!(next.secret, one.successor(&MacKey::new([9; 32])).unwrap().secret);
        let last = RefreshToken::new(&key(), [2; 16], u32::MAX, Zeroizing::new([3; 32]));
        assert!(!is_refused(&last.to_text()));
        assert!(last.successor(&key()).is_none());
    }

    #[test]
    fn no_other_text_is_a_refresh_token() {
        let good = first().to_text();
        let body = &good[4..];
        // The text of 68 bytes ends with two unused bits, which must be zero.
        let (start, last) = body.split_at(90);
        let alphabet = base64::alphabet::URL_SAFE;
        let value = alphabet.as_str().find(last).unwrap();
        for stray in 1..4 {
            assert!(is_refused(&format!("cvr_{start}{}", &alphabet.as_str()[value + stray..=value + stray])));
        }
        let hostile = [
            String::new(),
            "cvr_".to_owned(),
            body.to_owned(),
            format!("cvk_{body}"),
            format!("CVR_{body}"),
            format!("cvr-{body}"),
            format!("cvr_cvr_{body}"),
            format!(" {}", *good),
            format!("{}\n", *good),
            format!("{}=", *good),
            format!("{}A", *good),
            format!("{}==", &good[..93]),
            good[..94].to_owned(),
            format!("{}é", &good[..93]),
            format!("cvr_{}", "A".repeat(91)),
            format!("cvr_{}", "A".repeat(1_000_000)),
            format!("cvr_{}", "é".repeat(91)),
            ApiKey::new([3; 32]).to_text().to_string(),
        ];
        for text in hostile {
            assert!(is_refused(&text), "{text}");
        }
        // Well-formed, but not ours.
        for (session, generation, secret) in
            [([4; 16], 0, [3; 32]), ([2; 16], 1, [3; 32]), ([2; 16], 0, [4; 32])]
        {
            let moved = RefreshToken { session, generation, secret: Zeroizing::new(secret), ..first() };
            assert!(is_refused(&moved.to_text()));
        }
        assert!(RefreshToken::parse(&MacKey::new([9; 32]), &good).is_none());
    }

    #[test]
    fn api_keys_go_both_ways() {
        let key = ApiKey::new([0xfb; 32]);
        let text = key.to_text();
        assert_eq!(*text, format!("cvk_{}", crate::base64url(&[0xfb; 32])));
        let again = ApiKey::parse(&text).unwrap();
        assert_eq!((again.to_text(), again.digest()), (text.clone(), crate::sha256(text.as_bytes())));
        let hostile = [
            "",
            "cvk_",
            &text[4..],
            &text[..46],
            &format!("{}A", *text),
            &format!("{}=", *text),
            &format!(" {}", *text),
            &text.replace("cvk", "cvr"),
            &text.replace("cvk", "CVK"),
            &text.replace('-', "+").replace('_', "/"),
            &format!("{}9", &text[..46]),
            &first().to_text(),
        ];
        for text in hostile {
            assert!(ApiKey::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        assert_eq!(format!("{:?}", first()), "RefreshToken(generation 0, …)");
        assert_eq!(format!("{:?}", ApiKey::new([3; 32])), "ApiKey(…)");
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

        #[test]
        fn any_tokens_go_both_ways(
            session: [u8; 16], generation: u32, secret: [u8; 32], mac: [u8; 32], other: [u8; 32],
        ) {
            let (mac, other) = (MacKey::new(mac), MacKey::new(other));
            let token = RefreshToken::new(&mac, session, generation, Zeroizing::new(secret));
            let again = RefreshToken::parse(&mac, &token.to_text()).unwrap();
            prop_assert_eq!(again.to_text(), token.to_text());
            prop_assert!(RefreshToken::parse(&other, &token.to_text()).is_none());
            let (next, same) = (token.successor(&mac), again.successor(&mac));
            prop_assert_eq!(next.as_ref().map(RefreshToken::to_text), same.map(|next| next.to_text()));
            prop_assert_eq!(next.map(|next| next.generation()), generation.checked_add(1));
            let api_key = ApiKey::new(secret).to_text();
            prop_assert_eq!(ApiKey::parse(&api_key).map(|key| key.to_text()), Some(api_key));
        }

        #[test]
        fn any_change_is_refused(at in 0..95usize, plain in "[A-Za-z0-9_-]", other in any::<char>()) {
            let good = first().to_text();
            for (new, end) in [("", at + 1), (&*plain, at), (&plain, at + 1), (&other.to_string(), at + 1)] {
                let changed = [&good[..at], new, &good[end..]].concat();
                prop_assert_eq!(is_refused(&changed), changed != *good);
            }
        }

        #[test]
        fn any_text_is_refused(text in "\\PC*", body in "[A-Za-z0-9_-]{91}") {
            prop_assert!(is_refused(&text));
            prop_assert!(is_refused(&["cvr_", &body].concat()));
            prop_assert!(ApiKey::parse(&text).is_none());
        }
    }
}
