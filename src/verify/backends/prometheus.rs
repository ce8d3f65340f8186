//! Prometheus, and Mimir below its `/prometheus` prefix: the contract's metrics by PromQL. Called through `Backends`.
//! Names come from `names::prometheus`; none may be spelt here.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::telemetry::names::prometheus::label;
use crate::telemetry::names::{Kind, METRICS, Metric};

use super::http::Http;
use super::{BackendError, Function, LOOK_BACK_S, LastPoint, MetricInfo, Sample};

/// Label that the collector makes of `service.name`.
const JOB: &str = "job";
/// How far back a newest point is looked for: as far as Prometheus' own look-back for an instant.
const NEWEST_WITHIN: &str = "5m";

/// A Prometheus query API.
#[derive(Debug, Clone)]
pub(crate) struct Prometheus {
    http: Http,
}

#[derive(Deserialize)]
struct Envelope<T> {
    data: T,
}

#[derive(Deserialize)]
struct Matrix {
    result: Vec<OneSeries>,
}

/// One series of an answer: `value` of an instant vector, `values` of a matrix.
#[derive(Deserialize)]
struct OneSeries {
    #[serde(default)]
    metric: BTreeMap<String, String>,
    value: Option<(f64, String)>,
    #[serde(default)]
    values: Vec<(f64, String)>,
}

#[derive(Deserialize)]
struct MetadataAnswer {
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct ExemplarSeries {
    exemplars: Vec<ExemplarAnswer>,
}

#[derive(Deserialize)]
struct ExemplarAnswer {
    labels: BTreeMap<String, String>,
    timestamp: f64,
}

#[derive(Deserialize)]
struct Groups {
    groups: Vec<GroupAnswer>,
}

#[derive(Deserialize)]
struct GroupAnswer {
    name: String,
    rules: Vec<RuleAnswer>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RuleAnswer {
    name: String,
    #[serde(default)]
    health: String,
    #[serde(default)]
    last_error: String,
}

/// One loaded rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rule {
    /// Its group.
    pub(crate) group: String,
    /// Its name.
    pub(crate) name: String,
    /// `ok`, `unknown` (not evaluated yet) or `err`.
    pub(crate) health: String,
    /// Why it could not be evaluated.
    pub(crate) error: String,
}

/// `name{label="value", ...}`.
fn selector(name: &str, attributes: &[(&str, &str)]) -> String {
    let quoted = |value: &str| value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let labels = attributes.iter().map(|(key, value)| format!("{}=\"{}\"", label(key), quoted(value)));
    format!("{name}{{{}}}", labels.collect::<Vec<_>>().join(","))
}

/// Name of the series that shows that a metric is there: a histogram's family has none of its own.
fn series_name(metric: &Metric, histogram: &str) -> String {
    let name = metric.prometheus_name();
    if metric.kind == Kind::Histogram { format!("{name}{histogram}") } else { name }
}

fn number(text: &str) -> f64 {
    text.parse().unwrap_or(f64::NAN)
}

fn seconds_ago(seconds: u32) -> String {
    format!("{:.3}", super::super::unix_ms() / 1000.0 - f64::from(seconds))
}

impl Prometheus {
    /// The query API at an address.
    pub(crate) fn new(http: Http) -> Self {
        Self { http }
    }

    async fn query(&self, query: &str) -> Result<Vec<OneSeries>, BackendError> {
        let answer: Envelope<Matrix> = self.http.get("/api/v1/query", &[("query", query)]).await?;
        Ok(answer.data.result)
    }

    /// The value of an expression with at most one series; `None` without one.
    pub(crate) async fn value(&self, query: &str) -> Result<Option<f64>, BackendError> {
        let series = self.query(query).await?;
        Ok(series.into_iter().find_map(|series| series.value).map(|(_, value)| number(&value)))
    }

    /// Whether it answers queries.
    pub(crate) async fn ready(&self) -> Result<(), BackendError> {
        self.query("vector(1)").await.map(drop)
    }

    /// Whether this is Mimir, which names itself; Prometheus answers the same questions.
    pub(crate) async fn is_mimir(&self) -> bool {
        #[derive(Deserialize)]
        struct Build {
            #[serde(default)]
            application: String,
        }
        let build = self.http.get::<Envelope<Build>>("/api/v1/status/buildinfo", &[]).await;
        build.is_ok_and(|build| build.data.application.contains("Mimir"))
    }

    /// The contract's metrics that it has of a service.
    pub(crate) async fn metrics(&self, service: &str) -> Result<Vec<MetricInfo>, BackendError> {
        let of_service = selector("", &[(JOB, service)]);
        let start = seconds_ago(LOOK_BACK_S);
        let query = [("match[]", of_service.as_str()), ("start", &start)];
        let names: Envelope<BTreeSet<String>> = self.http.get("/api/v1/label/__name__/values", &query).await?;
        // Remote write may bring no metadata: a kind is judged only where there is one.
        let metadata: Envelope<BTreeMap<String, Vec<MetadataAnswer>>> =
            self.http.get_or("/api/v1/metadata", &[], Some(Envelope { data: BTreeMap::new() })).await?;
        let info = |metric: &Metric| {
            let known = metadata.data.get(&metric.prometheus_name()).and_then(|kinds| kinds.first());
            MetricInfo {
                name: metric.name.to_owned(),
                // Part of the name, which was found.
                unit: None,
                kinds: known.map(|known| kinds(&known.kind)).unwrap_or_default(),
            }
        };
        let there = METRICS.iter().filter(|metric| names.data.contains(&series_name(metric, "_bucket")));
        Ok(there.map(info).collect())
    }

