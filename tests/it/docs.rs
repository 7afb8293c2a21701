//! The OpenAPI document and the page made from it say what the server does, all of it and no more.

use crate::harness::{Answer, Caller as _, TestApp, routes, send};
use claviger::http::openapi::Access;
use claviger::http::problem;
use claviger::routes::Route;
use reqwest::{Method, RequestBuilder};
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
    let app = TestApp::start().await;
    let document = openapi(&app).await;
    let mut tried = 0;
    // In the order of the table: the sign-up comes before the login.
    let is_json = |route: &&Route| {
        route.operation.request.as_ref().is_some_and(|body| body.content_type == "application/json")
    };
    for route in routes().iter().filter(is_json) {
        let operation = operations(&document)[&(route.method.to_owned(), route.path.to_owned())];
        let media = &operation["requestBody"]["content"]["application/json"];
        assert_eq!(faults(&media["example"], &media["schema"], &document), Vec::<String>::new());
        let answer = app.anonymous().post(route.path, &media["example"]).await;
        assert!([200, 201].contains(&answer.status), "{}: {}", route.path, answer.text());
        tried += 1;
    }
    assert!(tried >= 2);
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
    let right = match schema["type"].as_str().unwrap() {
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

/// A conversation in which every route gives every answer that a caller alone can bring about.
async fn conversation(app: &TestApp) -> Vec<(&'static str, &'static str, Answer)> {
    let alice = app.account("alice").await;
    let ask = |method: &str, path: &str| app.anonymous().request(method.parse::<Method>().unwrap(), path);
    let send_json =
        |path: &str, body: String| ask("POST", path).header("content-type", "application/json").body(body);
    let sign_up = |email: &str, password: &str| {
        send_json("/user", json!({"email": email, "name": "Bob", "password": password}).to_string())
    };
    let log_in =
        |password: &str| send_json("/login", json!({"email": alice.email, "password": password}).to_string());
    let basic = |password: &str| ask("GET", "/login").basic_auth(&alice.email, Some(password));
    let (good, long) = (alice.password.as_str(), "x".repeat(1025));
    let mut requests: Vec<(&str, &str, RequestBuilder)> = vec![
        ("POST", "/user", sign_up("bob@example.org", good)),
        ("POST", "/user", sign_up("bob@example.org", good)),
        ("POST", "/user", sign_up("", "")),
        ("POST", "/login", log_in(good)),
        ("POST", "/login", log_in("wrong password")),
        ("POST", "/login", log_in(&long)),
        ("GET", "/login", basic(good)),
        ("GET", "/login", basic("wrong password")),
        ("GET", "/login", basic(&long)),
        ("GET", "/login", ask("GET", "/login")),
    ];
    for path in ["/user", "/login"] {
        requests.push(("POST", path, send_json(path, "{".to_owned())));
        requests.push(("POST", path, send_json(path, " ".repeat(64 * 1024 + 1))));
        requests.push(("POST", path, ask("POST", path)));
    }
    for path in ["/user/profile", "/jwks"] {
        requests.extend(
            ["authorization", "x-access-token", "token"]
                .map(|header| ("GET", path, alice.by_token(header).request(Method::GET, path))),
        );
        requests.push(("GET", path, ask("GET", path)));
        requests.push(("GET", path, ask("GET", path).bearer_auth("x")));
        requests.push(("GET", path, alice.request(Method::GET, path).header("token", "x")));
    }
    for path in ["/.well-known/jwks.json", "/openapi.json", "/docs", "/docs/style.css"] {
        requests.push(("GET", path, ask("GET", path)));
        requests.push(("GET", path, ask("GET", path).header("if-none-match", "*")));
    }
    for route in routes() {
        let path = format!("{}?token=x", route.path);
        requests.push((route.method, route.path, ask(route.method, &path)));
    }
    let mut answers = Vec::new();
    for (method, path, request) in requests {
        answers.push((method, path, send(request).await));
    }
    answers
}

#[tokio::test]
async fn the_answers_are_as_documented() {
    let app = TestApp::start().await;
    let document = openapi(&app).await;
    let documented = operations(&document);
    let mut differences = Vec::new();
    for (method, path, answer) in conversation(&app).await {
        let what = format!("{method} {path} {}", answer.status);
        let response =
            &documented[&(method.to_owned(), path.to_owned())]["responses"][answer.status.to_string()];
        if answer.status == 304 {
            assert!(response.is_object() && answer.body.is_empty(), "{what}");
            continue;
        }
        let content_type = answer.header("content-type").split(';').next().unwrap();
        let media = &response["content"][content_type];
        if !media.is_object() {
            differences.push(format!("{what}: {content_type} is not documented"));
        } else if media["schema"].is_object() {
            let faults = faults(&answer.json(), &media["schema"], &document);
            differences.extend(faults.iter().map(|fault| format!("{what}: {fault}")));
        }
    }
    assert_eq!(differences, Vec::<String>::new());
}

#[tokio::test]
async fn nothing_is_documented_that_does_not_happen() {
    let app = TestApp::start().await;
    let document = openapi(&app).await;
    let mut seen: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
    for (method, path, answer) in conversation(&app).await {
        seen.entry((method.to_owned(), path.to_owned())).or_default().insert(answer.status.to_string());
    }
    for (route, operation) in operations(&document) {
        // These need a slow client, a busy one, or a server in trouble.
        let elsewhere = ["408", "429", "500", "503"];
        let promised = operation["responses"].as_object().unwrap().keys().cloned();
        // A server that never signed with RSA.
        let rare = |status: &str| route.1 == "/jwks" && status == "404";
        let promised = promised.filter(|status| !elsewhere.contains(&status.as_str()) && !rare(status));
        let promised: BTreeSet<_> = promised.collect();
        assert_eq!(seen[&route], promised, "{route:?}");
    }
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
