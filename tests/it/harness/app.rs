//! A server of its own for each test, on a free port of loopback, with a clock that the test moves.

use super::callers::{Account, Anonymous, Answer, ByApiKey, Caller as _, send};
use super::database::{count, database};
use super::postgres::{note_statements, url_of};
use super::secure::Certificate;
use super::way::Way;
use claviger::api_keys::{self, KeyScope};
use claviger::app::App;
use claviger::base::time::Clock;
use claviger::config::raw::{Raw, Source, find};
use claviger::config::{Config, resolve};
use claviger::jobs;
use claviger::server::{self, Server};
use serde_json::json;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tempfile::TempDir;

/// When the tests' clocks start: 2026-11-23T12:00:00Z, in seconds.
pub const NOW: i64 = 1_795_435_200;

pub struct TestApp {
    pub url: String,
    pub issuer: String,
    folder: TempDir,
    clock: Arc<AtomicI64>,
    settings: Vec<(&'static str, String)>,
    server: Server,
    pub http: reqwest::Client,
}

impl TestApp {
    /// In the production posture, with the defaults.
    pub async fn start() -> Self {
        Self::with(&[]).await
    }

    /// In the posture of `serve --dev`.
    pub async fn dev() -> Self {
        Self::with(&[("dev", "true")]).await
    }

