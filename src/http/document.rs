//! The OpenAPI 3.1 document, made from what the routes say of themselves.

#![allow(clippy::indexing_slicing)] // Into JSON objects made here, where a new name adds a member.

use crate::http::openapi::{Access, Body, Described, Parameter, Place, ValueKind};
use crate::http::{form, idempotency, oauth, problem};
use schemars::SchemaGenerator;
use serde_json::{Map, Value, json};

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
                "api-key": { "type": "http", "scheme": "bearer", "description": "An API key, made by the operator" },
                "api-key-basic": { "type": "http", "scheme": "basic", "description": "The API key's id and the API key" },
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
    let mut parameters: Vec<Value> = operation.parameters.iter().map(parameter).collect();
    if operation.repeatable {
        parameters.push(json!({
            "name": idempotency::HEADER, "in": "header", "schema": { "type": "string", "minLength": 1, "maxLength": 255 },
            "description": "A key of the caller's for this request, such as a UUID. For 24 hours the same request \
                with the same key makes nothing new and is answered alike.",
        }));
    }
    if !parameters.is_empty() {
        out["parameters"] = parameters.into();
    }
    if let Some(body) = &operation.request {
        let schema = (body.schema)(schemas);
        out["requestBody"] = json!({
            "required": true,
            "content": { body.content_type: { "schema": schema, "example": example(body) } },
        });
    }
    out
}

/// The example as the schema has it.
fn example(body: &Body) -> Value {
    if body.content_type == form::TYPE {
        let parameters = url::form_urlencoded::parse(body.example.as_bytes());
        return parameters.map(|(name, value)| (name.into_owned(), Value::from(value))).collect();
    }
    serde_json::from_str(body.example).unwrap_or_default()
}

fn parameter(parameter: &Parameter) -> Value {
    json!({
        "name": parameter.name,
        "in": if parameter.place == Place::Path { "path" } else { "query" },
        "required": parameter.place == Place::Path,
        "description": parameter.description,
        "schema": match parameter.value {
            ValueKind::Text => json!({ "type": "string" }),
            ValueKind::Uuid => json!({ "type": "string", "format": "uuid" }),
            ValueKind::Integer { least, most } => json!({ "type": "integer", "minimum": least, "maximum": most }),
        },
    })
}

fn security(access: Access) -> Value {
    match access {
        Access::Anyone => json!([]),
        Access::Password => json!([{ "password": [] }]),
        Access::Token | Access::Account => {
            json!([{ "token": [] }, { "x-access-token": [] }, { "token-header": [] }])
        }
        Access::ApiKey => json!([{ "api-key": [] }, { "api-key-basic": [] }]),
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
        let (as_oauth, as_problem) = route.forms(kind);
        if as_oauth {
            response["content"]["application/json"]["schema"] =
                json!(schemas.subschema_for::<oauth::Document>());
        }
        if as_problem {
            response["content"]["application/problem+json"]["schema"] =
                json!({ "$ref": "#/components/schemas/Problem" });
        }
    }
    out.into()
}
