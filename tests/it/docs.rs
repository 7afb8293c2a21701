//! The OpenAPI document and the page made from it say what the server does, all of it and no more.

use crate::conversation::conversation;
use crate::harness::{Caller as _, TestApp, method, routes, send};
use claviger::api_keys::KeyScope;
use claviger::http::openapi::Access;
use claviger::http::problem;
use claviger::routes::Route;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

async fn openapi(app: &TestApp) -> Value {
    let answer = app.anonymous().get("/openapi.json").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/json"));
    answer.json()
}

/// Every operation of the document: method and path, and what is said of it.
fn operations(document: &Value) -> BTreeMap<(String, String), &Value> {
    let paths = document["paths"].as_object().unwrap();
    let operations = paths.iter().flat_map(|(path, methods)| {
        let methods = methods.as_object().unwrap().iter();
        methods.map(move |(method, operation)| ((method.to_uppercase(), path.clone()), operation))
    });
    operations.collect()
}

/// Calls `visit` with every member of every object in `value`.
fn walk(value: &Value, visit: &mut impl FnMut(&str, &Value)) {
    match value {
        Value::Object(members) => members.iter().for_each(|(name, member)| {
            visit(name, member);
            walk(member, visit);
        }),
        Value::Array(items) => items.iter().for_each(|item| walk(item, visit)),
        _ => {}
    }
}

#[tokio::test]
async fn the_document_is_openapi_and_its_references_resolve() {
    let app = TestApp::start().await;
    let document = openapi(&app).await;
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1."));
    assert_eq!(document["servers"], json!([{ "url": app.issuer }]));
    for pointer in ["/info/title", "/info/version", "/info/license/name"] {
        assert!(
            document.pointer(pointer).and_then(Value::as_str).is_some_and(|text| !text.is_empty()),
            "{pointer}"
        );
    }
    let mut used = BTreeSet::new();
    walk(&document, &mut |name, value| {
        if name == "$ref" {
            let pointer = value.as_str().unwrap().strip_prefix('#').expect("a reference within the document");
            assert!(document.pointer(pointer).is_some(), "{pointer}");
            used.insert(pointer.to_owned());
        }
    });
    for name in document["components"]["schemas"].as_object().unwrap().keys() {
        assert!(used.contains(&format!("/components/schemas/{name}")), "nothing uses {name}");
    }
    for ((_, path), operation) in operations(&document) {
        for scheme in operation["security"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|either| either.as_object().unwrap().keys())
        {
            assert!(document["components"]["securitySchemes"][scheme].is_object(), "{path} {scheme}");
        }
    }
}

#[tokio::test]
async fn the_document_has_every_route_every_status_and_nothing_else() {
    let app = TestApp::start().await;
    let document = openapi(&app).await;
    let documented = operations(&document);
    let table = routes();
    let expected: BTreeSet<_> =
        table.iter().map(|route| (route.method.to_owned(), route.path.to_owned())).collect();
    assert_eq!(documented.keys().cloned().collect::<BTreeSet<_>>(), expected);

    let ids: BTreeSet<&str> =
        documented.values().map(|operation| operation["operationId"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), documented.len(), "each operationId once: {ids:?}");
    for route in &table {
        let operation = documented[&(route.method.to_owned(), route.path.to_owned())];
        let own = route.operation.answers.iter().map(|answer| answer.status);
        let problems = route.described().problems();
        let statuses = own.chain(problems.iter().map(|kind| kind.status)).map(|status| status.to_string());
        let responses = operation["responses"].as_object().unwrap();
        assert_eq!(responses.keys().cloned().collect::<BTreeSet<_>>(), statuses.collect(), "{}", route.path);
        for kind in problems {
            let said = responses[&kind.status.to_string()]["description"].as_str().unwrap();
            assert!(said.contains(kind.title) && said.contains(kind.name), "{} {said}", route.path);
        }
        assert_eq!(operation["requestBody"].is_object(), route.operation.request.is_some(), "{}", route.path);
        assert_eq!(operation["security"] == json!([]), route.access == Access::Anyone, "{}", route.path);
    }
}

