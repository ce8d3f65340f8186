//! The bounded store: spans, logs and metric points, by count and by bytes, oldest out first. Pure: no I/O, no clock, no
//! lock (the receiver and the API share it behind one `RwLock`, held for inserts of converted records and for queries).
//!
//! For each signal `received = stored + evicted` holds at all times; what the receiver refused is `rejected`, apart.
//! Estimated bytes (see `model`) of one signal never exceed its limit. The process stays below
//! `96 MiB + 4 x max_mib x 2` (profiles, the fourth, are in `profiles`): the base covers the program and requests in flight, the factor 2 the slack of growing
//! queues and tables and the allocator's fragmentation.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::convert::Batch;
use super::convert_metrics::NewPoint;
use super::model::{Log, Origin, Point, PointValue, SeriesMeta, Span, TraceId, Weigh};
use super::origins::Origins;

/// Most of one signal that is kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limit {
    /// Records.
    pub(crate) count: usize,
    /// Estimated bytes.
    pub(crate) bytes: usize,
}

/// Counts of one signal since start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Accepted.
    pub(crate) received: u64,
    /// Refused in partial-success answers.
    pub(crate) rejected: u64,
    /// Accepted and pushed out since.
    pub(crate) evicted: u64,
    /// Estimated bytes now.
    pub(crate) bytes: usize,
}

/// A record that lives in a [`Ring`].
pub(crate) trait Record: Weigh {
    /// The trace it belongs to, for the index.
    fn trace(&self) -> Option<TraceId>;
    /// Who sent it.
    fn origin(&mut self) -> &mut Arc<Origin>;
}

impl Record for Span {
    fn trace(&self) -> Option<TraceId> {
        Some(self.trace_id)
    }
    fn origin(&mut self) -> &mut Arc<Origin> {
        &mut self.origin
    }
}

impl Record for Log {
    fn trace(&self) -> Option<TraceId> {
        self.trace_id
    }
    fn origin(&mut self) -> &mut Arc<Origin> {
        &mut self.origin
    }
}

/// Spans or logs in order of arrival, found by sequence number or by trace.
#[derive(Debug)]
pub(crate) struct Ring<T> {
    items: VecDeque<T>,
    /// Sequence number of the oldest kept.
    first: u64,
    by_trace: HashMap<TraceId, VecDeque<u64>>,
    origins: Origins,
    counts: Counts,
    limit: Limit,
}

impl<T: Record> Ring<T> {
    fn new(limit: Limit) -> Self {
        let (items, by_trace) = (VecDeque::new(), HashMap::new());
        Self { items, first: 0, by_trace, origins: Origins::default(), counts: Counts::default(), limit }
    }

    fn push_all(&mut self, batch: Batch<T>, now: u64) {
        self.counts.rejected += batch.rejected.count;
        // Items of one scope come in a row and share their origin: it is looked up once.
        let mut last: Option<(Arc<Origin>, Arc<Origin>)> = None;
        for mut item in batch.items {
            let given = Arc::clone(item.origin());
            let stored = match &last {
                Some((key, stored)) if Arc::ptr_eq(key, &given) && stored.refs.load(Relaxed) > 0 => Arc::clone(stored),
                _ => self.origins.intern(Arc::clone(&given), now, &mut self.counts),
            };
            stored.refs.fetch_add(1, Relaxed);
            last = Some((given, Arc::clone(&stored)));
            *item.origin() = stored;
            self.push(item);
        }
    }

    fn push(&mut self, item: T) {
        let sequence = self.first + self.items.len() as u64;
        if let Some(trace) = item.trace() {
            self.by_trace.entry(trace).or_default().push_back(sequence);
        }
        self.counts.received += 1;
        self.counts.bytes += item.bytes();
        self.items.push_back(item);
        while self.items.len() > self.limit.count || self.counts.bytes > self.limit.bytes {
            self.evict();
        }
    }

    fn evict(&mut self) {
        let Some(mut item) = self.items.pop_front() else { return };
        self.first += 1;
        self.counts.evicted += 1;
        self.counts.bytes -= item.bytes();
        if let Some(trace) = item.trace()
            && let Some(sequences) = self.by_trace.get_mut(&trace)
        {
            // Of one trace, too, the first to come is the first to go.
            sequences.pop_front();
            if sequences.is_empty() {
                self.by_trace.remove(&trace);
            }
        }
        self.origins.release(item.origin(), &mut self.counts);
    }

