//! Pipeline: does telemetry itself arrive? From the SDK's queue through the collector to the backends.

use crate::dashboards::board::{Board, Services};
use crate::dashboards::foreign::{collector, target};
use crate::dashboards::needs::Needs;
use crate::dashboards::panel::{self, Panel, Unit};
use crate::dashboards::queries::{
    JOB, SERVICE_NAME, log_range, log_rate, of, of_service, range, rate, series, stream, sum_by,
};
use crate::telemetry::names::prometheus::label;
use crate::telemetry::names::{
    Metric, SDK_EXPORTER_LOG_EXPORTED, SDK_EXPORTER_METRIC_EXPORTED, SDK_EXPORTER_SPAN_EXPORTED,
    SDK_PROCESSOR_LOG_PROCESSED, SDK_PROCESSOR_LOG_QUEUE_CAPACITY, SDK_PROCESSOR_LOG_QUEUE_SIZE,
    SDK_PROCESSOR_SPAN_PROCESSED, SDK_PROCESSOR_SPAN_QUEUE_CAPACITY, SDK_PROCESSOR_SPAN_QUEUE_SIZE, attr,
};

pub(super) fn board() -> Board {
    Board::new(
        "pipeline",
        "Telemetry pipeline",
        "Does telemetry arrive? From the SDK's queues through the collector to the backends.",
    )
    .services(Services::All)
    .row(4, [lost_now(), queue_now(), failed_now(), refused_now(), uptime()])
    .heading("In the services (SDK)")
    .row(8, [sdk_queues(), sdk_lost(), sdk_exported()])
    .heading("In the collector")
    .row(8, [accepted(), sent(), failed()])
    .row(8, [queues(), memory(), cpu()])
    .heading("In the backends")
    .row(8, [arrived(), cardinality()])
    .row(8, [targets(), backend_memory(), backend_cpu()])
}

/// Series of a metric of the SDK that ended in an error.
fn with_error(metric: &Metric) -> String {
    of(metric, &[&of_service(JOB), &format!("{}!=\"\"", label(attr::ERROR_TYPE))])
}

const LOSSES: [(&Metric, &str); 5] = [
    (&SDK_PROCESSOR_SPAN_PROCESSED, "spans, queue full"),
    (&SDK_PROCESSOR_LOG_PROCESSED, "logs, queue full"),
    (&SDK_EXPORTER_SPAN_EXPORTED, "spans, export failed"),
    (&SDK_EXPORTER_LOG_EXPORTED, "logs, export failed"),
    (&SDK_EXPORTER_METRIC_EXPORTED, "points, export failed"),
];

/// Rate of a sum that has no series until the first of its kind.
fn or_zero(expr: &str) -> String {
    format!("{expr} or vector(0)")
}

fn total(names: &[&str]) -> String {
    names
        .iter()
        .map(|name| or_zero(&sum_by(&[], &rate(name))))
        .map(|expr| format!("({expr})"))
        .collect::<Vec<_>>()
        .join(" + ")
}

fn lost_now() -> Panel {
    let lost = LOSSES.map(|(metric, _)| format!("({})", or_zero(&sum_by(&[], &rate(&with_error(metric)))))).join(" + ");
    panel::stat("Lost in the services", "Spans, records and points a second that the SDK lost.", Unit::PerSecond)
        .warn(0.001, 1.0)
        .ask(range(lost, "lost"))
}

fn queue_now() -> Panel {
    panel::stat("Fullest queue", "How full the fullest sending queue of the collector is.", Unit::Ratio)
        .warn(0.5, 0.8)
        .ask(range(format!("max({} / {})", collector::QUEUE_SIZE, collector::QUEUE_CAPACITY), "queue"))
}

fn failed_now() -> Panel {
    let names = [collector::FAILED_SPANS, collector::FAILED_LOGS, collector::FAILED_POINTS];
    panel::stat("Failed in the collector", "Items a second that the collector could not deliver.", Unit::PerSecond)
        .warn(0.001, 1.0)
        .ask(range(total(&names), "failed"))
}

fn refused_now() -> Panel {
    let names = [collector::REFUSED_SPANS, collector::REFUSED_LOGS, collector::REFUSED_POINTS];
    panel::stat("Refused", "Items a second that the collector refused, such as for want of memory.", Unit::PerSecond)
        .warn(0.001, 1.0)
        .ask(range(total(&names), "refused"))
}

fn uptime() -> Panel {
    panel::stat("Collector up", "Time since the collector started.", Unit::Seconds)
        .neutral()
        .ask(range(format!("min({})", collector::UPTIME), "up"))
}

fn sdk_queues() -> Panel {
    let fill = |size: &Metric, capacity: &Metric| {
        let of = |metric| sum_by(&[JOB], &of(metric, &[&of_service(JOB)]));
        format!("{} / {}", of(size), of(capacity))
    };
    panel::timeseries("SDK queues", "How full the SDK's queues are; at 100 % it drops.", Unit::Ratio)
        .warn(0.5, 0.8)
        .threshold_lines()
        .ask(range(fill(&SDK_PROCESSOR_SPAN_QUEUE_SIZE, &SDK_PROCESSOR_SPAN_QUEUE_CAPACITY), "{{job}} spans"))
        .ask(range(fill(&SDK_PROCESSOR_LOG_QUEUE_SIZE, &SDK_PROCESSOR_LOG_QUEUE_CAPACITY), "{{job}} logs"))
}