#[tokio::test]
async fn the_examples_of_request_bodies_work() {
    let mut tried = BTreeSet::new();
    for route in &routes() {
        let Some(body) = &route.operation.request else { continue };
        let app = TestApp::start().await;
        let document = openapi(&app).await;
        let operation = operations(&document)[&(route.method.to_owned(), route.path.to_owned())];
        let media = &operation["requestBody"]["content"][body.content_type];
        assert_eq!(faults(&media["example"], &media["schema"], &document), Vec::<String>::new());

        // The person of the examples.
        let sign_up = routes().into_iter().find(|route| route.path == "/user" && route.method == "POST");
        let alice: Value =
            serde_json::from_str(sign_up.unwrap().operation.request.as_ref().unwrap().example).unwrap();
        if route.path != "/user" || route.method != "POST" {
            assert_eq!(app.anonymous().post("/user", &alice).await.status, 201);
        }
        let caller = by_access(&app, route, &alice).await;
        let (token, refresh_token) = match route.path {
            "/token" | "/revoke" | "/introspect" => {
                app.tokens(alice["email"].as_str().unwrap(), alice["password"].as_str().unwrap()).await
            }
            _ => Default::default(),
        };
        let example = body.example.replace("cvr_…", &refresh_token).replace("eyJ…", &token);
        assert!(!example.contains('…'), "{example}");
        let request = app.anonymous().request(method(route), route.path);
        let request = request.header("content-type", body.content_type).body(example);
        let request = caller.iter().fold(request, |request, token| request.bearer_auth(token));
        let answer = send(request).await;
        let success = route.operation.answers.first().unwrap().status;
        assert_eq!(answer.status, success, "{} {}: {}", route.method, route.path, answer.text());
        assert_ne!(answer.text(), r#"{"active":false}"#);
        tried.insert(body.content_type);
    }
    assert_eq!(tried.len(), 2, "JSON and forms");
}

/// What a caller of this route shows as Bearer.
async fn by_access(app: &TestApp, route: &Route, alice: &Value) -> Option<String> {
    match route.access {
        Access::Token | Access::Account => {
            let (email, password) = (alice["email"].as_str().unwrap(), alice["password"].as_str().unwrap());
            Some(app.tokens(email, password).await.0)
        }
        Access::ApiKey => Some(app.api_key(&KeyScope::ALL).await),
        Access::Anyone | Access::Password => None,
    }
}

/// Where `value` differs from `schema`; a member that the schema does not describe is a fault too.
fn faults(value: &Value, schema: &Value, document: &Value) -> Vec<String> {
    const CHECKED: [&str; 10] = [
        "$ref",
        "type",
        "properties",
        "required",
        "items",
        "minimum",
        "maximum",
        "minLength",
        "maxLength",
        "pattern",
    ];
    const SAID: [&str; 4] = ["description", "title", "format", "default"];
    for keyword in schema.as_object().unwrap().keys().map(String::as_str) {
        assert!(CHECKED.contains(&keyword) || SAID.contains(&keyword), "not checked here: {keyword}");
    }
    if let Some(reference) = schema["$ref"].as_str() {
        return faults(value, document.pointer(&reference[1..]).unwrap(), document);
    }
    // A type, or a type and null.
    let kinds: Vec<&str> = match &schema["type"] {
        Value::Array(kinds) => kinds.iter().map(|kind| kind.as_str().unwrap()).collect(),
        kind => vec![kind.as_str().unwrap()],
    };
    if value.is_null() && kinds.contains(&"null") {
        return vec![];
    }
    let right = match kinds[0] {
        "boolean" => value.is_boolean(),
        "string" => value.as_str().is_some_and(|text| {
            let within = |name: &str, default: u64| schema[name].as_u64().unwrap_or(default);
            let length = text.chars().count() as u64;
            // The patterns of this document say no more than this.
            let plain = schema["pattern"].is_null() || !text.chars().any(char::is_control);
            (within("minLength", 0)..=within("maxLength", u64::MAX)).contains(&length) && plain
        }),
        "integer" => value.as_i64().is_some_and(|number| {
            number >= schema["minimum"].as_i64().unwrap_or(i64::MIN)
                && number <= schema["maximum"].as_i64().unwrap_or(i64::MAX)
        }),
        "array" => match value.as_array() {
            Some(items) => {
                return items.iter().flat_map(|item| faults(item, &schema["items"], document)).collect();
            }
            None => false,
        },
        "object" => return object_faults(value, schema, document),
        other => panic!("not checked here: the type {other}"),
    };
    if right { vec![] } else { vec![format!("{value} is not as {schema}")] }
}

fn object_faults(value: &Value, schema: &Value, document: &Value) -> Vec<String> {
    let Some(members) = value.as_object() else { return vec![format!("{value} is no object")] };
    let properties = schema["properties"].as_object().unwrap();
    let required = schema["required"].as_array().into_iter().flatten().map(|name| name.as_str().unwrap());
    let missing =
        required.filter(|name| !members.contains_key(*name)).map(|name| format!("{name} is missing"));
    let mut out: Vec<String> = missing.collect();
    for (name, member) in members {
        match properties.get(name) {
            Some(schema) => out.extend(faults(member, schema, document)),
            None => out.push(format!("{name} is not described")),
        }
    }
    out
}

#[tokio::test]
async fn the_answers_are_as_documented() {
    let app = TestApp::start().await;
    let document = openapi(&app).await;
    let documented = operations(&document);
    let mut differences = BTreeSet::new();
    for (method, path, answer) in conversation(&app).await {
        let what = format!("{method} {path} {}", answer.status);
        let response =
            &documented[&(method.to_owned(), path.to_owned())]["responses"][answer.status.to_string()];
        if !response.is_object() {
            differences.insert(format!("{what} is not documented: {}", answer.text()));
            continue;
        }
        if answer.body.is_empty() {
            if response["content"].is_object() {
                differences.insert(format!("{what}: there is no body"));
            }
            continue;
        }
        let content_type = answer.header("content-type").split(';').next().unwrap();
        let media = &response["content"][content_type];
        if !media.is_object() {
            differences.insert(format!("{what}: {content_type} is not documented: {}", answer.text()));
        } else if media["schema"].is_object() {
            let faults = faults(&answer.json(), &media["schema"], &document);
            differences.extend(faults.iter().map(|fault| format!("{what}: {fault}")));
        }
    }
    assert!(differences.is_empty(), "{differences:#?}");
}

#[tokio::test]
async fn nothing_is_documented_that_does_not_happen() {
    let app = TestApp::start().await;
    let document = openapi(&app).await;
    let mut seen = BTreeSet::new();
    for (method, path, answer) in conversation(&app).await {
        let content_type = if answer.body.is_empty() { "" } else { answer.header("content-type") };
        let content_type = content_type.split(';').next().unwrap();
        seen.insert(format!("{method} {path} {} {content_type}", answer.status));
    }
    let mut promised = BTreeSet::new();
    for ((method, path), operation) in operations(&document) {
        for (status, response) in operation["responses"].as_object().unwrap() {
            let what = format!("{method} {path} {status}");
            match response["content"].as_object() {
                Some(content) => promised.extend(content.keys().map(|media| format!("{what} {media}"))),
                None => {
                    promised.insert(format!("{what} "));
                }
            }
        }
    }
    // These need a slow client, a busy one, or a server in trouble.
    let elsewhere = |what: &&String| ["408", "429", "500", "503"].contains(&what.split(' ').nth(2).unwrap());
    let never: Vec<_> = promised.difference(&seen).filter(|what| !elsewhere(what)).collect();
    assert!(never.is_empty(), "{never:#?}");
}

/// The values of all attributes `name` in a page.
fn attributes<'a>(page: &'a str, name: &str) -> Vec<&'a str> {
    page.split(&format!(" {name}=\"")).skip(1).map(|rest| rest.split('"').next().unwrap()).collect()
}

