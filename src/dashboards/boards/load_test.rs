//! Load test: the spike, seen from both sides. The load tester's users and the service's idle simulation share a name and
//! are told apart by service, never summed.

use crate::dashboards::board::Board;
use crate::dashboards::links;
use crate::dashboards::panel::{self, GREEN, Panel, RED, Unit, YELLOW};
use crate::dashboards::queries::{
    JOB, SERVICE_NAME, log_lines, of, of_route, of_service, quantile, range, rate, ratio, series, status_label, sum_by,
};
use crate::telemetry::names::prometheus::label;
use crate::telemetry::names::{
    ACTIVE_SIMULATED_USERS, HTTP_CLIENT_REQUEST_DURATION, HTTP_SERVER_ACTIVE_REQUESTS, HTTP_SERVER_REQUEST_DURATION,
    PROCESS_CPU_UTILIZATION, SERVICE_APP, SERVICE_LOAD, attr,
};

pub(super) fn board() -> Board {
    Board::new(
        "load-test",
        "Load test",
        "The spike from both sides: what the load tester asked and waited for, and what it did to the service.",
    )
    .refresh("5s")
    .load_phases()
    .row(4, [users_now(), rate_now(), p95_now(), failed_now()])
    .row(9, [users(), request_rate()])
    .row(9, [latency(), failures()])
    .row(8, [in_flight(), cpu(), phases()])
}

fn of_load() -> String {
    format!("{JOB}=\"{SERVICE_LOAD}\"")
}

/// The simulated users of one service.
fn users_of(service: &str) -> String {
    sum_by(&[JOB], &of(&ACTIVE_SIMULATED_USERS, &[&format!("{JOB}=\"{service}\"")]))
}

fn sent(failed: bool) -> String {
    let load = of_load();
    let error = format!("{}!=\"\"", label(attr::ERROR_TYPE));
    let matchers = if failed { vec![load.as_str(), error.as_str()] } else { vec![load.as_str()] };
    of(&HTTP_CLIENT_REQUEST_DURATION, &matchers)
}

fn answered() -> String {
    of(&HTTP_SERVER_REQUEST_DURATION, &[&of_service(JOB), &of_route()])
}

fn of_client(q: f64) -> String {
    quantile(q, &HTTP_CLIENT_REQUEST_DURATION, &[&of_load()], &[JOB])
}

fn users_now() -> Panel {
    panel::stat("Users", "Users that the load tester simulates now.", Unit::Count)
        .neutral()
        .ask(range(users_of(SERVICE_LOAD), "users"))
}

fn rate_now() -> Panel {
    panel::stat("Requests", "Requests that the load tester sends a second.", Unit::RequestsPerSecond)
        .neutral()
        .ask(range(sum_by(&[], &rate(&sent(false))), "requests"))
}

fn p95_now() -> Panel {
    panel::stat("p95", "The load tester waits at most this long for 95 of 100 answers.", Unit::Seconds)
        .warn(0.5, 1.0)
        .ask(range(of_client(0.95), "p95"))
}

fn failed_now() -> Panel {
    panel::stat("Failed", "Part of the load tester's requests that failed.", Unit::Ratio)
        .warn(0.01, 0.05)
        .ask(range(ratio(&sent(true), &sent(false), &[]), "failed"))
}

fn users() -> Panel {
    panel::timeseries(
        "Simulated users",
        "The load tester's users, and the service's idle simulation: two numbers with one name, never summed.",
        Unit::Count,
    )
    .ask(range(users_of(SERVICE_LOAD), "load tester (real)"))
    .ask(range(users_of(SERVICE_APP), "service (idle simulation)"))
}

fn request_rate() -> Panel {
    panel::timeseries(
        "Requests: sent and answered",
        "What the load tester sends and what the service answers. Apart, requests are lost or come from elsewhere.",
        Unit::RequestsPerSecond,
    )
    .ask(range(sum_by(&[], &rate(&sent(false))), "sent"))
    .ask(range(sum_by(&[], &rate(&answered())), "answered"))
}

fn latency() -> Panel {
    let server = |q| quantile(q, &HTTP_SERVER_REQUEST_DURATION, &[&of_service(JOB), &of_route()], &[JOB]);
    panel::timeseries(
        "Latency: waited and worked",
        "What the load tester waits and what the service measures: the gap is queueing and the network.",
        Unit::Seconds,
    )
    .warn(0.5, 1.0)
    .threshold_lines()
    .link(links::service_traces())
    .link(links::service_logs())
    .ask(range(of_client(0.5), "waited p50"))
    .ask(range(of_client(0.95), "waited p95").exemplars())
    .ask(range(of_client(0.99), "waited p99"))
    .ask(range(server(0.95), "worked p95").exemplars())
}

fn failures() -> Panel {
    let status = status_label();
    let name = format!("{}_count", HTTP_CLIENT_REQUEST_DURATION.prometheus_name());
    let expr = sum_by(&[&status], &rate(&series(&name, &[&of_load()])));
    panel::timeseries(
        "Answers by status",
        "Answers that the load tester got a second; none where there was no answer.",
        Unit::RequestsPerSecond,
    )
    .stacked()
    .colour("^2", GREEN)
    .colour("^4", YELLOW)
    .colour("^5", RED)
    .ask(range(expr, &format!("{{{{{status}}}}}")))
}

fn in_flight() -> Panel {
    panel::timeseries("In flight", "Requests that the service is answering.", Unit::Count)
        .ask(range(sum_by(&[JOB], &of(&HTTP_SERVER_ACTIVE_REQUESTS, &[&of_service(JOB)])), "{{job}}"))
}

fn cpu() -> Panel {
    panel::timeseries("CPU of the service", "CPU time of the process over all cores.", Unit::Ratio)
        .warn(0.6, 0.8)
        .threshold_lines()
        .up_to(1.0)
        .ask(range(sum_by(&[JOB], &of(&PROCESS_CPU_UTILIZATION, &[&of_service(JOB)])), "{{job}}"))
}

fn phases() -> Panel {
    let phase = label(attr::LOAD_PHASE_NAME);
    panel::logs("Phases", "What the load tester said as each phase began.")
        .ask(log_lines(format!("{{{SERVICE_NAME}=\"{SERVICE_LOAD}\"}} | {phase}!=\"\"")))
}
