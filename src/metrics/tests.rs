//! The registry and its page.

use super::labels::{HttpMethod, KeyState, LoginOutcome, StatusClass};
use super::*;
use std::collections::HashSet;

fn metrics() -> Metrics {
    Metrics::new(Vocabulary::new(vec![("GET", "/a"), ("POST", "/a"), ("GET", "/b")], vec!["login"]))
}

#[test]
fn names_are_as_prometheus_asks() {
    let mut seen = HashSet::new();
    for Family { name, kind, scale, labels, help } in FAMILIES {
        assert!(seen.insert(name), "{name} stands twice");
        assert!(name.starts_with("claviger_") || name.starts_with("process_"), "{name}");
        assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{name}");
        assert_eq!(name.ends_with("_total"), *kind == Kind::Counter, "{name}");
        assert_eq!(name.contains("_seconds"), *scale == Scale::Nanos, "{name}");
        assert!(help.ends_with('.') && !help.contains('\n'), "{name}");
        // Prometheus sets these itself.
        let own = ["le", "job", "instance"];
        assert!(labels.iter().all(|label| !own.contains(&label.name)), "{name}");
        if let Kind::Histogram(bounds) = kind {
            assert!(bounds.windows(2).all(|two| two.first() < two.last()), "{name}");
        }
    }
}

#[test]
fn every_combination_has_a_cell_of_its_own() {
    let metrics = metrics();
    for (family, cells) in FAMILIES.iter().zip(&metrics.families) {
        let sets = cells.cells.len() / cells.width;
        let labels: HashSet<_> = (0..sets).map(|place| metrics.labels(family, cells, place)).collect();
        assert_eq!(labels.len(), sets, "{}", family.name);
    }
}

#[test]
fn the_page_tells_what_was_counted() {
    let metrics = metrics();
    let (get, b) = (HttpMethod::Get.at(), metrics.route("/b"));
    metrics.count(Id::Requests, &[get, b, StatusClass::of(Some(404)).at()]);
    metrics.count(Id::Requests, &[HttpMethod::Put.at(), metrics.route("/x"), StatusClass::Success.at()]);
    metrics.count_many(Id::Logins, &[LoginOutcome::Wrong.at()], 3);
    for nanos in [90_000, 100_000, 100_001, 7_000_000_000] {
        metrics.observe(Id::RequestDuration, &[get, b], nanos);
    }
    metrics.set(Id::KeyNextStep, &[KeyState::Active.at()], Some(-1_500_000_000));
    metrics.raise(Id::RequestsInFlight);
    metrics.raise(Id::RequestsInFlight);
    metrics.lower(Id::RequestsInFlight, 1);
    let page = metrics.page();
    for line in [
        "# TYPE claviger_http_requests_total counter",
        r#"claviger_http_requests_total{method="GET",route="/b",status="4xx"} 1"#,
        r#"claviger_http_requests_total{method="GET",route="/b",status="2xx"} 0"#,
        r#"claviger_http_requests_total{method="PUT",route="none",status="2xx"} 1"#,
        r#"claviger_logins_total{outcome="wrong"} 3"#,
        r#"claviger_http_request_duration_seconds_bucket{method="GET",route="/b",le="0.0001"} 2"#,
        r#"claviger_http_request_duration_seconds_bucket{method="GET",route="/b",le="0.00025"} 3"#,
        r#"claviger_http_request_duration_seconds_bucket{method="GET",route="/b",le="5"} 3"#,
        r#"claviger_http_request_duration_seconds_bucket{method="GET",route="/b",le="+Inf"} 4"#,
        r#"claviger_http_request_duration_seconds_sum{method="GET",route="/b"} 7.000290001"#,
        r#"claviger_http_request_duration_seconds_count{method="GET",route="/b"} 4"#,
        r#"claviger_signing_key_next_step_seconds{state="active"} -1.5"#,
        "claviger_http_requests_in_flight 1",
    ] {
        assert!(page.lines().any(|said| said == line), "{line} is not in\n{page}");
    }
    assert!(!page.contains(r#"method="PUT",route="/b""#), "a method that the path has not");
    assert!(!page.contains(r#"next_step_seconds{state="next"}"#), "what is not known is not told");
}

#[test]
fn where_metrics_are_off_there_is_nothing() {
    let metrics = Metrics::default();
    metrics.count(Id::Logins, &[0]);
    metrics.observe(Id::HashWait, &[], 1);
    metrics.set(Id::Keys, &[0], Some(1));
    assert!(metrics.start().is_none() && !metrics.is_on());
    assert_eq!(metrics.page(), "");
}