#[tokio::test]
async fn checklist_89_the_page_is_plain_and_complete() {
    let app = TestApp::start().await;
    let answer = app.anonymous().get("/docs").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "text/html; charset=utf-8"));
    assert_eq!(
        answer.header("content-security-policy"),
        "default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    );
    let page = answer.text();
    assert!(page.starts_with("<!doctype html>"));
    for forbidden in [
        "<script",
        "<style",
        "style=\"",
        "onload",
        "onclick",
        "javascript:",
        "<iframe",
        "<img",
        "<form",
        "@import",
    ] {
        assert!(!page.to_lowercase().contains(forbidden), "{forbidden}");
    }
    assert!(page.contains(&app.issuer));
    let without_issuer = page.replace(&app.issuer, "");
    assert!(!without_issuer.contains("http://") && !without_issuer.contains("https://"));

    let ids = attributes(&page, "id");
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "each id once: {ids:?}");
    for kind in problem::ALL {
        assert!(ids.contains(&kind.name), "{}: where its type URI leads", kind.name);
        assert_eq!(kind.uri(), format!("/docs#{}", kind.name));
    }
    for route in routes() {
        assert!(
            ids.contains(&route.operation.id) && page.contains(&format!("<code>{}</code>", route.path)),
            "{}",
            route.path
        );
    }
    for link in attributes(&page, "href") {
        match link.strip_prefix('#') {
            Some(id) => assert!(ids.contains(&id), "{link}"),
            None => assert_eq!(app.anonymous().get(link).await.status, 200, "{link}"),
        }
    }
}

#[tokio::test]
async fn the_style_sheet_is_served_and_loads_nothing() {
    let app = TestApp::start().await;
    let page = app.anonymous().get("/docs").await.text();
    assert_eq!(attributes(&page, "rel"), ["stylesheet"]);
    let style = app.anonymous().get("/docs/style.css").await;
    assert_eq!((style.status, style.header("content-type")), (200, "text/css; charset=utf-8"));
    assert!(!style.body.is_empty() && page.contains("href=\"/docs/style.css\""));
    for forbidden in ["url(", "@import", "http:", "https:"] {
        assert!(!style.text().contains(forbidden), "{forbidden}");
    }
}

#[tokio::test]
async fn checklist_18_a_login_that_is_off_is_not_described() {
    let app = TestApp::with(&[("get_login", "false")]).await;
    let document = openapi(&app).await;
    let methods: Vec<&String> = document["paths"]["/login"].as_object().unwrap().keys().collect();
    assert_eq!(methods, ["post"]);
    assert!(!app.anonymous().get("/docs").await.text().contains("logInByBasic"));
}
