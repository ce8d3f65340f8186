//! The rule file that Prometheus, Mimir and AMP load: only fields that all three know (`alert`, `expr`, `for`, `labels`,
//! `annotations`). Called by `alerts`; no alert may be defined here.

use std::collections::BTreeMap;

use serde::Serialize;

use super::rule::{Alert, Group};

#[derive(Serialize)]
struct File<'a> {
    groups: Vec<RuleGroup<'a>>,
}

#[derive(Serialize)]
struct RuleGroup<'a> {
    name: &'static str,
    rules: Vec<Rule<'a>>,
}

#[derive(Serialize)]
struct Rule<'a> {
    alert: &'a str,
    expr: String,
    r#for: &'a str,
    labels: BTreeMap<&'static str, &'static str>,
    annotations: BTreeMap<&'static str, String>,
}

/// `configs/prometheus/rules/alerts.yaml`. The SLOs' alerts are in `slo.yaml` beside it, from sloth.
pub(super) fn file(alerts: &[Alert]) -> String {
    let groups = Group::ALL.into_iter().filter(|group| *group != Group::Slo);
    let groups = groups.map(|group| RuleGroup {
        name: group.as_str(),
        rules: alerts.iter().filter(|alert| alert.group == group).map(rule).collect(),
    });
    super::yaml(
        "Alerts; `signalbox dashboards` writes this from src/dashboards/alerts. Prometheus, Mimir and AMP load it as it is.",
        &File { groups: groups.collect() },
    )
}

fn rule(alert: &Alert) -> Rule<'_> {
    Rule {
        alert: alert.name,
        expr: alert.expr(),
        r#for: alert.wait,
        labels: BTreeMap::from([("severity", alert.severity.as_str())]),
        annotations: alert.annotations("$value"),
    }
}
