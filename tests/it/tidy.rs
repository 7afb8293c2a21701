//! The rules of the house that no compiler checks, held by reading the source.

use crate::harness::statements_of;
use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A module imports only from its own place or further left. What stands in one group may not import
/// another of the same group. `api.rs` files are a layer of their own, left of the routes.
const ORDER: &[&[&str]] = &[
    &["base"],
    &["config", "metrics"],
    &["traces"],
    &["db"],
    &["http"],
    &["health"],
    &["pages"],
    &["audit"],
    &["keys", "password_pool"],
    &["status", "profiles"],
    &["app"],
    &["accounts"],
    &["guesses"],
    &["sessions"],
    &["credentials"],
    &["login"],
    &["api_keys"],
    &["oauth", "admin", "backup"],
    &["api"],
    &["jobs"],
    &["routes"],
    &["server"],
    &["doctor"],
    &["cli"],
];

/// Where a library may be named. Nowhere else, so that it can be replaced there.
const HOMES: &[(&str, &[&str])] = &[
    (
        "axum::",
        &[
            "http/",
            "pages/",
            "api.rs",
            "app/extract.rs",
            "routes.rs",
            "server/accept.rs",
            "server/exporter.rs",
            "server/front.rs",
            "server/http2.rs",
            "server/monitor/",
            "server/secure.rs",
        ],
    ),
    (
        "hyper::",
        &[
            "server/accept.rs",
            "server/exporter.rs",
            "server/front.rs",
            "server/http2.rs",
            "server/monitor/",
            "server/secure.rs",
            "doctor/gather/web.rs",
        ],
    ),
    (
        "hyper_util::",
        &[
            "server/accept.rs",
            "server/exporter.rs",
            "server/http2.rs",
            "server/secure.rs",
            "doctor/gather/web.rs",
        ],
    ),
    ("tower::", &["http/edge.rs", "routes.rs", "server/front.rs"]),
    ("tower_http::", &["routes.rs"]),
    ("rusqlite::", &["db/"]),
    ("clap::", &["cli/"]),
    ("clap_mangen::", &["cli/man.rs"]),
    ("indicatif::", &["cli/progress.rs"]),
    ("idna::", &["base/"]),
    ("caseless::", &["base/"]),
    ("unicode_normalization::", &["base/"]),
    ("tokio_postgres::", &["db/", "config/database.rs"]),
    ("tokio_postgres_rustls::", &["db/postgres/"]),
    (
        "rustls::",
        &[
            "base/trust.rs",
            "http/client.rs",
            "db/postgres/tls.rs",
            "server/tls/",
            "server/exporter.rs",
            "doctor/gather/",
        ],
    ),
    ("tokio_rustls::", &["server/secure.rs", "server/exporter.rs", "doctor/gather/tls.rs"]),
    ("x509_cert::", &["server/tls/certificate.rs"]),
    ("rustls_native_certs::", &["base/trust.rs"]),
    ("percent_encoding::", &["config/traces.rs"]),
    ("bytes::", &["db/postgres/values.rs"]),
    ("crossbeam_channel::", &["password_pool/", "db/postgres/"]),
    ("rustix::", &["base/priority.rs", "server/", "cli/", "backup/file.rs", "doctor/gather/"]),
    ("age::", &["backup/sealed.rs"]),
    ("csv::", &["cli/import/", "cli/export"]),
    ("lru::", &["base/recent.rs"]),
    ("jiff::", &["base/time.rs"]),
    ("tracing_subscriber::", &["cli/logging.rs"]),
    ("toml::", &["config/"]),
    ("ipnet::", &["config/", "http/address.rs"]),
];

struct Source {
    path: String,
    text: String,
}

fn sources(folder: &str) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                let path = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
                found.push(Source { path, text });
            }
        }
    }
    assert!(!found.is_empty());
    found
}

/// The code above the unit tests.
fn code(text: &str) -> &str {
    text.split("#[cfg(test)]").next().unwrap()
}

fn module(path: &str) -> &str {
    if path.ends_with("/api.rs") { "api" } else { path.split(['/', '.']).next().unwrap() }
}

fn rank(module: &str) -> Option<usize> {
    ORDER.iter().position(|group| group.contains(&module))
}

/// The modules of this crate that a text names, as `crate::NAME` or inside `use crate::{…}`.
fn named(text: &str) -> HashSet<String> {
    let word = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut names = HashSet::new();
    for after in text.split("crate::").skip(1) {
        match after.strip_prefix('{') {
            Some(group) => {
                names.extend(group.split('}').next().unwrap().split(',').map(|item| word(item.trim())));
            }
            None => drop(names.insert(word(after))),
        }
    }
    names
}