    /// What was counted.
    pub(crate) fn counts(&self) -> Counts {
        self.counts
    }

    /// The limit.
    pub(crate) fn limit(&self) -> Limit {
        self.limit
    }

    /// How many are kept.
    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether none is kept.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// All kept with their sequence numbers, the last to arrive first.
    pub(crate) fn newest_first(&self) -> impl Iterator<Item = (u64, &T)> {
        self.items.iter().enumerate().rev().map(|(index, item)| (self.first + index as u64, item))
    }

    /// Those of one trace with their sequence numbers, in order of arrival.
    pub(crate) fn of_trace(&self, trace: &TraceId) -> impl Iterator<Item = (u64, &T)> {
        self.by_trace.get(trace).into_iter().flatten().filter_map(|sequence| {
            let index = usize::try_from(sequence.checked_sub(self.first)?).ok()?;
            Some((*sequence, self.items.get(index)?))
        })
    }

    /// Who sent them.
    pub(crate) fn origins(&self) -> impl Iterator<Item = &Origin> {
        self.origins.iter()
    }
}

/// One time series and its points in order of arrival.
#[derive(Debug)]
pub(crate) struct Series {
    /// What identifies it.
    pub(crate) meta: SeriesMeta,
    /// Who sends it.
    pub(crate) origin: Arc<Origin>,
    /// Its points.
    pub(crate) points: VecDeque<Point>,
    /// When everything in the first point is known to have happened after this time (unix nanoseconds), this time:
    /// the series began under our eyes, so its first value is an increase. Else none.
    pub(crate) born: Option<u64>,
}

/// Metric points by series.
#[derive(Debug)]
pub(crate) struct Metrics {
    series: HashMap<u64, Series>,
    by_hash: HashMap<u64, Vec<u64>>,
    next: u64,
    /// Series of each point in order of arrival: the oldest point overall is the first of the first series here.
    order: VecDeque<u64>,
    origins: Origins,
    counts: Counts,
    limit: Limit,
    started: u64,
}

impl Metrics {
    fn new(limit: Limit, started: u64) -> Self {
        Self {
            series: HashMap::new(),
            by_hash: HashMap::new(),
            next: 0,
            order: VecDeque::new(),
            origins: Origins::default(),
            counts: Counts::default(),
            limit,
            started,
        }
    }

    fn push_all(&mut self, batch: Batch<NewPoint>, now: u64) {
        self.counts.rejected += batch.rejected.count;
        // Points of one scope come in a row and share their origin: it is looked up once.
        let mut touched: Vec<(Arc<Origin>, Arc<Origin>)> = Vec::new();
        for NewPoint { meta, origin, point } in batch.items {
            let stored = match touched.last() {
                Some((given, stored)) if Arc::ptr_eq(given, &origin) && stored.refs.load(Relaxed) > 0 => {
                    Arc::clone(stored)
                }
                _ => {
                    let stored = self.origins.intern(Arc::clone(&origin), 0, &mut self.counts);
                    touched.push((origin, Arc::clone(&stored)));
                    stored
                }
            };
            stored.refs.fetch_add(1, Relaxed);
            self.push(meta, &stored, point);
        }
        // Only now: a series that comes with the first export of its sender is not younger than its sender.
        for (_, origin) in touched {
            origin.last_seen.store(now, Relaxed);
        }
    }

    fn find(&self, meta: &SeriesMeta, origin: &Arc<Origin>) -> Option<u64> {
        let same = |id: &&u64| self.series.get(id).is_some_and(|s| Arc::ptr_eq(&s.origin, origin) && s.meta.same(meta));
        self.by_hash.get(&meta.hash)?.iter().find(same).copied()
    }

    fn create(&mut self, meta: SeriesMeta, origin: &Arc<Origin>, born: Option<u64>) -> u64 {
        let id = self.next;
        self.next += 1;
        self.counts.bytes += meta.bytes();
        self.by_hash.entry(meta.hash).or_default().push(id);
        self.series.insert(id, Series { meta, origin: Arc::clone(origin), points: VecDeque::new(), born });
        id
    }

