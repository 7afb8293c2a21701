//! What the audit trail tells of each change: one event with who, what, whom, from where and how it went.

use crate::harness::{Account, Answer, ByApiKey, Caller as _, TestApp, database, decode, send};
use claviger::api_keys::{self, KeyScope};
use claviger::app::Cx;
use claviger::audit::{Actor, Entry, Filter, Kind, Page, Verified, flow};
use claviger::base::id::{AccountId, SessionId};
use claviger::{admin, jobs};
use reqwest::{Method, RequestBuilder};
use serde_json::json;
use std::collections::HashSet;
use std::time::Duration;
use uuid::Uuid;

const SETTINGS: [(&str, &str); 5] = [
    ("limits", "true"),
    ("trusted_proxies", "127.0.0.1"),
    ("dev", "true"),
    ("hash_memory_kib", "8"),
    ("hash_passes", "1"),
];

/// The trail of a server, and what of it was looked at.
struct Trail<'a> {
    app: &'a TestApp,
    seen: HashSet<Uuid>,
    requests: u8,
}

/// An event, but for when and in which request.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    event: String,
    outcome: String,
    actor: String,
    account: Option<String>,
    session: Option<String>,
    address: Option<String>,
    detail: Option<String>,
}

impl From<&Entry> for Told {
    fn from(entry: &Entry) -> Self {
        let personal = entry.personal.clone().unwrap();
        Self {
            event: entry.event.clone(),
            outcome: entry.outcome.clone(),
            actor: personal.actor,
            account: personal.account,
            session: personal.session,
            address: personal.address,
            detail: entry.detail.clone(),
        }
    }
}

impl<'a> Trail<'a> {
    /// From now on.
    async fn of(app: &'a TestApp) -> Self {
        let mut trail = Self { app, seen: HashSet::new(), requests: 0 };
        trail.unseen().await;
        trail
    }

    /// All events that were not seen yet.
    async fn unseen(&mut self) -> Vec<Entry> {
        let page = Page { before: None, limit: 1000 };
        let all = flow::list(&self.app.app().db, Filter::default(), page).await.unwrap();
        all.into_iter().filter(|entry| self.seen.insert(entry.id)).collect()
    }

    /// Sends a request from an address of its own, a second later.
    async fn send(&mut self, request: RequestBuilder) -> (Answer, String) {
        self.app.advance(Duration::from_secs(1));
        self.requests += 1;
        let address = format!("198.51.100.{}", self.requests);
        (send(request.header("x-forwarded-for", &address)).await, address)
    }

    /// Sends a request that must leave one event, `event` of `actor`, and gives back its answer.
    async fn leaves(&mut self, request: RequestBuilder, status: u16, expected: Told) -> Answer {
        let (answer, address) = self.send(request).await;
        assert_eq!(answer.status, status, "{}: {}", expected.event, answer.text());
        let new = self.unseen().await;
        assert_eq!(new.len(), 1, "{}: {new:?}", expected.event);
        assert_eq!(Told::from(&new[0]), Told { address: Some(address), ..expected });
        assert_eq!(new[0].request_id.to_string(), answer.header("x-request-id"));
        assert_eq!(new[0].at, self.app.app().clock.now());
        answer
    }

    /// Sends a request that changes nothing and must leave none.
    async fn leaves_nothing(&mut self, request: RequestBuilder, status: u16) {
        let (answer, _) = self.send(request).await;
        assert_eq!(answer.status, status, "{}", answer.text());
        assert_eq!(self.unseen().await, []);
    }

    /// Asserts that the run of an operator's command left one event.
    async fn has_one(&mut self, cx: &Cx, expected: Told) {
        let new = self.unseen().await;
        assert_eq!(new.iter().map(Told::from).collect::<Vec<_>>(), [expected]);
        assert_eq!((new[0].request_id, new[0].at), (cx.origin.request_id, cx.now));
    }

    /// Asserts that the chain is whole, sealed to its end.
    async fn assert_whole(&self) {
        let app = self.app.app();
        flow::seal(&app.db, &app.secrets.audit).await.unwrap();
        let Verified { events, unsealed, broken } = flow::verify(&app.db, &app.secrets.audit).await.unwrap();
        assert_eq!((unsealed, broken), (0, None));
        let page = Page { before: None, limit: 1000 };
        let all = flow::list(&app.db, Filter::default(), page).await.unwrap();
        assert!(events > 0 && events == all.len() as u64);
    }
}

