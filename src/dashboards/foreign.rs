//! Metrics and labels that others emit: their names are facts about those programs, kept here so that no board holds one.
//! Called by the boards. Ours are in `telemetry::names`.

/// OpenTelemetry Collector, its own metrics (<https://opentelemetry.io/docs/collector/internal-telemetry/>), without units
/// as configs/collector/core.yaml asks; it scrapes itself.
pub(super) mod collector {
    pub(in super::super) const ACCEPTED_SPANS: &str = "otelcol_receiver_accepted_spans_total";
    pub(in super::super) const ACCEPTED_LOGS: &str = "otelcol_receiver_accepted_log_records_total";
    pub(in super::super) const ACCEPTED_POINTS: &str = "otelcol_receiver_accepted_metric_points_total";
    pub(in super::super) const REFUSED_SPANS: &str = "otelcol_receiver_refused_spans_total";
    pub(in super::super) const REFUSED_LOGS: &str = "otelcol_receiver_refused_log_records_total";
    pub(in super::super) const REFUSED_POINTS: &str = "otelcol_receiver_refused_metric_points_total";
    pub(in super::super) const SENT_SPANS: &str = "otelcol_exporter_sent_spans_total";
    pub(in super::super) const SENT_LOGS: &str = "otelcol_exporter_sent_log_records_total";
    pub(in super::super) const SENT_POINTS: &str = "otelcol_exporter_sent_metric_points_total";
    pub(in super::super) const FAILED_SPANS: &str = "otelcol_exporter_send_failed_spans_total";
    pub(in super::super) const FAILED_LOGS: &str = "otelcol_exporter_send_failed_log_records_total";
    pub(in super::super) const FAILED_POINTS: &str = "otelcol_exporter_send_failed_metric_points_total";
    pub(in super::super) const ENQUEUE_FAILED_SPANS: &str = "otelcol_exporter_enqueue_failed_spans_total";
    pub(in super::super) const ENQUEUE_FAILED_LOGS: &str = "otelcol_exporter_enqueue_failed_log_records_total";
    pub(in super::super) const ENQUEUE_FAILED_POINTS: &str = "otelcol_exporter_enqueue_failed_metric_points_total";
    pub(in super::super) const QUEUE_SIZE: &str = "otelcol_exporter_queue_size";
    pub(in super::super) const QUEUE_CAPACITY: &str = "otelcol_exporter_queue_capacity";
    pub(in super::super) const MEMORY_RSS: &str = "otelcol_process_memory_rss";
    pub(in super::super) const CPU_SECONDS: &str = "otelcol_process_cpu_seconds_total";
    pub(in super::super) const UPTIME: &str = "otelcol_process_uptime_total";
    /// Labels.
    pub(in super::super) const RECEIVER: &str = "receiver";
    pub(in super::super) const EXPORTER: &str = "exporter";
    pub(in super::super) const DATA_TYPE: &str = "data_type";
}

/// node exporter (<https://github.com/prometheus/node_exporter>).
pub(super) mod node {
    pub(in super::super) const CPU: &str = "node_cpu_seconds_total";
    pub(in super::super) const LOAD1: &str = "node_load1";
    pub(in super::super) const MEMORY_AVAILABLE: &str = "node_memory_MemAvailable_bytes";
    pub(in super::super) const MEMORY_TOTAL: &str = "node_memory_MemTotal_bytes";
    pub(in super::super) const MAJOR_FAULTS: &str = "node_vmstat_pgmajfault";
    pub(in super::super) const FILESYSTEM_AVAILABLE: &str = "node_filesystem_avail_bytes";
    pub(in super::super) const FILESYSTEM_SIZE: &str = "node_filesystem_size_bytes";
    pub(in super::super) const DISK_BUSY: &str = "node_disk_io_time_seconds_total";
    pub(in super::super) const DISK_QUEUED: &str = "node_disk_io_time_weighted_seconds_total";
    pub(in super::super) const NETWORK_IN: &str = "node_network_receive_bytes_total";
    pub(in super::super) const NETWORK_OUT: &str = "node_network_transmit_bytes_total";
    pub(in super::super) const NETWORK_DROPPED: &str = "node_network_receive_drop_total";
}

/// The collector's host metrics receiver: `system.*` of the semantic conventions, as remote write names them.
pub(super) mod system {
    pub(in super::super) const CPU: &str = "system_cpu_time_seconds_total";
    pub(in super::super) const LOAD1: &str = "system_cpu_load_average_1m";
    pub(in super::super) const MEMORY: &str = "system_memory_usage_bytes";
    pub(in super::super) const FAULTS: &str = "system_paging_faults_total";
    pub(in super::super) const FILESYSTEM: &str = "system_filesystem_usage_bytes";
    pub(in super::super) const DISK_BUSY: &str = "system_disk_io_time_seconds_total";
    pub(in super::super) const DISK_QUEUED: &str = "system_disk_weighted_io_time_seconds_total";
    pub(in super::super) const NETWORK: &str = "system_network_io_bytes_total";
    pub(in super::super) const NETWORK_DROPPED: &str = "system_network_dropped_total";
}

/// The collector's span metrics connector.
pub(super) mod spans {
    pub(in super::super) const CALLS: &str = "traces_span_metrics_calls_total";
    pub(in super::super) const DURATION_BUCKETS: &str = "traces_span_metrics_duration_seconds_bucket";
    pub(in super::super) const SPAN_NAME: &str = "span_name";
    pub(in super::super) const SERVICE: &str = "service_name";
    pub(in super::super) const STATUS: &str = "status_code";
    pub(in super::super) const STATUS_ERROR: &str = "STATUS_CODE_ERROR";
}

/// Recording rules that sloth generates (<https://sloth.dev>), and Prometheus's own series of alerts.
pub(super) mod slo {
    pub(in super::super) const INFO: &str = "sloth_slo_info";
    pub(in super::super) const OBJECTIVE: &str = "slo:objective:ratio";
    pub(in super::super) const ERROR_BUDGET: &str = "slo:error_budget:ratio";
    pub(in super::super) const CURRENT_BURN_RATE: &str = "slo:current_burn_rate:ratio";
    pub(in super::super) const BUDGET_REMAINING: &str = "slo:period_error_budget_remaining:ratio";
    /// Followed by a window: `5m`, `30m`, `1h`, `2h`, `6h`, `1d`, `3d`, `30d`.
    pub(in super::super) const ERROR_RATIO: &str = "slo:sli_error:ratio_rate";
    pub(in super::super) const ID: &str = "sloth_id";
    pub(in super::super) const SERVICE: &str = "sloth_service";
    pub(in super::super) const NAME: &str = "sloth_slo";
    pub(in super::super) const ALERTS: &str = "ALERTS";
}

/// What Prometheus's client libraries say of a process, and what the scraper says of a target.
pub(super) mod target {
    pub(in super::super) const UP: &str = "up";
    pub(in super::super) const MEMORY: &str = "process_resident_memory_bytes";
    pub(in super::super) const CPU: &str = "process_cpu_seconds_total";
}

/// Grafana Faro, as its receiver writes it to Loki: one logfmt line a measurement, exception or event.
pub(super) mod faro {
    pub(in super::super) const WEB_VITALS: &str = "| logfmt | kind=\"measurement\" | type=\"web-vitals\"";
    pub(in super::super) const EXCEPTIONS: &str = "| logfmt | kind=\"exception\"";
    pub(in super::super) const PAGE: &str = "page_url";
    pub(in super::super) const SESSION: &str = "session_id";
    pub(in super::super) const EXCEPTION_TYPE: &str = "type";
}
