//! Token status lists (draft-ietf-oauth-status-list): the claim that says where a token's status stands,
//! and the signed list it points into. Packing and compressing the list is the caller's.

use crate::json;
use crate::jws::{self, Header, KeyError, SigningKey, Unverified, VerifyingKey};
use serde::{Deserialize, Serialize};

/// Longer status list tokens are refused before anything in them is decoded: twice what a list of 2^20 sessions takes
/// that cannot be compressed. Bytes.
pub const MAX_LIST_TOKEN_LENGTH: usize = 512 * 1024;

/// `typ` of a status list token (draft-ietf-oauth-status-list §5.1).
pub const STATUS_LIST_TOKEN: &str = "statuslist+jwt";

/// The `status` claim of a token with a place in a list (draft-ietf-oauth-status-list §6.2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusClaim {
    /// The place.
    #[serde(deserialize_with = "crate::json::object")]
    pub status_list: StatusReference,
}

/// A place in a status list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusReference {
    /// The index of the token's status in the list.
    pub idx: u64,
    /// Where the list is: the `sub` of its status list token.
    pub uri: String,
}

impl StatusClaim {
    /// The claim of the token at `idx` of the list at `uri`.
    pub fn new(idx: u64, uri: String) -> Self {
        Self { status_list: StatusReference { idx, uri } }
    }
}

/// The claims of a status list token (draft-ietf-oauth-status-list §5.1). Times are whole seconds since
/// 1970 UTC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusListToken {
    /// Where the list is: the `uri` of the tokens in it.
    pub sub: String,
    /// Who issued it.
    #[serde(default, deserialize_with = "json::present", skip_serializing_if = "Option::is_none")]
    pub iss: Option<String>,
    /// When it was issued.
    pub iat: i64,
    /// From this second on it says nothing any more.
    pub exp: i64,
    /// For how many seconds it may be kept before a newer one is asked for.
    pub ttl: u64,
    /// The list.
    #[serde(deserialize_with = "json::object")]
    pub status_list: StatusList,
}

/// A status list (draft-ietf-oauth-status-list §4.2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusList {
    /// How many bits each status takes: 1, 2, 4 or 8.
    pub bits: u8,
    /// The statuses, compressed with DEFLATE in the ZLIB format, base64url.
    pub lst: String,
}

/// What a status list token's claims are held against.
#[derive(Clone, Copy, Debug)]
pub struct ExpectedList<'a> {
    /// The exact issuer.
    pub issuer: &'a str,
    /// The `uri` of the tokens whose status is asked for.
    pub uri: &'a str,
    /// The time of the check, seconds since 1970 UTC.
    pub now: i64,
}

/// Why a status list token is refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Over [`MAX_LIST_TOKEN_LENGTH`].
    #[error("it is longer than 512 kB")]
    TooLong,
    /// Its form, key, kind or signature.
    #[error(transparent)]
    Jws(#[from] jws::Error),
    /// A claim is missing or of the wrong JSON type.
    #[error("its claims are not those of a status list")]
    Claims,
    /// Another server issued it.
    #[error("another issuer made it")]
    WrongIssuer,
    /// `sub` is not where the tokens say that their list is (draft-ietf-oauth-status-list §8.3).
    #[error("it is another list")]
    WrongList,
    /// `exp` has come.
    #[error("it has expired")]
    Expired,
}

impl StatusListToken {
    /// Signs this list.
    ///
    /// # Errors
    /// If the key cannot sign.
    pub fn sign(&self, key: &SigningKey) -> Result<String, KeyError> {
        key.sign(STATUS_LIST_TOKEN, self)
    }

