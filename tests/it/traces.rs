//! Spans of requests, sent by the real program to a collector in Python by the standard variables.

use crate::harness::{Certificate, Collector, Program, Samples, Secure, free_port};
use crate::tls::certify;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::net::TcpListener;
use std::time::{Duration, Instant};

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// A server with these variables, and the folder of its data.
struct Traced {
    program: Program,
    http: reqwest::Client,
    metrics: String,
    _folder: tempfile::TempDir,
}

impl Traced {
    fn start(variables: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let metrics = format!("127.0.0.1:{}", free_port());
        let mut command = Program::command(&[]);
        // What waits longer than a moment is a matter of the stop.
        command.env("OTEL_BSP_SCHEDULE_DELAY", "50").envs(variables.iter().copied());
        let program = Program::serve_by(command, folder.path(), &["--metrics-listen", &metrics]);
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { program, http, metrics: format!("http://{metrics}/metrics"), _folder: folder }
    }

    async fn get(&self, path: &str, headers: &[(&str, &str)]) -> reqwest::Response {
        let request = self.http.get(format!("{}{path}", self.program.url));
        headers
            .iter()
            .fold(request, |request, (name, value)| request.header(*name, *value))
            .send()
            .await
            .unwrap()
    }

    async fn post(&self, path: &str, body: &Value) -> reqwest::Response {
        let request = self.http.post(format!("{}{path}", self.program.url)).json(body);
        request.header("traceparent", PARENT).header("tracestate", "a=1,b=2").send().await.unwrap()
    }

    async fn spans(&self, outcome: &str) -> f64 {
        let page = self.http.get(&self.metrics).send().await.unwrap().text().await.unwrap();
        Samples::parse(&page).of("claviger_trace_spans_total", &[("outcome", outcome)])
    }

    /// Waits until so many spans had this outcome.
    async fn until(&self, outcome: &str, least: f64) {
        let until = Instant::now() + Duration::from_secs(20);
        while self.spans(outcome).await < least {
            assert!(Instant::now() < until, "{outcome}: {}", self.spans(outcome).await);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

fn spans_of(batches: &[Value]) -> Vec<Value> {
    batches.iter().flat_map(|batch| batch["spans"].as_array().unwrap().clone()).collect()
}

fn named<'a>(spans: &'a [Value], name: &str) -> Vec<&'a Value> {
    spans.iter().filter(|span| span["name"] == name).collect()
}

/// Someone signs up and logs in; what the collector got, and the log.
async fn story(protocol: &str) -> (Vec<Value>, Vec<String>, String) {
    let collector = Collector::answering(200);
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url.as_str()),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20of-the-collector"),
        ("OTEL_SERVICE_NAME", "auth"),
        ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test"),
    ];
    let mut server = Traced::start(&variables);
    let body = json!({"email": "alice@example.org", "name": "alice", "password": "alice likes long walks"});
    assert_eq!(server.post("/user", &body).await.status(), 201);
    let login = server.post("/login", &body_of_login()).await;
    let response = login.headers()["traceresponse"].to_str().unwrap().to_owned();
    let tokens: Value = login.json().await.unwrap();
    let bearer = format!("Bearer {}", tokens["token"].as_str().unwrap());
    let path = "/user/sessions/secret-session?with=secret-query";
    let url = format!("{}{path}", server.program.url);
    server.http.delete(url).header("authorization", &bearer).send().await.unwrap();
    server.get("/secret-path", &[]).await;
    server.get("/.well-known/jwks.json", &[]).await;
    let log = server.program.stop();
    let batches = collector.rest();
    let text = format!("{batches:?}");
    for secret in ["secret-", "alice", "127.0.0.1", "likes long", tokens["token"].as_str().unwrap()] {
        let told: Vec<&Value> =
            batches.iter().filter(|batch| batch["spans"].to_string().contains(secret)).collect();
        assert!(told.is_empty(), "{secret} in {text}");
    }
    (batches, log, response)
}

