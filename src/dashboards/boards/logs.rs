//! Logs: how many of which severity, from whom, and the lines.

use crate::dashboards::board::{Board, Services};
use crate::dashboards::panel::{self, BLUE, GREEN, Panel, RED, Unit, YELLOW};
use crate::dashboards::queries::{
    JOB, LOG_WINDOW, SERVICE_NAME, SEVERITY_TEXT, TRACE_ID, log_instant, log_lines, log_range, log_rate, of, of_route,
    of_service, range, rate, route_label, stream, sum_by,
};
use crate::telemetry::names::prometheus::label;
use crate::telemetry::names::{LOG_GENERATOR_RECORDS, attr};

pub(super) fn board() -> Board {
    Board::new("logs", "Logs", "How many lines of which severity from whom, and the lines; each opens to its trace.")
        .services(Services::Loggers)
        .load_phases()
        .row(4, [lines_now(), errors_now(), warnings_now(), traced_now()])
        .row(8, [by_severity(), by_service(), generator()])
        .row(12, [lines()])
        .row(9, [errors(), requests()])
}

fn of_severity(severity: &str) -> String {
    stream(&format!("| {SEVERITY_TEXT}=\"{severity}\""))
}

/// Lines over the dashboard's whole range.
fn count(stream: &str) -> String {
    sum_by(&[], &format!("count_over_time({stream} [$__range])"))
}

fn lines_now() -> Panel {
    panel::stat("Lines", "Log records in the chosen time.", Unit::Count)
        .neutral()
        .ask(log_instant(count(&stream("")), "lines"))
}

fn errors_now() -> Panel {
    panel::stat("Errors", "Log records of severity ERROR in the chosen time.", Unit::Count)
        .warn(1.0, 100.0)
        .ask(log_instant(format!("{} or vector(0)", count(&of_severity("ERROR"))), "errors"))
}

fn warnings_now() -> Panel {
    panel::stat("Warnings", "Log records of severity WARN in the chosen time.", Unit::Count)
        .warn(1.0, 1000.0)
        .ask(log_instant(format!("{} or vector(0)", count(&of_severity("WARN"))), "warnings"))
}

fn traced_now() -> Panel {
    let traced = count(&stream(&format!("| {TRACE_ID}!=\"\"")));
    panel::stat("In a trace", "Part of the log records that carry the id of a trace.", Unit::Ratio)
        .neutral()
        .ask(log_instant(format!("{traced} / {}", count(&stream(""))), "in a trace"))
}

fn by_severity() -> Panel {
    let expr = sum_by(&[SEVERITY_TEXT], &format!("count_over_time({} [{LOG_WINDOW}])", stream("")));
    panel::timeseries("Lines by severity", "Log records, by severity.", Unit::Count)
        .stacked()
        .bars()
        .colour("ERROR", RED)
        .colour("WARN", YELLOW)
        .colour("INFO", GREEN)
        .colour("DEBUG", BLUE)
        .ask(log_range(expr, &format!("{{{{{SEVERITY_TEXT}}}}}")))
}

fn by_service() -> Panel {
    panel::timeseries("Lines by service", "Log records a second, by service.", Unit::PerSecond)
        .ask(log_range(log_rate(&[SERVICE_NAME], &stream("")), &format!("{{{{{SERVICE_NAME}}}}}")))
}

fn generator() -> Panel {
    let severity = label(attr::SEVERITY);
    let expr = sum_by(&[&severity], &rate(&of(&LOG_GENERATOR_RECORDS, &[&of_service(JOB)])));
    panel::timeseries(
        "Log generator",
        "Records a second that the background generator wrote: the number that should arrive.",
        Unit::PerSecond,
    )
    .ask(range(expr, &format!("{{{{{severity}}}}}")))
}

fn lines() -> Panel {
    panel::logs("Lines", "Log records of the chosen severities that match the search; a line opens to its trace.")
        .ask(log_lines(stream(&format!("|~ `(?i)$search` | {SEVERITY_TEXT}=~\"$severity\""))))
}

fn errors() -> Panel {
    panel::logs("Errors", "Log records of severity ERROR.").ask(log_lines(of_severity("ERROR")))
}

fn requests() -> Panel {
    let filter = format!("| {}!=\"\" | {}", route_label(), of_route());
    panel::logs("Requests", "One line a request of the chosen routes.").ask(log_lines(stream(&filter)))
}
