//! Golden signals: what whoever is on call opens first. Latency, traffic, errors, saturation, then the errors' lines.

use crate::dashboards::board::Board;
use crate::dashboards::links;
use crate::dashboards::panel::{self, GREEN, Panel, RED, Unit, YELLOW};
use crate::dashboards::queries::{
    JOB, SEVERITY_TEXT, instant, log_lines, of, of_route, of_service, quantile, range, rate, ratio, route_label,
    status_label, stream, sum_by,
};
use crate::telemetry::names::{
    HTTP_SERVER_ACTIVE_REQUESTS, HTTP_SERVER_REQUEST_DURATION, PROCESS_CPU_UTILIZATION, PROCESS_MEMORY_USAGE,
    REQUEST_COUNT,
};

pub(super) fn board() -> Board {
    Board::new(
        "golden-signals",
        "Golden signals",
        "Latency, traffic, errors and saturation of the service: start here.",
    )
    .load_phases()
    .row(4, [rate_now(), errors_now(), p95_now(), in_flight_now(), cpu_now(), memory_now()])
    .row(9, [traffic(), latency()])
    .row(8, [errors_by_route(), saturation()])
    .row(9, [error_lines()])
}

/// Answers of the chosen services and routes, and those of them with a status.
fn answers(status: Option<&str>) -> String {
    let status = status.map(|pattern| format!("{}=~\"{pattern}\"", status_label()));
    let (service, route) = (of_service(JOB), of_route());
    let matchers = [Some(service.as_str()), Some(route.as_str()), status.as_deref()];
    of(&HTTP_SERVER_REQUEST_DURATION, &matchers.into_iter().flatten().collect::<Vec<_>>())
}

fn rate_now() -> Panel {
    panel::stat("Requests", "Requests answered a second.", Unit::RequestsPerSecond)
        .neutral()
        .ask(range(sum_by(&[], &rate(&answers(None))), "requests"))
}

fn errors_now() -> Panel {
    panel::stat("Errors", "Part of the requests answered with 5xx.", Unit::Ratio)
        .warn(0.01, 0.05)
        .ask(range(ratio(&answers(Some("5..")), &answers(None), &[]), "errors"))
}

fn p95_now() -> Panel {
    let p95 = quantile(0.95, &HTTP_SERVER_REQUEST_DURATION, &[&of_service(JOB), &of_route()], &[]);
    panel::stat("p95", "95 of 100 requests are answered within this time.", Unit::Seconds)
        .warn(0.5, 1.0)
        .ask(range(p95, "p95"))
}

fn in_flight_now() -> Panel {
    panel::stat("In flight", "Requests being answered now.", Unit::Count)
        .neutral()
        .ask(range(sum_by(&[], &of(&HTTP_SERVER_ACTIVE_REQUESTS, &[&of_service(JOB)])), "in flight"))
}

fn cpu_now() -> Panel {
    panel::stat("CPU", "CPU time of the busiest process over all cores.", Unit::Ratio)
        .warn(0.6, 0.8)
        .ask(range(format!("max({})", of(&PROCESS_CPU_UTILIZATION, &[&of_service(JOB)])), "CPU"))
}

fn memory_now() -> Panel {
    panel::stat("Memory", "Resident memory of the largest process.", Unit::Bytes)
        .neutral()
        .ask(instant(format!("max({})", of(&PROCESS_MEMORY_USAGE, &[&of_service(JOB)])), "memory"))
}

fn traffic() -> Panel {
    let requests = of(&REQUEST_COUNT, &[&of_service(JOB), &of_route()]);
    let status = status_label();
    panel::timeseries("Traffic by status", "Requests answered a second, by status.", Unit::RequestsPerSecond)
        .stacked()
        .detailed()
        .colour("^2", GREEN)
        .colour("^4", YELLOW)
        .colour("^5", RED)
        .ask(range(sum_by(&[&status], &rate(&requests)), &format!("{{{{{status}}}}}")))
}

fn latency() -> Panel {
    let quantile = |q| quantile(q, &HTTP_SERVER_REQUEST_DURATION, &[&of_service(JOB), &of_route()], &[JOB]);
    panel::timeseries(
        "Latency",
        "Within which time 50, 95 and 99 of 100 requests are answered. A dot is one request: it leads to its trace.",
        Unit::Seconds,
    )
    .warn(0.5, 1.0)
    .threshold_lines()
    .link(links::service_traces())
    .link(links::service_logs())
    .ask(range(quantile(0.5), "{{job}} p50"))
    .ask(range(quantile(0.95), "{{job}} p95").exemplars())
    .ask(range(quantile(0.99), "{{job}} p99"))
}

fn errors_by_route() -> Panel {
    let route = route_label();
    panel::timeseries("Errors by route", "Part of the requests of a route answered with 5xx.", Unit::Ratio)
        .warn(0.01, 0.05)
        .detailed()
        .link(links::route_traces())
        .link(links::route_logs())
        .ask(range(ratio(&answers(Some("5..")), &answers(None), &[JOB, &route]), &format!("{{{{{route}}}}}")))
}

fn saturation() -> Panel {
    let of_process = |metric| of(metric, &[&of_service(JOB)]);
    panel::timeseries(
        "Saturation",
        "CPU time over all cores, by process. Requests queue up as it nears 100 %.",
        Unit::Ratio,
    )
    .warn(0.6, 0.8)
    .threshold_lines()
    .up_to(1.0)
    .link(links::this_service("resources", "Resources of this service"))
    .ask(range(sum_by(&[JOB, "instance"], &of_process(&PROCESS_CPU_UTILIZATION)), "{{job}}"))
}

fn error_lines() -> Panel {
    panel::logs("Errors", "Log records of severity ERROR; a line opens to its trace.")
        .ask(log_lines(stream(&format!("| {SEVERITY_TEXT}=\"ERROR\""))))
}
