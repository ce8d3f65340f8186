//! OTLP messages into the console's model, item by item: what cannot be kept is counted with the reason and the rest goes
//! on. Called by the receiver, outside of the store's lock. No I/O, no store.

use std::sync::Arc;

use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, Span as OtlpSpan};

use super::model::{Attributes, Float, Log, Origin, Span, SpanEvent, SpanLink, Value};

/// Items refused, and why the first one was.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Rejected {
    /// How many.
    pub(crate) count: u64,
    /// The first reason; empty when none was refused.
    pub(crate) reason: String,
}

impl Rejected {
    /// Counts `count` refused items.
    pub(crate) fn add(&mut self, count: u64, reason: impl Into<String>) {
        if self.count == 0 && count > 0 {
            self.reason = reason.into();
        }
        self.count += count;
    }
}

/// Records ready for the store, and what was refused on the way.
#[derive(Debug)]
pub(crate) struct Batch<T> {
    /// Kept.
    pub(crate) items: Vec<T>,
    /// Refused.
    pub(crate) rejected: Rejected,
}

impl<T> Default for Batch<T> {
    fn default() -> Self {
        Self { items: Vec::new(), rejected: Rejected::default() }
    }
}

fn value(value: Option<AnyValue>) -> Value {
    match value.and_then(|v| v.value) {
        None | Some(Any::StringValueStrindex(_)) => Value::Empty,
        Some(Any::StringValue(text)) => Value::Text(text.into()),
        Some(Any::BoolValue(truth)) => Value::Bool(truth),
        Some(Any::IntValue(number)) => Value::Int(number),
        Some(Any::DoubleValue(number)) => Value::Double(Float(number)),
        Some(Any::BytesValue(bytes)) => Value::Bytes(bytes.into()),
        Some(Any::ArrayValue(list)) => Value::List(list.values.into_iter().map(|v| self::value(Some(v))).collect()),
        Some(Any::KvlistValue(list)) => Value::Map(attributes(list.values)),
    }
}

/// OTLP attributes into ours, in their order.
pub(crate) fn attributes(pairs: Vec<KeyValue>) -> Attributes {
    Attributes(pairs.into_iter().map(|pair| (pair.key.into(), value(pair.value))).collect())
}

/// Who sent a scope's items.
pub(crate) fn origin(resource: &Option<Resource>, scope: Option<InstrumentationScope>) -> Arc<Origin> {
    let resource = resource.as_ref().map(|r| r.attributes.clone()).unwrap_or_default();
    Arc::new(Origin::new(attributes(resource), scope.map(|s| s.name).unwrap_or_default().into()))
}

/// An id of exactly `N` bytes that is not all zero.
pub(crate) fn id<const N: usize>(bytes: &[u8], what: &str) -> Result<[u8; N], String> {
    let id: [u8; N] = bytes.try_into().map_err(|_| format!("{what} has {} bytes, not {N}", bytes.len()))?;
    if id == [0; N] { Err(format!("{what} is all zero")) } else { Ok(id) }
}

/// An id that may be missing: empty or all zero is none.
fn optional_id<const N: usize>(bytes: &[u8], what: &str) -> Result<Option<[u8; N]>, String> {
    if bytes.iter().all(|b| *b == 0) && (bytes.is_empty() || bytes.len() == N) {
        return Ok(None);
    }
    id(bytes, what).map(Some)
}

fn span(span: OtlpSpan, origin: &Arc<Origin>) -> Result<Span, String> {
    let mut links = Vec::with_capacity(span.links.len());
    for link in span.links {
        links.push(SpanLink {
            trace_id: id(&link.trace_id, "a link's trace_id")?,
            span_id: id(&link.span_id, "a link's span_id")?,
            attributes: attributes(link.attributes),
        });
    }
    let event = |event: opentelemetry_proto::tonic::trace::v1::span::Event| SpanEvent {
        name: event.name.into(),
        time: event.time_unix_nano,
        attributes: attributes(event.attributes),
    };
    let status = span.status.unwrap_or_default();
    Ok(Span {
        trace_id: id(&span.trace_id, "trace_id")?,
        span_id: id(&span.span_id, "span_id")?,
        parent: optional_id(&span.parent_span_id, "parent_span_id")?,
        name: span.name.into(),
        kind: span.kind,
        start: span.start_time_unix_nano,
        end: span.end_time_unix_nano,
        status: status.code,
        message: status.message.into(),
        attributes: attributes(span.attributes),
        events: span.events.into_iter().map(event).collect(),
        links: links.into(),
        origin: Arc::clone(origin),
    })
}

/// Spans of an export request.
pub(crate) fn spans(resources: Vec<ResourceSpans>) -> Batch<Span> {
    let mut batch = Batch::default();
    for resource in resources {
        for scope in resource.scope_spans {
            let origin = origin(&resource.resource, scope.scope);
            for item in scope.spans {
                match span(item, &origin) {
                    Ok(span) => batch.items.push(span),
                    Err(reason) => batch.rejected.add(1, reason),
                }
            }
        }
    }
    batch
}

fn log(record: LogRecord, origin: &Arc<Origin>, now: u64) -> Result<Log, String> {
    let attributes = attributes(record.attributes);
    let event: Option<Box<str>> = match record.event_name.as_str() {
        // Senders older than the field use the attribute.
        "" => attributes.get("event.name").map(|name| name.text().into()),
        name => Some(name.into()),
    };
    let time = [record.time_unix_nano, record.observed_time_unix_nano].into_iter().find(|t| *t != 0).unwrap_or(now);
    Ok(Log {
        time,
        severity: record.severity_number,
        severity_text: record.severity_text.into(),
        body: value(record.body),
        attributes,
        trace_id: optional_id(&record.trace_id, "trace_id")?,
        span_id: optional_id(&record.span_id, "span_id")?,
        event,
        origin: Arc::clone(origin),
    })
}

/// Log records of an export request; `now` (unix nanoseconds) is the time of one that has none.
pub(crate) fn logs(resources: Vec<ResourceLogs>, now: u64) -> Batch<Log> {
    let mut batch = Batch::default();
    for resource in resources {
        for scope in resource.scope_logs {
            let origin = origin(&resource.resource, scope.scope);
            for record in scope.log_records {
                match log(record, &origin, now) {
                    Ok(log) => batch.items.push(log),
                    Err(reason) => batch.rejected.add(1, reason),
                }
            }
        }
    }
    batch
}