fn body_of_login() -> Value {
    json!({"email": "alice@example.org", "password": "alice likes long walks"})
}

#[tokio::test]
async fn a_request_has_a_span_with_those_of_what_it_does_inside() {
    for (protocol, kind) in [("http/protobuf", "application/x-protobuf"), ("http/json", "application/json")] {
        let (batches, log, response) = story(protocol).await;
        for batch in &batches {
            assert_eq!(
                (&batch["path"], &batch["headers"]["content-type"]),
                (&json!("/v1/traces"), &json!(kind))
            );
            assert_eq!(batch["headers"]["authorization"], "Bearer of-the-collector");
            assert_eq!(batch["resource"]["service.name"], "auth");
            assert_eq!(batch["resource"]["service.version"], env!("CARGO_PKG_VERSION"));
            assert_eq!(batch["resource"]["deployment.environment.name"], "test");
            assert_eq!(batch["scope"], "claviger");
        }
        let spans = spans_of(&batches);
        let [login] = named(&spans, "POST /login")[..] else { panic!("{spans:?}") };
        assert_eq!((&login["traceId"], &login["parentSpanId"]), (&json!(TRACE), &json!("00f067aa0ba902b7")));
        assert_eq!(
            (&login["traceState"], &login["kind"], &login["flags"]),
            (&json!("a=1,b=2"), &json!(2), &json!(0x301))
        );
        let attributes = &login["attributes"];
        assert_eq!(attributes["http.request.method"], "POST");
        assert_eq!(attributes["http.route"], "/login");
        assert_eq!(attributes["http.response.status_code"], 200);
        let own = login["spanId"].as_str().unwrap();
        assert_eq!(response, format!("00-{TRACE}-{own}-01"));
        let line = log.iter().find(|line| line.contains(own)).expect("the line of the request");
        assert!(
            line.contains(&format!("\"trace_id\":\"{TRACE}\"")) && line.contains("\"route\":\"/login\""),
            "{line}"
        );
        let request_id = attributes["claviger.request_id"].as_str().unwrap();
        assert!(line.contains(request_id), "{line}");
        let event = log.iter().find(|line| line.contains("\"event\":\"login\"")).unwrap();
        assert!(event.contains(TRACE), "{event}");
        let inside: Vec<&Value> = spans.iter().filter(|span| span["parentSpanId"] == own).collect();
        let names: HashMap<&str, &&Value> =
            inside.iter().map(|span| (span["name"].as_str().unwrap(), span)).collect();
        for (name, kind) in
            [("password.wait", 1), ("password.hash", 1), ("database.write", 3), ("token.sign", 1)]
        {
            let span = names.get(name).unwrap_or_else(|| panic!("no {name}: {inside:?}"));
            assert_eq!((&span["kind"], &span["traceId"]), (&json!(kind), &json!(TRACE)), "{name}");
            let nanos = |of: &Value, at: &str| of[at].as_u64().unwrap();
            assert!(nanos(login, "start") <= nanos(span, "start"), "{name}");
            assert!(
                nanos(span, "start") <= nanos(span, "end") && nanos(span, "end") <= nanos(login, "end"),
                "{name}"
            );
        }
        let engine = if crate::harness::on_postgres() { "postgresql" } else { "sqlite" };
        assert_eq!(names["database.write"]["attributes"]["db.system.name"], engine);
        let [ended] = named(&spans, "DELETE /user/sessions/{id}")[..] else { panic!("{spans:?}") };
        assert_eq!(ended["attributes"]["http.response.status_code"], 404);
        assert_eq!(
            (&ended["status"], &ended["parentSpanId"]),
            (&json!(0), &json!("")),
            "a caller's fault is none"
        );
        assert_ne!(ended["traceId"], TRACE);
        assert_eq!(named(&spans, "GET").len(), 1, "a path that no route has");
        assert_eq!(
            named(&spans, "GET /.well-known/jwks.json").len(),
            1,
            "the quick way has no span: not taken"
        );
    }
}

