//! Checking a password: one hash, whether there is such an account or not, and not too many guesses.

use crate::accounts::Name;
use crate::app::Cx;
use crate::audit::{self, Actor, Kind};
use crate::base::email::Email;
use crate::base::id::{AccountId, SessionId};
use crate::base::random;
use crate::credentials::store::{self, Stored};
use crate::credentials::{Error, Password};
use crate::db::{self, Lock, Tx};
use crate::guesses::{self, OWN_MOST, flow::Guessed};
use crate::sessions::{self, Which};
use claviger_crypto::password::{Hasher, OutOfMemory, Params, PasswordHash, StoredHash};

/// Whose password is checked.
#[derive(Clone, Copy, Debug)]
pub enum Who<'a> {
    /// An e-mail address, or a name that one account alone bears.
    Identifier(&'a str),
    /// An account that is known already, by who shows a token of this session.
    Account(AccountId, SessionId),
}

/// A password that was right. What is done on the strength of it asks [`Verified::still_holds`] inside its
/// transaction: the password may have been changed, or the account disabled, meanwhile.
#[derive(Clone, Debug)]
pub struct Verified(Stored);

impl Verified {
    /// The account.
    pub fn account(&self) -> AccountId {
        self.0.account
    }

    /// Whether the account is active and its password still the one that was checked. It stays so until the end
    /// of the transaction.
    ///
    /// # Errors
    /// If the database fails.
    pub fn still_holds(&self, tx: &mut Tx<'_>, lock: Lock) -> Result<bool, db::Error> {
        store::is_current(tx, &self.0, lock)
    }
}

/// Checks a password. Costs one hash, whether there is such an account or not; and what the hash of another system
/// or cost does, for an account that has one still and for as many identifiers that nobody has.
///
/// # Errors
/// [`Error::Wrong`], [`Error::Guesses`], or that there is no capacity now.
pub async fn verify(cx: &Cx, who: Who<'_>, password: Password) -> Result<Verified, Error> {
    let (found, identifier) = find(cx, who).await?;
    let account = found.as_ref().map(|stored| stored.account);
    let guess = guesses::flow::admit(cx, guessed(who, account, &identifier)).await?;
    let params = cx.app.passwords.params();
    let hash = found.as_ref().and_then(|stored| parse(cx, stored));
    let expected = hash.unwrap_or_else(|| decoy(cx, &identifier));
    let renewal =
        Renewal { params, salt: random::bytes(), wanted: found.as_ref().is_some_and(|stored| stored.active) };
    let checked = cx.app.passwords.run(move |hasher| check(hasher, &password, &expected, &renewal)).await;
    let checked = match checked.map_err(Error::from).and_then(|checked| Ok(checked?)) {
        Ok(checked) => checked,
        Err(error) => {
            guess.take_back(cx).await?;
            return Err(error);
        }
    };
    match (found, checked) {
        (Some(stored), Checked::Right { renewed }) if stored.active => {
            guess.take_back(cx).await?;
            if let Some(hash) = renewed {
                renew(cx, &stored, &hash).await;
            }
            Ok(Verified(stored))
        }
        _ => {
            let failures = guess.failed(cx).await?;
            log_wrong(cx, who, account);
            if let Who::Account(id, session) = who
                && failures >= OWN_MOST
            {
                end_for_guessing(cx, id, session).await?;
            }
            Err(Error::Wrong)
        }
    }
}

/// Ends the session whose token was shown with so many wrong passwords: it is a thief's, most likely.
async fn end_for_guessing(cx: &Cx, account: AccountId, session: SessionId) -> Result<(), Error> {
    let mut cx = cx.clone();
    cx.origin.actor = Actor::System;
    match sessions::flow::end(&cx, account, Which::One(session), Kind::Revoke).await {
        Ok(_) | Err(sessions::Error::Unknown) => Ok(()),
        Err(sessions::Error::Db(error)) => Err(error.into()),
        Err(error) => Err(db::Error::Statement(error.to_string()).into()),
    }
}

/// Failures are in the log one by one; the audit trail tells of them when they become too many.
pub fn log_wrong(cx: &Cx, who: Who<'_>, account: Option<AccountId>) {
    let kind = match who {
        Who::Identifier(_) => Kind::Login,
        Who::Account(..) => Kind::PasswordCheck,
    };
    let event = cx.event(kind).refused().detail("wrong credentials");
    match account {
        Some(account) => event.account(account).log(&cx.app.metrics),
        None => event.log(&cx.app.metrics),
    }
}

