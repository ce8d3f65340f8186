//! SLOs: how much of the error budget is left, and how fast it burns. Reads what sloth's rules record.

use crate::dashboards::board::{Board, Services};
use crate::dashboards::foreign::slo;
use crate::dashboards::links;
use crate::dashboards::needs::Needs;
use crate::dashboards::panel::{self, Panel, Unit};
use crate::dashboards::queries::{instant, of_service, range, series, table};

pub(super) fn board() -> Board {
    Board::new(
        "slo",
        "SLOs",
        "How much of each error budget is left and how fast it burns: page on the burn, plan on the budget.",
    )
    .services(Services::WithSlo)
    .row(5, [budget(), burn_now(), objective()])
    .row(10, [burn(), errors()])
    .row(8, [budget_over_time(), alerts()])
}

fn of_slo(name: &str) -> String {
    series(name, &[&of_service(slo::SERVICE), &format!("{}=~\"$slo\"", slo::NAME)])
}

fn legend() -> String {
    format!("{{{{{}}}}}", slo::NAME)
}

/// Errors over a window as a multiple of what the budget allows.
fn burn_rate(window: &str) -> String {
    let by = [slo::ID, slo::SERVICE, slo::NAME].join(", ");
    let errors = of_slo(&format!("{}{window}", slo::ERROR_RATIO));
    format!("max by ({by}) ({errors}) / on ({by}) group_left max by ({by}) ({})", of_slo(slo::ERROR_BUDGET))
}

fn budget() -> Panel {
    panel::stat(
        "Budget left",
        "Part of the period's error budget that is left; below zero the objective is missed.",
        Unit::Ratio,
    )
    .warn_below(0.5, 0.1)
    .ask(range(of_slo(slo::BUDGET_REMAINING), &legend()))
}

fn burn_now() -> Panel {
    panel::stat(
        "Burn rate",
        "How many times faster than allowed the budget burns now: 1 uses it up exactly.",
        Unit::Plain,
    )
    .warn(1.0, 6.0)
    .ask(range(of_slo(slo::CURRENT_BURN_RATE), &legend()))
}

fn objective() -> Panel {
    panel::stat("Objective", "Part of the requests that must be good.", Unit::Ratio)
        .neutral()
        .ask(instant(of_slo(slo::OBJECTIVE), &legend()))
}

fn burn() -> Panel {
    let legend = |window: &str| format!("{} {window}", legend());
    panel::timeseries(
        "Burn rate by window",
        "An alert needs a long and a short window to burn: 14.4 for 1 h pages, 1 for 3 d opens a ticket.",
        Unit::Plain,
    )
    .warn(6.0, 14.4)
    .threshold_lines()
    .link(links::Link {
        title: "Golden signals",
        url: format!("/d/{}?${{__url_time_range}}", links::uid("golden-signals")),
    })
    .ask(range(burn_rate("5m"), &legend("5m")))
    .ask(range(burn_rate("1h"), &legend("1h")))
    .ask(range(burn_rate("6h"), &legend("6h")))
}

fn errors() -> Panel {
    panel::timeseries("Bad events", "Part of the events that are bad, over 5 minutes.", Unit::Ratio)
        .ask(range(of_slo(&format!("{}5m", slo::ERROR_RATIO)), &legend()))
}

fn budget_over_time() -> Panel {
    panel::timeseries("Budget left over time", "Part of the period's error budget that is left.", Unit::Ratio)
        .ask(range(of_slo(slo::BUDGET_REMAINING), &legend()))
}

fn alerts() -> Panel {
    panel::table("Alerts", "Alerts that fire now, of every kind.", Unit::Plain)
        .needs(Needs::FiringAlert)
        .merged(&["Time", "Value", "__name__", "alertstate"])
        .ask(table(series(slo::ALERTS, &["alertstate=\"firing\""])))
}
