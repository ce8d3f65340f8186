//! Loki: the contract's log records by LogQL, as its OTLP endpoint stores them. Called through `Backends`.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::telemetry::names::prometheus::label;

use super::http::Http;
use super::{BackendError, LOOK_BACK_S, Log, LogQuery};

/// A trace of this run is no older than its start less this many milliseconds.
const BEFORE_START_MS: f64 = 60_000.0;

/// A Loki query API.
#[derive(Debug, Clone)]
pub(crate) struct Loki {
    http: Http,
    /// When this run began, in Unix milliseconds.
    began_unix_ms: f64,
}

#[derive(Deserialize)]
struct Answer<T> {
    #[serde(default)]
    data: T,
}

#[derive(Deserialize, Default)]
struct Streams {
    result: Vec<Stream>,
}

#[derive(Deserialize)]
struct Stream {
    /// Index labels and structured metadata: records that differ in any are streams of their own here.
    stream: BTreeMap<String, String>,
    /// Unix nanoseconds as text, and the line.
    values: Vec<(String, String)>,
}

/// The query in LogQL.
fn logql(query: LogQuery<'_>) -> String {
    let quoted = |value: &str| format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""));
    let mut text = match query.service {
        // At least one matcher that does not match an empty value is asked for.
        "" => "{service_name=~\".+\"}".to_owned(),
        service => format!("{{service_name={}}}", quoted(service)),
    };
    if !query.text.is_empty() {
        text = format!("{text} |= {}", quoted(query.text));
    }
    if !query.trace_id.is_empty() {
        text = format!("{text} | trace_id={}", quoted(query.trace_id));
    }
    if !query.event.is_empty() {
        // Loki stores no event name: an event is known by the attribute that our events of that name have.
        text = format!("{text} | {}_name!=\"\"", label(query.event));
    }
    text
}

impl Loki {
    /// The query API at an address; this run begins now.
    pub(crate) fn new(http: Http) -> Self {
        Self { http, began_unix_ms: super::super::unix_ms() }
    }

    /// Whether it answers queries.
    pub(crate) async fn ready(&self) -> Result<(), BackendError> {
        self.services().await.map(drop)
    }

    /// Log records, newest first, at most 1,000.
    pub(crate) async fn logs(&self, query: LogQuery<'_>) -> Result<Vec<Log>, BackendError> {
        let now = super::super::unix_ms();
        let start = match query.trace_id {
            "" => now - f64::from(LOOK_BACK_S) * 1000.0,
            // Every second less to search makes the answer quicker; this run's traces are young.
            _ => self.began_unix_ms - BEFORE_START_MS,
        };
        // Records stamped by a clock slightly ahead count too.
        let (start, end) = (format!("{start:.0}000000"), format!("{:.0}000000", now + 10_000.0));
        let logql = logql(query);
        let query =
            [("query", logql.as_str()), ("start", &start), ("end", &end), ("limit", "1000"), ("direction", "backward")];
        let answer: Answer<Streams> = self.http.get("/loki/api/v1/query_range", &query).await?;
        let mut logs = answer.data.result.into_iter().flat_map(logs_of).collect::<Vec<_>>();
        logs.sort_by(|a, b| b.time_unix_ms.total_cmp(&a.time_unix_ms));
        Ok(logs)
    }

    /// `service.name` of everyone who sent something lately.
    pub(crate) async fn services(&self) -> Result<Vec<String>, BackendError> {
        let start = format!("{:.0}000000", super::super::unix_ms() - f64::from(LOOK_BACK_S) * 1000.0);
        let path = "/loki/api/v1/label/service_name/values";
        // Without any label Loki answers without `data`.
        let answer: Answer<Vec<String>> = self.http.get(path, &[("start", &start)]).await?;
        Ok(answer.data)
    }
}

fn logs_of(stream: Stream) -> Vec<Log> {
    let label = |name: &str| stream.stream.get(name).filter(|value| !value.is_empty()).cloned();
    let log = |(time, line): &(String, String)| Log {
        time_unix_ms: time.parse::<f64>().unwrap_or_default() / 1e6,
        severity: label("severity_text").unwrap_or_default(),
        body: line.clone(),
        trace_id: label("trace_id"),
        span_id: label("span_id"),
        attributes: stream.stream.clone(),
    };
    stream.values.iter().map(log).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::names::{EVENT_LOAD_PHASE, SERVICE_APP, attr};

    #[test]
    fn a_query_names_only_what_it_asks_for() {
        assert_eq!(logql(LogQuery { trace_id: "ab", ..Default::default() }), r#"{service_name=~".+"} | trace_id="ab""#);
        let events = LogQuery { service: SERVICE_APP, event: EVENT_LOAD_PHASE, ..Default::default() };
        assert_eq!(logql(events), r#"{service_name="signalbox-app"} | load_phase_name!="""#);
        assert_eq!(label(attr::LOAD_PHASE_NAME), format!("{}_name", label(EVENT_LOAD_PHASE)));
    }

    #[test]
    fn structured_metadata_becomes_severity_and_ids() {
        let stream = serde_json::json!({
            "stream": {"service_name": "signalbox-app", "trace_id": "ab", "span_id": "cd", "severity_text": "WARN"},
            "values": [["1700000000123456789", "slow"]],
        });
        let logs = logs_of(serde_json::from_value(stream).unwrap());
        assert_eq!(logs[0].severity, "WARN");
        assert_eq!((logs[0].trace_id.as_deref(), logs[0].span_id.as_deref()), (Some("ab"), Some("cd")));
        assert!((logs[0].time_unix_ms - 1_700_000_000_123.456_8).abs() < 0.01);
    }
}
