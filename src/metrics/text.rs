//! The page that Prometheus reads: its text format, version 0.0.4.

use super::{Cells, FAMILIES, Family, Kind, Metrics, Scale, UNKNOWN};
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A label with its value.
type Pair<'a> = (&'a str, &'a str);

impl Metrics {
    /// The page. Numbers of one metric belong together but for what is counted while they are read.
    pub fn page(&self) -> String {
        let mut page = String::with_capacity(64 * 1024);
        for (family, cells) in FAMILIES.iter().zip(&self.families) {
            head(&mut page, family);
            for (place, values) in cells.cells.chunks(cells.width).enumerate() {
                let labels = self.labels(family, cells, place);
                sample(&mut page, family, &labels, values, self.vocabulary.is_expected(&labels));
            }
        }
        page
    }

    /// The labels of a combination, by its place.
    pub(super) fn labels(&self, family: &Family, cells: &Cells, mut place: usize) -> Vec<Pair<'static>> {
        let mut labels = Vec::with_capacity(family.labels.len());
        for (label, size) in family.labels.iter().zip(&cells.sizes).rev() {
            let value = self.vocabulary.values(label).get(place % size).copied().unwrap_or_default();
            labels.push((label.name, value));
            place /= size;
        }
        labels.reverse();
        labels
    }
}

fn head(page: &mut String, Family { name, kind, help, .. }: &Family) {
    let word = kind.word();
    let help = help.replace('\\', "\\\\").replace('\n', "\\n");
    let _ = writeln!(page, "# HELP {name} {help}\n# TYPE {name} {word}");
}

impl Kind {
    /// The word for it in the format.
    pub fn word(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge | Self::Level => "gauge",
            Self::Histogram(_) => "histogram",
        }
    }
}

fn sample(page: &mut String, family: &Family, labels: &[Pair<'_>], values: &[AtomicU64], is_expected: bool) {
    let values: Vec<u64> = values.iter().map(|value| value.load(Relaxed)).collect();
    if !is_expected && values.iter().all(|value| *value == 0) {
        return;
    }
    let Family { name, scale, .. } = family;
    match (family.kind, values.as_slice()) {
        (Kind::Histogram(bounds), [buckets @ .., sum]) => {
            let mut below = 0;
            for (at, count) in buckets.iter().enumerate() {
                below += count;
                let bound = bounds.get(at).map_or_else(|| "+Inf".to_owned(), |bound| scaled(*scale, *bound));
                let le = [labels, &[("le", bound.as_str())]].concat();
                line(page, name, "_bucket", &le, &below.to_string());
            }
            line(page, name, "_sum", labels, &scaled(*scale, *sum));
            line(page, name, "_count", labels, &below.to_string());
        }
        (_, [value]) if value.cast_signed() == UNKNOWN => {}
        (Kind::Counter, [value]) => line(page, name, "", labels, &scaled(*scale, *value)),
        (_, [value]) => {
            let sign = if value.cast_signed() < 0 { "-" } else { "" };
            let value = scaled(*scale, value.cast_signed().unsigned_abs());
            line(page, name, "", labels, &format!("{sign}{value}"));
        }
        _ => {}
    }
}

fn line(page: &mut String, name: &str, suffix: &str, labels: &[Pair<'_>], value: &str) {
    page.push_str(name);
    page.push_str(suffix);
    for (at, (label, of)) in labels.iter().enumerate() {
        let of = of.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let _ = write!(page, "{}{label}=\"{of}\"", if at == 0 { '{' } else { ',' });
    }
    let _ = writeln!(page, "{} {value}", if labels.is_empty() { "" } else { "}" });
}

/// A number of a scale in its unit, exactly.
pub(super) fn scaled(scale: Scale, value: u64) -> String {
    match scale {
        Scale::One => value.to_string(),
        Scale::Nanos => {
            let text = format!("{}.{:09}", value / 1_000_000_000, value % 1_000_000_000);
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
    }
}
