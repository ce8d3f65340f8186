//! A metric over time: last, rate, increase, average and quantiles in steps, summed over series that share labels.
//! Pure; called by `api`.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Value as Json, json};

use super::increase::increases;
use super::metrics::SeriesFilter;
use super::quantile::{Bucket, quantile};
use crate::console::model::{Kind, PointValue, ms};
use crate::console::store::{Series, Store};

/// What to compute in each step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Function {
    /// Newest value in the step (a distribution's count).
    Last,
    /// Increase a second.
    Rate,
    /// Increase.
    Increase,
    /// Of a distribution sum / count of the increase; of a gauge the mean.
    Avg,
    /// Quantile of the increase of a histogram's buckets.
    Quantile(f64),
}

impl Function {
    /// The functions by name.
    pub(crate) const ALL: [(&'static str, Self); 8] = [
        ("last", Self::Last),
        ("rate", Self::Rate),
        ("increase", Self::Increase),
        ("avg", Self::Avg),
        ("p50", Self::Quantile(0.5)),
        ("p90", Self::Quantile(0.9)),
        ("p95", Self::Quantile(0.95)),
        ("p99", Self::Quantile(0.99)),
    ];

    fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, f)| *f == self).map_or("", |(name, _)| name)
    }

    fn fits(self, kind: Kind) -> bool {
        match self {
            Self::Last => true,
            Self::Rate | Self::Increase => kind != Kind::Gauge,
            Self::Avg => true,
            Self::Quantile(_) => matches!(kind, Kind::Histogram | Kind::Exponential),
        }
    }
}

/// A range query; times in unix nanoseconds. Step `i` covers (from + i step, from + (i + 1) step], stamped by its end.
#[derive(Debug, Clone)]
pub(crate) struct RangeQuery {
    /// Which series.
    pub(crate) series: SeriesFilter,
    /// What to compute.
    pub(crate) function: Function,
    /// Attributes that keep series apart; all others are summed over.
    pub(crate) by: Vec<String>,
    /// Begin.
    pub(crate) from: u64,
    /// End.
    pub(crate) to: u64,
    /// Step, at least 1.
    pub(crate) step: u64,
}

impl RangeQuery {
    /// How many steps there are.
    pub(crate) fn steps(&self) -> usize {
        usize::try_from(self.to.saturating_sub(self.from).div_ceil(self.step)).unwrap_or(usize::MAX)
    }

    /// The step that holds `time`.
    fn step_of(&self, time: u64) -> Option<usize> {
        let index = time.checked_sub(self.from)?.checked_sub(1)? / self.step;
        usize::try_from(index).ok().filter(|i| *i < self.steps())
    }
}

/// What one group collects in one step.
#[derive(Debug, Default, Clone)]
struct Cell {
    touched: bool,
    value: f64,
    sum: f64,
    count: f64,
    buckets: HashMap<(u64, u64), f64>,
}

impl Cell {
    fn result(&self, query: &RangeQuery) -> Option<f64> {
        if !self.touched {
            return None;
        }
        match query.function {
            Function::Last | Function::Increase => Some(self.value),
            #[allow(clippy::cast_precision_loss, reason = "a step is short")]
            Function::Rate => Some(self.value / (query.step as f64 / 1e9)),
            Function::Avg => (self.count > 0.0).then(|| self.sum / self.count),
            Function::Quantile(q) => {
                let bucket = |(&(lower, upper), &count): (&(u64, u64), &f64)| Bucket {
                    lower: f64::from_bits(lower),
                    upper: f64::from_bits(upper),
                    count,
                };
                quantile(q, &self.buckets.iter().map(bucket).collect::<Vec<_>>())
            }
        }
    }
}

