//! docs/reference/metrics.md, made from the table.

use super::text::scaled;
use super::{FAMILIES, Family, Kind, Label, Values};
use std::fmt::Write as _;

/// What stands above the table.
const HEAD: &str = "# Metrics

Made from `src/metrics/table.rs`; a test compares it, and
`cargo test --test it -- --ignored write_the_reference_of_metrics` writes it anew. How to turn them on and what to
watch is told in [../metrics.md](../metrics.md).

Labels have the values that stand here and no others. `route` is the path of a route as the API's description has it
(`/user/sessions/{id}`), or `none`; `method` beside it is one of the values below. `event` is a kind of event as
`claviger audit list` shows it. Histograms have `_bucket` (with `le`), `_sum` and `_count`.
";

/// The whole page.
pub fn page() -> String {
    let mut page = HEAD.to_owned();
    for Family { name, kind, scale, labels, help } in FAMILIES {
        let _ = write!(page, "\n## {name}\n\n{}. {help}\n", kind.title());
        if !labels.is_empty() {
            page.push('\n');
        }
        for label in *labels {
            let _ = writeln!(page, "- `{}`: {}", label.name, values(label));
        }
        if let Kind::Histogram(bounds) = kind {
            let bounds: Vec<String> = bounds.iter().map(|bound| scaled(*scale, *bound)).collect();
            let _ = writeln!(page, "\nBounds: {}", bounds.join(", "));
        }
    }
    page
}

impl Kind {
    fn title(self) -> &'static str {
        match self {
            Self::Counter => "Counter",
            Self::Gauge | Self::Level => "Gauge",
            Self::Histogram(_) => "Histogram",
        }
    }
}

fn values(label: &Label) -> String {
    match label.values {
        Values::Routes => "the path of a route, or `none`".to_owned(),
        Values::Events => "a kind of event".to_owned(),
        // It changes with each release.
        Values::Named(_) if label.name == "version" => "the program's version".to_owned(),
        Values::Named(names) => names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "),
    }
}
