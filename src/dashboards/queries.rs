//! Queries: PromQL, LogQL, TraceQL and profile selectors, built from `telemetry::names` and `foreign`. Called by the
//! boards. Says what to ask; how it looks is `panel`'s.

use serde_json::{Value, json};

use super::model::{Source, SourceRef};
use crate::telemetry::names::prometheus::label;
use crate::telemetry::names::{Kind, Metric, attr};

/// Label of the service in Prometheus.
pub(super) const JOB: &str = "job";
/// Label of the service in Loki and Pyroscope.
pub(super) const SERVICE_NAME: &str = "service_name";
/// Structured metadata of a log record in Loki.
pub(super) const SEVERITY_TEXT: &str = "severity_text";
/// Structured metadata of a log record in Loki.
pub(super) const TRACE_ID: &str = "trace_id";
/// Window of a rate in PromQL: at least four times the interval at which samples arrive.
const RATE_WINDOW: &str = "$__rate_interval";
/// Window of a count in LogQL: one step.
pub(super) const LOG_WINDOW: &str = "$__auto";

/// Seconds between samples that services push: `timeInterval` of the datasource.
const PUSHED_EVERY: u64 = 5;
/// Seconds between samples of hosts and backends: configs/collector/lgtm.yaml.
const SCRAPED_EVERY: u64 = 15;

/// A query of a panel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// Whom to ask.
    pub source: Source,
    /// What to ask, with its variables; of a profile the label selector.
    pub expr: String,
    legend: String,
    shape: Shape,
    exemplars: bool,
    scraped: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Shape {
    Range,
    Instant,
    Table,
    Heatmap,
    Lines,
    TraceTable,
    ServiceMap,
    ProfileSeries(String),
    FlameGraph,
}

/// Type of the CPU profiles that `pprof-rs` takes.
pub(super) const CPU_PROFILE: &str = "process_cpu:cpu:nanoseconds:cpu:nanoseconds";

impl Query {
    fn new(source: Source, expr: impl Into<String>, legend: &str, shape: Shape) -> Self {
        Self { source, expr: expr.into(), legend: legend.to_owned(), shape, exemplars: false, scraped: false }
    }

    /// With the exemplars of its histogram.
    pub(super) fn exemplars(mut self) -> Self {
        self.exemplars = true;
        self
    }

    /// Of programs that the collector scrapes: their samples come less often than those that are pushed.
    pub(super) fn scraped(mut self) -> Self {
        self.scraped = true;
        self
    }

    /// Shortest window that Grafana makes of `$__rate_interval`, in seconds: four times the interval of samples.
    #[must_use]
    pub fn shortest_rate_window(&self) -> u64 {
        4 * if self.scraped { SCRAPED_EVERY } else { PUSHED_EVERY }
    }

    /// Whether it wants one value a series, not a line.
    #[must_use]
    pub fn instant(&self) -> bool {
        matches!(self.shape, Shape::Instant | Shape::Table)
    }

    /// How Grafana wants it.
    pub(super) fn target(&self, index: usize) -> Value {
        let ref_id = char::from(b'A' + u8::try_from(index).unwrap_or(25).min(25)).to_string();
        let mut target = self.body();
        if self.scraped {
            target["interval"] = json!(format!("{SCRAPED_EVERY}s"));
        }
        target["refId"] = json!(ref_id);
        target["datasource"] = json!(SourceRef::from(self.source));
        target
    }

    fn body(&self) -> Value {
        let instant = self.instant();
        match (self.source, &self.shape) {
            (Source::Metrics, shape) => json!({
                "editorMode": "code", "expr": self.expr, "legendFormat": self.legend, "exemplar": self.exemplars,
                "instant": instant, "range": !instant,
                "format": match shape { Shape::Table => "table", Shape::Heatmap => "heatmap", _ => "time_series" },
            }),
            (Source::Logs, shape) => json!({
                "editorMode": "code", "expr": self.expr, "legendFormat": self.legend,
                "queryType": if instant { "instant" } else { "range" },
                "maxLines": if *shape == Shape::Lines { json!(200) } else { Value::Null },
            }),
            (Source::Traces, Shape::ServiceMap) => json!({ "queryType": "serviceMap", "serviceMapQuery": self.expr }),
            (Source::Traces, _) => {
                json!({ "queryType": "traceql", "query": self.expr, "limit": 20, "tableType": "traces", "filters": [] })
            }
            (Source::Profiles, Shape::ProfileSeries(by)) => json!({
                "queryType": "metrics", "profileTypeId": CPU_PROFILE, "labelSelector": self.expr, "groupBy": [by],
                "spanSelector": [],
            }),
            (Source::Profiles, _) => json!({
                "queryType": "profile", "profileTypeId": CPU_PROFILE, "labelSelector": self.expr, "groupBy": [],
                "spanSelector": [],
            }),
        }
    }
}

/// A line over time.
pub(super) fn range(expr: impl Into<String>, legend: &str) -> Query {
    Query::new(Source::Metrics, expr, legend, Shape::Range)
}

/// The value now.
pub(super) fn instant(expr: impl Into<String>, legend: &str) -> Query {
    Query::new(Source::Metrics, expr, legend, Shape::Instant)
}