    /// Newest points of the series that have all attributes.
    pub(crate) async fn last_points(
        &self,
        metric: &Metric,
        attributes: &[(&str, &str)],
    ) -> Result<Vec<LastPoint>, BackendError> {
        let name = series_name(metric, "_count");
        // A range, because an instant's answer has the time of the question, not of the sample.
        let series = self.query(&format!("{}[{NEWEST_WITHIN}]", selector(&name, attributes))).await?;
        let last = |series: OneSeries| {
            let (time, count) = series.values.last()?;
            let count = number(count);
            Some(LastPoint { series: format!("{:?}", series.metric), time_unix_ms: time * 1000.0, count })
        };
        Ok(series.into_iter().filter_map(last).collect())
    }

    /// Trace ids of exemplars, newest first.
    pub(crate) async fn exemplars(
        &self,
        metric: &Metric,
        attributes: &[(&str, &str)],
    ) -> Result<Vec<String>, BackendError> {
        let query = selector(&series_name(metric, "_bucket"), attributes);
        let (start, end) = (seconds_ago(300), seconds_ago(0));
        let query = [("query", query.as_str()), ("start", &start), ("end", &end)];
        let answer: Envelope<Option<Vec<ExemplarSeries>>> = self.http.get("/api/v1/query_exemplars", &query).await?;
        let mut found =
            answer.data.unwrap_or_default().into_iter().flat_map(|series| series.exemplars).collect::<Vec<_>>();
        found.sort_by(|a, b| b.timestamp.total_cmp(&a.timestamp));
        Ok(found.into_iter().filter_map(|mut exemplar| exemplar.labels.remove("trace_id")).collect())
    }

    /// One value a second over the last `seconds`, summed over the series of a service, oldest first.
    pub(crate) async fn range(
        &self,
        metric: &Metric,
        service: &str,
        function: Function,
        seconds: u32,
    ) -> Result<Vec<Sample>, BackendError> {
        let series = selector(&series_name(metric, "_count"), &[(JOB, service)]);
        let query = match function {
            Function::Rate => format!("sum(rate({series}[{}s]))", self.rate_window(&series).await?),
            Function::Last => format!("sum({series})"),
        };
        let (start, end) = (seconds_ago(seconds), seconds_ago(0));
        let query = [("query", query.as_str()), ("start", &start), ("end", &end), ("step", "1")];
        let answer: Envelope<Matrix> = self.http.get("/api/v1/query_range", &query).await?;
        let values = answer.data.result.into_iter().flat_map(|series| series.values);
        Ok(values.map(|(time, value)| (time * 1000.0, number(&value))).collect())
    }

    /// Seconds that hold two samples and a little more: a rate needs two, the interval of export is the sender's, and a
    /// longer window would flatten the spike.
    async fn rate_window(&self, series: &str) -> Result<u32, BackendError> {
        let samples = self.value(&format!("max(count_over_time({series}[1m]))")).await?.unwrap_or(1.0).max(1.0);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 3 and 132")]
        Ok((132.0 / samples).ceil().max(3.0) as u32)
    }

    /// `service.name` of everyone who sent something lately.
    pub(crate) async fn services(&self) -> Result<Vec<String>, BackendError> {
        let start = seconds_ago(LOOK_BACK_S);
        let answer: Envelope<Vec<String>> = self.http.get("/api/v1/label/job/values", &[("start", &start)]).await?;
        Ok(answer.data)
    }

    /// Every loaded rule.
    pub(crate) async fn rules(&self) -> Result<Vec<Rule>, BackendError> {
        let answer: Envelope<Groups> = self.http.get("/api/v1/rules", &[]).await?;
        let group = |group: GroupAnswer| {
            let name = group.name;
            let rule = move |rule: RuleAnswer| Rule {
                group: name.clone(),
                name: rule.name,
                health: rule.health,
                error: rule.last_error,
            };
            group.rules.into_iter().map(rule)
        };
        Ok(answer.data.groups.into_iter().flat_map(group).collect())
    }
}

/// Kinds of instrument that a Prometheus type can be of.
fn kinds(prometheus: &str) -> Vec<Kind> {
    match prometheus {
        "counter" => vec![Kind::Counter],
        "gauge" => vec![Kind::Gauge, Kind::UpDownCounter],
        "histogram" => vec![Kind::Histogram],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::names::{HTTP_SERVER_REQUEST_DURATION, REQUEST_COUNT, attr};

    #[test]
    fn a_selector_has_labels_for_attributes_and_escapes_values() {
        let text = selector("up", &[(attr::HTTP_ROUTE, "/a\"b\\c"), (JOB, "x")]);
        assert_eq!(text, r#"up{http_route="/a\"b\\c",job="x"}"#);
        assert_eq!(selector("up", &[]), "up{}");
    }

    #[test]
    fn a_histogram_is_asked_by_its_parts() {
        let count = series_name(&HTTP_SERVER_REQUEST_DURATION, "_count");
        assert_eq!(count, "http_server_request_duration_seconds_count");
        assert_eq!(series_name(&REQUEST_COUNT, "_count"), "signalbox_requests_total");
    }
}
