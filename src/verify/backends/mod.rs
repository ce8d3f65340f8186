//! What `verify` asks of a backend, and the plain data it gets back. Called by the checks; one file a kind of backend.
//! No check may live here: a backend answers, it does not judge.

use std::collections::BTreeMap;

pub(crate) mod console;

/// A backend that could not be asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BackendError {
    /// No answer.
    #[error("{url}: {}", chain(.source))]
    Send { url: String, source: reqwest::Error },
    /// An answer other than 2xx.
    #[error("{url} answered {status}: {body}")]
    Status { url: String, status: u16, body: String },
    /// An answer of another shape than promised.
    #[error("{url}: unexpected answer: {source}")]
    Shape { url: String, source: serde_json::Error },
}

/// An error with its causes: reqwest hides "connection refused" three levels down.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// Attributes with every value as text: backends disagree about types, the contract is about values.
pub(crate) type Attributes = BTreeMap<String, String>;

/// One span.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Span {
    /// 16 hex digits.
    pub(crate) id: String,
    /// Parent's id, where it has one.
    pub(crate) parent: Option<String>,
    /// Its name.
    pub(crate) name: String,
    /// `SERVER`, `CLIENT`, `INTERNAL`, ...
    pub(crate) kind: String,
    /// `service.name`.
    pub(crate) service: String,
    /// `UNSET`, `OK` or `ERROR`.
    pub(crate) status: String,
    /// Its attributes.
    pub(crate) attributes: Attributes,
    /// Its events: name and attributes.
    pub(crate) events: Vec<(String, Attributes)>,
}

/// One log record.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Log {
    /// Unix time in milliseconds.
    pub(crate) time_unix_ms: f64,
    /// Severity text.
    pub(crate) severity: String,
    /// Body as text.
    pub(crate) body: String,
    /// Trace id, where it has one.
    pub(crate) trace_id: Option<String>,
    /// Span id, where it has one.
    pub(crate) span_id: Option<String>,
    /// Its attributes.
    pub(crate) attributes: Attributes,
}

/// Which log records to look for; an empty field asks for any.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct LogQuery<'a> {
    /// `service.name`.
    pub(crate) service: &'a str,
    /// Trace id.
    pub(crate) trace_id: &'a str,
    /// Event name.
    pub(crate) event: &'a str,
    /// Part of the body.
    pub(crate) text: &'a str,
}

/// One metric as the backend knows it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct MetricInfo {
    /// OpenTelemetry name.
    pub(crate) name: String,
    /// Unit in UCUM.
    pub(crate) unit: String,
    /// `gauge`, `sum`, `histogram` or `exponential_histogram`.
    pub(crate) kind: String,
    /// Whether a sum never falls.
    pub(crate) monotonic: bool,
    /// Who sent it.
    pub(crate) services: Vec<String>,
}

/// The newest point of one series.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LastPoint {
    /// Unix time in milliseconds.
    pub(crate) time_unix_ms: f64,
    /// A histogram's count.
    pub(crate) count: f64,
}

/// A value at a Unix time in milliseconds.
pub(crate) type Sample = (f64, f64);

/// What a range query computes per step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Function {
    /// Increase per second.
    Rate,
    /// Newest value.
    Last,
}

/// A place where signals end up. Every method answers what is there now; waiting is the caller's.
pub(crate) trait Backend {
    /// Its name, for messages.
    fn name(&self) -> &'static str;
    /// Every span of a trace; empty when unknown.
    async fn trace(&self, trace_id: &str) -> Result<Vec<Span>, BackendError>;
    /// Ids of traces in which one span has the attribute.
    async fn traces_with(&self, service: &str, attribute: (&str, &str)) -> Result<Vec<String>, BackendError>;
    /// Log records that belong to a trace, asked by the trace (not by a search over logs).
    async fn logs_of_trace(&self, trace_id: &str) -> Result<Vec<Log>, BackendError>;
    /// Log records, newest first, at most 1,000.
    async fn logs(&self, query: LogQuery<'_>) -> Result<Vec<Log>, BackendError>;
    /// Every metric it knows.
    async fn metrics(&self) -> Result<Vec<MetricInfo>, BackendError>;
    /// Newest points of the series that have all attributes.
    async fn last_points(&self, metric: &str, attributes: &[(&str, &str)]) -> Result<Vec<LastPoint>, BackendError>;
    /// Trace ids of exemplars of the series that have all attributes, newest first.
    async fn exemplars(&self, metric: &str, attributes: &[(&str, &str)]) -> Result<Vec<String>, BackendError>;
    /// One value a step of one second over the last `seconds`, summed over the series of a service, oldest first.
    async fn range(
        &self,
        metric: &str,
        service: &str,
        function: Function,
        seconds: u32,
    ) -> Result<Vec<Sample>, BackendError>;
    /// `service.name` of everyone who sent something.
    async fn services(&self) -> Result<Vec<String>, BackendError>;
}
