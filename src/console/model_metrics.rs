//! The metric half of `model`: series and points. Made by `convert_metrics`, held by `store`, read by `query`.
//! No I/O, no locks, no decoding in here.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use super::model::{Attributes, SpanId, TraceId, Weigh, block};

/// Kinds of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// A value that goes up and down.
    Gauge,
    /// A sum.
    Sum,
    /// Explicit buckets.
    Histogram,
    /// Exponential buckets.
    Exponential,
    /// Quantiles computed by the sender.
    Summary,
}

impl Kind {
    /// The API's word.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Gauge => "gauge",
            Self::Sum => "sum",
            Self::Histogram => "histogram",
            Self::Exponential => "exponential_histogram",
            Self::Summary => "summary",
        }
    }
}

/// What the numbers of consecutive points mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Temporality {
    /// Does not apply.
    None,
    /// Each point is the change since the one before.
    Delta,
    /// Each point is the total since its start.
    Cumulative,
}

impl Temporality {
    /// The API's word.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Delta => "delta",
            Self::Cumulative => "cumulative",
        }
    }
}

/// What identifies a time series.
#[derive(Debug)]
pub(crate) struct SeriesMeta {
    /// The metric's name.
    pub(crate) name: Box<str>,
    /// Its unit, as sent.
    pub(crate) unit: Box<str>,
    /// What it measures.
    pub(crate) description: Box<str>,
    /// Its kind.
    pub(crate) kind: Kind,
    /// Its temporality.
    pub(crate) temporality: Temporality,
    /// Whether it only grows.
    pub(crate) monotonic: bool,
    /// Attributes, sorted by key.
    pub(crate) attributes: Attributes,
    /// Hash of the above, without unit and description.
    pub(crate) hash: u64,
}

impl SeriesMeta {
    /// Fills in the hash.
    pub(crate) fn hashed(mut self) -> Self {
        let mut hasher = std::hash::DefaultHasher::new();
        (&self.name, self.kind, self.temporality, self.monotonic, &self.attributes).hash(&mut hasher);
        self.hash = hasher.finish();
        self
    }

    /// Whether both name the same series (of one origin).
    pub(crate) fn same(&self, other: &Self) -> bool {
        self.hash == other.hash
            && (self.kind, self.temporality, self.monotonic) == (other.kind, other.temporality, other.monotonic)
            && self.name == other.name
            && self.attributes == other.attributes
    }

    /// Estimated bytes with the store's own for a series (128).
    pub(crate) fn bytes(&self) -> usize {
        let texts = block(self.name.len()) + block(self.unit.len()) + block(self.description.len());
        block(size_of::<Self>() + 16) + texts + self.attributes.heap() + 128
    }
}

/// A measurement that points at the trace it was made in.
#[derive(Debug, Clone)]
pub(crate) struct Exemplar {
    /// Unix nanoseconds.
    pub(crate) time: u64,
    /// What was measured.
    pub(crate) value: f64,
    /// Its trace.
    pub(crate) trace_id: TraceId,
    /// Its span.
    pub(crate) span_id: SpanId,
}

/// A histogram with explicit buckets.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Explicit {
    /// Values.
    pub(crate) count: u64,
    /// Their sum, where sent.
    pub(crate) sum: Option<f64>,
    /// Upper bounds, ascending; shared with the point before where equal.
    pub(crate) bounds: Arc<[f64]>,
    /// One more than bounds, or none.
    pub(crate) counts: Box<[u64]>,
}

/// A histogram with exponential buckets.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Exponential {
    /// Values.
    pub(crate) count: u64,
    /// Their sum, where sent.
    pub(crate) sum: Option<f64>,
    /// base = 2^(2^-scale).
    pub(crate) scale: i32,
    /// Values within `zero_threshold` of zero.
    pub(crate) zero_count: u64,
    /// Half width of the zero bucket.
    pub(crate) zero_threshold: f64,
    /// Index of the first positive bucket.
    pub(crate) positive_offset: i32,
    /// Positive buckets.
    pub(crate) positive: Box<[u64]>,
    /// Index of the first negative bucket.
    pub(crate) negative_offset: i32,
    /// Negative buckets.
    pub(crate) negative: Box<[u64]>,
}

/// A summary.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Summary {
    /// Values.
    pub(crate) count: u64,
    /// Their sum.
    pub(crate) sum: f64,
    /// (quantile, value).
    pub(crate) quantiles: Box<[(f64, f64)]>,
}

/// What a point says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum PointValue {
    /// The sender says there is none.
    Absent,
    /// Gauge or sum.
    Number(f64),
    /// Histogram.
    Explicit(Box<Explicit>),
    /// Exponential histogram.
    Exponential(Box<Exponential>),
    /// Summary.
    Summary(Box<Summary>),
}

impl PointValue {
    /// (count, sum) of a distribution.
    pub(crate) fn count_and_sum(&self) -> Option<(u64, Option<f64>)> {
        match self {
            Self::Absent | Self::Number(_) => None,
            Self::Explicit(h) => Some((h.count, h.sum)),
            Self::Exponential(h) => Some((h.count, h.sum)),
            Self::Summary(s) => Some((s.count, Some(s.sum))),
        }
    }

    fn heap(&self) -> usize {
        match self {
            Self::Absent | Self::Number(_) => 0,
            // The bounds are counted in full though they are mostly shared: from above, never below.
            Self::Explicit(h) => {
                block(size_of::<Explicit>()) + block(h.bounds.len() * 8 + 16) + block(h.counts.len() * 8)
            }
            Self::Exponential(h) => {
                block(size_of::<Exponential>()) + block(h.positive.len() * 8) + block(h.negative.len() * 8)
            }
            Self::Summary(s) => block(size_of::<Summary>()) + block(s.quantiles.len() * 16),
        }
    }
}

/// One point of a series.
#[derive(Debug, Clone)]
pub(crate) struct Point {
    /// Unix nanoseconds.
    pub(crate) time: u64,
    /// Since when a sum or count runs, unix nanoseconds; 0 when not said.
    pub(crate) start: u64,
    /// What it says.
    pub(crate) value: PointValue,
    /// Exemplars with a trace.
    pub(crate) exemplars: Box<[Exemplar]>,
}

impl Weigh for Point {
    fn bytes(&self) -> usize {
        size_of::<Self>() + self.value.heap() + block(size_of_val(&*self.exemplars)) + 8
    }
}
