//! A page of metrics, read as Prometheus does, but strictly: what it would forgive fails here.

use std::collections::{BTreeMap, BTreeSet};

/// The labels of a sample.
pub type Labels = BTreeMap<String, String>;

/// A page.
#[derive(Debug, Default)]
pub struct Samples {
    /// Each sample: its name, labels and value.
    pub all: Vec<(String, Labels, f64)>,
    /// The type of each metric.
    pub types: BTreeMap<String, String>,
}

impl Samples {
    pub fn parse(page: &str) -> Self {
        let (mut samples, mut seen) = (Self::default(), BTreeSet::new());
        assert!(page.ends_with('\n'));
        for line in page.lines() {
            if let Some(comment) = line.strip_prefix("# ") {
                let (word, rest) = comment.split_once(' ').unwrap();
                let (name, text) = rest.split_once(' ').unwrap();
                assert!(!text.is_empty(), "{line}");
                match word {
                    "HELP" => {}
                    "TYPE" => {
                        let old = samples.types.insert(name.to_owned(), text.to_owned());
                        assert!(old.is_none(), "{name} stands twice");
                    }
                    _ => panic!("{line}"),
                }
                continue;
            }
            assert!(seen.insert(line.rsplit_once(' ').unwrap().0.to_owned()), "twice: {line}");
            samples.all.push(sample(line));
        }
        for (name, ..) in &samples.all {
            assert!(samples.types.contains_key(base(name, &samples.types)), "{name} has no type");
        }
        samples
    }

    /// The value of the one sample with this name and exactly these labels.
    #[track_caller]
    pub fn of(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let wanted: Labels = labels.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
        let found: Vec<f64> = self
            .all
            .iter()
            .filter(|(own, labels, _)| own == name && *labels == wanted)
            .map(|(_, _, value)| *value)
            .collect();
        assert_eq!(found.len(), 1, "{name}{labels:?}: {found:?}");
        found[0]
    }
}

/// The metric that a sample belongs to.
pub fn base<'a>(name: &'a str, types: &BTreeMap<String, String>) -> &'a str {
    let of_histogram = ["_bucket", "_sum", "_count"].iter().filter_map(|suffix| name.strip_suffix(suffix));
    let mut bases = of_histogram.filter(|base| types.get(*base).is_some_and(|kind| kind == "histogram"));
    bases.next().unwrap_or(name)
}

fn sample(line: &str) -> (String, Labels, f64) {
    let (series, value) = line.rsplit_once(' ').unwrap();
    let value = value.parse().unwrap_or_else(|_| panic!("{line}"));
    let Some((name, labels)) = series.split_once('{') else {
        return (series.to_owned(), Labels::new(), value);
    };
    let mut rest = labels.strip_suffix('}').unwrap_or_else(|| panic!("{line}"));
    let mut found = Labels::new();
    while !rest.is_empty() {
        let (key, after) = rest.split_once("=\"").unwrap_or_else(|| panic!("{line}"));
        let (text, after) = after.split_once('"').unwrap_or_else(|| panic!("{line}"));
        assert!(!text.contains('\\'), "nothing here needs an escape: {line}");
        assert!(found.insert(key.to_owned(), text.to_owned()).is_none(), "{line}");
        rest = after.strip_prefix(',').unwrap_or(after);
    }
    (name.to_owned(), found, value)
}