#[tokio::test]
async fn the_scheme_is_what_the_server_speaks_and_not_what_a_client_says() {
    for over_tls in [false, true] {
        let mut collector = Collector::answering(200);
        let (folder, certificate) = (tempfile::tempdir().unwrap(), Certificate::of_days(90));
        let mut command = Program::command(&[]);
        command.env("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url).env("OTEL_BSP_SCHEDULE_DELAY", "50");
        let flags = if over_tls { certificate.flags() } else { Vec::new() };
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let mut program = Program::serve_by(command, folder.path(), &flags);
        let other = if over_tls { "http" } else { "https" };
        let headers = [("x-forwarded-proto", other)];
        if over_tls {
            let mut client = Secure::to(program.address, &certificate).await;
            client.send("GET", "/health/live", &headers, "").await.unwrap();
        } else {
            let http = reqwest::Client::builder().no_proxy().build().unwrap();
            let url = format!("{}/health/live", program.url);
            http.get(url).header("x-forwarded-proto", other).send().await.unwrap();
        }
        let scheme = if over_tls { "https" } else { "http" };
        assert_eq!(collector.batch()["spans"][0]["attributes"]["url.scheme"], scheme);
        program.stop();
    }
}

#[tokio::test]
async fn a_malformed_parent_begins_a_new_trace() {
    let mut collector = Collector::answering(200);
    let mut server =
        Traced::start(&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &format!("{}/own", collector.url))]);
    let long = format!("{PARENT}{}", "0".repeat(5000));
    for parent in ["garbage", "00-00000000000000000000000000000000-00f067aa0ba902b7-01", &long] {
        let answer = server.get("/health/live", &[("traceparent", parent), ("tracestate", "a=1")]).await;
        assert_eq!(answer.status(), 200);
        let response = answer.headers()["traceresponse"].to_str().unwrap().to_owned();
        let batch = collector.batch();
        assert_eq!(batch["path"], "/own");
        let span = &batch["spans"][0];
        assert_eq!(response.split('-').nth(1), span["traceId"].as_str());
        assert_eq!((&span["parentSpanId"], &span["traceState"]), (&json!(""), &json!("")));
        assert_ne!(span["traceId"], TRACE);
    }
    server.program.stop();
}

