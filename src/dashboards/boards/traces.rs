//! Traces: who calls whom, and the traces worth opening.

use crate::dashboards::board::{Board, Services};
use crate::dashboards::foreign::spans;
use crate::dashboards::needs::Needs;
use crate::dashboards::panel::{self, Panel, Unit};
use crate::dashboards::queries::{of_service, quantile_of, range, rate, ratio, series, service_map, sum_by, traces};
use crate::telemetry::names::attr;

pub(super) fn board() -> Board {
    Board::new("traces", "Traces", "Who calls whom, what their spans cost, and the traces worth opening.")
        .services(Services::All)
        .row(11, [graph().wide(10), recent().wide(14)])
        .row(9, [failed(), slow()])
        .heading("Made of spans")
        .row(8, [span_rate(), span_errors(), span_p95()].map(|panel| panel.needs(Needs::SpanMetrics)))
}

/// TraceQL: spans of the chosen services that meet conditions.
fn spans_where(conditions: &str) -> String {
    format!("{{resource.service.name=~\"$service\"{conditions}}}")
}

fn graph() -> Panel {
    panel::node_graph("Service graph", "Who calls whom, how often and how long it takes.", Unit::Plain)
        .needs(Needs::ServiceGraph)
        .ask(service_map(""))
}

fn recent() -> Panel {
    let of_routes = spans_where(&format!(" && span.{}=~\"$route\"", attr::HTTP_ROUTE));
    panel::table("Recent traces", "The newest traces of the chosen services and routes.", Unit::Plain)
        .needs(Needs::Tempo)
        .ask(traces(of_routes))
}

fn failed() -> Panel {
    panel::table("Failed", "Traces with a span that failed.", Unit::Plain)
        .needs(Needs::Tempo)
        .ask(traces(spans_where(" && status=error")))
}

fn slow() -> Panel {
    panel::table("Slow", "Traces with a server span longer than 500 ms.", Unit::Plain)
        .needs(Needs::Tempo)
        .ask(traces(spans_where(" && kind=server && duration>500ms")))
}

fn legend() -> String {
    format!("{{{{{}}}}} {{{{{}}}}}", spans::SERVICE, spans::SPAN_NAME)
}

const BY: [&str; 2] = [spans::SERVICE, spans::SPAN_NAME];

fn calls(status: Option<&str>) -> String {
    let status = status.map(|status| format!("{}=\"{status}\"", spans::STATUS));
    let service = of_service(spans::SERVICE);
    let matchers = [Some(service.as_str()), status.as_deref()];
    series(spans::CALLS, &matchers.into_iter().flatten().collect::<Vec<_>>())
}

fn span_rate() -> Panel {
    panel::timeseries("Spans", "Spans a second, by service and name.", Unit::PerSecond)
        .ask(range(sum_by(&BY, &rate(&calls(None))), &legend()))
}

fn span_errors() -> Panel {
    panel::timeseries("Failed spans", "Part of the spans that failed, by service and name.", Unit::Ratio)
        .warn(0.01, 0.05)
        .ask(range(ratio(&calls(Some(spans::STATUS_ERROR)), &calls(None), &BY), &legend()))
}

fn span_p95() -> Panel {
    let buckets = series(spans::DURATION_BUCKETS, &[&of_service(spans::SERVICE)]);
    panel::timeseries(
        "Duration of spans, p95",
        "95 of 100 spans end within this time, by service and name.",
        Unit::Seconds,
    )
    .ask(range(quantile_of(0.95, &rate(&buckets), &BY), &legend()).exemplars())
}
