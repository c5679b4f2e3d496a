//! Logs, and what happens at a panic.
//!
//! A line is put into a queue and written by a thread of its own. Attack or accident: whoever reads the log stands still (a
//! stopped process behind a pipe, a full disk), and the pipe fills up; a request that waited for its line to be written would
//! then wait for ever. So nothing waits: lines that find the queue full, and those that cannot be written, are dropped and counted.
//! What must not be lost stands in the records.

mod sink;

use sink::{Queue, Sink};
use std::sync::OnceLock;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, Registry, fmt, reload};

/// What is logged where nobody has said otherwise.
pub(crate) const USUAL: &str = "info";

/// What was set up, for those who ask later.
static STATE: OnceLock<State> = OnceLock::new();

struct State {
    queue: Queue,
    filter: reload::Handle<EnvFilter, Registry>,
}

/// Writes what waits when it goes: whoever runs a server keeps it to the end.
#[must_use]
pub(crate) struct Logs {
    #[cfg(feature = "otel")]
    _spans: Option<crate::traces::Exporter>,
    _writer: sink::Writer,
}

/// Sends log lines to standard error: readable ones to a terminal, JSON otherwise. `filter` is in the syntax of
/// `RUST_LOG`, such as `info` or `daypass=debug`.
pub(crate) fn init(filter: &str, json: bool) -> Logs {
    let (queue, writer) = sink::start(Sink::new(std::io::stderr()));
    let first = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new(USUAL));
    let (filter, handle) = reload::Layer::new(first);
    let lines = fmt::layer().with_target(false).with_writer(queue.clone());
    let lines = if json {
        // What a line says stands in the line: no span adds to it.
        let format = lines.json().flatten_event(true).with_current_span(false).with_span_list(false);
        format.with_filter(filter).boxed()
    } else {
        lines.with_filter(filter).boxed()
    };
    #[cfg(feature = "otel")]
    let (spans, exporter) = crate::traces::layer().unzip();
    #[cfg(not(feature = "otel"))]
    let spans: Option<tracing_subscriber::layer::Identity> = None;
    tracing_subscriber::registry().with(lines).with(spans).init();
    // The place of a panic is enough to find it; its text may quote what a request said.
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "panicked");
    }));
    let _ = STATE.set(State { queue, filter: handle });
    Logs {
        #[cfg(feature = "otel")]
        _spans: exporter,
        _writer: writer,
    }
}

/// Whether this is a filter that can be understood; otherwise why it is not.
pub(crate) fn understand(filter: &str) -> Result<(), String> {
    parse(filter).map(|_| ())
}

fn parse(filter: &str) -> Result<EnvFilter, String> {
    EnvFilter::try_new(filter).map_err(|fault| format!("`{filter}` is no log filter: {fault}"))
}

/// Logs by this filter from now on. One that cannot be understood changes nothing.
pub(crate) fn set_filter(filter: &str) -> Result<(), String> {
    let filter = parse(filter)?;
    match STATE.get() {
        Some(state) => state.filter.reload(filter).map_err(|fault| fault.to_string()),
        None => Ok(()),
    }
}

/// How many lines were dropped because nobody took them in time, or could not be written.
pub(crate) fn lost_lines() -> u64 {
    STATE.get().map_or(0, |state| state.queue.lost())
}
