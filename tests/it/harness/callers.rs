//! Callers as types: each sends its own credentials, all ask in the same way.

use super::app::TestApp;
use reqwest::header::HeaderMap;
use reqwest::{Method, RequestBuilder};
use serde_json::Value;
use tokio::task::JoinSet;
use url::form_urlencoded::Serializer;

/// Someone who sends requests.
pub trait Caller {
    fn app(&self) -> &TestApp;

    /// Adds the caller's credentials.
    fn sign(&self, request: RequestBuilder) -> RequestBuilder;

    /// A request by this caller, still to be sent.
    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.sign(self.app().http.request(method, format!("{}{path}", self.app().url)))
    }

    async fn get(&self, path: &str) -> Answer {
        send(self.request(Method::GET, path)).await
    }

    async fn post(&self, path: &str, body: &Value) -> Answer {
        send(self.request(Method::POST, path).json(body)).await
    }

    async fn send_json(&self, method: Method, path: &str, body: &Value) -> Answer {
        send(self.request(method, path).json(body)).await
    }

    /// A form by this caller, still to be sent.
    fn form(&self, path: &str, fields: &[(&str, &str)]) -> RequestBuilder {
        let body = Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = self.request(Method::POST, path);
        request.header("content-type", "application/x-www-form-urlencoded").body(body)
    }

    async fn post_form(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        send(self.form(path, fields)).await
    }

    /// Sends bytes as they are under `content_type`.
    async fn post_raw(&self, path: &str, content_type: &str, body: impl Into<reqwest::Body>) -> Answer {
        send(self.request(Method::POST, path).header("content-type", content_type).body(body)).await
    }
}

/// Sends a request and reads the whole answer.
pub async fn send(request: RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Answer { status, headers, body: response.bytes().await.unwrap().to_vec() }
}

/// Sends requests at the same time; the answers come in the order in which they arrive.
pub async fn all_at_once(requests: impl IntoIterator<Item = RequestBuilder>) -> Vec<Answer> {
    requests.into_iter().map(send).collect::<JoinSet<Answer>>().join_all().await
}

/// A whole answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// The one value of a header; empty if there is none.
    pub fn header(&self, name: &str) -> &str {
        let mut values = self.headers.get_all(name).iter();
        let value = values.next().map_or("", |value| value.to_str().unwrap());
        assert!(values.next().is_none(), "{name} stands twice");
        value
    }

    /// All that a caller can tell two refusals apart by: status, headers and body, but for the request's id.
    pub fn essence(&self) -> (u16, Vec<(String, String)>, Value) {
        let mut headers: Vec<(String, String)> = self
            .headers
            .iter()
            .filter(|(name, _)| !matches!(name.as_str(), "x-request-id" | "date"))
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
            .collect();
        headers.sort();
        let mut body = self.json();
        body.as_object_mut().unwrap().remove("instance");
        (self.status, headers, body)
    }

    /// Asserts that this is a problem document (RFC 9457) of this status and kind, and gives it back.
    #[track_caller]
    pub fn problem(&self, status: u16, kind: &str) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        assert_eq!(self.header("content-type"), "application/problem+json");
        let document = self.json();
        assert_eq!(document["type"], format!("/docs#{kind}"), "{document}");
        assert_eq!(document["status"], status);
        assert_eq!(document["instance"], format!("urn:uuid:{}", self.header("x-request-id")));
        for member in ["title", "detail"] {
            assert!(document[member].as_str().is_some_and(|text| !text.is_empty()), "{document}");
        }
        document
    }

    /// Asserts that this is an error as OAuth has it (RFC 6749 §5.2), and gives it back.
    #[track_caller]
    pub fn oauth_error(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        assert_eq!(self.header("content-type"), "application/json");
        assert_eq!(self.header("cache-control"), "no-store");
        let document = self.json();
        assert_eq!(document.as_object().unwrap().keys().collect::<Vec<_>>(), ["error", "error_description"]);
        assert_eq!(document["error"], code, "{document}");
        assert!(document["error_description"].as_str().is_some_and(|text| !text.is_empty()), "{document}");
        document
    }
}