/// An event that `actor` did to the account of `whom`.
fn told(event: &str, actor: &str, whom: Option<&str>, session: Option<&str>) -> Told {
    Told {
        event: event.to_owned(),
        outcome: "success".to_owned(),
        actor: actor.to_owned(),
        account: whom.map(str::to_owned),
        session: session.map(str::to_owned),
        address: None,
        detail: None,
    }
}

fn session_of(token: &str) -> String {
    decode(token).1["sid"].as_str().unwrap().to_owned()
}

fn login(app: &TestApp, identifier: &str, password: &str) -> RequestBuilder {
    let body = json!({"email": identifier, "password": password});
    app.anonymous().request(Method::POST, "/login").json(&body)
}

fn refresh(app: &TestApp, token: &str) -> RequestBuilder {
    app.anonymous().form("/token", &[("grant_type", "refresh_token"), ("refresh_token", token)])
}

/// Every value of every event, as text where it is text and as bytes.
fn rows(app: &TestApp) -> Vec<Vec<u8>> {
    database(app.data_dir()).query("SELECT * FROM audit_events", [], |row| Ok(row.bytes())).unwrap()
}

/// How many of the events hold these bytes.
fn holding(rows: &[Vec<u8>], part: impl AsRef<[u8]>) -> usize {
    let part = part.as_ref();
    rows.iter().filter(|row| row.windows(part.len()).any(|window| window == part)).count()
}

#[tokio::test]
async fn checklist_90_every_change_leaves_one_event() {
    let app = TestApp::with(&SETTINGS).await.settled().await;
    let service = app.service(&KeyScope::ALL).await;
    app.account("zoe").await;
    let mut trail = Trail::of(&app).await;
    let person = app.person("alice");
    let body = json!({"email": person.email, "name": "alice", "password": person.password});
    let sign_up = || app.anonymous().request(Method::POST, "/user").json(&body);

    let (made, address) = trail.send(sign_up()).await;
    let id = made.json()["user"]["public_id"].as_str().unwrap().to_owned();
    let owner = format!("account:{id}");
    let new = trail.unseen().await;
    assert_eq!(
        new.iter().map(Told::from).collect::<Vec<_>>(),
        [Told { address: Some(address), ..told("sign-up", &owner, Some(&id), None) }]
    );
    assert_eq!(new[0].request_id.to_string(), made.header("x-request-id"));
    trail.leaves_nothing(sign_up(), 409).await;

    let (token, refresh_token) = logged_in(&mut trail, &person, &id).await;
    let session = session_of(&token);
    let alice = Account { token, refresh_token, public_id: id.clone(), ..person };
    trail.leaves_nothing(login(&app, &alice.email, "a wrong one"), 401).await;
    trail.leaves_nothing(alice.request(Method::GET, "/user/profile"), 200).await;
    trail.leaves_nothing(alice.request(Method::GET, "/user/sessions"), 200).await;

    let rename = alice.request(Method::PATCH, "/user/profile").json(&json!({"name": "Alice Liddell"}));
    let renamed = Told { detail: Some("name".into()), ..told("profile-change", &owner, Some(&id), None) };
    trail.leaves(rename, 200, renamed).await;
    trail.leaves_nothing(alice.request(Method::PATCH, "/user/profile").json(&json!({})), 200).await;

    let own = |event| told(event, &owner, Some(&id), Some(&session));
    trail.leaves(refresh(&app, &alice.refresh_token), 200, own("refresh")).await;
    trail.leaves_nothing(refresh(&app, &alice.refresh_token), 200).await;
    trail.leaves_nothing(refresh(&app, "cvr_x"), 400).await;
    app.advance(Duration::from_secs(11));
    let reuse = told("refresh-reuse", "anonymous", Some(&id), Some(&session));
    let reuse = Told { outcome: "refused".to_owned(), ..reuse };
    trail.leaves(refresh(&app, &alice.refresh_token), 400, reuse).await;
    trail.leaves_nothing(refresh(&app, &alice.refresh_token), 400).await;

    sessions_end(&mut trail, &alice, &service).await;
    trail.assert_whole().await;
    let rows = rows(&app);
    assert!(holding(&rows, &id) > 10);
    for secret in [&alice.email, &alice.password, &alice.token, &alice.refresh_token, &service.key] {
        assert_eq!(holding(&rows, secret), 0, "{secret}");
    }
    for secret in ["a wrong one", "something new", "Liddell", "cvr_", "cvk_", "eyJ", "argon2"] {
        assert_eq!(holding(&rows, secret), 0, "{secret}");
    }
}

