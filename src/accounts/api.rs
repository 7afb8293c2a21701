//! `/user` over HTTP.

use super::{Error, Name, flow};
use crate::app::extract::{Owner, Viewer, refused};
use crate::app::{App, Cx};
use crate::base::email::Email;
use crate::credentials;
use crate::http::idempotency::IdempotencyKey;
use crate::http::json::JsonBody;
use crate::http::openapi::{Answer, Body, Operation};
use crate::http::problem::{self, EMAIL_TAKEN, FieldError, IDEMPOTENCY_KEY_REUSED, Problem};
use crate::profiles::Profile;
use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use schemars::JsonSchema;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A sign-up.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct SignUp {
    /// The e-mail address, one account per mailbox.
    #[schemars(length(min = 3, max = 254), extend("format" = "idn-email"))]
    email: String,
    /// The name to show, 1 to 200 characters, none of them a control character.
    #[schemars(
        length(min = 1, max = 200),
        regex(pattern = r"^[^\x00-\x1f\x7f-\x9f]*\S[^\x00-\x1f\x7f-\x9f]*$")
    )]
    name: String,
    /// The password, 8 characters to 1,024 bytes (in dev from 1), none of them a control character.
    #[schemars(with = "String", length(min = 1, max = 1024), regex(pattern = r"^[^\x00-\x1f\x7f-\x9f]+$"))]
    password: SecretString,
}

/// A change of an account's data. What is left out stays.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ProfileChange {
    /// The new name, as at the sign-up.
    #[serde(default)]
    name: Option<String>,
}

/// A new account.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SignedUp {
    user: NewUser,
}

/// A new account's data.
#[derive(Debug, Serialize, JsonSchema)]
pub struct NewUser {
    /// The account's id, `sub` and `public_id` in its tokens.
    public_id: String,
    /// The e-mail address as typed.
    email: String,
    /// The name.
    name: String,
}

/// An account's own data.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ProfileAnswer {
    user: User,
}

/// What an account shows.
#[derive(Debug, Serialize, JsonSchema)]
pub struct User {
    /// The e-mail address as typed.
    email: String,
    /// The name.
    name: String,
}

/// `POST /user`.
pub const SIGN_UP: Operation = Operation {
    id: "signUp",
    summary: "Make an account",
    repeatable: true,
    parameters: &[],
    request: Some(Body::json::<SignUp>(
        r#"{"email":"alice@example.org","name":"Alice","password":"correct horse battery staple"}"#,
    )),
    answers: &[Answer::json::<SignedUp>(201, "The account was made; Location is its profile")],
    problems: &[
        &problem::EMAIL_TAKEN,
        &problem::IDEMPOTENCY_KEY_REUSED,
        &problem::BUSY,
        &problem::DATABASE_UNAVAILABLE,
    ],
};

/// `GET /user/profile`.
pub const GET_PROFILE: Operation = Operation {
    id: "getProfile",
    summary: "The caller's own account",
    repeatable: false,
    parameters: &[],
    request: None,
    answers: &[Answer::json::<ProfileAnswer>(200, "The account that the token was issued to")],
    problems: &[&problem::DATABASE_UNAVAILABLE],
};

/// `PATCH /user/profile`.
pub const PATCH_PROFILE: Operation = Operation {
    id: "changeProfile",
    summary: "Change the name",
    repeatable: false,
    parameters: &[],
    request: Some(Body::json::<ProfileChange>(r#"{"name":"Alice Liddell"}"#)),
    answers: &[Answer::json::<ProfileAnswer>(200, "The account as it is now")],
    problems: &[&problem::DATABASE_UNAVAILABLE],
};

/// `POST /user`.
pub async fn sign_up(
    cx: Cx,
    IdempotencyKey(key): IdempotencyKey,
    JsonBody(input): JsonBody<SignUp>,
) -> Result<impl IntoResponse, Problem> {
    let (email, name, password) = valid(&cx, &input)?;
    let account = credentials::flow::sign_up(&cx, email, name, password, key).await?;
    let user = NewUser {
        public_id: account.id.to_string(),
        email: account.email.to_string(),
        name: account.name.as_str().to_owned(),
    };
    Ok((StatusCode::CREATED, [(header::LOCATION, "/user/profile")], Json(SignedUp { user })))
}

/// All faults of a sign-up at once.
fn valid(cx: &Cx, input: &SignUp) -> Result<(Email, Name, credentials::Password), Problem> {
    let mut faults = Vec::new();
    let mut fault = |pointer: &'static str, why: String| {
        faults.push(FieldError { pointer: pointer.into(), detail: why.into() });
    };
    let email = Email::parse(&input.email).map_err(|why| fault("/email", why.to_string())).ok();
    let name = Name::parse(&input.name).map_err(|why| fault("/name", why.to_string())).ok();
    let policy = credentials::Policy::of(&cx.app.config);
    let password = credentials::Password::new(&input.password, &policy, email.as_ref(), name.as_ref())
        .map_err(|why| fault("/password", why.to_string()))
        .ok();
    match (email, name, password) {
        (Some(email), Some(name), Some(password)) => Ok((email, name, password)),
        _ => Err(Problem::fields(faults)),
    }
}

/// `GET /user/profile`.
pub async fn profile(
    State(app): State<Arc<App>>,
    Viewer(account): Viewer,
) -> Result<Json<ProfileAnswer>, Problem> {
    Ok(Json(flow::profile(&app, account).await?.into()))
}

/// `PATCH /user/profile`.
pub async fn change_profile(
    cx: Cx,
    Owner(caller): Owner,
    JsonBody(input): JsonBody<ProfileChange>,
) -> Result<Json<ProfileAnswer>, Problem> {
    caller.expect_live(&cx.app)?;
    let cx = cx.by(&caller);
    let shown = match input.name {
        Some(name) => {
            let name = Name::parse(&name).map_err(|why| Problem::field("/name", why))?;
            flow::rename(&cx, caller.account, name).await
        }
        None => flow::profile(&cx.app, caller.account).await,
    };
    Ok(Json(shown?.into()))
}

impl From<Profile> for ProfileAnswer {
    fn from(profile: Profile) -> Self {
        Self { user: User { email: profile.email, name: profile.name } }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::EmailTaken => {
                EMAIL_TAKEN.because("An account with this e-mail address exists. Log in instead.")
            }
            Error::KeyReused => IDEMPOTENCY_KEY_REUSED.because(
                "An account was made with this key, but with other data. Take a new key for a new request.",
            ),
            // A token whose account is gone is good for nothing.
            Error::Unknown => refused(&"its account is gone"),
            Error::Db(error) => error.into(),
        }
    }
}
