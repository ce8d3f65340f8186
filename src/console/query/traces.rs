//! Traces: the filtered list and the waterfall. Pure; called by `api` and, for the live stream, by `ingest`.

use std::collections::{BTreeSet, HashMap, HashSet};

use serde_json::{Value as Json, json};

use super::{Conditions, matches};
use crate::console::model::{Span, SpanId, TraceId, hex, ms};
use crate::console::store::Store;

/// Conditions on one span; a trace matches when any one span meets them all.
#[derive(Debug, Default, Clone)]
pub(crate) struct TraceFilter {
    /// `service.name`.
    pub(crate) service: Option<String>,
    /// `http.route`.
    pub(crate) route: Option<String>,
    /// The span's name.
    pub(crate) name: Option<String>,
    /// Shortest duration.
    pub(crate) min_ms: Option<f64>,
    /// Longest duration.
    pub(crate) max_ms: Option<f64>,
    /// Status code: 0 unset, 1 ok, 2 error.
    pub(crate) status: Option<i32>,
    /// Attributes.
    pub(crate) attributes: Conditions,
    /// Earliest start.
    pub(crate) since_unix_ms: Option<f64>,
}

impl TraceFilter {
    fn accepts(&self, span: &Span) -> bool {
        let route = || self.route.as_ref().is_none_or(|r| span.attributes.get("http.route").is_some_and(|v| v.is(r)));
        matches(&self.service, &span.origin.service)
            && matches(&self.name, &span.name)
            && self.status.is_none_or(|status| status == span.status)
            && self.since_unix_ms.is_none_or(|since| ms(span.start) >= since)
            && self.min_ms.is_none_or(|min| span.duration_ms() >= min)
            && self.max_ms.is_none_or(|max| span.duration_ms() <= max)
            && route()
            && self.attributes.hold(&span.attributes, &span.origin)
    }
}

/// Spans of a trace, each id once (a sender's retry may bring one twice; the last wins).
fn spans_of<'a>(store: &'a Store, trace: &TraceId) -> Vec<&'a Span> {
    let mut place: HashMap<SpanId, usize> = HashMap::new();
    let mut spans: Vec<&Span> = Vec::new();
    for (_, span) in store.spans.of_trace(trace) {
        if let Some(index) = place.get(&span.span_id) {
            spans[*index] = span;
        } else {
            place.insert(span.span_id, spans.len());
            spans.push(span);
        }
    }
    spans
}

fn extent(spans: &[&Span]) -> (u64, u64) {
    let start = spans.iter().map(|s| s.start).min().unwrap_or(0);
    let end = spans.iter().map(|s| s.end.max(s.start)).max().unwrap_or(start);
    (start, end)
}

/// One line about a trace; none when no span of it is stored.
pub(crate) fn summary(store: &Store, trace: &TraceId) -> Option<Json> {
    let spans = spans_of(store, trace);
    // The true root where it is here, else the earliest.
    let root = spans.iter().min_by_key(|s| (s.parent.is_some(), s.start))?;
    // The root may be a client's: the route is then that of the first server span that has one.
    let mut ordered: Vec<&&Span> = spans.iter().filter(|s| s.attributes.get("http.route").is_some()).collect();
    ordered.sort_by_key(|s| (s.span_id != root.span_id, s.start));
    let routed = ordered.first();
    let http_status = |s: &&Span| s.attributes.get("http.response.status_code").map(super::super::model::Value::json);
    let (start, end) = extent(&spans);
    let services: BTreeSet<&str> = spans.iter().map(|s| &*s.origin.service).collect();
    Some(json!({
        "trace_id": hex(trace),
        "root_name": &*root.name,
        "service": &*root.origin.service,
        "services": services,
        "route": routed.and_then(|s| s.attributes.get("http.route")).map(super::super::model::Value::json),
        "http_status": http_status(root).or_else(|| routed.and_then(|s| http_status(s))),
        "start_unix_ms": ms(start),
        "duration_ms": ms(end - start),
        "spans": spans.len(),
        "errors": spans.iter().filter(|s| s.status == 2).count(),
    }))
}

