//! Admitting a guess before its hash, and counting it after.

use super::{Count, Error, MEMORY, Subject, Target, store, subjects};
use crate::accounts;
use crate::app::Cx;
use crate::audit::{self, Kind};
use crate::base::id::AccountId;
use crate::db::{self, Tx};
use crate::http::address;
use crate::metrics::Id;
use std::time::Duration;
use tokio::sync::SemaphorePermit;

/// A network that was not logged in from for this long is a stranger's again: longer than sessions live.
const FAMILIAR_FOR: Duration = Duration::from_secs(400 * 86_400);

/// The most networks that are known of an account.
const MOST_NETWORKS: i64 = 20;

/// A guess that may be made. It is over when this is dropped.
#[derive(Debug)]
pub struct Admitted<'a> {
    subjects: Vec<Subject>,
    /// For those that were counted before the hash: the count that was seen, and the one it became.
    claimed: Vec<Option<(Count, Count)>>,
    account: Option<AccountId>,
    _turn: Option<SemaphorePermit<'a>>,
}

/// Whose password is guessed at.
#[derive(Clone, Copy, Debug)]
pub enum Guessed<'a> {
    /// An account's, by someone who shows an identifier.
    Account(AccountId),
    /// An account's, by someone who shows a token of it.
    Own(AccountId),
    /// Nobody's: no account has this identifier.
    Nobody(&'a str),
}

impl Guessed<'_> {
    fn account(self) -> Option<AccountId> {
        match self {
            Self::Account(id) | Self::Own(id) => Some(id),
            Self::Nobody(_) => None,
        }
    }
}

/// Admits a guess.
///
/// # Errors
/// [`Error::TooMany`], or that there is no capacity now.
pub async fn admit<'a>(cx: &'a Cx, guessed: Guessed<'_>) -> Result<Admitted<'a>, Error> {
    let admitted = admit_uncounted(cx, guessed).await;
    if let Err(Error::TooMany(_)) = admitted {
        cx.app.metrics.count(Id::GuessesRefused, &[]);
    }
    admitted
}

async fn admit_uncounted<'a>(cx: &'a Cx, guessed: Guessed<'_>) -> Result<Admitted<'a>, Error> {
    let account = guessed.account();
    if !cx.app.config.limits {
        return Ok(Admitted { subjects: Vec::new(), claimed: Vec::new(), account, _turn: None });
    }
    let subjects = counted_for(cx, guessed).await?;
    let first = subjects.first().map(|subject| subject.digest).unwrap_or_default();
    // Those who have to wait in any case take nobody's turn.
    expect_no_wait(cx, &subjects).await?;
    let turn = cx.app.passwords.turn(&first).await?;
    let counts = expect_no_wait(cx, &subjects).await?;
    let claimed = claim(cx, &subjects, counts).await?;
    Ok(Admitted { subjects, claimed, account, _turn: Some(turn) })
}

async fn counted_for(cx: &Cx, guessed: Guessed<'_>) -> Result<Vec<Subject>, Error> {
    let network = network(cx);
    // One look for the unknown too, so that they take the same time.
    let account = guessed.account().unwrap_or(AccountId(uuid::Uuid::nil()));
    let (since, here) = (cx.now.minus(FAMILIAR_FOR), network.clone());
    let known =
        cx.app.db.read::<_, Error, _>(move |tx| Ok(store::is_known(tx, account, &here, since)?)).await?;
    let target = match guessed {
        Guessed::Own(account) => Target::Own(account),
        Guessed::Account(account) if known => Target::Familiar(account),
        Guessed::Account(account) => Target::Account(account),
        Guessed::Nobody(identifier) => Target::Unknown(identifier),
    };
    Ok(subjects(&cx.app.secrets.guesses, target, &network))
}

/// The counts of the subjects, if none of them has to wait.
async fn expect_no_wait(cx: &Cx, subjects: &[Subject]) -> Result<Vec<Option<Count>>, Error> {
    let wanted = subjects.to_vec();
    let counts = cx
        .app
        .db
        .read::<_, Error, _>(move |tx| {
            wanted.iter().map(|subject| Ok(store::count(tx, &subject.digest)?)).collect()
        })
        .await?;
    let now = cx.app.clock.now();
    let wait = |(subject, count): (&Subject, &Option<Count>)| Some(subject.schedule.wait((*count)?, now));
    match subjects.iter().zip(&counts).filter_map(wait).max().filter(|wait| !wait.is_zero()) {
        Some(wait) => Err(Error::TooMany(wait)),
        None => Ok(counts),
    }
}

