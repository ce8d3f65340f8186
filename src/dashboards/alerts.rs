//! Alert rules and SLOs, typed, in one list that Prometheus, Mimir, AMP and Grafana evaluate. Called by `dashboards`;
//! builds text only. `configs/prometheus/rules/slo.yaml` is not written here: sloth makes it of `configs/prometheus/slo.yaml`.
//!
//! | module | holds |
//! |---|---|
//! | `rule` | what an alert is |
//! | `service`, `pipeline`, `host` | the alerts |
//! | `slo` | the SLOs, sloth's specification of them, and their burn alerts as Grafana reads them |
//! | `prometheus`, `grafana`, `runbooks` | one file format each |

use super::Generated;
use rule::Alert;

mod grafana;
mod host;
mod pipeline;
mod prometheus;
mod rule;
mod runbooks;
mod service;
mod slo;

/// Every alert; those of the SLOs last, the fast burn before the slow one.
fn alerts() -> Vec<Alert> {
    [service::alerts(), pipeline::alerts(), host::alerts(), slo::alerts()].concat()
}

/// The rule file of Prometheus, sloth's specification, what Grafana loads, and the table of the runbooks.
pub(super) fn files() -> Vec<Generated> {
    let alerts = alerts();
    vec![
        Generated { path: "configs/prometheus/rules/alerts.yaml".into(), contents: prometheus::file(&alerts) },
        Generated { path: "configs/prometheus/slo.yaml".into(), contents: slo::specification() },
        Generated { path: "configs/grafana/provisioning/alerting/rules.yaml".into(), contents: grafana::file(&alerts) },
        Generated { path: "docs/runbooks/README.md".into(), contents: runbooks::table(&alerts) },
    ]
}

/// YAML under heading comments; `text` of a struct of ours always serialises.
fn yaml(heading: &str, value: &impl serde::Serialize) -> String {
    let text = serde_yaml_ng::to_string(value).unwrap_or_else(|error| format!("# {error}\n"));
    let heading: String = heading.lines().map(|line| format!("# {line}\n")).collect();
    format!("{heading}{text}")
}