/// Summaries of the newest traces that match, newest first.
pub(crate) fn list(store: &Store, filter: &TraceFilter, limit: usize) -> Json {
    let mut seen = HashSet::new();
    let mut traces = Vec::new();
    for (_, span) in store.spans.newest_first() {
        if traces.len() == limit {
            break;
        }
        if filter.accepts(span)
            && seen.insert(span.trace_id)
            && let Some(line) = summary(store, &span.trace_id)
        {
            traces.push(line);
        }
    }
    traces.sort_by(|a, b| {
        let start = |line: &Json| line["start_unix_ms"].as_f64().unwrap_or(0.0);
        start(b).total_cmp(&start(a))
    });
    json!({ "traces": traces })
}

fn kind(kind: i32) -> &'static str {
    match kind {
        1 => "INTERNAL",
        2 => "SERVER",
        3 => "CLIENT",
        4 => "PRODUCER",
        5 => "CONSUMER",
        _ => "UNSPECIFIED",
    }
}

fn full(span: &Span, depth: usize, trace_start: u64) -> Json {
    let status = ["UNSET", "OK", "ERROR"].get(usize::try_from(span.status).unwrap_or(0)).unwrap_or(&"UNSET");
    let events = span
        .events
        .iter()
        .map(|e| json!({ "name": &*e.name, "time_unix_ms": ms(e.time), "attributes": e.attributes.json() }));
    let links = span.links.iter().map(
        |l| json!({ "trace_id": hex(&l.trace_id), "span_id": hex(&l.span_id), "attributes": l.attributes.json() }),
    );
    json!({
        "span_id": hex(&span.span_id),
        "parent_span_id": span.parent.as_ref().map(|p| hex(p)),
        "name": &*span.name,
        "kind": kind(span.kind),
        "service": &*span.origin.service,
        "start_unix_ms": ms(span.start),
        "offset_ms": ms(span.start - trace_start),
        "duration_ms": span.duration_ms(),
        "depth": depth,
        "status": { "code": status, "message": &*span.message },
        "attributes": span.attributes.json(),
        "resource": span.origin.resource.json(),
        "scope": &*span.origin.scope,
        "events": events.collect::<Vec<_>>(),
        "links": links.collect::<Vec<_>>(),
    })
}

/// All spans of a trace, depth first, siblings by start; none when the trace is unknown.
pub(crate) fn waterfall(store: &Store, trace: &TraceId) -> Option<Json> {
    let mut spans = spans_of(store, trace);
    if spans.is_empty() {
        return None;
    }
    let (start, end) = extent(&spans);
    // Latest first, because the stack below hands out the last.
    spans.sort_by_key(|s| std::cmp::Reverse(s.start));
    let known: HashSet<SpanId> = spans.iter().map(|s| s.span_id).collect();
    let mut children: HashMap<SpanId, Vec<&Span>> = HashMap::new();
    let mut stack: Vec<(&Span, usize)> = Vec::new();
    for span in &spans {
        match span.parent.filter(|p| known.contains(p) && *p != span.span_id) {
            Some(parent) => children.entry(parent).or_default().push(span),
            None => stack.push((span, 0)),
        }
    }
    let mut rows = Vec::with_capacity(spans.len());
    // Parents that form a circle have no root: what is left starts from its latest span.
    let mut done: HashSet<SpanId> = HashSet::new();
    loop {
        while let Some((span, depth)) = stack.pop() {
            if done.insert(span.span_id) {
                rows.push(full(span, depth, start));
                stack.extend(children.remove(&span.span_id).unwrap_or_default().into_iter().map(|c| (c, depth + 1)));
            }
        }
        match spans.iter().rev().find(|s| !done.contains(&s.span_id)) {
            Some(span) => stack.push((span, 0)),
            None => break,
        }
    }
    Some(json!({ "trace_id": hex(trace), "start_unix_ms": ms(start), "duration_ms": ms(end - start), "spans": rows }))
}
