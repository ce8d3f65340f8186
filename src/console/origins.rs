//! Who sent what: resource and scope of stored records, each kept once and counted by its records. Used by `store` alone;
//! no limits may be decided here.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::model::Origin;
use super::store::Counts;

/// Origins of one signal, each once.
#[derive(Debug, Default)]
pub(super) struct Origins(HashMap<u64, Vec<Arc<Origin>>>);

impl Origins {
    /// The stored twin of `origin`, or itself from now on.
    pub(super) fn intern(&mut self, origin: Arc<Origin>, now: u64, counts: &mut Counts) -> Arc<Origin> {
        let twins = self.0.entry(origin.hash).or_default();
        let stored = if let Some(twin) = twins.iter().find(|twin| twin.same(&origin)) {
            Arc::clone(twin)
        } else {
            counts.bytes += origin.bytes;
            twins.push(Arc::clone(&origin));
            origin
        };
        stored.last_seen.fetch_max(now, Relaxed);
        stored
    }

    /// One record of `origin` is gone; the last takes it along.
    pub(super) fn release(&mut self, origin: &Arc<Origin>, counts: &mut Counts) {
        if origin.refs.fetch_sub(1, Relaxed) > 1 {
            return;
        }
        if let Some(twins) = self.0.get_mut(&origin.hash) {
            twins.retain(|twin| !Arc::ptr_eq(twin, origin));
            counts.bytes -= origin.bytes;
            if twins.is_empty() {
                self.0.remove(&origin.hash);
            }
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Origin> {
        self.0.values().flatten().map(Arc::as_ref)
    }
}
