//! What the run measured so far: one lock, filled by every request, read by the progress line and the report.
//! No printing, and no judging, may live here.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::report::{FailureKind, Latency, PhaseRow, RequestRow};

/// Width of a bucket: a percentile is at most 2 % above the true value.
const RATIO: f64 = 1.02;
/// Covers 1 us to more than the request timeout.
const BUCKETS: usize = 1000;

/// The end of one request.
#[derive(Debug)]
pub(super) struct Outcome<'a> {
    /// Method and route, such as `GET /tasks/{id}`.
    pub(super) name: &'static str,
    /// Status code, or the kind of failure without one.
    pub(super) status: &'a str,
    pub(super) duration: Duration,
    pub(super) failure: Option<Failure>,
    /// `true` when the trace was sampled, so that there is something to open.
    pub(super) sampled: bool,
    pub(super) trace_id: opentelemetry::TraceId,
}

/// Whether a failed request was meant to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// The journey asks for it (`/error`, `/crash`): not counted by `errors<..%`.
    Expected,
    Unexpected,
}

/// Durations in buckets of equal ratio.
#[derive(Debug, Clone)]
struct Durations {
    buckets: Vec<u64>,
    count: u64,
    sum: Duration,
    max: Duration,
}

impl Default for Durations {
    fn default() -> Self {
        Self { buckets: vec![0; BUCKETS], count: 0, sum: Duration::ZERO, max: Duration::ZERO }
    }
}

impl Durations {
    fn record(&mut self, duration: Duration) {
        let micros = (duration.as_secs_f64() * 1e6).max(1.0);
        let bucket = (micros.ln() / RATIO.ln()).ceil() as usize;
        self.buckets[bucket.min(BUCKETS - 1)] += 1;
        self.count += 1;
        self.sum += duration;
        self.max = self.max.max(duration);
    }

    /// In milliseconds; 0 when empty.
    fn percentile(&self, share: f64) -> f64 {
        let rank = (self.count as f64 * share).ceil().max(1.0) as u64;
        let mut seen = 0;
        let max = self.max.as_secs_f64() * 1e3;
        for (index, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return (RATIO.powf(index as f64) / 1e3).min(max);
            }
        }
        max
    }

    fn latency(&self) -> Latency {
        Latency {
            p50: self.percentile(0.50),
            p90: self.percentile(0.90),
            p95: self.percentile(0.95),
            p99: self.percentile(0.99),
            max: self.max.as_secs_f64() * 1e3,
            mean: self.sum.as_secs_f64() * 1e3 / self.count.max(1) as f64,
        }
    }
}

#[derive(Debug, Default)]
struct Group {
    durations: Durations,
    failures: u64,
    expected: u64,
}

impl Group {
    fn record(&mut self, outcome: &Outcome<'_>) {
        self.durations.record(outcome.duration);
        match outcome.failure {
            Some(Failure::Unexpected) => self.failures += 1,
            Some(Failure::Expected) => self.expected += 1,
            None => {}
        }
    }
}

#[derive(Debug)]
struct PhaseGroup {
    name: String,
    users: usize,
    time: Duration,
    group: Group,
}

#[derive(Debug, Default)]
struct Totals {
    all: Group,
    window: Group,
    by_name: BTreeMap<&'static str, Group>,
    phases: Vec<PhaseGroup>,
    current: Option<(usize, Instant)>,
    statuses: BTreeMap<String, u64>,
    kinds: HashMap<(&'static str, String), FailureKind>,
}

/// What was measured so far.
#[derive(Debug, Default)]
pub(super) struct Recorder(Mutex<Totals>);

/// What the progress line shows, since the last time it was asked.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Window {
    pub(super) requests: u64,
    pub(super) failures: u64,
    pub(super) p95_ms: f64,
}

/// Everything, in the report's rows.
#[derive(Debug, Default)]
pub(super) struct Summary {
    pub(super) requests: u64,
    pub(super) failures: u64,
    pub(super) expected: u64,
    pub(super) latency_ms: Latency,
    pub(super) by_request: Vec<RequestRow>,
    pub(super) by_phase: Vec<PhaseRow>,
    pub(super) statuses: BTreeMap<String, u64>,
    pub(super) failure_kinds: Vec<FailureKind>,
}

impl Recorder {
    fn totals(&self) -> MutexGuard<'_, Totals> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a phase; requests count to it until the next. Phases of one name are one row.
    pub(super) fn enter_phase(&self, name: &str, users: usize) {
        let totals = &mut *self.totals();
        close_phase(totals);
        let index = totals.phases.iter().position(|phase| phase.name == name).unwrap_or_else(|| {
            let name = name.to_owned();
            totals.phases.push(PhaseGroup { name, users, time: Duration::ZERO, group: Group::default() });
            totals.phases.len() - 1
        });
        totals.current = Some((index, Instant::now()));
    }

    /// Ends the last phase.
    pub(super) fn end(&self) {
        close_phase(&mut self.totals());
    }