/// Newest value of each step, or for averages all of them.
fn add_values(series: &Series, query: &RangeQuery, cells: &mut [Cell]) {
    let mut newest: BTreeMap<usize, (u64, f64)> = BTreeMap::new();
    for point in &series.points {
        #[allow(clippy::cast_precision_loss, reason = "shown as f64")]
        let value = match &point.value {
            PointValue::Absent => continue,
            PointValue::Number(number) => *number,
            other => other.count_and_sum().map_or(0.0, |(count, _)| count as f64),
        };
        let Some(step) = query.step_of(point.time) else { continue };
        if query.function == Function::Avg {
            let cell = &mut cells[step];
            cell.touched = true;
            cell.sum += value;
            cell.count += 1.0;
        } else {
            let slot = newest.entry(step).or_insert((point.time, value));
            if point.time >= slot.0 {
                *slot = (point.time, value);
            }
        }
    }
    for (step, (_, value)) in newest {
        cells[step].touched = true;
        cells[step].value += value;
    }
}

/// Spreads each increase evenly over the steps it overlaps, so that the sum over all steps is the true increase even
/// where senders export less often than the step.
#[allow(clippy::cast_precision_loss, reason = "shares of an interval")]
fn add_increases(series: &Series, query: &RangeQuery, cells: &mut [Cell]) {
    for increase in increases(series, query.from, query.to) {
        let length = increase.to - increase.from;
        let first = query.step_of((increase.from + 1).max(query.from + 1)).unwrap_or(0);
        let last = query.step_of(increase.to.min(query.to)).unwrap_or(cells.len().saturating_sub(1));
        let range = if length == 0 { last..=last } else { first..=last };
        for step in range {
            let Some(cell) = cells.get_mut(step) else { continue };
            let begin = query.from + step as u64 * query.step;
            let overlap = increase.to.min(begin + query.step).saturating_sub(increase.from.max(begin));
            let share = if length == 0 { 1.0 } else { overlap as f64 / length as f64 };
            cell.touched = true;
            cell.value += increase.value * share;
            cell.count += increase.value * share;
            cell.sum += increase.sum.unwrap_or(0.0) * share;
            if matches!(query.function, Function::Quantile(_)) {
                for bucket in &increase.buckets {
                    let key = (bucket.lower.to_bits(), bucket.upper.to_bits());
                    *cell.buckets.entry(key).or_default() += bucket.count * share;
                }
            }
        }
    }
}

fn labels(series: &Series, by: &[String]) -> Vec<String> {
    let label = |key: &String| {
        let own = series.meta.attributes.get(key).or_else(|| series.origin.resource.get(key));
        own.map(crate::console::model::Value::text).unwrap_or_default()
    };
    by.iter().map(label).collect()
}

/// Runs the query; an error says why the function does not fit the metric.
pub(crate) fn range(store: &Store, query: &RangeQuery) -> Result<Json, String> {
    let steps = query.steps();
    let mut unit = String::new();
    let mut groups: BTreeMap<Vec<String>, Vec<Cell>> = BTreeMap::new();
    for series in store.metrics.series().filter(|s| query.series.accepts(s)) {
        if !query.function.fits(series.meta.kind) {
            let (function, kind) = (query.function.name(), series.meta.kind.name());
            return Err(format!("fn={function} does not fit {}, a {kind}", series.meta.name));
        }
        unit = series.meta.unit.to_string();
        let cells = groups.entry(labels(series, &query.by)).or_insert_with(|| vec![Cell::default(); steps]);
        let plain = matches!(series.meta.kind, Kind::Gauge)
            || (series.meta.kind == Kind::Sum && query.function == Function::Avg);
        if query.function == Function::Last || plain {
            add_values(series, query, cells);
        } else {
            add_increases(series, query, cells);
        }
    }
    let group = |(labels, cells): (Vec<String>, Vec<Cell>)| {
        let labels: BTreeMap<&String, String> = query.by.iter().zip(labels).collect();
        let point =
            |(i, cell): (usize, &Cell)| json!([ms(query.from + (i as u64 + 1) * query.step), cell.result(query)]);
        json!({ "labels": labels, "points": cells.iter().enumerate().map(point).collect::<Vec<_>>() })
    };
    Ok(json!({
        "name": query.series.name,
        "fn": query.function.name(),
        "unit": unit,
        "step_ms": ms(query.step),
        "series": groups.into_iter().map(group).collect::<Vec<_>>(),
    }))
}