    /// Verifies a list with the key that `find` returns for its `kid`, then its claims
    /// (draft-ietf-oauth-status-list §8.3). What it holds is still compressed.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn verify<K: AsRef<VerifyingKey>>(
        token: &str,
        expected: ExpectedList<'_>,
        find: impl FnOnce(&str) -> Option<K>,
    ) -> Result<Self, Error> {
        if token.len() > MAX_LIST_TOKEN_LENGTH {
            return Err(Error::TooLong);
        }
        let parsed = Unverified::<Header>::parse_within(MAX_LIST_TOKEN_LENGTH, token)?;
        let payload = parsed.verify(STATUS_LIST_TOKEN, find)?;
        let claims: Self = json::from_object(&payload).ok_or(Error::Claims)?;
        if claims.iss.as_deref() != Some(expected.issuer) {
            return Err(Error::WrongIssuer);
        }
        if claims.sub != expected.uri {
            return Err(Error::WrongList);
        }
        if claims.exp <= expected.now { Err(Error::Expired) } else { Ok(claims) }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use crate::jws::{Error, KeyKind, Unverified, VerifyingKey};
    use serde_json::json;

    // The payload of the draft's §5.1, whose list holds the sixteen statuses of §4.1.
    #[test]
    fn draft_section_5_1() {
        let list = StatusListToken {
            sub: "https://example.com/statuslists/1".to_owned(),
            iss: None,
            iat: 1_686_920_170,
            exp: 2_291_720_170,
            ttl: 43_200,
            status_list: StatusList { bits: 1, lst: "eNrbuRgAAhcBXQ".to_owned() },
        };
        let key = SigningKey::generate(KeyKind::P256).unwrap();
        let token = list.sign(&key).unwrap();
        let verifier = VerifyingKey::from_jwk(key.public()).unwrap();
        let verify = |typ| Unverified::parse(&token).unwrap().verify(typ, |_| Some(&verifier));
        let mut expected = json!({
            "exp": 2_291_720_170_i64, "iat": 1_686_920_170, "ttl": 43_200,
            "status_list": { "bits": 1, "lst": "eNrbuRgAAhcBXQ" },
            "sub": "https://example.com/statuslists/1",
        });
        let payload = verify(STATUS_LIST_TOKEN).unwrap();
        assert_eq!(serde_json::from_slice::<serde_json::Value>(&payload).unwrap(), expected);
        assert_eq!(verify(crate::jwt::ACCESS_TOKEN), Err(Error::WrongType));
        expected["iss"] = json!("https://example.com");
        let named = StatusListToken { iss: Some("https://example.com".to_owned()), ..list };
        assert_eq!(serde_json::to_value(named).unwrap(), expected);
    }

    #[test]
    fn a_list_is_held_against_its_issuer_its_place_and_its_end() {
        let key = SigningKey::generate(KeyKind::Ed25519).unwrap();
        let verifier = VerifyingKey::from_jwk(key.public()).unwrap();
        let status_list = StatusList { bits: 1, lst: "eNrbuRgAAhcBXQ".to_owned() };
        let (iss, sub) = ("https://a.example", "https://a.example/status/0");
        let list = StatusListToken {
            iss: Some(iss.into()),
            sub: sub.into(),
            iat: 0,
            exp: 600,
            ttl: 20,
            status_list: status_list.clone(),
        };
        let read = |token: &str, issuer, uri, now| {
            StatusListToken::verify(token, ExpectedList { issuer, uri, now }, |_| Some(&verifier))
        };
        let token = list.sign(&key).unwrap();
        assert_eq!(read(&token, iss, sub, 599), Ok(list.clone()));
        assert_eq!(read(&token, iss, sub, 600), Err(super::Error::Expired));
        assert_eq!(read(&token, "https://b.example", sub, 0), Err(super::Error::WrongIssuer));
        assert_eq!(read(&token, iss, "https://a.example/status/1", 0), Err(super::Error::WrongList));
        let unnamed = StatusListToken { iss: None, ..list }.sign(&key).unwrap();
        assert_eq!(read(&unnamed, iss, sub, 0), Err(super::Error::WrongIssuer));
        let other = key.sign(crate::jwt::ACCESS_TOKEN, &json!({})).unwrap();
        assert_eq!(read(&other, iss, sub, 0), Err(Error::WrongType.into()));
        let half =
            json!({"iss": iss, "sub": sub, "iat": 0, "exp": 600, "ttl": 20, "status_list": [1, "eNr"]});
        let half = key.sign(STATUS_LIST_TOKEN, &half).unwrap();
        assert_eq!(read(&half, iss, sub, 0), Err(super::Error::Claims));
    }

    #[test]
    fn a_list_may_be_longer_than_a_token_but_not_any_length() {
        let key = SigningKey::generate(KeyKind::Ed25519).unwrap();
        let verifier = VerifyingKey::from_jwk(key.public()).unwrap();
        let read = |length: usize| {
            let iss = "https://a.example";
            let status_list = json!({"bits": 1, "lst": "A".repeat(length)});
            let claims =
                json!({"iss": iss, "sub": iss, "iat": 0, "exp": 1, "ttl": 1, "status_list": status_list});
            let token = key.sign(STATUS_LIST_TOKEN, &claims).unwrap();
            let expected = ExpectedList { issuer: iss, uri: iss, now: 0 };
            StatusListToken::verify(&token, expected, |_| Some(&verifier)).map(|_| ())
        };
        assert_eq!(read(175_000), Ok(()), "2^20 sessions, not compressed at all");
        assert_eq!(read(400_000), Err(super::Error::TooLong));
    }

    #[test]
    fn draft_section_6_2() {
        let claim = StatusClaim::new(0, "https://example.com/statuslists/1".to_owned());
        let text = r#"{"status_list":{"idx":0,"uri":"https://example.com/statuslists/1"}}"#;
        assert_eq!(serde_json::to_string(&claim).unwrap(), text);
        assert_eq!(serde_json::from_str::<StatusClaim>(text).unwrap(), claim);
    }

    #[test]
    fn other_forms_are_refused() {
        let is_read = |text: &str| serde_json::from_str::<StatusClaim>(text).is_ok();
        for text in [
            r#"null "u" [] {} {"status_list":null} {"status_list":[]} {"status_list":[7,"u"]}"#,
            r#"{"status_list":"u"} {"status_list":{}} {"status_list":{"idx":7}} {"status_list":{"uri":"u"}}"#,
            r#"{"idx":7,"uri":"u"} {"status_list":{"idx":7,"uri":1}} {"status_list":{"idx":7,"uri":null}}"#,
            r#"{"status_list":{"idx":7,"uri":"u"},"status_list":{"idx":7,"uri":"u"}}"#,
            r#"{"status_list":{"idx":7,"idx":7,"uri":"u"}} {"status_list":{"idx":7,"uri":"u","uri":"u"}}"#,
        ] {
            for text in text.split(' ') {
                assert!(!is_read(text), "{text}");
            }
        }
        let with_idx = |idx: &str| format!(r#"{{"status_list":{{"idx":{idx},"uri":"u"}}}}"#);
        for idx in r#"-1 -0 "7" 7.0 7e0 null true [7] {} 18446744073709551616 07 +7"#.split(' ') {
            assert!(!is_read(&with_idx(idx)), "{idx}");
        }
        assert!(["0", "7", "18446744073709551615"].iter().all(|idx| is_read(&with_idx(idx))));
    }
}
