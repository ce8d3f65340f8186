//! The same alerts as Grafana provisions them, for where there is no Alertmanager. Called by `alerts`; no alert may be
//! defined here. Contact point and policy are in a file beside it.
//!
//! Grafana expands `$NAME` in labels and titles, so none holds a `$`; it does not in queries, and in annotations only
//! `${NAME}` (`pkg/services/provisioning/alerting/rules_types.go`), so templates are written as in Prometheus.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};

use super::rule::{Alert, Bound, Group};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct File {
    api_version: u8,
    groups: Vec<RuleGroup>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RuleGroup {
    org_id: u8,
    name: &'static str,
    folder: &'static str,
    interval: &'static str,
    rules: Vec<Rule>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    uid: String,
    title: String,
    condition: &'static str,
    data: Vec<Query>,
    dashboard_uid: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    panel_id: Option<u32>,
    no_data_state: &'static str,
    exec_err_state: &'static str,
    r#for: &'static str,
    annotations: BTreeMap<&'static str, String>,
    labels: BTreeMap<&'static str, &'static str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Query {
    ref_id: &'static str,
    datasource_uid: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    relative_time_range: Option<Value>,
    model: Value,
}

/// `configs/grafana/provisioning/alerting/rules.yaml`.
pub(super) fn file(alerts: &[Alert]) -> String {
    let groups = Group::ALL.map(|group| RuleGroup {
        org_id: 1,
        name: group.as_str(),
        folder: "signalbox",
        interval: "30s",
        rules: alerts.iter().filter(|alert| alert.group == group).map(rule).collect(),
    });
    super::yaml(
        "The alerts of configs/prometheus/rules as Grafana evaluates them; `signalbox dashboards` writes this from src/dashboards/alerts.\n\
         noDataState is OK: a heartbeat's query has a result when the heartbeat is missing, and no other rule speaks of missing data.",
        &File { api_version: 1, groups: groups.into() },
    )
}

fn rule(alert: &Alert) -> Rule {
    // Two burn alerts of one SLO share a name; Grafana wants titles apart.
    let burn = alert.group == Group::Slo;
    let severity = alert.severity.as_str();
    Rule {
        uid: if burn { format!("{}-{severity}", alert.kebab()) } else { alert.kebab() },
        title: if burn { format!("{} ({severity})", alert.name) } else { alert.name.to_owned() },
        condition: "B",
        data: vec![query(alert), threshold(alert.bound)],
        dashboard_uid: alert.dashboard_uid(),
        panel_id: alert.panel_id(),
        no_data_state: "OK",
        exec_err_state: "Error",
        r#for: alert.wait,
        annotations: alert.annotations("$values.A.Value"),
        labels: BTreeMap::from([("severity", severity)]),
    }
}

fn query(alert: &Alert) -> Query {
    Query {
        ref_id: "A",
        datasource_uid: "metrics",
        relative_time_range: Some(json!({ "from": 600, "to": 0 })),
        model: json!({ "refId": "A", "expr": alert.value, "instant": true, "range": false, "editorMode": "code" }),
    }
}

fn threshold(bound: Bound) -> Query {
    let (kind, bound) = match bound {
        Bound::Above(bound) => ("gt", bound),
        Bound::Below(bound) => ("lt", bound),
        // Whatever the query finds is an alert; each such query yields positive numbers.
        Bound::Any => ("gt", 0.0),
    };
    Query {
        ref_id: "B",
        datasource_uid: "__expr__",
        relative_time_range: None,
        model: json!({
            "refId": "B", "type": "threshold", "expression": "A",
            "conditions": [{ "evaluator": { "type": kind, "params": [bound] } }],
        }),
    }
}
