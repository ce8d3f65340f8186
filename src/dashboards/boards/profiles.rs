//! Profiles: where the service's CPU time goes, by service and route.

use crate::dashboards::board::{Board, Services};
use crate::dashboards::needs::Needs;
use crate::dashboards::panel::{self, Panel, Unit};
use crate::dashboards::queries::{SERVICE_NAME, flame_graph, of_service, profile_series, route_label};

pub(super) fn board() -> Board {
    Board::new("profiles", "Profiles", "Where CPU time goes, by service and route.")
        .services(Services::All)
        .row(8, [by_service(), by_route()].map(|panel| panel.needs(Needs::Pyroscope)))
        .row(16, [all().needs(Needs::Pyroscope)])
        .row(16, [of_routes().needs(Needs::Pyroscope)])
}

fn selector(route: bool) -> String {
    let service = of_service(SERVICE_NAME);
    if route { format!("{{{service},{}=~\"$route\"}}", route_label()) } else { format!("{{{service}}}") }
}

fn by_service() -> Panel {
    panel::timeseries("CPU by service", "CPU time that the profiler saw, by service.", Unit::Seconds)
        .ask(profile_series(selector(false), SERVICE_NAME.to_owned()))
}

fn by_route() -> Panel {
    panel::timeseries("CPU by route", "CPU time that the profiler saw, by route.", Unit::Seconds)
        .ask(profile_series(selector(true), route_label()))
}

fn all() -> Panel {
    panel::flame_graph("Where CPU time goes", "Every profile of the chosen services together.", Unit::Seconds)
        .ask(flame_graph(selector(false)))
}

fn of_routes() -> Panel {
    panel::flame_graph(
        "Where CPU time of the chosen routes goes",
        "Profiles taken while a request of these routes ran.",
        Unit::Seconds,
    )
    .ask(flame_graph(selector(true)))
}
