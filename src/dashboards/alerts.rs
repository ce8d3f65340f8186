//! Alert rules and SLOs, typed. Called by `dashboards`; builds text only.

use super::Generated;

/// The rule files of Prometheus, and what Grafana loads of them.
pub(super) fn files() -> Vec<Generated> {
    Vec::new()
}
