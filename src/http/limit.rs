//! How often one network may call a route: a leaky bucket for each (GCRA), in memory that is bounded.
//!
//! Ours rather than a library's: those read a clock of their own, and let a flood of addresses grow
//! their tables. What is refused here was not read beyond its headers.

use crate::base::time::Timestamp;
use crate::http::address::{self, Network};
use crate::http::edge::Arrival;
use crate::http::oauth::OauthError;
use crate::http::problem::{Problem, TOO_MANY_REQUESTS};
use crate::metrics::labels::LimitClass;
use crate::metrics::{Id, Metrics};
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// The most networks that are remembered, each with each class: about 10 MB.
const MOST: usize = 100_000;

/// How many are left when that is reached, so that making room is rare.
const KEPT: usize = MOST - MOST / 10;

/// The limit of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// None: it is answered from memory, or as cheaply.
    Free,
    /// For each network.
    Of(&'static Class),
}

/// Routes that are counted together.
#[derive(Debug, PartialEq, Eq)]
pub struct Class {
    /// Its name, in the header fields.
    pub name: &'static str,
    /// How many may come at once.
    pub burst: u32,
    /// How many may come again each minute.
    pub each_minute: u32,
}

/// What each kind of route bears.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Making accounts.
    pub sign_up: Limit,
    /// Checking passwords. Wrong ones are counted elsewhere too.
    pub log_in: Limit,
    /// What apps do with tokens: refreshing, revoking. A signature each, so one network may take a part of a core.
    pub token: Limit,
    /// Changing an account, ending its sessions.
    pub change: Limit,
}

const fn class(class: &'static Class) -> Limit {
    Limit::Of(class)
}

impl Limits {
    /// Those of a server: wide in dev, where people try how quick it is.
    pub const fn of(dev: bool) -> Self {
        if dev {
            return Self {
                sign_up: class(&Class { name: "sign-up", burst: 100_000, each_minute: 60_000 }),
                log_in: class(&Class { name: "log-in", burst: 100_000, each_minute: 60_000 }),
                token: class(&Class { name: "token", burst: 1_000_000, each_minute: 600_000 }),
                change: class(&Class { name: "change", burst: 100_000, each_minute: 60_000 }),
            };
        }
        Self {
            sign_up: class(&Class { name: "sign-up", burst: 100, each_minute: 10 }),
            log_in: class(&Class { name: "log-in", burst: 600, each_minute: 1200 }),
            token: class(&Class { name: "token", burst: 6000, each_minute: 12_000 }),
            change: class(&Class { name: "change", burst: 120, each_minute: 60 }),
        }
    }
}

impl Class {
    /// Microseconds until one more may come.
    fn interval(&self) -> i64 {
        60_000_000 / i64::from(self.each_minute.max(1))
    }

    /// Microseconds until all may come at once again.
    fn window(&self) -> i64 {
        self.interval().saturating_mul(i64::from(self.burst))
    }
}

/// For people: `100 at once, then 10 a minute`.
impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at once, then {} a minute", self.burst, self.each_minute)
    }
}

/// How long to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    /// Seconds, rounded up.
    pub seconds: u64,
}

/// Counts.
#[derive(Debug)]
pub struct Limiter {
    enabled: bool,
    /// The moment, in microseconds, at which each has its whole burst again.
    full_at: Mutex<HashMap<(&'static str, Network), i64>>,
}

impl Limiter {
    /// A limiter that has counted nothing yet; one that is not `enabled` lets all pass.
    pub fn new(enabled: bool) -> Self {
        Self { enabled, full_at: Mutex::default() }
    }

