//! Exemplars, which the SDK does not have: the latest sampled measurement of each bucket of each histogram series.
//! `metrics::Histogram` offers them; the metric export attaches them to OTLP points, the exposition to OpenMetrics
//! buckets. Memory is bounded by [`MAX_SERIES`].

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use opentelemetry::trace::{SpanContext, SpanId, TraceId};
use opentelemetry::{KeyValue, Value};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::{Exemplar as ProtoExemplar, exemplar, metric::Data};
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData, ResourceMetrics};

/// Most series (metric and attribute set) that keep exemplars; further ones have none.
pub const MAX_SERIES: usize = 2_000;

/// One measurement and the span it was made in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Exemplar {
    /// Measured value.
    pub value: f64,
    /// Trace of the span.
    pub trace_id: TraceId,
    /// The span.
    pub span_id: SpanId,
    /// When it was measured.
    pub time: SystemTime,
    /// Not yet sent over OTLP.
    fresh: bool,
}

#[derive(Debug)]
struct Series {
    metric: String,
    attributes: Vec<KeyValue>,
    buckets: Vec<Option<Exemplar>>,
}

/// The latest exemplars of this process.
#[derive(Debug, Default)]
pub struct Reservoir(Mutex<HashMap<u64, Series>>);

static GLOBAL: LazyLock<Arc<Reservoir>> = LazyLock::new(Arc::default);

impl Reservoir {
    /// The reservoir that `Histogram::new` offers to and the global pipeline sends from.
    pub fn global() -> Arc<Self> {
        Arc::clone(&GLOBAL)
    }

    fn series(&self) -> MutexGuard<'_, HashMap<u64, Series>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps the measurement as its bucket's latest when its span is sampled.
    pub fn offer(&self, span: &SpanContext, metric: &str, bounds: &[f64], value: f64, attributes: &[KeyValue]) {
        if !span.is_valid() || !span.is_sampled() {
            return;
        }
        let key = key(metric, attributes.iter());
        let (trace_id, span_id) = (span.trace_id(), span.span_id());
        let exemplar = Exemplar { value, trace_id, span_id, time: SystemTime::now(), fresh: true };
        let mut all = self.series();
        let full = all.len() >= MAX_SERIES;
        let series = match all.entry(key) {
            std::collections::hash_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::hash_map::Entry::Vacant(_) if full => return,
            std::collections::hash_map::Entry::Vacant(entry) => entry.insert(Series {
                metric: metric.to_owned(),
                attributes: attributes.to_vec(),
                buckets: vec![None; bounds.len() + 1],
            }),
        };
        if series.is(metric, attributes.iter()) {
            let bucket = bounds.partition_point(|bound| *bound < value);
            if let Some(slot) = series.buckets.get_mut(bucket) {
                *slot = Some(exemplar);
            }
        }
    }

    /// The latest exemplar of each bucket of a series; empty when there is none.
    pub fn latest<'a>(
        &self,
        metric: &str,
        attributes: impl Iterator<Item = &'a KeyValue> + Clone,
    ) -> Vec<Option<Exemplar>> {
        let all = self.series();
        let series = all.get(&key(metric, attributes.clone())).filter(|series| series.is(metric, attributes));
        series.map(|series| series.buckets.clone()).unwrap_or_default()
    }

    /// Exemplars of a series that were not taken before.
    fn take_fresh<'a>(
        &self,
        metric: &str,
        attributes: impl Iterator<Item = &'a KeyValue> + Clone,
    ) -> Vec<ProtoExemplar> {
        let mut all = self.series();
        let series = all.get_mut(&key(metric, attributes.clone())).filter(|series| series.is(metric, attributes));
        let Some(series) = series else { return Vec::new() };
        series
            .buckets
            .iter_mut()
            .flatten()
            .filter_map(|exemplar| std::mem::take(&mut exemplar.fresh).then(|| exemplar.to_proto()))
            .collect()
    }
}

impl Series {
    fn is<'a>(&self, metric: &str, attributes: impl Iterator<Item = &'a KeyValue>) -> bool {
        let mut n = 0;
        let equal = attributes.inspect(|_| n += 1).all(|attribute| self.attributes.contains(attribute));
        equal && n == self.attributes.len() && self.metric == metric
    }
}

impl Exemplar {
    fn to_proto(self) -> ProtoExemplar {
        ProtoExemplar {
            filtered_attributes: Vec::new(),
            time_unix_nano: u64::try_from(
                self.time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_nanos()),
            )
            .unwrap_or(u64::MAX),
            span_id: self.span_id.to_bytes().to_vec(),
            trace_id: self.trace_id.to_bytes().to_vec(),
            value: Some(exemplar::Value::AsDouble(self.value)),
        }
    }
}

/// Hash of the metric and its attributes in any order, without an allocation.
fn key<'a>(metric: &str, attributes: impl Iterator<Item = &'a KeyValue>) -> u64 {
    let one = |hash: &dyn Fn(&mut DefaultHasher)| {
        let mut hasher = DefaultHasher::new();
        hash(&mut hasher);
        hasher.finish()
    };
    attributes.fold(one(&|h| metric.hash(h)), |sum, attribute| {
        sum.wrapping_add(one(&|h| {
            attribute.key.as_str().hash(h);
            match &attribute.value {
                Value::Bool(value) => value.hash(h),
                Value::I64(value) => value.hash(h),
                Value::F64(value) => value.to_bits().hash(h),
                Value::String(value) => value.as_str().hash(h),
                other => other.to_string().hash(h),
            }
        }))
    })
}

/// The collection as an OTLP request, with the exemplars that are new since the last one.
pub(super) fn request(collected: &ResourceMetrics, reservoir: &Reservoir) -> ExportMetricsServiceRequest {
    let mut request = ExportMetricsServiceRequest::from(collected);
    // The conversion keeps order, so points of both sides pair by position.
    let scopes = request.resource_metrics.iter_mut().flat_map(|resource| &mut resource.scope_metrics);
    for (scope, proto_scope) in collected.scope_metrics().zip(scopes) {
        for (metric, proto) in scope.metrics().zip(&mut proto_scope.metrics) {
            let AggregatedMetrics::F64(MetricData::Histogram(histogram)) = metric.data() else { continue };
            let Some(Data::Histogram(proto)) = &mut proto.data else { continue };
            for (point, proto) in histogram.data_points().zip(&mut proto.data_points) {
                let attributes: Vec<&KeyValue> = point.attributes().collect();
                proto.exemplars = reservoir.take_fresh(metric.name(), attributes.iter().copied());
            }
        }
    }
    request
}

/// Data points in a request.
pub(super) fn points(request: &ExportMetricsServiceRequest) -> u64 {
    let metrics = request.resource_metrics.iter().flat_map(|r| &r.scope_metrics).flat_map(|s| &s.metrics);
    let count = |data: &Data| match data {
        Data::Gauge(gauge) => gauge.data_points.len(),
        Data::Sum(sum) => sum.data_points.len(),
        Data::Histogram(histogram) => histogram.data_points.len(),
        Data::ExponentialHistogram(histogram) => histogram.data_points.len(),
        Data::Summary(summary) => summary.data_points.len(),
    };
    metrics.filter_map(|metric| metric.data.as_ref()).map(count).sum::<usize>() as u64
}
