//! What the routes say of themselves, and the OpenAPI 3.1 document made from it.

#![allow(clippy::indexing_slicing)] // Into JSON objects made here, where a new name adds a member.

use crate::http::idempotency;
use crate::http::problem::{self, Kind};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

/// Who may call a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anyone.
    Anyone,
    /// Who shows an e-mail address and a password by HTTP Basic.
    Password,
    /// Who shows an access token.
    Token,
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
    /// The JSON body.
    pub request: Option<Body>,
    /// The answers that are no problem.
    pub answers: &'static [Answer],
    /// The problems of its own; those that every route of its kind has are added.
    pub problems: &'static [&'static Kind],
}

type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

fn schema_of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// A request body.
#[derive(Debug)]
pub struct Body {
    schema: SchemaOf,
    /// An example, JSON.
    pub example: &'static str,
}

impl Body {
    /// A JSON body of the form of `T`.
    pub const fn json<T: JsonSchema>(example: &'static str) -> Self {
        Self { schema: schema_of::<T>, example }
    }
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// When it is given.
    pub meaning: &'static str,
    schema: Option<SchemaOf>,
    content_type: &'static str,
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
    /// The rest.
    pub operation: &'a Operation,
}

impl Described<'_> {
    /// All problems that the route may answer with, least status first.
    pub fn problems(&self) -> Vec<&'static Kind> {
        let mut kinds: Vec<&'static Kind> = self.operation.problems.to_vec();
        kinds.extend([
            &problem::MALFORMED_REQUEST,
            &problem::TOKEN_IN_QUERY,
            &problem::MALFORMED_CREDENTIALS,
            &problem::INTERNAL_ERROR,
        ]);
        match self.access {
            Access::Anyone => {}
            Access::Password => kinds.extend([&problem::CREDENTIALS_REQUIRED, &problem::WRONG_CREDENTIALS]),
            Access::Token => kinds.extend([&problem::CREDENTIALS_REQUIRED, &problem::INVALID_TOKEN]),
        }
        if self.operation.request.is_some() {
            kinds.extend([
                &problem::MALFORMED_JSON,
                &problem::BODY_TOO_SLOW,
                &problem::BODY_TOO_LARGE,
                &problem::UNSUPPORTED_MEDIA_TYPE,
                &problem::INVALID_FIELDS,
            ]);
        }
        kinds.sort_by_key(|kind| (kind.status, kind.name));
        kinds.dedup();
        kinds
    }
}

/// The document of these routes, served at `issuer`.
pub fn document(routes: &[Described<'_>], issuer: &str) -> Value {
    let settings = schemars::generate::SchemaSettings::draft2020_12()
        .with(|settings| settings.definitions_path = "/components/schemas".into());
    let mut schemas = settings.into_generator();
    schemas.subschema_for::<problem::Document>();
    let mut paths = Map::new();
    for route in routes {
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        path[route.method.to_lowercase()] = operation(route, &mut schemas);
    }
    json!({
        "openapi": "3.1.1",
        "info": {
            "title": "Claviger",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Accounts, logins and verifiable tokens. Errors are problem documents (RFC 9457).",
            "license": { "name": "Apache-2.0 OR MIT" },
        },
        "servers": [{ "url": issuer }],
        "paths": paths,
        "components": {
            "schemas": schemas.take_definitions(true),
            "securitySchemes": {
                "password": { "type": "http", "scheme": "basic", "description": "E-mail address (or unshared name) and password" },
                "token": { "type": "http", "scheme": "bearer", "bearerFormat": "JWT" },
                "x-access-token": { "type": "apiKey", "in": "header", "name": "x-access-token" },
                "token-header": { "type": "apiKey", "in": "header", "name": "token" },
            },
        },
    })
}

fn operation(route: &Described<'_>, schemas: &mut SchemaGenerator) -> Value {
    let operation = route.operation;
    let mut out = json!({
        "operationId": operation.id,
        "summary": operation.summary,
        "security": security(route.access),
        "responses": responses(route, schemas),
    });
    if operation.repeatable {
        out["parameters"] = json!([{
            "name": idempotency::HEADER, "in": "header", "schema": { "type": "string", "minLength": 1, "maxLength": 255 },
            "description": "A key of the caller's for this request, such as a UUID. For 24 hours the same request \
                with the same key makes nothing new and is answered alike.",
        }]);
    }
    if let Some(body) = &operation.request {
        let example: Value = serde_json::from_str(body.example).unwrap_or_default();
        let schema = (body.schema)(schemas);
        out["requestBody"] = json!({ "required": true, "content": { "application/json": { "schema": schema, "example": example } } });
    }
    out
}

fn security(access: Access) -> Value {
    match access {
        Access::Anyone => json!([]),
        Access::Password => json!([{ "password": [] }]),
        Access::Token => json!([{ "token": [] }, { "x-access-token": [] }, { "token-header": [] }]),
    }
}

fn responses(route: &Described<'_>, schemas: &mut SchemaGenerator) -> Value {
    let mut out = Map::new();
    for answer in route.operation.answers {
        let mut response = json!({ "description": answer.meaning });
        if let Some(schema) = answer.schema {
            response["content"] = json!({ answer.content_type: { "schema": schema(schemas) } });
        } else if !answer.content_type.is_empty() {
            response["content"] = json!({ answer.content_type: {} });
        }
        out.insert(answer.status.to_string(), response);
    }
    for kind in route.problems() {
        let response = out.entry(kind.status.to_string()).or_insert_with(|| json!({ "description": "" }));
        let said = response["description"].as_str().unwrap_or_default();
        let separator = if said.is_empty() { "" } else { "; or " };
        response["description"] = format!("{said}{separator}{} (`{}`)", kind.title, kind.name).into();
        response["content"]["application/problem+json"]["schema"] =
            json!({ "$ref": "#/components/schemas/Problem" });
    }
    out.into()
}
