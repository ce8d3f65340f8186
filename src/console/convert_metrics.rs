//! OTLP metrics into the console's series and points. Called by the receiver, outside of the store's lock.
//! No I/O, no store; spans and logs are in `convert`.

use std::sync::Arc;

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::exemplar::Value as ExemplarValue;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar as OtlpExemplar, ExponentialHistogramDataPoint, HistogramDataPoint, Metric, NumberDataPoint,
    ResourceMetrics, SummaryDataPoint,
};

use super::convert::{Batch, attributes, id, origin};
use super::model::{
    Attributes, Exemplar, Explicit, Exponential, Kind, Origin, Point, PointValue, SeriesMeta, Summary, Temporality,
};

/// A point and the series it belongs to.
#[derive(Debug)]
pub(crate) struct NewPoint {
    /// The series.
    pub(crate) meta: SeriesMeta,
    /// Who sent it.
    pub(crate) origin: Arc<Origin>,
    /// The point.
    pub(crate) point: Point,
}

/// OTLP's flag "no recorded value".
const NO_VALUE: u32 = 1;

type Converted = (Vec<KeyValue>, Result<Point, String>);

#[allow(clippy::cast_precision_loss, reason = "values are shown as f64")]
fn exemplars(list: Vec<OtlpExemplar>) -> Box<[Exemplar]> {
    let one = |exemplar: OtlpExemplar| {
        let value = match exemplar.value? {
            ExemplarValue::AsDouble(number) => number,
            ExemplarValue::AsInt(number) => number as f64,
        };
        // One without a trace links nothing and is not kept.
        let trace_id = id(&exemplar.trace_id, "").ok()?;
        let span_id = id(&exemplar.span_id, "").ok()?;
        Some(Exemplar { time: exemplar.time_unix_nano, value, trace_id, span_id })
    };
    list.into_iter().filter_map(one).collect()
}

#[allow(clippy::cast_precision_loss, reason = "values are shown as f64")]
fn number(point: NumberDataPoint) -> Converted {
    let value = match point.value {
        _ if point.flags & NO_VALUE != 0 => Ok(PointValue::Absent),
        Some(Number::AsDouble(number)) => Ok(PointValue::Number(number)),
        Some(Number::AsInt(number)) => Ok(PointValue::Number(number as f64)),
        None => Err("a point has no value".to_owned()),
    };
    let exemplars = exemplars(point.exemplars);
    let (time, start) = (point.time_unix_nano, point.start_time_unix_nano);
    (point.attributes, value.map(|value| Point { time, start, value, exemplars }))
}

fn explicit(point: HistogramDataPoint) -> Converted {
    let (bounds, counts) = (point.explicit_bounds, point.bucket_counts);
    let lengths = (counts.is_empty() && bounds.is_empty()) || counts.len() == bounds.len() + 1;
    let value = if point.flags & NO_VALUE != 0 {
        Ok(PointValue::Absent)
    } else if !lengths {
        Err(format!("a histogram has {} bounds and {} buckets, not one more", bounds.len(), counts.len()))
    } else if !bounds.is_sorted_by(|a, b| a < b) {
        Err("a histogram's bounds do not ascend".to_owned())
    } else {
        let (bounds, counts) = (bounds.into(), counts.into());
        Ok(PointValue::Explicit(Box::new(Explicit { count: point.count, sum: point.sum, bounds, counts })))
    };
    let exemplars = exemplars(point.exemplars);
    let (time, start) = (point.time_unix_nano, point.start_time_unix_nano);
    (point.attributes, value.map(|value| Point { time, start, value, exemplars }))
}

