//! Alerts on telemetry on its way: the SDKs' own counters and the collector's. Called by `alerts`.
//! The collector's names (0.155; counters as remote write names them) are not ours and live only here.

use super::rule::{Alert, Bound, COLLECTOR_JOB, Data, Group, Severity, any_grew};
use crate::telemetry::names::prometheus::label;
use crate::telemetry::names::{
    Metric, SDK_EXPORTER_LOG_EXPORTED, SDK_EXPORTER_METRIC_EXPORTED, SDK_EXPORTER_SPAN_EXPORTED,
    SDK_PROCESSOR_LOG_PROCESSED, SDK_PROCESSOR_SPAN_PROCESSED, attr,
};

/// Share of an exporter's queue. Half leaves as long again as the outage has lasted.
const QUEUE_RATIO: f64 = 0.5;
/// Each signal and how the collector's counters end.
const SIGNALS: [(&str, &str); 3] =
    [("traces", "spans_total"), ("logs", "log_records_total"), ("metrics", "metric_points_total")];

pub(super) fn alerts() -> Vec<Alert> {
    vec![dropped(), collector_down(), queue(), export_failed(), refusing(), target_down()]
}

fn dropped() -> Alert {
    let error = label(attr::ERROR_TYPE);
    let lost = |signal, metric: Metric| (signal, format!("{}{{{error}!=\"\"}}", metric.prometheus_name()));
    let counters = [
        lost("spans the queue refused", SDK_PROCESSOR_SPAN_PROCESSED),
        lost("spans not exported", SDK_EXPORTER_SPAN_EXPORTED),
        lost("log records the queue refused", SDK_PROCESSOR_LOG_PROCESSED),
        lost("log records not exported", SDK_EXPORTER_LOG_EXPORTED),
        lost("metric points not exported", SDK_EXPORTER_METRIC_EXPORTED),
    ];
    Alert {
        name: "TelemetryDropped",
        group: Group::Pipeline,
        severity: Severity::Warning,
        value: any_grew("job", &counters),
        bound: Bound::Above(0.0),
        wait: "1m",
        condition: "a program lost spans, log records or metric points".into(),
        summary: "{{ $labels.job }} loses telemetry".into(),
        description: "{{ $labels.job }} lost {{ $value | humanize }} {{ $labels.signal }} in the last 5 minutes."
            .into(),
        dashboard: "pipeline",
        panel: "Lost before the collector",
        data: Data::Pushed,
    }
}

fn collector_down() -> Alert {
    Alert {
        name: "CollectorDown",
        group: Group::Pipeline,
        severity: Severity::Critical,
        value: format!("absent_over_time(up{{job=\"{COLLECTOR_JOB}\"}}[3m])"),
        bound: Bound::Any,
        wait: "1m",
        condition: "the collector's scrape of itself missing for 3 min".into(),
        summary: "The collector sends nothing".into(),
        description: "The collector's own metrics have not arrived for 3 minutes: no telemetry is coming in, and every other alert is blind.".into(),
        dashboard: "pipeline",
        panel: "Collector",
        data: Data::Collector,
    }
}

fn queue() -> Alert {
    Alert {
        name: "CollectorQueueFilling",
        group: Group::Pipeline,
        severity: Severity::Warning,
        value: "max by (job, exporter) (otelcol_exporter_queue_size / otelcol_exporter_queue_capacity)".into(),
        bound: Bound::Above(QUEUE_RATIO),
        wait: "2m",
        condition: "a sending queue > 50 % full".into(),
        summary: "The collector cannot send to {{ $labels.exporter }} fast enough".into(),
        description: "The sending queue of {{ $labels.exporter }} is {{ $value | humanizePercentage }} full: its backend is down or slow. When the queue is full, new data is lost.".into(),
        dashboard: "pipeline",
        panel: "Sending queue",
        data: Data::Collector,
    }
}

/// Counters `otelcol_STEP_SIGNAL_total`, one a signal.
fn counters(step: &str, what: &[&'static str; 3]) -> Vec<(&'static str, String)> {
    SIGNALS.iter().zip(what).map(|((_, ends), what)| (*what, format!("otelcol_{step}_{ends}"))).collect()
}

fn export_failed() -> Alert {
    let failed =
        counters("exporter_send_failed", &["spans rejected", "log records rejected", "metric points rejected"]);
    let full = counters(
        "exporter_enqueue_failed",
        &["spans past a full queue", "log records past a full queue", "metric points past a full queue"],
    );
    Alert {
        name: "CollectorExportFailed",
        group: Group::Pipeline,
        severity: Severity::Critical,
        value: any_grew("job, exporter", &[failed, full].concat()),
        bound: Bound::Above(0.0),
        wait: "1m",
        condition: "an exporter lost data".into(),
        summary: "The collector loses data for {{ $labels.exporter }}".into(),
        description: "{{ $labels.exporter }} lost {{ $value | humanize }} {{ $labels.signal }} in the last 5 minutes: the backend rejected them for good, or the queue was full.".into(),
        dashboard: "pipeline",
        panel: "Failed and refused",
        data: Data::Collector,
    }
}

fn refusing() -> Alert {
    Alert {
        name: "CollectorRefusing",
        group: Group::Pipeline,
        severity: Severity::Warning,
        value: any_grew("job, receiver", &counters("receiver_refused", &["spans", "log records", "metric points"])),
        bound: Bound::Above(0.0),
        wait: "1m",
        condition: "a receiver refused data".into(),
        summary: "The collector refuses data from {{ $labels.receiver }}".into(),
        description: "{{ $labels.receiver }} refused {{ $value | humanize }} {{ $labels.signal }} in the last 5 minutes: the memory limit is reached or a queue is full.".into(),
        dashboard: "pipeline",
        panel: "Failed and refused",
        data: Data::Collector,
    }
}

fn target_down() -> Alert {
    Alert {
        name: "TargetDown",
        group: Group::Pipeline,
        severity: Severity::Critical,
        value: "up".into(),
        bound: Bound::Below(1.0),
        wait: "2m",
        condition: "a scrape target does not answer".into(),
        summary: "{{ $labels.job }} does not answer".into(),
        description: "The scrape of {{ $labels.job }} at {{ $labels.instance }} fails.".into(),
        dashboard: "pipeline",
        panel: "Scrape targets",
        data: Data::Collector,
    }
}