/// Without credentials.
#[derive(Clone, Copy)]
pub struct Anonymous<'a> {
    pub app: &'a TestApp,
}

/// With HTTP Basic.
pub struct ByPassword<'a> {
    pub app: &'a TestApp,
    pub username: String,
    pub password: String,
}

/// With a token in one of the three headers that the API reads.
pub struct ByToken<'a> {
    pub app: &'a TestApp,
    pub token: String,
    /// `authorization` (then as Bearer), `x-access-token` or `token`.
    pub header: &'static str,
}

/// A person with an account, logged in; sends its token as Bearer.
pub struct Account<'a> {
    pub app: &'a TestApp,
    pub email: String,
    pub name: String,
    pub password: String,
    pub token: String,
    pub refresh_token: String,
    pub public_id: String,
}

/// A service with an operator's API key; sends it as Bearer.
pub struct ByApiKey<'a> {
    pub app: &'a TestApp,
    pub id: String,
    pub key: String,
}

impl<'a> ByApiKey<'a> {
    /// The same service as clients of OAuth do it: its id and its key by HTTP Basic.
    pub fn by_basic(&self) -> ByPassword<'a> {
        ByPassword { app: self.app, username: self.id.clone(), password: self.key.clone() }
    }
}

impl<'a> Account<'a> {
    /// The same person in another session, as at another device.
    pub async fn elsewhere(&self) -> Self {
        let (token, refresh_token) = self.app.tokens(&self.email, &self.password).await;
        let (email, name, password) = (self.email.clone(), self.name.clone(), self.password.clone());
        let public_id = self.public_id.clone();
        Self { app: self.app, email, name, password, token, refresh_token, public_id }
    }

    /// The same person with the same tokens at another server.
    pub fn at<'b>(&self, app: &'b TestApp) -> Account<'b> {
        Account {
            app,
            email: self.email.clone(),
            name: self.name.clone(),
            password: self.password.clone(),
            token: self.token.clone(),
            refresh_token: self.refresh_token.clone(),
            public_id: self.public_id.clone(),
        }
    }

    /// Asks for new tokens with the present refresh token, which stays in `self`.
    pub async fn refresh(&self) -> Answer {
        let fields = [("grant_type", "refresh_token"), ("refresh_token", self.refresh_token.as_str())];
        self.app.anonymous().post_form("/token", &fields).await
    }

    /// The same person at the login.
    pub fn by_password(&self) -> ByPassword<'a> {
        ByPassword { app: self.app, username: self.email.clone(), password: self.password.clone() }
    }

    /// The same person with the token in another header.
    pub fn by_token(&self, header: &'static str) -> ByToken<'a> {
        ByToken { app: self.app, token: self.token.clone(), header }
    }
}

impl Caller for Anonymous<'_> {
    fn app(&self) -> &TestApp {
        self.app
    }

    fn sign(&self, request: RequestBuilder) -> RequestBuilder {
        request
    }
}

impl Caller for ByPassword<'_> {
    fn app(&self) -> &TestApp {
        self.app
    }

    fn sign(&self, request: RequestBuilder) -> RequestBuilder {
        request.basic_auth(&self.username, Some(&self.password))
    }
}

impl Caller for ByToken<'_> {
    fn app(&self) -> &TestApp {
        self.app
    }

    fn sign(&self, request: RequestBuilder) -> RequestBuilder {
        match self.header {
            "authorization" => request.bearer_auth(&self.token),
            name => request.header(name, &self.token),
        }
    }
}

impl Caller for Account<'_> {
    fn app(&self) -> &TestApp {
        self.app
    }

    fn sign(&self, request: RequestBuilder) -> RequestBuilder {
        request.bearer_auth(&self.token)
    }
}

impl Caller for ByApiKey<'_> {
    fn app(&self) -> &TestApp {
        self.app
    }

    fn sign(&self, request: RequestBuilder) -> RequestBuilder {
        request.bearer_auth(&self.key)
    }
}
