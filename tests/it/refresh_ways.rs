//! A refresh goes a short way, of one statement, or a long one that decides: whatever a session looks like, both
//! answer the same and leave the same behind.

use crate::harness::{NOW, TestApp, decode};
use claviger::app::Cx;
use claviger::base::id::AccountId;
use claviger::base::random;
use claviger::base::time::Timestamp;
use claviger::db::{Error, Row, Value};
use claviger::sessions::flow;
use claviger::sessions::scope::Scope;
use claviger::{admin, jobs};
use claviger_crypto::token::RefreshToken;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use secrecy::ExposeSecret as _;
use serde_json::Value as Json;
use std::cell::Cell;
use uuid::Uuid;

const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;

/// A session as it may be, and what is shown. Times are microseconds from the request's.
#[derive(Clone, Debug)]
struct State {
    /// The request's, from the clock's.
    now: i64,
    owner: Owner,
    /// How many tokens came before the one that is shown.
    generation: u32,
    /// How many the session has had since.
    behind: i64,
    is_known: bool,
    opened: i64,
    expires: i64,
    bound: i64,
    access: i64,
    ended: bool,
    spent: Vec<i64>,
}

#[derive(Clone, Copy, Debug)]
enum Owner {
    Active,
    Disabled,
    Gone,
}

fn states() -> impl Strategy<Value = State> {
    let edge = |at: i64| prop_oneof![Just(at - 1), Just(at), Just(at + 1)];
    let limit = prop_oneof![
        2 => edge(0),
        2 => edge(60 * SECOND),
        2 => edge(900 * SECOND),
        2 => 0..2000 * SECOND,
        8 => 1000 * SECOND..30 * DAY,
    ];
    let spent = prop_oneof![
        1 => edge(-10 * SECOND),
        1 => edge(10 * SECOND),
        1 => -10 * SECOND..=0,
        2 => -1000 * SECOND..1000 * SECOND,
        3 => -DAY..-11 * SECOND,
    ];
    let owner = prop_oneof![20 => Just(Owner::Active), 1 => Just(Owner::Disabled), 1 => Just(Owner::Gone)];
    let generation = prop_oneof![4 => 0..5_u32, 1 => 998..1005_u32];
    let opened = prop_oneof![1 => -500 * SECOND..0, 1 => -40 * DAY..0];
    let row = (opened, limit.clone(), limit, -900 * SECOND..1200 * SECOND, prop::bool::weighted(0.05));
    let times = proptest::collection::vec(spent, 0..4);
    let behind = prop_oneof![10 => Just(0_i64), 2 => Just(1), 1 => Just(2), 1 => Just(-1)];
    let shown = (generation, behind, prop::bool::weighted(0.95));
    (-20 * SECOND..20 * SECOND, owner, shown, row, times).prop_map(|(now, owner, shown, row, spent)| {
        let (generation, behind, is_known) = shown;
        let (opened, expires, bound, access, ended) = row;
        State { now, owner, generation, behind, is_known, opened, expires, bound, access, ended, spent }
    })
}

/// What is stored of a session and may change.
#[derive(Debug, PartialEq)]
struct Stored {
    times: [i64; 5],
    ended: bool,
    generation: i64,
    spent: Vec<u8>,
    seen: [Option<String>; 2],
    digest: Vec<u8>,
}

fn read(row: &Row<'_>) -> Result<Stored, Error> {
    let ended: Option<i64> = row.get(5)?;
    Ok(Stored {
        times: [row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?],
        ended: ended.is_some(),
        generation: row.get(6)?,
        spent: row.get(7)?,
        seen: [row.get(8)?, row.get(9)?],
        digest: row.get(10)?,
    })
}

/// What a refresh said: the access token's time and scope, or why not.
type Said = Result<(Json, Json, u64), String>;

struct Sessions {
    app: TestApp,
    /// One that is active, and one that is disabled.
    accounts: [Uuid; 2],
}

impl Sessions {
    async fn begin() -> Self {
        let settings = [
            ("dev", "true"),
            ("access_token_ttl", "15m"),
            ("limits", "true"),
            ("audit_refreshes", "false"),
            ("hash_memory_kib", "8"),
            ("hash_passes", "1"),
        ];
        let app = TestApp::with(&settings).await;
        let ids = [app.account("ann").await.public_id.clone(), app.account("bob").await.public_id.clone()];
        let ids = ids.map(|id| AccountId::parse(&id).unwrap());
        admin::flow::disable(&jobs::system(app.app()), ids[1]).await.unwrap();
        Self { app, accounts: ids.map(|id| id.0) }
    }

