//! Collected metrics as Prometheus text 0.0.4 or OpenMetrics 1.0. Called by `metrics::Exposition`; pure.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::SystemTime;

use opentelemetry::KeyValue;
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, Histogram, Metric, MetricData, ResourceMetrics};

use super::exemplars::{Exemplar, Reservoir};
use super::names::Kind;
use super::names::prometheus::{family, label};

/// One metric family: samples of a name must stand together.
struct Family {
    kind: Kind,
    unit: &'static str,
    help: String,
    samples: String,
}

/// Renders a collection.
pub(super) fn render(collected: &ResourceMetrics, reservoir: &Reservoir, open_metrics: bool) -> String {
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    for scope in collected.scope_metrics() {
        for metric in scope.metrics() {
            add(&mut families, scope.scope().name(), metric, reservoir, open_metrics);
        }
    }
    let mut out = String::new();
    if !collected.resource().is_empty() {
        let mut labels: Vec<_> = collected.resource().iter().map(|(k, v)| (label(k.as_str()), v.to_string())).collect();
        labels.sort();
        let name = if open_metrics { "target" } else { "target_info" };
        let kind = if open_metrics { "info" } else { "gauge" };
        let _ = writeln!(out, "# TYPE {name} {kind}\n# HELP {name} Resource of this process");
        let _ = writeln!(out, "target_info{} 1", braces(&labels, None));
    }
    for (name, family) in &families {
        let named = if family.kind == Kind::Counter && !open_metrics { format!("{name}_total") } else { name.clone() };
        let _ = writeln!(out, "# TYPE {named} {}", type_name(family.kind));
        if open_metrics && !family.unit.is_empty() {
            let _ = writeln!(out, "# UNIT {named} {}", family.unit);
        }
        let help = family.help.replace('\\', "\\\\").replace('\n', "\\n");
        let help = if open_metrics { help.replace('"', "\\\"") } else { help };
        let _ = writeln!(out, "# HELP {named} {help}");
        out.push_str(&family.samples);
    }
    if open_metrics {
        out.push_str("# EOF\n");
    }
    out
}

fn add(
    families: &mut BTreeMap<String, Family>,
    scope: &str,
    metric: &Metric,
    reservoir: &Reservoir,
    open_metrics: bool,
) {
    let kind = match metric.data() {
        AggregatedMetrics::F64(data) => kind(data),
        AggregatedMetrics::U64(data) => kind(data),
        AggregatedMetrics::I64(data) => kind(data),
    };
    let Some(kind) = kind else { return };
    let (name, unit) = family(metric.name(), metric.unit(), kind);
    let help = metric.description().to_owned();
    let family = families.entry(name.clone()).or_insert_with(|| Family { kind, unit, help, samples: String::new() });
    // The same name with another type would make the whole page unreadable to a scraper.
    if family.kind != kind {
        return;
    }
    let out = &mut family.samples;
    match metric.data() {
        AggregatedMetrics::F64(MetricData::Histogram(histogram)) => {
            histogram_samples(out, &name, scope, metric.name(), histogram, open_metrics.then_some(reservoir));
        }
        AggregatedMetrics::F64(data) => numbers(out, &name, scope, data, number),
        AggregatedMetrics::U64(data) => numbers(out, &name, scope, data, |n| n.to_string()),
        AggregatedMetrics::I64(data) => numbers(out, &name, scope, data, |n| n.to_string()),
    }
}

/// The family's kind, where a sum that can fall is a gauge; `None` for what the formats cannot say (exponential histograms).
fn kind<T>(data: &MetricData<T>) -> Option<Kind> {
    match data {
        MetricData::Sum(sum) if sum.is_monotonic() => Some(Kind::Counter),
        MetricData::Gauge(_) | MetricData::Sum(_) => Some(Kind::Gauge),
        MetricData::Histogram(_) => Some(Kind::Histogram),
        MetricData::ExponentialHistogram(_) => None,
    }
}

/// The kind as both formats write it.
fn type_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Counter => "counter",
        Kind::UpDownCounter | Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
    }
}

fn numbers<T: Copy>(out: &mut String, name: &str, scope: &str, data: &MetricData<T>, show: impl Fn(T) -> String) {
    match data {
        MetricData::Gauge(gauge) => {
            for point in gauge.data_points() {
                let labels = labels(scope, point.attributes());
                let _ = writeln!(out, "{name}{} {}", braces(&labels, None), show(point.value()));
            }
        }
        MetricData::Sum(sum) => {
            let suffix = if sum.is_monotonic() { "_total" } else { "" };
            for point in sum.data_points() {
                let labels = labels(scope, point.attributes());
                let _ = writeln!(out, "{name}{suffix}{} {}", braces(&labels, None), show(point.value()));
            }
        }
        MetricData::Histogram(_) | MetricData::ExponentialHistogram(_) => {}
    }
}

/// `reservoir` is given where exemplars may be written.
fn histogram_samples(
    out: &mut String,
    name: &str,
    scope: &str,
    metric: &str,
    histogram: &Histogram<f64>,
    reservoir: Option<&Reservoir>,
) {
    for point in histogram.data_points() {
        let attributes: Vec<&KeyValue> = point.attributes().collect();
        let exemplars = reservoir.map(|r| r.latest(metric, attributes.iter().copied())).unwrap_or_default();
        let labels = labels(scope, attributes.iter().copied());
        let mut total = 0;
        for (i, (count, bound)) in point.bucket_counts().zip(point.bounds().chain([f64::INFINITY])).enumerate() {
            total += count;
            let bound = if reservoir.is_some() && bound.is_finite() { format!("{bound:?}") } else { number(bound) };
            let _ = write!(out, "{name}_bucket{} {total}", braces(&labels, Some(&bound)));
            if let Some(Some(exemplar)) = exemplars.get(i) {
                write_exemplar(out, exemplar);
            }
            out.push('\n');
        }
        let labels = braces(&labels, None);
        let _ = writeln!(out, "{name}_sum{labels} {}\n{name}_count{labels} {}", number(point.sum()), point.count());
    }
}

fn write_exemplar(out: &mut String, exemplar: &Exemplar) {
    let time = exemplar.time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let _ = write!(
        out,
        " # {{trace_id=\"{}\",span_id=\"{}\"}} {} {}.{:03}",
        exemplar.trace_id,
        exemplar.span_id,
        number(exemplar.value),
        time.as_secs(),
        time.subsec_millis()
    );
}

/// Labels of a series; the scope keeps series of two scopes apart.
fn labels<'a>(scope: &str, attributes: impl Iterator<Item = &'a KeyValue>) -> Vec<(String, String)> {
    let mut labels: BTreeMap<String, String> = BTreeMap::new();
    for attribute in attributes {
        let value = attribute.value.to_string();
        labels
            .entry(label(attribute.key.as_str()))
            // Two keys that differ only in punctuation become one label: the specification joins their values.
            .and_modify(|joined| *joined = format!("{joined};{value}"))
            .or_insert(value);
    }
    labels.insert("otel_scope_name".to_owned(), scope.to_owned());
    labels.into_iter().collect()
}

fn braces(labels: &[(String, String)], bound: Option<&str>) -> String {
    let escape = |value: &str| value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let mut parts: Vec<String> = labels.iter().map(|(key, value)| format!("{key}=\"{}\"", escape(value))).collect();
    parts.extend(bound.map(|bound| format!("le=\"{bound}\"")));
    if parts.is_empty() { String::new() } else { format!("{{{}}}", parts.join(",")) }
}

fn number(value: f64) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned()
    } else {
        value.to_string()
    }
}
