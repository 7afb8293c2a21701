//! Making an account with its password, and checking a password.

use super::store::{self, Stored};
use super::{Error, Password};
use crate::accounts::{self, Name, NewAccount};
use crate::app::Cx;
use crate::base::email::Email;
use crate::base::id::{self, AccountId};
use crate::base::random;
use claviger_crypto::password::{Hasher, OutOfMemory, Params, PasswordHash};

/// Makes an account that logs in with `password`. The same request with the same `key` makes it once
/// and is answered alike.
///
/// # Errors
/// [`accounts::Error::EmailTaken`], or that there is no capacity now; then nothing was made.
pub async fn sign_up(
    cx: &Cx,
    email: Email,
    name: Name,
    password: Password,
    key: Option<[u8; 32]>,
) -> Result<NewAccount, Error> {
    let id = AccountId(id::uuid_v7(cx.now, random::bytes()));
    let account = NewAccount { id, email, name, created_at: cx.now, idempotency_key: key };
    match (create(cx, &account, &password).await, key) {
        (Err(Error::Account(accounts::Error::EmailTaken)), Some(key)) => {
            repeat(cx, account, password, key).await
        }
        (result, _) => result.map(|()| account),
    }
}

async fn create(cx: &Cx, account: &NewAccount, password: &Password) -> Result<(), Error> {
    accounts::flow::expect_free(cx, &account.email).await?;
    let (password, salt) = (password.clone(), random::bytes());
    let hash = cx.app.passwords.run(move |hasher| hasher.hash(password.as_bytes(), salt)).await??;
    let (row, phc) = (account.clone(), hash.to_string());
    cx.app
        .db
        .write::<_, Error, _>(move |tx| {
            accounts::flow::create(tx, &row)?;
            Ok(store::insert(tx, row.id, &phc, row.created_at)?)
        })
        .await?;
    tracing::info!(event = "sign-up", account = %account.id, address = %cx.address, request_id = %cx.request_id);
    Ok(())
}

/// The answer to a sign-up that was made before: the same, for who knows the same password.
async fn repeat(
    cx: &Cx,
    account: NewAccount,
    password: Password,
    key: [u8; 32],
) -> Result<NewAccount, Error> {
    let made = accounts::flow::made_before(cx, &account.email, &account.name, key).await?;
    match verify(cx, account.email.as_typed(), password).await {
        Ok(id) if id == made => Ok(NewAccount { id, ..account }),
        Ok(_) | Err(Error::Wrong) => Err(accounts::Error::KeyReused.into()),
        Err(error) => Err(error),
    }
}

/// Finds the account of `identifier` (an e-mail address, or a name that one account alone bears) if
/// `password` is its password. Costs one hash, whether there is such an account or not.
///
/// # Errors
/// [`Error::Wrong`], or that there is no capacity now.
pub async fn verify(cx: &Cx, identifier: &str, password: Password) -> Result<AccountId, Error> {
    let found = find(cx, identifier).await?;
    let params = cx.app.passwords.params();
    let hash = found.as_ref().and_then(|stored| parse(cx, stored));
    let expected = hash.unwrap_or_else(|| PasswordHash::decoy(params, random::bytes(), random::bytes()));
    let salt = random::bytes();
    let checked =
        cx.app.passwords.run(move |hasher| check(hasher, &password, &expected, params, salt)).await??;
    match (found, checked) {
        (Some(stored), Checked::Right { renewed }) => {
            let account = stored.account;
            if let Some(hash) = renewed {
                renew(cx, stored, &hash).await;
            }
            Ok(account)
        }
        (found, _) => {
            let account = found.map(|stored| tracing::field::display(stored.account));
            tracing::info!(event = "login", outcome = "wrong-credentials", account, address = %cx.address, request_id = %cx.request_id);
            Err(Error::Wrong)
        }
    }
}

enum Checked {
    Wrong,
    /// With a new hash where the stored one was made with other parameters.
    Right {
        renewed: Option<PasswordHash>,
    },
}

fn check(
    hasher: &mut Hasher,
    password: &Password,
    expected: &PasswordHash,
    params: Params,
    salt: [u8; 16],
) -> Result<Checked, OutOfMemory> {
    if !hasher.verify(password.as_bytes(), expected)? {
        return Ok(Checked::Wrong);
    }
    let renewed = expected.is_outdated(params).then(|| hasher.hash(password.as_bytes(), salt)).transpose()?;
    Ok(Checked::Right { renewed })
}

async fn find(cx: &Cx, identifier: &str) -> Result<Option<Stored>, Error> {
    // A name never stands for a mailbox: what holds an @ is looked up as an address alone.
    if identifier.contains('@') {
        let Ok(email) = Email::parse(identifier) else { return Ok(None) };
        return cx.app.db.read(move |tx| Ok(store::by_email(tx, email.key())?)).await;
    }
    let Ok(name) = Name::parse(identifier) else { return Ok(None) };
    let mut bearers = cx.app.db.read::<_, Error, _>(move |tx| Ok(store::by_name(tx, name.as_str())?)).await?;
    Ok(if bearers.len() == 1 { bearers.pop() } else { None })
}

fn parse(cx: &Cx, stored: &Stored) -> Option<PasswordHash> {
    let hash = PasswordHash::parse(&stored.phc);
    if let Err(error) = &hash {
        tracing::error!(account = %stored.account, request_id = %cx.request_id, %error, "nobody can log in to this account");
    }
    hash.ok()
}

/// Stores a hash made with the present parameters. The login does not depend on it.
async fn renew(cx: &Cx, stored: Stored, hash: &PasswordHash) {
    let (phc, now, account) = (hash.to_string(), cx.now, stored.account);
    let replaced =
        cx.app.db.write::<_, crate::db::Error, _>(move |tx| store::replace(tx, &stored, &phc, now)).await;
    match replaced {
        Ok(_) => tracing::info!(event = "password-rehashed", %account, request_id = %cx.request_id),
        Err(error) => {
            tracing::error!(%account, request_id = %cx.request_id, %error, "the new hash was not stored");
        }
    }
}
