//! The API's description: `/openapi.json`, and a page of it to read at `/docs`, made when somebody asks first.

#![allow(clippy::indexing_slicing)] // Reading JSON by a name that is not there gives null.

use crate::http::document::document;
use crate::http::form;
use crate::http::limit::{Class, Limit};
use crate::http::openapi::{Access, Answer, Described, Operation, Parameter, Place};
use crate::http::prepared::Prepared;
use crate::http::problem::{self, Kind, Problem};
use askama::Template;
use axum::Extension;
use axum::http::header::CONTENT_SECURITY_POLICY;
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use serde_json::Value;
use std::sync::{Arc, OnceLock};

const MAX_AGE: u32 = 300;
const STYLE: &str = include_str!("../../templates/docs.css");

/// The page's own rules: its style sheet and nothing else.
const POLICY: &str =
    "default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/// The description of a server.
#[derive(Debug)]
pub struct Docs {
    routes: Vec<Described<'static>>,
    issuer: String,
    answers: OnceLock<Result<Answers, askama::Error>>,
}

#[derive(Debug)]
struct Answers {
    openapi: Prepared,
    page: Prepared,
    style: Prepared,
}

/// `GET /openapi.json`.
pub const GET_OPENAPI: Operation = Operation {
    id: "getOpenApi",
    summary: "This API as an OpenAPI 3.1 document",
    repeatable: false,
    parameters: &[],
    request: None,
    answers: &[
        Answer::other(200, "The document", "application/json"),
        Answer::empty(304, "It is the one the caller has"),
    ],
    problems: &[],
};

/// `GET /docs`.
pub const GET_DOCS: Operation = Operation {
    id: "getDocs",
    summary: "This API as a page to read",
    repeatable: false,
    parameters: &[],
    request: None,
    answers: &[
        Answer::other(200, "The page", "text/html"),
        Answer::empty(304, "It is the one the caller has"),
    ],
    problems: &[],
};

/// `GET /docs/style.css`.
pub const GET_STYLE: Operation = Operation {
    id: "getDocsStyle",
    summary: "The style sheet of the page",
    repeatable: false,
    parameters: &[],
    request: None,
    answers: &[
        Answer::other(200, "The style sheet", "text/css"),
        Answer::empty(304, "It is the one the caller has"),
    ],
    problems: &[],
};

/// Whether an operation is one of those here, which need [`Docs`].
pub fn answers(operation: &Operation) -> bool {
    [GET_OPENAPI.id, GET_DOCS.id, GET_STYLE.id].contains(&operation.id)
}

impl Docs {
    /// Of these routes.
    pub fn new(routes: Vec<Described<'static>>, issuer: &str) -> Self {
        Self { routes, issuer: issuer.to_owned(), answers: OnceLock::new() }
    }

    fn answers(&self) -> Result<&Answers, Problem> {
        let answers = self.answers.get_or_init(|| Answers::new(&self.routes, &self.issuer));
        answers.as_ref().map_err(Problem::internal)
    }
}

impl Answers {
    fn new(routes: &[Described<'_>], issuer: &str) -> Result<Self, askama::Error> {
        let openapi = document(routes, issuer);
        let page = Page {
            version: env!("CARGO_PKG_VERSION"),
            issuer,
            routes: routes.iter().map(|route| entry(route, &openapi, issuer)).collect(),
            kinds: problem::ALL,
        };
        Ok(Self {
            openapi: Prepared::new(openapi.to_string().into_bytes(), "application/json", MAX_AGE),
            page: Prepared::new(page.render()?.into_bytes(), "text/html; charset=utf-8", MAX_AGE),
            style: Prepared::new(STYLE.as_bytes().to_vec(), "text/css; charset=utf-8", MAX_AGE),
        })
    }
}

/// `GET /openapi.json`.
pub async fn openapi(Extension(docs): Extension<Arc<Docs>>, request: HeaderMap) -> Result<Response, Problem> {
    Ok(docs.answers()?.openapi.answer(&request))
}

/// `GET /docs`.
pub async fn page(Extension(docs): Extension<Arc<Docs>>, request: HeaderMap) -> Result<Response, Problem> {
    let mut response = docs.answers()?.page.answer(&request);
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    Ok(response)
}

/// `GET /docs/style.css`.
pub async fn style(Extension(docs): Extension<Arc<Docs>>, request: HeaderMap) -> Result<Response, Problem> {
    Ok(docs.answers()?.style.answer(&request))
}

#[derive(Template)]
#[template(path = "docs.html")]
struct Page<'a> {
    version: &'static str,
    issuer: &'a str,
    routes: Vec<Entry<'a>>,
    kinds: &'static [&'static Kind],
}

