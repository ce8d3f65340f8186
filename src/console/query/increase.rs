//! By how much a series grew and over which time: cumulative (resets handled) and delta alike. Pure; called by `range`.

use super::quantile::{Bucket, explicit, exponential};
use crate::console::model::{Point, PointValue, Temporality};
use crate::console::store::Series;

/// Growth within (from, to].
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Increase {
    /// Unix nanoseconds.
    pub(crate) from: u64,
    /// Unix nanoseconds.
    pub(crate) to: u64,
    /// Of a sum, or of a distribution's count.
    pub(crate) value: f64,
    /// Of a distribution's sum.
    pub(crate) sum: Option<f64>,
    /// Of a histogram's buckets.
    pub(crate) buckets: Vec<Bucket>,
}

/// The growth from `before` (none: from nothing) to `now`; none when it went down, that is after a reset.
#[allow(clippy::cast_precision_loss, reason = "rates are f64")]
fn growth(now: &PointValue, before: Option<&PointValue>, monotonic: bool) -> Option<(f64, Option<f64>, Vec<Bucket>)> {
    use PointValue::{Explicit, Exponential, Number, Summary};
    let counts = |now: (u64, Option<f64>), before: Option<(u64, Option<f64>)>| {
        let (count, sum) = before.unwrap_or((0, Some(0.0)));
        Some((now.0.checked_sub(count)? as f64, now.1.zip(sum).map(|(now, before)| now - before)))
    };
    let (count, sum, buckets) = match (now, before) {
        (Number(now), before) => {
            let before = if let Some(Number(before)) = before { *before } else { 0.0 };
            return (!monotonic || *now >= before).then(|| (now - before, None, Vec::new()));
        }
        (Explicit(h), Some(Explicit(b))) => {
            let (count, sum) = counts((h.count, h.sum), Some((b.count, b.sum)))?;
            (count, sum, explicit(h, Some(b))?)
        }
        (Exponential(h), Some(Exponential(b))) => {
            let (count, sum) = counts((h.count, h.sum), Some((b.count, b.sum)))?;
            (count, sum, exponential(h, Some(b))?)
        }
        (Summary(s), Some(Summary(b))) => {
            let (count, sum) = counts((s.count, Some(s.sum)), Some((b.count, Some(b.sum))))?;
            (count, sum, Vec::new())
        }
        (Explicit(h), _) => (h.count as f64, h.sum, explicit(h, None)?),
        (Exponential(h), _) => (h.count as f64, h.sum, exponential(h, None)?),
        (Summary(s), _) => (s.count as f64, Some(s.sum), Vec::new()),
        (PointValue::Absent, _) => return None,
    };
    Some((count, sum, buckets))
}

/// The increases of a series that touch (from, to], oldest first. The first point of a series counts only where the
/// store knows that the series began under its eyes (`born`).
pub(crate) fn increases(series: &Series, from: u64, to: u64) -> Vec<Increase> {
    let mut points: Vec<&Point> = series.points.iter().filter(|p| p.value != PointValue::Absent).collect();
    // Stable: senders mostly export in order, late ones are put right.
    points.sort_by_key(|p| p.time);
    let delta = series.meta.temporality == Temporality::Delta;
    let mut result = Vec::new();
    for (index, now) in points.iter().enumerate() {
        let before = index.checked_sub(1).map(|i| points[i]);
        let last = before.map_or(0, |b| b.time);
        if now.time <= from || last >= to {
            continue;
        }
        let (begin, change) = if delta {
            let begin = if now.start == 0 { before.map_or(now.time, |b| b.time) } else { now.start };
            (begin, growth(&now.value, None, false))
        } else if let Some(before) = before {
            let restarted = now.start != 0 && now.start >= before.time && now.start > before.start;
            let grown = if restarted { None } else { growth(&now.value, Some(&before.value), series.meta.monotonic) };
            (last.max(if grown.is_none() { now.start } else { 0 }), grown.or_else(|| growth(&now.value, None, false)))
        } else if let Some(born) = series.born {
            (born, growth(&now.value, None, false))
        } else {
            continue;
        };
        if let Some((value, sum, buckets)) = change {
            result.push(Increase { from: begin.min(now.time), to: now.time, value, sum, buckets });
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::model::{Attributes, Kind, Origin, SeriesMeta};
    use std::sync::Arc;

    fn series(temporality: Temporality, born: Option<u64>, points: &[(u64, u64, f64)]) -> Series {
        let meta = SeriesMeta {
            name: "n".into(),
            unit: "".into(),
            description: "".into(),
            kind: Kind::Sum,
            temporality,
            monotonic: true,
            attributes: Attributes::default(),
            hash: 0,
        };
        let point = |&(start, time, value): &(u64, u64, f64)| Point {
            time,
            start,
            value: PointValue::Number(value),
            exemplars: Box::default(),
        };
        let points = points.iter().map(point).collect();
        Series { meta, origin: Arc::new(Origin::new(Attributes::default(), "".into())), points, born }
    }

    fn steps(series: &Series) -> Vec<(u64, u64, f64)> {
        increases(series, 0, u64::MAX).into_iter().map(|i| (i.from, i.to, i.value)).collect()
    }

    #[test]
    fn a_cumulative_series_grows_by_differences_and_a_reset_starts_from_nothing() {
        let points = [(1, 10, 100.0), (1, 20, 130.0), (1, 30, 5.0), (1, 40, 6.0)];
        let expected = [(10, 20, 30.0), (20, 30, 5.0), (30, 40, 1.0)];
        assert_eq!(steps(&series(Temporality::Cumulative, None, &points)), expected);
    }

    #[test]
    fn a_restart_that_outgrew_the_old_value_is_seen_by_its_start_time() {
        let points = [(1, 10, 100.0), (15, 20, 130.0)];
        assert_eq!(steps(&series(Temporality::Cumulative, None, &points)), [(15, 20, 130.0)]);
    }

    #[test]
    fn the_first_point_counts_only_when_the_series_is_newborn() {
        assert_eq!(steps(&series(Temporality::Cumulative, None, &[(1, 10, 7.0)])), []);
        assert_eq!(steps(&series(Temporality::Cumulative, Some(4), &[(1, 10, 7.0)])), [(4, 10, 7.0)]);
    }

    #[test]
    fn delta_points_are_increases_themselves() {
        let points = [(1, 10, 7.0), (10, 20, 3.0), (0, 30, 2.0)];
        let expected = [(1, 10, 7.0), (10, 20, 3.0), (20, 30, 2.0)];
        assert_eq!(steps(&series(Temporality::Delta, None, &points)), expected);
    }
}