/// Logs in, and gives back the tokens.
async fn logged_in(trail: &mut Trail<'_>, person: &Account<'_>, id: &str) -> (String, String) {
    let (answer, address) = trail.send(login(person.app, &person.email, &person.password)).await;
    let member = |name: &str| answer.json()[name].as_str().unwrap().to_owned();
    let session = session_of(&member("token"));
    let new = trail.unseen().await;
    let login = told("login", &format!("account:{id}"), Some(id), Some(&session));
    assert_eq!(new.iter().map(Told::from).collect::<Vec<_>>(), [Told { address: Some(address), ..login }]);
    assert_eq!(new[0].request_id.to_string(), answer.header("x-request-id"));
    (member("token"), member("refresh_token"))
}

/// All the ways in which sessions end, and a change of the password.
async fn sessions_end(trail: &mut Trail<'_>, alice: &Account<'_>, service: &ByApiKey<'_>) {
    let (app, id) = (alice.app, alice.public_id.as_str());
    let owner = format!("account:{id}");
    let mut tokens = Vec::new();
    for _ in 0..7 {
        tokens.push(logged_in(trail, alice, id).await.0);
    }
    let [one, two, three, four, five, six, mine] = tokens.try_into().unwrap();
    let ended =
        |event: &str, actor: &str, token: &str| told(event, actor, Some(id), Some(&session_of(token)));
    let by = |token: &str, method, path: &str| app.anonymous().request(method, path).bearer_auth(token);
    trail.leaves(by(&one, Method::POST, "/logout"), 204, ended("logout", &owner, &one)).await;
    trail.leaves_nothing(by(&one, Method::POST, "/logout"), 401).await;
    let path = format!("/user/sessions/{}", session_of(&two));
    trail.leaves(by(&mine, Method::DELETE, &path), 204, ended("logout", &owner, &two)).await;
    trail.leaves_nothing(by(&mine, Method::DELETE, &path), 404).await;

    let revoke = service.form("/revoke", &[("token", &three)]);
    let by_key = ended("revoke", &format!("api-key:{}", service.id), &three);
    trail.leaves(revoke, 200, by_key).await;
    trail.leaves_nothing(service.form("/revoke", &[("token", &three)]), 200).await;
    trail.leaves_nothing(service.form("/introspect", &[("token", &mine)]), 200).await;
    let revoke = app.anonymous().form("/revoke", &[("token", &four), ("client_id", "claviger")]);
    trail.leaves(revoke, 200, ended("revoke", "anonymous", &four)).await;

    let change = |current: &str| {
        let body = json!({"current_password": current, "new_password": "something new", "keep_other_sessions": true});
        by(&mine, Method::PUT, "/user/password").json(&body)
    };
    trail.leaves_nothing(change("a wrong one"), 403).await;
    trail.leaves(change(&alice.password), 204, told("password-change", &owner, Some(id), None)).await;

    let (answer, _) = trail.send(by(&mine, Method::DELETE, "/user/sessions")).await;
    assert_eq!(answer.json(), json!({"ended": 2}));
    let new = trail.unseen().await;
    let sessions: HashSet<_> = new.iter().filter_map(|entry| Told::from(entry).session).collect();
    assert_eq!(sessions, HashSet::from([session_of(&five), session_of(&six)]), "an event for each");
    let request = answer.header("x-request-id");
    assert!(new.iter().all(|entry| entry.event == "logout" && entry.request_id.to_string() == request));
}

fn operator(app: &TestApp) -> Cx {
    let mut cx = jobs::system(app.app());
    cx.origin.actor = Actor::Operator("uid 7".to_owned());
    cx
}

#[tokio::test]
async fn what_operators_do_leaves_one_event() {
    let app = TestApp::with(&SETTINGS).await.settled().await;
    let alice = app.account("alice").await;
    let id = AccountId::parse(&alice.public_id).unwrap();
    let mut trail = Trail::of(&app).await;
    let by_uid = |event, whom| told(event, "operator:uid 7", whom, None);
    let session = session_of(&alice.token);

    let cx = operator(&app);
    admin::flow::end_session(&cx, SessionId::parse(&session).unwrap()).await.unwrap();
    let revoked = Told { session: Some(session), ..by_uid("revoke", Some(&alice.public_id)) };
    trail.has_one(&cx, revoked).await;

    let cx = operator(&app);
    admin::flow::disable(&cx, id).await.unwrap();
    trail.has_one(&cx, by_uid("account-disable", Some(&alice.public_id))).await;
    trail.leaves_nothing(login(&app, &alice.email, &alice.password), 401).await;

    let cx = operator(&app);
    admin::flow::enable(&cx, id).await.unwrap();
    trail.has_one(&cx, by_uid("account-enable", Some(&alice.public_id))).await;

    let cx = operator(&app);
    let (key, _) = api_keys::flow::create(&cx, "billing".into(), KeyScope::ALL.into(), None).await.unwrap();
    let of_key = |event| Told { detail: Some(key.id.to_string()), ..by_uid(event, None) };
    trail.has_one(&cx, of_key("api-key-create")).await;

    let cx = operator(&app);
    api_keys::flow::revoke(&cx, key.id).await.unwrap();
    trail.has_one(&cx, of_key("api-key-revoke")).await;
    assert!(api_keys::flow::revoke(&operator(&app), key.id).await.is_err());
    assert_eq!(trail.unseen().await, []);
    trail.assert_whole().await;
}

