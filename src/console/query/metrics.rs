//! Metrics: names, series, exemplars. Pure; called by `api`. Values over time are in `range`.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde_json::{Value as Json, json};

use super::{Conditions, matches};
use crate::console::model::{PointValue, TraceId, hex, ms};
use crate::console::store::{Series, Store};

/// Which series of a metric.
#[derive(Debug, Default, Clone)]
pub(crate) struct SeriesFilter {
    /// The metric.
    pub(crate) name: String,
    /// `service.name`.
    pub(crate) service: Option<String>,
    /// Attributes.
    pub(crate) attributes: Conditions,
}

impl SeriesFilter {
    /// Whether the series is meant.
    pub(crate) fn accepts(&self, series: &Series) -> bool {
        *self.name == *series.meta.name
            && matches(&self.service, &series.origin.service)
            && self.attributes.hold(&series.meta.attributes, &series.origin)
    }
}

/// Every metric with its senders and number of series.
pub(crate) fn list(store: &Store) -> Json {
    let mut metrics: BTreeMap<(&str, &str), (&Series, BTreeSet<&str>, usize)> = BTreeMap::new();
    for series in store.metrics.series() {
        let key = (&*series.meta.name, series.meta.kind.name());
        let (_, services, count) = metrics.entry(key).or_insert((series, BTreeSet::new(), 0));
        services.insert(&series.origin.service);
        *count += 1;
    }
    let one = |((name, kind), (series, services, count)): ((&str, &str), (&Series, BTreeSet<&str>, usize))| {
        let meta = &series.meta;
        json!({
            "name": name, "unit": &*meta.unit, "description": &*meta.description, "kind": kind,
            "temporality": meta.temporality.name(), "monotonic": meta.monotonic, "services": services, "series": count,
        })
    };
    json!({ "metrics": metrics.into_iter().map(one).collect::<Vec<_>>() })
}

fn last(series: &Series) -> Json {
    let Some(point) = series.points.iter().max_by_key(|p| p.time) else { return Json::Null };
    let (count, sum) = point.value.count_and_sum().map_or((None, None), |(count, sum)| (Some(count), sum));
    let value = if let PointValue::Number(number) = point.value { Some(number) } else { None };
    let mut last = json!({ "time_unix_ms": ms(point.time), "value": value, "count": count, "sum": sum });
    match &point.value {
        PointValue::Explicit(h) => {
            last["bounds"] = json!(h.bounds.to_vec());
            last["bucket_counts"] = json!(h.counts);
        }
        PointValue::Exponential(h) => {
            last["scale"] = json!(h.scale);
            last["zero_count"] = json!(h.zero_count);
            last["positive"] = json!({ "offset": h.positive_offset, "bucket_counts": h.positive });
            last["negative"] = json!({ "offset": h.negative_offset, "bucket_counts": h.negative });
        }
        PointValue::Summary(s) => last["quantiles"] = json!(s.quantiles),
        PointValue::Absent | PointValue::Number(_) => {}
    }
    last
}

/// The series of a metric with their newest points.
pub(crate) fn series(store: &Store, filter: &SeriesFilter) -> Json {
    let one = |series: &Series| {
        json!({
            "service": &*series.origin.service,
            "attributes": series.meta.attributes.json(),
            "kind": series.meta.kind.name(),
            "points": series.points.len(),
            "last": last(series),
        })
    };
    json!({ "series": store.metrics.series().filter(|s| filter.accepts(s)).map(one).collect::<Vec<_>>() })
}

/// Exemplars of a metric, newest first, each once though senders repeat them.
pub(crate) fn exemplars(store: &Store, filter: &SeriesFilter, trace: Option<TraceId>, limit: usize) -> Json {
    let mut seen = HashSet::new();
    let mut found = Vec::new();
    for series in store.metrics.series().filter(|s| filter.accepts(s)) {
        for exemplar in series.points.iter().flat_map(|p| &p.exemplars) {
            let wanted = trace.is_none_or(|trace| trace == exemplar.trace_id);
            if wanted && seen.insert((exemplar.trace_id, exemplar.span_id, exemplar.time, exemplar.value.to_bits())) {
                found.push((exemplar, series));
            }
        }
    }
    found.sort_by_key(|(exemplar, _)| std::cmp::Reverse(exemplar.time));
    found.truncate(limit);
    let one = |(exemplar, series): (&super::super::model::Exemplar, &Series)| {
        json!({
            "time_unix_ms": ms(exemplar.time),
            "value": exemplar.value,
            "trace_id": hex(&exemplar.trace_id),
            "span_id": hex(&exemplar.span_id),
            "service": &*series.origin.service,
            "attributes": series.meta.attributes.json(),
        })
    };
    json!({ "exemplars": found.into_iter().map(one).collect::<Vec<_>>() })
}
