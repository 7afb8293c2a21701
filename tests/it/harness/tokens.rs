//! A session as its client keeps it: the latest tokens, without the person behind them.

use super::app::TestApp;
use super::callers::{Account, Answer, ByToken, Caller as _, send};
use super::wire::routes;
use claviger::http::openapi::Access;
use reqwest::{Method, RequestBuilder};

/// An access token and a refresh token that were given together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tokens {
    pub access: String,
    pub refresh: String,
}

impl Tokens {
    /// Those of an answer of `/login` or `/token`, which must be a success.
    #[track_caller]
    pub fn of(answer: &Answer) -> Self {
        assert_eq!(answer.status, 200, "{}", answer.text());
        let said = answer.json();
        let member = |name: &str| said[name].as_str().map(str::to_owned);
        let access = member("access_token").or_else(|| member("token")).unwrap();
        Self { access, refresh: member("refresh_token").unwrap() }
    }
}

impl From<&Account<'_>> for Tokens {
    fn from(account: &Account<'_>) -> Self {
        Self { access: account.token.clone(), refresh: account.refresh_token.clone() }
    }
}

/// A refresh, still to be sent.
pub fn refreshing(app: &TestApp, token: &str) -> RequestBuilder {
    app.anonymous().form("/token", &[("grant_type", "refresh_token"), ("refresh_token", token)])
}

/// Shows a refresh token at `/token`.
pub async fn refresh(app: &TestApp, token: &str) -> Answer {
    send(refreshing(app, token)).await
}

/// Asserts that every route which needs an access token refuses this one.
pub async fn assert_refused_everywhere(app: &TestApp, access: &str) {
    let caller = ByToken { app, token: access.to_owned(), header: "authorization" };
    let guarded =
        routes().into_iter().filter(|route| matches!(route.access, Access::Token | Access::Account));
    let mut asked = 0;
    for route in guarded {
        let path = route.path.replace("{id}", "01890000-0000-7000-8000-000000000000");
        let method = Method::from_bytes(route.method.as_bytes()).unwrap();
        let answer = send(caller.request(method, &path)).await;
        answer.problem(401, "invalid-token");
        asked += 1;
    }
    assert!(asked >= 8, "the routes that need a token were found");
}