    /// Stores a session like this, refreshes it, and tells what was said and what is stored then.
    async fn refreshed(&self, state: &State, scope: Option<Option<Scope>>) -> (Said, Stored) {
        let (key, id) = (self.app.app().secrets.refresh.clone(), Uuid::from_bytes(random::bytes()));
        let first = RefreshToken::first(&key, *id.as_bytes(), [7; 32]);
        let shown = (0..state.generation).fold(first, |token, _| token.successor(&key).unwrap());
        let successor = shown.successor(&key).unwrap();
        let present = match state.behind {
            _ if !state.is_known => [9; 32],
            1 => successor.digest(),
            _ => shown.digest(),
        };
        self.store(state, id, present).await;
        let now = Timestamp::from_micros(NOW * SECOND + state.now);
        let cx = Cx { now, user_agent: Some("now".into()), ..jobs::system(self.app.app()) };
        let said = match flow::refresh(&cx, &shown.to_text(), scope).await {
            Ok(tokens) => {
                assert_eq!(tokens.refresh_token.expose_secret(), successor.to_text().as_str());
                let (_, claims) = decode(&tokens.access_token);
                assert_eq!(claims["sid"], id.to_string());
                Ok((claims["exp"].clone(), claims["scope"].clone(), tokens.expires_in))
            }
            Err(error) => Err(error.to_string()),
        };
        let mut stored = self.stored(id).await;
        // Of each session its own.
        stored.digest = match stored.digest {
            digest if digest == successor.digest() => b"successor".into(),
            digest if digest == shown.digest() => b"shown".into(),
            other => other,
        };
        (said, stored)
    }

    async fn store(&self, state: &State, id: Uuid, digest: [u8; 32]) {
        let owner = match state.owner {
            Owner::Active => self.accounts[0],
            Owner::Disabled => self.accounts[1],
            Owner::Gone => Uuid::from_bytes([3; 16]),
        };
        let at = |offset: i64| NOW * SECOND + state.now + offset;
        let spent: Vec<u8> = state.spent.iter().flat_map(|time| at(*time).to_be_bytes()).collect();
        let times =
            [at(state.opened), at(state.expires), at(state.expires.max(state.bound)), at(state.access)];
        let ended = state.ended.then_some(at(-1));
        let generation = (i64::from(state.generation) + state.behind).max(0);
        let app = self.app.app();
        let write = app.db.write::<_, Error, _>(move |tx| {
            let sql = "INSERT INTO sessions (id, account_id, client_id, scope, created_at, last_used_at,
                    absolute_expires_at, expires_at, access_expires_at, ended_at, generation,
                    refresh_digest, spent_at, status_index, address, user_agent)
                VALUES ($1, $2, 'claviger', 'account profile', $3, $3, $4, $5, $6, $7, $8, $9, $10, 5,
                    '192.0.2.1', 'before')";
            let values: [Value<'_>; 10] = [
                id.into(),
                owner.into(),
                times[0].into(),
                times[2].into(),
                times[1].into(),
                times[3].into(),
                ended.into(),
                generation.into(),
                digest.as_slice().into(),
                spent.as_slice().into(),
            ];
            tx.execute(sql, &values)
        });
        assert_eq!(write.await.unwrap(), 1);
    }

    async fn stored(&self, id: Uuid) -> Stored {
        let sql = "SELECT created_at, last_used_at, absolute_expires_at, expires_at, access_expires_at,
                ended_at, generation, spent_at, address, user_agent, refresh_digest
            FROM sessions WHERE id = $1";
        let app = self.app.app();
        let read = app.db.read::<_, Error, _>(move |tx| tx.first(sql, &[id.into()], read));
        read.await.unwrap().unwrap()
    }
}

#[test]
fn checklist_41_to_50_one_statement_does_exactly_what_deciding_does() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let sessions = runtime.block_on(Sessions::begin());
    let (answered, refused) = (Cell::new(0), Cell::new(0));
    let config =
        ProptestConfig { cases: 400, max_shrink_iters: 300, failure_persistence: None, ..Default::default() };
    let outcome = TestRunner::new(config).run(&states(), |state| {
        let told = runtime.block_on(async {
            let short = sessions.refreshed(&state, None).await;
            let long = sessions.refreshed(&state, Some(Some(Scope::all()))).await;
            (short, long)
        });
        let counter = if told.0.0.is_ok() { &answered } else { &refused };
        counter.set(counter.get() + 1);
        prop_assert_eq!(told.0, told.1);
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
    assert!(answered.get() > 60 && refused.get() > 60, "{answered:?} were answered, {refused:?} refused");
}
