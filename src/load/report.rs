//! The result of a run: its data (the JSON report), and how it is printed on the terminal and as HTML.
//! Made by `load::run` from the recorder's summary. No measuring may live here.
//!
//! `failures` are unexpected only; an error that a journey asks for (`/error`, `/crash`) counts to `expected_errors`.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Serialize;

use super::threshold::Verdict;

/// Percentiles of durations in milliseconds, at most 2 % above the true value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Latency {
    pub p50: f64,
    pub p90: f64,
    pub p95: f64,
    pub p99: f64,
    pub max: f64,
    pub mean: f64,
}

/// What one kind of request did.
#[derive(Debug, Clone, Default, Serialize)]
pub struct RequestRow {
    /// Method and route.
    pub name: String,
    /// Requests sent.
    pub requests: u64,
    /// Unexpected failures.
    pub failures: u64,
    /// Errors that the journey asked for.
    pub expected_errors: u64,
    /// Durations until the body was read.
    pub latency_ms: Latency,
}

/// What one phase did; phases of one name are added up.
#[derive(Debug, Clone, Default, Serialize)]
pub struct PhaseRow {
    /// Name, as in the event `load.phase`.
    pub name: String,
    /// Users at its end.
    pub users: usize,
    /// How long it lasted.
    pub seconds: f64,
    /// Requests that ended in it.
    pub requests: u64,
    /// Unexpected failures.
    pub failures: u64,
    /// Requests a second.
    pub rate: f64,
    /// Durations until the body was read.
    pub latency_ms: Latency,
}

/// One way in which one kind of request failed.
#[derive(Debug, Clone, Serialize)]
pub struct FailureKind {
    /// Method and route.
    pub request: String,
    /// Status code, or the kind of failure without one.
    pub error: String,
    /// `true` when the journey asked for it.
    pub expected: bool,
    /// How often.
    pub count: u64,
    /// The newest sampled trace that shows it; none when no such request was sampled.
    pub trace_id: Option<String>,
}

/// What telemetry lost on its way out, by signal.
#[derive(Debug, Clone, Default, Serialize)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Lost {
    pub spans: u64,
    pub logs: u64,
    pub points: u64,
    /// `true` when the last flush did not end in time.
    pub timed_out: bool,
}

/// The result of a run.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    /// The service under load.
    pub host: String,
    /// Shape, or the test plan as given.
    pub shape: String,
    /// Most users at any time, by plan.
    pub users: usize,
    /// Start in milliseconds since 1970.
    pub started_unix_ms: u64,
    /// Length in seconds.
    pub seconds: f64,
    /// Requests sent.
    pub requests: u64,
    /// Unexpected failures.
    pub failures: u64,
    /// Errors that journeys asked for.
    pub expected_errors: u64,
    /// Requests a second over the whole run.
    pub rate: f64,
    /// Durations of all requests.
    pub latency_ms: Latency,
    /// By phase, in the order of their first start.
    pub by_phase: Vec<PhaseRow>,
    /// By kind of request.
    pub by_request: Vec<RequestRow>,
    /// Requests by status code or kind of failure.
    pub statuses: BTreeMap<String, u64>,
    /// Every way in which requests failed, the unexpected first.
    pub failure_kinds: Vec<FailureKind>,
    /// The conditions given and what became of them.
    pub thresholds: Vec<Verdict>,
    /// What telemetry lost.
    pub telemetry_lost: Lost,
}

impl Report {
    /// `true` when no threshold is broken.
    pub fn passed(&self) -> bool {
        self.thresholds.iter().all(|verdict| verdict.passed)
    }

