//! Logs: the filtered list, also that of one trace. Pure; called by `api` and, for the live stream, by `ingest`.

use serde_json::{Value as Json, json};

use super::{Conditions, matches};
use crate::console::model::{Log, SpanId, TraceId, Value, hex, ms};
use crate::console::store::Store;

/// Severities as filters name them, with OTLP's lowest number of each.
pub(crate) const SEVERITIES: [(&str, i32); 6] =
    [("TRACE", 1), ("DEBUG", 5), ("INFO", 9), ("WARN", 13), ("ERROR", 17), ("FATAL", 21)];

/// Conditions on a log record, all of which must hold.
#[derive(Debug, Default, Clone)]
pub(crate) struct LogFilter {
    /// `service.name`.
    pub(crate) service: Option<String>,
    /// Least OTLP severity number.
    pub(crate) severity: Option<i32>,
    /// Text within the body, any case.
    pub(crate) text: Option<String>,
    /// Trace.
    pub(crate) trace_id: Option<TraceId>,
    /// Span.
    pub(crate) span_id: Option<SpanId>,
    /// Event name.
    pub(crate) event: Option<String>,
    /// Attributes.
    pub(crate) attributes: Conditions,
    /// Earliest time.
    pub(crate) since_unix_ms: Option<f64>,
}

impl LogFilter {
    fn accepts(&self, log: &Log) -> bool {
        let contains = |wanted: &String| log.body.text().to_lowercase().contains(&wanted.to_lowercase());
        matches(&self.service, &log.origin.service)
            && self.severity.is_none_or(|least| log.severity >= least)
            && self.span_id.is_none_or(|id| log.span_id == Some(id))
            && self.since_unix_ms.is_none_or(|since| ms(log.time) >= since)
            && self.event.as_ref().is_none_or(|event| log.event.as_deref() == Some(event))
            && self.attributes.hold(&log.attributes, &log.origin)
            && self.text.as_ref().is_none_or(contains)
    }
}

fn severity(log: &Log) -> String {
    let named = SEVERITIES.iter().rev().find(|(_, least)| log.severity >= *least);
    match named {
        Some((name, _)) => (*name).to_owned(),
        None if log.severity_text.is_empty() => "UNSPECIFIED".to_owned(),
        None => log.severity_text.to_uppercase(),
    }
}

/// One log record; `id` is its number of arrival.
pub(crate) fn one(id: u64, log: &Log) -> Json {
    let body = match &log.body {
        Value::Text(text) => Json::from(&**text),
        other => other.json(),
    };
    json!({
        "id": id,
        "time_unix_ms": ms(log.time),
        "severity": severity(log),
        "severity_number": log.severity,
        "body": body,
        "service": &*log.origin.service,
        "trace_id": log.trace_id.as_ref().map(|id| hex(id)),
        "span_id": log.span_id.as_ref().map(|id| hex(id)),
        "event": log.event.as_deref(),
        "attributes": log.attributes.json(),
    })
}

/// The newest records that match, newest first.
pub(crate) fn list(store: &Store, filter: &LogFilter, limit: usize) -> Json {
    let mut found: Vec<(u64, &Log)> = match &filter.trace_id {
        Some(trace) => store.logs.of_trace(trace).filter(|(_, log)| filter.accepts(log)).collect(),
        None => store.logs.newest_first().filter(|(_, log)| filter.accepts(log)).take(limit).collect(),
    };
    found.sort_by_key(|(id, log)| std::cmp::Reverse((log.time, *id)));
    found.truncate(limit);
    json!({ "logs": found.into_iter().map(|(id, log)| one(id, log)).collect::<Vec<_>>() })
}
