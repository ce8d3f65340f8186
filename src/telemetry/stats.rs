//! Exact accounting of one signal: every record is delivered, lost for a named reason, waiting or under way. Written by
//! the queue and the exporter, read by the `otel.sdk.*` instruments, the self-report and the shutdown report.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};

use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;

use super::names::{self, Metric, attr};

/// Counts of one signal since the start.
#[derive(Debug, Default)]
pub struct Stats {
    emitted: AtomicU64,
    delivered: AtomicU64,
    in_flight: AtomicU64,
    refused: Mutex<BTreeMap<&'static str, u64>>,
    failed: Mutex<BTreeMap<String, u64>>,
}

impl Stats {
    /// Records that reached the processor.
    pub fn emitted(&self) -> u64 {
        self.emitted.load(SeqCst)
    }

    /// Records that a receiver took.
    pub fn delivered(&self) -> u64 {
        self.delivered.load(SeqCst)
    }

    /// Records lost so far, by queue and by export.
    pub fn lost(&self) -> u64 {
        self.refused().values().sum::<u64>() + self.failed().values().sum::<u64>()
    }

    /// Records lost before export, by `error.type`.
    pub fn refused(&self) -> BTreeMap<&'static str, u64> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Records lost in export, by `error.type`.
    pub fn failed(&self) -> BTreeMap<String, u64> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn emit(&self, n: u64) {
        self.emitted.fetch_add(n, SeqCst);
    }

    pub(super) fn refuse(&self, error_type: &'static str, n: u64) {
        if n > 0 {
            *self.refused.lock().unwrap_or_else(PoisonError::into_inner).entry(error_type).or_default() += n;
        }
    }

    pub(super) fn start(&self, n: u64) {
        self.in_flight.store(n, SeqCst);
    }

    /// Ends the export under way; `rejected` of its records were refused by the receiver.
    pub(super) fn finish(&self, outcome: Result<u64, String>) {
        let n = self.in_flight.swap(0, SeqCst);
        match outcome {
            Ok(rejected) => {
                let rejected = rejected.min(n);
                self.delivered.fetch_add(n - rejected, SeqCst);
                self.fail("rejected".to_owned(), rejected);
            }
            Err(error_type) => self.fail(error_type, n),
        }
    }

    fn fail(&self, error_type: String, n: u64) {
        if n > 0 {
            *self.failed.lock().unwrap_or_else(PoisonError::into_inner).entry(error_type).or_default() += n;
        }
    }

    fn handed_over(&self) -> u64 {
        self.delivered() + self.failed().values().sum::<u64>() + self.in_flight.load(SeqCst)
    }
}

/// The processor's instruments of one signal.
pub(super) struct ProcessorMetrics {
    pub(super) size: &'static Metric,
    pub(super) capacity: &'static Metric,
    pub(super) processed: &'static Metric,
    pub(super) component: &'static str,
}

pub(super) const SPAN_PROCESSOR: ProcessorMetrics = ProcessorMetrics {
    size: &names::SDK_PROCESSOR_SPAN_QUEUE_SIZE,
    capacity: &names::SDK_PROCESSOR_SPAN_QUEUE_CAPACITY,
    processed: &names::SDK_PROCESSOR_SPAN_PROCESSED,
    component: "batching_span_processor",
};

pub(super) const LOG_PROCESSOR: ProcessorMetrics = ProcessorMetrics {
    size: &names::SDK_PROCESSOR_LOG_QUEUE_SIZE,
    capacity: &names::SDK_PROCESSOR_LOG_QUEUE_CAPACITY,
    processed: &names::SDK_PROCESSOR_LOG_PROCESSED,
    component: "batching_log_processor",
};

/// Registers queue size, capacity and processed records.
pub(super) fn observe_processor(
    meter: &Meter,
    names: &ProcessorMetrics,
    stats: &Arc<Stats>,
    capacity: usize,
    size: impl Fn() -> usize + Send + Sync + 'static,
) {
    let component = KeyValue::new(attr::OTEL_COMPONENT_TYPE, names.component);
    let gauge = |metric: &'static Metric| {
        meter.i64_observable_up_down_counter(metric.name).with_unit(metric.unit).with_description(metric.description)
    };
    let key = component.clone();
    gauge(names.size)
        .with_callback(move |o| o.observe(i64::try_from(size()).unwrap_or(i64::MAX), std::slice::from_ref(&key)))
        .build();
    let key = component.clone();
    let capacity = i64::try_from(capacity).unwrap_or(i64::MAX);
    gauge(names.capacity).with_callback(move |o| o.observe(capacity, std::slice::from_ref(&key))).build();
    let stats = Arc::clone(stats);
    let metric = names.processed;
    meter
        .u64_observable_counter(metric.name)
        .with_unit(metric.unit)
        .with_description(metric.description)
        .with_callback(move |o| {
            o.observe(stats.handed_over(), std::slice::from_ref(&component));
            for (error_type, n) in stats.refused() {
                o.observe(n, &[component.clone(), KeyValue::new(attr::ERROR_TYPE, error_type)]);
            }
        })
        .build();
}

/// Registers exported records.
pub(super) fn observe_exporter(meter: &Meter, metric: &'static Metric, stats: &Arc<Stats>, component: &'static str) {
    let component = KeyValue::new(attr::OTEL_COMPONENT_TYPE, component);
    let stats = Arc::clone(stats);
    meter
        .u64_observable_counter(metric.name)
        .with_unit(metric.unit)
        .with_description(metric.description)
        .with_callback(move |o| {
            o.observe(stats.delivered(), std::slice::from_ref(&component));
            for (error_type, n) in stats.failed() {
                o.observe(n, &[component.clone(), KeyValue::new(attr::ERROR_TYPE, error_type)]);
            }
        })
        .build();
}
