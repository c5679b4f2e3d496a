//! One span for each request, for OpenTelemetry: only in a program that was built with the feature `otel`, and only where an
//! endpoint to send them to was named. Without the feature nothing of this is there, and a request pays nothing for it.
//!
//! A span says which dialect was spoken, what came of it, and of which tenant and role that was, in the words of the metrics. It
//! holds no name of a subject, no address, and nothing that was sent: neither headers nor query nor body. Spans inside it are
//! waits: for the store to have a record, and for a cloud to answer.

use daypass_core::pipeline::Summary;
use daypass_core::request::Head;

#[cfg(feature = "otel")]
mod export;
#[cfg(feature = "otel")]
pub(crate) use export::{Exporter, layer};

/// What a span of ours is called in `tracing`: no other span is sent.
#[cfg(feature = "otel")]
pub(crate) const TARGET: &str = "daypass::traces";

/// Works on a request within its span.
#[cfg(feature = "otel")]
pub(crate) async fn watched<T>(head: &Head, work: impl Future<Output = T>) -> T {
    use tracing::Instrument as _;
    work.instrument(export::span(head)).await
}

/// Works on a request.
#[cfg(not(feature = "otel"))]
pub(crate) fn watched<T, F: Future<Output = T>>(_head: &Head, work: F) -> F {
    work
}

/// Says in the span of the request what came of it.
#[cfg(feature = "otel")]
pub(crate) fn ended(summary: &Summary) {
    export::ended(summary);
}

/// Says nothing.
#[cfg(not(feature = "otel"))]
pub(crate) fn ended(_summary: &Summary) {}
