//! Where converted batches meet the store: one lock, one clock, one channel to the live stream. Called by the receiver
//! (in) and the API (out). No HTTP, no gRPC, no decoding of bytes in here.

use std::collections::HashSet;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use tokio::sync::broadcast;

use super::convert::Rejected;
use super::profiles::{Profile, Profiles};
use super::query::{logs, traces};
use super::store::{Limit, Store};
use super::{convert, convert_metrics};

/// Events that one batch may put on the live stream: a burst is sampled there, never in the store.
const LIVE_PER_BATCH: usize = 50;
/// Events that a slow reader of the live stream may lag behind before it skips.
const LIVE_BACKLOG: usize = 1_024;

/// What the live stream tells.
#[derive(Debug, Clone)]
pub(crate) struct Live {
    /// `log` or `trace`.
    pub(crate) event: &'static str,
    /// JSON.
    pub(crate) data: Arc<str>,
}

/// The shared heart of the console.
#[derive(Debug)]
pub(crate) struct Ingest {
    store: RwLock<Store>,
    /// Apart, so that a flame graph holds no signal up.
    profiles: RwLock<Profiles>,
    /// Live events.
    pub(crate) live: broadcast::Sender<Live>,
    /// When the console started, unix nanoseconds.
    pub(crate) started: u64,
}

/// Unix nanoseconds now.
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

impl Ingest {
    /// An empty store with limits for spans, logs, points and profiles.
    pub(crate) fn new(spans: Limit, logs: Limit, points: Limit, profiles: Limit) -> Self {
        let started = now();
        Self {
            store: RwLock::new(Store::new(spans, logs, points, started)),
            profiles: RwLock::new(Profiles::new(profiles)),
            live: broadcast::channel(LIVE_BACKLOG).0,
            started,
        }
    }

    /// The store, to ask. Held only while a query runs.
    pub(crate) fn read(&self) -> RwLockReadGuard<'_, Store> {
        // A panic in a query must not silence the console; the store's own steps do not panic half way.
        self.store.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The profiles, to ask. Held only to copy pointers.
    pub(crate) fn profiles(&self) -> RwLockReadGuard<'_, Profiles> {
        self.profiles.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes profiles in.
    pub(crate) fn add_profiles(&self, profiles: Vec<Profile>) {
        self.profiles.write().unwrap_or_else(PoisonError::into_inner).add(profiles);
    }

    /// Counts a push that could not be read.
    pub(crate) fn reject_profile(&self) {
        self.profiles.write().unwrap_or_else(PoisonError::into_inner).reject();
    }

    fn write(&self, change: impl FnOnce(&mut Store)) {
        change(&mut self.store.write().unwrap_or_else(PoisonError::into_inner));
    }

    fn tell(&self, event: &'static str, data: &serde_json::Value) {
        // An error says that nobody listens.
        let _ = self.live.send(Live { event, data: data.to_string().into() });
    }

    /// Takes a trace export in.
    pub(crate) fn traces(&self, request: ExportTraceServiceRequest) -> Rejected {
        let mut batch = convert::spans(request.resource_spans);
        let rejected = std::mem::take(&mut batch.rejected);
        batch.rejected.count = rejected.count;
        let roots: Vec<_> = if self.live.receiver_count() > 0 {
            let roots: HashSet<_> = batch.items.iter().filter(|s| s.parent.is_none()).map(|s| s.trace_id).collect();
            roots.into_iter().take(LIVE_PER_BATCH).collect()
        } else {
            Vec::new()
        };
        self.write(|store| store.add_spans(batch, now()));
        for trace in roots {
            let summary = traces::summary(&self.read(), &trace);
            if let Some(summary) = summary {
                self.tell("trace", &summary);
            }
        }
        rejected
    }

    /// Takes a log export in.
    pub(crate) fn logs(&self, request: ExportLogsServiceRequest) -> Rejected {
        let mut batch = convert::logs(request.resource_logs, now());
        let rejected = std::mem::take(&mut batch.rejected);
        batch.rejected.count = rejected.count;
        let added = batch.items.len();
        let live = self.live.receiver_count() > 0;
        let mut told = Vec::new();
        self.write(|store| {
            store.add_logs(batch, now());
            if live {
                let newest = store.logs.newest_first().take(added.min(LIVE_PER_BATCH));
                told = newest.map(|(id, log)| logs::one(id, log)).collect();
            }
        });
        for log in told.iter().rev() {
            self.tell("log", log);
        }
        rejected
    }

    /// Takes a metric export in.
    pub(crate) fn metrics(&self, request: ExportMetricsServiceRequest) -> Rejected {
        let mut batch = convert_metrics::metrics(request.resource_metrics, now());
        let rejected = std::mem::take(&mut batch.rejected);
        batch.rejected.count = rejected.count;
        self.write(|store| store.add_points(batch, now()));
        rejected
    }
}
