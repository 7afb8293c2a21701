//! The status lists that tokens name: fetched when one is first needed, then kept fresh while they are.

use crate::error::Error;
use crate::fetch::{FetchError, Response, is_safe};
use crate::fresh::{Copy, File, Manner, State};
use crate::keys::Keys;
use crate::list::StatusList;
use claviger_crypto::jws;
use claviger_crypto::status::{self, ExpectedList, MAX_LIST_TOKEN_LENGTH, StatusListToken, StatusReference};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
use url::Url;

/// What happens to tokens while no fresh status list can be had: the server is away, or answers nonsense. A session that
/// is known to have ended is refused in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MissingStatus {
    /// They are refused at once ([`Error::NoStatus`]): no ended session slips through, and your service is away when
    /// the server is.
    Refuse,
    /// They are taken for so long after the last list that was fetched, then refused; where there was none yet, they
    /// are refused at once. Sessions that end meanwhile are not seen to. The default, with 10 minutes: a restart or a
    /// failover of the server is no outage of yours, and one who can keep your service from the server does not stay
    /// logged in for long. A list that no token has named for 10 minutes is kept no more.
    AcceptFor(Duration),
    /// The same, and where there was no list yet, they are taken for so long after the first try: your service starts
    /// while lists cannot be had, and knows of no ended session then.
    AcceptFromStartFor(Duration),
}

/// However long a list may be kept by its `ttl`, it is looked at again after half of this.
const FRESH_AT_MOST: Duration = Duration::from_secs(60);

/// How far a list's `iat` may lie ahead, as that of a token, for clocks that differ. Seconds.
const MOST_AHEAD: i64 = 60;

/// A list that no token has named for so long is kept no more.
const IDLE_AFTER: Duration = Duration::from_secs(600);

/// How many lists are kept at once. Each is for a million sessions.
const MAX_LISTS: usize = 64;

/// What all lists have in common.
pub(crate) struct Common {
    pub(crate) issuer: String,
    /// Where the issuer's server is reached, without a slash at the end.
    pub(crate) server: String,
    pub(crate) keys: Keys,
    pub(crate) now: Box<dyn Fn() -> i64 + Send + Sync>,
}

/// A list that was verified.
pub(crate) struct Verified {
    list: StatusList,
    /// Seconds since 1970 UTC.
    made: i64,
    ends: i64,
    ttl: Duration,
}

struct ListFile {
    uri: String,
    url: Url,
    common: Arc<Common>,
}

impl File for ListFile {
    type Value = Verified;
    const ACCEPT: &'static str = "application/statuslist+jwt";
    const LIMIT: usize = MAX_LIST_TOKEN_LENGTH;

    fn url(&self) -> &Url {
        &self.url
    }

    async fn read(&self, response: &Response) -> Result<Verified, FetchError> {
        let token = str::from_utf8(&response.body).map_err(|_| FetchError::new("it is no text"))?.trim();
        let Common { issuer, keys, now, .. } = &*self.common;
        let expected = ExpectedList { issuer, uri: &self.uri, now: now() };
        let read = keys
            .verify(
                |set| StatusListToken::verify(token, expected, |kid| set.key(kid)),
                |error| *error == status::Error::Jws(jws::Error::UnknownKey),
            )
            .await?
            .map_err(|error| FetchError::new(format_args!("the status list is refused: {error}")))?;
        // It would keep newer ones out until that time has come.
        if read.iat > now().saturating_add(MOST_AHEAD) {
            return Err(FetchError::new("the status list is refused: it is from the future. Set the clocks"));
        }
        let list =
            StatusList::unpack(read.status_list.bits, &read.status_list.lst).map_err(FetchError::new)?;
        Ok(Verified {
            list,
            made: read.iat,
            ends: read.exp,
            ttl: Duration::from_secs(read.ttl).min(FRESH_AT_MOST),
        })
    }

    fn is_good(&self, value: &Verified) -> bool {
        value.ends > (self.common.now)()
    }

    /// A cache, another server or whoever stands in between may send one in which a session goes on that has ended
    /// since.
    fn is_older(&self, value: &Verified, held: &Verified) -> bool {
        value.made < held.made
    }

