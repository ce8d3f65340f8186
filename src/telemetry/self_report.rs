//! Says on stdout, at most once a minute, how much telemetry was lost and why. Called by the exporter threads after each
//! turn and at shutdown. The line never goes to OTLP: a receiver that is down would make it feed on itself.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::stats::Stats;

/// Target of the line; the OTLP log layer leaves it out.
pub(super) const TARGET: &str = "signalbox::telemetry";

const PAUSE: Duration = Duration::from_secs(60);

/// Losses of the three signals, as far as they were reported.
#[derive(Debug, Default)]
pub(super) struct SelfReport {
    /// Spans, log records, points.
    stats: [Arc<Stats>; 3],
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    reported: [u64; 3],
    last: Option<Instant>,
}

impl SelfReport {
    pub(super) fn new(spans: Arc<Stats>, logs: Arc<Stats>, points: Arc<Stats>) -> Self {
        Self { stats: [spans, logs, points], state: Mutex::default() }
    }

    /// Reports new losses when the last report is old enough.
    pub(super) fn tick(&self) {
        self.report(PAUSE);
    }

    /// Reports new losses at once: the process ends.
    pub(super) fn last(&self) {
        self.report(Duration::ZERO);
    }

    fn report(&self, pause: Duration) {
        let Some((lost, total)) = self.due(pause) else { return };
        let reasons = self.reasons();
        tracing::warn!(
            target: TARGET,
            spans_lost = lost[0], logs_lost = lost[1], points_lost = lost[2],
            spans_lost_total = total[0], logs_lost_total = total[1], points_lost_total = total[2],
            reasons,
            "telemetry was lost"
        );
    }

    /// Losses since the last report and in total, when it is time to say so.
    fn due(&self, pause: Duration) -> Option<([u64; 3], [u64; 3])> {
        let total = [self.stats[0].lost(), self.stats[1].lost(), self.stats[2].lost()];
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if total == state.reported || state.last.is_some_and(|last| last.elapsed() < pause) {
            return None;
        }
        let lost = std::array::from_fn(|i| total[i].saturating_sub(state.reported[i]));
        *state = State { reported: total, last: Some(Instant::now()) };
        Some((lost, total))
    }

    fn reasons(&self) -> String {
        let mut reasons: Vec<String> = self
            .stats
            .iter()
            .flat_map(|s| s.refused().into_keys().map(str::to_owned).chain(s.failed().into_keys()))
            .collect();
        reasons.sort();
        reasons.dedup();
        reasons.join(",")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_are_reported_at_most_once_a_pause_and_never_twice() {
        let spans = Arc::new(Stats::default());
        let report = SelfReport::new(Arc::clone(&spans), Arc::default(), Arc::default());
        assert_eq!(report.due(PAUSE), None);
        spans.refuse("queue_full", 3);
        assert_eq!(report.due(PAUSE), Some(([3, 0, 0], [3, 0, 0])));
        spans.refuse("queue_full", 2);
        assert_eq!(report.due(PAUSE), None);
        assert_eq!(report.due(Duration::ZERO), Some(([2, 0, 0], [5, 0, 0])));
        assert_eq!(report.due(Duration::ZERO), None);
        assert_eq!(report.reasons(), "queue_full");
    }
}
