//! The server beside the model: each step is done to both, and their answers are compared.

use super::model::{ABSOLUTE, IDLE, Person, SECOND, Session, Verdict};
use super::{Asked, Step};
use crate::harness::{Answer, ByApiKey, ByToken, Caller as _, NOW, TestApp, Tokens, decode, send};
use claviger::api_keys::KeyScope;
use claviger::base::id::AccountId;
use claviger::{admin, jobs};
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

/// The server and the model beside it. One server for all cases; each has people of its own.
pub struct World {
    app: TestApp,
    now: i64,
    key: String,
    people: Vec<Person>,
    sessions: Vec<Session>,
}

/// How a guarded request is answered.
fn answered(opens: bool, allowed: bool, success: u16) -> u16 {
    match (opens, allowed) {
        (false, _) => 401,
        (true, false) => 403,
        (true, true) => success,
    }
}

impl World {
    pub async fn begin() -> Self {
        let settings =
            [("dev", "true"), ("access_token_ttl", "15m"), ("hash_memory_kib", "8"), ("hash_passes", "1")];
        let app = TestApp::with(&settings).await;
        let key = app.api_key(&[KeyScope::Introspect]).await;
        Self { app, now: NOW * SECOND, key, people: Vec::new(), sessions: Vec::new() }
    }

    pub async fn run(mut self, number: usize, steps: &[Step]) -> (Self, TestCaseResult) {
        (self.people, self.sessions) = (Vec::new(), Vec::new());
        for person in 0..2 {
            let (email, password) =
                (format!("p{person}-{number}@example.org"), "the first password".to_owned());
            let body = json!({"email": email, "name": "p", "password": password});
            let made = self.app.anonymous().post("/user", &body).await;
            assert_eq!(made.status, 201, "{}", made.text());
            let id = AccountId::parse(made.json()["user"]["public_id"].as_str().unwrap()).unwrap();
            let passwords = vec!["never the password".to_owned(), password];
            self.people.push(Person { email, id, passwords, disabled: false, deleted: false });
        }
        for person in [0, 1] {
            if let Err(error) = self.log_in(person, true).await {
                return (self, Err(error));
            }
        }
        for step in steps {
            if let Step::Restart = step {
                self.app = self.app.restart().await;
            } else if let Err(error) = self.take(step).await {
                return (self, Err(error));
            }
        }
        let checked = self.check().await;
        (self, checked)
    }

    async fn take(&mut self, step: &Step) -> TestCaseResult {
        match *step {
            Step::LogIn { person, rightly } => self.log_in(person, rightly).await,
            Step::Refresh { session, back, asked } => self.refresh(session, back, asked).await,
            Step::Revoke { session, back } => self.revoke(session, back).await,
            Step::LogOut { session } => {
                let session = self.at(session);
                if self.guarded(session, Method::POST, "/logout", json!({}), true, 204).await? {
                    self.sessions[session].ended = true;
                }
                Ok(())
            }
            Step::EndOthers { session, all } => {
                let (session, path) = (self.at(session), format!("/user/sessions?all={all}"));
                if self.guarded(session, Method::DELETE, &path, json!({}), false, 200).await? {
                    self.end_of(self.sessions[session].person, (!all).then_some(session));
                }
                Ok(())
            }
            Step::EndOne { session, other } => self.end_one(self.at(session), self.at(other)).await,
            Step::ChangePassword { session, rightly, keep } => {
                self.change_password(self.at(session), rightly, keep).await
            }
            Step::Delete { session } => {
                let session = self.at(session);
                let person = self.sessions[session].person;
                let body = json!({"password": self.people[person].passwords.last()});
                if self.guarded(session, Method::DELETE, "/user", body, false, 204).await? {
                    self.people[person].deleted = true;
                    self.end_of(person, None);
                }
                Ok(())
            }
            Step::SetDisabled { person, disabled } => self.set_disabled(person, disabled).await,
            Step::Pass { micros } => {
                self.now += micros;
                self.app.advance(Duration::from_micros(u64::try_from(micros).unwrap()));
                Ok(())
            }
            Step::Restart => unreachable!("it is done where the server can be moved"),
        }
    }

