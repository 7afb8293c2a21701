//! What the routes say of themselves. `document.rs` makes the OpenAPI document from it, `pages/docs.rs`
//! the page.

use crate::http::limit::Limit;
use crate::http::problem::{self, Kind};
use crate::http::{form, json};
use schemars::{JsonSchema, Schema, SchemaGenerator};

/// Who may call a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anyone.
    Anyone,
    /// Who shows an e-mail address and a password by HTTP Basic.
    Password,
    /// Who shows an access token.
    Token,
    /// Who shows an access token whose scope has `account`.
    Account,
    /// Who shows an operator's API key, by Bearer or Basic. Speaks OAuth.
    ApiKey,
}

/// The documentation of one route.
#[derive(Debug)]
pub struct Operation {
    /// `operationId`.
    pub id: &'static str,
    /// One line.
    pub summary: &'static str,
    /// Whether it may be sent again under an `Idempotency-Key`.
    pub repeatable: bool,
    /// The parameters in the path and the query.
    pub parameters: &'static [Parameter],
    /// The body.
    pub request: Option<Body>,
    /// The answers that are no problem.
    pub answers: &'static [Answer],
    /// The problems of its own; those that every route of its kind has are added.
    pub problems: &'static [&'static Kind],
}

impl Operation {
    /// Whether it answers its own errors in OAuth's form (RFC 6749 §5.2).
    pub fn speaks_oauth(&self, access: Access) -> bool {
        access == Access::ApiKey || self.request.as_ref().is_some_and(|body| body.content_type == form::TYPE)
    }
}

/// A parameter in the path or the query.
#[derive(Debug)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// Where it stands.
    pub place: Place,
    /// What it may be.
    pub value: ValueKind,
    /// What it means.
    pub description: &'static str,
}

/// Where a parameter stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the path, as `{name}`.
    Path,
    /// In the query; it may be left out.
    Query,
}

/// What a parameter may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueKind {
    /// Any text.
    Text,
    /// A UUID.
    Uuid,
    /// A whole number within these bounds.
    Integer {
        /// The least.
        least: i64,
        /// The most.
        most: i64,
    },
}

impl Parameter {
    /// A part of the path, written `{name}` there.
    pub const fn path(name: &'static str, value: ValueKind, description: &'static str) -> Self {
        Self { name, place: Place::Path, value, description }
    }

    /// A part of the query, which may be left out.
    pub const fn query(name: &'static str, value: ValueKind, description: &'static str) -> Self {
        Self { name, place: Place::Query, value, description }
    }
}

type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

fn schema_of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// A request body.
#[derive(Debug)]
pub struct Body {
    pub(super) schema: SchemaOf,
    /// Its content type.
    pub content_type: &'static str,
    /// An example, as it is sent.
    pub example: &'static str,
}

impl Body {
    /// A JSON body of the form of `T`.
    pub const fn json<T: JsonSchema>(example: &'static str) -> Self {
        Self { schema: schema_of::<T>, content_type: json::TYPE, example }
    }

    /// A form whose parameters are the fields of `T`, all texts.
    pub const fn form<T: JsonSchema>(example: &'static str) -> Self {
        Self { schema: schema_of::<T>, content_type: form::TYPE, example }
    }
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// When it is given.
    pub meaning: &'static str,
    pub(super) schema: Option<SchemaOf>,
    pub(super) content_type: &'static str,
}

impl Answer {
    /// An answer with a JSON body of the form of `T`.
    pub const fn json<T: JsonSchema>(status: u16, meaning: &'static str) -> Self {
        Self { status, meaning, schema: Some(schema_of::<T>), content_type: "application/json" }
    }

    /// The same under a more exact content type.
    pub const fn as_type(self, content_type: &'static str) -> Self {
        Self { content_type, ..self }
    }

    /// An answer with a body of another type.
    pub const fn other(status: u16, meaning: &'static str, content_type: &'static str) -> Self {
        Self { status, meaning, schema: None, content_type }
    }

    /// An answer without a body.
    pub const fn empty(status: u16, meaning: &'static str) -> Self {
        Self { status, meaning, schema: None, content_type: "" }
    }
}

/// A route as the document needs it.
#[derive(Clone, Copy, Debug)]
pub struct Described<'a> {
    /// The method.
    pub method: &'a str,
    /// The path.
    pub path: &'a str,
    /// Who may call.
    pub access: Access,
    /// How often.
    pub limit: Limit,
    /// The rest.
    pub operation: &'a Operation,
}

/// What every route may answer, before it is asked.
const EVERYWHERE: [&Kind; 4] = [
    &problem::MALFORMED_REQUEST,
    &problem::TOKEN_IN_QUERY,
    &problem::MALFORMED_CREDENTIALS,
    &problem::INTERNAL_ERROR,
];

impl Described<'_> {
    /// All problems that the route may answer with, least status first.
    pub fn problems(&self) -> Vec<&'static Kind> {
        let mut kinds: Vec<&'static Kind> = self.operation.problems.to_vec();
        kinds.extend(EVERYWHERE);
        if self.method != "GET" && kinds.contains(&&problem::DATABASE_UNAVAILABLE) {
            kinds.push(&problem::OUTCOME_UNKNOWN);
        }
        if self.limit != Limit::Free {
            kinds.push(&problem::TOO_MANY_REQUESTS);
        }
        let token = [&problem::CREDENTIALS_REQUIRED, &problem::INVALID_TOKEN];
        match self.access {
            Access::Anyone => {}
            Access::Password => kinds.extend([&problem::CREDENTIALS_REQUIRED, &problem::WRONG_CREDENTIALS]),
            Access::Token => kinds.extend(token),
            Access::Account => kinds.extend(token.into_iter().chain([&problem::INSUFFICIENT_SCOPE])),
            Access::ApiKey => kinds.extend([&problem::INVALID_CLIENT, &problem::INSUFFICIENT_SCOPE]),
        }
        if let Some(body) = &self.operation.request {
            kinds.extend([
                &problem::BODY_TOO_SLOW,
                &problem::BODY_TOO_LARGE,
                &problem::UNSUPPORTED_MEDIA_TYPE,
            ]);
            match body.content_type {
                form::TYPE => kinds.push(&problem::INVALID_REQUEST),
                _ => kinds.extend([&problem::MALFORMED_JSON, &problem::INVALID_FIELDS]),
            }
        }
        kinds.sort_by_key(|kind| (kind.status, kind.name));
        kinds.dedup();
        kinds
    }

    /// Whether this problem comes in OAuth's form, and whether as a problem document. What is refused
    /// before a route is reached is always the latter; a failure may be either.
    pub(super) fn forms(&self, kind: &Kind) -> (bool, bool) {
        let oauth = self.operation.speaks_oauth(self.access);
        let everywhere = EVERYWHERE.contains(&kind);
        (oauth && (!everywhere || kind == &problem::INTERNAL_ERROR), !oauth || everywhere)
    }
}
