//! The SLOs: their one specification, in sloth's format, and their burn alerts as Grafana reads them. Called by `alerts`.
//! No recording rule is written here: sloth makes `configs/prometheus/rules/slo.yaml` of the specification (`just slo`).

use std::collections::BTreeMap;

use serde::Serialize;

use super::rule::{Alert, Bound, Data, Group, Severity};
use crate::dashboards::foreign::slo::{ERROR_RATIO, ID, NAME, SERVICE};
use crate::facts;
use crate::telemetry::names::prometheus::label;
use crate::telemetry::names::{DURATION_BUCKETS, HTTP_SERVER_REQUEST_DURATION, SERVICE_APP, attr};

/// Routes that answer 5xx because they are asked to.
const FAIL_ON_PURPOSE: [&str; 2] = ["/error", "/crash"];
/// Routes that take as long as they are asked to.
const SLOW_ON_PURPOSE: [&str; 1] = ["/work"];
/// What programs ask, not users, besides the health paths of `configs/stack.json`.
const SCRAPED: &str = "/metrics";
/// What counts as fast, in seconds; a bucket of the histogram, else it could not be counted.
const FAST_SECONDS: f64 = 0.5;
const _: () = assert!(is_bucket(FAST_SECONDS), "FAST_SECONDS must be one of DURATION_BUCKETS");

const fn is_bucket(seconds: f64) -> bool {
    let mut i = 0;
    while i < DURATION_BUCKETS.len() {
        if DURATION_BUCKETS[i].to_bits() == seconds.to_bits() {
            return true;
        }
        i += 1;
    }
    false
}

/// One promise over 30 days.
struct Slo {
    name: &'static str,
    alert: &'static str,
    /// Percent of requests.
    objective: f64,
    description: &'static str,
    /// `PromQL` of bad requests a second; sloth fills the window in.
    errors: String,
    /// `PromQL` of all requests a second.
    total: String,
    bad: &'static str,
}

/// Two windows that must both burn, and how fast: sloth's (and Google's) for 30 days.
struct Burn {
    short: &'static str,
    long: &'static str,
    factor: f64,
}

/// 2 % of the budget in an hour, or 5 % in six.
const FAST: [Burn; 2] =
    [Burn { short: "5m", long: "1h", factor: 14.4 }, Burn { short: "30m", long: "6h", factor: 6.0 }];
/// 10 % of the budget in a day, or in three.
const SLOW: [Burn; 2] = [Burn { short: "2h", long: "1d", factor: 3.0 }, Burn { short: "6h", long: "3d", factor: 1.0 }];

fn slos() -> [Slo; 2] {
    let requests = HTTP_SERVER_REQUEST_DURATION.prometheus_name();
    let series = |suffix: &str, but: &[&str], and: &str| {
        format!("sum(rate({requests}_{suffix}{{{}{and}}}[{{{{.window}}}}]))", of_users(but))
    };
    let status = format!(", {}=~\"5..\"", label(attr::HTTP_RESPONSE_STATUS_CODE));
    let fast = format!(", le=\"{FAST_SECONDS}\"");
    let total = series("count", &FAIL_ON_PURPOSE, "");
    let slow_excepted = [FAIL_ON_PURPOSE.as_slice(), &SLOW_ON_PURPOSE].concat();
    let timed = series("count", &slow_excepted, "");
    [
        Slo {
            name: "availability",
            alert: "AvailabilityBudgetBurn",
            objective: 99.5,
            description: "99.5 % of users' requests over 30 days are answered without a 5xx.",
            // `or`: without a single 5xx there is no such series, and the ratio must be 0, not missing.
            errors: format!("({} or 0 * {total})", series("count", &FAIL_ON_PURPOSE, &status)),
            // `> 0`: an idle window would record NaN, which would poison the 30 days' average.
            total: format!("({total} > 0)"),
            bad: "failed",
        },
        Slo {
            name: "latency",
            alert: "LatencyBudgetBurn",
            objective: 99.0,
            description: "99 % of users' requests over 30 days are answered within 0.5 s.",
            errors: format!("({timed} - {})", series("bucket", &slow_excepted, &fast)),
            total: format!("({timed} > 0)"),
            bad: "took longer than 0.5 s",
        },
    ]
}

/// Selectors of the requests an SLO speaks of: the service's, but those of programs and of these routes.
fn of_users(but: &[&str]) -> String {
    let app = facts::program("app");
    let asked_by_programs = app.health.iter().chain(&app.ready).map(String::as_str).chain([SCRAPED]);
    let routes: Vec<&str> = asked_by_programs.chain(but.iter().copied()).collect();
    format!("job=\"{SERVICE_APP}\", {}!~\"{}\"", label(attr::HTTP_ROUTE), routes.join("|"))
}