/// The values now, as rows of a table.
pub(super) fn table(expr: impl Into<String>) -> Query {
    Query::new(Source::Metrics, expr, "", Shape::Table)
}

/// Buckets over time.
pub(super) fn buckets(expr: impl Into<String>) -> Query {
    Query::new(Source::Metrics, expr, "{{le}}", Shape::Heatmap)
}

/// A number of log lines over time.
pub(super) fn log_range(expr: impl Into<String>, legend: &str) -> Query {
    Query::new(Source::Logs, expr, legend, Shape::Range)
}

/// A number of log lines over the dashboard's whole range.
pub(super) fn log_instant(expr: impl Into<String>, legend: &str) -> Query {
    Query::new(Source::Logs, expr, legend, Shape::Instant)
}

/// Log lines.
pub(super) fn log_lines(expr: impl Into<String>) -> Query {
    Query::new(Source::Logs, expr, "", Shape::Lines)
}

/// A list of traces, by TraceQL.
pub(super) fn traces(expr: impl Into<String>) -> Query {
    Query::new(Source::Traces, expr, "", Shape::TraceTable)
}

/// The graph of services.
pub(super) fn service_map(selector: impl Into<String>) -> Query {
    Query::new(Source::Traces, selector, "", Shape::ServiceMap)
}

/// CPU over time by a label of the profiles.
pub(super) fn profile_series(selector: impl Into<String>, by: String) -> Query {
    Query::new(Source::Profiles, selector, "", Shape::ProfileSeries(by))
}

/// Where CPU time goes.
pub(super) fn flame_graph(selector: impl Into<String>) -> Query {
    Query::new(Source::Profiles, selector, "", Shape::FlameGraph)
}

/// `label=~"$service"`.
pub(super) fn of_service(label: &str) -> String {
    format!("{label}=~\"$service\"")
}

/// `http_route=~"$route"`.
pub(super) fn of_route() -> String {
    format!("{}=~\"$route\"", route_label())
}

/// The label of the route.
pub(super) fn route_label() -> String {
    label(attr::HTTP_ROUTE)
}

/// The label of the status.
pub(super) fn status_label() -> String {
    label(attr::HTTP_RESPONSE_STATUS_CODE)
}

/// `name{a,b}`.
pub(super) fn series(name: &str, matchers: &[&str]) -> String {
    if matchers.is_empty() { name.to_owned() } else { format!("{name}{{{}}}", matchers.join(",")) }
}

/// The series of a metric; of a histogram its count.
pub(super) fn of(metric: &Metric, matchers: &[&str]) -> String {
    let name = metric.prometheus_name();
    if metric.kind == Kind::Histogram { series(&format!("{name}_count"), matchers) } else { series(&name, matchers) }
}

/// Increase a second.
pub(super) fn rate(series: &str) -> String {
    format!("rate({series}[{RATE_WINDOW}])")
}

/// Increase a second over the dashboard's whole time: for a table, which has one value a row.
pub(super) fn rate_of_range(series: &str) -> String {
    format!("rate({series}[$__range])")
}

/// Sum over everything but some labels.
pub(super) fn sum_by(labels: &[&str], expr: &str) -> String {
    if labels.is_empty() { format!("sum({expr})") } else { format!("sum by ({}) ({expr})", labels.join(", ")) }
}

/// A quantile of a histogram, by labels.
pub(super) fn quantile(q: f64, metric: &Metric, matchers: &[&str], by: &[&str]) -> String {
    quantile_of(q, &rate(&buckets_of(metric, matchers)), by)
}

/// The buckets of a histogram.
pub(super) fn buckets_of(metric: &Metric, matchers: &[&str]) -> String {
    series(&format!("{}_bucket", metric.prometheus_name()), matchers)
}

/// A quantile of the rates of buckets, by labels.
pub(super) fn quantile_of(q: f64, rates: &str, by: &[&str]) -> String {
    let by = ["le"].iter().chain(by).copied().collect::<Vec<_>>();
    format!("histogram_quantile({q}, {})", sum_by(&by, rates))
}

/// Part of the whole by labels; zero, not absent, where the part has no series.
pub(super) fn ratio(part: &str, whole: &str, by: &[&str]) -> String {
    ratio_of(&rate(part), &rate(whole), by)
}

/// As [`ratio`], of rates.
pub(super) fn ratio_of(part: &str, whole: &str, by: &[&str]) -> String {
    let whole = sum_by(by, whole);
    format!("({} or 0 * {whole}) / {whole}", sum_by(by, part))
}

/// The first, or the second where the first has no series at all.
pub(super) fn first_of(one: &str, other: &str) -> String {
    format!("({one}) or on() ({other})")
}

/// A LogQL stream of the chosen services with filters, such as `| severity_text="ERROR"`.
pub(super) fn stream(filters: &str) -> String {
    let stream = format!("{{{}}}", of_service(SERVICE_NAME));
    if filters.is_empty() { stream } else { format!("{stream} {filters}") }
}

/// Log lines a second by labels.
pub(super) fn log_rate(by: &[&str], stream: &str) -> String {
    sum_by(by, &format!("rate({stream} [{LOG_WINDOW}])"))
}
