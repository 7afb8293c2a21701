//! `/token`, `/revoke` and `/introspect` over HTTP.

use super::flow::{self, Token};
use crate::api_keys::{self, KeyScope};
use crate::app::Cx;
use crate::http::form::{Form, FormBody};
use crate::http::oauth::OauthError;
use crate::http::openapi::{Answer, Body, Operation};
use crate::http::problem::{self, INVALID_CLIENT, INVALID_REQUEST, UNSUPPORTED_GRANT_TYPE};
use crate::sessions::scope::Scope;
use crate::sessions::{self, DIRECT_CLIENT};
use axum::Json;
use axum::http::header::PRAGMA;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use schemars::JsonSchema;
use secrecy::ExposeSecret as _;
use serde::Serialize;

/// A request for tokens (RFC 6749 §6).
#[derive(JsonSchema)]
#[allow(dead_code)] // Describes the form.
pub struct TokenForm {
    /// Always `refresh_token`.
    grant_type: String,
    /// The refresh token of the last answer. It is good once; within 10 seconds it may be sent again.
    refresh_token: String,
    /// Less than what the login granted: `profile` for reading alone. For the access token only.
    scope: Option<String>,
    /// `claviger`, if it is sent at all.
    client_id: Option<String>,
}

/// New tokens (RFC 6749 §5.1).
#[derive(Serialize, JsonSchema)]
pub struct TokenAnswer {
    /// The access token, a JWT (RFC 9068).
    access_token: String,
    /// Always `Bearer`.
    token_type: &'static str,
    /// Seconds until the access token expires.
    expires_in: u64,
    /// The next refresh token.
    refresh_token: String,
    /// What the access token may be used for.
    scope: String,
}

/// A token to revoke (RFC 7009 §2.1) or to look at (RFC 7662 §2.1).
#[derive(JsonSchema)]
#[allow(dead_code)] // Describes the form.
pub struct ShownTokenForm {
    /// An access token or a refresh token.
    token: String,
    /// Ignored: a token says itself what it is.
    token_type_hint: Option<String>,
    /// The id of the API key, if it is shown here; for `/revoke` without a key, `claviger`.
    client_id: Option<String>,
    /// The API key, if it is shown here.
    client_secret: Option<String>,
}

/// What a token is (RFC 7662 §2.2).
#[derive(Default, Serialize, JsonSchema)]
pub struct IntrospectionAnswer {
    /// Whether it is good now. If not, nothing else is said.
    active: bool,
    /// What it may be used for.
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    /// The client it was issued to.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<String>,
    /// `Bearer` for an access token.
    #[serde(skip_serializing_if = "Option::is_none")]
    token_type: Option<&'static str>,
    /// When it ends, seconds since 1970 UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    exp: Option<i64>,
    /// When it was issued.
    #[serde(skip_serializing_if = "Option::is_none")]
    iat: Option<i64>,
    /// The account.
    #[serde(skip_serializing_if = "Option::is_none")]
    sub: Option<String>,
    /// Whom it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    aud: Option<String>,
    /// Who issued it.
    #[serde(skip_serializing_if = "Option::is_none")]
    iss: Option<String>,
    /// The token's own id.
    #[serde(skip_serializing_if = "Option::is_none")]
    jti: Option<String>,
    /// The session.
    #[serde(skip_serializing_if = "Option::is_none")]
    sid: Option<String>,
}

/// `POST /token`.
pub const TOKEN: Operation = Operation {
    id: "refreshTokens",
    summary: "Exchange a refresh token for new tokens (RFC 6749)",
    repeatable: false,
    parameters: &[],
    request: Some(Body::form::<TokenForm>("grant_type=refresh_token&refresh_token=cvr_…")),
    answers: &[Answer::json::<TokenAnswer>(200, "New tokens")],
    problems: &[
        &problem::INVALID_REQUEST,
        &problem::INVALID_GRANT,
        &problem::INVALID_SCOPE,
        &problem::INVALID_CLIENT,
        &problem::UNSUPPORTED_GRANT_TYPE,
        &problem::BUSY,
        &problem::DATABASE_UNAVAILABLE,
    ],
};

/// `POST /revoke`.
pub const REVOKE: Operation = Operation {
    id: "revokeToken",
    summary: "End the session that a token belongs to (RFC 7009)",
    repeatable: false,
    parameters: &[],
    request: Some(Body::form::<ShownTokenForm>("token=cvr_…&client_id=claviger")),
    answers: &[Answer::empty(200, "The token is good for nothing now, whatever it was")],
    problems: &[&problem::INVALID_REQUEST, &problem::DATABASE_UNAVAILABLE],
};