fn sdk_lost() -> Panel {
    let panel = panel::timeseries("Lost in the services", "What the SDK lost a second, and why.", Unit::PerSecond)
        .warn(0.001, 1.0);
    LOSSES.iter().fold(panel, |panel, (metric, legend)| {
        panel.ask(range(or_zero(&sum_by(&[], &rate(&with_error(metric)))), legend))
    })
}

fn sdk_exported() -> Panel {
    let exported = |metric| sum_by(&[JOB], &rate(&of(metric, &[&of_service(JOB)])));
    panel::timeseries(
        "Exported by the services",
        "Spans, records and points a second that left the services.",
        Unit::PerSecond,
    )
    .ask(range(exported(&SDK_EXPORTER_SPAN_EXPORTED), "{{job}} spans"))
    .ask(range(exported(&SDK_EXPORTER_LOG_EXPORTED), "{{job}} logs"))
    .ask(range(exported(&SDK_EXPORTER_METRIC_EXPORTED), "{{job}} points"))
}

fn accepted() -> Panel {
    let accepted = |name| sum_by(&[], &rate(name));
    panel::timeseries("Accepted", "Items a second that the collector's receivers accepted.", Unit::PerSecond)
        .ask(range(accepted(collector::ACCEPTED_SPANS), "spans"))
        .ask(range(accepted(collector::ACCEPTED_LOGS), "logs"))
        .ask(range(accepted(collector::ACCEPTED_POINTS), "points"))
}

/// By exporter, such as `otlphttp/loki` or `prometheusremotewrite`.
fn by_exporter(name: &str) -> String {
    sum_by(&[collector::EXPORTER], &rate(name))
}

fn sent() -> Panel {
    let legend = |what: &str| format!("{{{{{}}}}} {what}", collector::EXPORTER);
    panel::timeseries("Sent", "Items a second that reached a backend, by exporter.", Unit::PerSecond)
        .ask(range(by_exporter(collector::SENT_SPANS), &legend("spans")))
        .ask(range(by_exporter(collector::SENT_LOGS), &legend("logs")))
        .ask(range(by_exporter(collector::SENT_POINTS), &legend("points")))
}

fn failed() -> Panel {
    let failed = |name| or_zero(&by_exporter(name));
    let legend = |what: &str| format!("{{{{{}}}}} {what}", collector::EXPORTER);
    panel::timeseries("Failed", "Items a second that a backend did not take, by exporter.", Unit::PerSecond)
        .warn(0.001, 1.0)
        .ask(range(failed(collector::FAILED_SPANS), &legend("spans")))
        .ask(range(failed(collector::FAILED_LOGS), &legend("logs")))
        .ask(range(failed(collector::FAILED_POINTS), &legend("points")))
}

fn queues() -> Panel {
    let by = [collector::EXPORTER, collector::DATA_TYPE];
    let of = |name| sum_by(&by, &series(name, &[]));
    let expr = format!("{} / {}", of(collector::QUEUE_SIZE), of(collector::QUEUE_CAPACITY));
    panel::timeseries(
        "Sending queues",
        "How full each sending queue is: it fills while a backend is away.",
        Unit::Ratio,
    )
    .warn(0.5, 0.8)
    .threshold_lines()
    .ask(range(expr, &format!("{{{{{}}}}} {{{{{}}}}}", by[0], by[1])))
}

fn memory() -> Panel {
    panel::timeseries("Memory", "Resident memory of the collector.", Unit::Bytes)
        .ask(range(sum_by(&["instance"], collector::MEMORY_RSS), "collector"))
}

fn cpu() -> Panel {
    panel::timeseries("Cores used", "CPU seconds a second of the collector.", Unit::Plain)
        .ask(range(sum_by(&["instance"], &rate(collector::CPU_SECONDS)), "collector"))
}

fn arrived() -> Panel {
    let exported = of(&SDK_EXPORTER_LOG_EXPORTED, &[&of_service(JOB), &format!("{}=\"\"", label(attr::ERROR_TYPE))]);
    panel::timeseries(
        "Log records: sent and stored",
        "What the services sent a second and what Loki has of them.",
        Unit::PerSecond,
    )
    .ask(range(sum_by(&[JOB], &rate(&exported)), "{{job}} sent"))
    .ask(log_range(log_rate(&[SERVICE_NAME], &stream("")), &format!("{{{{{SERVICE_NAME}}}}} stored")))
}

fn cardinality() -> Panel {
    panel::timeseries(
        "Series",
        "Series in Prometheus, by service: a jump is a label with too many values.",
        Unit::Count,
    )
    .ask(range(format!("count by ({JOB}) ({{{}}})", of_service(JOB)), "{{job}}"))
}

fn targets() -> Panel {
    panel::timeseries("Targets", "1 where the collector could scrape the program, 0 where not.", Unit::Count)
        .ask(range(format!("min by ({JOB}) ({})", target::UP), "{{job}}").scraped())
}

fn backend_memory() -> Panel {
    panel::timeseries("Memory of the backends", "Resident memory, by program.", Unit::Bytes)
        .needs(Needs::BackendMetrics)
        .ask(range(sum_by(&[JOB], target::MEMORY), "{{job}}").scraped())
}

fn backend_cpu() -> Panel {
    panel::timeseries("Cores of the backends", "CPU seconds a second, by program.", Unit::Plain)
        .needs(Needs::BackendMetrics)
        .ask(range(sum_by(&[JOB], &rate(target::CPU)), "{{job}}").scraped())
}
