//! What a verified token says.

use claviger_crypto::jwt::AccessToken;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The claims of a token that was verified (RFC 9068 §2.2). There is no other way to make one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims(AccessToken);

impl Claims {
    pub(crate) fn new(verified: AccessToken) -> Self {
        Self(verified)
    }

    pub(crate) fn token(&self) -> &AccessToken {
        &self.0
    }

    /// `sub`: the account's id. Never another account's, and it stays when the e-mail address changes.
    pub fn subject(&self) -> &str {
        &self.0.sub
    }

    /// `iss`: the server that issued the token.
    pub fn issuer(&self) -> &str {
        &self.0.iss
    }

    /// `aud`: whom it is for.
    pub fn audience(&self) -> &str {
        &self.0.aud
    }

    /// `sid`: the session that it was issued in.
    pub fn session_id(&self) -> &str {
        &self.0.sid
    }

    /// `client_id`: the client that it was issued to.
    pub fn client_id(&self) -> &str {
        &self.0.client_id
    }

    /// `jti`: this token's own id.
    pub fn token_id(&self) -> &str {
        &self.0.jti
    }

    /// `scope` as it stands in the token: what it allows, separated by spaces.
    pub fn scope(&self) -> &str {
        &self.0.scope
    }

    /// What the token allows, one by one.
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        self.0.scope.split(' ').filter(|scope| !scope.is_empty())
    }

    /// Whether the token allows `scope`, compared as an exact string (RFC 6749 §3.3).
    pub fn has_scope(&self, scope: &str) -> bool {
        self.scopes().any(|allowed| allowed == scope)
    }

    /// `iat`: when it was issued.
    pub fn issued_at(&self) -> SystemTime {
        moment(self.0.iat)
    }

    /// `exp`: from then on it is refused.
    pub fn expires_at(&self) -> SystemTime {
        moment(self.0.exp)
    }
}

fn moment(seconds: i64) -> SystemTime {
    let by = Duration::from_secs(seconds.unsigned_abs());
    let moment = if seconds < 0 { UNIX_EPOCH.checked_sub(by) } else { UNIX_EPOCH.checked_add(by) };
    moment.unwrap_or(UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;
    use claviger_crypto::status::StatusClaim;

    fn with_scope(scope: &str) -> Claims {
        let text = |text: &str| text.to_owned();
        Claims(AccessToken {
            iss: text("i"),
            sub: text("s"),
            aud: text("a"),
            exp: 20,
            iat: -10,
            nbf: None,
            jti: text("j"),
            client_id: text("c"),
            sid: text("d"),
            scope: text(scope),
            status: StatusClaim::new(0, text("u")),
            public_id: text("s"),
        })
    }

    #[test]
    fn a_scope_is_a_whole_word() {
        let claims = with_scope("orders:read  profile");
        assert!(claims.has_scope("profile") && claims.has_scope("orders:read"));
        for other in ["orders", "read", "Profile", "", " ", "orders:read  profile"] {
            assert!(!claims.has_scope(other), "{other}");
        }
        assert_eq!(claims.scopes().count(), 2);
        assert_eq!(with_scope("").scopes().count(), 0);
    }

    #[test]
    fn times_are_moments() {
        let claims = with_scope("");
        assert_eq!(claims.expires_at(), UNIX_EPOCH + Duration::from_secs(20));
        assert_eq!(claims.issued_at(), UNIX_EPOCH - Duration::from_secs(10));
        assert!(moment(i64::MIN) < moment(-10) && moment(10) < moment(i64::MAX));
    }
}
