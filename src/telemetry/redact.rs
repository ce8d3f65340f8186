//! Removes e-mail addresses from what leaves the process: called on every exported span and log record (on the exporter
//! thread, off the hot path) and on every line of stdout. Knows nothing of where text comes from.

use std::borrow::Cow;
use std::sync::LazyLock;

use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::ResourceLogs;
use opentelemetry_proto::tonic::trace::v1::ResourceSpans;
use regex::Regex;

/// What stands in an address's place.
pub const REDACTED: &str = "[email]";

static EMAIL: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"[\w.%+'-]+(?:@|%40)[\w-]+(?:\.[\w-]+)*\.\p{L}{2,}").expect("a constant that the tests compile")
});

/// The text without e-mail addresses; `%40` counts as `@`, because queries are URL-encoded.
pub fn text(text: &str) -> Cow<'_, str> {
    // Almost no text holds an address: the search for a byte keeps the regex off the common path.
    if text.contains('@') || text.contains("%40") { EMAIL.replace_all(text, REDACTED) } else { Cow::Borrowed(text) }
}

/// Redacts names, attributes, events and statuses of spans, and names exception events as the conventions do.
pub(super) fn spans(resource_spans: &mut [ResourceSpans]) {
    for span in resource_spans.iter_mut().flat_map(|r| &mut r.scope_spans).flat_map(|s| &mut s.spans) {
        string(&mut span.name);
        attributes(&mut span.attributes);
        if let Some(status) = &mut span.status {
            string(&mut status.message);
        }
        for event in &mut span.events {
            // tracing names an event by its message; consumers look for `exception`.
            if event.attributes.iter().any(|a| a.key == super::names::attr::EXCEPTION_TYPE) {
                "exception".clone_into(&mut event.name);
            }
            string(&mut event.name);
            attributes(&mut event.attributes);
        }
        for link in &mut span.links {
            attributes(&mut link.attributes);
        }
    }
}

/// Redacts bodies and attributes of log records, and drops the event names that only say a line of source.
pub(super) fn logs(resource_logs: &mut [ResourceLogs]) {
    for record in resource_logs.iter_mut().flat_map(|r| &mut r.scope_logs).flat_map(|s| &mut s.log_records) {
        if record.event_name.starts_with("event ") {
            record.event_name.clear();
        }
        if let Some(body) = &mut record.body {
            value(body);
        }
        attributes(&mut record.attributes);
    }
}

fn attributes(attributes: &mut [KeyValue]) {
    attributes.iter_mut().filter_map(|attribute| attribute.value.as_mut()).for_each(value);
}

fn value(any: &mut AnyValue) {
    match &mut any.value {
        Some(Value::StringValue(text)) => string(text),
        Some(Value::ArrayValue(array)) => array.values.iter_mut().for_each(value),
        Some(Value::KvlistValue(list)) => attributes(&mut list.values),
        _ => {}
    }
}

fn string(text: &mut String) {
    if let Cow::Owned(redacted) = self::text(text) {
        *text = redacted;
    }
}
