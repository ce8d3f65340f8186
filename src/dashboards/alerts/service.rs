//! Alerts on what users of the service notice, from metrics the service pushes. Called by `alerts`.
//! Metrics come from `telemetry::names` only: a renamed one does not compile.

use super::rule::{Alert, Bound, Data, Group, Severity};
use crate::telemetry::names::prometheus::label;
use crate::telemetry::names::{
    HTTP_SERVER_REQUEST_DURATION, PROCESS_CPU_UTILIZATION, PROCESS_MEMORY_USAGE, PROCESS_UPTIME, SERVICE_APP, attr,
};

/// Share of 5xx answers, of every route: the demo's `/error` and `/crash` count, so that one can see the alert fire.
/// The load tester's mix stays below it.
const ERROR_RATIO: f64 = 0.05;
/// 95th percentile, in seconds.
const LATENCY_SECONDS: f64 = 1.0;
/// Share of all cores.
const CPU_RATIO: f64 = 0.8;
/// Resident bytes: 80 % of the 128 MiB that `configs/limits.json` gives the container; at 100 % it is killed.
const MEMORY_BYTES: f64 = 0.8 * 128.0 * 1024.0 * 1024.0;

pub(super) fn alerts() -> Vec<Alert> {
    vec![error_rate(), latency(), cpu(), memory(), down()]
}

fn error_rate() -> Alert {
    let requests = HTTP_SERVER_REQUEST_DURATION.prometheus_name();
    let status = label(attr::HTTP_RESPONSE_STATUS_CODE);
    Alert {
        name: "ErrorRateHigh",
        group: Group::Service,
        severity: Severity::Critical,
        value: format!(
            "sum by (job) (rate({requests}_count{{{status}=~\"5..\"}}[5m]))\n/\nsum by (job) (rate({requests}_count[5m]))"
        ),
        bound: Bound::Above(ERROR_RATIO),
        wait: "5m",
        condition: "5xx answers > 5 % of requests".into(),
        summary: "{{ $labels.job }} answers with errors".into(),
        description: "{{ $value | humanizePercentage }} of the requests to {{ $labels.job }} in the last 5 minutes were answered with 5xx (allowed: 5 %).".into(),
        dashboard: "golden-signals",
        panel: "Errors by route",
        data: Data::Pushed,
    }
}

fn latency() -> Alert {
    let requests = HTTP_SERVER_REQUEST_DURATION.prometheus_name();
    Alert {
        name: "LatencyHigh",
        group: Group::Service,
        severity: Severity::Warning,
        value: format!("histogram_quantile(0.95, sum by (job, le) (rate({requests}_bucket[5m])))"),
        bound: Bound::Above(LATENCY_SECONDS),
        wait: "5m",
        condition: "p95 of request duration > 1 s".into(),
        summary: "{{ $labels.job }} is slow".into(),
        description: "95 % of the requests to {{ $labels.job }} in the last 5 minutes took up to {{ $value | humanizeDuration }} (allowed: 1 s).".into(),
        dashboard: "golden-signals",
        panel: "Latency",
        data: Data::Pushed,
    }
}

fn cpu() -> Alert {
    Alert {
        name: "ServiceCpuHigh",
        group: Group::Service,
        severity: Severity::Warning,
        // Averaged: the gauge holds the time since the last collection only.
        value: format!("max by (job, instance) (avg_over_time({}[5m]))", PROCESS_CPU_UTILIZATION.prometheus_name()),
        bound: Bound::Above(CPU_RATIO),
        wait: "5m",
        condition: "process CPU > 80 % of all cores".into(),
        summary: "{{ $labels.job }} uses most of its CPU".into(),
        description: "{{ $labels.job }} ({{ $labels.instance }}) used {{ $value | humanizePercentage }} of all cores for 5 minutes (allowed: 80 %).".into(),
        dashboard: "resources",
        panel: "Process / CPU utilization",
        data: Data::Pushed,
    }
}

fn memory() -> Alert {
    Alert {
        name: "ServiceMemoryHigh",
        group: Group::Service,
        severity: Severity::Warning,
        value: format!("max by (job, instance) ({})", PROCESS_MEMORY_USAGE.prometheus_name()),
        bound: Bound::Above(MEMORY_BYTES),
        wait: "10m",
        condition: "resident memory > 80 % of the container's 128 MiB".into(),
        summary: "{{ $labels.job }} holds much memory".into(),
        description: "{{ $labels.job }} ({{ $labels.instance }}) holds {{ $value | humanize1024 }}B of memory (allowed: 80 % of the container's 128 MiB).".into(),
        dashboard: "resources",
        panel: "Process / Memory",
        data: Data::Pushed,
    }
}

fn down() -> Alert {
    Alert {
        name: "ServiceDown",
        group: Group::Service,
        severity: Severity::Critical,
        // The service pushes, so its heartbeat is a metric it always has.
        value: format!("absent_over_time({}{{job=\"{SERVICE_APP}\"}}[3m])", PROCESS_UPTIME.prometheus_name()),
        bound: Bound::Any,
        wait: "1m",
        condition: "no heartbeat of the service for 3 min".into(),
        summary: "{{ $labels.job }} sends nothing".into(),
        description: "No metric of {{ $labels.job }} arrived for 3 minutes: it is down, or nothing it sends arrives."
            .into(),
        dashboard: "golden-signals",
        panel: "Traffic by status",
        data: Data::Pushed,
    }
}