/// `POST /introspect`.
pub const INTROSPECT: Operation = Operation {
    id: "introspectToken",
    summary: "Ask what a token is and whether it is good (RFC 7662)",
    repeatable: false,
    parameters: &[],
    request: Some(Body::form::<ShownTokenForm>("token=eyJ…")),
    answers: &[Answer::json::<IntrospectionAnswer>(
        200,
        "What it is; `{\"active\":false}` and no more if it is not good",
    )],
    problems: &[&problem::INVALID_REQUEST, &problem::DATABASE_UNAVAILABLE],
};

/// `POST /token`.
pub async fn token(cx: Cx, FormBody(form): FormBody) -> Result<impl IntoResponse, OauthError> {
    match form.get("grant_type") {
        Some("refresh_token") => {}
        Some(_) => {
            let why = "The grant types are: refresh_token. Log in with POST /login.";
            return Err(UNSUPPORTED_GRANT_TYPE.because(why).into());
        }
        None => return Err(missing("grant_type")),
    }
    if form.get("client_id").is_some_and(|client| client != DIRECT_CLIENT) {
        return Err(INVALID_CLIENT.because("There is no such client.").into());
    }
    let shown = form.get("refresh_token").ok_or_else(|| missing("refresh_token"))?;
    let scope = form.get("scope").map(Scope::parse);
    let tokens = sessions::flow::refresh(&cx, shown, scope).await?;
    let answer = TokenAnswer {
        access_token: tokens.access_token,
        token_type: "Bearer",
        expires_in: tokens.expires_in,
        refresh_token: tokens.refresh_token.expose_secret().to_owned(),
        scope: tokens.scope.to_string(),
    };
    // RFC 6749 §5.1, beside the `Cache-Control` of every answer.
    Ok(([(PRAGMA, "no-cache")], Json(answer)))
}

/// `POST /revoke`. A public client names itself (RFC 7009 §2.1); who has a token may end it.
pub async fn revoke(cx: Cx, headers: HeaderMap, FormBody(form): FormBody) -> Result<StatusCode, OauthError> {
    let is_public = form.get("client_id") == Some(DIRECT_CLIENT) && form.get("client_secret").is_none();
    let cx = if is_public && !headers.contains_key("authorization") {
        cx
    } else {
        api_keys::api::authenticated(cx, &headers, &form, KeyScope::Revoke).await?
    };
    flow::revoke(&cx, shown(&form)?).await?;
    Ok(StatusCode::OK)
}

/// `POST /introspect`.
pub async fn introspect(
    cx: Cx,
    headers: HeaderMap,
    FormBody(form): FormBody,
) -> Result<Json<IntrospectionAnswer>, OauthError> {
    let cx = api_keys::api::authenticated(cx, &headers, &form, KeyScope::Introspect).await?;
    let found = flow::look_up(&cx, shown(&form)?).await?;
    Ok(Json(found.map_or_else(IntrospectionAnswer::default, |token| said(&cx, token))))
}

fn said(cx: &Cx, token: Token) -> IntrospectionAnswer {
    match token {
        Token::Access(claims, _) => IntrospectionAnswer {
            active: true,
            scope: Some(claims.scope),
            client_id: Some(claims.client_id),
            token_type: Some("Bearer"),
            exp: Some(claims.exp),
            iat: Some(claims.iat),
            sub: Some(claims.sub),
            aud: Some(claims.aud),
            iss: Some(claims.iss),
            jti: Some(claims.jti),
            sid: Some(claims.sid),
        },
        Token::Refresh(session) => IntrospectionAnswer {
            active: true,
            scope: Some(session.scope.to_string()),
            client_id: Some(session.client_id),
            exp: Some(session.expires_at.as_seconds()),
            iat: Some(session.last_used_at.as_seconds()),
            sub: Some(session.account.to_string()),
            iss: Some(cx.app.config.issuer.clone()),
            sid: Some(session.id.to_string()),
            ..IntrospectionAnswer::default()
        },
    }
}

fn shown(form: &Form) -> Result<&str, OauthError> {
    form.get("token").ok_or_else(|| missing("token"))
}

fn missing(name: &str) -> OauthError {
    INVALID_REQUEST.because(format!("The parameter {name} is missing.")).into()
}
