//! Admitting a guess before its hash, and counting it after.

use super::{Count, Error, MEMORY, Subject, Target, store, subjects};
use crate::app::Cx;
use crate::audit::{self, Kind};
use crate::base::id::AccountId;
use crate::db::{self, Tx};
use crate::http::address;
use std::time::Duration;
use tokio::sync::SemaphorePermit;

/// A network that was not used for this long is a stranger's again.
const FAMILIAR_FOR: Duration = Duration::from_secs(90 * 86_400);

/// The most networks that are known of an account.
const MOST_NETWORKS: i64 = 20;

/// A guess that may be made. It is over when this is dropped.
#[derive(Debug)]
pub struct Admitted<'a> {
    subjects: Vec<Subject>,
    /// How many of them, from the first on, were counted before the hash.
    claimed: Vec<bool>,
    account: Option<AccountId>,
    _turn: Option<SemaphorePermit<'a>>,
}

/// Admits a guess at the account `found`, or else at `identifier`.
///
/// # Errors
/// [`Error::TooMany`], or that there is no capacity now.
pub async fn admit<'a>(
    cx: &'a Cx,
    found: Option<AccountId>,
    identifier: &str,
) -> Result<Admitted<'a>, Error> {
    if !cx.app.config.limits {
        return Ok(Admitted { subjects: Vec::new(), claimed: Vec::new(), account: found, _turn: None });
    }
    let subjects = counted_for(cx, found, identifier).await?;
    let first = subjects.first().map(|subject| subject.digest).unwrap_or_default();
    // Those who have to wait in any case take nobody's turn.
    expect_no_wait(cx, &subjects).await?;
    let turn = cx.app.passwords.turn(&first).await?;
    let counts = expect_no_wait(cx, &subjects).await?;
    let claimed = claim(cx, &subjects, counts).await?;
    Ok(Admitted { subjects, claimed, account: found, _turn: Some(turn) })
}

async fn counted_for(cx: &Cx, found: Option<AccountId>, identifier: &str) -> Result<Vec<Subject>, Error> {
    let network = network(cx);
    // One look for the unknown too, so that they take the same time.
    let account = found.unwrap_or(AccountId(uuid::Uuid::nil()));
    let (since, here) = (cx.now.minus(FAMILIAR_FOR), network.clone());
    let known =
        cx.app.db.read::<_, Error, _>(move |tx| Ok(store::is_known(tx, account, &here, since)?)).await?;
    let target = match found {
        Some(account) if known => Target::Familiar(account),
        Some(account) => Target::Account(account),
        None => Target::Unknown(identifier),
    };
    Ok(subjects(target, &network))
}

/// The counts of the subjects, if none of them has to wait.
async fn expect_no_wait(cx: &Cx, subjects: &[Subject]) -> Result<Vec<Option<Count>>, Error> {
    let (wanted, since) = (subjects.to_vec(), cx.now.minus(MEMORY));
    let counts = cx
        .app
        .db
        .read::<_, Error, _>(move |tx| {
            wanted.iter().map(|subject| Ok(store::count(tx, &subject.digest, since)?)).collect()
        })
        .await?;
    let now = cx.app.clock.now();
    let waits = subjects.iter().zip(&counts);
    let waits = waits.filter_map(|(subject, count): (&Subject, &Option<Count>)| {
        Some(subject.schedule.wait((*count)?, now))
    });
    match waits.max().filter(|wait| !wait.is_zero()) {
        Some(wait) => Err(Error::TooMany(wait)),
        None => Ok(counts),
    }
}

/// Counts the guess already for those subjects that have had their free ones: one guess gets through.
async fn claim(cx: &Cx, subjects: &[Subject], counts: Vec<Option<Count>>) -> Result<Vec<bool>, Error> {
    let strict = |(subject, count): (&Subject, &Option<Count>)| {
        count.is_some_and(|count| subject.schedule.is_strict(count))
    };
    let claimed: Vec<bool> = subjects.iter().zip(&counts).map(strict).collect();
    if !claimed.contains(&true) {
        return Ok(claimed);
    }
    let (wanted, strict, now) = (subjects.to_vec(), claimed.clone(), cx.app.clock.now());
    cx.app
        .db
        .write::<_, Error, _>(move |tx| {
            for ((subject, count), _) in
                wanted.iter().zip(&counts).zip(&strict).filter(|(_, strict)| **strict)
            {
                let Some(count) = count else { continue };
                if !store::claim(tx, &subject.digest, *count, now)? {
                    // Another guess was quicker.
                    let next = Count { failures: count.failures.saturating_add(1), last_failed_at: now };
                    return Err(Error::TooMany(subject.schedule.wait(next, now)));
                }
            }
            Ok(())
        })
        .await?;
    Ok(claimed)
}

impl Admitted<'_> {
    /// The password was wrong: counts it, and notes it in the audit trail where that makes others wait.
    ///
    /// # Errors
    /// If the database fails; then the answer must not say that the password was wrong.
    pub async fn failed(self, cx: &Cx) -> Result<(), Error> {
        let (subjects, claimed, now) = (self.subjects.clone(), self.claimed.clone(), cx.app.clock.now());
        let event = cx.event(Kind::GuessesThrottled).refused();
        let event = match self.account {
            Some(account) => event.account(account),
            None => event,
        };
        let noted = event.clone();
        let throttled = cx
            .app
            .db
            .write::<_, Error, _>(move |tx| {
                let mut throttled = false;
                for (subject, _) in subjects.iter().zip(&claimed).filter(|(_, claimed)| !**claimed) {
                    let failures = store::add(tx, &subject.digest, now.minus(MEMORY), now)?;
                    throttled |= failures == subject.schedule.free;
                }
                if throttled {
                    audit::flow::append(tx, &noted)?;
                }
                Ok(throttled)
            })
            .await?;
        if throttled {
            event.log();
        }
        Ok(())
    }

    /// The password was right: takes back what was counted before.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn succeeded(self, cx: &Cx) -> Result<(), Error> {
        let (subjects, claimed) = (self.subjects.clone(), self.claimed.clone());
        if !claimed.contains(&true) {
            return Ok(());
        }
        cx.app
            .db
            .write(move |tx| {
                for (subject, _) in subjects.iter().zip(&claimed).filter(|(_, claimed)| **claimed) {
                    store::give_back(tx, &subject.digest)?;
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
    store::remember(tx, account, &network(cx), cx.now)?;
    store::forget_oldest(tx, account, MOST_NETWORKS)
}

/// Deletes up to `limit` of each kind of row that is too old to matter. Says how many.
///
/// # Errors
/// If the database fails.
pub async fn sweep(cx: &Cx, limit: u32) -> Result<usize, db::Error> {
    let (counts, networks) = (cx.now.minus(MEMORY), cx.now.minus(FAMILIAR_FOR));
    cx.app
        .db
        .write(move |tx| {
            Ok(store::sweep(tx, counts, limit.into())? + store::sweep_networks(tx, networks, limit.into())?)
        })
        .await
}

fn network(cx: &Cx) -> String {
    cx.origin.address.map_or_else(String::new, |from| address::network(from).to_string())
}