    /// The summary for the terminal.
    pub fn text(&self) -> String {
        let mut text = format!(
            "\nload: {} requests in {:.1} s ({:.1}/s) at {}; {} failed, {} expected errors; p50 {:.1} ms, p95 {:.1} ms, p99 {:.1} ms\n",
            self.requests,
            self.seconds,
            self.rate,
            self.host,
            self.failures,
            self.expected_errors,
            self.latency_ms.p50,
            self.latency_ms.p95,
            self.latency_ms.p99
        );
        let mut line = |args: std::fmt::Arguments<'_>| {
            // Writing to a String cannot fail.
            let _ = text.write_fmt(args);
        };
        line(format_args!(
            "\n{:<20} {:>6} {:>9} {:>9} {:>9} {:>9}\n",
            "phase", "users", "requests", "req/s", "p95 ms", "failed"
        ));
        for row in &self.by_phase {
            let p95 = row.latency_ms.p95;
            line(format_args!(
                "{:<20} {:>6} {:>9} {:>9.1} {p95:>9.1} {:>9}\n",
                row.name, row.users, row.requests, row.rate, row.failures
            ));
        }
        line(format_args!(
            "\n{:<20} {:>9} {:>9} {:>9} {:>9} {:>9}\n",
            "request", "requests", "p50 ms", "p95 ms", "failed", "expected"
        ));
        for row in &self.by_request {
            let Latency { p50, p95, .. } = row.latency_ms;
            line(format_args!(
                "{:<20} {:>9} {p50:>9.1} {p95:>9.1} {:>9} {:>9}\n",
                row.name, row.requests, row.failures, row.expected_errors
            ));
        }
        if !self.failure_kinds.is_empty() {
            line(format_args!("\nfailure kinds\n"));
        }
        for kind in &self.failure_kinds {
            let note = if kind.expected { "expected" } else { "FAILED" };
            let trace = kind.trace_id.as_deref().unwrap_or("(none sampled)");
            line(format_args!("  {note:<8} {:<20} {:<8} x{:<7} trace {trace}\n", kind.request, kind.error, kind.count));
        }
        for verdict in &self.thresholds {
            let note = if verdict.passed { "holds" } else { "BROKEN" };
            line(format_args!("threshold {note}: wanted {}, measured {}\n", verdict.condition, verdict.measured));
        }
        let lost = &self.telemetry_lost;
        if lost.spans + lost.logs + lost.points > 0 || lost.timed_out {
            line(format_args!(
                "telemetry lost: {} spans, {} log records, {} points{}\n",
                lost.spans,
                lost.logs,
                lost.points,
                if lost.timed_out { "; the last flush did not end in time" } else { "" }
            ));
        }
        text
    }

    /// A page that stands alone: no script, nothing fetched.
    pub fn html(&self) -> String {
        let lat = |l: &Latency| format!("{:.1}|{:.1}|{:.1}|{:.1}", l.p50, l.p95, l.p99, l.max);
        let phases = self.by_phase.iter().map(|p| {
            format!(
                "{}|{}|{:.1}|{}|{:.1}|{}|{}",
                p.name,
                p.users,
                p.seconds,
                p.requests,
                p.rate,
                p.failures,
                lat(&p.latency_ms)
            )
        });
        let requests = self
            .by_request
            .iter()
            .map(|r| format!("{}|{}|{}|{}|{}", r.name, r.requests, r.failures, r.expected_errors, lat(&r.latency_ms)));
        let statuses = self.statuses.iter().map(|(status, count)| format!("{status}|{count}"));
        let kinds = self.failure_kinds.iter().map(|k| {
            let trace = k.trace_id.as_deref().unwrap_or("none sampled");
            format!("{}|{}|{}|{}|{trace}", k.request, k.error, if k.expected { "expected" } else { "failed" }, k.count)
        });
        let thresholds = self
            .thresholds
            .iter()
            .map(|v| format!("{}|{}|{}", v.condition, v.measured, if v.passed { "holds" } else { "broken" }));
        let tables = [
            table("Phases", "phase|users|s|requests|req/s|failed|p50 ms|p95 ms|p99 ms|max ms", phases),
            table("Requests", "request|requests|failed|expected errors|p50 ms|p95 ms|p99 ms|max ms", requests),
            table("Failure kinds", "request|error|kind|count|trace", kinds),
            table("Thresholds", "condition|measured|result", thresholds),
            table("Statuses", "status|requests", statuses),
        ];
        format!(
            "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>signalbox load</title><style>{STYLE}</style>\
             <h1>signalbox load</h1><p>{} requests in {:.1} s ({:.1}/s) at {}, shape {}, up to {} users; {} failed, {} expected errors.</p>{}</html>\n",
            self.requests,
            self.seconds,
            self.rate,
            escape(&self.host),
            escape(&self.shape),
            self.users,
            self.failures,
            self.expected_errors,
            tables.concat()
        )
    }
}

const STYLE: &str = "body{font:15px system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem;color-scheme:light dark}\
    table{border-collapse:collapse;width:100%}td,th{padding:.3rem .6rem;text-align:right;border-bottom:1px solid #8884;\
    font-variant-numeric:tabular-nums}td:first-child,th:first-child{text-align:left}";

/// A table of cells joined by `|`; empty where there is no row.
fn table(title: &str, head: &str, rows: impl Iterator<Item = String>) -> String {
    let cells = |row: &str, tag: &str| -> String {
        let cells: String = row.split('|').map(|cell| format!("<{tag}>{}</{tag}>", escape(cell))).collect();
        format!("<tr>{cells}</tr>")
    };
    let body: String = rows.map(|row| cells(&row, "td")).collect();
    if body.is_empty() {
        return String::new();
    }
    format!("<h2>{title}</h2><table>{}{body}</table>", cells(head, "th"))
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_show_each_failure_kind_with_its_trace_and_escape_what_they_are_given() {
        let kind = FailureKind {
            request: "GET /crash".to_owned(),
            error: "500".to_owned(),
            expected: true,
            count: 3,
            trace_id: Some("ab".repeat(16)),
        };
        let report = Report { host: "http://<x>".to_owned(), failure_kinds: vec![kind], ..Report::default() };
        assert!(report.text().contains(&format!("trace {}", "ab".repeat(16))));
        assert!(report.html().contains(&"ab".repeat(16)));
        assert!(report.html().contains("http://&lt;x&gt;"));
    }
}
