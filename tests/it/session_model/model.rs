//! The model: what a session is, without a server.

use crate::harness::decode;
use claviger::base::id::AccountId;
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use serde_json::json;

pub const SECOND: i64 = 1_000_000;
pub const DAY: i64 = 86_400 * SECOND;
pub const WINDOW: i64 = 10 * SECOND;
pub const ACCESS: i64 = 900 * SECOND;
pub const IDLE: i64 = 30 * DAY;
pub const ABSOLUTE: i64 = 90 * DAY;

pub struct Person {
    pub email: String,
    pub id: AccountId,
    /// All so far, the present one last.
    pub passwords: Vec<String>,
    pub disabled: bool,
    pub deleted: bool,
}

pub struct AccessToken {
    pub text: String,
    pub until: i64,
    pub may_change: bool,
}

pub struct Session {
    pub sid: String,
    pub person: usize,
    pub absolute: i64,
    pub expires: i64,
    pub ended: bool,
    pub access: Vec<AccessToken>,
    /// All so far, the present one last; those before it with the time of their first use.
    pub refresh: Vec<String>,
    pub spent: Vec<i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Rotate,
    Repeat,
    Reuse,
    Refuse,
}

impl Session {
    pub fn is_live(&self, now: i64) -> bool {
        !self.ended && now < self.expires
    }

    pub fn verdict(&self, token: usize, now: i64) -> Verdict {
        match self.spent.get(token) {
            _ if !self.is_live(now) => Verdict::Refuse,
            None => Verdict::Rotate,
            Some(spent) if now - spent <= WINDOW => Verdict::Repeat,
            Some(_) => Verdict::Reuse,
        }
    }

    pub fn opens(&self, token: &AccessToken, now: i64) -> bool {
        !self.ended && now / SECOND < token.until / SECOND
    }

    /// Keeps an access token given now, whose claims must be as the model has them.
    pub fn keep_access(&mut self, text: String, may_change: bool, now: i64) -> TestCaseResult {
        let until = (now + ACCESS).min(self.expires);
        let (_, claims) = decode(&text);
        let scope = if may_change { "account profile" } else { "profile" };
        prop_assert_eq!(&claims["exp"], until / SECOND);
        prop_assert_eq!((&claims["sid"], &claims["scope"]), (&json!(self.sid), &json!(scope)));
        self.access.push(AccessToken { text, until, may_change });
        Ok(())
    }
}