    fn push(&mut self, meta: SeriesMeta, origin: &Arc<Origin>, mut point: Point) {
        let id = self.find(&meta, origin).unwrap_or_else(|| {
            let born = self.born(&point, origin.last_seen.load(Relaxed));
            self.create(meta, origin, born)
        });
        self.counts.received += 1;
        self.counts.bytes += point.bytes();
        if let Some(series) = self.series.get_mut(&id) {
            if let (Some(last), PointValue::Explicit(new)) = (series.points.back(), &mut point.value)
                && let PointValue::Explicit(old) = &last.value
                && old.bounds == new.bounds
            {
                new.bounds = Arc::clone(&old.bounds);
            }
            series.points.push_back(point);
            self.order.push_back(id);
        }
        while self.order.len() > self.limit.count || self.counts.bytes > self.limit.bytes {
            self.evict();
        }
    }

    /// When the first point of a new series is an increase: its start is after ours, or its sender had reported without
    /// it. Once points were evicted neither can be told from a series that returns.
    fn born(&self, point: &Point, seen: u64) -> Option<u64> {
        if self.counts.evicted > 0 || point.start == 0 {
            None
        } else if seen != 0 {
            Some(point.start.max(seen.min(point.time)))
        } else if point.start >= self.started {
            Some(point.start)
        } else {
            None
        }
    }

    fn evict(&mut self) {
        let Some(id) = self.order.pop_front() else { return };
        self.counts.evicted += 1;
        let Some(series) = self.series.get_mut(&id) else { return };
        series.born = None;
        if let Some(point) = series.points.pop_front() {
            self.counts.bytes -= point.bytes();
        }
        let origin = Arc::clone(&series.origin);
        if series.points.is_empty() {
            let hash = series.meta.hash;
            self.counts.bytes -= series.meta.bytes();
            self.series.remove(&id);
            if let Some(ids) = self.by_hash.get_mut(&hash) {
                ids.retain(|other| *other != id);
                if ids.is_empty() {
                    self.by_hash.remove(&hash);
                }
            }
        }
        self.origins.release(&origin, &mut self.counts);
    }

    /// What was counted.
    pub(crate) fn counts(&self) -> Counts {
        self.counts
    }

    /// The limit.
    pub(crate) fn limit(&self) -> Limit {
        self.limit
    }

    /// How many points are kept.
    pub(crate) fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether none is kept.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Every series.
    pub(crate) fn series(&self) -> impl Iterator<Item = &Series> {
        self.series.values()
    }

    /// Who sent them.
    pub(crate) fn origins(&self) -> impl Iterator<Item = &Origin> {
        self.origins.iter()
    }
}

/// The three signals.
#[derive(Debug)]
pub(crate) struct Store {
    /// Spans.
    pub(crate) spans: Ring<Span>,
    /// Log records.
    pub(crate) logs: Ring<Log>,
    /// Metric points.
    pub(crate) metrics: Metrics,
}

impl Store {
    /// An empty store that begins at `started` (unix nanoseconds).
    /// Bytes that the process stays below, whatever is sent (the heading says how they come about).
    pub(crate) fn memory_bound(&self) -> usize {
        let stored = self.spans.limit().bytes + self.logs.limit().bytes + self.metrics.limit().bytes;
        (96 << 20) + 2 * stored
    }

    pub(crate) fn new(spans: Limit, logs: Limit, points: Limit, started: u64) -> Self {
        Self { spans: Ring::new(spans), logs: Ring::new(logs), metrics: Metrics::new(points, started) }
    }

    /// Takes spans in; `now` in unix nanoseconds.
    pub(crate) fn add_spans(&mut self, batch: Batch<Span>, now: u64) {
        self.spans.push_all(batch, now);
    }

    /// Takes logs in; `now` in unix nanoseconds.
    pub(crate) fn add_logs(&mut self, batch: Batch<Log>, now: u64) {
        self.logs.push_all(batch, now);
    }

    /// Takes points in; `now` in unix nanoseconds.
    pub(crate) fn add_points(&mut self, batch: Batch<NewPoint>, now: u64) {
        self.metrics.push_all(batch, now);
    }
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
