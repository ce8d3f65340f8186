//! What `verify` asks of the backends of a stack, and the plain data it gets back. Called by the checks; one file a kind
//! of backend. No check may live here: a backend answers, it does not judge.

use std::collections::BTreeMap;

use crate::telemetry::names::prometheus::label;
use crate::telemetry::names::{Kind, Metric};

pub(crate) mod aws;
pub(crate) mod console;
pub(crate) mod grafana;
pub(crate) mod http;
pub(crate) mod loki;
pub(crate) mod prometheus;
pub(crate) mod pyroscope;
pub(crate) mod sigv4;
pub(crate) mod tempo;
pub(crate) mod xray;

use self::console::Console;
use self::loki::Loki;
use self::prometheus::Prometheus;
use self::tempo::Tempo;

/// How far back traffic is looked for, in seconds.
pub(crate) const LOOK_BACK_S: u32 = 900;

/// A backend that could not be asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BackendError {
    /// No answer.
    #[error("{url}: {}", root(.source))]
    Send { url: String, source: reqwest::Error },
    /// An answer other than 2xx.
    #[error("{url} answered {status}: {body}")]
    Status { url: String, status: u16, body: String },
    /// An answer of another shape than promised.
    #[error("{url}: unexpected answer: {source}")]
    Shape { url: String, source: serde_json::Error },
    /// An answer that is not the protobuf message that was promised.
    #[error("{url}: unexpected answer: {source}")]
    Protobuf { url: String, source: prost::DecodeError },
    /// The stack has no backend for this signal; its checks are not made, so nobody should ask.
    #[error("no backend of {0}")]
    Absent(&'static str),
}

/// The innermost cause: what reqwest says around "Connection refused" is the address, twice.
fn root(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(cause) = innermost.source() {
        innermost = cause;
    }
    innermost.to_string()
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

impl Log {
    /// The value of an attribute, under its own key or as the label that Loki makes of it.
    pub(crate) fn attribute(&self, key: &str) -> Option<&String> {
        self.attributes.get(key).or_else(|| self.attributes.get(&label(key)))
    }
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

/// One metric of a service as the backend knows it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct MetricInfo {
    /// OpenTelemetry name.
    pub(crate) name: String,
    /// Unit in UCUM; `None` where the backend keeps none.
    pub(crate) unit: Option<String>,
    /// Kinds of instrument that it can come from; empty where the backend does not say.
    pub(crate) kinds: Vec<Kind>,
}

/// The newest point of one series.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LastPoint {
    /// Tells the series from all others.
    pub(crate) series: String,
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

/// A signal that a stack keeps somewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Leg {
    /// Spans.
    Traces,
    /// Log records.
    Logs,
    /// Metrics and their exemplars.
    Metrics,
}

impl Leg {
    /// For messages.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Logs => "logs",
            Self::Metrics => "metrics",
        }
    }
}

/// Where traces are.
#[derive(Debug, Clone)]
pub(crate) enum Traces {
    /// In the console.
    Console(Console),
    /// In Tempo.
    Tempo(Tempo),
}

/// Where log records are.
#[derive(Debug, Clone)]
pub(crate) enum Logs {
    /// In the console.
    Console(Console),
    /// In Loki.
    Loki(Loki),
}

/// Where metrics are.
#[derive(Debug, Clone)]
pub(crate) enum Metrics {
    /// In the console.
    Console(Console),
    /// In Prometheus or Mimir.
    Prometheus(Prometheus),
}

/// The backends of a stack; a leg it lacks is `None`. Every method answers what is there now; waiting is the caller's.
#[derive(Debug, Clone, Default)]
pub(crate) struct Backends {
    /// Where traces are.
    pub(crate) traces: Option<Traces>,
    /// Where log records are.
    pub(crate) logs: Option<Logs>,
    /// Where metrics are.
    pub(crate) metrics: Option<Metrics>,
}

impl Backends {
    /// The console for everything.
    pub(crate) fn console(console: &Console) -> Self {
        Self {
            traces: Some(Traces::Console(console.clone())),
            logs: Some(Logs::Console(console.clone())),
            metrics: Some(Metrics::Console(console.clone())),
        }
    }

    /// Whether the stack has a leg.
    pub(crate) fn has(&self, leg: Leg) -> bool {
        match leg {
            Leg::Traces => self.traces.is_some(),
            Leg::Logs => self.logs.is_some(),
            Leg::Metrics => self.metrics.is_some(),
        }
    }

    fn of_traces(&self) -> Result<&Traces, BackendError> {
        self.traces.as_ref().ok_or(BackendError::Absent("traces"))
    }

