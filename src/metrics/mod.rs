//! What the server counts of itself, for Prometheus: cells of relaxed atomics, found by their place. On the path of a
//! request there is no lock, no allocation and no formatting; where metrics are off there are no cells and no looks
//! at the clock.
//!
//! Ours rather than a library's: labels here are closed sets, so a metric is an array. Libraries find them by a hash
//! behind a lock, or lock each histogram, and take no table that documents and tests could be made from.

pub mod labels;
pub mod reference;
mod table;
mod text;

pub use table::{FAMILIES, Family, Id, Kind, Label, METHOD, ROUTE, Scale, Values};

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// The value of `route` where no route took the request.
pub const NO_ROUTE: &str = "none";

/// The media type of the page.
pub const PAGE_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A gauge that is not known.
const UNKNOWN: i64 = i64::MIN;

/// The names that other modules declare.
#[derive(Clone, Debug, Default)]
pub struct Vocabulary {
    /// The methods and paths of the routes.
    pub routes: Vec<(&'static str, &'static str)>,
    /// The kinds of events.
    pub events: Vec<&'static str>,
    /// The paths, each once, after [`NO_ROUTE`].
    paths: Vec<&'static str>,
}

impl Vocabulary {
    /// Of these routes and events.
    pub fn new(routes: Vec<(&'static str, &'static str)>, events: Vec<&'static str>) -> Self {
        let mut paths = vec![NO_ROUTE];
        for (_, path) in &routes {
            if !paths.contains(path) {
                paths.push(path);
            }
        }
        Self { routes, events, paths }
    }

    /// The values of a label.
    pub fn values(&self, label: &Label) -> &[&'static str] {
        match label.values {
            Values::Named(names) => names,
            Values::Routes => &self.paths,
            Values::Events => &self.events,
        }
    }

    /// Whether this combination is part of the page though it never happened: not methods that a path has not.
    fn is_expected(&self, labels: &[(&str, &str)]) -> bool {
        let of = |label: &Label| labels.iter().find(|(name, _)| *name == label.name).map(|(_, value)| *value);
        match (of(&METHOD), of(&ROUTE)) {
            (Some(method), Some(path)) => self.routes.contains(&(method, path)),
            _ => true,
        }
    }
}

/// The cells of a server; none where metrics are off.
#[derive(Debug, Default)]
pub struct Metrics {
    vocabulary: Vocabulary,
    families: Box<[Cells]>,
}

/// The cells of one metric: for each combination of labels one, or the buckets and the sum of a histogram.
#[derive(Debug)]
struct Cells {
    cells: Box<[AtomicU64]>,
    /// How many values each label has.
    sizes: Box<[usize]>,
    /// The cells of a combination.
    width: usize,
}

impl Metrics {
    /// With these names.
    pub fn new(vocabulary: Vocabulary) -> Self {
        let families = FAMILIES.iter().map(|family| Cells::new(family, &vocabulary)).collect();
        Self { vocabulary, families }
    }

    /// Whether anything is counted.
    pub fn is_on(&self) -> bool {
        !self.families.is_empty()
    }

    /// The names of routes and events.
    pub fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    /// Counts one more. `labels` are the places of their values.
    pub fn count(&self, id: Id, labels: &[usize]) {
        self.count_many(id, labels, 1);
    }

    /// Counts so many more.
    pub fn count_many(&self, id: Id, labels: &[usize], more: usize) {
        if let Some([cell, ..]) = self.cells(id, labels) {
            cell.fetch_add(u64::try_from(more).unwrap_or(u64::MAX), Relaxed);
        }
    }

    /// Counts a level up by one.
    pub fn raise(&self, id: Id) {
        self.count(id, &[]);
    }

    /// Counts a level down by so many.
    pub fn lower(&self, id: Id, by: usize) {
        if let Some([cell, ..]) = self.cells(id, &[]) {
            cell.fetch_sub(u64::try_from(by).unwrap_or(0), Relaxed);
        }
    }

    /// Sets what was looked at, in units of the metric's scale; `None` where it is not known.
    pub fn set(&self, id: Id, labels: &[usize], value: Option<i64>) {
        if let Some([cell, ..]) = self.cells(id, labels) {
            cell.store(value.unwrap_or(UNKNOWN).cast_unsigned(), Relaxed);
        }
    }

    /// The present moment, if it will be asked how long something took.
    pub fn start(&self) -> Option<Instant> {
        self.is_on().then(Instant::now)
    }

    /// Notes how long something took that began then.
    pub fn observe_since(&self, id: Id, labels: &[usize], started: Option<Instant>) {
        if let Some(started) = started {
            self.observe(id, labels, nanos(started.elapsed()));
        }
    }

    /// Notes a value of a histogram, in units of its scale.
    pub fn observe(&self, id: Id, labels: &[usize], value: u64) {
        let Some(Family { kind: Kind::Histogram(bounds), .. }) = FAMILIES.get(id as usize) else { return };
        let Some([buckets @ .., sum]) = self.cells(id, labels) else { return };
        let place = bounds.iter().position(|bound| value <= *bound).unwrap_or(bounds.len());
        if let Some(bucket) = buckets.get(place) {
            bucket.fetch_add(1, Relaxed);
            sum.fetch_add(value, Relaxed);
        }
    }

    /// The place of a route's path; that of [`NO_ROUTE`] for any other.
    pub fn route(&self, path: &str) -> usize {
        self.vocabulary.paths.iter().position(|known| *known == path).unwrap_or(0)
    }

    fn cells(&self, id: Id, labels: &[usize]) -> Option<&[AtomicU64]> {
        let Cells { cells, sizes, width } = self.families.get(id as usize)?;
        let place = labels.iter().zip(sizes).fold(0, |place, (label, size)| place * size + label);
        cells.get(place * width..(place + 1) * width)
    }
}

impl Cells {
    fn new(family: &Family, vocabulary: &Vocabulary) -> Self {
        let sizes: Box<[usize]> = family.labels.iter().map(|label| vocabulary.values(label).len()).collect();
        let (width, first) = match family.kind {
            Kind::Histogram(bounds) => (bounds.len() + 2, 0),
            Kind::Gauge => (1, UNKNOWN.cast_unsigned()),
            Kind::Counter | Kind::Level => (1, 0),
        };
        let count = sizes.iter().product::<usize>() * width;
        Self { cells: (0..count).map(|_| AtomicU64::new(first)).collect(), sizes, width }
    }
}

/// In whole nanoseconds; enough for 584 years.
pub fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
