//! Token status lists (draft-ietf-oauth-status-list): the claim that says where a token's status stands,
//! and the signed list it points into. Packing and compressing the list is the caller's.

use crate::jws::{KeyError, SigningKey};
use serde::{Deserialize, Serialize};

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
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StatusListToken {
    /// Where the list is: the `uri` of the tokens in it.
    pub sub: String,
    /// Who issued it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iss: Option<String>,
    /// When it was issued.
    pub iat: i64,
    /// From this second on it says nothing any more.
    pub exp: i64,
    /// For how many seconds it may be kept before a newer one is asked for.
    pub ttl: u64,
    /// The list.
    pub status_list: StatusList,
}

/// A status list (draft-ietf-oauth-status-list §4.2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StatusList {
    /// How many bits each status takes: 1, 2, 4 or 8.
    pub bits: u8,
    /// The statuses, compressed with DEFLATE in the ZLIB format, base64url.
    pub lst: String,
}

impl StatusListToken {
    /// Signs this list.
    ///
    /// # Errors
    /// If the key cannot sign.
    pub fn sign(&self, key: &SigningKey) -> Result<String, KeyError> {
        key.sign(STATUS_LIST_TOKEN, self)
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