#[tokio::test]
async fn the_sampler_decides_and_the_ids_go_on_all_the_same() {
    let collector = Collector::answering(200);
    let mut server = Traced::start(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url)]);
    let unsampled = PARENT.replace("-01", "-00");
    let answer = server.get("/health/live", &[("traceparent", &unsampled)]).await;
    let response = answer.headers()["traceresponse"].to_str().unwrap().to_owned();
    assert!(response.starts_with(&format!("00-{TRACE}-")) && response.ends_with("-00"), "{response}");
    server.get("/health/live", &[]).await;
    server.get("/nowhere", &[("traceparent", &unsampled)]).await;
    let log = server.program.stop();
    assert!(log.iter().any(|line| line.contains("\"status\":404") && line.contains(TRACE)), "{log:?}");
    let spans = spans_of(&collector.rest());
    assert_eq!((spans.len(), &spans[0]["name"]), (1, &json!("GET /health/live")));
    assert_ne!(spans[0]["traceId"], TRACE);
    let collector = Collector::answering(200);
    let off =
        [("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url.as_str()), ("OTEL_TRACES_SAMPLER", "always_off")];
    let mut server = Traced::start(&off);
    server.get("/health/live", &[("traceparent", PARENT)]).await;
    server.program.stop();
    assert!(collector.rest().is_empty());
}

#[tokio::test]
async fn there_are_none_unless_an_endpoint_is_named() {
    let collector = Collector::answering(200);
    let disabled = [("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url.as_str()), ("OTEL_SDK_DISABLED", "true")];
    for variables in [&[("OTEL_SERVICE_NAME", "auth")][..], &disabled] {
        let mut server = Traced::start(variables);
        let answer = server.get("/health/live", &[("traceparent", PARENT)]).await;
        assert!(!answer.headers().contains_key("traceresponse"));
        server.get("/nowhere", &[("traceparent", PARENT)]).await;
        let log = server.program.stop().join("\n");
        assert!(!log.contains("trace_id") && !log.contains("span_id"), "{log}");
    }
    assert!(collector.rest().is_empty());
}

/// One that refuses, one where nobody listens, and one that takes connections and never answers.
#[tokio::test]
async fn a_collector_that_is_away_slows_nobody_down() {
    let refusing = Collector::answering(503);
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoints = [
        refusing.url.clone(),
        format!("http://127.0.0.1:{}", free_port()),
        format!("http://{}", silent.local_addr().unwrap()),
    ];
    for endpoint in endpoints {
        let variables = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "300"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "4"),
        ];
        let mut server = Traced::start(&variables);
        for _ in 0..40 {
            let request = server.get("/health/live", &[]);
            assert_eq!(tokio::time::timeout(Duration::from_secs(2), request).await.unwrap().status(), 200);
        }
        server.until("failed", 1.0).await;
        assert_eq!(server.spans("exported").await, 0.0);
        let log = server.program.stop();
        let said: Vec<&String> = log.iter().filter(|line| line.contains("spans are lost")).collect();
        assert!(said.len() == 1 && said[0].contains(&endpoint), "once: {log:?}");
    }
}

#[tokio::test]
async fn what_does_not_fit_the_queue_is_dropped_and_counted() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "4"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "1"),
    ];
    let server = Traced::start(&variables);
    for _ in 0..20 {
        assert_eq!(server.get("/health/live", &[]).await.status(), 200);
    }
    // One or two are on their way, four wait.
    server.until("dropped", 14.0).await;
    assert!(server.spans("dropped").await <= 15.0);
}

#[tokio::test]
async fn what_is_wrong_with_the_variables_is_warned_of_and_nothing_else() {
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4317"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=top-secret"),
    ];
    let mut server = Traced::start(&variables);
    assert_eq!(server.get("/health/live", &[]).await.status(), 200);
    let log = server.program.stop().join("\n");
    assert!(log.contains("OTEL_EXPORTER_OTLP_PROTOCOL") && log.contains("WARN"), "{log}");
    assert!(!log.contains("top-secret"), "{log}");
    let mut check = Program::command(&["config", "check"]);
    let checked = check.envs(variables).output().unwrap();
    let said = String::from_utf8(checked.stderr).unwrap();
    assert!(checked.status.success() && said.contains("warning: OTEL_EXPORTER_OTLP_PROTOCOL"), "{said}");
}

#[tokio::test]
async fn https_is_checked_by_the_certificates_of_the_system() {
    let keys = tempfile::tempdir().unwrap();
    certify(keys.path(), "theirs");
    let stranger = keys.path().join("stranger.crt");
    std::fs::rename(keys.path().join("theirs.crt"), &stranger).unwrap();
    certify(keys.path(), "ours");
    let mut collector = Collector::over_tls(keys.path());
    for (trusted, outcome) in [(keys.path().join("ours.crt"), "exported"), (stranger, "failed")] {
        let variables = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url.as_str()),
            ("SSL_CERT_FILE", trusted.to_str().unwrap()),
        ];
        let mut server = Traced::start(&variables);
        assert_eq!(server.get("/health/live", &[]).await.status(), 200);
        server.until(outcome, 1.0).await;
        let log = server.program.stop().join("\n");
        assert_eq!(log.contains("spans are lost"), outcome == "failed", "{log}");
    }
    assert_eq!(collector.batch()["spans"][0]["name"], "GET /health/live");
    assert!(collector.rest().is_empty(), "nothing went to a stranger");
}
