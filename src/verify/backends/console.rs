//! The embedded console as a backend of `verify`: its query API over HTTP. Called by the checks through `Backend`.
//! It knows the console by HTTP alone and imports nothing of it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Attributes, Backend, BackendError, Function, LastPoint, Log, LogQuery, MetricInfo, Sample, Span};

/// Longest wait for one answer; a check asks again until its own deadline.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// The console at an address.
#[derive(Debug, Clone)]
pub(crate) struct Console {
    base: String,
    token: Option<String>,
    client: reqwest::Client,
}

impl Console {
    /// The console whose page is at `base`; `token` is sent as bearer.
    pub(crate) fn new(base: &str, token: Option<String>) -> Result<Self, reqwest::Error> {
        // Addresses are this machine's own: a proxy of the environment must not see them.
        let client = reqwest::Client::builder().timeout(ANSWER_WITHIN).no_proxy().build()?;
        Ok(Self { base: base.trim_end_matches('/').to_owned(), token, client })
    }

    async fn get<T: DeserializeOwned>(&self, path: &str, query: &[(&str, &str)]) -> Result<T, BackendError> {
        self.get_or(path, query, None).await
    }

    /// Like `get`; a 404 is `absent` where one is given.
    async fn get_or<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, &str)],
        absent: Option<T>,
    ) -> Result<T, BackendError> {
        let url = format!("{}{path}", self.base);
        let set: Vec<_> = query.iter().filter(|(_, value)| !value.is_empty()).collect();
        let mut request = self.client.get(&url).query(&set);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        let failed = |source| BackendError::Send { url: url.clone(), source };
        let response = request.send().await.map_err(failed)?;
        let status = response.status();
        if let (404, Some(absent)) = (status.as_u16(), absent) {
            return Ok(absent);
        }
        let body = response.text().await.map_err(failed)?;
        if !status.is_success() {
            return Err(BackendError::Status { url, status: status.as_u16(), body });
        }
        serde_json::from_str(&body).map_err(|source| BackendError::Shape { url, source })
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

impl Backend for Console {
    fn name(&self) -> &'static str {
        "console"
    }

    async fn trace(&self, trace_id: &str) -> Result<Vec<Span>, BackendError> {
        let path = format!("/api/v1/traces/{trace_id}");
        let answer = self.get_or(&path, &[], Some(TraceAnswer::default())).await?;
        Ok(answer.spans.into_iter().map(Span::from).collect())
    }

    async fn traces_with(&self, service: &str, (key, value): (&str, &str)) -> Result<Vec<String>, BackendError> {
        let attribute = format!("{key}={value}");
        let query = [("service", service), ("attr", &attribute), ("limit", "1000")];
        let answer: TracesAnswer = self.get("/api/v1/traces", &query).await?;
        Ok(answer.traces.into_iter().map(|trace| trace.trace_id).collect())
    }

    async fn logs_of_trace(&self, trace_id: &str) -> Result<Vec<Log>, BackendError> {
        let path = format!("/api/v1/traces/{trace_id}/logs");
        Ok(self.get_or(&path, &[], Some(LogsAnswer::default())).await?.into())
    }

    async fn logs(&self, query: LogQuery<'_>) -> Result<Vec<Log>, BackendError> {
        let query = [
            ("service", query.service),
            ("trace_id", query.trace_id),
            ("event", query.event),
            ("text", query.text),
            ("limit", "1000"),
        ];
        Ok(self.get::<LogsAnswer>("/api/v1/logs", &query).await?.into())
    }

    async fn metrics(&self) -> Result<Vec<MetricInfo>, BackendError> {
        let answer: MetricsAnswer = self.get("/api/v1/metrics", &[]).await?;
        let info = |metric: MetricAnswer| MetricInfo {
            name: metric.name,
            unit: metric.unit,
            kind: metric.kind,
            monotonic: metric.monotonic,
            services: metric.services,
        };
        Ok(answer.metrics.into_iter().map(info).collect())
    }

    async fn last_points(&self, metric: &str, attributes: &[(&str, &str)]) -> Result<Vec<LastPoint>, BackendError> {
        let query = Self::series_query(metric, attributes);
        let absent = SeriesAnswer { series: Vec::new() };
        let answer = self.get_or("/api/v1/metrics/series", &borrowed(&query), Some(absent)).await?;
        let last =
            |last: LastAnswer| LastPoint { time_unix_ms: last.time_unix_ms, count: last.count.unwrap_or_default() };
        Ok(answer.series.into_iter().filter_map(|series| series.last).map(last).collect())
    }

    async fn exemplars(&self, metric: &str, attributes: &[(&str, &str)]) -> Result<Vec<String>, BackendError> {
        let query = Self::series_query(metric, attributes);
        let absent = ExemplarsAnswer { exemplars: Vec::new() };
        let answer = self.get_or("/api/v1/metrics/exemplars", &borrowed(&query), Some(absent)).await?;
        Ok(answer.exemplars.into_iter().map(|exemplar| exemplar.trace_id).collect())
    }

    async fn range(
        &self,
        metric: &str,
        service: &str,
        function: Function,
        seconds: u32,
    ) -> Result<Vec<Sample>, BackendError> {
        let to = crate::verify::unix_ms();
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
        let answer = self.get_or("/api/v1/metrics/range", &query, Some(absent)).await?;
        // Steps have the same times in every series; whole milliseconds make them keys.
        let mut sums = BTreeMap::<i64, f64>::new();
        for (time, value) in answer.series.into_iter().flat_map(|series| series.points) {
            if let Some(value) = value {
                *sums.entry(time.round() as i64).or_default() += value;
            }
        }
        Ok(sums.into_iter().map(|(time, value)| (time as f64, value)).collect())
    }

    async fn services(&self) -> Result<Vec<String>, BackendError> {
        let answer: ServicesAnswer = self.get("/api/v1/services", &[]).await?;
        Ok(answer.services.into_iter().map(|service| service.name).collect())
    }
}