    /// The place of the session that a number chooses: mostly a live one, if there is any.
    fn at(&self, number: usize) -> usize {
        let is_live = |place: &usize| self.sessions[*place].is_live(self.now);
        let live: Vec<usize> = (0..self.sessions.len()).rev().filter(is_live).collect();
        match live.len() {
            count if count > 0 && number < 9 => live[number % count],
            _ => self.sessions.len() - 1 - number % self.sessions.len(),
        }
    }

    fn end_of(&mut self, person: usize, but: Option<usize>) {
        for (place, session) in self.sessions.iter_mut().enumerate() {
            session.ended |= session.person == person && Some(place) != but;
        }
    }

    async fn log_in(&mut self, person: usize, rightly: bool) -> TestCaseResult {
        let Person { email, passwords, disabled, deleted, .. } = &self.people[person];
        let password = &passwords[passwords.len() - if rightly { 1 } else { 2 }];
        let answer =
            self.app.anonymous().post("/login", &json!({"email": email, "password": password})).await;
        if !rightly || *disabled || *deleted {
            prop_assert_eq!(answer.status, 401);
            return Ok(());
        }
        let tokens = Tokens::of(&answer);
        let sid = decode(&tokens.access).1["sid"].as_str().unwrap().to_owned();
        let (absolute, expires) = (self.now + ABSOLUTE, self.now + IDLE);
        let (access, refresh, spent) = (Vec::new(), vec![tokens.refresh], Vec::new());
        let mut session = Session { sid, person, absolute, expires, ended: false, access, refresh, spent };
        session.keep_access(tokens.access, true, self.now)?;
        self.sessions.push(session);
        Ok(())
    }

    async fn refresh(&mut self, session: usize, back: usize, asked: Asked) -> TestCaseResult {
        let (place, now) = (self.at(session), self.now);
        let seen: BTreeSet<String> =
            self.sessions.iter().flat_map(|session| session.refresh.clone()).collect();
        let session = &mut self.sessions[place];
        let token = (session.refresh.len() - 1).saturating_sub(back);
        let scope = match asked {
            Asked::All => "",
            Asked::Reading => "profile",
            Asked::Nonsense => "nonsense",
        };
        let shown = session.refresh[token].as_str();
        let fields = [("grant_type", "refresh_token"), ("refresh_token", shown), ("scope", scope)];
        let answer = self.app.anonymous().post_form("/token", &fields).await;
        let verdict = session.verdict(token, now);
        match verdict {
            Verdict::Refuse | Verdict::Reuse => {
                prop_assert_eq!((answer.status, &answer.json()["error"]), (400, &json!("invalid_grant")));
                session.ended |= verdict == Verdict::Reuse;
                return Ok(());
            }
            // It harms nobody, and nothing is spent.
            Verdict::Repeat | Verdict::Rotate if asked == Asked::Nonsense => {
                prop_assert_eq!((answer.status, &answer.json()["error"]), (400, &json!("invalid_scope")));
                return Ok(());
            }
            Verdict::Repeat | Verdict::Rotate => {
                prop_assert_eq!(answer.status, 200, "{:?}: {}", verdict, answer.text())
            }
        }
        let tokens = Tokens::of(&answer);
        if verdict == Verdict::Repeat {
            prop_assert_eq!(&tokens.refresh, &session.refresh[token + 1]);
        } else {
            prop_assert!(!seen.contains(&tokens.refresh));
            session.refresh.push(tokens.refresh);
            session.spent.push(now);
            session.expires = (now + IDLE).min(session.absolute);
        }
        session.keep_access(tokens.access, asked == Asked::All, now)
    }

    async fn revoke(&mut self, session: usize, back: usize) -> TestCaseResult {
        let (place, now) = (self.at(session), self.now);
        let session = &mut self.sessions[place];
        let token = (session.refresh.len() - 1).saturating_sub(back);
        let fields = [("client_id", "claviger"), ("token", session.refresh[token].as_str())];
        let answer = self.app.anonymous().post_form("/revoke", &fields).await;
        prop_assert_eq!(answer.status, 200);
        // Whoever has had a token may end its session, however long it is spent.
        session.ended |= session.verdict(token, now) != Verdict::Refuse;
        Ok(())
    }