/// Counts the guess already for those subjects that have had their free ones: one guess gets through.
async fn claim(
    cx: &Cx,
    subjects: &[Subject],
    counts: Vec<Option<Count>>,
) -> Result<Vec<Option<(Count, Count)>>, Error> {
    let now = cx.app.clock.now();
    let claim = |(subject, count): (&Subject, Option<Count>)| {
        let seen = count.filter(|count| subject.schedule.is_strict(*count, now))?;
        Some((seen, Count { failures: subject.schedule.after(Some(seen), now), last_failed_at: now }))
    };
    let claimed: Vec<Option<(Count, Count)>> = subjects.iter().zip(counts).map(claim).collect();
    if claimed.iter().all(Option::is_none) {
        return Ok(claimed);
    }
    let (wanted, claims) = (subjects.to_vec(), claimed.clone());
    cx.app
        .db
        .write::<_, Error, _>(move |tx| {
            for (subject, claim) in wanted.iter().zip(&claims) {
                let Some((seen, new)) = claim else { continue };
                if !store::replace(tx, &subject.digest, *seen, *new)? {
                    // Another guess was quicker.
                    return Err(Error::TooMany(subject.schedule.wait(*new, now)));
                }
            }
            Ok(())
        })
        .await?;
    Ok(claimed)
}

impl Admitted<'_> {
    /// The password was wrong: counts it, and notes it in the audit trail where that makes others wait.
    /// Gives the most that any of its counts holds now.
    ///
    /// # Errors
    /// If the database fails; then the answer must not say that the password was wrong.
    pub async fn failed(self, cx: &Cx) -> Result<i64, Error> {
        let Self { subjects, claimed, account, _turn } = self;
        if subjects.is_empty() {
            return Ok(0);
        }
        let (event, now) = (cx.event(Kind::GuessesThrottled).refused(), cx.app.clock.now());
        let (most, noted) = cx
            .app
            .db
            .write::<_, Error, _>(move |tx| {
                let (mut throttled, mut most) = (false, 0);
                for (Subject { digest, schedule }, claim) in subjects.iter().zip(&claimed) {
                    let failures = match claim {
                        Some((_, new)) => new.failures,
                        None => {
                            let failures = schedule.after(store::hold(tx, digest, now)?, now);
                            store::set(tx, digest, Count { failures, last_failed_at: now })?;
                            throttled |= failures == schedule.free;
                            failures
                        }
                    };
                    most = failures.max(most);
                }
                if !throttled {
                    return Ok((most, None));
                }
                // Not of an account that was deleted meanwhile.
                let event = match account {
                    Some(id) if accounts::flow::exists(tx, id)? => event.clone().account(id),
                    _ => event.clone(),
                };
                audit::flow::append(tx, &event)?;
                Ok((most, Some(event)))
            })
            .await?;
        noted.inspect(|event| event.log(&cx.app.metrics));
        Ok(most)
    }

    /// The password was right, or could not be checked: takes back what was counted before.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn take_back(self, cx: &Cx) -> Result<(), Error> {
        let Self { subjects, claimed, _turn, .. } = self;
        if claimed.iter().all(Option::is_none) {
            return Ok(());
        }
        cx.app
            .db
            .write(move |tx| {
                for (subject, claim) in subjects.iter().zip(&claimed) {
                    if let Some((seen, new)) = claim {
                        // If others were counted since, theirs stands.
                        store::replace(tx, &subject.digest, *new, *seen)?;
                    }
                }
                Ok(())
            })
            .await
    }
}

/// Notes, inside the transaction of a login, that the account is at home in the caller's network.
///
/// # Errors
/// If the database fails.
pub fn remember_network(tx: &mut Tx<'_>, cx: &Cx, account: AccountId) -> Result<(), db::Error> {
    let here = network(cx);
    store::remember(tx, account, &here, cx.now)?;
    store::forget_oldest(tx, account, &here, MOST_NETWORKS - 1)
}

/// The same for an account that is new and knows no other.
///
/// # Errors
/// If the database fails.
pub fn remember_first_network(tx: &mut Tx<'_>, cx: &Cx, account: AccountId) -> Result<(), db::Error> {
    store::remember(tx, account, &network(cx), cx.now)
}

/// Forgets, inside the transaction of a new password, the networks that the account knows, but for the
/// caller's: whoever had the old one may have used them.
///
/// # Errors
/// If the database fails.
pub fn forget_networks(tx: &mut Tx<'_>, cx: &Cx, account: AccountId) -> Result<(), db::Error> {
    store::forget_but(tx, account, &network(cx))
}

/// Deletes up to `limit` counts that are too old to matter. Says how many.
///
/// # Errors
/// If the database fails.
pub async fn sweep(cx: &Cx, limit: u32) -> Result<usize, db::Error> {
    let before = cx.now.minus(MEMORY);
    cx.app.db.write(move |tx| store::sweep(tx, before, limit.into())).await
}

/// The same with networks that accounts knew.
///
/// # Errors
/// If the database fails.
pub async fn sweep_networks(cx: &Cx, limit: u32) -> Result<usize, db::Error> {
    let before = cx.now.minus(FAMILIAR_FOR);
    cx.app.db.write(move |tx| store::sweep_networks(tx, before, limit.into())).await
}

/// What stands for the caller's network: addresses are not stored here in clear.
fn network(cx: &Cx) -> String {
    let here = cx.origin.address.map_or_else(String::new, |from| address::network(from).to_string());
    claviger_crypto::base64url(&cx.app.secrets.guesses.tag(&[b"network-name", here.as_bytes()]))
}
