//! The Grafana dashboard and the alert rules: they ask for metrics that exist, and get some.

use crate::harness::{Query, Samples, Selector, TestApp};
use crate::metrics::life;
use claviger::metrics::{FAMILIES, Family, Kind, Scale, Vocabulary};
use serde_json::Value;
use std::collections::HashSet;

/// Labels that Prometheus adds to all that it fetches.
const TARGET: &[&str] = &["job", "instance"];

fn file(path: &str) -> String {
    std::fs::read_to_string(format!("{}/contrib/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn dashboard() -> Value {
    serde_json::from_str(&file("grafana/claviger.json")).unwrap()
}

fn panels(dashboard: &Value) -> Vec<&Value> {
    dashboard["panels"].as_array().unwrap().iter().filter(|panel| panel["type"] != "row").collect()
}

/// The queries of the dashboard, each with the title of its panel.
fn asked(dashboard: &Value) -> Vec<(&str, &str)> {
    panels(dashboard)
        .into_iter()
        .flat_map(|panel| {
            let targets = panel["targets"].as_array().unwrap().iter();
            targets.map(|target| (panel["title"].as_str().unwrap(), target["expr"].as_str().unwrap()))
        })
        .collect()
}

/// The expressions of the alert rules; each stands on a line of its own.
fn alerts() -> Vec<String> {
    let rules = file("prometheus/alerts.yml");
    let names: HashSet<&str> =
        rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    let found: Vec<String> =
        rules.lines().filter_map(|line| line.trim().strip_prefix("expr: ")).map(str::to_owned).collect();
    assert!(names.len() == found.len() && found.len() > 5, "{names:?}");
    found
}

/// The metric of a sample's name, and whether the name is one of its samples.
fn family(name: &str) -> Option<&'static Family> {
    FAMILIES.iter().find(|family| match family.kind {
        Kind::Histogram(_) => {
            name.strip_prefix(family.name).is_some_and(|end| ["_bucket", "_sum", "_count"].contains(&end))
        }
        _ => name == family.name,
    })
}

/// What is wrong with a query.
fn faults(query: &str, vocabulary: &Vocabulary) -> Vec<String> {
    let Query { selectors, grouped_by } = Query::parse(query);
    let mut faults = Vec::new();
    for Selector { name, matchers } in &selectors {
        let is_up = name == "up";
        let Some(family) = family(name).filter(|_| !is_up) else {
            if !is_up {
                faults.push(format!("there is no {name}"));
            }
            continue;
        };
        let has = |label: &str| {
            let is_bound = label == "le" && name.ends_with("_bucket");
            is_bound || TARGET.contains(&label) || family.labels.iter().any(|known| known.name == label)
        };
        let missing = grouped_by.iter().filter(|label| !has(label));
        faults.extend(missing.map(|label| format!("{name} has no {label}")));
        for (label, _, value) in matchers.iter().filter(|(label, ..)| !TARGET.contains(&label.as_str())) {
            let values = family.labels.iter().find(|known| known.name == label);
            if !values.is_some_and(|known| vocabulary.values(known).contains(&value.as_str())) {
                faults.push(format!("{name} has no {label}=\"{value}\""));
            }
        }
    }
    faults
}

#[test]
fn every_query_asks_for_what_there_is() {
    let vocabulary = claviger::routes::vocabulary(&claviger::config::resolve(&Default::default()).unwrap());
    let dashboard = dashboard();
    let alerts = alerts();
    let mut named = HashSet::new();
    let all = asked(&dashboard).into_iter().chain(alerts.iter().map(|alert| ("an alert", alert.as_str())));
    for (title, query) in all {
        assert_eq!(faults(query, &vocabulary), [""; 0], "{title}: {query}");
        named.extend(
            Query::parse(query).selectors.into_iter().filter_map(|of| family(&of.name)).map(|f| f.name),
        );
    }
    let unseen: Vec<&str> =
        FAMILIES.iter().map(|family| family.name).filter(|name| !named.contains(name)).collect();
    assert!(unseen.is_empty(), "the dashboard does not show {unseen:?}");
}

#[test]
fn what_is_wrong_is_found() {
    let vocabulary = claviger::routes::vocabulary(&claviger::config::resolve(&Default::default()).unwrap());
    for query in [
        "rate(claviger_login_total[5m])",
        "sum by (reason) (rate(claviger_logins_total[5m]))",
        "rate(claviger_logins_total{outcome=\"lost\"}[5m])",
        "rate(claviger_logins_total{kind=\"wrong\"}[5m])",
        "claviger_hash_wait_seconds",
        "sum by (le) (rate(claviger_hash_wait_seconds_sum[5m]))",
        "1 - claviger_logins_total / foo",
    ] {
        assert!(!faults(query, &vocabulary).is_empty(), "{query}");
    }
}

/// Between two bounds Prometheus divides evenly, so that of equal counts every quantile but the largest comes out below
/// their mean.
#[test]
fn of_counts_the_largest_is_shown_and_no_other_quantile() {
    let dashboard = dashboard();
    let of_counts = |query: &str| {
        let families = Query::parse(query).selectors.into_iter().filter_map(|of| family(&of.name));
        families
            .filter(|family| matches!(family.kind, Kind::Histogram(_)))
            .any(|family| family.scale == Scale::One)
    };
    let quantiles = asked(&dashboard).into_iter().filter(|(_, query)| query.contains("histogram_quantile("));
    let of_counts: Vec<(&str, &str)> = quantiles.filter(|(_, query)| of_counts(query)).collect();
    assert!(!of_counts.is_empty());
    for (title, query) in of_counts {
        assert!(query.starts_with("histogram_quantile(1, "), "{title}: {query}");
    }
}

#[test]
fn it_can_be_imported() {
    let dashboard = dashboard();
    assert!(dashboard["id"].is_null() && dashboard["title"] == "Claviger");
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    let names: Vec<&Value> = variables.iter().map(|variable| &variable["name"]).collect();
    assert_eq!(names, ["datasource", "instance"]);
    let mut ids = HashSet::new();
    let (mut last, all) = (0, dashboard["panels"].as_array().unwrap());
    for panel in all {
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{panel}");
        let place = ["x", "y", "w", "h"].map(|side| panel["gridPos"][side].as_u64().unwrap());
        assert!(place[0] + place[2] <= 24 && place[1] >= last, "{panel}");
        last = place[1];
    }
    for panel in panels(&dashboard) {
        assert_eq!(panel["datasource"]["uid"], "${datasource}");
        assert!(panel["title"].as_str().is_some_and(|title| !title.is_empty()));
        for target in panel["targets"].as_array().unwrap() {
            assert_eq!(target["datasource"]["uid"], "${datasource}");
        }
    }
    let rows = all.iter().filter(|panel| panel["type"] == "row").map(|row| row["title"].as_str().unwrap());
    assert_eq!(
        rows.collect::<Vec<_>>(),
        ["Traffic", "Latency", "Logins", "Hashing", "Database", "Sessions and keys", "Process"]
    );
}

/// Whether a sample is what a selector asks for; labels of the target are not known here.
fn is_there(samples: &Samples, Selector { name, matchers }: &Selector) -> bool {
    samples.all.iter().any(|(own, labels, _)| {
        let fits = |(label, how, value): &(String, String, String)| {
            TARGET.contains(&label.as_str()) || {
                assert_eq!(how, "=", "{label}");
                labels.get(label) == Some(value)
            }
        };
        own == name && matchers.iter().all(fits)
    })
}

#[tokio::test]
async fn after_some_load_every_query_has_samples() {
    let app = TestApp::with(&[("metrics_listen", "127.0.0.1:0")]).await.settled().await;
    life(&app).await;
    let samples = Samples::parse(&app.metrics().await.text());
    let (dashboard, alerts) = (dashboard(), alerts());
    let all = asked(&dashboard).into_iter().chain(alerts.iter().map(|alert| ("an alert", alert.as_str())));
    for (title, query) in all {
        for selector in Query::parse(query).selectors.iter().filter(|selector| selector.name != "up") {
            // There are processes to look at on Linux alone.
            let elsewhere = cfg!(not(target_os = "linux")) && selector.name.starts_with("process_");
            assert!(elsewhere || is_there(&samples, selector), "{title}: {selector:?} of {query}");
        }
    }
}
