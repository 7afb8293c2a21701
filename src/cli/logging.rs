//! The log: readable in dev, JSON lines otherwise, on standard error.

use crate::config::Log;
use std::io::IsTerminal as _;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer, fmt, registry};

/// Sends the log where it belongs. Once a process.
pub(super) fn start(log: Log) {
    // Our own lines at the level asked for; libraries only when something is wrong.
    let filter = Targets::new().with_target("claviger", log.level).with_default(LevelFilter::WARN);
    let layer = fmt::layer()
        .with_writer(std::io::stderr)
        .with_target(false)
        .with_ansi(std::io::stderr().is_terminal());
    let layer = if log.json {
        layer.json().flatten_event(true).with_current_span(false).with_span_list(false).boxed()
    } else {
        layer.boxed()
    };
    registry().with(layer.with_filter(filter)).init();
    // A panic ends one request or task; it belongs in the log like all else.
    std::panic::set_hook(Box::new(|panic| tracing::error!(%panic, "a defect: please report it")));
}