    /// Counts one request of `network`.
    ///
    /// # Errors
    /// [`Wait`] where it has had its share; such a request does not count.
    pub fn check(&self, class: &'static Class, network: Network, now: Timestamp) -> Result<(), Wait> {
        if !self.enabled {
            return Ok(());
        }
        let now = now.as_micros();
        let mut full_at = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (class.name, network);
        let latest = now.saturating_add(class.window());
        let spent = match full_at.get_mut(&key) {
            Some(moment) => {
                // A clock that was set back must not lock anyone out for longer than the window.
                *moment = latest.min(*moment);
                now.max(*moment)
            }
            None => now,
        };
        let next = spent.saturating_add(class.interval());
        if next > latest {
            let micros = u64::try_from(next.saturating_sub(latest)).unwrap_or_default();
            return Err(Wait { seconds: micros.div_ceil(1_000_000) });
        }
        if full_at.len() >= MOST && !full_at.contains_key(&key) {
            make_room(&mut full_at, now);
        }
        full_at.insert(key, next);
        Ok(())
    }
}

/// Forgets those that have their whole burst again and, if too many are left, those that are nearest to
/// it: what is lost is least, and who was refused stays refused.
fn make_room(full_at: &mut HashMap<(&'static str, Network), i64>, now: i64) {
    full_at.retain(|_, moment| *moment > now);
    let Some(over) = full_at.len().checked_sub(KEPT).filter(|over| *over > 0) else { return };
    let mut moments: Vec<i64> = full_at.values().copied().collect();
    let (_, &mut last, _) = moments.select_nth_unstable(over - 1);
    full_at.retain(|_, moment| *moment > last);
}

/// What stands before the handler of a limited route.
#[derive(Clone, Debug)]
pub struct Gate {
    /// Shared by all routes.
    pub limiter: Arc<Limiter>,
    /// The route's.
    pub class: &'static Class,
    /// Whether the route answers errors in OAuth's form.
    pub oauth: bool,
    /// Where refusals are counted.
    pub metrics: Arc<Metrics>,
}

/// The layer of a limited route.
pub async fn limited(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    let Some(&Arrival { now, address, .. }) = request.extensions().get() else {
        return Problem::internal("the route is not inside the edge layer").into_response();
    };
    let Err(wait) = gate.limiter.check(gate.class, address::network(address), now) else {
        return next.run(request).await;
    };
    if let Some(class) = LimitClass::NAMES.iter().position(|name| *name == gate.class.name) {
        gate.metrics.count(Id::RequestsLimited, &[class]);
    }
    let refusal = refusal(gate.class, wait);
    if gate.oauth { OauthError::from(refusal).into_response() } else { refusal.into_response() }
}

/// The fields are those of draft-ietf-httpapi-ratelimit-headers-10.
fn refusal(class: &Class, Wait { seconds }: Wait) -> Problem {
    let Class { name, burst, .. } = class;
    let window = class.window().unsigned_abs().div_ceil(1_000_000);
    let problem = TOO_MANY_REQUESTS
        .because(format!("From one network come at most {class}. Try again in {seconds} s."))
        .retry_after(seconds);
    let fields = [
        ("ratelimit-policy", format!("\"{name}\";q={burst};w={window}")),
        ("ratelimit", format!("\"{name}\";r=0;t={seconds}")),
    ];
    fields.into_iter().fold(problem, |problem, (name, value)| match HeaderValue::try_from(value) {
        Ok(value) => problem.with(HeaderName::from_static(name), value),
        Err(_) => problem,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::Ipv4Addr;

    static FEW: Class = Class { name: "few", burst: 3, each_minute: 60 };
    static OTHER: Class = Class { name: "other", burst: 3, each_minute: 60 };

    fn of(number: u32) -> Network {
        address::network(Ipv4Addr::from_bits(number).into())
    }

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_micros(1_700_000_000_000_000 + millis * 1000)
    }

    #[test]
    fn a_burst_and_then_one_at_a_time() {
        let limiter = Limiter::new(true);
        let check = |millis| limiter.check(&FEW, of(1), at(millis)).map_err(|wait| wait.seconds);
        assert_eq!([0, 0, 0, 0, 10].map(check), [Ok(()), Ok(()), Ok(()), Err(1), Err(1)]);
        assert_eq!(limiter.check(&FEW, of(2), at(10)), Ok(()), "another network");
        assert_eq!(limiter.check(&OTHER, of(1), at(10)), Ok(()), "another class");
        assert_eq!([999, 1000, 1001, 2000].map(check), [Err(1), Ok(()), Err(1), Ok(())]);
        assert_eq!(
            [9000; 4].map(check),
            [Ok(()), Ok(()), Ok(()), Err(1)],
            "no more than the burst is saved up"
        );
        assert_eq!([-3_600_000; 2].map(check), [Err(1); 2], "a clock set back by an hour");
        assert_eq!(check(-3_599_000), Ok(()), "costs no more than what was spent");
    }

    #[test]
    fn without_limits_all_pass() {
        let limiter = Limiter::new(false);
        assert!((0..1000).all(|_| limiter.check(&FEW, of(1), at(0)).is_ok()));
    }

    #[test]
    fn a_flood_of_networks_fills_no_memory_and_frees_nobody() {
        let limiter = Limiter::new(true);
        let refused = |limiter: &Limiter| limiter.check(&FEW, of(0), at(0)).is_err();
        while limiter.check(&FEW, of(0), at(0)).is_ok() {}
        for number in 1..=u32::try_from(2 * MOST).unwrap() {
            limiter.check(&FEW, of(number), at(i64::from(number) / 1000)).unwrap();
        }
        assert!(limiter.full_at.lock().unwrap().len() <= MOST);
        assert!(refused(&limiter), "who has spent most is forgotten last");
        limiter.check(&FEW, of(1), at(60_000)).unwrap();
    }

    proptest! {
        #[test]
        fn never_more_than_the_burst_and_what_came_back(steps in proptest::collection::vec(0i64..2000, 1..200)) {
            let limiter = Limiter::new(true);
            let (mut now, mut passed) = (0, Vec::new());
            for step in steps {
                now += step;
                match limiter.check(&FEW, of(1), at(now)) {
                    Ok(()) => passed.push(now),
                    // Waiting as told is enough.
                    Err(wait) => {
                        now += i64::try_from(wait.seconds).unwrap() * 1000;
                        prop_assert!(limiter.check(&FEW, of(1), at(now)).is_ok());
                        passed.push(now);
                    }
                }
                for (count, first) in passed.iter().rev().enumerate() {
                    prop_assert!(i64::try_from(count).unwrap() < 3 + (now - first) / 1000 + 1);
                }
            }
        }
    }
}
