//! Routes: rate, errors and duration of each, then what the routes depend on.

use crate::dashboards::board::Board;
use crate::dashboards::links;
use crate::dashboards::needs::Needs;
use crate::dashboards::panel::{self, Panel, Unit};
use crate::dashboards::queries::{
    JOB, Query, buckets, buckets_of, of, of_route, of_service, quantile, quantile_of, range, rate, rate_of_range,
    ratio, ratio_of, route_label, status_label, sum_by, table, traces,
};
use crate::telemetry::names::prometheus::label;
use crate::telemetry::names::{
    DB_CLIENT_OPERATION_DURATION, DICE_ROLLS, HTTP_CLIENT_REQUEST_DURATION, HTTP_SERVER_REQUEST_DURATION, Metric,
    WORK_DURATION, attr,
};

pub(super) fn board() -> Board {
    Board::new(
        "routes",
        "Routes",
        "Rate, errors and duration of every route, with exemplars; then what they depend on.",
    )
    .load_phases()
    .row(9, [overview()])
    .row(9, [request_rate(), errors(), p95()])
    .row(9, [distribution(), slow_traces()])
    .heading("What the routes depend on")
    .row(8, [database(), calls(), work(), dice()])
}

fn answers(status: Option<&str>) -> String {
    let status = status.map(|pattern| format!("{}=~\"{pattern}\"", status_label()));
    let (service, route) = (of_service(JOB), of_route());
    let matchers = [Some(service.as_str()), Some(route.as_str()), status.as_deref()];
    of(&HTTP_SERVER_REQUEST_DURATION, &matchers.into_iter().flatten().collect::<Vec<_>>())
}

fn of_routes(q: f64) -> String {
    quantile(q, &HTTP_SERVER_REQUEST_DURATION, &[&of_service(JOB), &of_route()], &[JOB, &route_label()])
}

fn overview() -> Panel {
    let route = route_label();
    let by = [JOB, route.as_str()];
    let buckets = buckets_of(&HTTP_SERVER_REQUEST_DURATION, &[&of_service(JOB), &of_route()]);
    let quantile_of_range = |q| quantile_of(q, &rate_of_range(&buckets), &by);
    panel::table(
        "All routes",
        "One line a route, over the chosen time. A click on the route narrows the dashboard to it.",
        Unit::Plain,
    )
    .column(JOB, "Service", Unit::Plain, None, None)
    .column(&route, "Route", Unit::Plain, None, Some(links::this_route(&route)))
    .column("Value #A", "Rate", Unit::RequestsPerSecond, None, None)
    .column("Value #B", "Errors", Unit::Ratio, Some((0.01, 0.05)), None)
    .column("Value #C", "p50", Unit::Seconds, Some((0.5, 1.0)), None)
    .column("Value #D", "p95", Unit::Seconds, Some((0.5, 1.0)), None)
    .column("Value #E", "p99", Unit::Seconds, Some((1.0, 2.5)), None)
    .merged(&["Time"])
    .ask(table(sum_by(&by, &rate_of_range(&answers(None)))))
    .ask(table(ratio_of(&rate_of_range(&answers(Some("5.."))), &rate_of_range(&answers(None)), &by)))
    .ask(table(quantile_of_range(0.5)))
    .ask(table(quantile_of_range(0.95)))
    .ask(table(quantile_of_range(0.99)))
}

fn per_route(panel: Panel) -> Panel {
    panel.detailed().link(links::route_traces()).link(links::route_logs())
}

fn legend() -> String {
    format!("{{{{{}}}}}", route_label())
}

fn request_rate() -> Panel {
    let expr = sum_by(&[JOB, &route_label()], &rate(&answers(None)));
    per_route(panel::timeseries("Rate", "Requests answered a second, by route.", Unit::RequestsPerSecond))
        .ask(range(expr, &legend()))
}

fn errors() -> Panel {
    let expr = ratio(&answers(Some("5..")), &answers(None), &[JOB, &route_label()]);
    per_route(panel::timeseries("Errors", "Part of a route's requests answered with 5xx.", Unit::Ratio))
        .warn(0.01, 0.05)
        .ask(range(expr, &legend()))
}

fn p95() -> Panel {
    per_route(panel::timeseries(
        "Duration, p95",
        "95 of 100 requests of a route are answered within this time. A dot is one request: it leads to its trace.",
        Unit::Seconds,
    ))
    .warn(0.5, 1.0)
    .ask(range(of_routes(0.95), &legend()).exemplars())
}

fn distribution() -> Panel {
    let buckets_of_routes = buckets_of(&HTTP_SERVER_REQUEST_DURATION, &[&of_service(JOB), &of_route()]);
    let expr = sum_by(&["le"], &rate(&buckets_of_routes));
    panel::heatmap("Distribution", "How many requests took how long, all chosen routes together.", Unit::Seconds)
        .ask(buckets(expr).exemplars())
}

fn slow_traces() -> Panel {
    panel::table("Slow traces", "Traces of the chosen routes that took longer than 250 ms.", Unit::Plain)
        .needs(Needs::Tempo)
        .ask(traces(format!(
            "{{resource.service.name=~\"$service\" && span.{}=~\"$route\" && duration>250ms}}",
            attr::HTTP_ROUTE
        )))
}

/// p95 of a dependency by two labels.
fn dependency(metric: &Metric, by: [&str; 2]) -> Query {
    let (one, other) = (label(by[0]), label(by[1]));
    let expr = quantile(0.95, metric, &[&of_service(JOB)], &[&one, &other]);
    range(expr, &format!("{{{{{one}}}}} {{{{{other}}}}}")).exemplars()
}

fn database() -> Panel {
    panel::timeseries(
        "Database, p95",
        "95 of 100 operations end within this time, by operation and table.",
        Unit::Seconds,
    )
    .ask(dependency(&DB_CLIENT_OPERATION_DURATION, [attr::DB_OPERATION_NAME, attr::DB_COLLECTION_NAME]))
}

fn calls() -> Panel {
    panel::timeseries("Outgoing calls, p95", "95 of 100 HTTP calls end within this time, by host.", Unit::Seconds)
        .ask(dependency(&HTTP_CLIENT_REQUEST_DURATION, [attr::SERVER_ADDRESS, attr::SERVER_PORT]))
}

fn work() -> Panel {
    let of_work = |q| quantile(q, &WORK_DURATION, &[&of_service(JOB)], &[]);
    panel::timeseries("Simulated work", "How long the simulated work of /work takes.", Unit::Seconds)
        .ask(range(of_work(0.5), "p50"))
        .ask(range(of_work(0.95), "p95").exemplars())
}

fn dice() -> Panel {
    panel::timeseries("Dice", "Dice rolled a second: a business metric.", Unit::PerSecond)
        .neutral()
        .ask(range(sum_by(&[JOB], &rate(&of(&DICE_ROLLS, &[&of_service(JOB)]))), "rolls"))
}