struct Entry<'a> {
    method: &'a str,
    path: &'a str,
    id: &'a str,
    summary: &'a str,
    access: &'static str,
    repeatable: bool,
    example: Option<String>,
    limit: Option<&'static Class>,
    speaks_oauth: bool,
    parameters: &'a [Parameter],
    fields: Vec<Field>,
    answers: &'a [Answer],
    problems: Vec<&'static Kind>,
}

struct Field {
    name: String,
    kind: String,
    description: String,
    required: bool,
}

fn entry<'a>(route: &Described<'a>, openapi: &Value, issuer: &str) -> Entry<'a> {
    let body = &openapi["paths"][route.path][route.method.to_lowercase()]["requestBody"];
    let content_type = route.operation.request.as_ref().map_or("", |body| body.content_type);
    let schema = &body["content"][content_type]["schema"];
    Entry {
        method: route.method,
        path: route.path,
        id: route.operation.id,
        summary: route.operation.summary,
        access: match route.access {
            Access::Anyone => "Anyone may call it.",
            Access::Password => "Needs an e-mail address (or unshared name) and password by HTTP Basic.",
            Access::Token => "Needs a token in Authorization: Bearer, x-access-token or token.",
            Access::Account => {
                "Needs a token whose scope has account, in Authorization: Bearer, x-access-token or token."
            }
            Access::ApiKey => {
                "Needs an API key, which the operator makes, in Authorization: Bearer or as the password of HTTP Basic."
            }
        },
        repeatable: route.operation.repeatable,
        example: example(route, issuer),
        limit: match route.limit {
            Limit::Free => None,
            Limit::Of(class) => Some(class),
        },
        speaks_oauth: route.operation.speaks_oauth(route.access),
        parameters: route.operation.parameters,
        fields: fields(resolve(schema, openapi)),
        answers: route.operation.answers,
        problems: route.problems(),
    }
}

/// JSON as it is; a form as the command that sends it.
fn example(route: &Described<'_>, issuer: &str) -> Option<String> {
    let body = route.operation.request.as_ref()?;
    if body.content_type != form::TYPE {
        return Some(body.example.to_owned());
    }
    let key = if route.access == Access::ApiKey { "-H 'Authorization: Bearer API_KEY' " } else { "" };
    Some(format!("curl {key}-d '{}' {issuer}{}", body.example, route.path))
}

/// Follows a local `$ref`.
fn resolve<'a>(schema: &'a Value, openapi: &'a Value) -> &'a Value {
    let pointer = schema["$ref"].as_str().and_then(|reference| reference.strip_prefix('#'));
    pointer.and_then(|pointer| openapi.pointer(pointer)).unwrap_or(schema)
}

fn fields(schema: &Value) -> Vec<Field> {
    let required: Vec<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let properties = schema["properties"].as_object().into_iter().flatten();
    properties
        .map(|(name, property)| Field {
            name: name.clone(),
            kind: property["type"].as_str().unwrap_or("object").to_owned(),
            description: property["description"].as_str().unwrap_or_default().to_owned(),
            required: required.contains(&name.as_str()),
        })
        .collect()
}
