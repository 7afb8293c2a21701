//! `PUT /user/password` and `DELETE /user` over HTTP, and how faults of credentials are told.

use super::flow::{self, Sessions};
use super::{Error, Password, Policy};
use crate::accounts::{self, Name};
use crate::app::Cx;
use crate::app::extract::{Owner, refused};
use crate::base::email::Email;
use crate::http::basic;
use crate::http::json::JsonBody;
use crate::http::openapi::{Answer, Body, Operation};
use crate::http::problem::{self, Problem, WRONG_CREDENTIALS, WRONG_PASSWORD};
use crate::password_pool::Error::{Busy, Failed};
use crate::sessions::Which;
use axum::http::StatusCode;
use schemars::JsonSchema;
use secrecy::SecretString;
use serde::Deserialize;

/// A change of the password.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct PasswordChange {
    /// The present password.
    #[schemars(with = "String", length(max = 1024))]
    current_password: SecretString,
    /// The new one, as at the sign-up.
    #[schemars(with = "String", length(min = 1, max = 1024), regex(pattern = r"^[^\x00-\x1f\x7f-\x9f]+$"))]
    new_password: SecretString,
    /// Whether the account's other sessions go on; they end where this is missing.
    #[serde(default)]
    keep_other_sessions: bool,
}

/// The end of an account.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct AccountDeletion {
    /// The present password.
    #[schemars(with = "String", length(max = 1024))]
    password: SecretString,
}

/// `PUT /user/password`.
pub const PUT_PASSWORD: Operation = Operation {
    id: "changePassword",
    summary: "Change the password, and end the account's other sessions",
    repeatable: false,
    parameters: &[],
    request: Some(Body::json::<PasswordChange>(
        r#"{"current_password":"correct horse battery staple","new_password":"a stitch in time saves nine"}"#,
    )),
    answers: &[Answer::empty(204, "The new password holds")],
    problems: &[
        &problem::WRONG_PASSWORD,
        &problem::TOO_MANY_GUESSES,
        &problem::BUSY,
        &problem::DATABASE_UNAVAILABLE,
    ],
};

/// `DELETE /user`.
pub const DELETE_USER: Operation = Operation {
    id: "deleteAccount",
    summary: "Delete the account and all personal data",
    repeatable: false,
    parameters: &[],
    request: Some(Body::json::<AccountDeletion>(r#"{"password":"correct horse battery staple"}"#)),
    answers: &[Answer::empty(204, "The account is gone, its sessions have ended")],
    problems: &[
        &problem::WRONG_PASSWORD,
        &problem::TOO_MANY_GUESSES,
        &problem::BUSY,
        &problem::DATABASE_UNAVAILABLE,
    ],
};

/// `PUT /user/password`.
pub async fn change_password(
    cx: Cx,
    Owner(caller): Owner,
    JsonBody(input): JsonBody<PasswordChange>,
) -> Result<StatusCode, Problem> {
    let cx = cx.by(&caller);
    let current = attempt("/current_password", &input.current_password)?;
    let shown = accounts::flow::profile(&cx.app, caller.account).await?;
    let policy = Policy::of(&cx.app.config);
    let (email, name) = (Email::parse(&shown.email).ok(), Name::parse(&shown.name).ok());
    let new = Password::new(&input.new_password, &policy, email.as_ref(), name.as_ref())
        .map_err(|why| Problem::field("/new_password", why))?;
    let sessions =
        if input.keep_other_sessions { Sessions::Keep } else { Sessions::End(Which::AllBut(caller.session)) };
    let changed = flow::change_password(&cx, (caller.account, caller.session), current, new, sessions).await;
    changed.map_err(wrong_password)?;
    Ok(StatusCode::NO_CONTENT)
}

/// `DELETE /user`.
pub async fn delete(
    cx: Cx,
    Owner(caller): Owner,
    JsonBody(input): JsonBody<AccountDeletion>,
) -> Result<StatusCode, Problem> {
    let cx = cx.by(&caller);
    let password = attempt("/password", &input.password)?;
    flow::close_account(&cx, (caller.account, caller.session), password).await.map_err(wrong_password)?;
    Ok(StatusCode::NO_CONTENT)
}

fn attempt(pointer: &'static str, typed: &SecretString) -> Result<Password, Problem> {
    Password::attempt(typed).map_err(|why| Problem::field(pointer, why))
}

/// The caller is known by a token already: a 401 would have clients throw that away.
fn wrong_password(error: Error) -> Problem {
    match error {
        Error::Wrong => WRONG_PASSWORD.because("This is not the account's present password."),
        error => error.into(),
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::Wrong => WRONG_CREDENTIALS
                .because("The e-mail address (or name) and the password do not belong together.")
                .challenge(basic::CHALLENGE),
            Error::SessionEnded => refused(&"its session has ended"),
            Error::Account(error) => error.into(),
            Error::Guesses(error) => error.into(),
            Error::Db(error) => error.into(),
            Error::Pool(Busy) | Error::Memory(_) => Self::busy(&error),
            Error::Pool(Failed) => Self::internal(error),
        }
    }
}