    /// With these settings, by their keys in `claviger.toml`.
    pub async fn with(settings: &[(&'static str, &str)]) -> Self {
        let settings = settings.iter().map(|(key, value)| (*key, (*value).to_owned())).collect();
        let clock = Arc::new(AtomicI64::new(NOW * 1_000_000));
        Self::launch(tempfile::tempdir().unwrap(), clock, settings).await
    }

    /// On a folder that a server has left behind, at this time, in seconds since 1970.
    pub async fn on(folder: TempDir, now: i64) -> Self {
        Self::launch(folder, Arc::new(AtomicI64::new(now * 1_000_000)), Vec::new()).await
    }

    /// The server's address and port.
    pub fn address(&self) -> SocketAddr {
        self.server.address
    }

    /// Begins the stop that SIGTERM brings, without its delay; over when [`Self::stopped`] is.
    pub fn stop(&self) {
        self.server.drain();
    }

    /// Waits for the end of a stop.
    pub async fn stopped(&mut self) {
        self.server.ended().await.unwrap();
    }

    /// Ends the server and starts it again on the same folder, at the same time of its clock.
    pub async fn restart(self) -> Self {
        let Self { folder, clock, settings, mut server, http, .. } = self;
        drop(http);
        server.drain();
        server.ended().await.unwrap();
        // It holds the data folder as long as something holds it.
        drop(server);
        Self::launch(folder, clock, settings).await
    }

    /// The same, with other settings.
    pub async fn restart_with(mut self, settings: &[(&'static str, &str)]) -> Self {
        self.settings = settings.iter().map(|(key, value)| (*key, (*value).to_owned())).collect();
        self.restart().await
    }

    /// Over TLS with this certificate, with these settings.
    pub async fn over_tls(certificate: &Certificate, settings: &[(&'static str, &str)]) -> Self {
        let files = certificate.settings();
        let files = files.iter().map(|(key, value)| (*key, value.as_str()));
        Self::with(&settings.iter().copied().chain(files).collect::<Vec<_>>()).await
    }

    /// In the production posture, with its PostgreSQL behind a way that the test can cut, and perhaps with refreshes
    /// in its trail.
    pub async fn behind_a_way(audits: bool) -> (Arc<Way>, Self) {
        let (folder, clock) = (tempfile::tempdir().unwrap(), Arc::new(AtomicI64::new(NOW * 1_000_000)));
        let url = url_of(folder.path()).expect("only a server can be away");
        let way = Way::to(&url);
        let settings = vec![("database_url", way.url(&url)), ("audit_refreshes", audits.to_string())];
        (way, Self::launch(folder, clock, settings).await)
    }

    /// Another server of the same installation, on the same database, with the same clock.
    pub async fn beside(&self) -> Self {
        let mut settings = self.settings.clone();
        let master_key = self.data_dir().join("master.key");
        settings.push(("master_key_file", master_key.display().to_string()));
        settings.push(("database_url", url_of(self.data_dir()).expect("only a server serves two")));
        Self::launch(tempfile::tempdir().unwrap(), self.clock.clone(), settings).await
    }

    async fn launch(folder: TempDir, clock: Arc<AtomicI64>, settings: Vec<(&'static str, String)>) -> Self {
        let scheme = if settings.iter().any(|(key, _)| *key == "tls_cert") { "https" } else { "http" };
        let issuer = format!("{scheme}://claviger.test");
        note_statements();
        let config = config(folder.path(), &issuer, &settings);
        let server = server::start(config, Clock::Manual(clock.clone())).await.unwrap();
        let url = format!("{scheme}://{}", server.address);
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { url, issuer, folder, clock, settings, server, http }
    }

    /// The configuration of a server like this one.
    pub fn config(&self) -> Config {
        config(self.folder.path(), &self.issuer, &self.settings)
    }

    /// The folder of the database and the master key.
    pub fn data_dir(&self) -> &Path {
        self.folder.path()
    }

    /// What the server has. To be dropped before a restart.
    pub fn app(&self) -> Arc<App> {
        self.server.app.clone()
    }

    /// The page of its metrics; it must have been started with `metrics_listen`.
    pub async fn metrics(&self) -> Answer {
        send(self.http.get(format!("{}/metrics", self.metrics_url()))).await
    }

    /// Where its metrics are.
    pub fn metrics_url(&self) -> String {
        format!("http://{}", self.server.metrics_address.expect("metrics are off"))
    }

    /// Moves the server's clock ahead.
    pub fn advance(&self, by: Duration) {
        self.clock.fetch_add(i64::try_from(by.as_micros()).unwrap(), Ordering::SeqCst);
    }

    /// Moves the server's clock back, as an operator may who finds it wrong.
    pub fn set_back(&self, by: Duration) {
        self.clock.fetch_sub(i64::try_from(by.as_micros()).unwrap(), Ordering::SeqCst);
    }

    /// Waits until the server has published its next key, which it does by itself a second after its first
    /// start. From then on, until a rotation, its trail tells of what others do alone.
    pub async fn settled(self) -> Self {
        for _ in 0..1000 {
            if count(&database(self.data_dir()), "signing_keys") > 1 {
                return self;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the server makes no next key");
    }

    /// A caller without credentials.
    pub fn anonymous(&self) -> Anonymous<'_> {
        Anonymous { app: self }
    }

    /// Makes an account `NAME@example.org` and logs it in.
    pub async fn account(&self, name: &str) -> Account<'_> {
        let person = self.person(name);
        let body = json!({"email": person.email, "name": name, "password": person.password});
        let made = self.anonymous().post("/user", &body).await;
        assert_eq!(made.status, 201, "{}", made.text());
        let public_id = made.json()["user"]["public_id"].as_str().unwrap().to_owned();
        let (token, refresh_token) = self.tokens(&person.email, &person.password).await;
        Account { token, refresh_token, public_id, ..person }
    }

    /// The person of [`Self::account`] with no tokens: before that, or again after a restart.
    pub fn person(&self, name: &str) -> Account<'_> {
        Account {
            app: self,
            email: format!("{name}@example.org"),
            name: name.to_owned(),
            password: format!("{name} likes long walks"),
            token: String::new(),
            refresh_token: String::new(),
            public_id: String::new(),
        }
    }

    /// The access token and the refresh token of a new session.
    pub async fn tokens(&self, email: &str, password: &str) -> (String, String) {
        let answer = self.anonymous().post("/login", &json!({"email": email, "password": password})).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let said = answer.json();
        let member = |name: &str| said[name].as_str().unwrap().to_owned();
        (member("token"), member("refresh_token"))
    }

    /// The text of a new API key, made as `claviger api-key create` does.
    pub async fn api_key(&self, scopes: &[KeyScope]) -> String {
        self.service(scopes).await.key
    }

    /// A service to which an operator gave a new API key.
    pub async fn service(&self, scopes: &[KeyScope]) -> ByApiKey<'_> {
        let cx = jobs::system(self.app());
        let (stored, key) =
            api_keys::flow::create(&cx, "a service".to_owned(), scopes.to_vec(), None).await.unwrap();
        ByApiKey { app: self, id: stored.id.to_string(), key: key.to_text().to_string() }
    }
}

fn config(folder: &Path, issuer: &str, settings: &[(&'static str, String)]) -> Config {
    let mut raw = Raw::default();
    let own = [
        ("listen", "127.0.0.1:0".to_owned()),
        ("issuer", issuer.to_owned()),
        ("data_dir", folder.display().to_string()),
        ("database_url", url_of(folder).unwrap_or_default()),
        // Tests ask more often than people do; those of the limits turn them on.
        ("limits", "false".to_owned()),
    ];
    for (key, value) in own.iter().chain(settings) {
        raw.set(find(key).expect(key), value, Source::Flag);
    }
    resolve(&raw).unwrap_or_else(|faults| panic!("{faults:?}"))
}
