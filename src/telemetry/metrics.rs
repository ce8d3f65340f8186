//! Instruments made from the contract. Used by `app` and `load`; no metric name may be written outside `names`.

use std::sync::Arc;

use opentelemetry::trace::TraceContextExt;
use opentelemetry::{Context, KeyValue, global, metrics as otel};
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::reader::MetricReader;

use super::exemplars::Reservoir;
use super::names::{DURATION_BUCKETS, Metric, SCOPE};
use super::{exposition, pipeline::Reader};

/// Renders `/metrics`.
#[derive(Debug, Clone)]
pub struct Exposition {
    reader: Option<Reader>,
    reservoir: Arc<Reservoir>,
}

impl Exposition {
    /// `reader` is `None` when the SDK is disabled.
    pub(super) fn new(reader: Option<Reader>, reservoir: Arc<Reservoir>) -> Self {
        Self { reader, reservoir }
    }

    /// The exposition; `open_metrics` chooses OpenMetrics 1.0 with exemplars over text format 0.0.4.
    pub fn render(&self, open_metrics: bool) -> String {
        let mut collected = ResourceMetrics::default();
        if let Some(reader) = &self.reader {
            // After shutdown there is nothing to collect: the answer is an empty exposition.
            let _ = reader.collect(&mut collected);
        }
        exposition::render(&collected, &self.reservoir, open_metrics)
    }
}

/// The meter of everything that signalbox measures itself.
pub fn meter() -> otel::Meter {
    global::meter(SCOPE)
}

/// A duration histogram whose points carry exemplars of sampled spans.
#[derive(Debug, Clone)]
pub struct Histogram {
    instrument: otel::Histogram<f64>,
    name: &'static str,
    reservoir: Arc<Reservoir>,
}

impl Histogram {
    /// The contract's histogram, with its own buckets.
    pub fn new(metric: &'static Metric) -> Self {
        Self::with(&meter(), Reservoir::global(), metric)
    }

    /// The same of another meter and reservoir than the process's.
    pub fn with(meter: &otel::Meter, reservoir: Arc<Reservoir>, metric: &'static Metric) -> Self {
        let instrument = meter
            .f64_histogram(metric.name)
            .with_unit(metric.unit)
            .with_description(metric.description)
            .with_boundaries(DURATION_BUCKETS.to_vec())
            .build();
        Self { instrument, name: metric.name, reservoir }
    }

    /// Records a value in the span that is current.
    pub fn record(&self, value: f64, attributes: &[KeyValue]) {
        self.record_in(&Context::current(), value, attributes);
    }

    /// Records a value in the span of a context.
    pub fn record_in(&self, context: &Context, value: f64, attributes: &[KeyValue]) {
        self.instrument.record(value, attributes);
        self.reservoir.offer(context.span().span_context(), self.name, DURATION_BUCKETS, value, attributes);
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
