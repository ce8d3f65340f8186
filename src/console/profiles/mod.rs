//! Profiles: Pyroscope's push API, a bounded store and flame graphs. Called by the console's `api` and `ingest`.
//!
//! Data flow: `push` reads a request -> `pprof` makes a [`Profile`] of each pprof message -> [`Profiles`] keeps it ->
//! `flame` merges what a filter chooses -> `api` answers it as JSON or as a drawing. No OTLP in here.

pub(crate) mod api;
pub(crate) mod flame;
pub(crate) mod pprof;
pub(crate) mod push;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::model::{SpanId, block, ms};
use super::store::{Counts, Limit};

/// Span names and routes listed per service: a client must not fill the page with them.
const LISTED: usize = 200;

/// What the values of a profile measure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Measure {
    /// Pyroscope's id, such as `process_cpu:cpu:nanoseconds:cpu:nanoseconds`.
    pub(crate) id: Box<str>,
    /// Such as `nanoseconds`.
    pub(crate) unit: Box<str>,
    /// Worth of one sample, where the unit is the period's; else 0.
    pub(crate) period: i64,
}

/// One stack with its values.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    /// Where its functions end in `frames`; they begin where the row before ends.
    pub(crate) end: u32,
    /// The span that it was sampled in.
    pub(crate) span: Option<SpanId>,
    /// That span's name, in `names`.
    pub(crate) span_name: Option<u32>,
    /// That span's `http.route`, in `names`.
    pub(crate) route: Option<u32>,
}

/// One pushed profile.
#[derive(Debug, Clone)]
pub(crate) struct Profile {
    /// `service_name`.
    pub(crate) service: Box<str>,
    /// What its values measure; the last is shown unless another is asked for.
    pub(crate) measures: Box<[Measure]>,
    /// Begin, unix nanoseconds.
    pub(crate) from: u64,
    /// End, unix nanoseconds.
    pub(crate) until: u64,
    /// Names of functions, spans and routes.
    pub(crate) names: Box<[Box<str>]>,
    /// Functions of all stacks from the root to the leaf, in `names`.
    pub(crate) frames: Box<[u32]>,
    /// The stacks.
    pub(crate) rows: Box<[Row]>,
    /// Of each row one for each measure.
    pub(crate) values: Box<[i64]>,
}

impl Profile {
    /// The rows with their functions and the values of a measure.
    pub(crate) fn stacks(&self, measure: usize) -> impl Iterator<Item = (&Row, &[u32], i64)> {
        let mut begin = 0;
        self.rows.iter().enumerate().map(move |(index, row)| {
            let frames = self.frames.get(begin..row.end as usize).unwrap_or_default();
            begin = row.end as usize;
            (row, frames, self.values.get(index * self.measures.len() + measure).copied().unwrap_or(0))
        })
    }

    /// A name by its number.
    pub(crate) fn name(&self, index: u32) -> &str {
        self.names.get(index as usize).map_or("", |name| name)
    }

    /// Estimated bytes, from above.
    pub(crate) fn bytes(&self) -> usize {
        let names = self.names.iter().map(|name| block(name.len())).sum::<usize>() + block(size_of_val(&*self.names));
        let measures = self.measures.iter().map(|m| block(m.id.len()) + block(m.unit.len())).sum::<usize>();
        let rows =
            block(size_of_val(&*self.frames)) + block(size_of_val(&*self.rows)) + block(size_of_val(&*self.values));
        size_of::<Self>()
            + 32
            + block(self.service.len())
            + measures
            + block(size_of_val(&*self.measures))
            + names
            + rows
    }
}

/// Pushed profiles in order of arrival; the oldest goes first.
#[derive(Debug)]
pub(crate) struct Profiles {
    items: VecDeque<Arc<Profile>>,
    counts: Counts,
    limit: Limit,
}

impl Profiles {
    /// An empty store.
    pub(crate) fn new(limit: Limit) -> Self {
        Self { items: VecDeque::new(), counts: Counts::default(), limit }
    }

    /// Takes profiles in.
    pub(crate) fn add(&mut self, profiles: Vec<Profile>) {
        for profile in profiles {
            self.counts.received += 1;
            self.counts.bytes += profile.bytes();
            self.items.push_back(Arc::new(profile));
            while self.items.len() > self.limit.count || self.counts.bytes > self.limit.bytes {
                let Some(oldest) = self.items.pop_front() else { break };
                self.counts.evicted += 1;
                self.counts.bytes -= oldest.bytes();
            }
        }
    }

    /// Counts a push that could not be read.
    pub(crate) fn reject(&mut self) {
        self.counts.rejected += 1;
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

    /// All kept, the oldest first. Cheap: merging goes on without the store's lock.
    pub(crate) fn all(&self) -> Vec<Arc<Profile>> {
        self.items.iter().cloned().collect()
    }
}

/// What is kept of each service and measure, for `GET /api/v1/profiles`.
pub(crate) fn list(profiles: &[Arc<Profile>]) -> Json {
    #[derive(Default)]
    struct Kept<'a> {
        unit: &'a str,
        stored: usize,
        samples: i64,
        total: i64,
        from: u64,
        until: u64,
        span_names: BTreeSet<&'a str>,
        routes: BTreeSet<&'a str>,
    }
    let mut kept: BTreeMap<(&str, &str), Kept<'_>> = BTreeMap::new();
    for profile in profiles {
        for (index, measure) in profile.measures.iter().enumerate() {
            let one = kept.entry((&profile.service, &measure.id)).or_default();
            one.unit = &measure.unit;
            one.stored += 1;
            one.from = if one.stored == 1 { profile.from } else { one.from.min(profile.from) };
            one.until = one.until.max(profile.until);
            for (row, _, value) in profile.stacks(index) {
                one.total = one.total.saturating_add(value);
                one.samples = one.samples.saturating_add(flame::samples(measure, value));
                for (number, names) in [(row.span_name, &mut one.span_names), (row.route, &mut one.routes)] {
                    if let Some(number) = number.filter(|_| names.len() < LISTED) {
                        names.insert(profile.name(number));
                    }
                }
            }
        }
    }
    let one = |((service, id), kept): ((&str, &str), Kept<'_>)| {
        json!({
            "service": service, "type": id, "unit": kept.unit, "stored": kept.stored, "samples": kept.samples,
            "total": kept.total, "first_unix_ms": ms(kept.from), "last_unix_ms": ms(kept.until),
            "span_names": kept.span_names, "routes": kept.routes,
        })
    };
    json!({ "profiles": kept.into_iter().map(one).collect::<Vec<_>>() })
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
