//! The embedded console as a backend of `verify`: its query API over HTTP. Called through `Backends`.
//! It knows the console by HTTP alone and imports nothing of it.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::telemetry::names::Kind;

use super::http::Http;
use super::{Attributes, BackendError, Function, LastPoint, Log, LogQuery, MetricInfo, Sample, Span};

/// The console at an address.
#[derive(Debug, Clone)]
pub(crate) struct Console {
    http: Http,
}

impl Console {
    /// The console whose page is at an address.
    pub(crate) fn new(http: Http) -> Self {
        Self { http }
    }

    /// Whether it answers queries.
    pub(crate) async fn ready(&self) -> Result<(), BackendError> {
        self.services().await.map(drop)
    }

    /// The metric's name and its attributes as query parameters.
    fn series_query(metric: &str, attributes: &[(&str, &str)]) -> Vec<(&'static str, String)> {
        let mut query = vec![("name", metric.to_owned())];
        query.extend(attributes.iter().map(|(key, value)| ("attr", format!("{key}={value}"))));
        query
    }
}

fn borrowed<'a>(query: &'a [(&'static str, String)]) -> Vec<(&'a str, &'a str)> {
    query.iter().map(|(key, value)| (*key, value.as_str())).collect()
}

/// Any JSON value as text: a string without its quotes.
fn text(value: Value) -> String {
    match value {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

fn texts(attributes: BTreeMap<String, Value>) -> Attributes {
    attributes.into_iter().map(|(key, value)| (key, text(value))).collect()
}

#[derive(Deserialize, Default)]
struct TraceAnswer {
    spans: Vec<SpanAnswer>,
}

#[derive(Deserialize)]
struct SpanAnswer {
    span_id: String,
    parent_span_id: Option<String>,
    name: String,
    kind: String,
    service: String,
    status: StatusAnswer,
    attributes: BTreeMap<String, Value>,
    events: Vec<EventAnswer>,
}

#[derive(Deserialize)]
struct StatusAnswer {
    code: String,
}

#[derive(Deserialize)]
struct EventAnswer {
    name: String,
    attributes: BTreeMap<String, Value>,
}

impl From<SpanAnswer> for Span {
    fn from(span: SpanAnswer) -> Self {
        Self {
            id: span.span_id,
            parent: span.parent_span_id.filter(|id| !id.is_empty()),
            name: span.name,
            kind: span.kind,
            service: span.service,
            status: span.status.code,
            attributes: texts(span.attributes),
            events: span.events.into_iter().map(|event| (event.name, texts(event.attributes))).collect(),
        }
    }
}

#[derive(Deserialize, Default)]
struct LogsAnswer {
    logs: Vec<LogAnswer>,
}

#[derive(Deserialize)]
struct LogAnswer {
    time_unix_ms: f64,
    severity: String,
    body: Value,
    trace_id: Option<String>,
    span_id: Option<String>,
    attributes: BTreeMap<String, Value>,
}

impl From<LogsAnswer> for Vec<Log> {
    fn from(answer: LogsAnswer) -> Self {
        let log = |log: LogAnswer| Log {
            time_unix_ms: log.time_unix_ms,
            severity: log.severity,
            body: text(log.body),
            trace_id: log.trace_id,
            span_id: log.span_id,
            attributes: texts(log.attributes),
        };
        answer.logs.into_iter().map(log).collect()
    }
}

#[derive(Deserialize)]
struct TracesAnswer {
    traces: Vec<IdAnswer>,
}

#[derive(Deserialize)]
struct ExemplarsAnswer {
    exemplars: Vec<IdAnswer>,
}

#[derive(Deserialize)]
struct IdAnswer {
    trace_id: String,
}

#[derive(Deserialize)]
struct MetricsAnswer {
    metrics: Vec<MetricAnswer>,
}

#[derive(Deserialize)]
struct MetricAnswer {
    name: String,
    unit: String,
    kind: String,
    monotonic: bool,
    services: Vec<String>,
}

#[derive(Deserialize)]
struct SeriesAnswer {
    series: Vec<OneSeries>,
}

#[derive(Deserialize)]
struct OneSeries {
    #[serde(default)]
    service: String,
    #[serde(default)]
    attributes: Value,
    last: Option<LastAnswer>,
}

#[derive(Deserialize)]
struct LastAnswer {
    time_unix_ms: f64,
    count: Option<f64>,
}

#[derive(Deserialize)]
struct RangeAnswer {
    series: Vec<RangeSeries>,
}

#[derive(Deserialize)]
struct RangeSeries {
    points: Vec<(f64, Option<f64>)>,
}

#[derive(Deserialize)]
struct ServicesAnswer {
    services: Vec<ServiceAnswer>,
}

#[derive(Deserialize)]
struct ServiceAnswer {
    name: String,
}

impl Console {
    pub(crate) async fn trace(&self, trace_id: &str) -> Result<Vec<Span>, BackendError> {
        let path = format!("/api/v1/traces/{trace_id}");
        let answer = self.http.get_or(&path, &[], Some(TraceAnswer::default())).await?;
        Ok(answer.spans.into_iter().map(Span::from).collect())
    }

    /// Ids of traces in which one span has the attribute.
    pub(crate) async fn traces_with(
        &self,
        service: &str,
        (key, value): (&str, &str),
    ) -> Result<Vec<String>, BackendError> {
        let attribute = format!("{key}={value}");
        let query = [("service", service), ("attr", &attribute), ("limit", "1000")];
        let answer: TracesAnswer = self.http.get("/api/v1/traces", &query).await?;
        Ok(answer.traces.into_iter().map(|trace| trace.trace_id).collect())
    }

    /// Log records that belong to a trace, asked by the trace (not by a search over logs).
    pub(crate) async fn logs_of_trace(&self, trace_id: &str) -> Result<Vec<Log>, BackendError> {
        let path = format!("/api/v1/traces/{trace_id}/logs");
        Ok(self.http.get_or(&path, &[], Some(LogsAnswer::default())).await?.into())
    }

    /// Log records, newest first, at most 1,000.
    pub(crate) async fn logs(&self, query: LogQuery<'_>) -> Result<Vec<Log>, BackendError> {
        let query = [
            ("service", query.service),
            ("trace_id", query.trace_id),
            ("event", query.event),
            ("text", query.text),
            ("limit", "1000"),
        ];
        Ok(self.http.get::<LogsAnswer>("/api/v1/logs", &query).await?.into())
    }

    /// The metrics that it has of a service.
    pub(crate) async fn metrics(&self, service: &str) -> Result<Vec<MetricInfo>, BackendError> {
        let answer: MetricsAnswer = self.http.get("/api/v1/metrics", &[]).await?;
        let of_service = answer.metrics.into_iter().filter(|metric| metric.services.iter().any(|name| name == service));
        let info = |metric: MetricAnswer| MetricInfo {
            kinds: vec![match metric.kind.as_str() {
                "sum" if metric.monotonic => Kind::Counter,
                "sum" => Kind::UpDownCounter,
                "gauge" => Kind::Gauge,
                _ => Kind::Histogram,
            }],
            name: metric.name,
            unit: Some(metric.unit),
        };
        Ok(of_service.map(info).collect())
    }

    /// Newest points of the series that have all attributes.
    pub(crate) async fn last_points(
        &self,
        metric: &str,
        attributes: &[(&str, &str)],
    ) -> Result<Vec<LastPoint>, BackendError> {
        let query = Self::series_query(metric, attributes);
        let absent = SeriesAnswer { series: Vec::new() };
        let answer = self.http.get_or("/api/v1/metrics/series", &borrowed(&query), Some(absent)).await?;
        let last = |series: OneSeries| {
            let last = series.last?;
            Some(LastPoint {
                series: format!("{} {}", series.service, series.attributes),
                time_unix_ms: last.time_unix_ms,
                count: last.count.unwrap_or_default(),
            })
        };
        Ok(answer.series.into_iter().filter_map(last).collect())
    }

    /// Trace ids of exemplars of the series that have all attributes, newest first.
    pub(crate) async fn exemplars(
        &self,
        metric: &str,
        attributes: &[(&str, &str)],
    ) -> Result<Vec<String>, BackendError> {
        let query = Self::series_query(metric, attributes);
        let absent = ExemplarsAnswer { exemplars: Vec::new() };
        let answer = self.http.get_or("/api/v1/metrics/exemplars", &borrowed(&query), Some(absent)).await?;
        Ok(answer.exemplars.into_iter().map(|exemplar| exemplar.trace_id).collect())
    }

    /// One value a step of one second over the last `seconds`, summed over the series of a service, oldest first.
    pub(crate) async fn range(
        &self,
        metric: &str,
        service: &str,
        function: Function,
        seconds: u32,
    ) -> Result<Vec<Sample>, BackendError> {
        let to = super::super::unix_ms();
        let (from, to) = (format!("{:.0}", to - f64::from(seconds) * 1000.0), format!("{to:.0}"));
        let function = match function {
            Function::Rate => "rate",
            Function::Last => "last",
        };
        let query = [
            ("name", metric),
            ("fn", function),
            ("service", service),
            ("from_unix_ms", &from),
            ("to_unix_ms", &to),
            ("step_ms", "1000"),
        ];
        let absent = RangeAnswer { series: Vec::new() };
        let answer = self.http.get_or("/api/v1/metrics/range", &query, Some(absent)).await?;
        // Steps have the same times in every series; whole milliseconds make them keys.
        let mut sums = BTreeMap::<i64, f64>::new();
        for (time, value) in answer.series.into_iter().flat_map(|series| series.points) {
            if let Some(value) = value {
                *sums.entry(time.round() as i64).or_default() += value;
            }
        }
        Ok(sums.into_iter().map(|(time, value)| (time as f64, value)).collect())
    }

    /// `service.name` of everyone who sent something.
    pub(crate) async fn services(&self) -> Result<Vec<String>, BackendError> {
        let answer: ServicesAnswer = self.http.get("/api/v1/services", &[]).await?;
        Ok(answer.services.into_iter().map(|service| service.name).collect())
    }
}