    /// Sends a request with the latest access token of a session; says whether it was to succeed.
    async fn guarded(
        &self,
        session: usize,
        method: Method,
        path: &str,
        body: Value,
        reading: bool,
        success: u16,
    ) -> Result<bool, TestCaseError> {
        let session = &self.sessions[session];
        let token = session.access.last().unwrap();
        let expected = answered(session.opens(token, self.now), token.may_change || reading, success);
        let caller = ByToken { app: &self.app, token: token.text.clone(), header: "authorization" };
        let answer = caller.send_json(method, path, &body).await;
        prop_assert_eq!(answer.status, expected, "{}: {}", path, answer.text());
        Ok(expected == success)
    }

    async fn end_one(&mut self, session: usize, other: usize) -> TestCaseResult {
        let path = format!("/user/sessions/{}", self.sessions[other].sid);
        let own = self.sessions[other].person == self.sessions[session].person;
        let found = own && self.sessions[other].is_live(self.now);
        let success = if found { 204 } else { 404 };
        let reached = self.guarded(session, Method::DELETE, &path, json!({}), false, success).await?;
        self.sessions[other].ended |= reached && found;
        Ok(())
    }

    async fn change_password(&mut self, session: usize, rightly: bool, keep: bool) -> TestCaseResult {
        let person = self.sessions[session].person;
        let passwords = &self.people[person].passwords;
        let current = &passwords[passwords.len() - if rightly { 1 } else { 2 }];
        let new = format!("password number {}", passwords.len());
        let body = json!({"current_password": current, "new_password": new, "keep_other_sessions": keep});
        let success = if rightly { 204 } else { 403 };
        if self.guarded(session, Method::PUT, "/user/password", body, false, success).await? && rightly {
            self.people[person].passwords.push(new);
            if !keep {
                self.end_of(person, Some(session));
            }
        }
        Ok(())
    }

    async fn set_disabled(&mut self, person: usize, disabled: bool) -> TestCaseResult {
        let (cx, id) = (jobs::system(self.app.app()), self.people[person].id);
        let done = if disabled {
            admin::flow::disable(&cx, id).await.is_ok()
        } else {
            admin::flow::enable(&cx, id).await.is_ok()
        };
        prop_assert_eq!(done, !self.people[person].deleted);
        self.people[person].disabled = disabled;
        if disabled {
            self.end_of(person, None);
        }
        Ok(())
    }

    async fn is_active(&self, token: &str) -> bool {
        let service = ByApiKey { app: &self.app, id: String::new(), key: self.key.clone() };
        service.post_form("/introspect", &[("token", token)]).await.json()["active"] == true
    }

    async fn get(&self, path: &str, access: &str) -> Answer {
        send(self.app.anonymous().request(Method::GET, path).bearer_auth(access)).await
    }

    /// Shows every token that was ever given to every reader.
    async fn check(&self) -> TestCaseResult {
        for session in &self.sessions {
            for token in &session.access {
                let opens = session.opens(token, self.now);
                let profile = self.get("/user/profile", &token.text).await.status;
                prop_assert_eq!(profile, if opens { 200 } else { 401 });
                prop_assert_eq!(self.is_active(&token.text).await, opens);
            }
            for (token, text) in session.refresh.iter().enumerate() {
                let good = matches!(session.verdict(token, self.now), Verdict::Rotate | Verdict::Repeat);
                prop_assert_eq!(
                    self.is_active(text).await,
                    good,
                    "refresh token {} of {}",
                    token,
                    session.sid
                );
            }
            let Some(token) = session.access.iter().rfind(|token| token.may_change) else { continue };
            if session.opens(token, self.now) {
                let listed = self.get("/user/sessions?limit=200", &token.text).await.json();
                let sids =
                    listed["sessions"].as_array().unwrap().iter().map(|shown| shown["id"].as_str().unwrap());
                let live = self
                    .sessions
                    .iter()
                    .filter(|other| other.person == session.person && other.is_live(self.now));
                prop_assert_eq!(sids.collect::<BTreeSet<_>>(), live.map(|live| live.sid.as_str()).collect());
            }
        }
        Ok(())
    }
}