fn guessed<'a>(who: Who<'_>, found: Option<AccountId>, identifier: &'a str) -> Guessed<'a> {
    match (who, found) {
        (Who::Identifier(_), Some(account)) => Guessed::Account(account),
        (Who::Account(..), Some(account)) => Guessed::Own(account),
        (_, None) => Guessed::Nobody(identifier),
    }
}

enum Checked {
    Wrong,
    /// With a new hash where the stored one was made with other parameters.
    Right {
        renewed: Option<PasswordHash>,
    },
}

/// What a new hash is made with.
struct Renewal {
    params: Params,
    salt: [u8; 16],
    /// Whether anybody is told that the password is right.
    wanted: bool,
}

/// Computes the same whether the password is right or wrong, unless its caller is told so anyway: the time must not
/// tell that it is a disabled account's.
fn check(
    hasher: &mut Hasher,
    password: &Password,
    expected: &StoredHash,
    renewal: &Renewal,
) -> Result<Checked, OutOfMemory> {
    let is_right = hasher.verify_stored(password.as_bytes(), expected)?;
    // Another system may have hashed what its keyboard gave, in another form of Unicode.
    let typed = password.as_typed().map(|typed| hasher.verify_stored(typed, expected)).transpose()?;
    let is_right_as_typed = !is_right && typed == Some(true);
    // A hash of another system or cost may be a cheap one, and no password costs less than ours.
    let is_renewed = expected.is_outdated(renewal.params) || is_right_as_typed && renewal.wanted;
    let renewed = is_renewed.then(|| hasher.hash(password.as_bytes(), renewal.salt)).transpose()?;
    Ok(if is_right || is_right_as_typed { Checked::Right { renewed } } else { Checked::Wrong })
}

/// What is checked for an identifier that nobody has.
fn decoy(cx: &Cx, identifier: &str) -> StoredHash {
    let digest = cx.app.secrets.guesses.tag(&[b"decoy", identifier.as_bytes()]);
    let like = cx.app.passwords.decoys().of(&digest);
    let own = || PasswordHash::decoy(cx.app.passwords.params(), random::bytes(), random::bytes());
    like.map_or_else(|| StoredHash::Own(own()), |like| like.decoy(random::bytes()))
}

/// The account, and what its failures are counted under where there is none.
async fn find(cx: &Cx, who: Who<'_>) -> Result<(Option<Stored>, String), Error> {
    let identifier = match who {
        Who::Identifier(identifier) => identifier,
        Who::Account(id, _) => {
            let stored = cx.app.db.read::<_, Error, _>(move |tx| Ok(store::by_id(tx, id)?)).await?;
            return Ok((stored, id.to_string()));
        }
    };
    // A name never stands for a mailbox: what holds an @ is looked up as an address alone.
    if identifier.contains('@') {
        let Ok(email) = Email::parse(identifier) else { return Ok((None, identifier.to_owned())) };
        let key = email.key().to_owned();
        let stored = cx.app.db.read::<_, Error, _>(move |tx| Ok(store::by_email(tx, email.key())?)).await?;
        return Ok((stored, key));
    }
    let Ok(name) = Name::parse(identifier) else { return Ok((None, identifier.to_owned())) };
    let key = name.as_str().to_owned();
    let mut bearers = cx.app.db.read::<_, Error, _>(move |tx| Ok(store::by_name(tx, name.as_str())?)).await?;
    Ok((if bearers.len() == 1 { bearers.pop() } else { None }, key))
}

fn parse(cx: &Cx, stored: &Stored) -> Option<StoredHash> {
    let hash = StoredHash::parse(&stored.phc);
    if let Err(error) = &hash {
        tracing::error!(account = %stored.account, request_id = %cx.origin.request_id, %error, "nobody can log in to this account");
    }
    hash.ok()
}

/// Stores a hash made with the present parameters. The login does not depend on it.
async fn renew(cx: &Cx, stored: &Stored, hash: &PasswordHash) {
    let event = cx.event(Kind::PasswordRehash).account(stored.account);
    let (old, phc, noted) = (stored.clone(), hash.to_string(), event.clone());
    let renewed = cx
        .app
        .db
        .write::<_, db::Error, _>(move |tx| {
            let renewed = store::renew(tx, &old, &phc)?;
            if renewed {
                audit::flow::append(tx, &noted)?;
            }
            Ok(renewed)
        })
        .await;
    match renewed {
        Ok(true) => event.log(&cx.app.metrics),
        // Another login was quicker.
        Ok(false) => {}
        Err(error) => {
            let (account, request_id) = (stored.account, cx.origin.request_id);
            tracing::error!(%account, %request_id, %error, "the new hash was not stored");
        }
    }
}