    fn of_logs(&self) -> Result<&Logs, BackendError> {
        self.logs.as_ref().ok_or(BackendError::Absent("logs"))
    }

    fn of_metrics(&self) -> Result<&Metrics, BackendError> {
        self.metrics.as_ref().ok_or(BackendError::Absent("metrics"))
    }

    /// Name of where traces are, for messages.
    pub(crate) fn traces_name(&self) -> &'static str {
        match &self.traces {
            Some(Traces::Console(_)) => "the console",
            Some(Traces::Tempo(_)) => "Tempo",
            None => "nobody",
        }
    }

    /// Every span of a trace; empty when unknown.
    pub(crate) async fn trace(&self, trace_id: &str) -> Result<Vec<Span>, BackendError> {
        match self.of_traces()? {
            Traces::Console(console) => console.trace(trace_id).await,
            Traces::Tempo(tempo) => tempo.trace(trace_id).await,
        }
    }

    /// Ids of traces in which one span of the service has the attribute.
    pub(crate) async fn traces_with(
        &self,
        service: &str,
        attribute: (&str, &str),
    ) -> Result<Vec<String>, BackendError> {
        match self.of_traces()? {
            Traces::Console(console) => console.traces_with(service, attribute).await,
            Traces::Tempo(tempo) => tempo.traces_with(service, attribute).await,
        }
    }

    /// Log records of a trace, the way the stack leads from a trace to its logs: the console asks the trace, Grafana
    /// asks Loki by trace id over all services.
    pub(crate) async fn logs_of_trace(&self, trace_id: &str) -> Result<Vec<Log>, BackendError> {
        match self.of_logs()? {
            Logs::Console(console) => console.logs_of_trace(trace_id).await,
            Logs::Loki(loki) => loki.logs(LogQuery { trace_id, ..Default::default() }).await,
        }
    }

    /// Log records, newest first, at most 1,000.
    pub(crate) async fn logs(&self, query: LogQuery<'_>) -> Result<Vec<Log>, BackendError> {
        match self.of_logs()? {
            Logs::Console(console) => console.logs(query).await,
            Logs::Loki(loki) => loki.logs(query).await,
        }
    }

    /// The metrics that it has of a service.
    pub(crate) async fn metrics(&self, service: &str) -> Result<Vec<MetricInfo>, BackendError> {
        match self.of_metrics()? {
            Metrics::Console(console) => console.metrics(service).await,
            Metrics::Prometheus(prometheus) => prometheus.metrics(service).await,
        }
    }

    /// Newest points of the series that have all attributes.
    pub(crate) async fn last_points(
        &self,
        metric: &Metric,
        attributes: &[(&str, &str)],
    ) -> Result<Vec<LastPoint>, BackendError> {
        match self.of_metrics()? {
            Metrics::Console(console) => console.last_points(metric.name, attributes).await,
            Metrics::Prometheus(prometheus) => prometheus.last_points(metric, attributes).await,
        }
    }

    /// Trace ids of exemplars of the series that have all attributes, newest first.
    pub(crate) async fn exemplars(
        &self,
        metric: &Metric,
        attributes: &[(&str, &str)],
    ) -> Result<Vec<String>, BackendError> {
        match self.of_metrics()? {
            Metrics::Console(console) => console.exemplars(metric.name, attributes).await,
            Metrics::Prometheus(prometheus) => prometheus.exemplars(metric, attributes).await,
        }
    }

    /// One value a step of one second over the last `seconds`, summed over the series of a service, oldest first.
    pub(crate) async fn range(
        &self,
        metric: &Metric,
        service: &str,
        function: Function,
        seconds: u32,
    ) -> Result<Vec<Sample>, BackendError> {
        match self.of_metrics()? {
            Metrics::Console(console) => console.range(metric.name, service, function, seconds).await,
            Metrics::Prometheus(prometheus) => prometheus.range(metric, service, function, seconds).await,
        }
    }

    /// `service.name` of everyone who sent metrics or log records lately: of one who lost a leg the other tells.
    pub(crate) async fn services(&self) -> Result<Vec<String>, BackendError> {
        let mut services = match &self.metrics {
            Some(Metrics::Console(console)) => console.services().await?,
            Some(Metrics::Prometheus(prometheus)) => prometheus.services().await?,
            None => Vec::new(),
        };
        match &self.logs {
            Some(Logs::Console(console)) => services.extend(console.services().await?),
            Some(Logs::Loki(loki)) => services.extend(loki.services().await?),
            None => {}
        }
        Ok(services)
    }
}