#[test]
fn modules_import_only_from_the_left() {
    let mut wrong = Vec::new();
    for Source { path, text } in sources("src") {
        if ["main.rs", "lib.rs"].contains(&path.as_str()) {
            continue;
        }
        let own = module(&path);
        let place = rank(own).unwrap_or_else(|| panic!("give {own} its place in ORDER"));
        for name in named(code(&text)) {
            let feature = path.split('/').next().unwrap();
            // `mod.rs` may declare its own `api`, and `api.rs` may use its own feature.
            if name == own || name == feature {
                continue;
            }
            match rank(&name) {
                Some(other) if other < place => {}
                _ => wrong.push(format!("{path} imports {name}")),
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn only_its_own_feature_sees_a_store() {
    for Source { path, text } in sources("src") {
        let feature = path.split('/').next().unwrap();
        for after in text.split("crate::").skip(1) {
            let mut parts = after.split("::");
            let (module, file) = (parts.next().unwrap(), parts.next().unwrap_or_default());
            assert!(!file.starts_with("store") || module == feature, "{path} reaches into {module}::store");
        }
        let is_flow_or_store =
            path.contains("/flow.rs") || path.contains("/flow/") || path.ends_with("/store.rs");
        assert!(!text.contains("store::") || is_flow_or_store, "{path} calls a store; only a flow does");
        assert!(!path.ends_with("store.rs") || !text.contains("async fn"), "{path}: a store is synchronous");
    }
}

#[test]
fn a_library_is_named_only_at_home() {
    for Source { path, text } in sources("src") {
        for (library, homes) in HOMES {
            let at_home = homes.iter().any(|home| path.starts_with(home) || path.ends_with(home));
            let named =
                code(&text).lines().any(|line| !line.trim_start().starts_with("//") && names(line, library));
            assert!(at_home || !named, "{path} names {library}");
        }
    }
}

fn names(line: &str, library: &str) -> bool {
    line.match_indices(library)
        .any(|(at, _)| !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':'))
}

#[test]
fn files_have_one_subject_and_say_which() {
    for folder in ["src", "crates/crypto/src", "crates/claviger-verify/src", "tests/it"] {
        for Source { path, text } in sources(folder) {
            assert!(text.starts_with("//! "), "{folder}/{path} does not begin with what it owns");
            let lines = text.lines().count();
            assert!(lines <= 400, "{folder}/{path} has {lines} lines: two subjects?");
        }
    }
}

/// Every statement must run on SQLite and on PostgreSQL alike.
#[test]
fn statements_keep_to_the_portable_subset() {
    let mut statements = 0;
    for Source { path, text } in sources("src") {
        if !path.ends_with("store.rs") {
            continue;
        }
        for sql in text.split("let sql = \"").skip(1).map(|rest| rest.split("\";").next().unwrap()) {
            statements += 1;
            assert_eq!(
                numbers_by_first_use(sql),
                (1..=numbers_by_first_use(sql).len()).collect::<Vec<_>>(),
                "{sql}"
            );
            let upper = sql.to_uppercase();
            for word in [
                "NOW()",
                "CURRENT_TIMESTAMP",
                "::",
                "FOR UPDATE",
                "ILIKE",
                "AUTOINCREMENT",
                "PRAGMA",
                "OR IGNORE",
                "OR REPLACE",
                "DATETIME(",
                "ROWID",
                "?",
            ] {
                assert!(!upper.contains(word), "{path}: {word} in {sql}");
            }
        }
        let ways = ["execute", "execute_each", "first", "first_each", "first_locked", "all", "all_locked"];
        let written: usize = ways.iter().map(|way| text.matches(&format!("tx.{way}(")).count()).sum();
        let named = text.matches("let sql = \"").count();
        assert_eq!(written, named, "{path}: every statement stands in `let sql`");
    }
    assert!(statements > 5);
}

/// `./check` asks this after the tests have run on both.
#[test]
#[ignore = "after the tests have run on both engines"]
fn every_statement_has_run_on_both_engines() {
    let stores = sources("src").into_iter().filter(|source| source.path.ends_with("store.rs"));
    let texts: Vec<String> = stores.map(|source| source.text).collect();
    let statements = texts.iter().flat_map(|text| text.split("let sql = \"").skip(1));
    let words = |sql: &str| {
        sql.split(|c: char| c.is_whitespace() || c == '\\')
            .filter(|w| !w.is_empty())
            .collect::<Vec<_>>()
            .join(" ")
    };
    let statements: Vec<String> = statements.map(|rest| words(rest.split("\";").next().unwrap())).collect();
    for engine in ["sqlite", "postgres"] {
        let ran =
            fs::read_to_string(statements_of(engine)).unwrap_or_else(|error| panic!("{engine}: {error}"));
        let ran: HashSet<&str> = ran.lines().collect();
        let untried: Vec<&String> = statements.iter().filter(|sql| !ran.contains(sql.as_str())).collect();
        assert!(untried.is_empty(), "never ran on {engine}: {untried:#?}");
    }
}

/// SQLite numbers `$n` by first appearance, so they must first appear in ascending order.
fn numbers_by_first_use(sql: &str) -> Vec<usize> {
    let mut numbers = Vec::new();
    for after in sql.split('$').skip(1) {
        let number = after.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap();
        if !numbers.contains(&number) {
            numbers.push(number);
        }
    }
    numbers
}

#[test]
fn every_dependency_has_its_reason() {
    for file in ["Cargo.toml", "crates/crypto/Cargo.toml", "crates/claviger-verify/Cargo.toml"] {
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
        let mut explained = false;
        let mut in_dependencies = false;
        for line in text.lines() {
            if line.starts_with('[') {
                in_dependencies = line.contains("dependencies");
            }
            // A comment speaks for the lines below it, up to the next blank one.
            match line.trim() {
                "" => explained = false,
                comment if comment.starts_with('#') => explained = true,
                entry if in_dependencies && entry.contains('=') && !entry.contains("path =") => {
                    assert!(explained, "{file}: why {entry}?");
                }
                _ => {}
            }
        }
    }
}