    /// Counts a request; `true` when its failure is the first of its kind.
    pub(super) fn record(&self, outcome: &Outcome<'_>) -> bool {
        let totals = &mut *self.totals();
        totals.all.record(outcome);
        totals.window.record(outcome);
        totals.by_name.entry(outcome.name).or_default().record(outcome);
        if let Some((index, _)) = totals.current
            && let Some(phase) = totals.phases.get_mut(index)
        {
            phase.group.record(outcome);
        }
        match totals.statuses.get_mut(outcome.status) {
            Some(count) => *count += 1,
            None => drop(totals.statuses.insert(outcome.status.to_owned(), 1)),
        }
        let Some(failure) = outcome.failure else { return false };
        let kind = totals.kinds.entry((outcome.name, outcome.status.to_owned())).or_insert_with(|| FailureKind {
            request: outcome.name.to_owned(),
            error: outcome.status.to_owned(),
            expected: true,
            count: 0,
            trace_id: None,
        });
        kind.count += 1;
        kind.expected &= failure == Failure::Expected;
        if outcome.sampled {
            // The newest: the backend's store is bounded, an old trace may be gone.
            kind.trace_id = Some(outcome.trace_id.to_string());
        }
        kind.count == 1
    }

    /// What happened since the last call.
    pub(super) fn window(&self) -> Window {
        let window = std::mem::take(&mut self.totals().window);
        Window {
            requests: window.durations.count,
            failures: window.failures,
            p95_ms: window.durations.percentile(0.95),
        }
    }

    /// Everything so far.
    pub(super) fn summary(&self) -> Summary {
        let totals = self.totals();
        let mut failure_kinds: Vec<_> = totals.kinds.values().cloned().collect();
        failure_kinds.sort_by_key(|kind| (kind.expected, std::cmp::Reverse(kind.count), kind.request.clone()));
        Summary {
            requests: totals.all.durations.count,
            failures: totals.all.failures,
            expected: totals.all.expected,
            latency_ms: totals.all.durations.latency(),
            by_request: totals.by_name.iter().map(|(name, group)| request_row(name, group)).collect(),
            by_phase: totals.phases.iter().map(phase_row).collect(),
            statuses: totals.statuses.clone(),
            failure_kinds,
        }
    }
}

fn close_phase(totals: &mut Totals) {
    if let Some((index, since)) = totals.current.take()
        && let Some(phase) = totals.phases.get_mut(index)
    {
        phase.time += since.elapsed();
    }
}

fn request_row(name: &str, group: &Group) -> RequestRow {
    RequestRow {
        name: name.to_owned(),
        requests: group.durations.count,
        failures: group.failures,
        expected_errors: group.expected,
        latency_ms: group.durations.latency(),
    }
}

fn phase_row(phase: &PhaseGroup) -> PhaseRow {
    let seconds = phase.time.as_secs_f64();
    PhaseRow {
        name: phase.name.clone(),
        users: phase.users,
        seconds,
        requests: phase.group.durations.count,
        failures: phase.group.failures,
        rate: if seconds > 0.0 { phase.group.durations.count as f64 / seconds } else { 0.0 },
        latency_ms: phase.group.durations.latency(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(status: &'static str, millis: u64, failure: Option<Failure>, id: u8) -> Outcome<'static> {
        Outcome {
            name: "GET /x",
            status,
            duration: Duration::from_millis(millis),
            failure,
            sampled: true,
            trace_id: opentelemetry::TraceId::from_bytes([id; 16]),
        }
    }

    #[test]
    fn percentiles_are_at_most_two_percent_high() {
        let recorder = Recorder::default();
        for millis in 1..=1000 {
            recorder.record(&outcome("200", millis, None, 1));
        }
        let latency = recorder.summary().latency_ms;
        for (got, want) in [(latency.p50, 500.0), (latency.p95, 950.0), (latency.p99, 990.0)] {
            assert!((want..=want * 1.021).contains(&got), "{got} for {want}");
        }
        assert_eq!(latency.max, 1000.0);
    }

    #[test]
    fn each_failure_kind_keeps_its_newest_trace_and_whether_it_was_meant() {
        let recorder = Recorder::default();
        assert!(recorder.record(&outcome("500", 1, Some(Failure::Expected), 1)));
        assert!(!recorder.record(&outcome("500", 1, Some(Failure::Expected), 2)));
        assert!(recorder.record(&outcome("connect", 1, Some(Failure::Unexpected), 3)));
        let summary = recorder.summary();
        assert_eq!((summary.requests, summary.failures, summary.expected), (3, 1, 2));
        let kinds: Vec<_> = summary.failure_kinds.iter().map(|k| (k.error.as_str(), k.expected, k.count)).collect();
        assert_eq!(kinds, [("connect", false, 1), ("500", true, 2)]);
        assert_eq!(summary.failure_kinds[1].trace_id.as_deref(), Some("02".repeat(16).as_str()));
    }

    #[test]
    fn requests_count_to_the_phase_they_end_in_and_phases_of_one_name_are_one_row() {
        let recorder = Recorder::default();
        for (phase, users) in [("base", 1), ("spike", 9), ("base", 1)] {
            recorder.enter_phase(phase, users);
            recorder.record(&outcome("200", 1, None, 1));
        }
        recorder.end();
        let phases: Vec<_> = recorder.summary().by_phase.into_iter().map(|p| (p.name, p.users, p.requests)).collect();
        assert_eq!(phases, [("base".to_owned(), 1, 2), ("spike".to_owned(), 9, 1)]);
    }
}
