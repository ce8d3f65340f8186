//! Trace context in and out of HTTP headers by the global propagator. Used by `app` and `load`.
use opentelemetry::trace::{SpanId, TraceContextExt, TraceId};
use opentelemetry::{Context, global};
use opentelemetry_http::{HeaderExtractor, HeaderInjector};

/// The remote context that the headers carry.
pub fn extract(headers: &http::HeaderMap) -> Context {
    global::get_text_map_propagator(|propagator| propagator.extract(&HeaderExtractor(headers)))
}

/// Writes the context into the headers.
pub fn inject(context: &Context, headers: &mut http::HeaderMap) {
    global::get_text_map_propagator(|propagator| propagator.inject_context(context, &mut HeaderInjector(headers)));
}

/// Trace and span id of the span that is current, sampled or not.
pub fn current_ids() -> Option<(TraceId, SpanId)> {
    let context = Context::current();
    let span = context.span();
    let ids = span.span_context();
    ids.is_valid().then(|| (ids.trace_id(), ids.span_id()))
}
