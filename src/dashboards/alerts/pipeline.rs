//! Alerts on telemetry on its way: the SDKs' own counters and the collector's. Called by `alerts`.
//! The collector's names are `foreign`'s.

use super::rule::{Alert, Bound, COLLECTOR_JOB, Data, Group, Severity, any_grew};
use crate::dashboards::foreign::{collector, target};
use crate::telemetry::names::prometheus::label;
use crate::telemetry::names::{
    Metric, SDK_EXPORTER_LOG_EXPORTED, SDK_EXPORTER_METRIC_EXPORTED, SDK_EXPORTER_SPAN_EXPORTED,
    SDK_PROCESSOR_LOG_PROCESSED, SDK_PROCESSOR_SPAN_PROCESSED, attr,
};

/// Share of an exporter's queue. Half leaves as long again as the outage has lasted.
const QUEUE_RATIO: f64 = 0.5;
pub(super) fn alerts() -> Vec<Alert> {
    vec![dropped(), collector_down(), not_sending(), queue(), export_failed(), refusing(), target_down()]
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
        panel: "In the services (SDK) / Lost in the services",
        data: Data::Pushed,
    }
}

fn collector_down() -> Alert {
    Alert {
        name: "CollectorDown",
        group: Group::Pipeline,
        severity: Severity::Critical,
        value: format!("absent_over_time({}{{job=\"{COLLECTOR_JOB}\"}}[3m])", target::UP),
        bound: Bound::Any,
        wait: "1m",
        condition: "the collector's scrape of itself missing for 3 min".into(),
        summary: "The collector sends nothing".into(),
        description: "The collector's own metrics have not arrived for 3 minutes: no telemetry is coming in, and every other alert is blind.".into(),
        dashboard: "pipeline",
        panel: "Collector up",
        data: Data::Collector,
    }
}

/// A queue on disk takes hours to fill, so a dead backend shows earlier as one that nothing leaves.
fn not_sending() -> Alert {
    let by = format!("by (job, {})", collector::EXPORTER);
    let sent = [collector::SENT_SPANS, collector::SENT_LOGS, collector::SENT_POINTS];
    let sent = sent.map(|metric| format!("  sum {by} (increase({metric}[5m])) > 0")).join("\n  or\n");
    Alert {
        name: "CollectorNotSending",
        group: Group::Pipeline,
        severity: Severity::Critical,
        value: format!(
            "max {by} (min_over_time({}[5m])) > 0\nunless on (job, {})\n(\n{sent}\n)",
            collector::QUEUE_SIZE,
            collector::EXPORTER
        ),
        bound: Bound::Any,
        wait: "1m",
        condition: "a queue holds data and nothing was sent for 5 min".into(),
        summary: "The collector sends nothing to {{ $labels.exporter }}".into(),
        description: "Nothing was sent to {{ $labels.exporter }} for 5 minutes, and {{ $value | humanize }} wait in its queue (bytes; of remote write requests): its backend is down or refuses.".into(),
        dashboard: "pipeline",
        panel: "In the collector / Sent",
        data: Data::Collector,
    }
}

fn queue() -> Alert {
    Alert {
        name: "CollectorQueueFilling",
        group: Group::Pipeline,
        severity: Severity::Warning,
        value: format!("max by (job, {}) ({} / {})", collector::EXPORTER, collector::QUEUE_SIZE, collector::QUEUE_CAPACITY),
        bound: Bound::Above(QUEUE_RATIO),
        wait: "2m",
        condition: "a sending queue > 50 % full".into(),
        summary: "The collector cannot send to {{ $labels.exporter }} fast enough".into(),
        description: "The sending queue of {{ $labels.exporter }} is {{ $value | humanizePercentage }} full: its backend is down or slow. When the queue is full, senders are refused.".into(),
        dashboard: "pipeline",
        panel: "In the collector / Sending queues",
        data: Data::Collector,
    }
}

fn export_failed() -> Alert {
    let lost = [
        ("spans rejected", collector::FAILED_SPANS),
        ("log records rejected", collector::FAILED_LOGS),
        ("metric points rejected", collector::FAILED_POINTS),
        ("spans past a full queue", collector::ENQUEUE_FAILED_SPANS),
        ("log records past a full queue", collector::ENQUEUE_FAILED_LOGS),
        ("metric points past a full queue", collector::ENQUEUE_FAILED_POINTS),
    ];
    Alert {
        name: "CollectorExportFailed",
        group: Group::Pipeline,
        severity: Severity::Critical,
        value: any_grew(&format!("job, {}", collector::EXPORTER), &lost),
        bound: Bound::Above(0.0),
        wait: "1m",
        condition: "an exporter lost data".into(),
        summary: "The collector loses data for {{ $labels.exporter }}".into(),
        description: "{{ $labels.exporter }} gave up {{ $value | humanize }} {{ $labels.signal }} in the last 5 minutes: the backend rejected them for good, or the queue was full and their senders were refused.".into(),
        dashboard: "pipeline",
        panel: "In the collector / Failed",
        data: Data::Collector,
    }
}

fn refusing() -> Alert {
    let refused = [
        ("spans", collector::REFUSED_SPANS),
        ("log records", collector::REFUSED_LOGS),
        ("metric points", collector::REFUSED_POINTS),
    ];
    Alert {
        name: "CollectorRefusing",
        group: Group::Pipeline,
        severity: Severity::Warning,
        value: any_grew(&format!("job, {}", collector::RECEIVER), &refused),
        bound: Bound::Above(0.0),
        wait: "1m",
        condition: "a receiver refused data".into(),
        summary: "The collector refuses data from {{ $labels.receiver }}".into(),
        description: "{{ $labels.receiver }} refused {{ $value | humanize }} {{ $labels.signal }} in the last 5 minutes: the memory limit is reached or a queue is full.".into(),
        dashboard: "pipeline",
        panel: "Refused",
        data: Data::Collector,
    }
}

fn target_down() -> Alert {
    Alert {
        name: "TargetDown",
        group: Group::Pipeline,
        severity: Severity::Critical,
        // Without the labels of the receiver's scope.
        value: format!("min by (job, instance) ({})", target::UP),
        bound: Bound::Below(1.0),
        wait: "2m",
        condition: "a scrape target does not answer".into(),
        summary: "{{ $labels.job }} does not answer".into(),
        description: "The scrape of {{ $labels.job }} at {{ $labels.instance }} fails.".into(),
        dashboard: "pipeline",
        panel: "In the backends / Targets",
        data: Data::Collector,
    }
}