    fn fresh_for(&self, value: &Verified, _: &Response) -> Duration {
        value.ttl
    }
}

struct Used {
    copy: Arc<Copy<Verified>>,
    at: Instant,
}

/// The lists in use.
pub(crate) struct Lists {
    common: Arc<Common>,
    missing: MissingStatus,
    manner: Manner,
    runtime: tokio::runtime::Handle,
    used: Mutex<HashMap<String, Used>>,
}

impl Lists {
    pub(crate) fn new(
        common: Arc<Common>,
        missing: MissingStatus,
        manner: Manner,
        runtime: tokio::runtime::Handle,
    ) -> Self {
        Self { common, missing, manner, runtime, used: Mutex::default() }
    }

    /// Whether the session at this place goes on, as far as is known.
    ///
    /// # Errors
    /// It has ended, or has no place, or nobody can tell.
    pub(crate) async fn check(&self, place: &StatusReference) -> Result<(), Error> {
        let copy = self.copy(&place.uri)?;
        let mut state = copy.first().await;
        // Without a list nobody gets in, so that its next try is not left to the task, which takes its time.
        if state.value.is_none() && !self.is_tolerated(&state) {
            state = copy.newer().await;
        }
        if let Some(known) = &state.value {
            match known.list.status(place.idx) {
                Some(0) => {}
                Some(_) => return Err(Error::SessionEnded),
                None => return Err(Error::NoSuchStatus),
            }
        }
        if self.is_fresh(&state) || self.is_tolerated(&state) {
            Ok(())
        } else {
            Err(Error::NoStatus(state.failure()))
        }
    }

    /// Fetches all lists in use anew.
    ///
    /// # Errors
    /// The first failure.
    pub(crate) async fn now(&self) -> Result<(), FetchError> {
        let copies: Vec<_> = {
            let used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
            used.values().map(|used| used.copy.clone()).collect()
        };
        for copy in copies {
            copy.now().await.failure.map_or(Ok(()), Err)?;
        }
        Ok(())
    }

    /// By its `ttl` and its `exp`. The latter is told by the wall clock, which goes on while a machine sleeps.
    fn is_fresh(&self, state: &State<Verified>) -> bool {
        let Some((known, as_of)) = state.value.as_ref().zip(state.as_of) else { return false };
        let most = known.ttl.max(self.manner.pause).saturating_add(self.manner.time_limit);
        as_of.elapsed() <= most && known.ends > (self.common.now)()
    }

    fn is_tolerated(&self, state: &State<Verified>) -> bool {
        match self.missing {
            MissingStatus::Refuse => false,
            MissingStatus::AcceptFor(time) => state.as_of.is_some_and(|as_of| as_of.elapsed() <= time),
            MissingStatus::AcceptFromStartFor(time) => state.as_of.unwrap_or(state.since).elapsed() <= time,
        }
    }

    fn copy(&self, uri: &str) -> Result<Arc<Copy<Verified>>, Error> {
        let now = Instant::now();
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = used.get_mut(uri) {
            known.at = now;
            return Ok(known.copy.clone());
        }
        let url = self.common.place_of(uri).ok_or(Error::NoSuchStatus)?;
        used.retain(|_, used| now.saturating_duration_since(used.at) < IDLE_AFTER);
        while used.len() >= MAX_LISTS {
            let Some(oldest) = used.iter().min_by_key(|(_, used)| used.at).map(|(uri, _)| uri.clone()) else {
                break;
            };
            used.remove(&oldest);
        }
        let file = ListFile { uri: uri.to_owned(), url, common: self.common.clone() };
        let copy = Arc::new(Copy::start(file, self.manner.clone(), &self.runtime));
        used.insert(uri.to_owned(), Used { copy: copy.clone(), at: now });
        Ok(copy)
    }
}

impl Common {
    /// Where the list of this name is reached, if it is on the issuer's server.
    fn place_of(&self, uri: &str) -> Option<Url> {
        let path = uri.strip_prefix(self.issuer.trim_end_matches('/'))?;
        let server = Url::parse(&self.server).ok()?;
        let url = Url::parse(&format!("{}{path}", self.server)).ok()?;
        (path.starts_with('/') && url.origin() == server.origin() && is_safe(&url)).then_some(url)
    }
}
