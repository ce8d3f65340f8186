//! What the API asks of the store: pure functions from the store and typed filters to JSON. Called by `api` under the
//! store's read lock. No parsing of requests, no clock, no lock.

pub(crate) mod increase;
pub(crate) mod logs;
pub(crate) mod metrics;
pub(crate) mod quantile;
pub(crate) mod range;
pub(crate) mod traces;

use serde_json::{Value as Json, json};

use super::model::{Attributes, Origin, ms};
use super::profiles::Profiles;
use super::store::{Counts, Limit, Store};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering::Relaxed;

/// `KEY=VALUE` conditions, all of which must hold.
#[derive(Debug, Default, Clone)]
pub(crate) struct Conditions(pub(crate) Vec<(String, String)>);

impl Conditions {
    /// Whether each holds for the record's own attributes or else its resource's.
    pub(crate) fn hold(&self, attributes: &Attributes, origin: &Origin) -> bool {
        self.0.iter().all(|(key, text)| {
            attributes.get(key).or_else(|| origin.resource.get(key)).is_some_and(|value| value.is(text))
        })
    }
}

/// Whether an optional filter is absent or equal.
fn matches(filter: &Option<String>, text: &str) -> bool {
    filter.as_deref().is_none_or(|wanted| wanted == text)
}

fn signal(stored: usize, counts: Counts, limit: Limit) -> Json {
    json!({
        "stored": stored, "received": counts.received, "rejected": counts.rejected, "evicted": counts.evicted,
        "bytes": counts.bytes, "max_count": limit.count, "max_bytes": limit.bytes,
    })
}

/// The books; `started` in unix nanoseconds.
pub(crate) fn status(store: &Store, profiles: &Profiles, started: u64) -> Json {
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "started_unix_ms": ms(started),
        "retention": super::RETENTION,
        "memory_bound_bytes": store.memory_bound() + 2 * profiles.limit().bytes,
        "signals": {
            "spans": signal(store.spans.len(), store.spans.counts(), store.spans.limit()),
            "logs": signal(store.logs.len(), store.logs.counts(), store.logs.limit()),
            "points": signal(store.metrics.len(), store.metrics.counts(), store.metrics.limit()),
            "profiles": signal(profiles.len(), profiles.counts(), profiles.limit()),
        },
    })
}

/// Who sent what is stored.
pub(crate) fn services(store: &Store) -> Json {
    let spans = store.spans.origins().map(|origin| (0, origin));
    let logs = store.logs.origins().map(|origin| (1, origin));
    let points = store.metrics.origins().map(|origin| (2, origin));
    let mut services: BTreeMap<&str, ([usize; 3], u64)> = BTreeMap::new();
    for (signal, origin) in spans.chain(logs).chain(points) {
        let (counts, seen) = services.entry(&origin.service).or_default();
        counts[signal] += origin.refs.load(Relaxed);
        *seen = (*seen).max(origin.last_seen.load(Relaxed));
    }
    let one = |(name, ([spans, logs, points], seen)): (&str, ([usize; 3], u64))| json!({ "name": name, "spans": spans, "logs": logs, "points": points, "last_seen_unix_ms": ms(seen) });
    json!({ "services": services.into_iter().map(one).collect::<Vec<_>>() })
}