/// The burn alerts: of each SLO the fast one, then the slow one.
pub(super) fn alerts() -> Vec<Alert> {
    let each = |slo: &Slo| {
        [alert(slo, Severity::Critical, &FAST, "1 h or 6 h"), alert(slo, Severity::Warning, &SLOW, "1 d or 3 d")]
    };
    slos().iter().flat_map(each).collect()
}

fn alert(slo: &Slo, severity: Severity, burns: &[Burn; 2], over: &str) -> Alert {
    let (summary, description) = texts(slo);
    Alert {
        name: slo.alert,
        group: Group::Slo,
        severity,
        value: condition(slo, burns),
        bound: Bound::Any,
        // The short window clears it and the long one delays it: no wait.
        wait: "0s",
        condition: format!("budget burns ≥ {}x or {}x over {over}", burns[0].factor, burns[1].factor),
        summary,
        description,
        dashboard: "slo",
        panel: "Burn rate by window",
        data: Data::SloRules,
    }
}

fn texts(slo: &Slo) -> (String, String) {
    let (name, bad, budget) = (slo.name, slo.bad, 100.0 - slo.objective);
    let summary = format!("{SERVICE_APP} burns its {name} budget too fast");
    let description = format!("{{{{ $value | humanizePercentage }}}} of users' requests {bad} (budget: {budget} %).");
    (summary, description)
}

/// What sloth writes for a burn alert; a test holds the two equal.
fn condition(slo: &Slo, burns: &[Burn; 2]) -> String {
    let name = slo.name;
    let budget = (100.0 - slo.objective) / 100.0;
    let labels = format!("{ID}=\"{SERVICE_APP}-{name}\", {SERVICE}=\"{SERVICE_APP}\", {NAME}=\"{name}\"");
    let above = |window: &str, factor: f64| {
        format!("max({ERROR_RATIO}{window}{{{labels}}} > ({factor} * {budget})) without (sloth_window)")
    };
    let both = |burn: &Burn| {
        format!("(\n    {}\n    and\n    {}\n)", above(burn.short, burn.factor), above(burn.long, burn.factor))
    };
    format!("{}\nor\n{}\n", both(&burns[0]), both(&burns[1]))
}

#[derive(Serialize)]
struct Specification {
    version: &'static str,
    service: &'static str,
    slos: Vec<SlothSlo>,
}

#[derive(Serialize)]
struct SlothSlo {
    name: &'static str,
    objective: f64,
    description: &'static str,
    sli: Sli,
    alerting: Alerting,
}

#[derive(Serialize)]
struct Sli {
    events: Events,
}

#[derive(Serialize)]
struct Events {
    error_query: String,
    total_query: String,
}

#[derive(Serialize)]
struct Alerting {
    name: &'static str,
    annotations: BTreeMap<&'static str, String>,
    page_alert: AlertLabels,
    ticket_alert: AlertLabels,
}

#[derive(Serialize)]
struct AlertLabels {
    labels: BTreeMap<&'static str, &'static str>,
}

/// `configs/prometheus/slo.yaml`, in sloth's `prometheus/v1`.
pub(super) fn specification() -> String {
    let severity = |severity: Severity| AlertLabels { labels: BTreeMap::from([("severity", severity.as_str())]) };
    let each = |slo: Slo| SlothSlo {
        alerting: Alerting {
            name: slo.alert,
            annotations: alert(&slo, Severity::Critical, &FAST, "").annotations("$value"),
            page_alert: severity(Severity::Critical),
            ticket_alert: severity(Severity::Warning),
        },
        name: slo.name,
        objective: slo.objective,
        description: slo.description,
        sli: Sli { events: Events { error_query: slo.errors, total_query: slo.total } },
    };
    let slos = slos().into_iter().map(each).collect();
    super::yaml(
        "The SLOs, in sloth's format; `signalbox dashboards` writes this from src/dashboards/alerts/slo.rs.\n\
         `just slo` makes rules/slo.yaml of it. What the exclusions mean: docs/slo.md.",
        &Specification { version: "prometheus/v1", service: SERVICE_APP, slos },
    )
}

#[cfg(test)]
mod tests {
    use super::{FAIL_ON_PURPOSE, SLOW_ON_PURPOSE};
    use crate::telemetry::names::REQUESTS;

    #[test]
    fn every_route_that_is_excepted_on_purpose_exists() {
        for route in FAIL_ON_PURPOSE.iter().chain(&SLOW_ON_PURPOSE) {
            assert!(REQUESTS.iter().any(|request| request.route == *route), "no route {route}");
        }
    }
}
