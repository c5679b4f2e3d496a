//! Spans on their way to a collector, by OTLP over HTTP.
//!
//! Where they go stands in the variables that every program with OpenTelemetry knows (`OTEL_EXPORTER_OTLP_ENDPOINT` or
//! `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`, `OTEL_SERVICE_NAME`, `OTEL_TRACES_SAMPLER`, `OTEL_EXPORTER_OTLP_HEADERS`); without an
//! endpoint nothing is sent. They are sent in batches by a thread of its own; a collector that stands still costs spans, and no
//! request waits for it.

use super::TARGET;
use crate::config::variable;
use daypass_core::pipeline::Summary;
use daypass_core::refusal::Kind;
use daypass_core::request::Head;
use http::HeaderMap;
use opentelemetry::propagation::{Extractor, TextMapPropagator as _};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::Span;
use tracing::field::Empty;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;

/// Where spans go, each of them alone or together with everything else.
const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];

/// Sends what waits when it goes.
pub(crate) struct Exporter(SdkTracerProvider);

impl Drop for Exporter {
    fn drop(&mut self) {
        if let Err(error) = self.0.shutdown() {
            tracing::warn!(%error, "the last spans were not sent");
        }
    }
}

/// What takes spans up, if an endpoint was named.
pub(crate) fn layer<S>() -> Option<(Box<dyn Layer<S> + Send + Sync>, Exporter)>
where
    S: tracing::Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
{
    let named = |name: &&str| variable(name).is_some_and(|value| !value.is_empty());
    ENDPOINTS.iter().find(|name| named(name))?;
    let exporter = match SpanExporter::builder().with_http().build() {
        Ok(exporter) => exporter,
        Err(error) => {
            // The log is not set up yet.
            let _ = std::io::Write::write_all(
                &mut std::io::stderr(),
                format!("daypass: no spans are sent: {error}\n").as_bytes(),
            );
            return None;
        }
    };
    let mut resource = Resource::builder();
    if variable("OTEL_SERVICE_NAME").is_none() {
        resource = resource.with_service_name("daypass");
    }
    let provider =
        SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource.build()).build();
    let tracer = provider.tracer("daypass");
    let spans = tracing_opentelemetry::layer()
        .with_tracer(tracer)
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_level(false)
        .with_tracked_inactivity(false);
    // Our own spans alone: a line of the log says more than a span may.
    Some((spans.with_filter(filter_fn(|metadata| metadata.target() == TARGET)).boxed(), Exporter(provider)))
}

/// The span of a request, inside the one of whoever asks, if it says so (`traceparent`).
pub(super) fn span(head: &Head) -> Span {
    let span = tracing::info_span!(
        target: TARGET,
        "request",
        otel.name = "request",
        otel.kind = "server",
        otel.status_code = Empty,
        request_id = %head.request_id,
        dialect = Empty,
        result = Empty,
        tenant = Empty,
        role = Empty,
    );
    let parent = TraceContextPropagator::new().extract(&Headers(&head.headers));
    // A span that nobody takes has no parent either.
    let _ = span.set_parent(parent);
    span
}

/// What came of the request, in the span that we are in.
pub(super) fn ended(summary: &Summary) {
    let span = Span::current();
    span.record("dialect", summary.dialect.name());
    match &summary.result {
        Ok(success) => span.record("result", format!("{success:?}").to_ascii_lowercase()),
        Err(refusal) => {
            if refusal.reason.kind() == Kind::Us {
                span.record("otel.status_code", "ERROR");
            }
            span.record("result", refusal.reason.label())
        }
    };
    if let Some(tenant) = &summary.tenant {
        span.record("tenant", &*tenant.name);
    }
    if let Some(role) = &summary.role {
        span.record("role", &**role);
    }
}

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(http::HeaderName::as_str).collect()
    }
}