fn exponential(point: ExponentialHistogramDataPoint) -> Converted {
    let (positive, negative) = (point.positive.unwrap_or_default(), point.negative.unwrap_or_default());
    let value = if point.flags & NO_VALUE != 0 {
        Ok(PointValue::Absent)
    } else if !(-10..=20).contains(&point.scale) {
        // The bounds of the specification's own SDKs; beyond them bucket limits leave f64.
        Err(format!("an exponential histogram's scale is {}, not within -10..=20", point.scale))
    } else {
        Ok(PointValue::Exponential(Box::new(Exponential {
            count: point.count,
            sum: point.sum,
            scale: point.scale,
            zero_count: point.zero_count,
            zero_threshold: point.zero_threshold,
            positive_offset: positive.offset,
            positive: positive.bucket_counts.into(),
            negative_offset: negative.offset,
            negative: negative.bucket_counts.into(),
        })))
    };
    let exemplars = exemplars(point.exemplars);
    let (time, start) = (point.time_unix_nano, point.start_time_unix_nano);
    (point.attributes, value.map(|value| Point { time, start, value, exemplars }))
}

fn summary(point: SummaryDataPoint) -> Converted {
    let value = if point.flags & NO_VALUE != 0 {
        PointValue::Absent
    } else {
        let quantiles = point.quantile_values.iter().map(|q| (q.quantile, q.value)).collect();
        PointValue::Summary(Box::new(Summary { count: point.count, sum: point.sum, quantiles }))
    };
    let (time, start) = (point.time_unix_nano, point.start_time_unix_nano);
    (point.attributes, Ok(Point { time, start, value, exemplars: Box::default() }))
}

fn temporality(number: i32) -> Temporality {
    match number {
        1 => Temporality::Delta,
        2 => Temporality::Cumulative,
        _ => Temporality::None,
    }
}

struct Shape {
    kind: Kind,
    temporality: Temporality,
    monotonic: bool,
}

fn points(data: Data) -> (Shape, Vec<Converted>) {
    let shape = |kind, number, monotonic| Shape { kind, temporality: temporality(number), monotonic };
    match data {
        Data::Gauge(d) => (shape(Kind::Gauge, 0, false), d.data_points.into_iter().map(number).collect()),
        Data::Sum(d) => (
            shape(Kind::Sum, d.aggregation_temporality, d.is_monotonic),
            d.data_points.into_iter().map(number).collect(),
        ),
        Data::Histogram(d) => {
            (shape(Kind::Histogram, d.aggregation_temporality, true), d.data_points.into_iter().map(explicit).collect())
        }
        Data::ExponentialHistogram(d) => (
            shape(Kind::Exponential, d.aggregation_temporality, true),
            d.data_points.into_iter().map(exponential).collect(),
        ),
        Data::Summary(d) => (shape(Kind::Summary, 2, true), d.data_points.into_iter().map(summary).collect()),
    }
}

fn metric(metric: Metric, origin: &Arc<Origin>, now: u64, batch: &mut Batch<NewPoint>) {
    let Some(data) = metric.data else { return };
    let (shape, points) = points(data);
    for (pairs, point) in points {
        let point = match point {
            _ if metric.name.is_empty() => Err("a metric has no name".to_owned()),
            Ok(_) if shape.temporality == Temporality::None && shape.kind != Kind::Gauge => {
                Err(format!("{} has no aggregation temporality", metric.name))
            }
            other => other,
        };
        match point {
            Err(reason) => batch.rejected.add(1, reason),
            Ok(mut point) => {
                if point.time == 0 {
                    point.time = now;
                }
                let mut pairs: Vec<_> = attributes(pairs).0.into_vec();
                pairs.sort_by(|a, b| a.0.cmp(&b.0));
                let meta = SeriesMeta {
                    name: metric.name.as_str().into(),
                    unit: metric.unit.as_str().into(),
                    description: metric.description.as_str().into(),
                    kind: shape.kind,
                    temporality: shape.temporality,
                    monotonic: shape.monotonic,
                    attributes: Attributes(pairs.into()),
                    hash: 0,
                };
                batch.items.push(NewPoint { meta: meta.hashed(), origin: Arc::clone(origin), point });
            }
        }
    }
}

/// Points of an export request; `now` (unix nanoseconds) is the time of one that has none.
pub(crate) fn metrics(resources: Vec<ResourceMetrics>, now: u64) -> Batch<NewPoint> {
    let mut batch = Batch::default();
    for resource in resources {
        for scope in resource.scope_metrics {
            let origin = origin(&resource.resource, scope.scope);
            for item in scope.metrics {
                metric(item, &origin, now, &mut batch);
            }
        }
    }
    batch
}