#[tokio::test]
async fn checklist_14_too_many_guesses_leave_one_event() {
    let app = TestApp::with(&SETTINGS).await.settled().await;
    let alice = app.account("alice").await;
    let mut trail = Trail::of(&app).await;
    let throttled =
        |whom| Told { outcome: "refused".to_owned(), ..told("guesses-throttled", "anonymous", whom, None) };
    for (identifier, whom) in
        [(alice.email.as_str(), Some(alice.public_id.as_str())), ("x@example.org", None)]
    {
        let guess = || login(&app, identifier, "a wrong one");
        for _ in 0..4 {
            trail.leaves_nothing(guess(), 401).await;
        }
        trail.leaves(guess(), 401, throttled(whom)).await;
        for status in [429, 401, 429, 429, 429, 401] {
            trail.leaves_nothing(guess(), status).await;
        }
    }
    trail.assert_whole().await;
}

#[tokio::test]
async fn checklist_38_a_deleted_account_leaves_nothing_that_leads_to_it() {
    let app = TestApp::with(&SETTINGS).await.settled().await;
    let (service, bob) = (app.service(&KeyScope::ALL).await, app.account("bob").await);
    let mut trail = Trail::of(&app).await;
    let person = app.person("alice");
    let body = json!({"email": person.email, "name": "Alice Liddell", "password": person.password});
    let (made, first) = trail.send(app.anonymous().request(Method::POST, "/user").json(&body)).await;
    let id = made.json()["user"]["public_id"].as_str().unwrap().to_owned();
    trail.unseen().await;
    let (token, refresh_token) = logged_in(&mut trail, &person, &id).await;
    let alice = Account { token, refresh_token, ..person };
    let other = logged_in(&mut trail, &alice, &id).await.0;
    for _ in 0..5 {
        trail.send(login(&app, &alice.email, "a wrong one")).await;
    }
    trail.send(service.form("/revoke", &[("token", &other)])).await;
    trail.send(refresh(&app, &alice.refresh_token)).await;
    admin::flow::disable(&operator(&app), AccountId::parse(&bob.public_id).unwrap()).await.unwrap();
    // Part of it is sealed before the account goes, and part after.
    trail.assert_whole().await;
    trail.send(alice.request(Method::PATCH, "/user/profile").json(&json!({"name": "Liddell"}))).await;
    app.advance(Duration::from_secs(60));
    assert!(holding(&rows(&app), &id) > 5 && holding(&rows(&app), &first) > 0);

    let before = rows(&app).len();
    let delete = alice.request(Method::DELETE, "/user").json(&json!({"password": alice.password}));
    let (answer, _) = trail.send(delete).await;
    assert_eq!(answer.status, 204, "{}", answer.text());
    trail.assert_whole().await;
    let rows = rows(&app);
    assert_eq!(rows.len(), before + 1, "the events stay");
    let bytes = *Uuid::try_parse(&id).unwrap().as_bytes();
    assert_eq!((holding(&rows, bytes), holding(&rows, &id)), (0, 0));
    let session = session_of(&alice.token);
    for trace in ["198.51.100.", &alice.email, "alice", "Liddell", &session, &alice.refresh_token] {
        assert_eq!(holding(&rows, trace), 0, "{trace}");
    }
    assert!(holding(&rows, &bob.public_id) > 2, "others keep theirs");
    let of = |account| Filter { account: AccountId::parse(account), ..Filter::default() };
    let page = Page { before: None, limit: 100 };
    assert_eq!(flow::list(&app.app().db, of(&id), page).await.unwrap(), []);

    let deleted = Filter { event: Kind::from_name("account-delete"), ..Filter::default() };
    let deleted = flow::list(&app.app().db, deleted, page).await.unwrap();
    assert_eq!(
        deleted.iter().map(Told::from).collect::<Vec<_>>(),
        [told("account-delete", "anonymous", None, None)]
    );
    assert_eq!(deleted[0].request_id.to_string(), answer.header("x-request-id"));
}
