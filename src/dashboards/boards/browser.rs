//! Browser: web vitals and exceptions as Faro sends them.

use crate::dashboards::board::{Board, Services};
use crate::dashboards::foreign::faro;
use crate::dashboards::needs::Needs;
use crate::dashboards::panel::{self, Panel, Unit};
use crate::dashboards::queries::{LOG_WINDOW, log_instant, log_lines, log_range, stream, sum_by};

/// A web vital: its key, what it is, and where <https://web.dev/articles/vitals> draws the lines.
struct Vital {
    key: &'static str,
    title: &'static str,
    description: &'static str,
    unit: Unit,
    good: f64,
    poor: f64,
}

const VITALS: &[Vital] = &[
    Vital {
        key: "lcp",
        title: "LCP",
        description: "Largest contentful paint, p75: until the main content shows.",
        unit: Unit::Milliseconds,
        good: 2500.0,
        poor: 4000.0,
    },
    Vital {
        key: "inp",
        title: "INP",
        description: "Interaction to next paint, p75: until a click shows an effect.",
        unit: Unit::Milliseconds,
        good: 200.0,
        poor: 500.0,
    },
    Vital {
        key: "cls",
        title: "CLS",
        description: "Cumulative layout shift, p75: how much the page jumps.",
        unit: Unit::Plain,
        good: 0.1,
        poor: 0.25,
    },
    Vital {
        key: "fcp",
        title: "FCP",
        description: "First contentful paint, p75: until anything shows.",
        unit: Unit::Milliseconds,
        good: 1800.0,
        poor: 3000.0,
    },
    Vital {
        key: "ttfb",
        title: "TTFB",
        description: "Time to first byte, p75: until the server's answer begins.",
        unit: Unit::Milliseconds,
        good: 800.0,
        poor: 1800.0,
    },
];

pub(super) fn board() -> Board {
    let now = VITALS.iter().map(now).collect::<Vec<_>>();
    let charts = VITALS.iter().take(3).map(over_time).collect::<Vec<_>>();
    Board::new("browser", "Browser", "Web vitals and exceptions of real browsers, as Faro sends them.")
        .services(Services::Loggers)
        .row(4, now)
        .row(8, charts)
        .row(8, [sessions().wide(8), exceptions().wide(16)])
        .row(9, [exception_lines()])
}

/// p75 of a vital over a window, by labels.
fn p75(vital: &Vital, window: &str, by: &str) -> String {
    let lines = stream(&format!("{} | {}!=\"\" | unwrap {} | __error__=\"\"", faro::WEB_VITALS, vital.key, vital.key));
    format!("quantile_over_time(0.75, {lines} [{window}]) by ({by})")
}

fn now(vital: &Vital) -> Panel {
    panel::stat(vital.title, vital.description, vital.unit)
        .needs(Needs::Browser)
        .warn(vital.good, vital.poor)
        .ask(log_instant(p75(vital, "$__range", ""), vital.title))
}

fn over_time(vital: &Vital) -> Panel {
    panel::timeseries(vital.title, vital.description, vital.unit)
        .needs(Needs::Browser)
        .warn(vital.good, vital.poor)
        .threshold_lines()
        .ask(log_range(p75(vital, LOG_WINDOW, faro::PAGE), &format!("{{{{{}}}}}", faro::PAGE)))
}

fn sessions() -> Panel {
    let of_session = sum_by(
        &[faro::SESSION],
        &format!("count_over_time({} | logfmt | {}!=\"\" [{LOG_WINDOW}])", stream(""), faro::SESSION),
    );
    panel::timeseries("Sessions", "Browser sessions that sent something.", Unit::Count)
        .needs(Needs::Browser)
        .ask(log_range(format!("count({of_session})"), "sessions"))
}

fn exceptions() -> Panel {
    let kind = faro::EXCEPTION_TYPE;
    let expr = sum_by(&[kind], &format!("count_over_time({} [{LOG_WINDOW}])", stream(faro::EXCEPTIONS)));
    panel::timeseries("Exceptions", "JavaScript exceptions, by type.", Unit::Count)
        .needs(Needs::Browser)
        .stacked()
        .bars()
        .ask(log_range(expr, &format!("{{{{{kind}}}}}")))
}

fn exception_lines() -> Panel {
    panel::logs("Exceptions", "What the browser reported; a line opens to its trace.")
        .needs(Needs::Browser)
        .ask(log_lines(stream(faro::EXCEPTIONS)))
}
